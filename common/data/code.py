"""Which source files a competition's figures depend on, and a digest of them."""

import ast
import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from common.data.sources import join_digests

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds the packages."""

PACKAGES = ("common", "competitions")


def load_code_digest(competition: Path) -> str:
    """Hash the source that a competition's figures depend on.

    Of Python it is the syntax tree without docstrings, so that comments, docstrings and layout can
    be mended and the figures stand: no fit may read a docstring. Of other files it is every byte.

    Args:
        competition: the competition's folder.

    Returns:
        sha256 in hexadecimal, of what `list_code` lists. Another version of Python may parse the
        same source to another tree.
    """
    return join_digests({name: _load_digest(path) for name, path in list_code(competition).items()})


def list_code(competition: Path) -> dict[str, Path]:
    """List the source that a competition's figures depend on.

    That is its own folder, Python and R, and all that this imports of `common` or of another
    competition, directly or through others, at the top or in a function. So the library can grow
    by a module, and the figures of those that do not use it stand.

    Args:
        competition: the competition's folder.

    Returns:
        {name: file}. Documents, tests, the front door and the library's other modules are not in
        it, nor is a module whose name is only made at run time.
    """
    folder = competition.resolve()
    own = [path for path in folder.rglob("*") if path.suffix in (".py", ".R")]
    found, waiting = set(own), list(own)
    while waiting:
        path = waiting.pop()
        new = set(_find_imports(path)) - found if path.suffix == ".py" else set()
        found |= new
        waiting += new
    return {_name(path, folder): path for path in found}


def _find_imports(path: Path) -> Iterator[Path]:
    """Find the files of all modules that a file imports from these packages."""
    for name in _read(path.read_bytes()).imports:
        parts = name.split(".")
        ends = range(1, len(parts) + 1)
        inits = [ROOT.joinpath(*parts[:end], "__init__.py") for end in ends]
        module = ROOT.joinpath(*parts).with_suffix(".py")
        yield from (file for file in (*inits, module) if file.is_file())


def _load_digest(path: Path) -> str:
    data = path.read_bytes()
    return _read(data).digest if path.suffix == ".py" else hashlib.sha256(data).hexdigest()


class _Source(NamedTuple):
    """A Python file: sha256 of what it does without what it says, and the modules it imports."""

    digest: str
    imports: tuple[str, ...]


# A run asks at every fit that it keeps, and parsing takes a hundred times as long as reading.
@lru_cache(maxsize=1024)
def _read(source: bytes) -> _Source:
    tree, imports = ast.parse(source), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # What is imported from a package may be a module of it.
            imports += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        if isinstance(body := getattr(node, "body", None), list):
            body[:] = [line for line in body if not _is_text(line)]
    ours = tuple(name for name in imports if name.partition(".")[0] in PACKAGES)
    return _Source(hashlib.sha256(ast.dump(tree).encode()).hexdigest(), ours)


def _is_text(line: ast.stmt) -> bool:
    """Tell a docstring, or a text below what it is about: either does nothing where it stands."""
    return (
        isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    )


def _name(path: Path, folder: Path) -> str:
    """Name a file by its place among the packages, wherever these lie."""
    root = ROOT if path.is_relative_to(ROOT) else folder.parent
    return path.relative_to(root).as_posix()

"""Which source files a competition's figures depend on, and a digest of them."""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

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
    return join_digests(
        {
            name: hashlib.sha256(_take_meaning(path)).hexdigest()
            for name, path in list_code(competition).items()
        }
    )


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
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # What is imported from a package may be a module of it.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] in PACKAGES:
                ends = range(1, len(parts) + 1)
                inits = [ROOT.joinpath(*parts[:end], "__init__.py") for end in ends]
                module = ROOT.joinpath(*parts).with_suffix(".py")
                yield from (file for file in (*inits, module) if file.is_file())


def _take_meaning(path: Path) -> bytes:
    """Take what a file does, without what it says about it."""
    if path.suffix != ".py":
        return path.read_bytes()
    tree = _parse(path)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            body[:] = [line for line in body if not _is_text(line)]
    return ast.dump(tree).encode()


def _is_text(line: ast.stmt) -> bool:
    """Tell a docstring, or a text below what it is about: either does nothing where it stands."""
    return (
        isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    )


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


def _name(path: Path, folder: Path) -> str:
    """Name a file by its place among the packages, wherever these lie."""
    root = ROOT if path.is_relative_to(ROOT) else folder.parent
    return path.relative_to(root).as_posix()

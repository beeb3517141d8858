"""Finds competitions: a folder with a `competition.py` is one."""

import ast
import dataclasses
import difflib
import importlib
import importlib.util
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import competitions
from common.checks import InputError

FACTS = (
    "SOURCE",
    "FILES",
    "SUBMISSION",
    "METRIC",
    "LEADERBOARD",
    "TECHNIQUES",
    "Config",
    "VARIANTS",
    "PARENT",
    "DEFAULT",
    "DIAGNOSTICS",
    "TINY",
)


@dataclass(frozen=True)
class Competition:
    """One folder of `competitions/`: its name, and its facts, which load in no time."""

    name: str
    facts: ModuleType

    @property
    def folder(self) -> Path:
        return Path(str(self.facts.__file__)).parent

    @property
    def title(self) -> str:
        """What stands before the colon in the first line of `competition.py`."""
        return (self.facts.__doc__ or self.name).strip().splitlines()[0].partition(":")[0]

    def has(self, part: str) -> bool:
        return (self.folder / f"{part}.py").is_file()

    def has_function(self, part: str, function: str) -> bool:
        """Tell whether one of the folder's files defines a function, without importing it."""
        tree = ast.parse((self.folder / f"{part}.py").read_text())
        return any(
            isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body
        )

    def has_files(self, raw: Path) -> bool:
        """Tell whether a folder holds all files that the competition cannot do without."""
        needed = [file.path for file in self.facts.FILES if not file.optional]
        return all(any(raw.glob(path)) for path in needed)

    def load(self, part: str) -> ModuleType:
        """Import one of the folder's other files ("pipeline", "sample", "open_data", "split").

        Raises:
            InputError: the competition has no such file.
        """
        if not self.has(part):
            raise InputError(f"{self.name} has no {part}.py")
        return importlib.import_module(f"competitions.{self.name}.{part}")


def load_names() -> tuple[str, ...]:
    """List the names of all competitions, sorted."""
    folders = [Path(place) for place in competitions.__path__]
    return tuple(sorted(p.parent.name for f in folders for p in f.glob("*/competition.py")))


def load_competition(name: str) -> Competition:
    """Import one competition's facts.

    Args:
        name: the folder's name; the slug with "-" does as well.

    Raises:
        InputError: there is none of that name (near ones are named), or a fact is missing.
    """
    wanted, names = name.replace("-", "_"), load_names()
    if wanted not in names:
        near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4) or names
        raise InputError(f"no competition is named {name}: there is {', '.join(near)}")
    facts = importlib.import_module(f"competitions.{wanted}.competition")
    if missing := [fact for fact in FACTS if not hasattr(facts, fact)]:
        raise InputError(f"{facts.__file__} must state {', '.join(FACTS)}, {missing[0]} is missing")
    return Competition(wanted, facts)


def choose_config(competition: Competition, variant: str, settings: Mapping[str, str]) -> Any:
    """Take a variant's config and lay `--set` values over it.

    Args:
        competition: whose variant.
        variant: a key of its `VARIANTS`.
        settings: {field: value as typed}: JSON, or a bare word for text fields.

    Raises:
        InputError: an unknown variant or field, or a value of another type.
    """
    variants = competition.facts.VARIANTS
    if variant not in variants:
        raise InputError(
            f"{competition.name} has no variant {variant}: there is {', '.join(variants)}"
        )
    config = variants[variant]
    known = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    changes = {}
    for field, text in settings.items():
        if field not in known:
            raise InputError(f"--set has no field {field}: there is {', '.join(known)}")
        changes[field] = _parse(field, text, known[field])
    return dataclasses.replace(config, **changes)


def _parse(field: str, text: str, present: Any) -> Any:
    """Read one `--set` value as the type that the field has."""
    try:
        value = json.loads(text, parse_constant=str)  # NaN and Infinity are no JSON
    except json.JSONDecodeError:
        value = text
    if isinstance(present, tuple):
        value = tuple(value) if isinstance(value, list) else tuple(text.split(",") if text else ())
        of = type(present[0]) if present else str
        if not all(type(item) is of for item in value):
            raise InputError(f"--set {field} wants a list of {of.__name__}, received {text}")
        return value
    if isinstance(present, str):
        return text
    if isinstance(present, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(present):
        raise InputError(f"--set {field} wants {type(present).__name__}, received {text}")
    return value

"""Argument checks, and the one error type that is shown to a user as a single line."""

from collections.abc import Iterable, Sequence
from typing import Any


class InputError(ValueError):
    """Something that the user can put right, told in one line: what was wanted, what came."""


def check_positive(name: str, value: float) -> None:
    """Check that a number is above zero.

    Raises:
        ValueError: it is not (NaN included).
    """
    if not value > 0:
        raise ValueError(f"{name} must be > 0, received {value}")


def check_choices(
    name: str,
    received: str | Sequence[str],
    choices: Iterable[str],
    *,
    error: type[ValueError] = ValueError,
) -> None:
    """Check that a word, or each of several, is among those there are.

    Args:
        name: what the caller calls it.
        received: one word, or one or more.
        choices: all that there are.
        error: what is raised: `InputError` where the words are a user's.

    Raises:
        ValueError: a word is none of them, or there is no word.
    """
    choices = list(choices)
    words, number = ([received], "one") if isinstance(received, str) else (received, "some")
    if not words or not set(words) <= set(choices):
        raise error(
            f"{name} must be {number} of {', '.join(choices)}, "
            f"received {', '.join(words) or 'none'}"
        )


def check_shape(name: str, array: Any, shape: Sequence[int | None]) -> None:
    """Check the rank and the fixed sizes of an array.

    Args:
        name: what the caller calls the array.
        array: anything with a `shape`.
        shape: wanted sizes; None stands for any size.

    Raises:
        ValueError: the rank or one of the fixed sizes differs.
    """
    received = tuple(array.shape)
    fits = len(received) == len(shape) and all(
        want is None or got == want for got, want in zip(received, shape, strict=False)
    )
    if not fits:
        wanted = "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
        raise ValueError(f"{name} must have shape {wanted}, received {received}")


def check_same_length(**arrays: Any) -> None:
    """Check that all arrays, given by name, have equally many rows.

    Raises:
        ValueError: they have not; the message names every array with its length.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"lengths must be equal, received {told}")

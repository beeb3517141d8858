"""Weights that PyTorch saved, read without PyTorch and without running what they say.

A `.pth` file is a pickle, and a pickle may call anything. Those of before PyTorch 1.6 are five
pickles one after the other (a magic number, a version, the machine, the dictionary, the order of
the storages) with the raw numbers behind them. The reader here admits an ordered dictionary of
tensors over four types of numbers and refuses all else by name.
"""

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from common.checks import InputError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
TYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
}
"""PyTorch's names of what a storage holds."""

_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
)
"""What `pickle` raises on bytes that are no pickle."""


class _StorageType(NamedTuple):
    dtype: str


@dataclass(frozen=True)
class _Storage:
    """A flat run of numbers that tensors look at; told in the pickle, filled behind it."""

    key: str
    dtype: np.dtype
    size: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> "_Tensor":
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


_ADMITTED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    **{("torch", name): _StorageType(dtype) for name, dtype in TYPES.items()},
}


class _TensorsOnly(pickle.Unpickler):
    """An unpickler that knows dictionaries, tensors and their storages."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise InputError(f"must hold tensors only, received {module}.{name}")
        return _ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> _Storage:
        word, kind, key, _, size, view = pid
        if word != "storage" or not isinstance(kind, _StorageType) or view is not None:
            raise InputError(f"must hold whole storages only, received {pid}")
        return _Storage(str(key), np.dtype(kind.dtype), int(size))


def load_state_dict(data: bytes, name: str) -> dict[str, np.ndarray]:
    """Read the weights in the bytes of a `.pth` file of PyTorch's older form.

    Args:
        data: the file.
        name: what the errors call it.

    Returns:
        {name: array}, in the file's order, each a copy of its own. Shapes are PyTorch's: kernels
        are (out, in, height, width).

    Raises:
        InputError: it is no such file (PyTorch's newer form, a zip, included), it is cut short, or
            it holds anything but tensors.
    """
    try:
        if data[:2] == b"PK":
            raise InputError("must be a .pth file of before PyTorch 1.6, received a zip")
        return _read(io.BytesIO(data))
    except InputError as error:
        raise InputError(f"{name} {error}") from None
    except _DAMAGE as error:
        raise InputError(f"{name} is no whole state dict ({error}): fetch it again") from None


def _read(file: io.BytesIO) -> dict[str, np.ndarray]:
    if _TensorsOnly(file).load() != MAGIC or _TensorsOnly(file).load() != VERSION:
        raise InputError("must be a .pth file of before PyTorch 1.6, received another")
    if not _TensorsOnly(file).load()["little_endian"]:
        raise InputError("must be little-endian, received big-endian")
    tensors, keys = _TensorsOnly(file).load(), _TensorsOnly(file).load()
    if not isinstance(tensors, Mapping) or not all(
        isinstance(tensor, _Tensor) for tensor in tensors.values()
    ):
        raise InputError("must hold a dictionary of tensors, received another object")
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    numbers = {key: _read_numbers(file, storages[key]) for key in keys}
    return {name: _take(numbers[tensor.storage.key], tensor) for name, tensor in tensors.items()}


def _read_numbers(file: io.BytesIO, storage: _Storage) -> np.ndarray:
    size = int.from_bytes(file.read(8), "little")
    data = file.read(size * storage.dtype.itemsize)
    if size != storage.size or len(data) != size * storage.dtype.itemsize:
        raise EOFError(f"storage {storage.key} ends early")
    return np.frombuffer(data, storage.dtype)


def _take(numbers: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """Look at the numbers as the tensor does; what would lie outside them is refused.

    So is a tensor of more numbers than there are: one number may be told to be billions.
    """
    last = tensor.offset + sum(
        (n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True)
    )
    if min((tensor.offset, *tensor.shape, *tensor.strides)) < 0 or last >= len(numbers):
        raise ValueError(f"a tensor of shape {tensor.shape} reaches out of its storage")
    if math.prod(tensor.shape) > len(numbers):
        raise ValueError(f"a tensor of shape {tensor.shape} holds more than its storage")
    steps = [step * numbers.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(
        numbers[tensor.offset :], tensor.shape, steps, writeable=False
    ).copy()

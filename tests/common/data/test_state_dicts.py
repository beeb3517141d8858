"""Files of PyTorch's older form are written here by hand: PyTorch is no package of this project."""

import io
import os
import pickle
import sys
from collections import OrderedDict
from types import ModuleType

import numpy as np
import pytest

from common.checks import InputError
from common.data.state_dicts import MAGIC, VERSION, load_state_dict

KINDS = {"<f4": "FloatStorage", "<f8": "DoubleStorage", "<f2": "HalfStorage", "<i8": "LongStorage"}


class Tensor:
    """A look at a flat array, as PyTorch has it."""

    def __init__(self, key, numbers, shape, strides, offset=0):
        self.key, self.numbers, self.shape, self.strides = key, numbers, shape, strides
        self.offset = offset


class Storage:
    def __init__(self, tensor, view):
        self.tensor, self.view = tensor, view


@pytest.fixture
def torch(monkeypatch):
    """Modules with PyTorch's names, so that a pickler finds what it writes the names of."""
    modules = {name: ModuleType(name) for name in ("torch", "torch._utils")}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    for name in KINDS.values():
        setattr(modules["torch"], name, type(name, (), {"__module__": "torch"}))

    def _rebuild_tensor_v2():
        """Only its name is written."""

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    modules["torch._utils"]._rebuild_tensor_v2 = _rebuild_tensor_v2
    modules["torch"]._utils = modules["torch._utils"]
    return modules["torch"]


def write(torch, state, *, view=None, little_endian=True, magic=MAGIC):
    """The bytes that `torch.save` wrote before PyTorch 1.6."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if not isinstance(value, Storage):
                return None
            kind = getattr(torch, KINDS[value.tensor.numbers.dtype.str])
            size = len(value.tensor.numbers)
            return ("storage", kind, value.tensor.key, "cpu", size, value.view)

        def reducer_override(self, value):
            if not isinstance(value, Tensor):
                return NotImplemented
            place = (Storage(value, view), value.offset, value.shape, value.strides)
            return torch._utils._rebuild_tensor_v2, (*place, False, OrderedDict())

    file = io.BytesIO()
    for part in (magic, VERSION, {"little_endian": little_endian}):
        pickle.dump(part, file, protocol=2)
    Pickler(file, protocol=2).dump(state)
    tensors = [value for value in getattr(state, "values", list)() if isinstance(value, Tensor)]
    storages = {tensor.key: tensor.numbers for tensor in tensors}
    pickle.dump(list(storages), file, protocol=2)
    for numbers in storages.values():
        file.write(len(numbers).to_bytes(8, "little") + numbers.tobytes())
    return file.getvalue()


def test_tensors_come_out_with_their_shape_type_and_order(torch):
    """Two tensors look at one storage, one of them along its columns and from its second number on:
    of 0 … 11 in rows of four, 1 2 3 / 5 6 7 turned over is 1 5 / 2 6 / 3 7.
    """
    numbers = np.arange(12, dtype="<f4")
    state = OrderedDict(
        rows=Tensor("7", numbers, (3, 4), (4, 1)),
        turned=Tensor("7", numbers, (3, 2), (1, 4), offset=1),
        half=Tensor("8", np.array([0.5, -2], "<f2"), (2,), (1,)),
        double=Tensor("9", np.array([1 / 3], "<f8"), (1, 1), (1, 1)),
        count=Tensor("10", np.array([2**40], "<i8"), (), ()),
    )

    found = load_state_dict(write(torch, state), "toy.pth")

    assert list(found) == ["rows", "turned", "half", "double", "count"]
    assert found["rows"].tolist() == numbers.reshape(3, 4).tolist()
    assert found["turned"].tolist() == [[1, 5], [2, 6], [3, 7]]
    assert found["half"].tolist() == [0.5, -2] and found["half"].dtype == np.float16
    assert found["double"].tolist() == [[1 / 3]] and found["count"] == 2**40
    found["rows"][0, 1] = 99
    assert found["turned"][0, 0] == 1, "no two arrays share numbers"


class Evil:
    """A pickle of this would run a command."""

    def __reduce__(self):
        return os.system, ("true",)


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({"weight": Evil()}, r"posix\.system"),
        ({"weight": np.float64(1)}, r"numpy\.\S+"),
        ({"weight": pickle.Pickler}, r"pickle\.Pickler"),
    ],
)
def test_what_is_no_tensor_is_named_and_never_called(torch, monkeypatch, state, named):
    data = write(torch, state)
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("it ran"))

    with pytest.raises(InputError, match=f"^toy.pth must hold tensors only, received {named}$"):
        load_state_dict(data, "toy.pth")


@pytest.mark.parametrize("state", [[1, 2], {"weight": 3}, 5])
def test_another_object_is_refused(torch, state):
    with pytest.raises(InputError, match=r"toy\.pth must hold a dictionary of tensors"):
        load_state_dict(write(torch, state), "toy.pth")


def test_a_view_of_a_storage_and_big_endian_numbers_are_refused(torch):
    state = {"weight": Tensor("1", np.zeros(3, "<f4"), (3,), (1,))}
    with pytest.raises(InputError, match="must hold whole storages only"):
        load_state_dict(write(torch, state, view=("2", 0, 3)), "toy.pth")
    with pytest.raises(InputError, match="must be little-endian, received big-endian"):
        load_state_dict(write(torch, state, little_endian=False), "toy.pth")


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((4,), (1,), 0),
        ((2, 2), (3, 1), 0),
        ((3,), (1,), 1),
        ((2,), (-1,), 1),
        ((3,), (1, 1), 0),
        ((4,), (0,), 0),
    ],
)
def test_a_tensor_cannot_look_beyond_its_storage(torch, shape, strides, offset):
    state = {"weight": Tensor("1", np.zeros(3, "<f4"), shape, strides, offset)}
    with pytest.raises(InputError, match=r"toy\.pth is no whole state dict"):
        load_state_dict(write(torch, state), "toy.pth")


def test_every_cut_is_told(torch):
    """Wherever the file ends early, and whatever stands there in place of it."""
    data = write(torch, {"weight": Tensor("1", np.arange(3, dtype="<f4"), (3,), (1,))})
    assert load_state_dict(data, "toy.pth")["weight"].tolist() == [0, 1, 2]
    for end in range(len(data)):
        with pytest.raises(InputError, match=r"^toy\.pth "):
            load_state_dict(data[:end], "toy.pth")


def test_other_files_are_told_apart(torch):
    with pytest.raises(InputError, match=r"before PyTorch 1\.6, received a zip"):
        load_state_dict(b"PK\x03\x04 and so on", "toy.pth")
    with pytest.raises(InputError, match=r"before PyTorch 1\.6, received another"):
        load_state_dict(write(torch, {}, magic=7), "toy.pth")
    with pytest.raises(InputError, match=r"toy\.pth is no whole state dict"):
        load_state_dict(b"a text", "toy.pth")

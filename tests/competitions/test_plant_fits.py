"""Models over pretrained features, and the nets with their settings."""

import numpy as np
import pytest

from common.checks import InputError
from common.nets.transfer import find_stage_layers
from common.training.pseudo_labels import PseudoLabels
from competitions.plant_seedlings_classification import nets
from competitions.plant_seedlings_classification.competition import SPECIES, TINY, Config
from competitions.plant_seedlings_classification.fits import (
    FEATURE_FITS,
    MADE_OF,
    MAKE,
    NET_FITS,
    VIEWS,
    fit_features_knn,
    fit_features_logistic,
    fit_finetune_upper,
    make_features,
)
from competitions.plant_seedlings_classification.nets import SETTINGS, see
from competitions.plant_seedlings_classification.pipeline import OF_FEATURES, SETTINGS_OF
from competitions.plant_seedlings_classification.plants import Plants

CONFIG = Config(**TINY)
N, N_VIEWS = 48, 2


def make_config(**options):
    return Config(**TINY | options)


def make_plants(n=N, side=16, seed=0):
    """Pictures whose colour tells which of the first three species they are."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 3
    pictures = rng.integers(0, 120, (n, side, side, 3))
    pictures[np.arange(n), :, :, label] += 120
    return Plants(
        names=np.arange(n).astype(str),
        pictures=pictures.astype(np.uint8),
        label=label,
        is_test=np.zeros(n, bool),
        group=np.arange(n),
    )


@pytest.fixture(scope="module")
def plants():
    return make_plants()


@pytest.fixture(scope="module")
def features(plants):
    """Two views of features that tell the species by their direction, amid noise."""
    rng = np.random.default_rng(1)
    told = 3 * np.eye(3, 8)[plants.label]
    return (told[:, None] + rng.normal(size=(N, N_VIEWS, 8))).astype(np.float16)


@pytest.mark.parametrize("fit", [fit_features_logistic, fit_features_knn])
def test_features_tell_pictures_that_were_not_fitted_on(plants, features, fit):
    rows, held = np.arange(36), np.arange(36, N)

    shares = fit(features, plants, CONFIG, rows, 0).predict(held)

    assert shares.shape == (12, N_VIEWS, len(SPECIES))
    np.testing.assert_allclose(shares.sum(axis=2), 1)
    assert np.mean(shares.argmax(axis=2) == plants.label[held][:, None]) > 0.9
    assert shares[..., 3:].sum() == 0, "species that were not fitted on get nothing"


@pytest.mark.parametrize("fit", [fit_features_logistic, fit_features_knn])
def test_a_fit_looks_at_no_other_rows(plants, features, fit):
    rows, held = np.arange(36), np.arange(36, 40)
    before = fit(features, plants, CONFIG, rows, 0).predict(held)
    altered = features.copy()
    altered[40:] = 9
    labels = plants.label.copy()
    labels[36:] = 0
    after = fit(altered, plants._replace(label=labels), CONFIG, rows, 0).predict(held)
    assert before.tobytes() == after.tobytes()


def test_neighbours_vote_by_the_inverse_of_their_distance():
    """One view each: about the mean (0, 0) the base lies at 0, 90, 180 and 270 degrees. The query
    at 30 degrees is 1 - cos 30 from the first and 1 - cos 60 from the second.
    """
    base = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.float32)
    query = np.array([[np.cos(np.pi / 6), np.sin(np.pi / 6)]], np.float32)
    plants = make_plants(5)._replace(label=np.array([0, 1, 2, 2, -1]))
    features = np.concatenate([base, query])[:, None]

    fitted = fit_features_knn(features, plants, Config(n_neighbors=2), np.arange(4), 0)

    near, far = 1 / (1 - np.sqrt(3) / 2), 1 / (1 - 0.5)
    wanted = np.array([near, far]) / (near + far)
    np.testing.assert_allclose(fitted.predict(np.array([4]))[0, 0, :2], wanted, rtol=1e-5)


def test_neighbours_are_pictures_whatever_their_views():
    """Two views each, about the mean (0, 0). The query lies at 10 degrees; both views of picture 0
    lie at 0 degrees, those of picture 1 at 10 and 100, in the mean at 55; picture 2 is opposite.
    As views, the nearest is one of picture 1's; as pictures, 0.
    """

    def turn(*degrees):
        angles = np.radians(degrees)
        return np.stack([np.cos(angles), np.sin(angles)], axis=-1)

    # The third picture takes the base's mean to 0; lengths of views do not count.
    base = np.stack([3 * turn(0, 0), turn(10, 100)])
    base = np.concatenate([base, -base.sum(axis=0, keepdims=True)]).astype(np.float32)
    query = np.stack([turn(10, 100)]).astype(np.float32)
    features = np.concatenate([base, query])
    plants = make_plants(4)._replace(label=np.array([4, 5, 6, -1]))

    fitted = fit_features_knn(features, plants, Config(n_neighbors=1), np.arange(3), 0)
    shares = fitted.predict(np.array([3]))

    assert shares.shape == (1, 2, len(SPECIES))
    assert shares[0].argmax(axis=1).tolist() == [4, 5]
    two = fit_features_knn(features, plants, Config(n_neighbors=2), np.arange(3), 0)
    near, far = 1 / (1 - np.cos(np.radians(10))), 1 / (1 - np.cos(np.radians(45)))
    wanted = np.array([near, far]) / (near + far)
    np.testing.assert_allclose(two.predict(np.array([3]))[0, 0, 4:6], wanted, rtol=1e-3)


def test_views_of_features_are_of_the_turned_pictures(plants):
    """What a turned picture's first view gives is what the picture's turned view gives."""
    few = plants._replace(pictures=plants.pictures[:4])
    features = make_features(few, CONFIG)
    turned = make_features(few._replace(pictures=np.rot90(few.pictures, 1, axes=(1, 2))), CONFIG)
    quarter = [view.name for view in VIEWS].index("1 quarter turns")
    assert features.shape[:2] == (4, len(VIEWS))
    np.testing.assert_allclose(turned[:, 0], features[:, quarter], atol=1e-3)
    assert np.abs(features[:, 0] - features[:, quarter]).max() > 1e-3


@pytest.mark.parametrize(("norms_learn", "epochs"), [(False, 20), (True, 150)])
def test_a_net_learns_colours(plants, norms_learn, epochs):
    """Batch norms follow their batches slowly: by a hundredth in a step."""
    config = make_config(epochs=epochs, learning_rate=0.02, norms_learn=norms_learn)
    shares = NET_FITS["finetune"](plants, config, np.arange(36), 0).predict(np.arange(36, N))
    assert shares.shape == (12, len(VIEWS), len(SPECIES))
    assert np.mean(shares.mean(axis=1).argmax(axis=1) == plants.label[36:]) > 0.9


@pytest.mark.parametrize("norms_learn", [False, True])
def test_batch_norms_learn_where_that_is_asked_for(plants, norms_learn):
    config = make_config(norms_learn=norms_learn)
    net = nets.train_net(plants, config, np.arange(36), 0, name="finetune")
    assert net.get_layer("stem_bn").moving_mean.numpy().any() == norms_learn


@pytest.mark.parametrize(
    ("lowest_rate", "wanted"), [(0.125, [1 / 8, 1 / 4, 1 / 2, 1]), (1, [1] * 4)]
)
def test_rates_grow_from_the_first_stage_to_the_head(plants, monkeypatch, lowest_rate, wanted):
    given = {}
    monkeypatch.setattr(nets, "fit_pictures", lambda net, batches, **o: given.update(o))
    config = make_config(lowest_rate=lowest_rate)
    nets.train_net(plants, config, np.arange(36), 0, name="finetune")
    stages = find_stage_layers(nets.build_pretrained(config))
    for names, rate in zip(stages, wanted, strict=True):
        assert [given["rates"][name] for name in names] == pytest.approx([rate] * len(names))


def test_pictures_grow_after_half_of_the_epochs(plants, monkeypatch):
    """Twelve pixels for two of five epochs, then sixteen, and by other draws."""
    given = []

    def fit(net, batches, *, epochs, **_):
        given.append((epochs, batches.element_spec[0].shape[1], net, next(iter(batches))[1]))

    monkeypatch.setattr(nets, "fit_pictures", fit)
    config = make_config(epochs=5, first_share=0.75)
    net = nets.train_net(plants, config, np.arange(36), 0, name="finetune")
    first, second = given
    assert first[:2] == (2, 12) and second[:2] == (3, 16)
    assert first[2] is second[2] is net
    assert first[3].numpy().tolist() != second[3].numpy().tolist()
    given.clear()
    nets.train_net(
        plants, make_config(epochs=1, first_share=0.75), np.arange(36), 0, name="finetune"
    )
    assert [part[:2] for part in given] == [(1, 16)]


def test_small_pictures_are_those_of_the_large_ones(plants, monkeypatch):
    """Of one colour each, at any size; and in the order of the labels."""
    seen = []
    monkeypatch.setattr(nets, "make_augment", lambda _: None)
    monkeypatch.setattr(
        nets, "fit_pictures", lambda net, batches, **_: seen.extend(batches.unbatch())
    )
    nets.train_net(
        plants, make_config(epochs=2, first_share=0.5), np.arange(36), 0, name="finetune"
    )
    assert {picture.shape[0] for picture, _ in seen} == {8, 16}
    for picture, label in seen:
        assert picture.numpy().mean(axis=(0, 1)).argmax() == label.numpy().argmax()


def test_upper_stages_say_of_maps_what_the_whole_net_says_of_views(monkeypatch):
    """Untrained, with the same seed."""
    monkeypatch.setattr(nets, "fit_pictures", lambda *_, **__: None)
    few, rows = make_plants(n=6), np.arange(6)
    maps = nets.make_maps(few, CONFIG, VIEWS)
    found = fit_finetune_upper(maps, few, CONFIG, rows, 0).predict(rows)
    wanted = NET_FITS["finetune"](few, CONFIG, rows, 0).predict(rows)
    assert maps.dtype == np.float16 and maps.shape[:2] == (6, len(VIEWS))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert np.abs(wanted[:, 0] - wanted[:, 3]).max() > 1e-4


def test_maps_go_with_the_labels_of_their_rows(plants, monkeypatch):
    """Each picture's maps hold its own number, and that of the view."""
    seen = []

    def fit(net, batches, **_):
        for _ in range(10):
            seen.extend(batches.unbatch())

    monkeypatch.setattr(nets, "fit_pictures", fit)
    _, n_views, *shape = nets.make_maps(make_plants(n=1), CONFIG, VIEWS).shape
    maps = np.empty((N, n_views, *shape), np.float16)
    maps[..., 0] = np.arange(N)[:, None, None, None]
    maps[..., 1] = np.arange(n_views)[:, None, None]
    nets.train_upper(maps, plants, CONFIG, np.arange(10, 46), 0)
    assert len(seen) == 320
    for part, label in seen:
        row = int(part.numpy()[..., 0].max())
        assert 10 <= row < 46 and label.numpy().argmax() == plants.label[row]
    assert {int(part.numpy()[..., 1].max()) for part, _ in seen} == set(range(n_views))


def test_upper_stages_learn_colours(plants):
    """Maps of chance still tell them."""
    config = make_config(epochs=60, learning_rate=0.02)
    maps = nets.make_maps(plants, config, VIEWS)
    fitted = fit_finetune_upper(maps, plants, config, np.arange(36), 0)
    shares = fitted.predict(np.arange(36, N))
    assert shares.shape == (12, len(VIEWS), len(SPECIES))
    np.testing.assert_allclose(shares.sum(axis=-1), 1, rtol=1e-5)
    assert np.mean(shares.mean(axis=1).argmax(axis=1) == plants.label[36:]) > 0.9


def test_a_net_looks_at_no_other_rows(plants):
    rows, held = np.arange(36), np.arange(36, 40)
    before = NET_FITS["finetune"](plants, CONFIG, rows, 0).predict(held)
    pictures, label = plants.pictures.copy(), plants.label.copy()
    pictures[40:], label[36:] = 0, (label[36:] + 1) % 3
    altered = plants._replace(pictures=pictures, label=label)
    after = NET_FITS["finetune"](altered, CONFIG, rows, 0).predict(held)
    assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize(("name", "epochs"), [("resnet_small", 7), ("inception_small", 3)])
def test_nets_from_scratch_are_those_of_their_names(plants, monkeypatch, name, epochs):
    asked = {}
    monkeypatch.setattr(nets, "fit_pictures", lambda net, batches, **options: asked.update(options))
    net = nets.train_net(plants, make_config(scratch_epochs=7), np.arange(36), 0, name=name)
    assert net.name == name.removesuffix("_small") and asked["epochs"] == epochs
    assert net.output_shape == (None, len(SPECIES)) and not asked.get("rates")


def test_a_net_learns_from_rows_that_another_model_labelled(plants):
    """Its own rows hold species 0 and 1 only; that there is a third is known from the labels."""
    config = make_config(epochs=25, learning_rate=0.02)
    own = np.flatnonzero(plants.label[:36] < 2)
    others = np.flatnonzero(plants.label[:36] == 2)
    target = np.eye(len(SPECIES), dtype=np.float32)[plants.label[others]]

    fitted = NET_FITS["pseudo_labels"](
        plants, config, own, 0, labelled=PseudoLabels(others, target)
    )

    third = 36 + np.flatnonzero(plants.label[36:] == 2)
    assert (fitted.predict(third).mean(axis=1).argmax(axis=1) == 2).mean() > 0.7


@pytest.mark.parametrize("n_own", [20, 40, 96])
def test_nets_differ_by_labels_and_not_by_steps(n_own, monkeypatch):
    """Own labels are smoothed by hand: 0.9 of one, and 0.1 over twelve; those that another model
    gave come as they are. Every epoch has the steps that its own rows fill, from all of the rows.
    """
    plants = make_plants(3 * n_own)
    seen = []
    monkeypatch.setattr(
        nets,
        "fit_pictures",
        lambda net, batches, **options: seen.append((options, [list(batches) for _ in range(20)])),
    )
    given = np.full((n_own, len(SPECIES)), 1 / len(SPECIES), np.float32)
    labelled = PseudoLabels(np.arange(n_own, 2 * n_own), given)
    for name, others in (("finetune", None), ("pseudo_labels", labelled)):
        nets.train_net(plants, CONFIG, np.arange(n_own), 0, name=name, labelled=others)

    (before, own), (after, taught) = seen
    assert before == after
    assert {len(epoch) for epoch in own + taught} == {max(1, n_own // nets.BATCH)}
    labels = [np.concatenate([y for epoch in run for _, y in epoch]) for run in (own, taught)]
    smoothed = 0.9 * np.eye(12)[:3] + 0.1 / 12
    np.testing.assert_allclose(np.unique(labels[0], axis=0)[::-1], smoothed, rtol=1e-6)
    is_given = (labels[1] == given[0]).all(axis=1)
    assert 0.4 < is_given.mean() < 0.6
    np.testing.assert_allclose(np.unique(labels[1][~is_given], axis=0)[::-1], smoothed, rtol=1e-6)


def test_small_pictures_live_as_long_as_their_batches(monkeypatch):
    """What a net from scratch sees is made for it, and nothing else holds it."""
    seen = []
    monkeypatch.setattr(nets, "fit_pictures", lambda net, batches, **_: seen.extend(batches))
    nets.train_net(make_plants(4, side=128), CONFIG, np.arange(4), 0, name="resnet_small")
    assert [x.shape.as_list() for x, _ in seen] == [[4, 64, 64, 3]]


@pytest.mark.parametrize("name", SETTINGS_OF)
def test_a_fit_hangs_on_no_setting_that_its_key_leaves_out(plants, name):
    """A kept fit is found again where only others differ."""
    asked = set()

    class Noting:
        def __getattr__(self, setting):
            asked.add(setting)
            return getattr(CONFIG, setting)

    if name in FEATURE_FITS:
        made = MAKE[MADE_OF[name]](plants, Noting())
        assert asked <= OF_FEATURES
        FEATURE_FITS[name](made, plants, Noting(), np.arange(36), 0)
    else:
        NET_FITS[name](plants, Noting(), np.arange(36), 0)
    assert asked <= SETTINGS_OF[name]


def test_a_backbone_brings_its_weights_or_is_refused(monkeypatch):
    asked = []
    monkeypatch.setattr(nets, "load_weights", lambda name, packages: asked.append(name))
    nets.build_pretrained(make_config(backbone="lite0"))
    assert asked == ["lite0"]
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"backbone must be one of lite0, .* received resnet5$"):
        nets.build_pretrained(make_config(backbone="resnet5"))


def test_each_net_has_its_own_augmentation(plants, monkeypatch):
    """Hidden rectangles and mixed labels are where the name says so, and nowhere else."""
    seen = {}

    def stop(net, backbone, batches, config, **_):
        _, labels = next(iter(batches))
        seen["mixed"] = bool((labels.numpy().max(axis=1) < 0.9).any())

    monkeypatch.setattr(nets, "_fine_tune", stop)
    for name in ("finetune", "finetune_occlusion", "finetune_mixup", "finetune_cutmix"):
        augment = nets.make_augment(SETTINGS[name])
        pictures = np.full((64, 16, 16, 3), 100, np.uint8)
        altered = augment(pictures, np.random.default_rng(0))
        is_flat = altered.std(axis=(1, 2)).max(axis=1) == 0
        nets.train_net(plants, CONFIG, np.arange(N), 0, name=name)
        assert seen["mixed"] == (name in ("finetune_mixup", "finetune_cutmix"))
        assert is_flat.all() == (name != "finetune_occlusion")


def test_nets_from_scratch_see_smaller_pictures():
    large = make_plants(2, side=128).pictures
    assert see(large, CONFIG, "finetune") is large
    small = see(large, CONFIG, "resnet_small")
    assert small.shape == (2, 64, 64, 3)
    wanted = large.reshape(2, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    assert np.abs(small - wanted).max() <= 1
    assert see(large, make_config(scratch_px=128), "resnet_small") is large

"""Linear probes against the optimum's own condition, and what a class without a label gets."""

import numpy as np
import pytest

from common.training.linear_probe import fit_linear_probe

RNG = np.random.default_rng(0)
LABELS = RNG.permutation(np.arange(90) % 3)
FEATURES = 2 * np.eye(3, 6)[LABELS] + RNG.normal(size=(90, 6))


def test_at_the_optimum_errors_are_balanced_by_the_penalty():
    """The gradient of C times the loss is minus that of half the squared weights; of the
    intercepts, which are free, it is 0: the mean answer is the share of each class.
    """
    strong, weak = (
        fit_linear_probe(FEATURES, LABELS, n_classes=3, inverse_penalty=c) for c in (1e-3, 1e3)
    )
    for fitted in (strong, weak):
        np.testing.assert_allclose(fitted.predict(FEATURES).mean(axis=0), 1 / 3, atol=1e-3)
    errors = (weak.predict(FEATURES) - np.eye(3)[LABELS]).T @ FEATURES / len(LABELS)
    assert np.abs(errors).max() < 1e-3, "hardly penalized, no feature tells anything any more"
    errors = (strong.predict(FEATURES) - np.eye(3)[LABELS]).T @ FEATURES / len(LABELS)
    assert np.abs(errors).max() > 0.1


def test_scale_and_place_of_features_do_not_matter():
    scale, shift = RNG.uniform(0.1, 10, 6), RNG.normal(size=6)
    one = fit_linear_probe(FEATURES, LABELS, n_classes=3, inverse_penalty=0.1)
    other = fit_linear_probe(FEATURES * scale + shift, LABELS, n_classes=3, inverse_penalty=0.1)
    np.testing.assert_allclose(
        one.predict(FEATURES), other.predict(FEATURES * scale + shift), atol=1e-3
    )


def test_a_class_without_a_label_gets_nothing():
    fitted = fit_linear_probe(FEATURES, 2 * LABELS, n_classes=6, inverse_penalty=0.1)
    found = fitted.predict(FEATURES[:5])
    assert found.shape == (5, 6) and not found[:, 1::2].any()
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert fitted.n_parameters == 3 * 6 + 3


@pytest.mark.parametrize(
    ("features", "labels", "penalty", "told"),
    [
        (FEATURES[0], LABELS, 1.0, "features"),
        (FEATURES, LABELS[:5], 1.0, "labels"),
        (FEATURES, LABELS, 0.0, "inverse_penalty must be > 0"),
        (FEATURES, np.zeros(90, int), 1.0, "class"),
    ],
)
def test_what_cannot_be_fitted_is_told(features, labels, penalty, told):
    with pytest.raises(ValueError, match=told):
        fit_linear_probe(features, labels, n_classes=3, inverse_penalty=penalty)

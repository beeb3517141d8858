"""Linear probes against the optimum's own condition, and what a class without a label gets."""

import numpy as np
import pytest

from common.training.linear_probe import fit_linear_probe

RNG = np.random.default_rng(0)
LABELS = RNG.permutation(np.arange(90) % 3)
FEATURES = 2 * np.eye(3, 6)[LABELS] + RNG.normal(size=(90, 6))


@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_at_the_optimum_errors_are_balanced_by_the_penalty(penalty):
    """Of C * (sum of the losses) + |W|^2 / 2 the gradient is C * errors^T Z + W = 0, over
    standardized features Z; of the intercepts, which are free, the sum of the errors is 0. W is
    read off the answers: their logarithms are linear in Z, up to a number for each row, and at the
    optimum the weights of all classes sum to 0. Scikit-learn stops where the gradient, divided by
    C and the number of rows, is below 1e-4.
    """
    fitted = fit_linear_probe(FEATURES, LABELS, n_classes=3, inverse_penalty=penalty)

    z = (FEATURES - FEATURES.mean(axis=0)) / FEATURES.std(axis=0)
    shares = fitted.predict(FEATURES)
    logits = np.log(shares) - np.log(shares).mean(axis=1, keepdims=True)
    found, *_ = np.linalg.lstsq(np.column_stack([z, np.ones(len(z))]), logits, rcond=None)
    coef = found[:-1].T  # (3, 6)
    errors = shares - np.eye(3)[LABELS]
    atol = 1.1e-4 * penalty * len(z)
    np.testing.assert_allclose(penalty * errors.T @ z, -coef, atol=atol)
    np.testing.assert_allclose(errors.mean(axis=0), 0, atol=1.1e-4)
    assert np.abs(coef).max() > 20 * atol, "half or twice the penalty would be seen"


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
        (FEATURES, LABELS + 1, 1.0, r"labels must be in \[0, 3\), received 3"),
        (FEATURES, LABELS - 1, 1.0, r"labels must be in \[0, 3\), received -1"),
    ],
)
def test_what_cannot_be_fitted_is_told(features, labels, penalty, told):
    with pytest.raises(ValueError, match=told):
        fit_linear_probe(features, labels, n_classes=3, inverse_penalty=penalty)

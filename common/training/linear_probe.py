"""A linear probe: a softmax on features that a net made and that are not trained any more."""

import numpy as np

from common.checks import check_positive, check_same_length, check_shape
from common.training.fitted import Fitted


def fit_linear_probe(
    features: np.ndarray, labels: np.ndarray, *, n_classes: int, inverse_penalty: float
) -> Fitted:
    """Fit a multinomial logistic regression to standardized features.

    Args:
        features: (m, D) numbers.
        labels: (m,) int in [0, n_classes), of two classes or more.
        n_classes: C.
        inverse_penalty: of the squared weights, > 0: the smaller, the more they are held back.

    Returns:
        The fitted model, whose `predict` takes (n, D) features and gives (n, C) probabilities; a
        class without a label gets 0.

    Raises:
        ValueError: lengths or ranks differ, inverse_penalty is not positive, a label is out of
            range, or labels are of one class only.

    Source: Alain and Bengio, "Understanding Intermediate Layers Using Linear Classifier Probes",
        2016; the fit is scikit-learn's.
    """
    # In every worker, scikit-learn takes a second to import.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    check_shape("features", features, (None, None))
    check_same_length(features=features, labels=labels)
    check_positive("inverse_penalty", inverse_penalty)
    is_out = (labels < 0) | (labels >= n_classes)
    if is_out.any():
        raise ValueError(f"labels must be in [0, {n_classes}), received {labels[is_out][0]}")
    model = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=300))
    model.fit(np.asarray(features, np.float32), labels)
    last = model[-1]

    def predict(asked: np.ndarray) -> np.ndarray:
        found = np.zeros((len(asked), n_classes))
        found[:, last.classes_] = model.predict_proba(np.asarray(asked, np.float32))
        return found

    return Fitted(predict, last.coef_.size + last.intercept_.size)

"""The slow check of gradients: nudge every number up and down and look at what the function
does.
"""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf


def compute_central_differences(
    function: Callable[[], tf.Tensor], variables: Sequence[tf.Variable], *, step: float = 1e-5
) -> list[np.ndarray]:
    """Compute d function / d variable for every number of every variable,
    (f(v + h) - f(v - h)) / 2 h.

    Args:
        function: of the variables' present values, to a float64 scalar.
        variables: float64; left as they were.
        step: h. The error of the formula goes with its square, that of float64 with 1e-16 over it.

    Returns:
        One array per variable, of its shape.
    """
    gradients = []
    for variable in variables:
        before = variable.numpy()
        gradient = np.empty_like(before)
        for place in np.ndindex(before.shape):
            values = []
            for sign in (1, -1):
                nudged = before.copy()
                nudged[place] += sign * step
                variable.assign(nudged)
                values.append(float(function()))
            gradient[place] = (values[0] - values[1]) / (2 * step)
        variable.assign(before)
        gradients.append(gradient)
    return gradients


def check_gradients(function: Callable[[], tf.Tensor], variables: Sequence[tf.Variable]) -> None:
    """Check that `tf.GradientTape` agrees with central differences, in float64.

    Raises:
        AssertionError: it does not, a variable is no float64, or all gradients are zero, which
            proves nothing.
    """
    assert all(variable.dtype == tf.float64 for variable in variables)
    with tf.GradientTape() as tape:
        value = function()
    received = [tf.convert_to_tensor(g).numpy() for g in tape.gradient(value, list(variables))]
    wanted = compute_central_differences(function, variables)
    assert any(np.abs(gradient).max() > 1e-6 for gradient in wanted)
    for variable, one, other in zip(variables, received, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9, err_msg=variable.name)

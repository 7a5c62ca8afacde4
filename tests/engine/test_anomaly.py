"""detect_anomaly: the first NaN or infinity is blamed on the operation, and on the user's line."""

import linecache

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.autograd import Function, detect_anomaly, grad, set_detect_anomaly

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own, of the same numbers


def leaf(*values):
    return tg.tensor(values, dtype=tg.float64, requires_grad=True)


def blamed(error):
    """The operation and the source line that a message names."""
    message = str(error.value)
    assert message.startswith("detect_anomaly: ") and ", at " in message
    where = message.split(", at ")[1]
    assert where.startswith(__file__)
    number = int(where[len(__file__) + 1 :].split(":")[0])
    line = linecache.getline(__file__, number).strip()
    assert where.endswith(line)
    return message.split(", at ")[0], line


@pytest.mark.parametrize("recorded", [True, False])
def test_a_value_is_blamed_on_the_operation_that_made_it(recorded):
    x = leaf(-1.0, 1.0).requires_grad_(recorded)
    with detect_anomaly(), pytest.raises(RuntimeError) as error:
        y = x * 2
        z = np.log(y)  # the culprit
        (z * 0).sum()
    what, line = blamed(error)
    assert "the output of log holds nan" in what and "the culprit" in line


def test_a_gradient_is_blamed_on_the_line_of_the_forward_pass():
    x = leaf(0.0, 1.0)
    with detect_anomaly():
        y = x * 2
        z = np.sqrt(y)  # the culprit
        loss = (z * 0).sum()
        with pytest.raises(RuntimeError) as error:
            loss.backward()
    what, line = blamed(error)
    assert "a gradient of sqrt holds nan" in what and "the culprit" in line


def test_a_product_that_waits_is_looked_at_too():
    w = tg.full((1, 1), 1.0, dtype=tg.float64).requires_grad_()
    x = tg.full((1, 1), 1e200, dtype=tg.float64)
    with detect_anomaly():
        y = x @ w  # the culprit
        with pytest.raises(RuntimeError) as error:
            y.backward(tg.full((1, 1), 1e200, dtype=tg.float64))
    what, line = blamed(error)
    assert "a gradient of matmul holds inf" in what and "the culprit" in line


def test_a_sum_of_finite_gradients_that_is_not_finite_is_seen():
    x = leaf(1.0)
    with detect_anomaly():
        y = tg.stack([x * 1, x * 1])
        with pytest.raises(RuntimeError, match="the sum of the gradients of a leaf holds inf"):
            y.backward(tg.full((2, 1), 1e308, dtype=tg.float64))


def test_a_weight_that_is_not_finite_is_blamed_where_it_is_used():
    layer = nn.LSTM(2, 3)
    with tg.no_grad():
        layer.weight_hh_l0[0, 0] = float("inf")
    with detect_anomaly(), pytest.raises(RuntimeError, match=r"an input of .* holds inf") as error:
        layer(tg.ones(2, 1, 2))  # the culprit
    assert "the culprit" in blamed(error)[1]


def test_a_user_s_function_is_blamed_by_its_name():
    class Broken(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return tg.from_numpy(g.detach().numpy() / 0)

    x = leaf(1.0)
    with detect_anomaly():
        y = Broken.apply(x)  # the culprit
        with pytest.raises(RuntimeError) as error:
            y.sum().backward()
    what, line = blamed(error)
    assert "a gradient of Broken holds inf" in what and "the culprit" in line


def test_second_derivatives_are_looked_at():
    x = leaf(0.0)
    with detect_anomaly():
        y = (x * x) ** 0.75  # |x|¹·⁵, whose second derivative is infinite at 0
        with pytest.raises(RuntimeError, match=r"detect_anomaly: .* holds (nan|inf)"):
            (g,) = grad(y.sum(), x, create_graph=True)
            grad(g.sum(), x)


def test_what_was_recorded_before_is_blamed_without_a_line():
    x = leaf(0.0)
    y = (np.sqrt(x) * 0).sum()
    with (
        detect_anomaly(),
        pytest.raises(RuntimeError, match=r"a gradient of sqrt .* not run under detect_anomaly"),
    ):
        y.backward()


def test_what_is_finite_passes_with_the_same_gradients():
    x = leaf(0.1, 0.2, 0.3)
    gradients = []
    for on in (False, True):
        x.grad = None
        with set_detect_anomaly(on):
            y = np.tanh(x) * x
            y[0] = x[1] * 2
            z = (tg.stack([y, y]) @ tg.stack([x, x]).t())[0]
            z.sum().backward()
        gradients.append(x.grad.tolist())
    assert gradients[0] == gradients[1]


def test_without_it_nothing_is_looked_at():
    x = leaf(0.0)
    (np.sqrt(x) * 0).sum().backward()
    assert np.isnan(x.grad.numpy()).all()


def test_it_is_a_decorator_too():
    @detect_anomaly()
    def step(x):
        return np.log(x)

    with pytest.raises(RuntimeError, match="the output of log holds -inf"):
        step(leaf(0.0))


def test_integers_and_truth_values_have_nothing_to_look_at():
    with detect_anomaly():
        assert (tg.arange(3)[1:] * 2).tolist() == [2, 4]


def test_an_overwritten_value_is_blamed_on_the_line_that_needs_it():
    x = leaf(1.0, 2.0)
    with detect_anomaly():
        y = x * x  # the culprit
        with tg.no_grad():
            x.zero_()
        with pytest.raises(
            RuntimeError, match=r"mul needs .* overwritten in place later \(at .*# the culprit\)"
        ):
            y.sum().backward()

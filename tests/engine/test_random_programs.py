"""Random programs of slices, views, assignments, products and reuse, against the complex step.

The same program runs on tensors and, with complex arrays, in plain NumPy: Im f(x + ih v) / h is the
derivative along v without any difference being taken (Squire & Trapp 1998).
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.autograd import grad

W = np.random.default_rng(0).normal(size=(3, 3)) * 0.5


def overwritten(a, b, i):
    y = a * 1
    before = np.tanh(y)
    y[i] = b[1 - i]
    return y * before


def filled(a, b, i):
    y = a * 0
    y[0] = b[i]
    y[1] = y[0] * a[i]
    return y


def columns_gathered(a, b, i):
    return a[:, [2, i, 0]] * b[[i, 0]]


def spread_over_rows(a, b, i):
    return a * b[i] + b[:, i : i + 1]


def turned(a, b, i):
    return np.transpose(np.reshape(np.transpose(a), (2, 3)).reshape(3, 2)) + b


OPERATIONS = {
    "sum": lambda a, b, i: a + b,
    "product": lambda a, b, i: a * b * 0.5,
    "with itself": lambda a, b, i: a * a - a,
    "tanh": lambda a, b, i: np.tanh(a),
    "sine of a negative": lambda a, b, i: np.sin(-b),
    "weights": lambda a, b, i: a @ W + b,
    "a product of both": lambda a, b, i: (a @ np.transpose(b)) @ a * 0.1,
    "a row's mean": lambda a, b, i: a - np.mean(b, 1, keepdims=True),
    "stacked": lambda a, b, i: np.stack([a[i], b[1 - i]]),
    "joined": lambda a, b, i: np.concatenate([b[1:], a[i : i + 1]]),
    "overwritten": overwritten,
    "filled": filled,
    "columns gathered": columns_gathered,
    "spread over rows": spread_over_rows,
    "turned": turned,
}
step = st.tuples(
    st.sampled_from(sorted(OPERATIONS)), st.integers(0, 30), st.integers(0, 30), st.integers(0, 1)
)
long, short = st.lists(step, min_size=1, max_size=12), st.lists(step, min_size=1, max_size=5)


def values_of(program, x):
    """x (2, 3), and what each step makes of two earlier values; the sine keeps them from growing."""
    values = [x]
    for name, i, j, k in program:
        values.append(np.sin(OPERATIONS[name](values[i % len(values)], values[j % len(values)], k)))
    return values


def run(program, x):
    """One number, to which every value has contributed."""
    values = values_of(program, x)
    total = values[-1]
    for value in values[1:-1]:
        total = total + value * 0.1
    return np.sum(total * np.arange(1.0, 7).reshape(2, 3))


@given(long, st.integers(0, 2**32 - 1))
def test_backward_equals_the_complex_step(program, seed):
    rng = np.random.default_rng(seed)
    start, v = rng.normal(size=(2, 2, 3))
    x = tg.tensor(start, requires_grad=True)
    y = run(program, x)
    y.backward()
    h = 1e-30
    along = run(program, start + 1j * h * v)
    assert np.isclose(y.item(), along.real, rtol=1e-12, atol=1e-12)
    scale = np.abs(x.grad.numpy()).max() + 1
    assert np.isclose((x.grad.numpy() * v).sum(), along.imag / h, rtol=1e-9, atol=1e-10 * scale)
    assert x.tolist() == start.tolist()


@given(short, st.integers(0, 2**32 - 1))
def test_a_recorded_gradient_is_the_gradient_and_its_derivative_is_the_second(program, seed):
    rng = np.random.default_rng(seed)
    start, v = rng.normal(size=(2, 2, 3))

    def slope(at, create_graph=False):
        x = tg.tensor(at, requires_grad=True)
        return x, grad(run(program, x), x, create_graph=create_graph)[0]

    x, g = slope(start, create_graph=True)
    plain = slope(start)[1].numpy()
    assert np.allclose(g.detach().numpy(), plain, rtol=1e-12, atol=1e-12)
    (second,) = grad(g, x, tg.tensor(v), materialize_grads=True)

    def difference(h):
        return slope(start + h * v)[1].numpy() - slope(start - h * v)[1].numpy()

    h = 1e-3
    central = (8 * difference(h) - difference(2 * h)) / (12 * h)  # of fourth order
    assert np.allclose(second.numpy(), central, rtol=1e-5, atol=1e-5 * (np.abs(central).max() + 1))


@given(long, st.integers(0, 2**32 - 1), st.integers(0, 11))
def test_gradients_of_what_lies_between_follow_the_chain_rule(program, seed, cut):
    """d total / d x = Σ d total / d value · d value / d x, through any one value and around it."""
    cut = min(cut, len(program) - 1)
    start = np.random.default_rng(seed).normal(size=(2, 3))
    x = tg.tensor(start, requires_grad=True)
    inner = values_of(program, x)[cut + 1]
    whole, through = grad(run_from(program, x, inner, cut), [x, inner])
    x2 = tg.tensor(start, requires_grad=True)
    leaf = inner.detach().requires_grad_()
    around, same = grad(run_from(program, x2, leaf, cut), [x2, leaf], materialize_grads=True)
    assert np.allclose(same.numpy(), through.numpy())
    (behind,) = grad(values_of(program, x2)[cut + 1], x2, same)
    assert np.allclose(whole.numpy(), around.numpy() + behind.numpy(), rtol=1e-10, atol=1e-9)


def run_from(program, x, inner, cut):
    """The last value times `inner`, which stands for the value of step number `cut`."""
    values = [x]
    for n, (name, i, j, k) in enumerate(program):
        value = np.sin(OPERATIONS[name](values[i % len(values)], values[j % len(values)], k))
        values.append(inner if n == cut else value)
    return np.sum(values[-1] * inner)

"""L-BFGS and its line search: what they promise about the points they return."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn import optim
from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.optim.line_search import C1, C2, Line, Point, cubic_minimum, kept_away, strong_wolfe


def closure_of(p, objective):
    """A closure for f(x) = objective(x), which returns the value and the gradient."""

    def closure():
        f, g = objective(p.array)
        p.grad = Tensor(np.asarray(g, p.array.dtype))
        return f

    return closure


def rosenbrock(x):
    a, b = x[:-1], x[1:]
    g = np.zeros_like(x)
    g[:-1] += -400 * a * (b - a**2) - 2 * (1 - a)
    g[1:] += 200 * (b - a**2)
    return float((100 * (b - a**2) ** 2 + (1 - a) ** 2).sum()), g


@pytest.mark.parametrize("n", [2, 10])
@pytest.mark.parametrize(("dtype", "error"), [(np.float64, 1e-7), (np.float32, 2e-3)])
def test_rosenbrocks_valley_is_followed_to_its_end(n, dtype, error):
    p = Tensor(np.tile([-1.2, 1.0], n // 2).astype(dtype), requires_grad=True)
    optimizer = optim.LBFGS([p], max_iter=100, tolerance_change=1e-15, line_search_fn="strong_wolfe")
    optimizer.step(closure_of(p, rosenbrock))
    assert p.dtype == dtype
    np.testing.assert_allclose(p.array, np.ones(n), atol=error)


def test_a_quadratic_is_solved_in_about_as_many_steps_as_it_has_dimensions():
    """n with exact arithmetic and exact line searches (Nocedal & Wright, theorem 6.4)."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(5, 5))
    A, b = half @ half.T + np.eye(5), rng.normal(size=5)
    p = Tensor(np.zeros(5), requires_grad=True)
    optimizer = optim.LBFGS([p], max_iter=15, line_search_fn="strong_wolfe")
    optimizer.step(closure_of(p, lambda x: (float(x @ A @ x / 2 - b @ x), A @ x - b)))
    np.testing.assert_allclose(p.array, np.linalg.solve(A, b), rtol=1e-4)


def test_the_loss_before_the_step_is_returned():
    p = Tensor(np.array([-1.2, 1.0]), requires_grad=True)
    want = rosenbrock(p.array)[0]
    assert optim.LBFGS([p]).step(closure_of(p, rosenbrock)) == want


@pytest.mark.parametrize("max_iter", [1, 3, 5])
def test_max_iter_bounds_the_iterations_of_a_step(max_iter):
    p = Tensor(np.array([-1.2, 1.0]), requires_grad=True)
    optimizer = optim.LBFGS([p], max_iter=max_iter, max_eval=1000, line_search_fn="strong_wolfe")
    for steps in (1, 2):
        optimizer.step(closure_of(p, rosenbrock))
        assert optimizer.state[p]["n_iter"] == steps * max_iter


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("max_eval", [1, 2, 3, 6])
def test_max_eval_bounds_the_evaluations_of_a_step(search, max_eval):
    """One more is possible: the line search needs a point to choose from."""
    p = Tensor(np.array([-1.2, 1.0]), requires_grad=True)
    optimizer = optim.LBFGS([p], lr=0.001, max_iter=50, max_eval=max_eval, line_search_fn=search)
    calls = []
    closure = closure_of(p, rosenbrock)
    optimizer.step(lambda: calls.append(1) or closure())
    assert len(calls) <= max_eval + 1
    assert optimizer.state[p]["func_evals"] == len(calls)


@pytest.mark.parametrize(("options", "where"), [({"tolerance_grad": 10.0}, "gradient"), ({}, "optimum")])
def test_at_an_optimum_the_step_ends_after_one_evaluation(options, where):
    p = Tensor(np.array([0.5, -0.5]) if where == "gradient" else np.zeros(2), requires_grad=True)
    before, optimizer = p.array.copy(), optim.LBFGS([p], **options)
    optimizer.step(closure_of(p, lambda x: (float(x @ x), 2 * x)))
    assert optimizer.state[p]["func_evals"] == 1
    np.testing.assert_array_equal(p.array, before)


@pytest.mark.parametrize("outside", [math.nan, math.inf])
def test_a_step_out_of_the_objectives_domain_is_taken_back(outside):
    """-log x + x is defined for x > 0 only; the first trials jump over the boundary."""

    def barrier(x):
        inside = bool((x > 0).all())
        return float((x - np.log(x)).sum()) if inside else outside, 1 - 1 / x if inside else x * math.nan

    p = Tensor(np.array([5.0, 0.01]), requires_grad=True)
    optimizer = optim.LBFGS([p], lr=1000, max_iter=60, line_search_fn="strong_wolfe")
    optimizer.step(closure_of(p, barrier))
    np.testing.assert_allclose(p.array, 1, atol=1e-5)


def test_a_parameter_without_a_gradient_counts_as_zero_and_stays():
    p, still = Tensor(np.array([3.0, 4.0]), requires_grad=True), Tensor(np.array([[7.0]]), requires_grad=True)
    optim.LBFGS([still, p]).step(closure_of(p, lambda x: (float(x @ x), 2 * x)))
    assert still.array == 7.0
    np.testing.assert_allclose(p.array, 0, atol=1e-6)


def test_history_is_no_longer_than_history_size():
    p = Tensor(np.tile([-1.2, 1.0], 2), requires_grad=True)
    optimizer = optim.LBFGS([p], max_iter=12, history_size=3, line_search_fn="strong_wolfe")
    optimizer.step(closure_of(p, rosenbrock))
    assert [len(optimizer.state[p][name]) for name in ("old_dirs", "old_stps", "ro")] == [3, 3, 3]


def test_errors_say_what_is_missing():
    p = Tensor(np.ones(2), requires_grad=True)
    optimizer = optim.LBFGS([p])
    with pytest.raises(TypeError, match="needs a closure"):
        optimizer.step()
    with pytest.raises(TypeError, match="returned None"):
        optimizer.step(lambda: None)
    with pytest.raises(ValueError, match="one parameter group"):
        optimizer.add_param_group({"params": [Tensor(np.ones(1))]})
    with pytest.raises(ValueError, match="one parameter group"):
        optim.LBFGS([{"params": [p]}, {"params": [Tensor(np.ones(1))]}])


# --- the line search on functions of one variable

coefficient = st.floats(-3, 3)


@given(
    st.lists(st.tuples(coefficient, st.floats(0.1, 4), st.floats(0, 6)), max_size=3),
    st.floats(0.05, 2),
    st.floats(-4, -0.1),
    st.floats(1e-3, 50),
)
def test_the_returned_step_meets_both_wolfe_conditions(waves, bowl, slope, first):
    """φ(t) = slope t + bowl t² + Σ a sin(w t + b), falling at 0 and bounded below: such a step exists."""
    steepness = sum(a * w * math.cos(b) for a, w, b in waves)

    def phi(t):
        f = (slope - steepness) * t + bowl * t**2 + sum(a * math.sin(w * t + b) for a, w, b in waves)
        df = slope - steepness + 2 * bowl * t + sum(a * w * math.cos(w * t + b) for a, w, b in waves)
        return Point(t, f, np.array([df]), df)

    start = phi(0.0)
    line = Line(phi, start, reach=1.0, max_evals=200)
    p = strong_wolfe(line, first, tolerance=0.0)
    assert p.t > 0
    assert p.f <= start.f + C1 * p.t * start.slope
    assert abs(p.slope) <= C2 * abs(start.slope)


@given(*[st.floats(-5, 5) for _ in range(4)], st.floats(0.1, 3))
def test_cubic_minimum_is_the_cubics_local_minimum(k3, k2, k1, left, width):
    def cubic(t):
        f, slope = ((k3 * t + k2) * t + k1) * t, (3 * k3 * t + 2 * k2) * t + k1
        return Point(t, f, np.array([slope]), slope)

    right = left + width
    t = cubic_minimum(cubic(left), cubic(right), left, right)
    assert t == cubic_minimum(cubic(right), cubic(left), left, right)
    assert left <= t <= right
    roots = np.roots([3 * k3, 2 * k2, k1]) if abs(k3) > 1e-2 else np.array([])
    minima = [float(r.real) for r in roots if abs(r.imag) < 1e-12 and 3 * k3 * r.real + k2 > 1e-2]
    if minima:
        assert t == pytest.approx(min(max(minima[0], left), right), abs=1e-6)


def test_cubic_minimum_is_the_middle_where_values_are_no_numbers():
    a, far = Point(0.0, 1.0, np.ones(1), -1.0), Point(4.0, math.inf, np.ones(1), math.nan)
    assert cubic_minimum(a, far, 0.0, 4.0) == 2.0
    assert cubic_minimum(a, a, 0.0, 4.0) == 2.0


def test_kept_away_lets_a_trial_near_the_end_pass_once():
    assert kept_away(5.0, 0.0, 10.0, near_end=True) == (5.0, False)
    assert kept_away(0.5, 0.0, 10.0, near_end=False) == (0.5, True)
    assert kept_away(0.5, 0.0, 10.0, near_end=True) == (1.0, False)
    assert kept_away(9.5, 0.0, 10.0, near_end=True) == (9.0, False)
    assert kept_away(10.0, 0.0, 10.0, near_end=False) == (9.0, False)


def parabola(t):
    return Point(t, (t - 1) ** 2, np.array([2 * (t - 1)]), 2 * (t - 1))


@pytest.mark.parametrize(("first", "found"), [(1.5, 1.5), (10.0, 0.0)])
def test_with_no_evaluation_left_the_lower_point_is_returned(first, found):
    line = Line(parabola, parabola(0.0), reach=1.0, max_evals=0)
    assert strong_wolfe(line, first, tolerance=0.0).t == found
    assert line.left == 0


def test_a_zoom_into_a_kink_ends_when_the_interval_is_small():
    """|t - 1| has slopes of ±1 only, so that no step meets the second condition."""

    def kink(t):
        slope = math.copysign(1.0, t - 1)
        return Point(t, abs(t - 1), np.array([slope]), slope)

    line = Line(kink, kink(0.0), reach=100.0, max_evals=200)
    assert strong_wolfe(line, 4.0, tolerance=1e-3).t == pytest.approx(1, abs=1e-5)
    assert line.left > 150


def test_a_step_ends_when_the_parameters_hardly_move_however_much_the_loss_does():
    p = Tensor(np.array([1.0]), requires_grad=True)
    optimizer = optim.LBFGS([p], lr=1e-12)
    optimizer.step(closure_of(p, lambda x: (float(1e8 * x[0]), np.array([1e8]))))
    assert optimizer.state[p]["n_iter"] == 1

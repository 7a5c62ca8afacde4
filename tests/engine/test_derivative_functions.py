"""autograd.functional and recorded gradients, against closed forms."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.autograd import functional as F
from tinygrad_rnn.autograd import grad

rng = np.random.default_rng(0)
A = rng.normal(size=(3, 3))
S = A + A.T
x0, y0, v0, u0 = rng.normal(size=(4, 3))


def T(array, **kwargs):
    return tg.tensor(array, dtype=tg.float64, **kwargs)


def f(x):
    """f(x) = sin(A x), J = diag cos(A x) A."""
    return np.sin(T(A) @ x)


J = np.cos(A @ x0)[:, None] * A


def q(x, y):
    """q(x, y) = xᵀ S y + Σ x³ / 6"""
    return x @ (T(S) @ y) + (x * x * x).sum() / 6


def values(result):
    return [values(r) for r in result] if isinstance(result, tuple) else result.numpy()


def close(a, b):
    return all(np.allclose(p, q, rtol=1e-13, atol=1e-14) for p, q in zip(a, b, strict=True))


def test_vjp():
    ys, share = F.vjp(f, T(x0), T(v0))
    assert close(values((ys, share)), [np.sin(A @ x0), v0 @ J])
    y, shares = F.vjp(q, (T(x0), T(y0)))
    assert close(values(shares), [S @ y0 + x0**2 / 2, S @ x0]) and np.allclose(
        y.item(), x0 @ S @ y0 + (x0**3).sum() / 6
    )


def test_vjp_of_several_outputs():
    (a, b), share = F.vjp(lambda x: (x * 2, x * x), T(x0), (T(v0), T(u0)))
    assert close(values((a, b, share)), [2 * x0, x0**2, 2 * v0 + 2 * x0 * u0])


def test_jvp():
    ys, product = F.jvp(f, T(x0), T(v0))
    assert close(values((ys, product)), [np.sin(A @ x0), J @ v0])
    _, dy = F.jvp(q, (T(x0), T(y0)), (T(v0), T(u0)))
    assert np.allclose(dy.item(), v0 @ (S @ y0 + x0**2 / 2) + u0 @ (S @ x0))
    _, (da, db) = F.jvp(lambda x: (x * 2, tg.ones(2)), T(x0), T(v0))
    assert close(values((da, db)), [2 * v0, [0, 0]])
    assert F.jvp(lambda x: x * x, T(3.0))[1].item() == 6


def test_jacobian():
    assert close([F.jacobian(f, T(x0)).numpy()], [J])
    ((aa, ab), (ba, bb)) = F.jacobian(lambda x, y: (x * y, x.sum().reshape(1)), (T(x0), T(y0)))
    assert close(values((aa, ab, ba, bb)), [np.diag(y0), np.diag(x0), np.ones((1, 3)), np.zeros((1, 3))])
    matrix = T(A)
    assert F.jacobian(lambda w: w @ w, matrix).shape == (3, 3, 3, 3)
    eye = np.eye(3)
    expected = np.einsum("ik,lj->ijkl", eye, A) + np.einsum("ik,jl->ijkl", A, eye)
    assert close([F.jacobian(lambda w: w @ w, matrix).numpy()], [expected])


def test_the_jacobian_of_nothing_has_no_rows():
    assert F.jacobian(lambda x: x[:0] * 2, T(x0)).shape == (0, 3)


def test_hessian():
    ((xx, xy), (yx, yy)) = F.hessian(q, (T(x0), T(y0)))
    assert close(values((xx, xy, yx, yy)), [np.diag(x0), S, S, np.zeros((3, 3))])
    assert close([F.hessian(lambda x: (x**4).sum(), T(x0)).numpy()], [np.diag(12 * x0**2)])


def test_hvp():
    value, products = F.hvp(q, (T(x0), T(y0)), (T(v0), T(u0)))
    assert close(values(products), [x0 * v0 + S @ u0, S @ v0])
    assert np.allclose(value.item(), x0 @ S @ y0 + (x0**3).sum() / 6)
    assert F.hvp(lambda x: x**3, T(2.0))[1].item() == 12


def test_with_create_graph_results_are_differentiable_by_the_inputs():
    x, v = T(x0, requires_grad=True), T(v0, requires_grad=True)
    share = F.vjp(f, x, v, create_graph=True)[1]
    (dx, dv) = grad(share, (x, v), T(u0))
    assert close(values((dx, dv)), [A.T @ (-np.sin(A @ x0) * v0 * (A @ u0)), J @ u0])
    product = F.jvp(f, x, v, create_graph=True)[1]
    assert close([grad(product, v, T(u0))[0].numpy()], [u0 @ J])
    third = F.hessian(lambda x: (x**4).sum(), x, create_graph=True)
    assert close([grad(third.sum(), x)[0].numpy()], [24 * x0])
    jacobian = F.jacobian(lambda x: x**3, x, create_graph=True)
    assert close([grad(jacobian.sum(), x)[0].numpy()], [6 * x0])
    product = F.hvp(lambda x: (x**4).sum(), x, v, create_graph=True)[1]
    assert close([grad(product, x, T(u0))[0].numpy()], [24 * x0 * v0 * u0])


def test_without_it_they_are_not_and_the_inputs_stay_as_they_are():
    x = T(x0, requires_grad=True)
    for results in (F.vjp(f, x, T(v0)), F.jvp(f, x, T(v0)), (F.jacobian(f, x),)):
        assert not any(r.requires_grad for r in results)
    assert x.grad is None and not F.hessian(lambda x: (x**2).sum(), x).requires_grad


def test_they_work_under_no_grad():
    with tg.no_grad():
        assert close([F.jacobian(f, T(x0)).numpy()], [J])


def test_zeros_where_nothing_depends_on_an_input_and_an_error_if_strict():
    def first(x, y):
        return x * 2

    inputs = (T(x0), T(y0))
    assert close(values(F.jacobian(first, inputs)), [2 * np.eye(3), np.zeros((3, 3))])
    assert close(values(F.vjp(first, inputs, T(v0))[1]), [2 * v0, np.zeros(3)])
    assert (F.jacobian(lambda x: T(y0), T(x0)).numpy() == 0).all()
    assert (F.hessian(lambda x: x.sum(), T(x0)).numpy() == 0).all()
    for derive in (
        lambda: F.jacobian(first, inputs, strict=True),
        lambda: F.vjp(first, inputs, T(v0), strict=True),
        lambda: F.jvp(first, inputs, (T(v0), T(v0)), strict=True),
        lambda: F.hessian(lambda x: x.sum(), T(x0), strict=True),
        lambda: F.hvp(lambda x: x.sum(), T(x0), T(v0), strict=True),
    ):
        with pytest.raises(RuntimeError, match="strict=True"):
            derive()


@pytest.mark.parametrize("name", ["vjp", "jvp", "hvp"])
def test_v_must_fit(name):
    function = (lambda x: x.sum()) if name == "hvp" else (lambda x: x * 2)
    with pytest.raises(RuntimeError, match=name + r": v has shapes \[\(2,\)\], not \[\(3,\)\]"):
        getattr(F, name)(function, T(x0), T(np.ones(2)))
    with pytest.raises(RuntimeError, match=f"{name}: v can only be left out for a single tensor"):
        getattr(F, name)(function, T(x0))


@pytest.mark.parametrize("name", ["vjp", "jvp", "jacobian"])
def test_inputs_and_outputs_are_tensors_or_tuples_of_them(name):
    with pytest.raises(TypeError, match=f"{name}: .* not list"):
        getattr(F, name)(f, [T(x0)])
    with pytest.raises(TypeError, match=f"{name}: .* not list"):
        v = () if name == "jacobian" else (T(1.0),)
        getattr(F, name)(lambda x: [x], T(1.0), *v)


@pytest.mark.parametrize("name", ["hessian", "hvp"])
def test_second_derivatives_are_of_one_number(name):
    v = (T(v0),) if name == "hvp" else ()
    for function in (lambda x: x * 2, lambda x: (x.sum(), x.sum())):
        with pytest.raises(RuntimeError, match=f"{name}: func must return a tensor with a single element"):
            getattr(F, name)(function, T(x0), *v)


def test_options_that_are_not_supported_are_named():
    with pytest.raises(NotImplementedError, match="vectorize"):
        F.jacobian(f, T(x0), vectorize=True)
    with pytest.raises(NotImplementedError, match="forward-mode"):
        F.jacobian(f, T(x0), strategy="forward-mode")
    with pytest.raises(NotImplementedError, match="vectorize"):
        F.hessian(lambda x: x.sum(), T(x0), vectorize=True)


# --- gradients of gradients


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_derivatives_of_any_order(n):
    x = T(0.3, requires_grad=True)
    y = np.sin(x * 2)
    for _ in range(n):
        (y,) = grad(y, x, create_graph=True)
    expected = [np.sin, np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t)][n % 4](0.6) * 2**n
    assert y.item() == pytest.approx(expected, rel=1e-13)


def test_a_third_derivative_through_products_slices_and_assignments():
    x = T(x0, requires_grad=True)
    w = T(A, requires_grad=True)
    y = x * 1
    y[1] = x[0] * x[2]
    z = (w @ y)[:2]
    (g,) = grad((z**3).sum(), x, create_graph=True)
    (h,) = grad((g * T(v0)).sum(), x, create_graph=True)
    (third,) = grad((h * T(u0)).sum(), x)

    def hessian_product(at):
        return F.hvp(lambda x: program(x), T(at), T(v0))[1].numpy() @ u0

    def program(x):
        y = tg.stack([x[0], x[0] * x[2], x[2]])
        return ((T(A) @ y)[:2] ** 3).sum()

    step = 1e-5
    central = [
        (hessian_product(x0 + step * e) - hessian_product(x0 - step * e)) / (2 * step) for e in np.eye(3)
    ]
    assert np.allclose(third.numpy(), central, rtol=1e-7, atol=1e-7)


def test_backward_can_leave_recorded_gradients():
    x = T([1.0, 2.0], requires_grad=True)
    (x * x * x).sum().backward(create_graph=True)
    (x.grad * x.grad).sum().backward()
    # d/dx Σ 9x⁴ = 36 x³, added to 3x²
    assert x.grad.tolist() == [36 + 3, 36 * 8 + 12]


def test_recorded_gradients_add_up_and_stay_differentiable():
    x = T([1.0, 2.0], requires_grad=True)
    for _ in range(2):
        (x * x * x).sum().backward(create_graph=True)
    assert x.grad.tolist() == [6, 24]
    assert grad(x.grad.sum(), x)[0].tolist() == [12, 24]


def test_a_gradient_penalty_reaches_the_weights():
    w, x = T(A, requires_grad=True), T(x0, requires_grad=True)
    (g,) = grad(np.tanh(w @ x).sum(), x, create_graph=True)
    ((g * g).sum()).backward()

    def penalty(weights):
        slope = (1 - np.tanh(weights @ x0) ** 2) @ weights
        return slope @ slope

    step, expected = 1e-6, np.zeros((3, 3))
    for i in np.ndindex(3, 3):
        d = np.zeros((3, 3))
        d[i] = step
        expected[i] = (penalty(A + d) - penalty(A - d)) / (2 * step)
    assert np.allclose(w.grad.numpy(), expected, rtol=1e-6, atol=1e-8)


def test_products_with_no_rows_have_second_derivatives_too():
    w = T(A, requires_grad=True)
    x = tg.zeros(0, 3, dtype=tg.float64, requires_grad=True)
    y = (x @ w).sum() + (x @ w).sum() + (T(x0[None]) @ w).sum()
    (g,) = grad(y, w, create_graph=True)
    (gg,) = grad((g * g).sum(), w, allow_unused=True)
    assert np.allclose(g.detach().numpy(), np.outer(x0, np.ones(3))) and (gg is None or not gg.numpy().any())

"""Programs that use the graph in every way, run by us and by PyTorch: the text is one, so are the results."""

import numpy as np
import pytest

import tinygrad_rnn

torch = pytest.importorskip("torch")
PROGRAMS = {}


def program(function):
    PROGRAMS[function.__name__] = function
    return function


def leaf(lib, *values):
    return lib.tensor(values, dtype=lib.float64, requires_grad=True)


@program
def roots_and_seeds(lib):
    x = leaf(lib, 1.0, 2.0)
    a, b = x * 3, x * x
    lib.autograd.backward([a.sum(), b], [None, lib.tensor([10.0, 100.0], dtype=lib.float64)])
    (x * 2).backward(lib.ones(2))
    return x.grad


@program
def chosen_inputs(lib):
    a, b = leaf(lib, 2.0), leaf(lib, 3.0)
    y = a * b
    y.retain_grad()
    (y * a).sum().backward(inputs=[a, y, a])
    return a.grad, y.grad, b.grad


@program
def gradients_by_results(lib):
    x, unused = leaf(lib, 1.0, 2.0), leaf(lib, 1.0)
    y = x * 2
    y[0] = x[1] * 3
    z = (y * y).sum()
    first = lib.autograd.grad(z, [y, x, unused], retain_graph=True, allow_unused=True)
    return first, lib.autograd.grad(z, [x, unused], materialize_grads=True)


@program
def three_orders(lib):
    x = leaf(lib, 0.3, 0.7)
    y = (lib.sin(x) * x.flip(0)).prod()
    (g,) = lib.autograd.grad(y, x, create_graph=True)
    (h,) = lib.autograd.grad((g * g).sum(), x, create_graph=True)
    return g, h, lib.autograd.grad(h.sum(), x)


@program
def hooks(lib):
    x, seen = leaf(lib, 1.0, 2.0), []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    handle = x.register_hook(lambda g: g + 1)
    y.retain_grad()
    (y * y).sum().backward(retain_graph=True)
    handle.remove()
    (y * 3).sum().backward()
    return x.grad, y.grad, seen


@program
def writes_in_place(lib):
    x, w = leaf(lib, 1.0, 2.0, 3.0, 4.0), leaf(lib, 3.0)
    y = x * 1
    y[0][...] = w[0]
    y[1:3].mul_(w)
    y.view(2, 2)[1] += 5
    y.retain_grad()
    (y * y).sum().backward()
    return y, y.grad, x.grad, w.grad


@program
def zeros_that_are_filled(lib):
    w, y = leaf(lib, 0.5), lib.zeros(2, 3, dtype=lib.float64)
    for i in range(2):
        for j in range(3):
            y[i][j] = w[0] ** (i + j)
    y.sum().backward()
    return y, w.grad


@program
def a_leaf_under_no_grad(lib):
    x = leaf(lib, 1.0, 2.0)
    for _ in range(3):
        (x * x).sum().backward()
        with lib.no_grad():
            x -= 0.1 * x.grad
            x[0].clamp_(max=0.5)
        x.grad.zero_()
    x.data.mul_(2)
    return x, x.grad, x.requires_grad, x.is_leaf


@program
def detaching(lib):
    x = leaf(lib, 1.0, 2.0)
    y = x * 3
    d = y.detach()
    (d * y).sum().backward()
    d[0] = 100
    y.detach_()
    return x.grad, y, d.requires_grad, y.requires_grad, y.is_leaf


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@program
def derivatives_of_functions(lib):
    functional = lib.autograd.functional
    x, v = leaf(lib, 0.3, -0.7, 1.1), lib.tensor([1.0, 2.0, -1.0], dtype=lib.float64)
    y = lib.tensor([2.0, 0.5, 1.0], dtype=lib.float64)
    return (
        functional.vjp(lambda x, y: (x * y, x.sin()), (x, y), (v, v)),
        functional.jvp(lambda x, y: (x * y, x.sin()), (x, y), (v, v)),
        functional.jacobian(lambda x, y: (x * y.sum(), x.exp()), (x, y)),
        functional.hessian(rosenbrock, x),
        functional.hessian(lambda x, y: (x * y * y).sum(), (x, y)),
        functional.hvp(rosenbrock, x, v),
    )


def a_function(lib):
    class Product(lib.autograd.Function):
        @staticmethod
        def forward(ctx, x, y, scale):
            z = x * y * scale
            ctx.save_for_backward(x, y, z)
            ctx.scale = scale
            sign = z.sign()
            ctx.mark_non_differentiable(sign)
            return z, x + y, sign

        @staticmethod
        def backward(ctx, gz, gs, _sign):
            x, y, _z = ctx.saved_tensors
            return gz * y * ctx.scale + gs, gz * x * ctx.scale + gs, None

    return Product.apply


@program
def user_functions(lib):
    x, y = leaf(lib, 1.0, -2.0), leaf(lib, 3.0, 0.5)
    z, s, sign = a_function(lib)(x, y, 4.0)
    (gx, gy) = lib.autograd.grad((z * s).sum(), [x, y], create_graph=True)
    (gx * gx + gy).sum().backward()
    return z, s, sign, gx, gy, x.grad, y.grad, sign.requires_grad


@program
def switches(lib):
    x, found = leaf(lib, 1.0), []
    with lib.no_grad():
        found.append((x * 1).requires_grad)
        with lib.enable_grad():
            found.append((x * 1).requires_grad)
        with lib.set_grad_enabled(True):
            found.append((x * 1).requires_grad)
        with lib.inference_mode(False):
            found.append(lib.is_grad_enabled())
    lib.set_grad_enabled(False)
    found.append((x * 1).requires_grad)
    lib.set_grad_enabled(True)
    return found


ERRORS = {
    "freed": lambda lib, x: [z := (x * x).sum(), z.backward(), z.backward()],
    "no seed": lambda lib, x: (x * 2).backward(),
    "seed of another shape": lambda lib, x: (x * 2).backward(lib.ones(3, dtype=lib.float64)),
    "no gradient required": lambda lib, x: x.detach().sum().backward(),
    "unused": lambda lib, x: lib.autograd.grad(x.sum(), leaf(lib, 1.0)),
    "no inputs": lambda lib, x: x.sum().backward(inputs=[]),
    "integers": lambda lib, x: lib.tensor([1]).requires_grad_(),
    "a result's flag": lambda lib, x: setattr(x * 2, "requires_grad", False),
    "a leaf in place": lambda lib, x: x.add_(1),
    "a leaf's element": lambda lib, x: x.__setitem__(0, 1.0),
    "a view of a leaf": lambda lib, x: x[0].mul_(2),
    "overwritten": lambda lib, x: [
        y := (x * x).sum(),
        x.data.mul_(1) is None,
        x.detach().zero_(),
        y.backward(),
    ],
    "a hook's shape": lambda lib, x: [x.register_hook(lambda g: lib.ones(3)), x.sum().backward()],
    "a gradient's shape": lambda lib, x: setattr(x, "grad", lib.ones(3, dtype=lib.float64)),
    "a deep copy": lambda lib, x: __import__("copy").deepcopy(x * 2),
    "an array": lambda lib, x: x.numpy(),
}


def plain(result):
    """Tensors as lists, so that results can be compared."""
    if isinstance(result, (tuple, list)):
        return [plain(r) for r in result]
    return result.detach().numpy() if hasattr(result, "detach") else result


def assert_same(a, b):
    if isinstance(b, list):
        assert len(a) == len(b)
        for p, q in zip(a, b):
            assert_same(p, q)
    elif isinstance(b, np.ndarray):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    else:
        assert a == b


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs(name):
    assert_same(plain(PROGRAMS[name](tinygrad_rnn)), plain(PROGRAMS[name](torch)))


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_an_error_there_is_one_here(name):
    for lib in (torch, tinygrad_rnn):
        with pytest.raises((RuntimeError, TypeError)):
            ERRORS[name](lib, leaf(lib, 1.0, 2.0))

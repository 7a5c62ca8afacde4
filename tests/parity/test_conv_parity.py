"""Convolution, pooling, padding, normalisation and their layers beside PyTorch itself."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_rnn as tg

torch = pytest.importorskip("torch")
BOTH = (tg, torch)


def wave(*shape, shift=0.3):
    """Numbers without ties."""
    return np.sin(1.7 * np.arange(np.prod(shape)) + shift).reshape(shape)


def outcome(lib, function, arrays):
    """Outputs and gradients of Σ y², or the error's name."""
    xs = [lib.tensor(a).requires_grad_() for a in arrays]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = function(lib, *xs)
    except (RuntimeError, ValueError, TypeError):
        return "refused"
    y, *more = y if isinstance(y, tuple) else (y,)
    (y * y).sum().backward()
    grads = [x.grad.numpy() if x.grad is not None else np.zeros(x.shape) for x in xs]
    return [y.detach().numpy(), *[m.numpy() for m in more], *grads]


def compare(function, *arrays):
    """Both libraries refuse, or give the same to 1e-9; returns whether they gave something."""
    ours, theirs = (outcome(lib, function, arrays) for lib in BOTH)
    if "refused" in (ours, theirs):
        assert ours == theirs
        return False
    for a, b in zip(ours, theirs):
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(a, b, 1e-9, 1e-9)
    return True


size = st.integers(1, 3)


@st.composite
def convolutions(draw):
    """Arguments of a convolution over one or two dimensions; some do not fit."""
    dims = draw(st.integers(1, 2))

    def each(numbers):
        return draw(st.one_of(numbers, st.tuples(*[numbers] * dims)))

    groups, kernel = draw(st.integers(1, 2)), draw(st.tuples(*[size] * dims))
    ins, outs = groups * draw(st.integers(1, 2)), groups * draw(size)
    lengths = draw(st.tuples(*[st.integers(1, 7)] * dims))
    batch = draw(st.sampled_from([(), (0,), (2,)]))
    padding = draw(st.sampled_from(["same", "valid", "numbers", "numbers"]))
    options = {
        "stride": each(size) if padding != "same" else draw(st.sampled_from([1, 1, 2])),
        "padding": each(st.integers(0, 2)) if padding == "numbers" else padding,
        "dilation": each(st.integers(1, 2)),
        "groups": groups,
    }
    arrays = [wave(*batch, ins, *lengths), wave(outs, ins // groups, *kernel, shift=1)]
    return dims, [*arrays, *[wave(outs)] * draw(st.integers(0, 1))], options


@given(convolutions())
def test_convolution(case):
    dims, arrays, options = case
    compare(lambda lib, *xs: getattr(lib.nn.functional, f"conv{dims}d")(*xs, **options), *arrays)


@st.composite
def poolings(draw):
    """Arguments that max and average pooling share; some do not fit."""
    dims = draw(st.integers(1, 2))

    def each(least, most):
        return draw(st.one_of(st.integers(least, most), st.tuples(*[st.integers(least, most)] * dims)))

    batch = draw(st.sampled_from([(), (2,)]))
    x = wave(*batch, 2, *draw(st.tuples(*[st.integers(1, 8)] * dims)))
    if draw(st.booleans()):
        x = np.round(x * 2)  # ties
    options = {"padding": each(0, 1), "ceil_mode": draw(st.booleans())}
    if draw(st.booleans()):
        options["stride"] = each(1, 3)
    return dims, x, each(1, 3), options


@given(poolings(), st.integers(1, 2), st.booleans())
def test_max_pooling(case, dilation, return_indices):
    dims, x, kernel, options = case
    options = options | {"dilation": dilation, "return_indices": return_indices}
    compare(lambda lib, x: getattr(lib.nn.functional, f"max_pool{dims}d")(x, kernel, **options), x)


@given(poolings(), st.booleans(), st.sampled_from([None, 3, -2]))
def test_average_pooling(case, count_include_pad, divisor):
    dims, x, kernel, options = case
    options = options | {"count_include_pad": count_include_pad}
    options |= {"divisor_override": divisor} if dims == 2 else {}
    compare(lambda lib, x: getattr(lib.nn.functional, f"avg_pool{dims}d")(x, kernel, **options), x)


@given(st.data())
def test_adaptive_average_pooling(data):
    dims = data.draw(st.integers(1, 2))
    x = wave(*data.draw(st.sampled_from([(), (2,)])), 2, *data.draw(st.tuples(*[st.integers(1, 7)] * dims)))
    of_two = st.tuples(*[st.one_of(st.none(), st.integers(1, 5))] * 2)
    sizes = data.draw(st.integers(1, 9) if dims == 1 else st.one_of(st.integers(1, 5), of_two))
    assert compare(lambda lib, x: getattr(lib.nn.functional, f"adaptive_avg_pool{dims}d")(x, sizes), x)


def test_maxima_that_are_not_finite():
    x = np.array([[np.nan, -np.inf, 1, np.nan, np.inf, 2, -np.inf, -np.inf, -np.inf]])
    for padding in (0, 1):
        compare(lambda lib, x, p=padding: lib.nn.functional.max_pool1d(x, 3, 1, p, return_indices=True), x)


@given(st.data(), st.sampled_from(["reflect", "replicate", "circular"]))
def test_padding_that_repeats(data, mode):
    dims = data.draw(st.integers(1, 3))
    shape = (*data.draw(st.sampled_from([(), (2,)])), 2, *data.draw(st.tuples(*[st.integers(1, 4)] * dims)))
    amounts = data.draw(st.lists(st.integers(0, 4), min_size=2 * dims, max_size=2 * dims))
    compare(lambda lib, x: lib.nn.functional.pad(x, amounts, mode), wave(*shape))


@given(st.data())
def test_unfold(data):
    x = wave(*data.draw(st.sampled_from([(), (2,)])), 2, *data.draw(st.tuples(*[st.integers(1, 5)] * 2)))
    kernel, dilation = data.draw(st.tuples(size, size)), data.draw(st.integers(1, 2))
    padding, stride = data.draw(st.integers(0, 1)), data.draw(st.tuples(size, size))
    compare(lambda lib, x: lib.nn.functional.unfold(x, kernel, dilation, padding, stride), x)


@given(st.integers(-2, 1), st.integers(0, 4), st.integers(1, 3))
def test_unfold_of_a_tensor(dim, width, step):
    compare(lambda lib, x: x.unfold(dim, width, step), wave(4, 3))


@given(
    st.sampled_from([(2, 4), (2, 4, 3), (1, 4, 2, 2), (0, 4, 3), (1, 2)]), st.integers(1, 4), st.booleans()
)
def test_group_norm(shape, groups, affine):
    weights = [wave(shape[1]) + 2, wave(shape[1])] if affine else []
    compare(lambda lib, x, *w: lib.nn.functional.group_norm(x, groups, *w, eps=0.1), wave(*shape), *weights)


@given(st.sampled_from([(3,), (2, 3), (3, 2)]), st.booleans(), st.sampled_from([None, 0.1]))
def test_rms_norm(shape, affine, eps):
    weights = [wave(*shape) + 2] if affine else []
    compare(lambda lib, x, *w: lib.nn.functional.rms_norm(x, shape, *w, eps=eps), wave(4, 3, 2, 3), *weights)
    compare(lambda lib, x, *w: lib.nn.functional.rms_norm(x, shape, *w, eps=eps), wave(4, *shape), *weights)


# --- layers

LAYERS = [
    ("Conv1d", (4, 6, 3), {"padding": "same", "groups": 2, "dilation": 2}, (2, 4, 7)),
    ("Conv1d", (4, 6, 2), {"padding": 1, "padding_mode": "reflect", "bias": False}, (4, 7)),
    ("Conv2d", (2, 3, (3, 2)), {"padding": "same", "padding_mode": "circular"}, (2, 2, 5, 6)),
    ("Conv2d", (2, 3, 3), {"padding": (2, 1), "stride": (1, 2), "padding_mode": "replicate"}, (2, 2, 5, 6)),
    ("Conv2d", (2, 3, 1), {"padding": "valid"}, (2, 2, 5, 6)),
    ("MaxPool1d", (3,), {"stride": 2, "padding": 1}, (2, 4, 7)),
    ("MaxPool2d", (2,), {"ceil_mode": True, "return_indices": True}, (2, 4, 5, 7)),
    ("MaxPool2d", ((2, 1),), {"dilation": (1, 2)}, (2, 4, 5, 7)),
    ("AvgPool1d", (3,), {"stride": 2, "padding": 1, "count_include_pad": False}, (2, 4, 7)),
    ("AvgPool1d", ((2,),), {}, (2, 4, 7)),
    ("AvgPool2d", ((2, 3),), {"padding": 1, "divisor_override": 2}, (2, 4, 5, 7)),
    ("AdaptiveAvgPool1d", (3,), {}, (2, 4, 7)),
    ("AdaptiveAvgPool2d", ((None, 2),), {}, (2, 4, 5, 7)),
    ("BatchNorm2d", (3,), {}, (2, 3, 4, 5)),
    ("BatchNorm2d", (3,), {"momentum": None, "affine": False}, (2, 3, 4, 5)),
    ("GroupNorm", (2, 4), {}, (3, 4, 5)),
    ("GroupNorm", (2, 4), {"affine": False}, (3, 4, 5)),
    ("GroupNorm", (4, 4), {"bias": False}, (3, 4, 5)),
    ("RMSNorm", (5,), {}, (3, 4, 5)),
    ("RMSNorm", ([4, 5],), {"eps": 0.1, "elementwise_affine": False}, (3, 4, 5)),
    ("Dropout1d", (0.0,), {}, (3, 4, 5)),
    ("Dropout2d", (1.0,), {"inplace": False}, (3, 4, 5, 2)),
]


@pytest.mark.parametrize("name, args, kwargs, shape", LAYERS)
def test_layers(name, args, kwargs, shape):
    ours, theirs = (getattr(lib.nn, name)(*args, **kwargs).double() for lib in BOTH)
    assert repr(ours) == repr(theirs)
    state = {n: wave(*t.shape) + 2 if t.ndim else t.numpy() for n, t in theirs.state_dict().items()}
    for lib, layer in zip(BOTH, (ours, theirs)):
        layer.load_state_dict({n: lib.tensor(a) for n, a in state.items()})
    assert compare(lambda lib, x: {tg: ours, torch: theirs}[lib](x), wave(*shape))
    for p, q in zip(ours.parameters(), theirs.parameters()):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), 1e-9, 1e-9)
    for (n, b), (m, c) in zip(ours.named_buffers(), theirs.named_buffers()):
        assert n == m
        np.testing.assert_allclose(b.numpy(), c.numpy(), 1e-9)


REFUSED = [
    lambda nn: nn.Conv1d(3, 4, 2, groups=2),
    lambda nn: nn.Conv1d(2, 3, 2, groups=2),
    lambda nn: nn.Conv1d(2, 2, 2, groups=0),
    lambda nn: nn.Conv2d(2, 2, 2, padding="full"),
    lambda nn: nn.Conv2d(2, 2, 2, stride=2, padding="same"),
    lambda nn: nn.Conv2d(2, 2, 2, padding_mode="constant"),
    lambda nn: nn.GroupNorm(3, 4),
    lambda nn: nn.Dropout2d(1.5),
]


@pytest.mark.parametrize("i", range(len(REFUSED)))
def test_layers_that_neither_makes(i):
    for lib in BOTH:
        with pytest.raises(ValueError):
            REFUSED[i](lib.nn)

"""Functions, layers and modules beside PyTorch itself, on inputs drawn at random."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tinygrad_rnn as tg

torch = pytest.importorskip("torch")
BOTH = (tg, torch)
reductions = st.sampled_from(["none", "mean", "sum"])
number = st.floats(-5, 5).map(lambda v: round(v, 3))
sizes = st.integers(1, 3)


def assert_same(left, right, rtol=1e-9):
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_allclose(left[name], right[name], rtol, 1e-9, err_msg=name)


def derivatives(lib, function, *inputs):
    """Output and gradients of `function(lib, …)` for float arrays `inputs`."""
    xs = [lib.tensor(x).requires_grad_() for x in inputs]
    y = function(lib, *xs)
    (y * y).sum().backward()
    return {"output": y.detach().numpy()} | {
        str(i): x.grad.numpy() for i, x in enumerate(xs) if x.grad is not None
    }


def compare(function, *inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of older spellings and of all classes ignored
        assert_same(derivatives(tg, function, *inputs), derivatives(torch, function, *inputs))


# --- functions


@settings(deadline=None)
@given(st.data(), reductions, st.booleans(), st.sampled_from([-100, 0, 1]), st.sampled_from([0.0, 0.3]))
def test_cross_entropy(data, reduction, weighted, ignored, smoothing):
    classes = data.draw(st.integers(2, 4))
    batch = data.draw(st.sampled_from([(), (2,), (3, 1), (2, 2, 2)]))
    shape = (*batch[:1], classes, *batch[1:])
    x = data.draw(arrays(float, shape, elements=number))
    t = data.draw(arrays(np.int64, batch, elements=st.integers(0, classes - 1)))
    if (t == ignored).all():
        t = np.full_like(t, classes - 1 if ignored != classes - 1 else 0)
    w = np.linspace(0.5, 2, classes)

    def loss(lib, x):
        return lib.nn.functional.cross_entropy(
            x,
            lib.tensor(t),
            lib.tensor(w) if weighted else None,
            ignore_index=ignored,
            reduction=reduction,
            label_smoothing=smoothing,
        )

    compare(loss, x)


@settings(deadline=None)
@given(st.data(), reductions, st.booleans(), st.sampled_from([0.0, 0.3]))
def test_cross_entropy_of_probabilities(data, reduction, weighted, smoothing):
    shape = data.draw(st.sampled_from([(3,), (2, 3), (2, 3, 2)]))
    x, q = (data.draw(arrays(float, shape, elements=number)) for _ in range(2))
    w = np.array([0.5, 1.0, 2.0])

    def loss(lib, x, q):
        options = {"reduction": reduction, "label_smoothing": smoothing}
        return lib.nn.functional.cross_entropy(x, q, lib.tensor(w) if weighted else None, **options)

    compare(loss, x, np.abs(q))


@settings(deadline=None)
@given(st.data(), st.booleans(), st.sampled_from([1e-5, 0.1]), st.sampled_from([0.1, 1.0]))
def test_batch_norm(data, training, eps, momentum):
    shape = (data.draw(st.integers(2, 4)), data.draw(sizes), *data.draw(st.sampled_from([(), (3,)])))
    x = data.draw(arrays(float, shape, elements=number))
    state = np.linspace(0.5, 1, shape[1])
    after = []

    def norm(lib, x, w, b):
        running = [lib.tensor(state), lib.tensor(state)]
        y = lib.nn.functional.batch_norm(x, *running, w, b, training=training, momentum=momentum, eps=eps)
        after.append({str(i): r.numpy() for i, r in enumerate(running)})
        return y

    compare(norm, x, state + 1, state - 1)
    assert_same(*after)


@settings(deadline=None)
@given(st.data())
def test_pad(data):
    shape = data.draw(st.sampled_from([(3,), (2, 3), (3, 2, 2)]))
    pairs = data.draw(st.integers(0, len(shape)))
    amounts = data.draw(st.lists(st.integers(-1, 2), min_size=2 * pairs, max_size=2 * pairs))
    value = data.draw(st.sampled_from([None, 1.5]))
    cut = [sum(min(a, 0) for a in amounts[2 * k : 2 * k + 2]) for k in range(pairs)]
    assume(all(shape[-1 - k] + c > 0 for k, c in enumerate(cut)))
    compare(
        lambda lib, x: lib.nn.functional.pad(x, amounts, value=value),
        np.arange(np.prod(shape) * 1.0).reshape(shape),
    )


@settings(deadline=None)
@given(arrays(float, (3, 2), elements=number), arrays(float, (3, 2), elements=number), st.integers(0, 1))
def test_similarities(x, y, dim):
    x, y = x + 0.0123, y - 0.0321  # away from ties and zeros
    for eps in (1e-8, 2.0):  # also where a vector is shorter than eps
        compare(lambda lib, x, y, e=eps: lib.nn.functional.cosine_similarity(x, y, dim, e), x, y)
    for p in (1.0, 2.0, 3.5):
        compare(lambda lib, x, y, p=p: lib.nn.functional.pairwise_distance(x, y, p), x, y)
        compare(lambda lib, x, p=p: lib.nn.functional.normalize(x, p, dim), x)


PAIRWISE = (
    "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy_with_logits kl_div soft_margin_loss"
)


@pytest.mark.parametrize("name", PAIRWISE.split())
@settings(deadline=None)
@given(arrays(float, (2, 3), elements=number), arrays(float, (2, 3), elements=st.floats(0.01, 1)), reductions)
def test_losses_of_two_arguments(name, x, t, reduction):
    if name == "soft_margin_loss":  # torch has no gradient for its target
        compare(lambda lib, x: lib.nn.functional.soft_margin_loss(x, lib.tensor(t), reduction=reduction), x)
    else:
        compare(lambda lib, x, t: getattr(lib.nn.functional, name)(x, t, reduction=reduction), x, t)


# --- modules

MODULES = [
    ("Linear", (3, 4), {"bias": False}),
    ("Bilinear", (2, 3, 4), {}),
    ("Embedding", (5, 3, -1), {}),
    ("Dropout", (0.2,), {"inplace": True}),
    ("LayerNorm", ((3, 2),), {"bias": False}),
    ("BatchNorm1d", (3,), {"momentum": None, "affine": False}),
    ("Identity", (), {}),
    ("Flatten", (0,), {}),
    ("Unflatten", (1, (2, 3)), {}),
    ("ReLU", (), {"inplace": True}),
    ("LeakyReLU", (0.2,), {}),
    ("Hardtanh", (-2.0, 2.0), {}),
    ("GELU", ("tanh",), {}),
    ("Softplus", (2.0, 10.0), {}),
    ("Threshold", (0.1, 20.0), {}),
    ("PReLU", (3,), {}),
    ("Softmax", (-1,), {}),
    ("CrossEntropyLoss", (), {"label_smoothing": 0.1}),
    ("CosineSimilarity", (), {}),
]


@pytest.mark.parametrize("i", range(len(MODULES)))
def test_modules_look_and_are_named_alike(i):
    name, args, kwargs = MODULES[i]
    ours, theirs = (getattr(lib.nn, name)(*args, **kwargs) for lib in BOTH)
    assert repr(ours) == repr(theirs)
    assert [(n, tuple(t.shape)) for n, t in ours.state_dict().items()] == [
        (n, tuple(t.shape)) for n, t in theirs.state_dict().items()
    ]


PLAIN = "Tanh Sigmoid ReLU ReLU6 ELU SELU CELU GELU SiLU Mish Softsign LogSigmoid Hardsigmoid Hardswish GLU"


def test_the_whole_tree_looks_alike():
    def tree(nn):
        inner = nn.ModuleDict({"a": nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.Tanh()])})
        return nn.Sequential(*[getattr(nn, name)() for name in PLAIN.split()], inner, nn.Sequential())

    assert repr(tree(tg.nn)) == repr(tree(torch.nn))


node = st.recursive(
    st.sampled_from(["Linear", "BatchNorm1d", "Tanh"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


def build(nn, plan, pool):
    """A module tree after `plan`; equal plans become one shared module every other time."""
    if isinstance(plan, str):
        made = {"Linear": lambda: nn.Linear(2, 3), "BatchNorm1d": lambda: nn.BatchNorm1d(2), "Tanh": nn.Tanh}[
            plan
        ]()
        shared = pool.setdefault(plan, [made, 0])
        shared[1] += 1
        return shared[0] if shared[1] % 2 else made
    return nn.Sequential(*[build(nn, part, pool) for part in plan])


@settings(deadline=None)
@given(node)
def test_names_and_order_of_everything_inside(plan):
    ours, theirs = (build(lib.nn, plan, {}) for lib in BOTH)
    for ask in ("named_modules", "named_children", "named_parameters", "named_buffers"):
        assert [n for n, _ in getattr(ours, ask)()] == [n for n, _ in getattr(theirs, ask)()]
    assert list(ours.state_dict(prefix="p.")) == list(theirs.state_dict(prefix="p."))


def test_weights_travel_both_ways():
    ours, theirs = (
        lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.Linear(4, 2)) for lib in BOTH
    )
    x = np.linspace(-1, 1, 15).reshape(5, 3).astype("float32")
    ours.load_state_dict(theirs.state_dict())
    np.testing.assert_allclose(
        ours(tg.tensor(x)).detach().numpy(), theirs(torch.tensor(x)).detach().numpy(), 1e-5, 1e-6
    )
    with torch.no_grad():
        for p in theirs.parameters():
            p += 1
    theirs.load_state_dict({name: torch.tensor(t.numpy()) for name, t in ours.state_dict().items()})
    for p, q in zip(ours.parameters(), theirs.parameters()):
        np.testing.assert_array_equal(p.detach().numpy(), q.detach().numpy())


@pytest.mark.parametrize("momentum", [0.3, None])
@settings(deadline=None)
@given(st.lists(st.integers(2, 4), min_size=1, max_size=4))
def test_running_statistics_over_several_batches(momentum, batches):
    layers = [lib.nn.BatchNorm1d(2, momentum=momentum).double() for lib in BOTH]
    for k, n in enumerate(batches):
        x = np.sin(np.arange(2.0 * n) + k).reshape(n, 2)
        for lib, layer in zip(BOTH, layers):
            layer(lib.tensor(x))
    x = np.ones((1, 2))
    ours, theirs = (layer.eval()(lib.tensor(x)) for lib, layer in zip(BOTH, layers))
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-12)
    assert_same(*[{n: b.numpy() for n, b in layer.named_buffers()} for layer in layers])


# --- hooks


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@settings(deadline=None)
@given(st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_hooks_are_given_the_same(x_grad, y_grad, use_first, replace):
    def run(lib):
        seen = []

        class Pair(lib.nn.Module):
            def __init__(self):
                super().__init__()
                self.w = lib.nn.Parameter(lib.tensor(2.0))

            def forward(self, x, y, n):
                return x * y * self.w, "text", x + y + self.w

        def show(tensors):
            return [
                0.0 if t is None else t.item() for t in tensors
            ]  # torch has both for what has no gradient

        def before(module, grad_out):
            seen.append(("before", show(grad_out)))
            return tuple(g and g * 3 for g in grad_out) if replace else None

        def after(module, grad_in, grad_out):
            seen.append(("after", show(grad_in), show(grad_out)))
            return tuple(g and g + 1 for g in grad_in) if replace and x_grad and y_grad else None

        pair = Pair()
        pair.register_forward_pre_hook(lambda m, args: seen.append(("args", len(args))))
        pair.register_forward_hook(lambda m, args, out: seen.append(("out", out[0].item(), out[1])))
        pair.register_full_backward_pre_hook(before)
        pair.register_full_backward_hook(after)
        x, y = lib.tensor(3.0, requires_grad=x_grad), lib.tensor(5.0, requires_grad=y_grad)
        a, _, b = pair(x, y, 7)
        (a + 10 * b if use_first else 10 * b).backward()
        return seen, [None if t.grad is None else t.grad.item() for t in (x, y, pair.w)]

    assert run(tg) == run(torch)


# --- initial values


@pytest.mark.parametrize(
    "name", ["uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "xavier_normal_"]
)
def test_distributions_of_initial_values(name):
    ours, theirs = (getattr(lib.nn.init, name)(lib.zeros(100, 200)).numpy() for lib in BOTH)
    points = np.quantile(theirs, [0.02, 0.2, 0.5, 0.8, 0.98])
    shares = [[(x < q).mean() for q in points] for x in (ours, theirs)]
    np.testing.assert_allclose(*shares, atol=5 * np.sqrt(2 * 0.25 / ours.size))


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_kaiming_spreads(kind, mode):
    for nonlinearity, slope in [("relu", 0), ("leaky_relu", 0.5), ("tanh", 0)]:
        spreads = [
            getattr(lib.nn.init, f"kaiming_{kind}_")(lib.zeros(80, 50, 6), slope, mode, nonlinearity)
            .numpy()
            .std()
            for lib in BOTH
        ]
        assert spreads[0] == pytest.approx(spreads[1], rel=0.03)


def test_layers_start_alike():
    for lib in BOTH:
        lib.manual_seed(0)
    for name, args in [("Linear", (30, 4000)), ("Bilinear", (10, 20, 4000)), ("Embedding", (600, 20))]:
        ours, theirs = (getattr(lib.nn, name)(*args).state_dict() for lib in BOTH)
        for key in theirs:
            x, y = ours[key].numpy(), theirs[key].numpy()
            assert x.std() == pytest.approx(y.std(), rel=0.05)
            if name != "Embedding":
                assert np.abs(x).max() == pytest.approx(np.abs(y).max(), rel=0.01)


# --- clipping


@settings(deadline=None)
@given(
    st.lists(arrays(float, (2, 2), elements=st.floats(-1e3, 1e3)), min_size=1, max_size=3),
    st.floats(0.01, 1e3),
    st.sampled_from([1.0, 2.0, 3.0, float("inf")]),
)
def test_clipping(grads, bound, p):
    results = []
    for lib in BOTH:
        params = [lib.nn.Parameter(lib.zeros(2, 2).double()) for _ in grads]
        for q, g in zip(params, grads):
            q.grad = lib.tensor(g)
        total = lib.nn.utils.clip_grad_norm_(params, bound, p)
        lib.nn.utils.clip_grad_value_(params, bound / 2)
        results.append({"norm": float(total)} | {str(i): q.grad.numpy() for i, q in enumerate(params)})
    assert_same(*results)

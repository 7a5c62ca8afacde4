"""The rules of every primitive: first and second derivatives by differences, and what they read."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.engine.primitive import REGISTRY, Primitive, Product, Scattered, apply

# --- cases: for each primitive, inputs and static arguments


def wave(*shape, phase=0.1):
    """Numbers in disorder, no two within 0.01 of each other, of an integer or of another phase's."""
    n = int(np.prod(shape))
    rows = np.random.RandomState(int(10 * phase)).permutation(n)  # MT19937: the same on every machine
    return np.asarray((rows - n // 2) * 0.37 + 0.143 + 0.021 * phase).reshape(shape)


def positive(x):
    return np.asarray(np.abs(x) + 0.3)


X, Y, CUBE, MASK = wave(2, 3), wave(2, 3, phase=1.0), wave(2, 3, 4), wave(2, 3, phase=2.0) > 0
HOLES = wave(3, 4, phase=0.7) * (np.arange(12).reshape(3, 4) % 5 != 1)
FEW_HOLES = CUBE * (np.arange(24).reshape(2, 3, 4) % 7 != 1)
SIZES = (X, wave(), wave(0, 3))
ROW, ONE = wave(3, phase=3.0), wave(phase=4.0)
PAIRS = (
    (X, Y),
    (X, ROW),
    (wave(2, 1), ROW),
    (X, ONE),
    (ONE, Y),
    (wave(0, 3), ROW),
    (X, 1.7),
    (0.6, Y),
)
MANY_TIMES = np.array([[0, 1], [1, 1]])


def pairs(change=lambda x: x):
    return [((change(a), change(b)), {}) for a, b in PAIRS]


def alone(*statics, x=X):
    return [((x,), static) for static in statics]


CASES = {
    **{
        name: [((x,), {}) for x in SIZES]
        for name in "neg abs exp expm1 sin cos tanh sigmoid relu erf sign floor ceil round".split()
    },
    **{name: [((positive(x),), {}) for x in SIZES] for name in "log log1p log2 sqrt".split()},
    **{name: pairs() for name in "add sub mul div maximum minimum logaddexp".split()},
    "floor_divide": pairs(lambda x: x * 3),
    "remainder": pairs(),
    "pow": [*pairs(positive), ((positive(X), np.array([0.0, 1.0, 2.0])), {})],
    "monomial": [((x,), {"n": n}) for x in SIZES for n in (3, 1, 0)]
    + alone({"n": -1.5}, {"n": 0.5}, x=positive(X)),
    "cast": [((x,), {"dtype": np.dtype(float), "was": np.dtype(float)}) for x in SIZES],
    "where": [
        ((MASK, X, Y), {}),
        ((MASK, X, 2.0), {}),
        ((MASK[:1], wave(2, 1), wave(3)), {}),
        ((MASK, 0, wave()), {}),
        ((MASK[:1], wave(0, 3), 2.0), {}),
    ],
    "sum": alone(
        *({"axis": a, "keepdims": k} for a in ((0,), (2, 0), (0, 1, 2)) for k in (True, False)), x=CUBE
    )
    + alone({"axis": (0,), "keepdims": False}, x=wave(0, 3)),
    "amax": alone(
        *({"axis": a, "keepdims": k} for a in ((0,), (2, 0), (0, 1, 2)) for k in (True, False)), x=CUBE
    )
    + alone({"axis": (1,), "keepdims": False}, x=wave(0, 3)),
    "prod": [
        ((x,), {"axis": a, "keepdims": k})
        for x in (X, HOLES, wave(2, 0))
        for a in (0, 1)
        for k in (True, False)
    ],
    "cumsum": [((x,), {"axis": a}) for x in (CUBE, wave(2, 0)) for a in (0, 1)],
    "cumprod": [((x,), {"axis": a}) for x in (CUBE, HOLES, FEW_HOLES, 0 * X, wave(2, 0)) for a in (0, 1)],
    "reshape": alone({"shape": (3, 2)}, {"shape": (1, 6, 1)})
    + alone({"shape": ()}, x=wave(1))
    + alone({"shape": (3, 0, 2)}, x=wave(0, 3)),
    "permute": alone({"axes": (2, 0, 1)}, {"axes": (1, 0, 2)}, x=CUBE)
    + alone({"axes": ()}, x=wave())
    + alone({"axes": (1, 0)}, x=wave(0, 3)),
    "expand": alone({"shape": (4, 2, 3)})
    + alone({"shape": (2, 5, 3)}, x=wave(2, 1, 3))
    + alone({"shape": (2,)}, x=wave())
    + alone({"shape": (2, 0, 3)}, x=wave(0, 3)),
    "cat": [
        ((X, wave(1, 3)), {"axis": 0, "sizes": [2, 1]}),
        ((X, wave(2, 0), Y), {"axis": 1, "sizes": [3, 0, 3]}),
    ],
    "linear_recurrence": [
        ((wave(T, 2), wave(T, 2), wave(2)), {"reverse": reverse}) for T in (3, 0) for reverse in (False, True)
    ],
    "stack": [((X, Y), {"axis": axis}) for axis in (0, 1, 2)]
    + [((wave(), wave(phase=1.0)), {"axis": 0})]
    + [((wave(0, 3), wave(0, 3)), {"axis": 1})],
    "getitem": alone(
        *(
            {"index": index}
            for index in (1, slice(1, None), (0, 1), (..., None, slice(None, None, -1)), MANY_TIMES)
        ),
        *(
            {"index": index}
            for index in ((slice(None), MANY_TIMES), (MANY_TIMES, MANY_TIMES), MASK, (0, MASK[0]))
        ),
    )
    + alone({"index": (slice(None), 1)}, x=wave(0, 3)),
    "place": [
        ((wave(2, 2, 3),), {"indices": [MANY_TIMES], "shape": (2, 3)}),
        ((wave(3), wave(2), wave()), {"indices": [1, (slice(None), 0), (0, 2)], "shape": (2, 3)}),
        ((wave(0, 3),), {"indices": [slice(1, 1)], "shape": (2, 3)}),
    ],
    "put": [
        ((X, v), {"index": index, "reuse": False})
        for v, index in [
            (wave(3), 0),
            (wave(), (1, 2)),
            (wave(1), slice(None)),
            (wave(2, 2, 3), MANY_TIMES),
            (wave(2), (slice(None), 1)),
            (wave(), MASK),
            (wave(0, 3), slice(1, 1)),
        ]
    ],
    "matmul": [
        ((wave(*a), wave(*b, phase=1.0)), {})
        for a, b in [
            ((3,), (3,)),
            ((2, 3), (3,)),
            ((3,), (3, 2)),
            ((2, 3), (3, 4)),
            ((5, 2, 3), (3, 4)),
            ((2, 3), (5, 3, 4)),
            ((5, 2, 3), (5, 3, 4)),
            ((5, 1, 2, 3), (4, 3, 2)),
            ((3,), (5, 3, 2)),
            ((5, 2, 3), (3,)),
            ((2, 0), (0, 3)),
            ((0, 2, 3), (3, 4)),
        ]
    ],
}
EACH = [
    pytest.param(name, *case, id=f"{name} {k}")
    for name, cases in CASES.items()
    for k, case in enumerate(cases)
]
each = pytest.mark.parametrize(("name", "inputs", "static"), EACH)


def test_every_primitive_has_a_case():
    assert CASES.keys() == REGISTRY.keys()


@pytest.mark.parametrize("name", CASES)
def test_among_its_cases_are_arrays_of_size_zero_and_what_broadcasts(name):
    """Each case is tried for first and second derivatives, in float32, and in other orders of memory."""
    shapes = [[np.shape(x) for x in inputs] for inputs, _ in CASES[name]]
    assert any(0 in shape for case in shapes for shape in case)
    if not REGISTRY[name].variadic and len(shapes[0]) > 1:
        assert any(len(set(case)) > 1 for case in shapes)


# --- derivatives


def is_float(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def total(y, phase):
    """A smooth function of all of y, different in every place."""
    w = tg.Tensor(wave(*y.shape, phase=phase))
    return (w * (y + 0.3 * y * y)).sum()


class Program:
    """s(x) = Σ w (y + 0.3 y²) for y = primitive(x), and t(x) = Σ w' (∂s/∂x + 0.3 (∂s/∂x)²)."""

    def __init__(self, name, inputs, static):
        self.name, self.inputs, self.static = name, inputs, static
        self.places = [i for i, x in enumerate(inputs) if is_float(x)]

    def leaves(self, arrays):
        return [tg.Tensor(a, requires_grad=True) for a in arrays]

    def s(self, xs):
        given = list(self.inputs)
        for i, x in zip(self.places, xs):
            given[i] = x
        return total(apply(REGISTRY[self.name], given, self.static), 3.0)

    def t(self, xs):
        gradients = tg.autograd.grad(self.s(xs), xs, create_graph=True)
        return sum(total(g, 4.0 + k) for k, g in enumerate(gradients))


def slope(f, arrays, k, place, step):
    """∂f/∂arrays[k][place] by the five-point formula, error of order step⁴ (Fornberg 1988, table 1)."""
    found = 0.0
    for weight, distance in ((1 / 12, -2), (-2 / 3, -1), (2 / 3, 1), (-1 / 12, 2)):
        moved = [a.copy() for a in arrays]
        moved[k][place] += distance * step
        found += weight * float(f(moved))
    return found / step


def assert_slopes(f, arrays, gradients, rtol):
    for k, (array, gradient) in enumerate(zip(arrays, gradients)):
        for place in np.ndindex(array.shape):
            expected = slope(f, arrays, k, place, 2e-3 * max(abs(array[place]), 0.1))
            assert gradient[place] == pytest.approx(expected, rel=rtol, abs=rtol), (k, place)


@each
def test_first_derivatives(name, inputs, static):
    program = Program(name, inputs, static)
    arrays = [inputs[i] for i in program.places]
    xs = program.leaves(arrays)
    found = tg.autograd.grad(program.s(xs), xs)
    assert_slopes(
        lambda moved: program.s([tg.Tensor(a) for a in moved]), arrays, [g.numpy() for g in found], 1e-8
    )


@each
def test_second_derivatives(name, inputs, static):
    program = Program(name, inputs, static)
    arrays = [inputs[i] for i in program.places]
    xs = program.leaves(arrays)
    t = program.t(xs)
    found = (
        tg.autograd.grad(t, xs, allow_unused=True, materialize_grads=True)
        if t.requires_grad
        else [x * 0 for x in xs]
    )
    smooth = not (name in ("prod", "cumprod") and np.any(arrays[0] == 0))  # the differences are too, at zeros
    rtol = 1e-7 if smooth else 1e-6
    assert_slopes(
        lambda moved: program.t(program.leaves(moved)), arrays, [g.detach().numpy() for g in found], rtol
    )


@each
def test_memory_order_does_not_matter(name, inputs, static):
    """Strided, reversed and transposed inputs give what contiguous ones give."""

    def strided(x):
        return np.repeat(x, 2, -1)[..., ::2] if x.ndim else np.array([x, 0.0])[0:1].reshape(())

    def backwards(x):
        return np.flip(np.flip(x).copy()) if x.ndim else x

    def outcome(change):
        program = Program(name, inputs, static)
        xs = program.leaves([change(inputs[i]) for i in program.places])
        s = program.s(xs)
        return [s.item(), *(g.numpy() for g in tg.autograd.grad(s, xs))]

    expected = outcome(np.copy)
    for change in (strided, backwards, lambda x: x.copy("F")):
        for found, wanted in zip(outcome(change), expected):
            np.testing.assert_allclose(found, wanted, 1e-12, 1e-12)


@each
def test_float32_stays_float32_on_the_way_there_and_back(name, inputs, static):
    if name == "cast":
        return  # it is there to change the type
    f32 = np.float32
    given = [x.astype(f32) if hasattr(x, "dtype") and x.dtype.kind == "f" else x for x in inputs]
    y = np.asarray(REGISTRY[name].forward(*given, **static))
    assert y.dtype == f32
    found = [rule(np.ones(y.shape, f32), y, *given, **static) for rule in REGISTRY[name].rules]
    assert {d.dtype for d in flattened(found)} == {np.dtype(f32)}


# --- what a rule says it does not read


class Forbidden:
    """Stands for what a rule does not read. Of the output and its own input it may still ask the shape."""

    def __init__(self, shape=None):
        if shape is not None:
            self.shape = shape

    def __getattr__(self, name):
        raise AssertionError(f"the rule asks for {name} of what it says it does not read")

    def __array__(self, *_, **__):
        raise AssertionError("the rule reads what it says it does not read")


def dense(d):
    if isinstance(d, Scattered):
        return d.g
    return d.a.T @ d.g if isinstance(d, Product) else d


def share(name, k, inputs, static, hidden):
    """What rule k gives, with the arguments in `hidden` (-1 the output, else the inputs) forbidden."""
    primitive = REGISTRY[name]
    y = np.asarray(primitive.forward(*inputs, **static))
    known = (-1, k) if not primitive.variadic else range(-1, len(inputs))
    given = [
        x if i not in hidden else Forbidden(np.shape(x) if i in known else None)
        for i, x in enumerate([y, *inputs], -1)
    ]
    return flattened([primitive.rules[k](wave(*y.shape, phase=5.0), *given, **static)])


def flattened(found):
    return [np.asarray(dense(d)) for part in found for d in (part if isinstance(part, list) else [part])]


def read_by(name, k, n):
    """What rule k says it reads: -1 for the output, else numbers of the n inputs."""
    primitive = REGISTRY[name]
    output, inputs = primitive.saves[1 << k]
    return {*([-1] if output else []), *(range(n) if primitive.variadic and inputs else inputs)}


@each
def test_underscored_arguments_are_not_read(name, inputs, static):
    for k in range(len(REGISTRY[name].rules)):
        hidden = set(range(-1, len(inputs))) - read_by(name, k, len(inputs))
        for found, expected in zip(
            share(name, k, inputs, static, hidden), share(name, k, inputs, static, set())
        ):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", CASES)
def test_what_is_kept_is_read(name):
    """An argument without an underscore is kept in memory, so some case has to need it."""
    for k in range(len(REGISTRY[name].rules)):
        for i in read_by(name, k, 1):
            needed = False
            for inputs, static in CASES[name]:
                try:
                    share(name, k, inputs, static, {i})
                except (AssertionError, TypeError):
                    needed = True
            assert needed, f"argument {i} of {name} is kept, and rule {k} does not read it"


@each
def test_only_what_the_gradients_asked_for_read_is_kept(name, inputs, static):
    """If one input alone requires a gradient, it is the same, and what only other rules read is not kept."""
    places = [i for i, x in enumerate(inputs) if is_float(x)]

    def run(asked):
        """The gradients of the inputs that are asked for; which arrays are kept."""
        leaves = [tg.tensor(x, requires_grad=i in asked) if i in places else x for i, x in enumerate(inputs)]
        y = apply(REGISTRY[name], leaves, static)
        kept = {i for i, x in enumerate(y.node.inputs) if isinstance(x, np.ndarray)}
        return [g.tolist() for g in tg.autograd.grad(total(y, 3.0), [leaves[i] for i in asked])], kept

    whole, _ = run(places)
    for i, expected in zip(places, whole):
        (found,), kept = run([i])
        assert found == expected
        read = read_by(name, 0 if REGISTRY[name].variadic else i, len(inputs))
        assert kept == {k for k in read if k >= 0 and isinstance(inputs[k], np.ndarray)}


def test_a_constant_s_partner_is_not_kept_and_may_be_written():
    w, mask = tg.ones(3, requires_grad=True), tg.tensor([1.0, 0, 1])
    loss = (w * 0.5).sum() + (w * mask).sum() + (w @ mask)
    with tg.no_grad():
        w -= 7.0
    loss.backward()
    assert w.grad.tolist() == [2.5, 0.5, 2.5]
    kept = (w * mask).sum()
    mask.zero_()
    with pytest.raises(RuntimeError, match="mul needs for its gradient was overwritten"):
        kept.backward()


def test_an_unread_input_is_not_kept():
    x, y = tg.ones(3, requires_grad=True) * 2, tg.ones(3, requires_grad=True) * 3
    assert not any(isinstance(kept, np.ndarray) for kept in (x + y).node.inputs)
    kept = (x * y).node.inputs
    assert kept[0] is x.array and kept[1] is y.array


def test_the_shapes_of_what_is_not_read_are_known():
    """Of an output and an input that are not kept, a rule may still ask the shape."""
    widths = []

    def rule(g, _y, _x):
        widths.append((_y.shape, _x.shape))
        return np.broadcast_to(g, _x.shape) * (_y.shape[0] / _x.shape[0])

    mean = Primitive("mean of rows", lambda x: np.mean(x, 0, keepdims=True), [rule])
    x = tg.ones(4, 2, requires_grad=True)
    apply(mean, (x,), {}).sum().backward()
    assert widths == [((1, 2), (4, 2))] and x.grad.tolist() == [[0.25, 0.25]] * 4

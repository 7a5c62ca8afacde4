"""Every operation beside PyTorch itself: values, dtypes, shapes, first and second derivatives, and errors."""

from __future__ import annotations

import itertools
import warnings

import make_ops
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import tinygrad_rnn as tg

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore")  # both libraries', where values overflow or are not numbers
CASES = make_ops.named()


def evaluated(lib, program, arrays):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_ops.evaluate(lib, (program, arrays))


def assert_same(program, arrays, rtol=1e-9):
    found, expected = (evaluated(lib, program, arrays) for lib in (tg, torch))
    assert found.keys() == expected.keys()
    for what, values in expected.items():
        assert (found[what].shape, found[what].dtype) == (values.shape, values.dtype), (program, what)
        scale = max(1.0, float(np.abs(values[np.isfinite(values)]).max(initial=0)))
        np.testing.assert_allclose(found[what], values, rtol, rtol * scale, err_msg=f"{program}: {what}")


# --- the cases of the reference file, on other numbers


@pytest.mark.parametrize("name", CASES)
def test_on_random_numbers(name):
    program, inputs = CASES[name]
    rng = np.random.default_rng(7)
    drawn = {
        k: np.where(a == 0, 0, np.sign(a) * rng.uniform(0.2, 1.9, a.shape))
        if np.abs(a).max(initial=0) < 9
        else a
        for k, a in inputs.items()
    }
    assert_same(program, drawn, 1e-8)


# --- number types

TYPES = {"f": "float32", "d": "float64", "i": "int64", "j": "int32", "b": "bool", "u": "uint8"}
ONE = """
    neg abs exp expm1 log1p sqrt square reciprocal sin cos tanh sigmoid sign floor ceil round relu isnan isinf
    isfinite logical_not sum mean prod amax amin argmax all any cumsum logsumexp var norm sort argsort
""".split()
TWO = """
    add sub mul div pow maximum minimum logaddexp xlogy remainder eq ne lt le gt ge logical_and logical_or
    logical_xor bitwise_and bitwise_or
""".split()
NEEDS_DIM = ("cumsum", "logsumexp")


def sample(code, *shape, seed=0):
    rng = np.random.default_rng(seed)
    if code in "fd":
        return rng.uniform(0.3, 2.5, shape).astype(TYPES[code])
    return rng.integers(0 if code == "b" else 1, 2 if code == "b" else 4, shape).astype(TYPES[code])


def outcome(lib, program, inputs):
    """The results as (dtype, shape, numbers), or the error."""
    try:
        given = {k: lib.tensor(v) if isinstance(v, np.ndarray) else v for k, v in inputs.items()}
        results = make_ops.run(lib, program, given)
    except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, AttributeError) as error:
        return error
    return [make_ops.numbers(r) for r in results]


def assert_alike(program, inputs, lenient=False):
    found, expected = outcome(tg, program, inputs), outcome(torch, program, inputs)
    if isinstance(expected, Exception):
        assert lenient or isinstance(found, Exception), f"{program}: torch refuses it: {expected}"
        return
    assert not isinstance(found, Exception), f"{program}: {found}"
    for f, e in zip(found, expected, strict=True):
        assert (f.dtype, f.shape) == (e.dtype, e.shape), program
        np.testing.assert_allclose(f, e, 2e-6, 2e-6, err_msg=program)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("code", TYPES)
def test_types_of_one_input(name, code):
    if name == "sign" and code == "b":
        pytest.skip("of truth values we have no sign")
    for shape in ((2, 3), (), (0, 3)):
        x = {"x": sample(code, *shape)}
        if name in ("amax", "amin", "argmax") and not np.prod(shape):
            continue
        assert_alike(f"L.{name}(x{', 0' if name in NEEDS_DIM else ''})", x, lenient=name == "argmax")


@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize(("a", "b"), list(itertools.product(TYPES, TYPES)), ids="".join)
def test_types_of_two_inputs(name, a, b):
    if name == "remainder" and b == "b":
        pytest.skip("division by False")
    for one, two in (
        ((2, 3), (2, 3)),
        ((2, 3), ()),
        ((), (3,)),
        ((), ()),
        ((2, 1), (1, 3)),
        ((0, 3), (1, 3)),
    ):
        inputs = {"x": sample(a, *one), "y": sample(b, *two, seed=1)}
        lenient = name == "logaddexp" or (name == "sub" and "b" in (a, b))
        assert_alike(f"L.{name}(x, y)", inputs, lenient)


@pytest.mark.parametrize(
    "operator", ["+", "-", "*", "/", "**", "//", "%", "==", "!=", "<", "<=", ">", ">=", "&", "|", "^"]
)
@pytest.mark.parametrize("number", [2, 2.5, True, 3])
def test_types_of_a_tensor_and_a_number(operator, number):
    for code, shape in itertools.product(TYPES, ((2, 3), ())):
        inputs = {"x": sample(code, *shape), "n": number}
        truth = code == "b" or number is True
        if truth and operator in ("//", "%", "**"):
            continue  # of truth values we have neither quotients nor powers
        assert_alike(f"x {operator} n", inputs, lenient=truth and operator == "-")
        assert_alike(f"n {operator} x", inputs, lenient=truth and operator == "-")


SELECTION = """
    L.where(m, x, y)
    L.where(m, x, 1)
    L.where(m, 1.5, y)
    L.where(m, 1, 2)
    L.clamp(x, 1, 2)
    L.clamp(x, 0.5)
    L.clamp(x, min=y)
    L.cat([x, y])
    L.add(x, y, alpha=2)
    x.masked_fill(m, 1.5)
    L.full_like(x, 2)
    L.zeros_like(x)
    x.to(y)
    x.sum(0, dtype=y.dtype)
    x.new_full((2,), 3)
    L.div(x, y, rounding_mode="floor")
    L.div(x, y, rounding_mode="trunc")
    x.type_as(y) + 1
"""


@pytest.mark.parametrize("program", make_ops.listed_lines(SELECTION))
@pytest.mark.parametrize(("a", "b"), list(itertools.product("fdiju", "fdiju")), ids="".join)
def test_types_of_selections(program, a, b):
    inputs = {"x": sample(a, 2, 3), "y": sample(b, 2, 3, seed=1), "m": sample("b", 2, 3, seed=2)}
    assert_alike(program, inputs)


# --- shapes, dimensions and options

sizes = st.integers(0, 3)
shapes = st.lists(sizes, max_size=4).map(tuple)
floats = st.floats(-3, 3).map(lambda v: round(v, 2))


def wave(*shape, phase=0.1):
    return make_ops.wave(*shape, phase=phase)


@given(st.data(), shapes, st.sampled_from("sum mean prod amax amin var std logsumexp norm all any".split()))
def test_reductions_over_any_dimensions(data, shape, name):
    rank = len(shape)
    dims = data.draw(st.lists(st.integers(-rank, rank - 1), unique_by=lambda d: d % rank)) if rank else [0]
    dim = dims[0] if name == "prod" and dims else tuple(dims)
    if not dims or (name in ("amax", "amin") and 0 in [shape[d] for d in dims if rank]):
        return
    if name in ("var", "std") and rank and int(np.prod([shape[d] for d in dims])) < 2:
        return  # PyTorch's derivative of an infinite variance is infinite, ours is not a number
    if name == "norm" and len(dims) > 2:
        return  # PyTorch has these norms only as those of a matrix
    keep = data.draw(st.booleans())
    assert_same(
        f"x.{name}(dim={dim if rank or name != 'prod' else 0}, keepdim={keep})", {"x": wave(*shape)}, 1e-8
    )


@given(st.data(), st.sampled_from("add mul div maximum logaddexp where lerp".split()))
def test_any_shapes_broadcast(data, name):
    whole = data.draw(shapes)

    def part():
        kept = whole[data.draw(st.integers(0, len(whole))) :]
        return tuple(1 if data.draw(st.booleans()) else n for n in kept)

    inputs = {"x": wave(*part()), "y": wave(*part(), phase=1.0)}
    program = {"where": "L.where(x > y, x, y)", "lerp": "L.lerp(x, y, x * y)"}.get(name, f"L.{name}(x, y)")
    assert_same(program, inputs, 1e-7)


@given(st.data(), shapes)
def test_shapes_in_any_order(data, shape):
    rank = len(shape)
    axis = st.integers(-rank, rank - 1) if rank else st.just(0)
    programs = {
        "permute": f"x.permute({data.draw(st.permutations(range(rank)))})",
        "transpose": f"x.transpose({data.draw(axis)}, {data.draw(axis)})",
        "movedim": f"x.movedim({data.draw(axis)}, {data.draw(axis)})",
        "flatten": "x.flatten({}, {})".format(*sorted(data.draw(axis) % max(rank, 1) for _ in "ab")),
        "squeeze": f"x.squeeze({data.draw(axis)})",
        "unsqueeze": f"x.unsqueeze({data.draw(st.integers(-rank - 1, rank))})",
        "flip": f"x.flip({data.draw(axis)})",
        "cumsum": f"x.cumsum({data.draw(axis)})",
        "cumprod": f"x.cumprod({data.draw(axis)})",
        "sort": f"x.sort({data.draw(axis)})[0]",
        "stack": f"L.stack([x, x * 2], {data.draw(st.integers(-rank - 1, rank))})",
        "repeat": f"x.repeat({data.draw(st.lists(st.integers(0, 2), min_size=rank, max_size=rank + 1))})",
        "expand": f"x.expand({(2, *shape)})",
    }
    if rank:
        where = data.draw(axis)
        programs |= {
            "cat": f"L.cat([x, x * 3], {where})",
            "roll": f"x.roll({data.draw(st.integers(-4, 4))}, {where})",
            "chunk": f"x.chunk({data.draw(st.integers(1, 4))}, {where})",
            "split": f"x.split({data.draw(st.integers(1, 4))}, {where})",
            "unbind": f"x.unbind({where})",
        }
    if rank > 1:
        programs |= {
            "diagonal": f"x.diagonal({data.draw(st.integers(-3, 3))}, -1, -2)",
            "triu": "x.triu(1)",
        }
    assert_same(programs[data.draw(st.sampled_from(sorted(programs)))], {"x": wave(*shape)}, 1e-7)


@given(st.data(), st.lists(st.integers(1, 3), min_size=1, max_size=4).map(tuple))
def test_indices_of_every_kind(data, shape):
    """Integers, slices, arrays, masks, None and ... in any order; read, and written with a gradient."""
    form = data.draw(st.sampled_from([(2,), (2, 1), (3,)]))
    index, left = [], list(shape)
    while left and data.draw(st.booleans()):
        n = left.pop(0)
        numbers = arrays(np.int64, form, elements=st.integers(-n, n - 1))
        index.append(
            data.draw(
                st.one_of(
                    st.integers(-n, n - 1),
                    st.sampled_from([slice(None), slice(1, None), slice(None, None, 2), None]),
                    numbers.map(lambda a: f"L.tensor({a.tolist()})"),
                )
            )
        )
        if index[-1] is None:
            left.insert(0, n)
        if len(index) > 4:
            break
    if data.draw(st.booleans()):
        index.append(...)
    written = ", ".join("..." if i is ... else f"{i}" for i in index)
    index_text = f"({written},)" if index else "()"
    assert_same(f"x[{index_text}]", {"x": wave(*shape)})
    assert_same(f"y = x * 1; y[{index_text}] = 2.5; y", {"x": wave(*shape)})
    assert_same(
        f"y = x * 1; y[{index_text}] *= 2; y", {"x": wave(*shape)}
    ) if "tensor" not in index_text else None


@given(st.data())
def test_products_of_any_ranks(data):
    n, k, m = (data.draw(sizes) for _ in range(3))
    batch = data.draw(st.lists(st.integers(1, 3), max_size=2).map(tuple))
    cut = data.draw(st.integers(0, len(batch)))
    a = data.draw(st.sampled_from([(k,), (n, k), (*batch, n, k), (*batch[cut:], n, k)]))
    b = data.draw(st.sampled_from([(k,), (k, m), (*batch, k, m), (*(1 for _ in batch), k, m)]))
    assert_same("x @ y", {"x": wave(*a), "y": wave(*b, phase=1.0)})


@given(st.data())
def test_einsum_of_any_letters(data):
    size = {"i": 2, "j": 3, "k": 1, "l": 2}
    letters = st.lists(st.sampled_from("ijkl"), max_size=3)
    terms = ["".join(data.draw(letters)) for _ in range(data.draw(st.integers(1, 3)))]
    out = "".join(data.draw(st.lists(st.sampled_from(sorted(set("".join(terms))) or [""]), unique=True)))
    names = "xyz"[: len(terms)]
    inputs = {
        x: wave(*(size[c] for c in term), phase=float(i)) for i, (x, term) in enumerate(zip(names, terms))
    }
    arrow = f"->{out}" if data.draw(st.booleans()) else ""
    assert_same(f"L.einsum('{','.join(terms)}{arrow}', {', '.join(names)})", inputs, 1e-8)


# --- what PyTorch refuses

WRONG = """
    x.sum(2)
    x.sum((0, 0))
    x.mean(-3)
    x.reshape(5)
    x.reshape(-1, -1)
    x.view(4, 2)
    x.t().view(6)
    x.permute(0)
    x.permute(0, 0)
    x.transpose(0, 2)
    x.unsqueeze(3)
    x.expand(3, 3)
    x.expand(3)
    x.repeat(2)
    L.cat([x, x.t()])
    L.cat([x, x[0]])
    L.cat([])
    L.cat(x)
    L.stack([x, x[:1]])
    L.stack([])
    x.split(0)
    x.split([1, 2])
    x.chunk(0)
    x.select(0, 2)
    x.narrow(0, 1, 2)
    x.flip(0, 0)
    x.roll((1, 2), 0)
    x[0].tril()
    x.diagonal(0, 0, 0)
    x[2]
    x[0, 0, 0]
    x[L.tensor([2])]
    x[L.tensor([0.5])]
    x[L.tensor([True, False, True])]
    x.gather(0, L.tensor([[2]]))
    x.gather(0, L.tensor([[-1]]))
    x.gather(0, L.tensor([0]))
    x.index_select(0, L.tensor([2]))
    x.index_select(0, L.tensor([[0]]))
    x.index_add(0, L.tensor([0]), x)
    x.scatter(0, L.tensor([[5]]), 1.0)
    x.masked_fill(x, 1)
    L.where(x, 1, 2)
    x @ x
    L.mm(x, x[0])
    x.bmm(x)
    x.mv(x)
    x.dot(x)
    x[0].trace()
    L.einsum("ij,jk->ik", x)
    L.einsum("ij->ik", x)
    L.einsum("i", x)
    x.topk(4)
    x.argmax(3)
    x.sort(2)
    x.cumsum(2)
    L.zeros(0).max()
    L.zeros(2, 0).amax(1)
    L.zeros(2, 0).argmin(1)
    x.add_(L.ones(2, 2, 3))
    x.long().add_(0.5)
    x.long() & x
    x.bool().sub(x.bool())
    L.arange(1, 5, 0)
    L.arange(5, 1)
    L.zeros(-1)
    L.randint(3, 3, (2,))
    L.multinomial(x, 5)
    L.tensor([[1], [2, 3]])
    L.tensor("a")
    x.item()
    float(x)
    bool(x)
    len(x.sum())
    x.long().mean()
    x.long().requires_grad_()
    y = x.clone().requires_grad_(); y.add_(1)
    y = x.clone().requires_grad_(); y[0] = 1; y
    y = x.clone().requires_grad_(); y.numpy()
"""


@pytest.mark.parametrize("program", make_ops.listed_lines(WRONG))
def test_what_torch_refuses_we_refuse(program):
    inputs = {"x": sample("f", 2, 3)}
    assert isinstance(outcome(torch, program, inputs), Exception)
    assert isinstance(outcome(tg, program, inputs), Exception)

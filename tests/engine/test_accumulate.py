"""Contributions to a gradient and their sum: each kind, in any order and number, against dense arrays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import tinygrad_rnn as tg
from tinygrad_rnn.engine.accumulate import Accumulator, owned, stacked_product, unbroadcast
from tinygrad_rnn.engine.derivatives import add_at, add_rows, place
from tinygrad_rnn.engine.primitive import OutputGradient, Primitive, Product, Scattered, apply

shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
seeds = st.integers(0, 2**32 - 1)


def whole(rng, shape):
    """Whole numbers as floats: their sums are exact in any order."""
    return rng.integers(-9, 10, shape).astype(float)


@st.composite
def indices(draw, shape):
    """Slices and numbers; arrays of numbers, negative ones too, for some dimensions; a mask; a mixture."""
    kind = draw(st.sampled_from(["basic", "arrays", "mask", "mixed"]))
    if kind == "basic" or 0 in shape:
        return draw(arrays.basic_indices(shape, allow_newaxis=True))
    if kind == "mask":
        return draw(arrays.arrays(bool, shape[: draw(st.integers(1, len(shape)))]))
    result = arrays.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=5)
    one = st.shared(result, key="index")

    def numbers(n):
        dtype = draw(st.sampled_from([np.int64, np.int32, np.uint8]))
        least = 0 if dtype is np.uint8 else -n
        return draw(arrays.arrays(dtype, one, elements=st.integers(least, n - 1)))

    several = [numbers(n) for n in shape[: draw(st.integers(1, len(shape)))]]
    if kind == "mixed":
        several = [slice(None) if draw(st.booleans()) else i for i in several]
    return several[0] if len(several) == 1 and draw(st.booleans()) else tuple(several)


@given(shapes, st.data(), seeds, st.sampled_from("CF"))
def test_adding_at_an_index_adds_every_share(shape, data, seed, order):
    rng = np.random.default_rng(seed)
    start, index = np.array(whole(rng, shape), order=order), data.draw(indices(shape))
    g = whole(rng, start[index].shape)
    kept, found, expected = g.copy(), start.copy(order=order), start.copy()
    np.add.at(expected, index, g)
    add_at(found, index, g)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(g, kept)
    np.testing.assert_array_equal(place(g, indices=[index], shape=shape).numpy(), expected - start)


@given(st.integers(1, 4), st.lists(st.integers(0, 3), max_size=8), seeds, st.integers(0, 2))
def test_rows_that_are_named_several_times_receive_every_share(width, rows, seed, more):
    rng = np.random.default_rng(seed)
    shape = (width,) * more
    g, expected, found = whole(rng, (len(rows), *shape)), np.zeros((4, *shape)), np.zeros((4, *shape))
    for k, row in enumerate(rows):
        expected[row] += g[k]
    add_rows(found, np.array(rows, int), g)
    np.testing.assert_array_equal(found, expected)


def test_fitting_a_gradient_is_the_adjoint_of_broadcasting():
    """<unbroadcast(g), x> = <g, x>, both broadcast, for all small shapes: g may be the smaller one."""
    shapes = list(itertools.chain(*(itertools.product((0, 1, 2, 3), repeat=n) for n in range(4))))
    rng = np.random.default_rng(0)
    for shape, of_g in itertools.product(shapes, repeat=2):
        x, g = whole(rng, shape), whole(rng, of_g)
        if broadcast(x, g):
            fitted = unbroadcast(g, shape)
            assert fitted.shape == shape and (fitted * x).sum() == (g * x).sum()


def broadcast(x, g):
    return all(1 in (n, m) or n == m for n, m in zip(x.shape[::-1], g.shape[::-1]))


def test_fitting_for_every_small_shape():
    """Every dimension of x alike, of size 1, or (in front) missing: the sum over what was repeated."""
    for result in itertools.chain(*(itertools.product((1, 2, 3), repeat=n) for n in range(4))):
        g = np.arange(float(np.prod(result))).reshape(result)
        for ones in itertools.product((False, True), repeat=len(result)):
            summed = g.sum(tuple(k for k, one in enumerate(ones) if one), keepdims=True)
            for missing in range(len(result) + 1):
                if all(ones[:missing]):
                    shape = summed.shape[missing:]
                    np.testing.assert_array_equal(unbroadcast(g, shape), summed.reshape(shape), strict=True)


CONTRIBUTIONS = st.lists(
    st.tuples(st.sampled_from(["dense", "owned", "row", "slice", "numbers", "product"]), seeds),
    min_size=1,
    max_size=6,
)


def contribution(kind, rng):
    """A contribution to a (3, 2) gradient, and the same as a dense array; the arrays that it consists of."""
    dense = np.zeros((3, 2))
    if kind in ("dense", "row"):
        g = whole(rng, (3, 2) if kind == "dense" else (2,))
        return g, dense + g, [g]
    if kind == "owned":
        g = whole(rng, (3, 2))
        return owned(g), g.copy(), []  # it is the sum's to write
    if kind == "product":
        n = rng.integers(0, 4)
        a, g = whole(rng, (n, 3)), whole(rng, (n, 2))
        return Product(a, g), a.T @ g, [a, g]
    index = (slice(1, None), 1) if kind == "slice" else (np.array([0, -1, 0]),)
    g = whole(rng, dense[index].shape)
    np.add.at(dense, index, g)
    return Scattered(g, index), dense, [g]


@given(CONTRIBUTIONS, st.booleans(), st.booleans())
def test_a_sum_is_the_sum_whatever_comes_in_whatever_order(kinds, recorded, own):
    total, expected, inside = Accumulator((3, 2)), np.zeros((3, 2)), []
    for kind, seed in kinds:
        d, dense, parts = contribution(kind, np.random.default_rng(seed))
        if recorded:
            d = as_recorded(d)
        total.add(d)
        expected += dense
        inside += [(part, part.copy()) for part in parts]
    found = np.asarray(total.owned_value() if own and not recorded else total.value())
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.asarray(total.value()), expected)  # asked again, nothing is added twice
    for part, before in inside:
        np.testing.assert_array_equal(part, before)
        assert not (own and not recorded and np.shares_memory(found, part))
    assert (not own) or recorded or total.owned


def as_recorded(d):
    """The contribution with tensors in place of arrays."""
    if isinstance(d, Accumulator):
        return tg.Tensor(d.value())
    if isinstance(d, Product):
        return Product(tg.Tensor(d.a), tg.Tensor(d.g))
    return Scattered(tg.Tensor(d.g), d.index) if isinstance(d, Scattered) else tg.Tensor(d)


@given(CONTRIBUTIONS, st.lists(st.tuples(st.sampled_from(["dense", "slice"]), seeds), max_size=3))
def test_what_a_sum_has_handed_out_stays_as_it_was(first, later):
    """Contributions after `owned_value` go into its array: it is the sum's own, and nobody else's."""
    total, expected = Accumulator((3, 2)), np.zeros((3, 2))
    for kind, seed in first + later:
        d, dense, parts = contribution(kind, np.random.default_rng(seed))
        before = [part.copy() for part in parts]
        total.add(d)
        total.owned_value()
        expected += dense
        for part, was in zip(parts, before):
            np.testing.assert_array_equal(part, was)
    np.testing.assert_array_equal(total.value(), expected)


@given(CONTRIBUTIONS)
def test_what_a_sum_owns_is_not_copied_again(kinds):
    """A sum of several contributions, or of one that had to be made into an array, is already its own."""
    total = Accumulator((3, 2))
    for k, (kind, seed) in enumerate(kinds):
        total.add(contribution(kind, np.random.default_rng(seed))[0])
        found = total.value()
        if k > 0 or kind in ("slice", "numbers", "product"):
            assert total.owned_value() is found
    buffer = total.owned_value()
    for kind, seed in kinds:
        total.add(contribution(kind, np.random.default_rng(seed))[0])
        assert total.owned_value() is buffer


@given(st.lists(st.integers(0, 3), min_size=1, max_size=4), seeds)
def test_products_in_one_go_are_the_sum_of_products(rows, seed):
    rng = np.random.default_rng(seed)
    a, g = ([whole(rng, (n, m)) for n in rows] for m in (3, 2))
    np.testing.assert_array_equal(stacked_product(a, g), sum(x.T @ y for x, y in zip(a, g)))


def test_parts_of_several_outputs_are_kept_apart():
    total = Accumulator((2,))
    for k, value in ((0, 1.0), (2, 5.0), (0, 3.0)):
        total.add(OutputGradient(k, np.full(2, value)))
    assert {k: g.tolist() for k, g in total.value().items()} == {0: [4, 4], 2: [5, 5]}


def test_small_numbers_stay_arrays():
    total = Accumulator(())
    for _ in range(3):
        total.add(np.asarray(2.0))
    assert isinstance(total.value(), np.ndarray) and total.value() == 6


@pytest.mark.parametrize("order", list(itertools.permutations(["sum", "sum", "product", "slice"])))
def test_a_rule_may_give_any_kind_of_contribution(order):
    """The gradient of x is the sum of what all its uses give; each time backward runs, the same again."""
    rules = {
        "sum": lambda g, _y, _x: owned(np.array(g)),
        "product": lambda g, _y, _x: Product(np.eye(3), np.array(g)),
        "slice": lambda g, _y, _x: Scattered(np.array(g), slice(None)),
    }
    w = tg.tensor(whole(np.random.default_rng(0), (4, 3, 2)))
    for leaf in (True, False):
        x = tg.ones(3, 2, dtype=tg.float64, requires_grad=True)
        used = x if leaf else x * 1
        ys = [apply(Primitive(kind, np.copy, [rules[kind]]), (used,), {}) for kind in order]
        total = sum((y * w[k]).sum() for k, y in enumerate(ys))
        for times in (1, 2):
            total.backward(retain_graph=True)
            assert x.grad.tolist() == (times * w.sum(0)).tolist()


def test_an_owned_array_becomes_the_gradient_of_a_leaf():
    buffer = np.ones((3, 2))
    x = tg.ones(3, 2, dtype=tg.float64, requires_grad=True)
    apply(Primitive("made here", np.copy, [lambda g, _y, _x: owned(buffer)]), (x,), {}).sum().backward()
    assert np.shares_memory(x.grad.numpy(), buffer)


VIEWS = {
    "permute(0, 1)": lambda w: w.permute(0, 1),
    "permute(1, 0)": lambda w: w.permute(1, 0),
    "transpose(-1, -1)": lambda w: w.transpose(-1, -1),
    "t().t()": lambda w: w.t().t(),
    "t().permute(0, 1)": lambda w: w.t().permute(0, 1),
    "movedim(0, 0)": lambda w: w.movedim(0, 0),
    "T": lambda w: w.T,
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("uses", [1, 2])
@pytest.mark.parametrize("more", ["nothing else", "a slice", "all"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_product_finds_its_way_through_any_permutation(view, more, uses, create_graph):
    """d/dW Σₖ uₖ · (xₖ view(W)) = Σₖ view⁻¹(xₖᵀ uₖ), and each of these views is its own inverse."""
    rng = np.random.default_rng(uses)
    x, u = whole(rng, (uses, 4, 3)), whole(rng, (uses, 4, 3))
    w = tg.tensor(whole(rng, (3, 3)), requires_grad=True)
    v = VIEWS[view](w)
    y = sum((tg.tensor(x[k]) @ v * tg.tensor(u[k])).sum() for k in range(uses))
    expected = sum(x[k].T @ u[k] for k in range(uses))
    if more == "a slice":
        y, expected[1, 2] = y + 5 * v[1, 2], expected[1, 2] + 5
    elif more == "all":
        y, expected = y + 5 * v.sum(), expected + 5
    (g,) = tg.autograd.grad(y, w, create_graph=create_graph)
    assert (VIEWS[view](g).detach().numpy() == expected).all()

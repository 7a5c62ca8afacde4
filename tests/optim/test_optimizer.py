"""What all optimizers share: groups, errors, gradients left alone, state that can be saved and resumed."""

import copy
import inspect
import tracemalloc

import numpy as np
import pytest

from tinygrad_rnn import optim
from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.optim.elementwise import Scratch

KINDS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
    "Adam": {"lr": 0.1, "amsgrad": True},
    "AdamW": {"lr": 0.1},
    "NAdam": {"lr": 0.1},
    "RAdam": {"lr": 0.1, "betas": (0.8, 0.9)},
    "RMSprop": {"lr": 0.1, "momentum": 0.9, "centered": True},
    "Adagrad": {"lr": 0.1, "lr_decay": 0.1},
    "Adadelta": {"lr": 1.0},
    "LBFGS": {"lr": 0.1, "max_iter": 2},
}
ELEMENTWISE = [kind for kind in KINDS if kind != "LBFGS"]
DTYPES = [np.float32, np.float64]


def parameters(dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [
        Tensor(rng.normal(size=shape).astype(dtype), requires_grad=True) for shape in ((3, 4), (4,), (2, 1))
    ]


def make(kind, params, **options):
    return getattr(optim, kind)(params, **{**KINDS[kind], **options})


def train(optimizer, params, steps, begin=0):
    """Steps on Σ cosh(θ - c), with c changing from step to step."""

    def closure():
        loss = 0.0
        for p in params:
            shifted = p.array - np.asarray(np.sin(begin + 1), p.array.dtype)
            p.grad = Tensor(np.sinh(shifted))
            loss += float(np.cosh(shifted).sum())
        return loss

    for _ in range(steps):
        optimizer.step(closure)
        begin += 1


def values(params):
    return [p.array.tobytes() for p in params]


# --- groups


def test_a_group_takes_what_it_leaves_out_from_the_defaults():
    a, b, c = parameters()
    optimizer = optim.SGD([{"params": [a]}, {"params": (p for p in [b]), "lr": 0.5}], lr=0.1, momentum=0.9)
    optimizer.add_param_group({"params": c, "momentum": 0})
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.5, 0.1]
    assert [g["momentum"] for g in optimizer.param_groups] == [0.9, 0.9, 0]
    assert [g["params"] for g in optimizer.param_groups] == [[a], [b], [c]]


@pytest.mark.parametrize(
    "wrap", [list, tuple, iter, lambda ps: filter(lambda p: True, ps), lambda ps: dict.fromkeys(ps)]
)
def test_parameters_may_come_in_any_iterable(wrap):
    params = parameters()
    assert optim.SGD(wrap(params), lr=0.1).param_groups[0]["params"] == params


def test_named_parameters_keep_their_names():
    params = parameters()
    optimizer = optim.Adam(zip("abc", params))
    assert optimizer.param_groups[0]["param_names"] == ["a", "b", "c"]
    assert optimizer.param_groups[0]["params"] == params
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="all of them or none"):
        optimizer.add_param_group({"params": parameters()})
    with pytest.raises(ValueError, match="1 of 2 have a name"):
        optim.SGD([("a", params[0]), params[1]])


def test_an_option_changed_in_a_group_is_used_by_the_next_step():
    (p, *_) = parameters()
    optimizer = optim.SGD([p], lr=0.1)
    before = p.array.copy()
    p.grad = Tensor(np.ones_like(before))
    optimizer.param_groups[0]["lr"] = np.float64(0.5)
    optimizer.step()
    np.testing.assert_allclose(p.array, before - 0.5)


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_a_strong_numpy_scalar_as_rate_leaves_float32_alone(kind):
    weak, strong = parameters(np.float32), parameters(np.float32)
    train(make(kind, weak, lr=0.25), weak, 3)
    train(make(kind, strong, lr=np.float64(0.25)), strong, 3)
    assert values(weak) == values(strong)


# --- errors


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ([], ValueError, "empty parameter list"),
        (iter([]), ValueError, "empty parameter list"),
        (Tensor(np.ones(2)), TypeError, r"write \[tensor\]"),
        (3, TypeError, "got int"),
        (["w"], TypeError, r"params\[0\]: .*got str"),
        ([Tensor(np.ones(2)), np.ones(2)], TypeError, r"params\[1\]: .*got ndarray"),
        ([{"lr": 0.1}], TypeError, "key 'params'"),
        ([{"params": {Tensor(np.ones(2))}}], TypeError, "set"),
        ([{"params": Tensor(np.ones(2)), "lr": -1}], ValueError, "lr=-1: must be at least 0"),
        ([{"params": Tensor(np.ones(2)), "fused": True}], NotImplementedError, "fused=True"),
    ],
)
def test_bad_parameters_are_refused(params, error, message):
    with pytest.raises(error, match=message):
        optim.SGD(params, lr=0.1)


def test_a_tensor_can_be_in_one_group_only_and_twice_in_it_is_a_warning():
    a, b, _ = parameters()
    with pytest.warns(UserWarning, match=r"params\[2\], of shape \(3, 4\), is given twice: .* twice"):
        twice = optim.SGD([a, b, a], lr=0.5)
    a.grad, before = Tensor(np.ones(a.shape)), a.array.copy()
    twice.step()
    np.testing.assert_allclose(a.array, before - 1)
    assert twice.state_dict()["param_groups"][0]["params"] == [0, 1, 0]
    optimizer = optim.SGD([a])
    with pytest.raises(ValueError, match=r"params\[1\], of shape .* is given twice: another group has it"):
        optimizer.add_param_group({"params": [b, a]})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        *[(kind, {"lr": -0.1}, "lr=-0.1") for kind in KINDS],
        *[(kind, {"lr": float("nan")}, "lr=nan") for kind in KINDS],
        *[(kind, {"weight_decay": -1}, "weight_decay=-1") for kind in ELEMENTWISE],
        *[(kind, {"betas": (0.9, 1.0)}, r"betas\[1\]=1.0") for kind in ("Adam", "AdamW", "NAdam", "RAdam")],
        *[(kind, {"eps": -1e-8}, "eps=-1e-08") for kind in ELEMENTWISE if kind != "SGD"],
        ("SGD", {"momentum": -0.5}, "momentum=-0.5"),
        ("SGD", {"momentum": 0}, "nesterov=True needs momentum > 0"),
        ("SGD", {"dampening": 0.1}, "dampening=0.1"),
        ("NAdam", {"momentum_decay": -1}, "momentum_decay=-1"),
        ("RMSprop", {"alpha": -1}, "alpha=-1"),
        ("Adagrad", {"initial_accumulator_value": -1}, "initial_accumulator_value=-1"),
        ("Adagrad", {"lr_decay": -1}, "lr_decay=-1"),
        ("Adadelta", {"rho": 1.5}, "rho=1.5"),
        ("LBFGS", {"line_search_fn": "armijo"}, "'armijo'"),
        ("LBFGS", {"history_size": 0}, "history_size=0"),
        ("LBFGS", {"max_iter": 0}, "max_iter=0"),
    ],
)
def test_an_option_out_of_its_range_is_named(kind, options, message):
    with pytest.raises(ValueError, match=message):
        make(kind, parameters(), **options)


def test_options_of_the_wrong_type_are_named():
    with pytest.raises(TypeError, match="lr: expected a number, got str"):
        optim.SGD(parameters(), lr="0.1")
    with pytest.raises(NotImplementedError, match="lr: a tensor"):
        optim.Adam(parameters(), lr=Tensor(np.array(0.1)))
    with pytest.raises(TypeError, match=r"betas=0\.9: must be two numbers"):
        optim.Adam(parameters(), betas=0.9)
    with pytest.raises(TypeError, match=r"history_size=2\.5: must be an integer"):
        optim.LBFGS(parameters(), history_size=2.5)


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_what_is_out_of_scope_is_refused_by_name(kind):
    names = {"foreach", "fused", "capturable", "differentiable"} & {
        *inspect.signature(getattr(optim, kind)).parameters
    }
    assert {"foreach", "differentiable"} <= names
    for name in names:
        with pytest.raises(NotImplementedError, match=f"{name}=True is not supported"):
            make(kind, parameters(), **{name: True})
        make(kind, parameters(), **{name: False})


# --- the step


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_read_only_for_a_step(kind):
    params = parameters()
    optimizer = make(kind, params, **({} if kind == "LBFGS" else {"weight_decay": 0.1, "maximize": True}))
    gradients = [np.ones_like(p.array) for p in params]
    for g in gradients:
        g.flags.writeable = False

    def closure():
        for p, g in zip(params, gradients):
            p.grad = Tensor(g)
        return 1.0

    for _ in range(3):
        optimizer.step(closure)
    assert all(p.grad.array is g for p, g in zip(params, gradients))


@pytest.mark.parametrize("kind", KINDS)
def test_the_step_writes_into_the_parameters_own_memory(kind):
    params = parameters()
    arrays, views = [p.array for p in params], [p.array[:1] for p in params]
    train(make(kind, params), params, 2)
    assert all(p.array is array for p, array in zip(params, arrays))
    assert all(np.array_equal(p.array[:1], view) for p, view in zip(params, views))


@pytest.mark.parametrize("kind", KINDS)
def test_a_parameter_without_a_gradient_is_left_alone(kind):
    params = parameters()
    frozen = Tensor(np.ones(3))
    train(make(kind, [*params, frozen]), params, 3)
    np.testing.assert_array_equal(frozen.array, np.ones(3))


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_memory_layout_does_not_matter(kind):
    plain, strided = parameters(), parameters()
    strided[0] = Tensor(np.asfortranarray(plain[0].array), requires_grad=True)
    strided[1] = Tensor(np.repeat(plain[1].array, 2)[::2], requires_grad=True)
    for params in (plain, strided):
        train(make(kind, params), params, 4)
    assert all(np.array_equal(p.array, q.array) for p, q in zip(plain, strided))


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_and_empty_arrays_are_parameters(kind):
    params = [Tensor(np.array(2.0), requires_grad=True), Tensor(np.zeros((0, 3)), requires_grad=True)]
    train(make(kind, params), params, 2)
    assert type(params[0].array) is np.ndarray
    assert params[0].array < 2.0


@pytest.mark.parametrize("kind", ELEMENTWISE)
def test_after_the_first_step_no_memory_of_a_parameters_size_is_taken(kind):
    params = [Tensor(np.ones((300, 100)), requires_grad=True), Tensor(np.ones(1000), requires_grad=True)]
    for p in params:
        p.grad = Tensor(np.ones_like(p.array))
    optimizer = make(kind, params, weight_decay=0.1)
    optimizer.step()
    tracemalloc.start()
    optimizer.step()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < params[1].array.nbytes


def test_centered_rmsprop_survives_a_constant_gradient():
    """v - m² is then zero up to rounding, which can make it negative."""
    p = Tensor(np.zeros(50, np.float32), requires_grad=True)
    p.grad = Tensor(np.linspace(0.1, 3, 50, dtype=np.float32))
    optimizer = optim.RMSprop([p], lr=1e-6, alpha=0.5, centered=True)
    for _ in range(100):
        optimizer.step()
    assert np.isfinite(p.array).all()


@pytest.mark.parametrize("kind", KINDS)
def test_step_returns_the_closures_result_computed_with_gradients_enabled(kind):
    from tinygrad_rnn.autograd import is_grad_enabled, no_grad

    params = parameters()
    seen = []

    def closure():
        seen.append(is_grad_enabled())
        for p in params:
            p.grad = Tensor(p.array.copy())
        return 1.0 / len(seen)

    with no_grad():
        assert make(kind, params).step(closure) == 1.0
    assert all(seen)


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_that_needs_the_old_value_refuses_to_run_after_the_step(kind):
    w = Tensor(np.array([2.0, 3.0]), requires_grad=True)
    loss = (w * w).sum()

    def closure():
        w.grad = Tensor(np.ones(2))
        return 1.0

    make(kind, [w]).step(closure)
    with pytest.raises(RuntimeError, match="overwritten in place"):
        loss.backward()


@pytest.mark.parametrize("kind", KINDS)
def test_a_line_is_fitted_with_gradients_of_the_engine(kind):
    x = Tensor(np.linspace(-1, 1, 20))
    y = x * 2.0 - 1.0
    w, b = (Tensor(np.zeros(1), requires_grad=True) for _ in range(2))
    optimizer = make(kind, [w, b])

    def closure():
        optimizer.zero_grad()
        loss = ((x * w + b - y) ** 2).mean()
        loss.backward()
        return loss

    first = float(closure())
    for _ in range(300):
        optimizer.step(closure)
    assert float(closure()) < 0.5 * first


def test_zero_grad_cuts_a_gradient_from_its_graph():
    w = Tensor(np.array([2.0]), requires_grad=True)
    (w**3).sum().backward(create_graph=True)
    optimizer = optim.SGD([w])
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.node is None and not w.grad.requires_grad
    assert w.grad.tolist() == [0.0]


def test_what_an_operation_made_cannot_be_optimized():
    w = Tensor(np.ones(2), requires_grad=True)
    with pytest.raises(ValueError, match=r"params\[1\]: not a leaf"):
        optim.SGD([w, w * 2])


def test_zero_grad_forgets_or_fills_with_zeros():
    params = parameters()
    gradients = [Tensor(np.ones_like(p.array)) for p in params[:2]]
    for p, g in zip(params, gradients):
        p.grad = g
    optimizer = optim.SGD(params)
    optimizer.zero_grad(set_to_none=False)
    assert [p.grad is g for p, g in zip(params, gradients)] == [True, True]
    assert all((g.array == 0).all() for g in gradients)
    optimizer.zero_grad()
    assert [p.grad for p in params] == [None] * 3


def test_repr_lists_the_options_of_each_group():
    text = repr(optim.SGD([{"params": [p]} for p in parameters()[:2]], lr=0.25))
    assert text.startswith("SGD (\nParameter Group 0\n") and "Parameter Group 1" in text
    assert text.count("lr: 0.25") == 2


def test_a_subclass_defines_step():
    class SignDescent(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    p.array -= group["lr"] * np.sign(p.grad.array)

    p = Tensor(np.array([1.0, -1.0]), requires_grad=True)
    p.grad = Tensor(np.array([3.0, -0.1]))
    SignDescent([p], lr=0.5).step()
    np.testing.assert_array_equal(p.array, [0.5, -0.5])
    with pytest.raises(NotImplementedError, match="define step"):
        optim.Optimizer([p], {}).step()


def test_the_state_of_ones_own_optimizer_is_saved_and_resumed():
    """Tensors of any shape, containers of them, and what belongs to no parameter, as in Lookahead."""

    class Extrapolated(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def step(self, closure=None):
            self.state["all"]["steps"] = self.state["all"].get("steps", 0) + 1
            for p in self.param_groups[0]["params"]:
                state = self.state[p]
                norms = state.setdefault("norms", {"last": Tensor(np.zeros(1))})
                norms["last"] = Tensor(np.array([np.abs(p.grad.array).max()]) + norms["last"].array)
                state["slope"] = Tensor(p.grad.array.sum(keepdims=True))
                p.array -= self.param_groups[0]["lr"] * norms["last"].array[0] * p.grad.array

    def run(optimizer, p, steps):
        for _ in range(steps):
            p.grad = Tensor(np.cos(p.array))
            optimizer.step()

    whole, half = (Tensor(np.array([0.5, -1.0]), requires_grad=True) for _ in range(2))
    run(Extrapolated([whole], lr=0.1), whole, 4)
    first = Extrapolated([half], lr=0.1)
    run(first, half, 2)
    resumed = Extrapolated([half], lr=0.1)
    resumed.load_state_dict(first.state_dict())
    assert resumed.state["all"] == {"steps": 2} and resumed.state["all"] is not first.state["all"]
    assert resumed.state[half]["norms"]["last"] is not first.state[half]["norms"]["last"]
    run(resumed, half, 2)
    assert half.tolist() == whole.tolist() and resumed.state["all"] == {"steps": 4}


def test_an_elementwise_optimizer_of_ones_own_defines_the_update():
    class Rule(optim.elementwise.Elementwise):
        pass

    p = Tensor(np.ones(1), requires_grad=True)
    p.grad = Tensor(np.ones(1))
    with pytest.raises(NotImplementedError, match=r"Rule: define _update\(theta, g, state, group\)"):
        Rule([p], {"lr": 1.0, "weight_decay": 0, "maximize": False}).step()


def test_names_of_parameters_survive_a_state_dict_without_them():
    params = parameters()
    plain, named = optim.SGD(params, lr=0.5), optim.SGD(zip("abc", params), lr=0.1)
    named.load_state_dict(plain.state_dict())
    assert named.param_groups[0]["param_names"] == ["a", "b", "c"] and named.param_groups[0]["lr"] == 0.5


# --- saving and resuming


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_resumed_run_equals_the_run_that_never_stopped(kind, dtype):
    params = parameters(dtype)
    optimizer = make(kind, params)
    train(optimizer, params, 5)
    saved = copy.deepcopy(optimizer.state_dict())
    again = [Tensor(p.array.copy(), requires_grad=True) for p in params]
    train(optimizer, params, 5, begin=5)

    resumed = make(kind, again, lr=123.0)
    resumed.load_state_dict(saved)
    train(resumed, again, 5, begin=5)
    assert values(again) == values(params)


@pytest.mark.parametrize("kind", KINDS)
def test_a_deep_copy_goes_its_own_way_from_the_same_state(kind):
    params = parameters()
    optimizer = make(kind, params)
    train(optimizer, params, 3)
    twin_params, twin = copy.deepcopy((params, optimizer))
    train(optimizer, params, 3, begin=3)
    assert values(twin_params) != values(params)
    train(twin, twin_params, 3, begin=3)
    assert values(twin_params) == values(params)


@pytest.mark.parametrize("kind", KINDS)
def test_loading_copies_the_state(kind):
    params = parameters()
    optimizer = make(kind, params)
    train(optimizer, params, 3)
    saved = optimizer.state_dict()
    before = copy.deepcopy(saved)
    other_params = parameters(seed=1)
    other = make(kind, other_params)
    other.load_state_dict(saved)
    train(other, other_params, 3)
    other.param_groups[0]["lr"] = 7
    assert flat(saved) == flat(before)


def flat(value):
    """Nested state as something that == compares, to the bit."""
    if isinstance(value, dict):
        return {k: flat(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [flat(v) for v in value]
    return (value.array.dtype, value.array.tobytes()) if isinstance(value, Tensor) else value


@pytest.mark.parametrize("kind", KINDS)
def test_state_dict_is_numbers_tensors_and_containers_under_the_numbers_of_the_parameters(kind):
    def leaves(value):
        if isinstance(value, dict):
            return [leaf for v in value.values() for leaf in leaves(v)]
        return [leaf for v in value for leaf in leaves(v)] if isinstance(value, (list, tuple)) else [value]

    params = parameters()
    optimizer = make(kind, params)
    train(optimizer, params, 2)
    saved = optimizer.state_dict()
    assert list(saved) == ["state", "param_groups"]
    assert set(saved["state"]) == ({0} if kind == "LBFGS" else {0, 1, 2})
    assert [g["params"] for g in saved["param_groups"]] == [[0, 1, 2]]
    assert {type(leaf) for leaf in leaves(saved)} <= {Tensor, int, float, bool, str, type(None)}


def test_numbers_of_parameters_run_through_the_groups():
    a, b, c = parameters()
    optimizer = optim.SGD([{"params": [c, a]}, {"params": [b]}], momentum=0.9)
    train(optimizer, [b], 1)
    saved = optimizer.state_dict()
    assert [g["params"] for g in saved["param_groups"]] == [[0, 1], [2]]
    assert list(saved["state"]) == [2]


def test_loaded_state_takes_the_parameters_dtype_and_its_array_may_be_numpys():
    params = parameters(np.float32)
    optimizer = optim.Adam(params)
    train(optimizer, params, 1)
    saved = optimizer.state_dict()
    saved["state"] = {
        i: {
            k: v.array.astype(np.float64) if isinstance(v, Tensor) else np.array(1.0)
            for k, v in state.items()
        }
        for i, state in saved["state"].items()
    }  # as from a file of arrays, the step too
    resumed = optim.Adam(params)
    resumed.load_state_dict(saved)
    state = resumed.state[params[0]]
    assert state["step"] == 1 and type(state["step"]) is int
    assert state["exp_avg"].dtype == np.float32


def test_a_foreign_state_is_refused_and_changes_nothing():
    params = parameters()
    optimizer = optim.Adam(params)
    train(optimizer, params, 1)
    before = flat(copy.deepcopy(optimizer.state_dict()))
    other = parameters()
    sgd = optim.SGD(other, momentum=0.9)
    train(sgd, other, 1)
    turned = [Tensor(p.array.T.copy(), requires_grad=True) for p in other]
    misshapen = optim.Adam(turned)
    train(misshapen, turned, 1)
    for foreign, message in [
        (optim.Adam(other[:2]), r"groups of \[2\] tensors, this optimizer has \[3\]"),
        (optim.Adam([{"params": other[:1]}, {"params": other[1:]}]), r"groups of \[1, 2\] tensors"),
        (sgd, "options .*betas.* missing"),
        (optim.LBFGS(other), "options .* missing"),
        (misshapen, r"'exp_avg' of parameter 0 has shape \(4, 3\), the parameter has \(3, 4\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(foreign.state_dict())
        assert flat(optimizer.state_dict()) == before


def test_options_out_of_range_are_refused_in_a_state_dict_too():
    optimizer = optim.SGD(parameters())
    for option, error in [({"lr": -1.0}, ValueError), ({"fused": True}, NotImplementedError)]:
        saved = optimizer.state_dict()
        saved["param_groups"][0].update(option)
        with pytest.raises(error, match=next(iter(option))):
            optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["lr"] == 1e-3


def test_all_parameters_share_one_piece_of_scratch_memory():
    scratch = Scratch()
    small, large = np.empty((2, 3)), np.empty((4, 5))
    first = scratch(small)
    assert scratch(large).shape == (4, 5)
    assert np.shares_memory(scratch(small), scratch(large))
    assert not np.shares_memory(first, scratch(large))
    assert not np.shares_memory(scratch(large), scratch(large, 1))
    assert scratch(large.astype(np.float32)).dtype == np.float32
    assert not np.shares_memory(copy.deepcopy(scratch)(large), scratch(large))


def test_a_dict_that_is_no_optimizers_is_refused():
    with pytest.raises(ValueError, match=r"not the state of an optimizer.*'weight'"):
        optim.SGD(parameters()).load_state_dict({"weight": Tensor(np.ones(1))})


def test_adamw_stays_decoupled_whatever_it_loads():
    params = parameters()
    adam, adamw = optim.Adam(params, weight_decay=0.1), optim.AdamW(params)
    train(adam, params, 1)
    adamw.load_state_dict(adam.state_dict())
    assert adamw.param_groups[0]["decoupled_weight_decay"] is True
    assert adamw.param_groups[0]["weight_decay"] == 0.1


class Elsewhere:
    """A tensor of another library, as PyTorch's is asked for its numbers."""

    def __init__(self, array):
        self.array_of_another = array

    def detach(self):
        return self

    cpu = detach

    def __array__(self, dtype=None, copy=None):
        return self.array_of_another


def test_tensors_of_another_library_in_a_state_become_ours():
    a, *_ = parameters()
    optimizer = optim.Adam([a])
    a.grad = Tensor(np.ones(a.shape))
    optimizer.step()
    saved = optimizer.state_dict()
    wanted = saved["state"][0]["exp_avg"].array.copy()
    saved["state"] = {0: {**saved["state"][0], "exp_avg": Elsewhere(wanted)}}
    optimizer.load_state_dict(saved)
    loaded = optimizer.state[a]["exp_avg"]
    assert type(loaded) is Tensor
    np.testing.assert_array_equal(loaded.array, wanted)
    assert loaded.array is not wanted


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"etas": 0.5}, TypeError, "etas=0.5: must be two numbers"),
        ({"step_sizes": (1,)}, TypeError, r"step_sizes=\(1,\): must be two numbers"),
        ({"etas": (1.0, 1.2)}, ValueError, r"etas\[0\]=1.0: must be greater than 0 and less than 1"),
        ({"etas": (0.5, 1)}, ValueError, r"etas\[1\]=1: must be greater than 1"),
    ],
)
def test_bad_options_of_rprop_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        optim.Rprop([Tensor(np.ones(1))], **options)

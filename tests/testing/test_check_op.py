"""check_op, check_module, check_optimizer: they pass what is right, and name the law that is broken."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.autograd import Function, is_grad_enabled
from tinygrad_rnn.testing import LawBroken, check_module, check_op, check_optimizer, laws
from tinygrad_rnn.testing.laws import modules, operations, optimizers


def normal(*shape):
    return np.random.default_rng(0).standard_normal(shape)


X = normal(3, 4)


def broken(check, *arguments, **options):
    """The laws that are broken, and the message."""
    with pytest.raises(LawBroken) as caught:
        check(*arguments, **options)
    return caught.value.laws, str(caught.value)


# --- operations


@pytest.mark.parametrize(
    ("fn", "reference", "examples", "static"),
    [
        (tg.tanh, np.tanh, [[X], [normal()], [normal(0, 3)]], {}),
        (tg.mul, np.multiply, [[X, normal(4)], [normal(), X], [normal(0, 4), normal(1, 4)]], {}),
        (
            tg.matmul,
            np.matmul,
            [[X, normal(4, 2)], [normal(2, 3, 4), normal(4)], [normal(0, 4), normal(4, 2)]],
            {},
        ),
        (tg.cumsum, lambda x, dim: np.cumsum(x, dim), [[X]], {"dim": 1}),
        (tg.max, lambda x, dim: (x.max(dim), x.argmax(dim)), [[X]], {"dim": 0}),
        (tg.where, np.where, [[X > 0, X, normal(4)]], {}),
        (tg.flip, np.flip, [[X, 0], [X, (0, 1)]], {}),
    ],
    ids=["tanh", "mul", "matmul", "cumsum", "max", "where", "flip"],
)
def test_a_right_operation_keeps_every_law(fn, reference, examples, static):
    verdict = check_op(fn, reference, *examples, **static)
    assert verdict == dict.fromkeys(operations.LAWS, "held")


def test_an_operation_on_integers_has_nothing_to_differentiate():
    verdict = check_op(tg.add, np.add, [np.arange(3), np.arange(3)])
    assert verdict["backward_is_the_derivative"] == "no float64 input"
    assert verdict["values_are_the_references"] == "held"


def summed(parts):
    return parts["a"] + parts["b"][0]


def test_arguments_may_be_nested():
    assert set(check_op(tg.cat, np.concatenate, [[X, X]], [(X, normal(2, 4)), 0]).values()) == {"held"}
    nested = {"a": X, "b": (normal(4), None)}
    assert set(check_op(summed, summed, [nested]).values()) == {"held"}


class Sevenfold(Function):
    """ReLU with a backward that is wrong by the factor 7."""

    @staticmethod
    def forward(ctx, x):
        return tg.relu(x)

    @staticmethod
    def backward(ctx, g):
        return g * 7


@pytest.mark.parametrize(
    "x",
    [X, tg.Tensor(X), tg.Tensor(X, requires_grad=True), np.float64(1.5)],
    ids=["array", "tensor", "leaf", "scalar"],
)
def test_tensors_and_scalars_are_examined_as_arrays_are(x):
    names, _ = broken(check_op, Sevenfold.apply, lambda x: np.maximum(x, 0), [x])
    assert "backward_is_the_derivative" in names
    assert set(names) <= {"backward_is_the_derivative", "second_derivatives"}


def test_a_nested_argument_is_named_by_its_place():
    names, told = broken(
        check_op, lambda xs: xs[0] * xs[1] if xs[0].requires_grad else (xs[0] * xs[1]).detach(),
        lambda xs: xs[0] * xs[1], [[X, X]], laws=["gradients_do_not_depend_on_who_asks"],
    )  # fmt: skip
    assert names == ["gradients_do_not_depend_on_who_asks"]
    assert "the gradient of argument 0[1], asked for alone,: none instead of one" in told


def test_a_wrong_value():
    names, told = broken(check_op, lambda x: tg.sigmoid(2 * x), lambda x: 1 / (1 + np.exp(-x)), [X])
    assert names == ["values_are_the_references"]
    assert "output 0[" in told
    assert "12 of 12 numbers differ" in told


def test_too_many_outputs():
    names, told = broken(check_op, lambda x: (x, x), lambda x: x, [X])
    assert "values_are_the_references" in names
    assert "2 outputs instead of 1" in told


class Twice(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g


def test_a_wrong_gradient():
    names, told = broken(check_op, Twice.apply, lambda x: 2 * x, [X])
    assert names == ["backward_is_the_derivative"]
    assert "by the factor 0.5" in told
    assert "d output[" in told


def test_a_cut_gradient():
    names, _ = broken(check_op, lambda x: x.detach() * 2, lambda x: 2 * x, [X])
    assert names == ["backward_is_the_derivative", "second_derivatives"]


def test_a_wrong_second_derivative():
    names, _ = broken(check_op, lambda x: x * x.detach() * 2 - (x * x).detach(), lambda x: x * x, [X])
    assert names == ["second_derivatives"]


def test_a_gradient_that_depends_on_who_asks():
    def forgets(a, b):
        return (
            a.detach() * b + a * b.detach() - (a * b).detach()
            if a.requires_grad and b.requires_grad
            else (a * b * 1).detach()
        )

    names, told = broken(check_op, forgets, np.multiply, [X, X], skip=["second_derivatives"])
    assert names == ["gradients_do_not_depend_on_who_asks"]
    assert "the gradient of argument 0, asked for alone,: none instead of one" in told


def test_a_value_that_depends_on_grad_mode():
    names, told = broken(check_op, lambda x: x * (2 if is_grad_enabled() else 3), lambda x: 2 * x, [X])
    assert names == ["gradients_do_not_depend_on_who_asks"]
    assert "under no_grad" in told


def test_an_operation_that_reads_memory_instead_of_numbers():
    def flat(x):
        return tg.Tensor(x.array.ravel(order="K").reshape(x.shape)) * 1 + x - x

    names, told = broken(check_op, flat, lambda x: x, [X], laws=["memory_layout_does_not_matter"])
    assert names == ["memory_layout_does_not_matter"]
    assert "of inputs transposed in memory" in told


def test_an_operation_that_widens():
    names, told = broken(check_op, lambda x: x.double() * 2, lambda x: 2 * x, [X])
    assert names == ["float32_stays_float32"]
    assert "output 0 of float32 inputs is float64" in told


def test_an_operation_that_is_inexact_in_float32():
    names, told = broken(check_op, lambda x: (x + 1e6) - 1e6, lambda x: (x + 1e6) - 1e6, [X])
    assert names == ["float32_stays_float32"]
    assert "in float32 off by" in told


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda x: (x * 2).detach(), "output 0 of float32 inputs requires no gradient, in float64 one"),
        (lambda x: (x * 2, x), "of float32 inputs: 2 outputs instead of 1"),
        (lambda x: (x * 2).sum(), "output 0 of float32 inputs: shape () instead of (3, 4)"),
        (lambda x: x.detach() * 2 + 0 * tg.ones(1, requires_grad=True), "gradient 0 of float32 inputs: none"),
    ],
    ids=["cut", "more outputs", "shape", "cut off its input"],
)
def test_an_operation_that_is_another_in_float32(wrong, words):
    law = "float32_stays_float32"
    names, told = broken(
        check_op, lambda x: wrong(x) if x.dtype == tg.float32 else x * 2, lambda x: 2 * x, [X], laws=[law]
    )
    assert names == [law]
    assert words in told


def test_the_outputs_under_no_grad_are_as_many():
    names, told = broken(
        check_op, lambda x: (x * 2, x * 3)[: 1 + is_grad_enabled()], lambda x: (2 * x, 3 * x), [X]
    )
    assert names == ["gradients_do_not_depend_on_who_asks"]
    assert "under no_grad: 1 outputs instead of 2" in told


@pytest.mark.parametrize("unit", [1e-5, 1e-12, 1e-30])
def test_small_gradients_are_examined_in_float32_as_large_ones_are(unit):
    class Vanishes(Function):
        @staticmethod
        def forward(ctx, x):
            return x * unit

        @staticmethod
        def backward(ctx, g):
            return g * unit if g.dtype == tg.float64 else g * 0

    names, told = broken(check_op, Vanishes.apply, None, [X], laws=["float32_stays_float32"])
    assert names == ["float32_stays_float32"]
    assert "gradient 0: in float32 off by" in told


@pytest.mark.parametrize("unit", [1e-5, 1e-12, 1e-30])
def test_small_numbers_are_examined_in_float32_as_large_ones_are(unit):
    def vanishes(x):
        return x * unit if x.dtype == tg.float64 else x * 0

    names, told = broken(check_op, vanishes, lambda x: x * unit, [X], laws=["float32_stays_float32"])
    assert names == ["float32_stays_float32"]
    assert "output 0: in float32 off by" in told


def test_an_infinite_number_does_not_excuse_the_others():
    def vanishes(x):
        return 1 / x if x.dtype == tg.float64 else 1 / x * tg.where(x == 0, 1.0, 2.0).float()

    x = np.array([0.0, 1.0, 2.0])
    names, _ = broken(check_op, vanishes, lambda x: 1 / x, [x], laws=["float32_stays_float32"])
    assert names == ["float32_stays_float32"]


def test_a_small_wrong_value():
    names, _ = broken(check_op, lambda x: 3 * tg.exp(-x), lambda x: np.exp(-x), [np.array([25.0, 30.0])])
    assert names == ["values_are_the_references"]


@pytest.mark.parametrize(
    ("fn", "reference", "x"),
    [
        (tg.exp, np.exp, np.array([100.0, -100.0])),  # infinite and zero in float32
        (tg.floor, np.floor, np.array([2 - 1e-12])),  # rounded to 2 in float32
        (lambda x: x - 1, lambda x: x - 1, np.array([1 + 1.3e-6])),  # what is left has few digits
        (lambda x: tg.softmax(x, 0), None, np.array([30.0, -18.5, 54.7])),  # the gradient cancels
        (lambda x: nn.functional.layer_norm(x, (2,)), None, 30 * X[:, :2]),
    ],
    ids=["overflow", "jump", "cancellation", "saturation", "two features"],
)
def test_what_rounding_does_is_no_fault_of_the_operation(fn, reference, x):
    assert check_op(fn, reference, [x], laws=["float32_stays_float32"])["float32_stays_float32"] == "held"


def test_an_operation_that_writes_into_its_input():
    def writes(x):
        y = tg.tanh(x)
        x.array[...] = 0
        return y

    names, told = broken(check_op, writes, np.tanh, [X], laws=["nothing_is_written"])
    assert names == ["nothing_is_written"]
    assert "argument 0, afterwards," in told


def test_an_engine_that_hands_out_its_own_memory_is_noticed(monkeypatch):
    monkeypatch.setattr(operations, "grad", lambda ys, leaves, *_, **__: [tg.Tensor(x.array) for x in leaves])
    _, told = broken(check_op, tg.mul, np.multiply, [X, 2], laws=["nothing_is_written"])
    assert "gradient 0 shares memory with argument 0" in told
    seen = tg.Tensor(normal(3, 4))
    monkeypatch.setattr(operations, "grad", lambda ys, leaves, *_, **__: [seen for _ in leaves])
    _, told = broken(check_op, tg.mul, np.multiply, [X, X], laws=["nothing_is_written"])
    assert "gradient 1 shares memory with gradient 0" in told


def test_the_call_that_reproduces_it_is_printed():
    _, told = broken(
        check_op, Twice.apply, lambda x: 2 * x, [np.array([1.5, 2.5])], laws=["backward_is_the_derivative"]
    )
    assert "[np.array([1.5, 2.5], np.float64).reshape((2,))], laws=['backward_is_the_derivative'])" in told


def triple(x):
    return 3 * x


def again(told):
    return told.split("to reproduce: ")[1]


def test_the_call_that_reproduces_it_has_names_that_can_be_written():
    call = again(broken(check_op, Twice.apply, triple, [X[0, :1]], laws=["values_are_the_references"])[1])
    assert call.startswith("check_op(Twice.apply, triple, [np.array(")
    with pytest.raises(LawBroken):
        eval(call, {"check_op": check_op, "Twice": Twice, "triple": triple, "np": np})
    _, told = broken(check_op, lambda x: 2 * x, triple, [X[0, :1]])
    assert again(told).startswith("check_op(fn, triple, [")
    assert again(told).endswith("  # fn: <lambda>")
    _, told = broken(check_op, tg.Tensor(X).add, triple, [X], laws=["values_are_the_references"])
    assert again(told).startswith("check_op(fn, triple, [")


def test_the_call_that_reproduces_it_has_the_options():
    _, told = broken(check_op, tg.tanh, np.tanh, [X[0, :2]], rtol=1e-12)
    assert again(told).startswith("check_op(fn, reference, [")
    assert again(told).endswith("laws=['float32_stays_float32'], rtol=1e-12)  # fn: tanh, reference: tanh")
    _, told = broken(check_op, lambda x, dim: x, triple, [X], dim=np.arange(2), exact=1e-9, atol=1e-7)
    assert ", exact=1e-09, atol=1e-07, dim=np.array([0, 1], np.int64).reshape((2,)))" in told


# --- ill-conditioned, and with kinks


class Nearly(Function):
    """x² with a derivative that is off by 1e-9: as what is ill-conditioned may be."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x * (2 + 1e-9)


def test_how_closely_derivatives_are_looked_at_can_be_said():
    first = ["backward_is_the_derivative"]
    assert broken(check_op, Nearly.apply, np.square, [X], laws=first)[0] == first
    assert check_op(Nearly.apply, np.square, [X], laws=first, exact=1e-7)[first[0]] == "held"
    net = type("Net", (nn.Module,), {"forward": lambda self, x: Nearly.apply(x)})()
    assert broken(check_module, net, [X], laws=first)[0] == first
    assert check_module(net, [X], laws=first, exact=1e-7)[first[0]] == "held"


@pytest.mark.parametrize("name", ["exact", "rtol", "atol"])
def test_gradcheck_is_told_how_closely_to_look(name, monkeypatch):
    told = {}
    for book in (operations, modules):
        monkeypatch.setattr(book, "gradcheck", lambda *_, **options: told.update(options) or True)
    check_module(nn.Linear(4, 2), [X], laws=["backward_is_the_derivative"], **{name: 0.25})
    assert told.pop(name) == 0.25
    if name != "rtol":  # of float32, in check_op
        check_op(tg.tanh, np.tanh, [X], laws=["backward_is_the_derivative"], **{name: 0.25})
        assert told[name] == 0.25


def test_what_lies_at_kinks_was_not_checked():
    law = "backward_is_the_derivative"
    for verdict in (
        check_op(tg.abs, np.abs, [np.zeros(1)], laws=[law]),
        check_module(nn.ReLU(), [np.zeros(1)], laws=[law]),
    ):
        assert verdict[law].startswith("not checked: 0 entries compared, 1 at kinks, as output[0] by ")
    assert check_op(tg.abs, np.abs, [np.zeros(1)], [X], laws=[law])[law] == "held"


def test_integers_have_no_derivative():
    verdict = check_op(tg.argmax, np.argmax, [X])
    assert verdict["backward_is_the_derivative"] == verdict["second_derivatives"] == "no float output"
    verdict = check_module(nn.Identity(), [np.arange(3)])
    assert verdict["backward_is_the_derivative"] == "nothing requires a gradient"
    assert verdict["every_parameter_matters"] == "held"


# --- modules


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (nn.Linear(3, 2), normal(4, 3)),
        (nn.LayerNorm(4), X),
        (nn.BatchNorm1d(3), normal(6, 3)),
        (nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5), nn.Linear(3, 2)), X),
        (nn.LSTM(4, 2, bidirectional=True), normal(3, 2, 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_right_module_keeps_every_law(module, x):
    assert check_module(module, [x]) == dict.fromkeys(modules.LAWS, "held")


def test_a_module_may_be_given_nested_states():
    state = normal(1, 1, 2), normal(1, 1, 2)
    assert set(check_module(nn.LSTM(4, 2), [X[:, None], state]).values()) == {"held"}
    assert set(check_module(nn.GRU(4, 2), [tg.Tensor(X[:, None])]).values()) == {"held"}


class Net(nn.Module):
    """x W, W being 4 x 2."""

    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(tg.zeros(4, 2))
        self.register_buffer("calls", tg.zeros(()))

    def forward(self, x):
        return x @ self.W


def net(forward):
    return type("Wrong", (Net,), {"forward": forward})()


def counts(self, x):
    self.calls += 1
    return x @ self.W


def writes(self, x):
    self.W.array[...] *= 2
    return x @ self.W


def hides(self, x):
    self.__dict__.setdefault("hidden", self.W.array.sum())
    return x @ self.W + float(self.hidden)


class Shares(Net):
    def __deepcopy__(self, memo):
        return self


@pytest.mark.parametrize(
    ("module", "law", "words"),
    [
        (net(lambda self, x: Twice.apply(x @ self.W)), "backward_is_the_derivative", "by the factor 0.5"),
        (net(lambda self, x: x @ (self.W * self.W.detach())), "second_derivatives", "gradgradcheck"),
        (
            net(lambda self, x: x @ self.W.detach() + 0 * self.W.sum()),
            "every_parameter_matters",
            "W is zero everywhere",
        ),
        (net(lambda self, x: x * 1), "every_parameter_matters", "the gradient of W is missing"),
        (
            net(lambda self, x: x @ self.W + tg.rand(1)),
            "evaluation_is_deterministic",
            "the state of the default generator",
        ),
        (net(counts), "evaluation_is_deterministic", "the buffer calls, after two calls,"),
        (
            net(lambda self, x: x @ self.W + float(np.random.default_rng().random())),
            "evaluation_is_deterministic",
            "second call",
        ),
        (net(writes), "inputs_are_never_written", "W, after a call,"),
        (net(hides), "the_state_is_everything", "after load_state_dict"),
        (Shares(), "a_copy_is_independent", "after a copy was changed,"),
    ],
)
def test_a_wrong_module_breaks_its_law(module, law, words):
    names, told = broken(check_module, module, [X], laws=[law])
    assert names == [law]
    assert words in told


# --- optimizers

MAKERS = [
    (optim.SGD, {"lr": 0.05}),
    (optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
    (optim.Adam, {"lr": 0.05}),
    (optim.AdamW, {"lr": 0.05, "amsgrad": True}),
    (optim.RMSprop, {"lr": 0.01, "centered": True}),
    (optim.Adagrad, {"lr": 0.5}),
    (optim.Adadelta, {"lr": 1.0}),
    (optim.NAdam, {}),
    (optim.RAdam, {}),
    (optim.LBFGS, {"line_search_fn": "strong_wolfe"}),
]


@pytest.mark.parametrize(("make", "options"), MAKERS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_right_optimizer_keeps_every_law(make, options):
    verdict = check_optimizer(make, **options)
    strays = {name: told for name, told in verdict.items() if told != "held"}
    assert set(verdict) == set(optimizers.LAWS)
    assert strays.pop("it_takes_the_references_steps") == "no reference given"
    assert set(strays) == ({"groups_are_independent"} if make is optim.LBFGS else set())


def test_an_optimizer_may_have_no_learning_rate():
    class Fixed(optim.SGD):
        def __init__(self, params):
            super().__init__(params, lr=0.01)
            del self.defaults["lr"]

    assert check_optimizer(Fixed, laws=["groups_are_independent"])["groups_are_independent"] == "held"


class Uphill(optim.SGD):
    def step(self, closure=None):
        self.param_groups[0]["lr"] = -abs(self.param_groups[0]["lr"])
        return super().step(closure)


class Forgets(optim.SGD):
    """The momentum does not travel with the state."""

    def load_state_dict(self, state):
        pass


class FirstGroupOnly(optim.SGD):
    def step(self, closure=None):
        del self.param_groups[1:]
        return super().step(closure)


class OneRate(optim.SGD):
    """The learning rate of the first group for all of them."""

    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] = self.defaults["lr"]
        return super().step(closure)


class LeavesNoGrad(optim.SGD):
    def step(self, closure=None):
        loss = super().step(closure)
        tg.autograd.set_grad_enabled(False)
        return loss


class DecaysAll(optim.SGD):
    """Weight decay without a gradient."""

    def step(self, closure=None):
        loss = super().step(closure)
        for p in self.param_groups[0]["params"]:
            p.array *= 0.99
        return loss


class Moves(optim.SGD):
    def step(self, closure=None):
        loss = super().step(closure)
        for p in self.param_groups[0]["params"]:
            p.array = p.array.copy()
        return loss


class EatsGradients(optim.SGD):
    def step(self, closure=None):
        loss = super().step(closure)
        for p in self.param_groups[0]["params"]:
            p.grad.array *= 0.5
        return loss


class DropsGradients(optim.SGD):
    def step(self, closure=None):
        loss = super().step(closure)
        self.zero_grad()
        return loss


class SaysNothing(optim.SGD):
    def step(self, closure=None):
        return 0.0 * super().step(closure)


class InSecret(optim.Optimizer):
    """Writes into the memory without saying so."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    def step(self, closure=None):
        loss = closure()
        for p in self.param_groups[0]["params"]:
            if p.grad is not None:
                p.array -= self.param_groups[0]["lr"] * p.grad.array
        return loss


class NeverStarts(optim.SGD):
    def step(self, closure=None):
        return closure()


class KeepsGradients(optim.SGD):
    def zero_grad(self, set_to_none=True):
        pass


@pytest.mark.parametrize(
    ("make", "law", "words"),
    [
        (Uphill, "it_descends", "its minimum is"),
        (Forgets, "a_resumed_run_is_the_same_run", "of the resumed run,"),
        (FirstGroupOnly, "groups_are_independent", "in a group of its own,"),
        (OneRate, "groups_are_independent", "b, in a group with half the learning rate, goes the way of"),
        (LeavesNoGrad, "a_resumed_run_is_the_same_run", "grad mode was True, and is False afterwards"),
        (DecaysAll, "what_has_no_gradient_stays", "the parameter without a gradient"),
        (Moves, "it_writes_parameters_in_place", "W has moved to other memory"),
        (EatsGradients, "it_writes_parameters_in_place", "the gradient of W, after the step,"),
        (DropsGradients, "it_writes_parameters_in_place", "the gradient of W is gone"),
        (SaysNothing, "it_writes_parameters_in_place", "what step returns"),
        (InSecret, "an_old_graph_refuses_to_run", "ran on the new ones"),
        (NeverStarts, "an_old_graph_refuses_to_run", "the first step changed nothing"),
        (KeepsGradients, "zero_grad_clears", "the gradient of W is still there"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wrong_optimizer_breaks_its_law(make, law, words):
    options = {"lr": 0.05, "momentum": 0.9} if make is Forgets else {"lr": 0.05}
    names, told = broken(check_optimizer, make, laws=[law], **options)
    assert names == [law]
    assert words in told


def test_what_reproduces_it_is_a_call():
    _, told = broken(check_optimizer, Uphill, lr=0.05, laws=["it_descends"])
    again = told.split("to reproduce: ")[1]
    assert again == "check_optimizer(Uphill, laws=['it_descends'], seed=0, lr=0.05)"
    with pytest.raises(LawBroken):
        eval(again, {"check_optimizer": check_optimizer, "Uphill": Uphill})


# --- arguments


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: check_op(tg.tanh, np.tanh), ValueError, "check_op: give at least one list of arguments"),
        (
            lambda: check_op(tg.tanh, np.tanh, [X], laws=["nonsense"]),
            ValueError,
            "check_op: there is no law 'nonsense'",
        ),
        (
            lambda: check_op(tg.cat, np.concatenate, [[X, X.astype(np.float32)]]),
            TypeError,
            r"check_op: argument 0\[1\] is float32, of shape \(3, 4\); pass float64",
        ),
        (
            lambda: check_op(tg.tanh, np.tanh, [tg.tensor([1.5], dtype=tg.float16)]),
            TypeError,
            "check_op: argument 0 is float16",
        ),
        (
            lambda: check_module(nn.Tanh(), [np.float32(1)]),
            TypeError,
            r"check_module: argument 0 is float32, of shape \(\); pass float64",
        ),
        (
            lambda: check_op(tg.tanh, np.tanh, X),
            TypeError,
            r"check_op: each example is a list of arguments, got ndarray; pass \[x\]",
        ),
        (lambda: check_module(tg.tanh, [X]), TypeError, "check_module: expected a Module, got tanh"),
        (
            lambda: check_module(nn.Identity()),
            ValueError,
            "check_module: give at least one list of arguments",
        ),
        (
            lambda: check_optimizer(optim.SGD, skip=["nonsense"], lr=1),
            ValueError,
            "check_optimizer: there is no law",
        ),
    ],
)
def test_a_wrong_argument_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_laws_are_sentences():
    for book in (laws.LAWS, operations.LAWS, modules.LAWS, optimizers.LAWS):
        for law in book.values():
            told = laws.law.statement(law)
            assert told.endswith(".")
            assert told[:1] != " "

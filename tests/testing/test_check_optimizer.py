"""check_optimizer with a reference: the formula of an update, against the same one in plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import optim
from tinygrad_rnn.testing import LawBroken, check_optimizer

LAW = "it_takes_the_references_steps"


def sgd(parameter, gradient, state, lr=1e-3, momentum=0.0, weight_decay=0.0, nesterov=False):
    gradient = gradient + weight_decay * parameter
    state["b"] = momentum * state["b"] + gradient if state else gradient
    return parameter - lr * (gradient + momentum * state["b"] if nesterov else state["b"])


def adam(parameter, gradient, state, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    gradient = gradient + weight_decay * parameter
    t, m, v = state.get("tmv", (0, 0.0, 0.0))
    t, m, v = t + 1, betas[0] * m + (1 - betas[0]) * gradient, betas[1] * v + (1 - betas[1]) * gradient**2
    state["tmv"] = t, m, v
    return parameter - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)


def adamw(parameter, gradient, state, lr=1e-3, weight_decay=1e-2):
    return adam(parameter * (1 - lr * weight_decay), gradient, state, lr)


def adamax(parameter, gradient, state, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
    gradient = gradient + weight_decay * parameter
    t, m, u = state.get("tmu", (0, 0.0, 0.0))
    t, m = t + 1, betas[0] * m + (1 - betas[0]) * gradient
    u = np.maximum(betas[1] * u, np.abs(gradient) + eps)
    state["tmu"] = t, m, u
    return parameter - lr / (1 - betas[0] ** t) * m / u


def asgd(parameter, gradient, state, lr=1e-2, lambd=1e-4, alpha=0.75, weight_decay=0.0):
    gradient = gradient + weight_decay * parameter
    state["t"] = t = state.get("t", 0) + 1
    eta = lr / (1 + lambd * lr * (t - 1)) ** alpha
    return (1 - lambd * eta) * parameter - eta * gradient


def rprop(parameter, gradient, state, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50)):
    before, delta = state.get("last", (0 * gradient, lr + 0 * gradient))
    agreement = gradient * before
    delta = np.clip(delta * np.select([agreement > 0, agreement < 0], [etas[1], etas[0]], 1), *step_sizes)
    gradient = np.where(agreement < 0, 0, gradient)
    state["last"] = gradient, delta
    return parameter - np.sign(gradient) * delta


class Uncorrected(optim.Optimizer):
    """Adam without the correction of its means."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def step(self, closure=None):
        loss = None if closure is None else closure()
        for group in self.param_groups:
            for p in (p for p in group["params"] if p.grad is not None):
                self.update(p, group["lr"], *group["betas"], group["eps"])
        return loss

    def update(self, p, lr, beta1, beta2, eps):
        g, state = p.grad, self.state[p]
        m, v = state.get("m", tg.zeros_like(p)), state.get("v", tg.zeros_like(p))
        state["m"], state["v"] = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
        with tg.no_grad():
            p -= lr * state["m"] / (state["v"].sqrt() + eps)


class DropsDecay(optim.SGD):
    def __init__(self, params, lr, weight_decay=0.0):
        super().__init__(params, lr)


@pytest.mark.parametrize(
    ("make", "reference", "options"),
    [
        (optim.Adamax, adamax, {"lr": 0.05}),
        (optim.Adamax, adamax, {"lr": 0.05, "betas": (0.5, 0.7), "weight_decay": 0.1}),
        (optim.ASGD, asgd, {"lr": 0.05, "weight_decay": 0.1}),
        (optim.ASGD, asgd, {"lr": 0.05, "lambd": 0.5, "alpha": 0.9}),
        (optim.Rprop, rprop, {"lr": 0.01}),
        (optim.Rprop, rprop, {"lr": 0.02, "etas": (0.3, 1.5), "step_sizes": (1e-3, 0.05)}),
        (optim.SGD, sgd, {"lr": 0.05}),
        (optim.SGD, sgd, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
        (optim.SGD, sgd, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
        (optim.Adam, adam, {"lr": 0.05}),
        (optim.Adam, adam, {"lr": 0.05, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
        (optim.AdamW, adamw, {"lr": 0.05, "weight_decay": 0.1}),
    ],
)
def test_a_right_optimizer_takes_the_steps_of_its_reference(make, reference, options):
    assert set(check_optimizer(make, reference=reference, **options).values()) == {"held"}


@pytest.mark.parametrize(
    ("make", "reference", "options"),
    [(Uncorrected, adam, {"lr": 0.05}), (DropsDecay, sgd, {"lr": 0.05, "weight_decay": 0.1})],
)
def test_a_wrong_formula_is_seen_only_with_a_reference(make, reference, options):
    verdict = check_optimizer(make, **options)
    assert verdict.pop(LAW) == "no reference given"
    assert set(verdict.values()) == {"held"}
    with pytest.raises(LawBroken) as caught:
        check_optimizer(make, reference=reference, **options)
    assert caught.value.laws == [LAW]
    told = str(caught.value)
    assert "parameter 0 of shape (3, 2), after step 1, is off by" in told
    call = told.split("to reproduce: ")[1]
    assert call.startswith(f"check_optimizer({make.__name__}, reference={reference.__name__}, laws=['{LAW}']")
    with pytest.raises(LawBroken):
        eval(call, {"check_optimizer": check_optimizer, make.__name__: make, reference.__name__: reference})


def test_a_small_step_is_examined():
    with pytest.raises(LawBroken):
        check_optimizer(optim.SGD, reference=lambda p, g, state, lr: p - 1.01 * lr * g, lr=1e-7, laws=[LAW])


def test_what_is_no_number_is_no_step():
    with pytest.raises(LawBroken):
        check_optimizer(optim.SGD, reference=lambda p, g, state, lr: p * np.nan, lr=0.05, laws=[LAW])


def test_a_reference_may_write_into_what_it_is_given():
    def writes(parameter, gradient, state, lr):
        gradient *= lr
        parameter -= gradient
        return parameter

    assert check_optimizer(optim.SGD, reference=writes, lr=0.05, laws=[LAW])[LAW] == "held"


def test_a_call_without_names_is_told_by_roles():
    with pytest.raises(LawBroken) as caught:
        check_optimizer(lambda p: optim.SGD(p, lr=0.05), reference=lambda p, g, state: p, laws=[LAW])
    call = str(caught.value).split("to reproduce: ")[1]
    assert call.startswith(f"check_optimizer(make, reference=reference, laws=['{LAW}'], seed=0)")
    assert call.endswith("  # make: <lambda>, reference: <lambda>")


def test_a_wrong_reference_is_named():
    with pytest.raises(TypeError, match="check_optimizer: reference=3: must be a function, or left out"):
        check_optimizer(optim.SGD, reference=3, lr=0.05)
    with pytest.raises(LawBroken, match="reference: returned object of shape"):
        check_optimizer(optim.SGD, reference=lambda p, g, state, lr: None, lr=0.05, laws=[LAW])

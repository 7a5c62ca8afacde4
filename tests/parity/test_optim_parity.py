"""Random options, random problems: our optimizers and PyTorch's walk together, and exchange their state."""

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_rnn import optim
from tinygrad_rnn.engine.tensor import Tensor

torch = pytest.importorskip("torch")

rate, decay, flag = st.floats(1e-4, 0.1), st.sampled_from([0.0, 0.01, 0.3]), st.booleans()
momentum = st.sampled_from([0.0, 0.5, 0.9])
eps = st.sampled_from([1e-8, 1e-4])
betas = st.tuples(st.floats(0, 0.95), st.floats(0.1, 0.999))
common = {"lr": rate, "weight_decay": decay, "maximize": flag}
OPTIONS = {
    "SGD": {**common, "momentum": momentum, "dampening": st.sampled_from([0.0, 0.4]), "nesterov": flag},
    "Adam": {**common, "betas": betas, "eps": eps, "amsgrad": flag, "decoupled_weight_decay": flag},
    "AdamW": {**common, "betas": betas, "eps": eps, "amsgrad": flag},
    "NAdam": {**common, "betas": betas, "eps": eps, "decoupled_weight_decay": flag, "momentum_decay": decay},
    "RAdam": {**common, "betas": betas, "eps": eps, "decoupled_weight_decay": flag},
    "RMSprop": {**common, "alpha": st.floats(0.1, 0.99), "eps": eps, "momentum": momentum, "centered": flag},
    "Adagrad": {**common, "eps": eps, "lr_decay": decay, "initial_accumulator_value": decay},
    "Adadelta": {**common, "rho": st.floats(0, 1), "eps": eps},
    "Adamax": {**common, "betas": betas, "eps": eps},
    "ASGD": {**common, "lambd": decay, "alpha": st.floats(0, 1), "t0": st.sampled_from([0, 2, 1e6])},
    "Rprop": {
        "lr": rate,
        "maximize": flag,
        "etas": st.tuples(st.floats(0.1, 0.9), st.floats(1.1, 2)),
        "step_sizes": st.tuples(st.floats(1e-4, 1e-3), st.floats(0.01, 1)),
    },
}
cases = st.sampled_from(sorted(OPTIONS)).flatmap(
    lambda name: st.tuples(st.just(name), st.fixed_dictionaries({}, optional=OPTIONS[name]))
)
shapes = st.lists(st.lists(st.integers(0, 4), max_size=3).map(tuple), min_size=1, max_size=3)


@pytest.fixture(autouse=True)
def double_precision():
    """NAdam of PyTorch keeps a product in the default dtype."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class Pair:
    """The same parameters and the same optimizer, ours and PyTorch's."""

    def __init__(self, name, options, shapes, seed):
        self.rng, self.stepped = np.random.default_rng(seed), False
        arrays = [np.asarray(self.rng.normal(size=shape)) for shape in shapes]
        self.ours = [Tensor(a.copy(), requires_grad=True) for a in arrays]
        self.theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
        self.make_ours = lambda: getattr(optim, name)(self.ours, **options)
        self.make_theirs = lambda: getattr(torch.optim, name)(self.theirs, **options)
        self.optimizers = [self.make_ours(), self.make_theirs()]

    def step(self):
        for p, q in zip(self.ours, self.theirs):
            g = np.asarray(self.rng.normal(size=p.shape) + 0.1 * p.array)
            missing = self.stepped and self.rng.random() < 0.2
            p.grad = None if missing else Tensor(g)
            q.grad = None if missing else torch.tensor(g)
        for optimizer in self.optimizers:
            optimizer.step()
        self.stepped = True

    def compare(self, rtol=1e-9):
        for p, q in zip(self.ours, self.theirs):
            np.testing.assert_allclose(p.array, q.detach().numpy(), rtol=rtol, atol=1e-11)


def accepted(name, options):
    """Whether both libraries accept the options, or neither does."""
    outcomes = []
    for library in (optim, torch.optim):
        parameter = Tensor(np.ones(1)) if library is optim else torch.ones(1)
        try:
            getattr(library, name)([parameter], **options)
            outcomes.append(True)
        except ValueError:
            outcomes.append(False)
    assert outcomes[0] == outcomes[1], (name, options)
    return outcomes[0]


@settings(max_examples=200, deadline=None)
@given(cases, shapes, st.integers(0, 2**32 - 1))
def test_random_options_give_pytorchs_steps(case, shapes, seed):
    if not accepted(*case):
        return
    pair = Pair(*case, shapes, seed)
    for _ in range(8):
        pair.step()
        pair.compare()


def to_torch(value):
    if isinstance(value, dict):
        return {k: torch.tensor(float(v)) if k == "step" else to_torch(v) for k, v in value.items()}
    return torch.tensor(value.array) if isinstance(value, Tensor) else value


def from_torch(value):
    if isinstance(value, dict):
        return {k: from_torch(v) for k, v in value.items()}
    return Tensor(value.numpy()) if isinstance(value, torch.Tensor) else value


@settings(max_examples=60, deadline=None)
@given(cases, st.integers(0, 2**32 - 1))
def test_states_can_be_exchanged(case, seed):
    if not accepted(*case):
        return
    pair = Pair(*case, [(2, 3), (4,)], seed)
    for _ in range(5):
        pair.step()
    ours, theirs = (copy.deepcopy(optimizer.state_dict()) for optimizer in pair.optimizers)
    assert {i: set(s) for i, s in ours["state"].items()} == {
        i: {k for k, v in s.items() if v is not None} for i, s in theirs["state"].items()
    }
    assert {*ours["param_groups"][0]} == {*theirs["param_groups"][0]}
    pair.optimizers = [pair.make_ours(), pair.make_theirs()]
    pair.optimizers[0].load_state_dict({**theirs, "state": from_torch(theirs["state"])})
    pair.optimizers[1].load_state_dict({**ours, "state": to_torch(ours["state"])})
    for _ in range(5):
        pair.step()
    pair.compare()


@settings(max_examples=60, deadline=None)
@given(cases, st.integers(0, 2**32 - 1))
def test_a_state_of_pytorch_is_taken_as_it_is(case, seed):
    if not accepted(*case):
        return
    pair = Pair(*case, [(2, 3), (4,)], seed)
    for _ in range(3):
        pair.step()
    pair.ours = [Tensor(q.detach().numpy().copy(), requires_grad=True) for q in pair.theirs]
    pair.optimizers[0] = pair.make_ours()
    pair.optimizers[0].load_state_dict(pair.optimizers[1].state_dict())
    kept = [v for state in pair.optimizers[0].state.values() for v in state.values()]
    assert not any(isinstance(v, torch.Tensor) for v in kept)
    for _ in range(3):
        pair.step()
    pair.compare()


@pytest.mark.parametrize("name", [*OPTIONS, "LBFGS"])
def test_signature_is_pytorchs(name):
    import inspect

    def signature(library):
        parameters = inspect.signature(getattr(library, name)).parameters.values()
        return [(p.name, p.default, p.kind) for p in parameters]

    assert signature(optim) == signature(torch.optim)


@pytest.mark.parametrize("name", optim.lr_scheduler.__all__)
def test_signature_of_a_scheduler_is_pytorchs(name):
    import inspect

    def signature(library):
        parameters = inspect.signature(getattr(library.lr_scheduler, name)).parameters.values()
        return [(p.name, p.default, p.kind) for p in parameters]

    assert signature(optim) == signature(torch.optim)


def composed(library, o, names, milestones):
    """A chain of schedules, or with `milestones` a sequence of them."""
    s = library.lr_scheduler
    make = {
        "constant": lambda: s.ConstantLR(o, 0.5, 3),
        "linear": lambda: s.LinearLR(o, 0.25, 1.0, 4),
        "polynomial": lambda: s.PolynomialLR(o, 20, 2.0),
        "exponential": lambda: s.ExponentialLR(o, 0.9),
        "steps": lambda: s.StepLR(o, 2, 0.5),
        "milestones": lambda: s.MultiStepLR(o, [1, 3], 0.5),
        "cosine": lambda: s.CosineAnnealingLR(o, 9),
        "lambda": lambda: s.LambdaLR(o, lambda e: 1 / (1 + e)),
        "restarts": lambda: s.CosineAnnealingWarmRestarts(o, 2, 2),
    }
    if milestones is None:
        return s.ChainedScheduler([make[name]() for name in names])
    return s.SequentialLR(o, [make[name]() for name in names], milestones)


KINDS = [
    "constant",
    "linear",
    "polynomial",
    "exponential",
    "steps",
    "milestones",
    "cosine",
    "lambda",
    "restarts",
]
chains = st.lists(st.sampled_from(KINDS[:6]), min_size=1, max_size=4).map(lambda names: (names, None))
sequences = st.lists(st.sampled_from(KINDS), min_size=1, max_size=4).flatmap(
    lambda names: st.tuples(
        st.just(names),
        st.sets(st.integers(1, 15), min_size=len(names) - 1, max_size=len(names) - 1).map(sorted),
    )
)


@settings(max_examples=150, deadline=None)
@given(chains | sequences, flag)
@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
def test_schedules_of_schedules_are_pytorchs(case, resumed):
    runs = []
    for library, parameter in ((optim, Tensor(np.ones(1))), (torch.optim, torch.ones(1))):
        optimizer = library.SGD([parameter], lr=0.3)
        scheduler, rates = composed(library, optimizer, *case), []
        for epoch in range(20):
            rates.append([optimizer.param_groups[0]["lr"], scheduler.get_last_lr()[0]])
            if resumed and epoch == 9 and library is optim:
                states = copy.deepcopy([optimizer.state_dict(), scheduler.state_dict()])
                optimizer = optim.SGD([parameter], lr=0.3)
                scheduler = composed(optim, optimizer, *case)
                optimizer.load_state_dict(states[0])
                scheduler.load_state_dict(states[1])
            optimizer.step()
            scheduler.step()
        runs.append(np.array(rates))
    np.testing.assert_allclose(*runs, rtol=1e-10, atol=1e-14)


schedules = st.one_of(
    st.tuples(
        st.just("ConstantLR"),
        st.fixed_dictionaries({"factor": st.floats(0.1, 1), "total_iters": st.integers(1, 25)}),
    ),
    st.tuples(
        st.just("PolynomialLR"),
        st.fixed_dictionaries({"total_iters": st.integers(1, 25), "power": st.floats(0.2, 3)}),
    ),
    st.tuples(
        st.just("MultiplicativeLR"),
        st.floats(0.5, 1.1).map(lambda q: {"lr_lambda": lambda e: q ** (e % 3)}),
    ),
    st.tuples(
        st.just("CyclicLR"),
        st.fixed_dictionaries(
            {
                "base_lr": st.floats(0.001, 0.1),
                "max_lr": st.floats(0.1, 1),
                "step_size_up": st.integers(1, 7),
                "step_size_down": st.none() | st.integers(1, 7),
                "mode": st.sampled_from(["triangular", "triangular2", "exp_range"]),
                "gamma": st.floats(0.8, 1),
                "scale_fn": st.none() | st.just(lambda x: 1 / (1 + x)),
                "scale_mode": st.sampled_from(["cycle", "iterations"]),
                "cycle_momentum": flag,
            }
        ),
    ),
    st.tuples(
        st.just("StepLR"),
        st.fixed_dictionaries({"step_size": st.integers(1, 6), "gamma": st.floats(0.1, 1.2)}),
    ),
    st.tuples(
        st.just("MultiStepLR"),
        st.fixed_dictionaries({"milestones": st.lists(st.integers(0, 20), max_size=5)}),
    ),
    st.tuples(
        st.just("LinearLR"),
        st.fixed_dictionaries(
            {
                "start_factor": st.floats(0.1, 1),
                "end_factor": st.floats(0, 1),
                "total_iters": st.integers(1, 25),
            }
        ),
    ),
    st.tuples(st.just("ExponentialLR"), st.fixed_dictionaries({"gamma": st.floats(0.5, 1.1)})),
    st.tuples(
        st.just("CosineAnnealingLR"),
        st.fixed_dictionaries(
            {"T_max": st.integers(1, 25) | st.sampled_from([0.5, 2.5, 10.25]), "eta_min": st.floats(0, 0.1)}
        ),
    ),
    st.tuples(
        st.just("CosineAnnealingWarmRestarts"),
        st.fixed_dictionaries(
            {"T_0": st.integers(1, 9), "T_mult": st.integers(1, 3), "eta_min": st.floats(0, 0.1)}
        ),
    ),
    st.tuples(
        st.just("OneCycleLR"),
        st.fixed_dictionaries(
            {
                "max_lr": st.floats(0.1, 1),
                "total_steps": st.integers(21, 40),
                "pct_start": st.floats(0.11, 0.48),
                "anneal_strategy": st.sampled_from(["cos", "linear"]),
                "three_phase": flag,
                "cycle_momentum": flag,
                "div_factor": st.floats(1, 50),
            }
        ),
    ),
)


@settings(max_examples=150, deadline=None)
@given(schedules, st.sampled_from(["SGD", "Adam"]))
def test_random_schedules_are_pytorchs(case, kind):
    name, options = case
    runs = []
    for library, parameter in ((optim, Tensor(np.ones(1))), (torch.optim, torch.ones(1))):
        optimizer = getattr(library, kind)(
            [parameter], lr=0.3, **({"momentum": 0.9} if kind == "SGD" else {})
        )
        scheduler = getattr(library.lr_scheduler, name)(optimizer, **options)
        rows = []
        for _ in range(20):
            group = optimizer.param_groups[0]
            rows.append([group["lr"], scheduler.get_last_lr()[0], group.get("betas", group.get("momentum"))])
            optimizer.step()
            scheduler.step()
        runs.append(np.array([[lr, last, *np.ravel(momenta)] for lr, last, momenta in rows]))
    np.testing.assert_allclose(*runs, rtol=1e-10, atol=1e-14)


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "mode": st.sampled_from(["min", "max"]),
            "factor": st.floats(0.1, 0.9),
            "patience": st.integers(0, 3),
            "threshold": st.floats(0, 0.5),
            "threshold_mode": st.sampled_from(["rel", "abs"]),
            "cooldown": st.integers(0, 3),
            "min_lr": st.floats(0, 0.1),
        },
    ),
    st.lists(st.floats(-2, 2) | st.just(float("nan")), max_size=25),
)
def test_reduction_on_a_plateau_is_pytorchs(options, metrics):
    runs = []
    for library, parameter in ((optim, Tensor(np.ones(1))), (torch.optim, torch.ones(1))):
        optimizer = library.SGD([parameter], lr=0.3)
        scheduler = library.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        rates = []
        for metric in metrics:
            scheduler.step(metric)
            rates.append(scheduler.get_last_lr()[0])
        runs.append(rates)
    np.testing.assert_allclose(*runs, rtol=1e-13)


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "line_search_fn": st.sampled_from([None, "strong_wolfe"]),
            "lr": st.floats(0.05, 1),
            "max_iter": st.integers(1, 4),  # far from convergence, where rounding decides when to stop
        },
        optional={"max_eval": st.integers(1, 12), "history_size": st.integers(1, 4)},
    ),
    st.integers(0, 2**32 - 1),
)
def test_lbfgs_is_pytorchs(options, seed):
    """A sum of logarithms of squares: curved both ways, and tame enough for steps without a line search."""
    rng = np.random.default_rng(seed)
    A, b, x = rng.normal(size=(6, 4)), rng.normal(size=6), rng.normal(size=4)
    runs = []
    for library in (optim, torch.optim):
        p = Tensor(x.copy(), requires_grad=True) if library is optim else torch.tensor(x, requires_grad=True)
        array = p.array if library is optim else p.detach().numpy()
        calls = []

        def closure():
            residual = A @ array - b  # noqa: B023
            g = A.T @ (2 * residual / (1 + residual**2)) + 0.1 * array  # noqa: B023
            p.grad = Tensor(g) if isinstance(p, Tensor) else torch.tensor(g)  # noqa: B023
            calls.append(1)  # noqa: B023
            return float(np.log1p(residual**2).sum() + 0.05 * array @ array)  # noqa: B023

        optimizer = library.LBFGS([p], **options)
        losses = [optimizer.step(closure) for _ in range(2)]
        runs.append(np.array([*array, *losses, len(calls)]))
    np.testing.assert_allclose(*runs, rtol=1e-6, atol=1e-8)

"""Reference values of torch.optim, written to optim.npz beside this file.

    python tests/reference/make_optim.py

This needs torch; the tests import the cases from here, read the file, and need no torch.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("optim.npz")
STEPS, SNAPSHOTS = 50, (1, 2, 3, 10, 25, 50)


def combinations(**options: list[Any]) -> list[dict[str, Any]]:
    return [dict(zip(options, values)) for values in product(*options.values())]


FLAGS = {"weight_decay": [0, 0.1], "maximize": [False, True]}
ADAM = {"lr": [0.02], "betas": [(0.8, 0.95)], "eps": [1e-6]}
DECOUPLED = {**ADAM, **FLAGS, "decoupled_weight_decay": [False, True]}
CASES: dict[str, list[dict[str, Any]]] = {
    "SGD": [
        *combinations(lr=[0.05], momentum=[0, 0.9], dampening=[0, 0.3], **FLAGS),
        *combinations(lr=[0.05], momentum=[0.9], nesterov=[True], **FLAGS),
    ],
    "Adam": [{}, *combinations(**ADAM, amsgrad=[False, True], **FLAGS), *combinations(**DECOUPLED)],
    "AdamW": [{}, *combinations(**ADAM, amsgrad=[False, True], **FLAGS)],
    "NAdam": [{}, *combinations(**DECOUPLED, momentum_decay=[0.05])],
    "RAdam": [{}, *combinations(**DECOUPLED)],
    "RMSprop": [{}, *combinations(alpha=[0.9], momentum=[0, 0.8], centered=[False, True], **FLAGS)],
    "Adagrad": [{}, *combinations(lr=[0.1], lr_decay=[0, 0.05], initial_accumulator_value=[0, 0.5], **FLAGS)],
    "Adadelta": [{}, *combinations(lr=[0.5], rho=[0.8], eps=[1e-4], **FLAGS)],
    "Adamax": [{}, *combinations(**ADAM, **FLAGS)],
    "ASGD": [{}, *combinations(lr=[0.1], lambd=[0.02], alpha=[0.5], t0=[4, 100], **FLAGS)],
    "Rprop": [
        {},
        *combinations(lr=[0.1], etas=[(0.3, 1.5)], step_sizes=[(0.02, 0.4)], maximize=[False, True]),
    ],
}


def start() -> list[np.ndarray]:
    """The parameters: a matrix and a number in the first group, a vector in the second."""
    return [np.array([[0.5, -1.0, 2.0], [0.1, -0.2, 0.0]]), np.array(1.5), np.array([-0.7, 0.3])]


def groups(params: list[Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Two groups, of which the second has a learning rate of its own."""
    return [{"params": params[:2]}, {"params": params[2:], "lr": options.get("lr", 0.01) / 2}]


def gradients(arrays: list[np.ndarray], t: int) -> list[np.ndarray | None]:
    """Gradients at step t that depend on the parameters; at every third step the vector has none."""
    waves = [np.sin(t * (1.0 + np.arange(theta.size))).reshape(theta.shape) for theta in arrays]
    found: list[np.ndarray | None] = [np.asarray(theta + wave) for theta, wave in zip(arrays, waves)]
    if t % 3 == 0:
        found[2] = None
    return found


def trajectory(arrays: list[np.ndarray], set_gradients: Any, step: Any) -> np.ndarray:
    """All parameters at the snapshots, (snapshots, elements); `arrays` must change in place."""
    seen = []
    for t in range(1, STEPS + 1):
        set_gradients(gradients(arrays, t))
        step()
        if t in SNAPSHOTS:
            seen.append(np.concatenate([theta.ravel() for theta in arrays]))
    return np.array(seen)


# --- objectives for L-BFGS: value and gradient at x


def rosenbrock(x: np.ndarray) -> tuple[float, np.ndarray]:
    a, b = x[:-1], x[1:]
    g = np.zeros_like(x)
    g[:-1] += -400 * a * (b - a**2) - 2 * (1 - a)
    g[1:] += 200 * (b - a**2)
    return float((100 * (b - a**2) ** 2 + (1 - a) ** 2).sum()), g


def quartic(x: np.ndarray) -> tuple[float, np.ndarray]:
    c = 1.0 + np.arange(x.size)
    return float((c * x**2 / 2 + x**4 / 4 - x).sum()), c * x + x**3 - 1


def logarithms(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Curved both ways: a line search from here meets a second trial that is higher than its first."""
    rng = np.random.default_rng(499)
    A, b, shift = rng.normal(size=(6, 4)), rng.normal(size=6), rng.normal(size=4)
    x = x + shift - np.concatenate([theta.ravel() for theta in lbfgs_start()])
    r = A @ x - b
    return float(np.log1p(r**2).sum() + 0.05 * x @ x), A.T @ (2 * r / (1 + r**2)) + 0.1 * x


LBFGS_CASES: list[tuple[Any, int, dict[str, Any]]] = [  # objective, steps, options
    (quartic, 3, {"lr": 0.3, "max_iter": 4}),
    (quartic, 4, {"max_iter": 3, "history_size": 2}),
    (quartic, 3, {}),
    (quartic, 6, {"max_iter": 1}),
    (rosenbrock, 5, {"max_iter": 4, "line_search_fn": "strong_wolfe"}),
    (rosenbrock, 3, {"max_iter": 20, "max_eval": 7, "history_size": 3, "line_search_fn": "strong_wolfe"}),
    (rosenbrock, 3, {"lr": 0.01, "max_iter": 5, "line_search_fn": "strong_wolfe"}),
    (rosenbrock, 2, {"lr": 40.0, "max_iter": 6, "line_search_fn": "strong_wolfe"}),
    (rosenbrock, 3, {"max_iter": 9, "tolerance_change": 1e-2, "line_search_fn": "strong_wolfe"}),
    (logarithms, 2, {"max_iter": 3, "line_search_fn": "strong_wolfe"}),
]


def lbfgs_start() -> list[np.ndarray]:
    return [np.array([-1.2, 1.0]), np.array([[0.4], [-0.3]])]


def lbfgs_run(
    objective: Any, steps: int, arrays: list[np.ndarray], set_gradients: Any, step: Any
) -> np.ndarray:
    """After each step: the parameters, the step's loss, the closure's calls so far; (steps, 6)."""
    calls = 0

    def closure() -> float:
        nonlocal calls
        calls += 1
        f, g = objective(np.concatenate([theta.ravel() for theta in arrays]))
        set_gradients([g[:2], g[2:].reshape(2, 1)])
        return f

    rows = []
    for _ in range(steps):
        loss = step(closure)
        rows.append([*np.concatenate([theta.ravel() for theta in arrays]), loss, calls])
    return np.array(rows)


# --- schedules: name, options, optimizer and its options, arguments of step() (default: none, 25 times)

ONE_CYCLE = combinations(
    max_lr=[[0.1, 0.4]], total_steps=[25], anneal_strategy=["cos", "linear"], three_phase=[False, True]
)
CYCLE = {"base_lr": [0.01, 0.02], "max_lr": [0.1, 0.3], "step_size_up": 4}
METRICS = [5, 4, 4.1, 3.9999, 3.9999, 3.9999, 2, 2, 2.5, 2, 1.999, 2, 2, 2, 2, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]
FRACTIONS = [0.25, 0.5, 0.75, 1, 1.5, 2.5, 3, 4.5, 8, 9.25, 20.5, 21, 3.5]
MOMENTUM = ("SGD", {"lr": 0.2, "momentum": 0.9})
SCHEDULES: list[tuple[str, dict[str, Any], tuple[str, dict[str, Any]], list[Any]]] = [
    ("StepLR", {"step_size": 3}, MOMENTUM, []),
    ("StepLR", {"step_size": 1, "gamma": 0.8}, MOMENTUM, []),
    ("MultiStepLR", {"milestones": [2, 5, 5, 9], "gamma": 0.5}, MOMENTUM, []),
    ("LinearLR", {}, MOMENTUM, []),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.1, "total_iters": 12}, MOMENTUM, []),
    ("ExponentialLR", {"gamma": 0.9}, MOMENTUM, []),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.003}, MOMENTUM, []),
    ("CosineAnnealingLR", {"T_max": 1}, MOMENTUM, []),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.01}, MOMENTUM, []),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}, MOMENTUM, []),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2}, MOMENTUM, FRACTIONS),
    ("CosineAnnealingWarmRestarts", {"T_0": 5}, MOMENTUM, FRACTIONS),
    *[("OneCycleLR", options, MOMENTUM, []) for options in ONE_CYCLE],
    ("OneCycleLR", {"max_lr": 0.5, "epochs": 5, "steps_per_epoch": 5, "pct_start": 0.5}, ("Adam", {}), []),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 30, "cycle_momentum": False}, ("Adagrad", {}), []),
    ("ReduceLROnPlateau", {"patience": 2}, MOMENTUM, METRICS),
    (
        "ReduceLROnPlateau",
        {"patience": 0, "factor": 0.5, "cooldown": 2, "min_lr": [0.01, 0.09]},
        MOMENTUM,
        METRICS,
    ),
    ("ReduceLROnPlateau", {"patience": 1, "threshold": 0.1, "threshold_mode": "abs"}, MOMENTUM, METRICS),
    ("ReduceLROnPlateau", {"patience": 2, "mode": "max"}, MOMENTUM, METRICS),
    (
        "ReduceLROnPlateau",
        {"patience": 1, "mode": "max", "threshold_mode": "abs", "eps": 0.1},
        MOMENTUM,
        METRICS,
    ),
    ("ConstantLR", {}, MOMENTUM, []),
    ("ConstantLR", {"factor": 0.2, "total_iters": 7}, MOMENTUM, []),
    ("PolynomialLR", {}, MOMENTUM, []),
    ("PolynomialLR", {"total_iters": 12, "power": 2.5}, MOMENTUM, []),
    *[("CyclicLR", CYCLE | {"mode": mode}, MOMENTUM, []) for mode in ("triangular", "triangular2")],
    ("CyclicLR", CYCLE | {"mode": "exp_range", "gamma": 0.9, "step_size_down": 6}, ("Adam", {}), []),
    ("CyclicLR", CYCLE | {"cycle_momentum": False}, ("Adagrad", {}), []),
]


def scheduled(optimizer: Any, make_scheduler: Any, arguments: list[Any]) -> np.ndarray:
    """Learning rates and momenta (or β1; 0 without) of the groups before and after each step, (epochs, 4)."""

    def row() -> list[float]:
        pairs = [
            (g["lr"], g["betas"][0] if "betas" in g else g.get("momentum", 0)) for g in optimizer.param_groups
        ]
        return [float(x) for pair in pairs for x in pair]

    scheduler = make_scheduler(optimizer)
    rows = [row()]
    for call in [(x,) for x in arguments] or [()] * 25:
        optimizer.step()
        scheduler.step(*call)
        rows.append(row())
    return np.array(rows)


def main() -> None:
    import torch

    torch.set_default_dtype(torch.float64)  # NAdam keeps a product in the default dtype

    def tensors(arrays: list[np.ndarray]) -> tuple[list[torch.Tensor], list[np.ndarray], Any]:
        params = [torch.tensor(theta, requires_grad=True) for theta in arrays]

        def set_gradients(gradients: list[np.ndarray | None]) -> None:
            for p, g in zip(params, gradients):
                p.grad = None if g is None else torch.tensor(g)

        return params, [p.detach().numpy() for p in params], set_gradients

    arrays: dict[str, np.ndarray] = {}
    for name, cases in CASES.items():
        runs = []
        for options in cases:
            params, views, set_gradients = tensors(start())
            optimizer = getattr(torch.optim, name)(groups(params, options), **options)
            runs.append(trajectory(views, set_gradients, optimizer.step))
        arrays[name] = np.array(runs)
    for i, (objective, steps, options) in enumerate(LBFGS_CASES):
        params, views, set_gradients = tensors(lbfgs_start())
        optimizer = torch.optim.LBFGS(params, **options)
        arrays[f"LBFGS{i}"] = lbfgs_run(objective, steps, views, set_gradients, optimizer.step)
    for i, (name, options, (kind, settings), arguments) in enumerate(SCHEDULES):
        params, _, _ = tensors(start())
        optimizer = getattr(torch.optim, kind)(groups(params, settings), **settings)
        make = lambda o: getattr(torch.optim.lr_scheduler, name)(o, **options)  # noqa: B023, E731
        arrays[f"{name}{i}"] = scheduled(optimizer, make, arguments)
    np.savez_compressed(FILE, **arrays)


if __name__ == "__main__":
    main()

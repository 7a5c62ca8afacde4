"""Reference values of torch.nn, written to nn.npz beside this file.

    python tests/reference/make_nn.py

This needs torch; the tests import the cases from here, read the file, and need no torch. Each case is
evaluated to its outputs, its gradients and, for the sum of these, its second derivatives.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("nn.npz")
Array = np.ndarray


# --- inputs


def wave(*shape: int, phase: float = 0.1, size: float = 1.5) -> Array:
    """Numbers without pattern or ties, the same on every machine."""
    n = np.arange(int(np.prod(shape)))
    return (size * np.sin(2.3 * n + 0.7 * n**1.5 + phase)).reshape(shape)


def chances(*shape: int, phase: float = 0.0) -> Array:
    """Numbers within (0, 1)."""
    return 0.5 + wave(*shape, phase=phase, size=0.45)


def distribution(*shape: int, dim: int = 1) -> Array:
    """Positive numbers that add up to 1 along `dim`."""
    p = chances(*shape, phase=3.0)
    return np.asarray(p / p.sum(dim, keepdims=True))


class Fixed:
    """An array whose gradient is not asked for."""

    def __init__(self, array: Any) -> None:
        self.array = np.asarray(array)


EXTREME = np.array([-1e4, -700.0, -50.0, -20.5, -1.0, -1e-3, 0.0, 1e-3, 1.0, 3.0, 20.5, 50.0, 700.0, 1e4])
X = wave(4, 5)
POSITIVE = chances(4, 5) + 0.2
SIGNS = np.array([1.0, -1.0, -1.0, 1.0])


# --- cases: name of the function or module below nn, how it is made, what it is called with


def call(name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"name": "functional." + name, "args": args, "kwargs": kwargs}


def rough(case: dict[str, Any], rtol: float = 1e-9) -> dict[str, Any]:
    """Compare no second derivatives: meaningless at kinks; some of torch's are missing, NaN or rounded."""
    return case | {"second": False, "rtol": rtol}


def layer(
    name: str, *args: Any, inputs: tuple[Any, ...], training: bool = True, **kwargs: Any
) -> dict[str, Any]:
    return {"name": name, "make": (args, kwargs), "training": training, "args": inputs, "kwargs": {}}


def reductions(
    make: Callable[..., dict[str, Any]], name: str, *args: Any, **kwargs: Any
) -> list[dict[str, Any]]:
    return [make(name, *args, reduction=r, **kwargs) for r in ("none", "mean", "sum")]


ACTIVATIONS: dict[str, list[dict[str, Any]]] = {
    "relu": [{}],
    "relu6": [{}],
    "leaky_relu": [{}, {"negative_slope": 0.3}],
    "elu": [{}, {"alpha": 0.7}],
    "selu": [{}],
    "celu": [{}, {"alpha": 0.5}],
    "gelu": [{}, {"approximate": "tanh"}],
    "silu": [{}],
    "mish": [{}],
    "softplus": [{}, {"beta": 2.0, "threshold": 3.0}],
    "softsign": [{}],
    "logsigmoid": [{}],
    "hardtanh": [{}, {"min_val": -0.5, "max_val": 3.0}],
    "hardswish": [{}],
    "tanhshrink": [{}],
    "tanh": [{}],
    "sigmoid": [{}],
    "threshold": [{"threshold": 0.0, "value": -2.0}],
}
LOGITS = [EXTREME.reshape(2, 7), X, wave(2, 3, 4)]


def functions() -> list[dict[str, Any]]:
    cases = [
        call("linear", X, wave(3, 5), wave(3)),
        call("linear", wave(5), wave(3, 5)),
        call("linear", wave(2, 3, 5), wave(4, 5, phase=1.0), wave(4)),
        call("bilinear", wave(4, 3), wave(4, 2), wave(5, 3, 2), wave(5)),
        call("bilinear", wave(2, 4, 3), wave(2, 4, 2), wave(5, 3, 2)),
        call("embedding", np.array([[0, 2, 2], [5, 0, 1]]), wave(6, 3)),
        call("embedding", np.array([[0, 2, 2], [5, 0, 1]]), wave(6, 3), padding_idx=2),
        call("embedding", np.array(4), wave(6, 3), padding_idx=-1),
        call("layer_norm", X, (5,), wave(5), wave(5, phase=1.0)),
        call("layer_norm", wave(2, 3, 4) * 1e4, (3, 4), eps=1e-3),
        call("layer_norm", wave(2, 3, 4), (4,), wave(4)),
        call("batch_norm", X, Fixed(wave(5)), Fixed(chances(5)), wave(5), wave(5, phase=1.0)),
        call("batch_norm", wave(2, 3, 4), Fixed(wave(3)), Fixed(chances(3)), training=True, momentum=0.3),
        call("batch_norm", X, None, None, wave(5), training=True, eps=0.1),
        call("pad", X, (1, 2)),
        call("pad", wave(2, 3, 4), (0, 1, 2, 0), value=1.5),
        call("pad", wave(2, 3, 4), (-1, 2, 1, -2)),
        call("normalize", X),
        call("normalize", X, p=3.0, dim=0),
        rough(call("normalize", np.array([[3.0, 4.0], [0.0, 0.0]]))),
        call("cosine_similarity", X, wave(4, 5, phase=1.0)),
        call("cosine_similarity", X, wave(1, 5, phase=1.0), dim=0),
        call("pairwise_distance", X, wave(4, 5, phase=1.0)),
        call("pairwise_distance", X, wave(4, 5, phase=1.0), p=1.0, keepdim=True),
        call("one_hot", np.array([[0, 2], [1, 1]])),
        call("one_hot", np.array([0, 2]), 5),
        call("glu", wave(3, 4)),
        call("glu", wave(4, 3), 0),
        call("prelu", X, np.array([0.2])),
        call("prelu", wave(2, 3, 4), wave(3)),
    ]
    for name in ("softmax", "log_softmax", "softmin"):
        cases += [call(name, x, dim=dim) for x in LOGITS for dim in (0, -1)]
    for name, settings in ACTIVATIONS.items():
        cases += [call(name, x, **options) for options in settings for x in (wave(3, 4), np.array(0.3))]
        cases += [rough(call(name, EXTREME, **options)) for options in settings]
    return [
        *cases,
        rough(call("hardsigmoid", EXTREME), rtol=1e-7),
        rough(call("prelu", EXTREME, np.array([0.2]))),
    ]


def class_losses() -> list[dict[str, Any]]:
    weight, classes, cases = Fixed(chances(5) + 0.5), np.array([1, 4, 0, 4]), []
    extreme = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4], [0.0, 0.0, 0.0]])
    grids = wave(2, 3, 2, 2), np.array([[[0, 2], [1, 1]], [[2, 2], [0, 1]]])
    for more in ({}, {"weight": weight}, {"ignore_index": 4}, {"weight": weight, "ignore_index": 1}):
        cases += reductions(call, "cross_entropy", X, classes, **more)
        cases += reductions(call, "cross_entropy", X, classes, label_smoothing=0.2, **more)
        cases += reductions(call, "nll_loss", X, classes, **more)
    for options in (
        {},
        {"weight": weight},
        {"label_smoothing": 0.2},
        {"weight": weight, "label_smoothing": 0.2},
    ):
        cases += reductions(call, "cross_entropy", X, distribution(4, 5), **options)
    cases += reductions(
        call, "cross_entropy", *grids, label_smoothing=0.1, weight=Fixed([1.0, 2.0, 0.5]), ignore_index=1
    )
    cases += reductions(call, "nll_loss", *grids, weight=Fixed([1.0, 2.0, 0.5]), ignore_index=2)
    cases += reductions(call, "cross_entropy", wave(2, 3, 4), distribution(2, 3, 4))
    cases += reductions(call, "cross_entropy", extreme, np.array([1, 2, 0]))
    cases += [
        call("cross_entropy", wave(5), np.array(2)),
        call("cross_entropy", wave(5), distribution(5, dim=0)),
    ]
    cases += [
        call("nll_loss", wave(5), np.array(2), size_average=False),
        call("nll_loss", X, classes, reduce=False),
    ]
    return cases


def losses() -> list[dict[str, Any]]:
    target, t3 = wave(4, 5, phase=1.0), chances(14)
    pairs = wave(4, 3), wave(4, 3, phase=2.0)
    bounds = np.array([0.0, 0.0, 1.0, 1.0, 1e-14, 0.5]), np.array([0.0, 1.0, 1.0, 0.3, 0.4, 1.0])
    cases = class_losses()
    for args, options in [
        (("mse_loss", X, target), {}),
        (("l1_loss", X, target), {}),
        (("l1_loss", np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 5.0])), {}),
        (("smooth_l1_loss", X, target), {}),
        (("smooth_l1_loss", EXTREME, np.zeros(14)), {"beta": 0.5}),
        (("smooth_l1_loss", X, target), {"beta": 0.0}),
        (("huber_loss", X, target), {}),
        (("huber_loss", EXTREME, np.zeros(14)), {"delta": 2.5}),
        (("binary_cross_entropy", chances(4, 5), chances(4, 5, phase=1.0)), {}),
        (("binary_cross_entropy", chances(4, 5), Fixed(X > 0.0 + 0 * X)), {"weight": Fixed(chances(5))}),
        (("binary_cross_entropy_with_logits", EXTREME, t3), {}),
        (
            ("binary_cross_entropy_with_logits", X, chances(4, 5)),
            {"weight": Fixed(chances(5)), "pos_weight": Fixed(chances(5))},
        ),
        (("kl_div", np.log(distribution(4, 5)), chances(4, 5)), {}),
        (("kl_div", X, target), {"log_target": True}),
        (("kl_div", X, Fixed(np.eye(4, 5))), {}),
        (("soft_margin_loss", wave(4), Fixed(SIGNS)), {}),
        (("hinge_embedding_loss", wave(4), Fixed(SIGNS)), {"margin": 0.7}),
        (("margin_ranking_loss", wave(4), wave(4, phase=1.0), Fixed(SIGNS)), {"margin": 0.3}),
        (("cosine_embedding_loss", *pairs, Fixed(SIGNS)), {"margin": 0.1}),
        (("cosine_embedding_loss", wave(3), wave(3, phase=1.0), Fixed(-1.0)), {}),
        (("triplet_margin_loss", *pairs, wave(4, 3, phase=4.0)), {}),
        (("triplet_margin_loss", *pairs, wave(4, 3, phase=4.0)), {"swap": True, "p": 3.0, "margin": 2.0}),
        (("gaussian_nll_loss", X, target, POSITIVE), {"full": True}),
        (("gaussian_nll_loss", X, target, POSITIVE[:, 0]), {}),
        (("gaussian_nll_loss", X, target, POSITIVE * (X > 0)), {"eps": 1e-2}),
        (("poisson_nll_loss", X, 3 * POSITIVE), {}),
        (("poisson_nll_loss", X, Fixed(3 * POSITIVE)), {"full": True}),
        (("poisson_nll_loss", POSITIVE, 3 * POSITIVE), {"log_input": False}),
    ]:
        cases += reductions(call, *args, **options)
    cases += [call("kl_div", np.log(distribution(4, 5)), chances(4, 5), reduction="batchmean")]
    cases += [rough(call("binary_cross_entropy", bounds[0], Fixed(bounds[1]), reduction="sum"), rtol=1e-7)]
    cases += [call("mse_loss", X, target, size_average=False), call("mse_loss", X, target, reduce=False)]
    return cases


def layers() -> list[dict[str, Any]]:
    rows = np.array([[0, 5, 2], [2, 2, 1]])
    cases = [
        layer("Linear", 5, 3, inputs=(X,)),
        layer("Linear", 5, 3, bias=False, inputs=(wave(2, 3, 5),)),
        layer("Bilinear", 3, 2, 4, inputs=(wave(5, 3), wave(5, 2))),
        layer("Embedding", 6, 3, inputs=(rows,)),
        layer("Embedding", 6, 3, padding_idx=2, inputs=(rows,)),
        layer("Dropout", 0.7, inputs=(X,), training=False),
        layer("LayerNorm", 5, inputs=(X,)),
        layer("LayerNorm", (3, 5), bias=False, eps=1e-2, inputs=(wave(2, 3, 5),)),
        layer("LayerNorm", 5, elementwise_affine=False, inputs=(X,)),
        layer("Identity", inputs=(X,)),
        layer("Flatten", inputs=(wave(2, 3, 5),)),
        layer("Flatten", 0, 1, inputs=(wave(2, 3, 5),)),
        layer("Unflatten", 1, (2, 3), inputs=(wave(4, 6),)),
        layer("CosineSimilarity", inputs=(X, wave(4, 5, phase=1.0))),
        layer("PairwiseDistance", 1.0, inputs=(X, wave(4, 5, phase=1.0))),
        layer("PReLU", 5, inputs=(X,)),
        layer("Softmax", 0, inputs=(X,)),
        layer("LogSoftmax", -1, inputs=(X,)),
        layer("Softmin", 1, inputs=(X,)),
        layer("GLU", 0, inputs=(X,)),
        layer("Threshold", 0.1, 0.2, inputs=(X,)),
    ]
    for training in (True, False):
        for options in (
            {},
            {"momentum": None},
            {"affine": False},
            {"track_running_stats": False},
            {"bias": False},
        ):
            cases += [layer("BatchNorm1d", 5, inputs=(X,), training=training, **options)]
        cases += [layer("BatchNorm1d", 3, inputs=(wave(2, 3, 5),), training=training)]
    plain = "Tanh Sigmoid ReLU ReLU6 LeakyReLU ELU SELU CELU GELU SiLU Mish Softplus Softsign LogSigmoid"
    cases += [layer(name, inputs=(X,)) for name in [*plain.split(), "Hardtanh", "Hardswish", "Tanhshrink"]]
    return cases + [layer("LeakyReLU", 0.4, inputs=(X,)), layer("Hardtanh", -0.3, 0.8, inputs=(X,))]


def loss_modules() -> list[dict[str, Any]]:
    target, weight, classes = wave(4, 5, phase=1.0), Fixed(chances(5) + 0.5), np.array([1, 4, 0, 4])
    signs, pair = Fixed(SIGNS), (wave(4, 3), wave(4, 3, phase=2.0))
    return [
        layer("CrossEntropyLoss", weight, ignore_index=4, label_smoothing=0.1, inputs=(X, classes)),
        layer("NLLLoss", weight, reduction="sum", inputs=(X, classes)),
        layer("BCELoss", weight, inputs=(chances(4, 5), Fixed(chances(4, 5, phase=1.0)))),
        layer("BCEWithLogitsLoss", weight, pos_weight=weight, inputs=(X, chances(4, 5))),
        layer("KLDivLoss", reduction="batchmean", log_target=True, inputs=(X, target)),
        layer("GaussianNLLLoss", full=True, inputs=(X, target, POSITIVE)),
        layer("PoissonNLLLoss", False, reduction="none", inputs=(POSITIVE, target)),
        layer("MSELoss", size_average=False, inputs=(X, target)),
        layer("L1Loss", reduce=False, inputs=(X, target)),
        layer("SmoothL1Loss", beta=0.3, inputs=(X, target)),
        layer("HuberLoss", "sum", 0.3, inputs=(X, target)),
        layer("CosineEmbeddingLoss", 0.2, inputs=(*pair, signs)),
        layer("MarginRankingLoss", 0.2, inputs=(wave(4), wave(4, phase=1.0), signs)),
        layer("HingeEmbeddingLoss", inputs=(wave(4), signs)),
        layer("SoftMarginLoss", inputs=(wave(4), signs)),
        layer("TripletMarginLoss", 1.5, swap=True, inputs=(*pair, wave(4, 3, phase=4.0))),
    ]


def named() -> dict[str, dict[str, Any]]:
    """The cases by name and number."""
    cases = functions() + losses() + layers() + loss_modules()
    return {f"{i:03d} {case['name'].removeprefix('functional.')}": case for i, case in enumerate(cases)}


# --- evaluation, by either library


def tensor(lib: Any, value: Any, leaves: dict[str, Any], name: str) -> Any:
    """`value` as an argument for `lib`; what asks for its gradient is noted in `leaves`."""
    if isinstance(value, Fixed):
        return lib.tensor(value.array.astype("float64"))
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype.kind != "f":
        return lib.tensor(value)
    leaves[name] = lib.tensor(value).requires_grad_()
    return leaves[name]


def module(lib: Any, case: dict[str, Any]) -> Any:
    """The module of a case, its parameters and buffers filled with known numbers."""
    args, kwargs = case["make"]
    made = getattr(lib.nn, case["name"])(
        *[tensor(lib, x, {}, "") for x in args], **{k: tensor(lib, x, {}, "") for k, x in kwargs.items()}
    )
    state = {}
    for i, (name, now) in enumerate(made.state_dict().items()):
        fresh = chances(*now.shape, phase=i) if "var" in name else wave(*now.shape, phase=i)
        keep = "Loss" in case["name"] or "num_batches" in name
        state[name] = now if keep else lib.tensor(fresh)
    made.double().train(case["training"]).load_state_dict(state)
    return made


def derivatives(lib: Any, outputs: list[Any], leaves: dict[str, Any], phase: float) -> dict[str, Any]:
    """The gradients of Σ outputs · (1.5 + cos(0, 1, 2, …))."""
    weights = [(1.5 + np.cos(np.arange(y.numel()) + phase)).reshape(tuple(y.shape)) for y in outputs]
    total = sum((y * lib.tensor(w)).sum() for y, w in zip(outputs, weights))
    if not leaves or not total.requires_grad:
        return {}
    found = lib.autograd.grad(total, list(leaves.values()), create_graph=True, allow_unused=True)
    return {name: g for name, g in zip(leaves, found) if g is not None}


def evaluate(lib: Any, case: dict[str, Any]) -> dict[str, Array]:
    """Output, first and second derivatives (if not all zero), and a module's buffers afterwards."""
    leaves: dict[str, Any] = {}
    args = [tensor(lib, x, leaves, f"argument {i}") for i, x in enumerate(case["args"])]
    kwargs = {k: tensor(lib, x, leaves, k) for k, x in case["kwargs"].items()}
    if "make" in case:
        function = module(lib, case)
        leaves.update(function.named_parameters())
    else:
        function = getattr(lib.nn.functional, case["name"].removeprefix("functional."))
    output = function(*args, **kwargs)
    found = {"output": output}
    first = derivatives(lib, [output], leaves, 1.0)
    second = derivatives(lib, list(first.values()), leaves, 2.0) if case.get("second", True) else {}
    for title, values in (("gradient of", first), ("second derivative of", second)):
        found |= {f"{title} {name}": g for name, g in values.items() if bool((g != 0).any())}
    if "make" in case:
        found |= {f"buffer {name}": b for name, b in function.named_buffers()}
    return {name: y.detach().numpy() for name, y in found.items()}


# --- the file: one vector of all numbers, and what stands in it


def load() -> dict[str, dict[str, Array]]:
    """What `evaluate(torch, case)` gave for each case."""
    with np.load(FILE) as archive:
        numbers, entries = archive["numbers"], json.loads(str(archive["entries"]))
    results: dict[str, dict[str, Array]] = {name: {} for name, _, _ in entries}
    at = 0
    for name, result, shape in entries:
        size = int(np.prod(shape))
        results[name][result] = numbers[at : at + size].reshape(shape)
        at += size
    return results


def main() -> None:
    import torch

    numbers, entries = [], []
    for name, case in named().items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the older spellings
            for result, values in evaluate(torch, case).items():
                numbers.append(values.astype("float64").reshape(-1))
                entries.append((name, result, list(values.shape)))
    np.savez_compressed(FILE, numbers=np.concatenate(numbers), entries=np.array(json.dumps(entries)))
    print(f"{len(named())} cases, {len(entries)} arrays, {FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()

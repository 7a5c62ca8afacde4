"""`loss.backward()` and `grad(outputs, inputs)`: PyTorch's ways to call the engine's backward pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.accumulate import key_of
from ..engine.backward import backward_pass
from ..engine.tensor import Tensor, method
from .gradmode import set_grad_enabled
from .hooks import accumulate_grad, call_hooks, own, retains


def seeds_of(what: str, roots: Sequence[Tensor], given: Any, create: bool) -> list[Any]:
    """The gradients to start from: `given` ones checked, ones for scalars."""
    given = [None] * len(roots) if given is None else [given] if isinstance(given, Tensor) else list(given)
    if len(given) != len(roots):
        raise RuntimeError(f"{what}: {len(roots)} outputs but {len(given)} gradients for them")
    seeds = []
    for root, seed in zip(roots, given):
        if not isinstance(root, Tensor) or not root.requires_grad:
            raise RuntimeError(
                f"{what}: the output requires no gradient: nothing it was made from asked for one"
            )
        if seed is None and root.array.size != 1:
            raise RuntimeError(
                f"{what}: a gradient is needed for an output that is not a scalar (shape {root.shape})"
            )
        if seed is None:
            seed = np.ones_like(root.array)
        elif tuple(seed.shape) != root.shape:
            raise RuntimeError(f"{what}: gradient of shape {seed.shape} for an output of shape {root.shape}")
        if create:
            seeds.append((seed if isinstance(seed, Tensor) else Tensor(seed)).astype(root.dtype))
        else:
            seeds.append(getattr(seed, "array", seed).astype(root.dtype, copy=False))
    return seeds


def chosen_of(inputs: Any) -> list[Tensor]:
    """The argument `inputs` of backward as a list of different tensors."""
    chosen = [inputs] if isinstance(inputs, Tensor) else list(dict.fromkeys(inputs))
    if not chosen or not all(x.requires_grad for x in chosen):
        raise RuntimeError("backward: inputs must be one or more tensors that require a gradient")
    return chosen


def accumulate_all(found: dict[Any, Any], chosen: list[Tensor] | None) -> None:
    """Add the gradients that a pass found to the `.grad` of the leaves, or of the `chosen` tensors."""
    for x in found if chosen is None else chosen:
        g = found.get(key_of(x))
        if x.node is None and g is not None:
            accumulate_grad(x, call_hooks(x.hooks, g))
        elif g is not None and not retains(x):
            accumulate_grad(x, g)


@method("backward")
def backward_of_tensor(
    self: Tensor,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | Tensor | None = None,
) -> None:
    """Add d self / d leaf, times `gradient` (1 for a scalar), to `.grad` of every leaf (or of `inputs`).

    `retain_graph` (default: as create_graph) keeps the graph for another backward; `create_graph` records the
    gradients' own graph, for second derivatives.
    """
    seeds = seeds_of("backward", [self], [gradient], create_graph)
    chosen = None if inputs is None else chosen_of(inputs)
    targets = None if chosen is None else set(map(key_of, chosen))
    retain = create_graph if retain_graph is None else retain_graph
    with set_grad_enabled(create_graph):
        accumulate_all(backward_pass([key_of(self)], seeds, targets, retain, create_graph), chosen)


def backward(
    tensors: Sequence[Tensor] | Tensor,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | Tensor | None = None,
) -> None:
    """`Tensor.backward` from several `tensors` at once, each with its gradient in `grad_tensors`."""
    roots = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    seeds = seeds_of("backward", roots, grad_tensors, create_graph)
    chosen = None if inputs is None else chosen_of(inputs)
    targets = None if chosen is None else set(map(key_of, chosen))
    retain = create_graph if retain_graph is None else retain_graph
    with set_grad_enabled(create_graph):
        keys = [key_of(t) for t in roots]
        accumulate_all(backward_pass(keys, seeds, targets, retain, create_graph), chosen)


def grad(
    outputs: Sequence[Tensor] | Tensor,
    inputs: Sequence[Tensor] | Tensor,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of the sum of `outputs` (each times its `grad_outputs`) with respect to `inputs`.

    No `.grad` is changed. An input that does not matter is an error; with `allow_unused` its gradient is
    None, with `materialize_grads` zeros.
    """
    if not only_inputs or is_grads_batched:
        raise NotImplementedError("grad: only_inputs=False and is_grads_batched=True are not supported")
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    seeds = seeds_of("grad", outputs, grad_outputs, create_graph)
    for i, x in enumerate(inputs):
        if not x.requires_grad:
            raise RuntimeError(
                f"grad: inputs[{i}] does not require a gradient; call requires_grad_() before using it"
            )
    targets, retain = {key_of(x) for x in inputs}, create_graph if retain_graph is None else retain_graph
    results: list[Tensor | None] = []
    with set_grad_enabled(create_graph):
        found = backward_pass([key_of(t) for t in outputs], seeds, targets, retain, create_graph)
        for i, x in enumerate(inputs):
            g = found.get(key_of(x))
            g = g if g is None or x.node is not None else call_hooks(x.hooks, g)
            if g is None and materialize_grads:
                g = np.zeros_like(x.array)
            elif g is None and not allow_unused:
                raise RuntimeError(
                    f"grad: inputs[{i}] was not used to make the outputs; pass allow_unused=True to get None"
                )
            results.append(None if g is None else own(g, x.dtype))
    return tuple(results)

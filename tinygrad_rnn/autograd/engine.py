"""Backward: carry gradients from results to origins.

Every node is visited once, the newest first. The order in which nodes were made is a topological
order, so when a node's turn comes, everything that used its output has already added to its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..tensor import Tensor, method
from .contributions import Product, Sum, fit, is_advanced, product
from .gradmode import mode, set_grad_enabled
from .hooks import RemovableHandle as RemovableHandle
from .hooks import accumulate, call_hooks, own, retains, value_of, visit
from .primitive import Node, as_tensor, check_finite

Key = Any  # what a gradient belongs to: a Node, or a leaf Tensor


def key_of(x: Tensor) -> Key:
    """What carries the gradient of `x`."""
    return x if x.node is None else x.node


def newest_last(roots: list[Key], targets: set[Key] | None) -> list[Node]:
    """All nodes behind `roots` (that lead to `targets`, if given) in the order they were made."""
    seen = {root for root in roots if isinstance(root, Node)}
    stack = list(seen)
    while stack:
        node = stack.pop()
        if node.parents is None:
            raise RuntimeError(
                f"backward: the graph through {node.name} was freed by an earlier backward; "
                "pass retain_graph=True to that one, or detach() a state carried over from it"
            )
        for parent in node.parents:
            if parent.__class__ is Node and parent not in seen:
                seen.add(parent)
                stack.append(parent)
    nodes = sorted(seen, key=attrgetter("order"))
    if targets is None:
        return nodes
    leads = set(targets)
    for node in nodes:
        if any(parent in leads for parent in node.parents or () if parent is not None):
            leads.add(node)
    return [node for node in nodes if node in leads]


def run(
    roots: list[Key], seeds: list[Any], targets: set[Key] | None, retain: bool, create: bool
) -> dict[Key, Any]:
    """The gradients of `targets` (default: of every leaf), given the gradient `seeds[k]` of each root.

    With `create`, gradients are tensors and the rules are recorded; else they are arrays. One of a leaf may
    be a Sum, which knows whether its array has to be copied to be kept.
    """
    nodes = newest_last(roots, targets)
    wanted = None if targets is None else {*targets, *nodes}
    anomaly = mode.anomaly is True
    held: dict[Key, Any] = {}
    found: dict[Key, Any] = {}
    for root, seed in zip(roots, seeds):
        contribute(held, root, seed)
    while nodes:
        node = nodes.pop()  # newest first: every consumer of its output has already added to its gradient
        g = held.pop(node, None)
        if g is not None:
            if targets is not None and node in targets:
                g = found[node] = visit(node, g)
            elif node.extras is not None:
                g = visit(node, g)
            elif node.primitive.name == "put" and not create:
                g = assigned(held, node, g)
            elif g.__class__ is Sum:
                g = transposed(held, node, g) if node.primitive.name == "permute" else g.total()
        if g is not None:
            step(held, node, g, wanted, create, anomaly)
        if not retain:  # let go of all it kept; a later backward through it is an error
            node.parents, node.inputs, node.output, node.static, node.memories = None, (), None, None, ()
    for leaf, g in held.items():
        if targets is None or leaf in targets:
            found[leaf] = g
            if anomaly:
                check_finite(value_of(g), "the sum of the gradients of a leaf", "backward")
    return found


def step(
    held: dict[Key, Any], node: Node, g: Any, wanted: set[Key] | None, create: bool, anomaly: bool
) -> None:
    """Give each parent of `node` its share of the gradient `g`."""
    op, order, inputs, parents, static = node.primitive, node.order, node.inputs, node.parents, node.static
    y = node if node.output is None else node.output
    for memory in node.memories:
        if memory.written > order:
            raise_overwritten(node)
    if create:
        inputs = [as_tensor(x, parent) for x, parent in zip(inputs, parents)]
        y = as_tensor(y, node)
    if op.variadic:
        shares = op.rules[0](g, y, *inputs, **static)
    for k, parent in enumerate(parents):
        if parent is None or (wanted is not None and parent not in wanted):
            continue
        d = shares[k] if op.variadic else op.rules[k](g, y, *inputs, **static)
        if anomaly:
            check_share(node, d)
        kind = d.__class__
        if kind is Product and not waits(parent):
            d = product([d.a], [d.g])
            kind = d.__class__
        if kind is np.ndarray and parent not in held:
            held[parent] = d if d.shape == parent.shape else fit(d, parent.shape)
        elif d is not None:
            contribute(held, parent, d)


def waits(parent: Key) -> bool:
    """True for a weight, which many steps may use: a leaf or a transpose. Its products can wait."""
    return parent.__class__ is not Node or parent.primitive.name == "permute"


def check_share(node: Node, d: Any) -> None:
    """In anomaly mode: raise if a contribution is not finite."""
    d = product([d.a], [d.g]) if d.__class__ is Product else getattr(d, "g", d)
    if d is not None:
        check_finite(np.asarray(getattr(d, "array", d)), f"a gradient of {node.name}", line_of(node))


def line_of(node: Node) -> str:
    """The user's line that made a node, if anomaly mode was on."""
    return str((node.extras or {}).get("where", "a line that was not run under detect_anomaly()"))


def contribute(held: dict[Key, Any], key: Key, d: Any) -> None:
    """Add `d` to the gradient of `key`."""
    total = held.get(key)
    if total is None and d.__class__ is Sum:
        held[key] = d
        return
    if total.__class__ is not Sum:
        before, total = total, Sum(key.shape)
        held[key] = total
        if before is not None:
            total.add(before)
    total.add(np.asarray(d) if isinstance(d, np.generic) else d)


def transposed(held: dict[Key, Any], node: Node, g: Sum) -> Any:
    """The gradient of a transpose; None if it consists of products, which are handed on as they are.

    (aᵀ g)ᵀ = gᵀ a: so W gets one product for all its uses as Wᵀ. (A permutation may also change nothing.)
    """
    if g.dense is not None or g.placed:
        return g.total()
    swapped = node.static["axes"] == (1, 0)
    for p in g.products:
        contribute(held, node.parents[0], Product(p.g, p.a) if swapped else p)
    return None


def assigned(held: dict[Key, Any], node: Node, g: Any) -> Any:
    """The gradient of x[index] = v; None if x was handed the same buffer, with zeros at the index.

    Filling a tensor by T assignments is common; with a copy for each it would cost T² (as in PyTorch).
    """
    total = g if g.__class__ is Sum else Sum(node.shape)
    if total is not g:
        total.add(g)
    x, v = node.parents
    index = node.static["index"]
    if is_advanced(index) or x is v or x in held:
        return total.total()
    buffer = total.own()
    if v is not None:
        contribute(held, v, buffer[index].copy())
    if x is not None:
        buffer[index] = 0
        held[x] = total
    return None


def raise_overwritten(node: Node) -> None:
    """The error for a kept value that is no longer what it was."""
    raise RuntimeError(
        f"backward: a value that {node.name} needs for its gradient was overwritten in place later "
        f"(at {line_of(node)})"
    )


# --- what users call


def seeds_of(what: str, roots: Sequence[Tensor], given: Any, create: bool) -> list[Any]:
    """The gradients to start from: given ones checked, ones for scalars."""
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


@method()
def backward(
    self: Tensor,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | None = None,
) -> None:
    """Add d self / d leaf, times `gradient` (1 for a scalar), to `.grad` of every leaf (or of `inputs`)."""
    backward_all([self], None if gradient is None else [gradient], retain_graph, create_graph, inputs)


def backward_all(
    tensors: Sequence[Tensor] | Tensor,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | Tensor | None = None,
) -> None:
    """`backward` from several tensors at once."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    seeds = seeds_of("backward", tensors, grad_tensors, create_graph)
    chosen = (
        None if inputs is None else [inputs] if isinstance(inputs, Tensor) else list(dict.fromkeys(inputs))
    )
    if chosen is not None and not all(x.requires_grad for x in chosen or [Tensor(0)]):
        raise RuntimeError("backward: inputs must be one or more tensors that require a gradient")
    targets = None if chosen is None else {key_of(x) for x in chosen}
    retain = create_graph if retain_graph is None else retain_graph
    with set_grad_enabled(create_graph):
        found = run([key_of(t) for t in tensors], seeds, targets, retain, create_graph)
        for x in found if chosen is None else chosen:
            g = found.get(key_of(x))
            if x.node is None and g is not None:
                accumulate(x, call_hooks(x.hooks, g))
            elif g is not None and not retains(x):
                accumulate(x, g)


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
    retain = create_graph if retain_graph is None else retain_graph
    results: list[Tensor | None] = []
    with set_grad_enabled(create_graph):
        found = run([key_of(t) for t in outputs], seeds, {key_of(x) for x in inputs}, retain, create_graph)
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

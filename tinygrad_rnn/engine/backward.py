"""Backward: carry gradients from results back to leaves.

Every node is visited once, the newest first. Nodes are numbered as they are made, and an operation's inputs
exist before it, so descending numbers are a topological order: when a node's turn comes, everything that used
its output has already added to its gradient.

    for node in reversed(topological_order(roots, targets)):
        for parent, d in VJPs(node, gradient of node):
            gradient of parent += d

What calls this: autograd/gradients.py (`loss.backward()`, `grad`) and compile/.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import numpy as np

from .accumulate import Accumulator, Gradients, Key, stacked_product, unbroadcast, value_of
from .primitive import Node, Product, mode, saved_tensor


def topological_order(roots: list[Key], targets: set[Key] | None) -> list[Node]:
    """All nodes behind `roots` (that lead to `targets`, if given), inputs before what was made from them."""
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
    nodes = sorted(seen, key=attrgetter("sequence_number"))
    if targets is None:
        return nodes
    leads = set(targets)
    for node in nodes:
        if any(parent in leads for parent in node.parents if parent is not None):
            leads.add(node)
    return [node for node in nodes if node in leads]


def backward_pass(
    roots: list[Key], seeds: list[Any], targets: set[Key] | None, retain: bool, create: bool
) -> dict[Key, Any]:
    """The gradients of `targets` (default: of every leaf), given the gradient `seeds[k]` of each root.

    `retain` keeps the graph for another pass. With `create`, gradients are tensors and the rules are
    recorded; else they are arrays. A leaf's gradient may be an Accumulator, whose buffer needs no copy.
    """
    nodes = topological_order(roots, targets)
    wanted = None if targets is None else {*targets, *nodes}
    inspect = getattr(mode.interpreter, "inspect_vjp", None)  # of a checker: called with each VJP
    results: dict[Key, Any] = {}
    grads = Gradients()
    for root, seed in zip(roots, seeds):
        grads.add(root, seed)
    while nodes:
        node = nodes.pop()  # newest first: every consumer of its output has already added to its gradient
        g = grads.pop(node, None)
        if g is not None:
            is_target = targets is not None and node in targets
            if is_target or node.extras is not None:
                g = after_hook(node, value_of(g))
                if is_target:
                    results[node] = g
            elif node.primitive.hand_on is not None:  # perhaps unfinished, in which case g becomes None
                total = g if g.__class__ is Accumulator else Accumulator(node.shape, g)
                g = node.primitive.hand_on(grads, node, total)
            elif g.__class__ is Accumulator:
                g = g.value()
        if g is not None:
            vjps(grads, node, g, wanted, create, inspect)
        if not retain:  # free what it saved; a later backward through it is an error
            node.parents = node.output = node.static = None
            node.inputs = node.saved_storages = ()
    leaves = {leaf: g for leaf, g in grads.items() if targets is None or leaf in targets}
    if inspect is not None:
        for leaf, g in leaves.items():
            inspect(leaf, value_of(g))
    return results | leaves


def after_hook(node: Node, g: Any) -> Any:
    """The gradient of a node's output after the node's hook has seen it (autograd/hooks.py)."""
    hook = (node.extras or {}).get("hook")
    return g if hook is None else hook(g)


def vjps(grads: Gradients, node: Node, g: Any, wanted: set[Key] | None, create: bool, inspect: Any) -> None:
    """Add to the gradient of each parent of `node` its vector-Jacobian product with `g`."""
    primitive, parents, inputs, static = node.primitive, node.parents, node.inputs, node.static
    y = node if node.output is None else node.output
    for storage in node.saved_storages:
        if storage.version > node.sequence_number:
            raise RuntimeError(
                f"backward: a value that {node.name} needs for its gradient was overwritten in place later "
                f"(at {node.line})"
            )
    if create:
        inputs = [saved_tensor(x, parent) for x, parent in zip(inputs, parents)]
        y = saved_tensor(y, node)
    if primitive.variadic:
        of_all = primitive.rules[0](g, y, *inputs, **static)
    for k, parent in enumerate(parents):
        if parent is None or (wanted is not None and parent not in wanted):
            continue
        d = of_all[k] if primitive.variadic else primitive.rules[k](g, y, *inputs, **static)
        if inspect is not None:
            inspect(node, d)
        form = d.__class__
        if form is Product and not batches_products(parent):
            d = stacked_product([d.a], [d.g])
            form = d.__class__
        if form is np.ndarray and parent not in grads:
            grads[parent] = d if d.shape == parent.shape else unbroadcast(d, parent.shape)
        elif d is not None:
            grads.add(parent, d)


def batches_products(parent: Key) -> bool:
    """True if products for this parent stay unfinished: a leaf or its transpose, which many steps may use."""
    return parent.__class__ is not Node or parent.primitive.batches_products

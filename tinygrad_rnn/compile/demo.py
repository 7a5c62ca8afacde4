"""Demo: what a program does when it is started by itself: a check by finite differences, and its time.

    $ python the_source.py
    backward 1.4242581, differences 1.4242581; time 0.21 ms

The two numbers are the derivative of the outputs along one random direction. Next: program.py.
"""

from __future__ import annotations

from typing import Any

from .emit import Emitter


def demo(emitter: Emitter, x: Any, states: list[Any], tensors: dict[str, Any], T: int, B: int) -> str:
    """The part of a program that runs when it is started by itself."""
    e = emitter
    if (
        not e.plan.backward
        or any(t.dtype.kind != "f" for t in (x, *states, *tensors.values()))
        or e.arrays
        or e.plan.step.noise
    ):
        return ""
    leads = ["T * B"] + ["B"] * len(states)
    shapes = [f"({', '.join([n, *map(str, t.shape[1:])])})" for n, t in zip(leads, (x, *states))]
    shapes += [str(tuple(tensors[path].shape)) for path in e.paths]
    names = [e.x, *e.initial, *(e.names[id(e.plan.step.params[path])] for path in e.paths)]
    space = "workspace(T, B)" if e.last else "workspace([B] * T, B)"
    after = len(e.initial) + 1
    return DEMO.format(
        T=T, B=B, space=space, arguments=f"*gradients, inputs[0], *inputs[{after}:]",
        names=listed(names), wanted=listed(e.wanted()), shapes=", ".join(shapes),
    )  # fmt: skip


def listed(names: list[str]) -> str:
    """A list of strings as source."""
    return repr(" ".join(names)) + ".split()"


DEMO = '''
def check(T={T}, B={B}):
    """Compare backward with finite differences along one direction, in float64; print both, and the time."""
    global DTYPE
    was, DTYPE = DTYPE, np.float64
    rng = np.random.default_rng(0)
    names = {names}
    wanted = {wanted}
    shapes = {shapes}
    inputs = [rng.standard_normal(shape) * 0.3 for shape in shapes]
    w = {space}
    outputs = forward(w, *inputs)
    gradients = [rng.standard_normal(y.shape) for y in outputs]
    found = dict(zip(wanted, backward(w, {arguments})))
    step = {{name: rng.standard_normal(x.shape) for name, x in zip(names, inputs)}}

    def loss(size):
        moved = [x + size * step[name] if name in found else x for name, x in zip(names, inputs)]
        return sum((g * y).sum() for g, y in zip(gradients, forward(w, *moved)))

    by_backward = sum((found[name] * step[name]).sum() for name in found)
    by_differences = (loss(1e-6) - loss(-1e-6)) / 2e-6
    DTYPE = was
    inputs, gradients = [x.astype(DTYPE) for x in inputs], [g.astype(DTYPE) for g in gradients]
    w, best = {space}, float("inf")
    for _ in range(10):
        start = time.perf_counter()
        forward(w, *inputs)
        backward(w, {arguments})
        best = min(best, time.perf_counter() - start)
    print(f"backward {{by_backward:.8g}}, differences {{by_differences:.8g}}; time {{best * 1000:.2f}} ms")


if __name__ == "__main__":
    import time

    check()
'''.lstrip("\n")

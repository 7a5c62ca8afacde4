"""Reference values of torch's operations, written to ops.npz beside this file.

    python tests/reference/make_ops.py

This needs torch; the tests import the cases from here, read the file, and need no torch. A case is a
program in the names L (the library) and x, y, m, … (its inputs); what its last line gives is the result.
Each is evaluated to its results, their gradients, and those of the sum of the squared gradients.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("ops.npz")
Array = np.ndarray
Case = tuple[str, dict[str, Array]]


def wave(*shape: int, phase: float = 0.1, size: float = 1.5) -> Array:
    """Numbers without pattern or ties, the same on every machine."""
    n = np.arange(int(np.prod(shape)))
    return (size * np.sin(2.3 * n + 0.7 * n**1.5 + phase)).reshape(shape)


X, Y, CUBE = wave(2, 3), wave(2, 3, phase=1.0), wave(2, 3, 4, phase=0.5)
POSITIVE, ROW, SCALAR = np.abs(X) + 0.3, wave(3, phase=2.0), wave(phase=4.0)
TIES, HOLES = np.round(wave(3, 4, size=1.4)), wave(3, 4, phase=0.7) * (np.arange(12).reshape(3, 4) % 5 != 1)
HUGE = np.array([-1e4, -700.0, -30.0, -1e-4, 0.0, 1e-4, 30.0, 700.0, 1e4])


def listed(text: str, **inputs: Array) -> list[Case]:
    """One case a line."""
    return [(line.strip(), inputs) for line in text.strip().splitlines()]


def elementwise() -> list[Case]:
    names = "neg abs exp expm1 log1p square reciprocal sin cos tanh sigmoid sign floor ceil round relu erf"
    cases = [(f"L.{name}(x)", {"x": x}) for name in names.split() for x in (X, SCALAR, CUBE[:, :0])]
    cases += [(f"x.{name}()", {"x": POSITIVE}) for name in "log log1p log2 sqrt rsqrt reciprocal".split()]
    pairs = ((X, Y), (X, ROW), (X, SCALAR), (SCALAR, X[:, :1]), (CUBE[:1, :, :1], ROW[:2, None, None]))
    for name in "add sub mul div maximum minimum logaddexp".split():
        cases += [(f"L.{name}(x, y)", {"x": x, "y": y}) for x, y in pairs]
    cases += [(f"L.{name}(x, y)", {"x": POSITIVE, "y": Y}) for name in ("pow", "xlogy", "remainder")]
    cases += listed(
        """
        x + 2
        2 - x
        x * 0.5
        1 / (x + 2)
        x / 3
        x ** 2
        x ** 3
        (x * x) ** 0.5
        x ** 0
        2.5 ** x
        -x
        abs(x)
        L.add(x, y, alpha=0.3)
        x.sub(y, alpha=2)
        L.div(x, y, rounding_mode="floor")
        L.div(x, y, rounding_mode="trunc")
        x.round(decimals=1)
        x.clamp(-0.5, 0.5)
        x.clamp(min=0)
        L.clamp(x, max=y)
        L.clamp(x, y, y + 0.5)
        x.clamp_min(0.2)
        L.clamp_max(x, y)
        L.addcmul(x, y, y, value=0.3)
        x.addcdiv(x, y, value=-2)
        L.lerp(x, y, 0.3)
        x.lerp(y, x)
        L.where(x > y, x, y)
        L.where(x > 0, x, 0)
        x.where(y > 0, 1.5)
        L.where(x > 0)
        x > y
        x <= 0
        x.eq(x)
        L.logical_xor(x > 0, y > 0)
        L.isclose(x, x + 1e-9)
        L.allclose(x, y)
        """,
        x=X,
        y=Y,
    )
    stable = "sigmoid tanh expm1 relu abs".split()
    cases += [(f"L.{name}(x)", {"x": np.clip(HUGE, None, 600)}) for name in stable]
    near = np.clip(HUGE, -30, 30)  # further out, torch's second derivative is NaN
    return cases + [("L.logaddexp(x, y)", {"x": near, "y": near[::-1].copy()})]


def reductions() -> list[Case]:
    forms = ("", "0", "-1, keepdim=True", "(0, 2)", "dim=[1], keepdim=True")
    cases = [(f"x.{name}({form})", {"x": CUBE}) for name in ("sum", "mean", "amax", "amin") for form in forms]
    cases += [
        (f"x.{name}({form})", {"x": CUBE})
        for name in ("var", "std")
        for form in (*forms, "False", "0, False")
    ]
    cases += [(f"x.logsumexp({form})", {"x": CUBE}) for form in forms[1:]]
    for name in ("prod", "cumsum", "cumprod"):
        cases += [
            (f"L.{name}(x, {dim})", {"x": x}) for dim in (0, 1) for x in (HOLES, wave(3, 4), wave(3, 0))
        ]
    cases += [("x.prod()", {"x": HOLES}), ("x.prod(1, True)", {"x": X}), ("x.cumsum(-1)", {"x": CUBE})]
    for p in ("2", "1", "3", "math.inf", "-math.inf", "0", "0.5", "-1", "'fro'"):
        cases += [(f"x.norm({p}, dim=1)", {"x": wave(3, 4)}), (f"x.norm(p={p})", {"x": wave(3, 4)})]
    cases += listed(
        """
        x.max()
        x.min()
        x.max(1)
        x.min(0, keepdim=True)
        x.max(y)
        x.argmax()
        x.argmin(1, keepdim=True)
        x.amax((0, 1))
        x.sort(1)
        x.sort(0, descending=True)
        x.argsort(1)
        x.median()
        L.median(x, 1)
        x.median(0, keepdim=True)
        (x > 0).long().flatten().bincount(minlength=3)
        L.bincount(L.tensor([2, 0, 2, 5]), x[0].detach())
        L.unique((x > 0).long(), return_inverse=True, return_counts=True)
        x.topk(2, 1)
        x.topk(1, dim=0, largest=False)
        x.std(0, correction=2)
        x.var(1, unbiased=False, keepdim=True)
        (x > 0).all(0)
        (x > 0).any(1, keepdim=True)
        (x > 0).sum(1)
        """,
        x=wave(3, 4, phase=0.3),
        y=wave(3, 4, phase=0.9),
    )
    ties = [
        (call, {"x": TIES})
        for call in ("x.amax(1)", "x.amin(0)", "x.max()", "x.min()", "x.amax((0, 1))", "x.median()")
    ]
    far = [("x.logsumexp(0)", {"x": np.array([[1e4, -1e4], [1e4, -1e4]])}), ("x.logsumexp(0)", {"x": SCALAR})]
    return cases + ties + far


def shapes() -> list[Case]:
    whole = """
        x.reshape(4, 6)
        x.view(-1, 8)
        x.flatten(1)
        L.flatten(x, 0, 1)
        x.ravel()
        x.transpose(0, 2)
        x.permute(2, 0, 1)
        x.permute(dims=(1, 2, 0))
        x.mT
        x[0].T
        x[0].t()
        x.movedim(0, 2)
        L.movedim(x, (0, 1), (2, 0))
        x.unsqueeze(1).squeeze(1)
        x[:1].squeeze()
        x.unsqueeze(-1)
        x[:, :1].expand(-1, 5, 4)
        x[0].expand(3, 3, 4)
        x[0, 0].expand_as(x)
        L.broadcast_to(x[0], (2, 2, 3, 4))
        x.repeat(2, 1, 2)
        x.repeat(2, 1, 1, 1)
        x.tile(2)
        x.repeat_interleave(2, dim=1)
        L.cat([x, x[:1]])
        L.cat((x, x * 2, x[..., :1]), dim=-1)
        L.stack([x, x * 2], 1)
        L.stack((x, x), dim=-1)
        L.meshgrid(x[0, 0], x[1, :, 0], x[:, 0, 0], indexing="ij")
        L.meshgrid([x[0, 0], x[1, :, 0], x[:, 0, 0]], indexing="xy")
        L.hstack([x, x])
        L.vstack([x[0, 0], x[0, 1]])
        x.split(2, 2)
        x.split([1, 2], dim=1)
        x.chunk(3, -1)
        x.unbind(1)
        x.select(2, -1)
        x.narrow(2, 1, 2)
        x.flip(0, 2)
        x.flip((1,))
        x.roll(1)
        x.roll((1, -2), (0, 2))
        x.tril()
        x.triu(1)
        x.diagonal(0, 1, 2)
        x.diagonal(1, 0, 1)
        x[0].t().diagonal(-1)
        x.diagonal(-1, -1, 1)
        x.diagonal(5)
        L.diag(x[0, 0])
        x[0].diag(-1)
        x.clone()
        x.transpose(0, 1).contiguous()
    """
    single = (
        "x.reshape(1, 1)\nx.unsqueeze(0)\nx.expand(3)\nL.stack([x, x])\nx.repeat(2)\nx.flatten()\nx.flip(0)"
    )
    return listed(whole, x=CUBE) + listed(single, x=SCALAR)


def indexing() -> list[Case]:
    read = """
        x[1]
        x[-1, :, 2]
        x[..., 1]
        x[:, 1:, ::2]
        x[None, :, 0]
        x[[0, 0, 1]]
        x[:, [2, 2, 0]]
        x[[0, 1], [1, 1], [3, 3]]
        x[:, [0, 1], [1, 1]]
        x[[0, 1], :, [1, 1]]
        x[0, :, [1, 1]]
        x[1, [2, 0], 1:]
        x[L.tensor([[0, 1], [1, 1]])]
        x[L.tensor(1), :, L.tensor([0, 0])]
        x[x > 0]
        x[L.tensor([True, False])]
        x[:, L.tensor([True, False, True])]
        x[True]
        x[[]]
        x.index_select(1, L.tensor([2, 2, 0]))
        x.gather(2, L.tensor([[[0, 1], [1, 1], [2, 0]]]))
        L.gather(x, 0, L.tensor([[[0, 1], [1, 1]]]))
        x.take_along_dim(L.tensor([[[1], [0], [1]]]), 2)
        L.take_along_dim(x, L.tensor([3, 3, 0]))
        x.scatter(1, L.tensor([[[0, 2, 1, 0]], [[2, 1, 0, 0]]]), x[:, :1] * 2)
        x.scatter(2, L.tensor([[[0], [1], [2]]]), 9.5)
        x.scatter_add(1, L.tensor([[[0, 2, 0, 0], [0, 1, 1, 0]]]), x[:1, :2] ** 2)
        x.index_add(1, L.tensor([0, 0, 2]), x * x, alpha=0.5)
        x.masked_fill(x > 0, 2.7)
        x.masked_fill(x[0] > 0, -1)
        x.masked_select(x > 0)
        x[0].masked_select(x > 0)
        L.nonzero(x > 0)
    """
    write = """
        y[0] = 2.7
        y[0] = x[1] * 2
        y[:, 1] = x[:, 0]
        y[[1, 0], [0, 2]] = x[:, 1]
        y[x > 0] = 0
        y[x > 0] = x[x > 0] * 3
        y[0, :, [0, 1]] = x[1, :, :2]
        y[1:, :, 1:3] = x[0, :, :1]
        y[..., 0] *= 2
        y[0] += x[1]
        y[1][0] = x[0, 0]
        y[:, 0].mul_(x[:, 1])
        y.view(-1)[3] = x[0, 0, 0]
        y.transpose(0, 1)[0] = 5
        y[0].zero_()
        y.fill_(3)
        y += x
        y.mul_(x).add_(x, alpha=2)
        y.clamp_(min=0)
        y.masked_fill_(x > 0, 1.5)
        y.copy_(x[0])
        y.squeeze_().unsqueeze_(0).transpose_(1, 2)
        y[0].diagonal().zero_()
        y.diagonal(1, 1, 2).mul_(x[:, 0, :3])
        y.flip(0).zero_()
    """
    changes = [f"y = x * 1; {line.strip()}; y" for line in write.strip().splitlines()]
    fills = [
        f"y = L.zeros(2, 3, 4, dtype=x.dtype); {change}; y"
        for change in ("y[0] += x[1]", "y[1][0] = x[0, 0]")
    ]
    return [(program, {"x": CUBE}) for program in listed_lines(read) + changes + fills]


def listed_lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def products() -> list[Case]:
    ranks = [
        ((3,), (3,)),
        ((2, 3), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
    ]
    ranks += [((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((3,), (5, 3, 2)), ((5, 2, 3), (3,))]
    ranks += [((2, 0), (0, 3)), ((0, 3), (3, 2)), ((0, 2, 3), (3, 1))]
    factors = [{"x": wave(*a), "y": wave(*b, phase=1.0)} for a, b in ranks]
    cases = [("x @ y", pair) for pair in factors]
    cases += [
        ("L.mm(x, y)", factors[3]),
        ("x.bmm(y)", factors[6]),
        ("x.mv(y)", factors[1]),
        ("x.dot(y)", factors[0]),
    ]
    matrix = {"i": wave(2, 4, phase=3.0), "x": wave(2, 3), "y": wave(3, 4)}
    cases += [("L.addmm(i, x, y, beta=0.5, alpha=2)", matrix), ("i.addmm(x, y)", matrix)]
    cases += [("L.baddbmm(i, x, y, beta=2)", {"i": wave(5, 2, 1), "x": wave(5, 2, 3), "y": wave(5, 3, 4)})]
    cases += [
        ("L.outer(x, y)", {"x": wave(2), "y": wave(3)}),
        ("L.inner(x, y)", {"x": wave(2, 3), "y": wave(4, 3)}),
    ]
    cases += [("x.trace()", {"x": wave(3, 4)}), ("L.tensordot(x, y, 1)", factors[4])]
    cases += [("L.tensordot(x, y, dims=([0, 1], [1, 0]))", {"x": wave(2, 3, 4), "y": wave(3, 2, 5)})]
    cases += [("L.tensordot(x, y, 0)", {"x": wave(2), "y": wave(3)})]
    for equation, *sizes in [
        ("ij,jk->ik", (2, 3), (3, 4)),
        ("ij,jk", (2, 3), (3, 4)),
        ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
        ("ij,ij->", (2, 3), (2, 3)),
        ("ij,ij->j", (2, 3), (2, 3)),
        ("ij,ij->ji", (2, 3), (2, 3)),
        ("i,j->ji", (2,), (3,)),
        ("ii->i", (3, 3)),
        ("ii", (3, 3)),
        ("iij->j", (3, 3, 4)),
        ("ij->", (2, 3)),
        ("ba", (2, 3)),
        ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
        ("...ij,...jk->...ik", (1, 2, 3), (5, 3, 4)),
        ("i...->...i", (2, 3, 4)),
        ("i...,i...->...", (3, 2), (3, 2)),
        ("ij,ij->i", (1, 3), (2, 3)),
        ("ijk,ilm,jn->kn", (2, 3, 4), (2, 5, 6), (3, 7)),
        ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
        ("bi,bj,bk->bijk", (2, 2), (2, 3), (2, 4)),
        ("ik,jkl,il->ij", (2, 3), (4, 3, 5), (2, 5)),
        ("ij,jk->ik", (2, 0), (0, 3)),
    ]:
        names = "xyz"[: len(sizes)]
        inputs = {name: wave(*size, phase=float(k)) for k, (name, size) in enumerate(zip(names, sizes))}
        cases += [(f"L.einsum({equation!r}, {', '.join(names)})", inputs)]
    return cases


def creation() -> list[Case]:
    return [
        (program, {})
        for program in listed_lines("""
        L.arange(5)
        L.arange(1, 9, 3)
        L.arange(0, 1, 0.25)
        L.arange(5, 0, -2)
        L.linspace(-1, 1, 5)
        L.linspace(0, 3, 1)
        L.eye(2, 3)
        L.full((2,), 1.5)
        L.full((2,), 3)
        L.zeros(2, 3)
        L.ones(size=(2,), dtype=L.int64)
        L.tensor([[1, 2], [3, 4.5]])
        L.tensor([True, False])
        L.tensor([])
        L.tensor([L.tensor(1.0), 2])
        L.full_like(L.ones(2), 3)
        L.zeros(2).new_ones(1, 2)
        """)
    ]


FAMILIES = (elementwise, reductions, shapes, indexing, products, creation)


def named() -> dict[str, Case]:
    """The cases by a name that tells program and shapes."""
    cases = [case for family in FAMILIES for case in family()]
    names = [f"{program} {[a.shape for a in inputs.values()]}" for program, inputs in cases]
    return {f"{name} #{names[:k].count(name)}": case for k, (name, case) in enumerate(zip(names, cases))}


# --- evaluation, by either library


def run(lib: Any, program: str, inputs: dict[str, Any]) -> list[Any]:
    """What `program` gives: a list of tensors, truth values and numbers."""
    names = {"L": lib, "math": math, **inputs}
    *statements, last = program.split("; ")
    exec("; ".join(statements), names)
    result = eval(last, names)
    return list(result) if isinstance(result, (list, tuple)) else [result]


def numbers(x: Any) -> Array:
    """A tensor or a number as an array."""
    return np.array(x.detach().numpy() if hasattr(x, "detach") else x)


def weighted(lib: Any, tensors: list[Any]) -> Any:
    """Σ wᵢ xᵢ², with weights that tell places apart."""
    total = 0
    for x in tensors:
        w = np.cos(np.arange(x.numel())).reshape(tuple(x.shape))
        total = total + (x * x * lib.tensor(w, dtype=x.dtype)).sum()
    return total


def evaluate(lib: Any, case: Case) -> dict[str, Array]:
    """Results, gradients and second derivatives, by name."""
    program, arrays = case
    inputs = {k: lib.tensor(a, requires_grad=a.dtype.kind == "f") for k, a in arrays.items()}
    results = run(lib, program, inputs)
    found = {f"result {k}": numbers(r) for k, r in enumerate(results)}
    floats = [r for r in results if getattr(r, "requires_grad", False)]
    leaves = [x for x in inputs.values() if x.requires_grad]
    if not floats:
        return found
    first = slopes(lib, weighted(lib, floats), leaves, True)
    second = slopes(lib, weighted(lib, [g for g in first if g.requires_grad]), leaves, False)
    for order, gradients in (("gradient", first), ("second", second)):
        found |= {f"{order} {k}": numbers(g) for k, g in zip(inputs, gradients)}
    return found


def slopes(lib: Any, total: Any, leaves: list[Any], create: bool) -> list[Any]:
    if not getattr(total, "requires_grad", False):
        return [lib.zeros_like(x) for x in leaves]
    found = lib.autograd.grad(total, leaves, create_graph=create, allow_unused=True)
    return [lib.zeros_like(x) if g is None else g for g, x in zip(found, leaves)]


def main() -> None:
    """Write the file: all numbers in one row, and what they are. The same numbers give the same bytes."""
    import torch

    entries, row = [], []
    for name, case in named().items():
        for what, values in evaluate(torch, case).items():
            entries.append([name, what, str(values.dtype), values.shape])
            row.append(values.astype(float).ravel())
    with zipfile.ZipFile(FILE, "w") as archive:
        for key, array in {"entries": np.array(json.dumps(entries)), "row": np.concatenate(row)}.items():
            stream = io.BytesIO()
            np.save(stream, array)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), stream.getvalue(), zipfile.ZIP_DEFLATED)


def load() -> dict[str, dict[str, Array]]:
    """What the file holds, by case and by what it is of it."""
    cases: dict[str, dict[str, Array]] = {}
    with np.load(FILE) as stored:
        row, start = stored["row"], 0
        for name, what, dtype, shape in json.loads(str(stored["entries"])):
            end = start + math.prod(shape)
            cases.setdefault(name, {})[what] = row[start:end].reshape(shape).astype(dtype)
            start = end
    return cases


if __name__ == "__main__":
    main()

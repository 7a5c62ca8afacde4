"""Programs: the one for a call, by all that it depends on; or the reason why there is none.

Back to layers.py.
"""

from __future__ import annotations

import itertools
import traceback
import warnings
from pathlib import Path
from typing import Any

from ..engine.primitive import mode
from ..engine.tensor import Tensor
from ..nn.cells import Cell
from ..nn.loop import tensors_in
from .guards import Snapshot
from .noise import projected
from .program import Program
from .symbols import Untraceable
from .trial import Disagrees
from .verifier import Unproven

PACKAGE = str(Path(__file__).parent.parent)
PROGRAMS = 16  # how many a compiled layer keeps


class Programs:
    """The programs of one layer, by all that they depend on.

    Two threads that need a program at once may both make it: no lock is held that a process could be forked
    under.
    """

    def __init__(self, fullgraph: bool, dynamic: bool) -> None:
        self.fullgraph, self.dynamic, self.warned = fullgraph, dynamic, False
        self.found: dict[Any, Any] = {}  # a Program, or why there is none; the last one used is last
        self.reasons: dict[Any, str] = {}

    def of(
        self, cell: Cell, data: Tensor, sizes: Any, state: Any, reverse: bool, now: Snapshot
    ) -> Program | None:
        """The program for a call; None if it has to run eagerly."""
        depends = depends_on(cell, data, sizes, state, reverse, now, self.dynamic)
        key = tuple(depends.items())
        found = self.found.pop(key, None)
        if found is None:
            self.reasons[key] = self.why(key)
            dense = bool(depends["dense or ragged"])
            found = self.build(cell, data, sizes, state, reverse, depends["gradients"], dense)
        self.found[key] = found
        for old in list(self.found)[:-PROGRAMS]:
            self.found.pop(old, None)
            self.reasons.pop(old, None)
        if isinstance(found, Program):
            return found
        self.complain(found)
        return None

    def build(
        self, cell: Cell, data: Tensor, sizes: Any, state: Any, reverse: bool, asked: bool, dense: bool
    ) -> Any:
        """A new program, or the reason why there is none."""
        try:
            try:
                return Program(cell, data, state, sizes, reverse, asked, dense)
            except Untraceable:
                if type(cell).project is Cell.project:
                    raise
                return Program(cell, projected(cell, data), state, sizes, reverse, asked, dense, early=True)
        except Untraceable as error:
            return str(error)
        except (Unproven, Disagrees) as error:
            return f"the program that was made is not right ({error}): please report this cell"
        except Exception as error:  # the eager run will show it, if it is the user's
            return f"{type(error).__name__}: {error}"

    def complain(self, reason: str) -> None:
        """Say once that a cell runs eagerly."""
        if self.fullgraph:
            raise RuntimeError(f"compile: {reason}")
        if not self.warned:
            self.warned = True
            frames = itertools.takewhile(
                lambda f: f.filename.startswith(PACKAGE), reversed(traceback.extract_stack())
            )
            warnings.warn(
                f"compile: runs eagerly: {reason}", RuntimeWarning, stacklevel=1 + len(list(frames))
            )

    def why(self, key: Any) -> str:
        """What is new about a key."""
        if not self.found:
            return "first call"
        nearest = max(list(self.found), key=lambda k: sum(a == b for a, b in zip(k, key)))
        new = [name for (name, a), (_, b) in zip(nearest, key) if a != b]
        old, now = (dict(dict(k)["attributes"]) for k in (nearest, key))
        changed = [name for name in {**old, **now} if old.get(name) != now.get(name)]
        named = f"attributes ({', '.join(changed[:3])})"
        return "new " + ", ".join(named if name == "attributes" else name for name in new)


def depends_on(
    cell: Cell, data: Tensor, sizes: Any, state: Any, reverse: bool, now: Snapshot, dynamic: bool
) -> dict[str, Any]:
    """All that a program for a call depends on."""
    leaves = tensors_in(state)
    B, dense = len(leaves[0]), not dynamic and sizes[-1] == len(leaves[0])
    asked = mode.enabled and any(t.requires_grad for t in (data, *leaves, *now.tensors.values()))
    return {
        "attributes": now.key(),
        "direction": reverse,
        "dense or ragged": dense,
        "batch size": B if dense else 0,
        "grad mode": mode.enabled,
        "gradients": asked,
        "gradient of x": asked and data.requires_grad,
        "gradients of states": tuple(asked and s.requires_grad for s in leaves),
        "input": (data.array.shape[1:], data.dtype),
        "states": nested(state),
        "parameters": tuple(
            (path, t.array.shape, t.dtype, asked and t.requires_grad) for path, t in now.tensors.items()
        ),
    }


def nested(state: Any) -> Any:
    """The form of a state: what is in which kind of tuple, shapes and dtypes."""
    if isinstance(state, tuple):
        return (type(state), *map(nested, state))
    return state.array.shape[1:], state.dtype

"""Storage: in which memory each value of a plan lives.

A `Buffer` is an array that is made once for a shape; a `Spot` is a buffer or a slice of it. A buffer's scope
says how much of time it holds:

    all       every step: what another part of the program reads
    history   every state, the first one included: h[t] is what step t starts from, h[t + 1] what it makes
    live      one state (or the gradient of one), written over at each step
    step      scratch of one step
    given     x, or the gradient of an output: not ours, rows (N, K) that are only read

Whatever can is written where it is wanted at once. For `i, f, g, o = (a + h @ W.T).chunk(4)`, activated,
nothing but the sum is stored: each gate is written over its slice of `a`, which nobody reads any more:

    before    u = matmul(h, W); v = add(a, u); i = sigmoid(v[0:H])
    after     matmul(h, W, out=u); add(a, u, out=a); sigmoid(a[0:H], out=a[0:H])

Two layouts are known. `last`: features first, rows last, an array (T, K, B), for dense batches of rank 2.
`first`: packed rows (N, K, …), those of one step in a block; everything else. Next: numpy_text.py.
"""

from __future__ import annotations

from .fission import Plan
from .kinds import ELEMENTWISE
from .spots import Buffer, Region, Spot, disjoint, fresh, is_view, region, slices_of
from .symbols import Value

NEVER = 10**9
IN_PLACE = ELEMENTWISE - {"where", "cast", "erf"}


class Storage:
    """Spots for all values of a plan."""

    def __init__(self, plan: Plan, last: bool) -> None:
        self.plan, self.last = plan, last
        self.buffers: list[Buffer] = []
        self.spots: dict[int, Spot] = {}
        self.carry: dict[str, list[tuple[Value, Value | None]]] = {"forward": [], "back": []}  # (h, next h)
        self.ends: dict[str, list[tuple[Value | None, Spot]]] = {
            "forward": [],
            "back": [],
        }  # copies, per step
        self.name_values()
        self.carry_states()
        self.carried = {id(b) for pairs in self.carry.values() for a, b in pairs if a is not b}
        self.stays = {
            id(a) for pairs in self.carry.values() for a, b in pairs if a is b
        }  # never written over
        self.order = [v for values in plan.parts.values() for v in values]
        self.at = {id(v): k for k, v in enumerate(self.order)}
        self.readers: dict[
            int, list[tuple[float, Region]]
        ] = {}  # of each value: when it is read, and which part
        self.find_readers()
        for v in (plan.step.x, *plan.step.noise, *plan.step.d_ys):
            if v is not None:
                self.spots[id(v)] = Spot(self.buffer_for(v, "given", ""))
        self.place_states()
        self.designate()
        for k, v in enumerate(self.order):
            if v.kind == "row" and not is_view(v) and not self.is_placed(v) and not self.direct(v):
                self.settle(k, v)
        for b in self.buffers:
            b.zeros = self.keeps_zeros(b)
        self.name_buffers()

    # --- what is read, and when

    def is_placed(self, v: Value) -> bool:
        """True if a row value has a spot, its own or that of what it is a view of."""
        return id(region(v).base) in self.spots

    def spot(self, v: Value) -> Spot:
        """Where a row value can be found."""
        r = region(v)
        return self.spots[id(r.base)].seen(r)

    def find_readers(self) -> None:
        """Note every reading of every value; outputs are read at the end, and what backward reads stays."""
        step, plan = self.plan.step, self.plan
        for k, v in enumerate(self.order):
            if v.kind != "row" or not is_view(v):
                for a in v.inputs():
                    self.read(a, NEVER if v.kind == "reduced" else k)  # sums are taken when all else is done
        for v in [*step.ys, step.d_x]:
            if v is not None:
                self.read(v, NEVER)
        turn = sum(len(values) for name, values in plan.parts.items() if name.startswith("forward"))
        brief = {id(d) for d in (*step.d_ys, *step.d_nexts)}
        for reads in self.readers.values():
            base = reads[0][1].base
            ahead = self.at.get(id(base), -1) < turn and id(base) not in brief
            if ahead and any(k >= turn for k, _ in reads):
                reads.append((NEVER, Region(base)))

    def read(self, v: Value, k: float) -> None:
        """Note that `v` is read at position k."""
        if v.kind == "row":
            r = region(v)
            self.readers.setdefault(id(r.base), []).append((k, r))
        elif v.kind in ("turned", "fold"):
            self.read(v.args[0], k)

    def part(self, v: Value) -> str:
        """Where a value is computed."""
        return self.plan.part.get(id(v), "input")

    def needs_all(self, v: Value, home: str = "") -> bool:
        """True if something outside of its own loop reads the value."""
        home = home or self.part(v)
        reads = self.readers.get(id(v), [])
        return not home.endswith("loop") or any(
            k == NEVER or self.part(self.order[int(k)]) != home for k, _ in reads
        )

    def direct(self, v: Value) -> bool:
        """True if `v` is the gradient of x, nothing else, and a product: then it is made row by row."""
        alone = self.last and v is self.plan.step.d_x and v.op == "matmul" and self.part(v) == "back after"
        return alone and len(self.readers[id(v)]) == 1

    # --- states

    def carry_states(self) -> None:
        """See that every next state, and every gradient carried on, is computed by the loop for it alone."""
        step, plan = self.plan.step, self.plan
        ways = (("forward", step.states, step.nexts), ("back", step.d_nexts, step.d_states))
        for way, befores, afters in ways:
            seen: set[int] = set()
            for k, (before, after) in enumerate(zip(befores, afters)):
                if before is None:
                    continue
                if after is not None and after is not before:
                    own = plan.part.get(id(after)) == f"{way} loop" and not is_view(after)
                    if not own or id(after) in seen:
                        after = afters[k] = self.copy_of(after, way)
                        plan.parts[f"{way} loop"].append(after)
                    seen.add(id(after))
                self.carry[way].append((before, after))
        if not self.last:
            self.save_states("forward")
        self.save_states("back")

    def copy_of(self, v: Value, way: str) -> Value:
        """A copy of a value, to be made in the loop."""
        twin = Value("copy", (v,), {}, v.shape, v.dtype, "row", v.name)
        self.plan.part[id(twin)] = f"{way} loop"
        return twin

    def save_states(self, way: str) -> None:
        """What the loop writes over at each step, but something outside of it reads, is copied."""
        plan, step, loop = self.plan, self.plan.step, self.plan.parts[f"{way} loop"]
        values = [v for values in plan.parts.values() for v in values]
        inside = {*map(id, loop)}
        for state, _ in self.carry[way]:
            looks = [v for v in values if v.kind == "row" and is_view(v) and region(v).base is state]
            seen = {id(state), *map(id, looks)}
            outside = [v for v in values if id(v) not in inside and any(id(a) in seen for a in v.args)]
            if any(v not in looks for v in outside) or any(id(v) in seen for v in (*step.ys, step.d_x)):
                twin = self.copy_of(state, way)
                loop.insert(0, twin)
                for v in [*looks, *outside]:
                    v.args = tuple(twin if a is state else a for a in v.args)
                step.ys = [twin if y is state else y for y in step.ys]
                step.d_x = twin if step.d_x is state else step.d_x

    def place_states(self) -> None:
        """Buffers for states and carried gradients."""
        for way, pairs in self.carry.items():
            for before, after in pairs:
                stays = after is None or after is before
                all_after = after is not None and not stays and self.needs_all(after)
                outside = self.needs_all(before, f"{way} loop")
                history = self.last and way == "forward" and (outside or all_after)
                buffer = self.new(before, "history" if history else "live", way)
                self.take(before, Spot(buffer, "in" if history else ""))
                target = Spot(buffer, "next" if history else "")
                if after is None or (stays and history):
                    self.at_end(way, after, target)
                elif not stays:
                    if history or not (all_after or self.is_read_after(before, after)):
                        self.take(after, target)
                    else:
                        self.at_end(way, after, target)

    def at_end(self, way: str, after: Value | None, target: Spot) -> None:
        """Let a step end with a copy of `after`, which has to be there until then."""
        self.ends[way].append((after, target))
        if after is not None:
            last = max((k for k, v in enumerate(self.order) if self.part(v) == f"{way} loop"), default=-1)
            self.read(after, last + 0.5)

    def is_read_after(self, before: Value, after: Value) -> bool:
        """True if `after`, written over `before`, would destroy what is still read."""
        k = self.at[id(after)]
        whole = after.op in IN_PLACE and before.shape == after.shape  # number by number
        reads = self.readers.get(id(before), [])
        return any(r > k or (r == k and not (whole and seen == Region(before))) for r, seen in reads)

    # --- memory for the rest

    def buffer_for(self, v: Value, scope: str, way: str) -> Buffer:
        """A buffer in the form of `v`."""
        return Buffer(tuple(v.shape[1:]), v.dtype, scope, way)

    def new(self, v: Value, scope: str, way: str) -> Buffer:
        """A new buffer of the workspace."""
        self.buffers.append(self.buffer_for(v, scope, way))
        return self.buffers[-1]

    def new_for(self, v: Value) -> Buffer:
        """A new buffer for a value: of every step, if something outside of its loop reads it."""
        return self.new(v, "all" if self.needs_all(v) else "step", self.part(v).split()[0])

    def take(self, v: Value, spot: Spot) -> None:
        """Let `v` live at `spot`."""
        self.spots[id(v)] = spot
        spot.buffer.holds.append((v, spot))
        if spot.buffer.scope == "step" and self.needs_all(v):
            spot.buffer.scope = "all"

    def designate(self) -> None:
        """Write parts of a larger value into its slices, and what leads up to a fixed place, there."""
        for v in self.order:
            if (
                v.op in ("place", "cat")
                and v.kind == "row"
                and not self.is_placed(v)
                and (cuts := slices_of(v))
                and disjoint(cuts)
            ):
                buffer = self.new_for(v)
                buffer.reserved = True
                self.take(v, Spot(buffer))
                for piece, (lo, hi) in zip(v.args, cuts):
                    if self.is_open(piece, v):
                        self.take(piece, Spot(buffer, "", lo, hi))
        for v in reversed(self.order):
            if id(v) in self.spots and v.op in IN_PLACE:
                self.lead_up(v, self.spots[id(v)])

    def keeps_zeros(self, b: Buffer) -> bool:
        """True if a buffer can start as zeros: nothing is ever written between the parts of its value."""
        v, cuts = b.holds[0][0] if b.holds else None, None
        if b.reserved and v is not None and v.op == "place":
            cuts = slices_of(v)
        if not cuts or sum(hi - lo for lo, hi in cuts) == b.tail[0]:
            return False
        inside = [
            s.lo is not None and any(lo <= s.lo and (s.hi or 0) <= hi for lo, hi in cuts) for _, s in b.holds
        ]
        return all(inside[1:])

    def is_open(self, a: Value, v: Value) -> bool:
        """True if `a`, made in the same part as `v`, may be written wherever `v` wants it."""
        own = isinstance(a, Value) and a.kind == "row" and self.part(a) == self.part(v) and not is_view(a)
        return own and id(a) not in self.spots and a.op not in ("place", "cat")

    def lead_up(self, v: Value, spot: Spot) -> None:
        """Let the newest argument that serves `v` alone be written where `v` will be."""
        alike = [a for a in v.inputs() if self.is_open(a, v) and a.shape == v.shape and a.dtype == v.dtype]
        alone = [a for a in alike if len(self.readers[id(a)]) == 1]
        if alone and spot.buffer.scope != "live":
            self.take(max(alone, key=lambda a: self.at[id(a)]), spot)

    def settle(self, k: int, v: Value) -> None:
        """Find memory for `v`: over an argument not needed any more, in free scratch, or in a new buffer."""
        way, in_loop, needs_all = self.part(v).split()[0], self.part(v).endswith("loop"), self.needs_all(v)
        if v.op in IN_PLACE:
            alike = [a for a in v.inputs() if a.kind == "row" and a.shape == v.shape and a.dtype == v.dtype]
            for s in sorted(map(self.spot, alike), key=lambda s: s.buffer.scope != "all"):
                own = s.buffer.way == way and s.buffer.scope != "history" and not s.chain
                brief = s.buffer.scope == "live" and (needs_all or id(v) in self.carried)
                if own and not brief and self.free(s, k, v):
                    self.take(v, s)
                    return
        for b in self.buffers if in_loop and not needs_all else []:
            scratch = b.scope == "step" and b.way == way and not b.reserved
            fits = b.tail == tuple(v.shape[1:]) and b.dtype == v.dtype
            if scratch and fits and self.free(Spot(b), k, None):
                self.take(v, Spot(b))
                return
        self.take(v, Spot(self.new_for(v)))

    def free(self, spot: Spot, k: int, v: Value | None) -> bool:
        """True if nothing at `spot` is read after position k (or at k, but by an elementwise `v`)."""
        last: float = NEVER
        if v is not None and id(v) not in self.carried:
            last = max((r for r, _ in self.readers.get(id(v), [])), default=k)
        for w, held in spot.buffer.holds:
            made = self.at.get(id(w), -1)
            if held.overlaps(spot) and id(w) in self.stays:
                return False
            if held.overlaps(spot) and (last >= made if made > k else id(w) in self.carried):
                return False
            for position, r in self.readers.get(id(w), []) if made <= k else []:
                seen = held.seen(r)
                now = position == k and v is not None and seen == spot
                if position >= k and not now and seen.overlaps(spot):
                    return False
        return True

    # --- names

    def name_values(self) -> None:
        """Names for carried gradients, and for values that are one function of a named one."""
        step = self.plan.step
        for k, state in enumerate(step.states):
            state.name = state.name or f"s{k}"
        for state, d in zip(step.states, step.d_nexts):
            if d is not None:
                d.name = f"d_{state.name}"
        for v in step.values:
            if not v.name and len(v.args) == 1 and v.op in ELEMENTWISE - {"neg", "cast"}:
                of = v.inputs()[0].name
                v.name = f"{v.op}_{of}" if of else ""

    def name_buffers(self) -> None:
        """Name each buffer after the value it was made for, or the last one written to it."""
        taken = {"T", "B", "sizes", "blocks", "ones", "forward_steps", "back_steps"}  # the workspace's own
        for buffer in self.buffers:
            named = [(v.name, s) for v, s in buffer.holds if v.name]
            whole = [name for name, s in named if s.lo is None]
            buffer.name = fresh((whole or [name for name, _ in named] or ["u"])[0], taken)

"""Storage: in which memory each value of a plan lives.

A `Buffer` is an array that is made once for a shape; a `Spot` is a buffer or a slice of it. A buffer's scope
says how much of time it holds:

    all       every step: what another part of the program reads
    history   every state, the first one included: h[t] is what step t starts from, h[t + 1] what it makes
    live      one state (or the gradient of one), written over at each step
    step      scratch of one step

Whatever can is written where it is wanted at once. For `i, f, g, o = (a + h @ W.T).chunk(4)`, activated,
nothing but the sum is stored: each gate is written over its slice of `a`, which nobody reads any more:

    before    u = matmul(h, W); v = add(a, u); i = sigmoid(v[0:H])
    after     matmul(h, W, out=u); add(a, u, out=a); sigmoid(a[0:H], out=a[0:H])

Two layouts are known. `last`: features first, rows last, an array (T, K, B), for dense batches of rank 2.
`first`: packed rows (N, K, …), those of one step in a block; everything else. Next: emit.py.
"""

from __future__ import annotations

from .fission import VIEWS, Plan
from .kinds import ELEMENTWISE, columns
from .spots import Buffer, Region, Spot, fresh, is_advanced, slices_of, view_text
from .symbols import Value

NEVER = 10**9
IN_PLACE = ELEMENTWISE - {"where", "cast", "erf"}


class Storage:
    """Spots for all values of a plan."""

    def __init__(self, plan: Plan, last: bool) -> None:
        self.plan, self.last = plan, last
        self.buffers: list[Buffer] = []
        self.spots: dict[int, Spot] = {}
        self.carry: dict[str, list[tuple[Value, Value | None]]] = {
            "forward": [],
            "back": [],
        }  # state, what follows it
        self.ends: dict[str, list[tuple[Value | None, Spot]]] = {
            "forward": [],
            "back": [],
        }  # to copy at a step's end
        self.name_states()
        self.prepare_states()
        self.carried = {
            id(after) for pairs in self.carry.values() for before, after in pairs if after is not before
        }
        self.order = [(*name.split(), v) for name, values in plan.parts.items() for v in values]
        self.at = {id(v): k for k, (_, _, v) in enumerate(self.order)}
        self.readers: dict[int, list[tuple[int, Region, Value]]] = {}
        self.find_readers()
        for v in (plan.step.x, *plan.step.d_ys):
            if v is not None:
                self.spots[id(v)] = Spot(Buffer(tuple(v.shape[1:]), v.dtype, "given", ""))
        self.place_states()
        self.designate()
        for k, (way, part, v) in enumerate(self.order):
            if v.kind == "row" and not self.is_view(v) and id(v) not in self.spots and not self.direct(v):
                self.settle(k, way, part, v)
        self.name_buffers()

    # --- what is read, and when

    def is_view(self, v: Value) -> bool:
        """True if a value is only another way to look at one."""
        if v.op == "getitem":
            return not is_advanced(v.static["index"])
        if v.op == "reshape" and v.kind == "row":
            return False  # the memory of a slice has no other shape
        return v.op in VIEWS

    def region(self, v: Value) -> Region:
        """Of what value `v` is a view, and which part it sees."""
        if not self.is_view(v) or v.kind != "row":
            return Region(v)
        inner = self.region(v.args[0])
        cut = columns(v.static["index"]) if v.op == "getitem" else None
        if cut and not inner.chain:
            start = inner.lo or 0
            return Region(inner.base, start + cut[0], start + cut[1])
        lo, hi = inner.lo, inner.hi
        return Region(inner.base, lo, hi, inner.chain + view_text(v))

    def is_placed(self, v: Value) -> bool:
        """True if a row value has a spot, its own or that of what it is a view of."""
        return id(self.region(v).base) in self.spots

    def spot(self, v: Value) -> Spot:
        """Where a row value can be found."""
        r = self.region(v)
        s = self.spots[id(r.base)]
        start = s.lo or 0
        lo, hi = (s.lo, s.hi) if r.lo is None or r.hi is None else (start + r.lo, start + r.hi)
        return Spot(s.buffer, s.which, lo, hi, s.chain + r.chain)

    def find_readers(self) -> None:
        """Note every reading of every value; outputs are read at the end, and what backward reads stays."""
        end = len(self.order)
        turn = next((k for k, (way, _, _) in enumerate(self.order) if way == "back"), end)
        for k, (_, _, v) in enumerate(self.order):
            if self.is_view(v) and v.kind == "row":
                continue
            for a in v.args:
                if isinstance(a, Value) and a.kind in ("row", "fold", "turned", "stacked"):
                    self.read(a, k, v)
        for y in self.plan.step.ys:
            self.read(y, NEVER, y)
        if self.plan.backward and self.plan.step.d_x is not None:
            self.read(self.plan.step.d_x, NEVER, self.plan.step.d_x)
        seeds = {id(d) for d in (*self.plan.step.d_ys, *self.plan.step.d_nexts)}
        for reads in self.readers.values():
            base = reads[0][1].base
            if (
                id(base) not in seeds
                and self.at.get(id(base), -1) < turn
                and any(k >= turn for k, _, _ in reads)
            ):
                reads.append((NEVER, Region(base), base))

    def read(self, v: Value, k: int, reader: Value) -> None:
        """Note that `reader` reads `v` at position k."""
        if v.kind in ("turned", "fold", "stacked"):
            for a in v.args:
                if isinstance(a, Value):
                    self.read(a, k, reader)
            return
        r = self.region(v)
        self.readers.setdefault(id(r.base), []).append((k, r, reader))

    def part(self, v: Value) -> str:
        """Where a value is computed."""
        return self.plan.part.get(id(v), "input")

    def needs_all(self, v: Value, home: str = "") -> bool:
        """True if something outside of its own loop reads the value."""
        home = home or self.part(v)
        if not home.endswith("loop"):
            return True
        return any(
            k == NEVER or self.part(self.order[k][2]) != home for k, _, _ in self.readers.get(id(v), [])
        )

    def direct(self, v: Value) -> bool:
        """True if `v` is the gradient of x, nothing else, and a product: then it is made row by row."""
        alone = self.last and v is self.plan.step.d_x and v.op == "matmul" and self.part(v) == "back after"
        return alone and len(self.readers[id(v)]) == 1

    # --- states

    def prepare_states(self) -> None:
        """See that every next state, and every gradient carried on, is computed by the loop for it alone."""
        step, plan = self.plan.step, self.plan
        for way, befores, afters in (
            ("forward", step.states, step.nexts),
            ("back", step.d_nexts, step.d_states),
        ):
            if way == "back" and not plan.backward:
                continue
            loop = plan.parts[f"{way} loop"]
            seen: set[int] = set()
            for k, (before, after) in enumerate(zip(befores, afters)):
                if before is None:
                    continue
                if after is not None and after is not before:
                    own = (
                        plan.part.get(id(after)) == f"{way} loop"
                        and not self.is_view(after)
                        and id(after) not in seen
                    )
                    if not own:
                        after = self.copy_of(after, way, loop)
                        afters[k] = after
                    seen.add(id(after))
                self.carry[way].append((before, after))
        if not self.last:
            self.save_states("forward", plan.parts["forward loop"])
        if plan.backward:
            self.save_states("back", plan.parts["back loop"])

    def copy_of(self, v: Value, way: str, loop: list[Value], first: bool = False) -> Value:
        """A copy of a value, made in the loop."""
        twin = Value("copy", (v,), {}, v.shape, v.dtype, "row")
        twin.name = v.name
        loop.insert(0, twin) if first else loop.append(twin)
        self.plan.part[id(twin)] = f"{way} loop"
        return twin

    def save_states(self, way: str, loop: list[Value]) -> None:
        """What the loop writes over at each step, but something outside of it reads, is copied."""
        plan = self.plan
        parts = plan.parts.values()
        for state, _ in self.carry[way]:
            looks = [
                v
                for values in parts
                for v in values
                if v.kind == "row" and self.is_view(v) and self.region(v).base is state
            ]
            seen = {id(state), *map(id, looks)}
            outside = [
                v
                for values in parts
                if values is not loop
                for v in values
                if any(id(a) in seen for a in v.args)
            ]
            results = [*plan.step.ys, plan.step.d_x]
            if any(v not in looks for v in outside) or any(id(r) in seen for r in results):
                twin = self.copy_of(state, way, loop, first=True)
                for v in [*looks, *outside]:
                    v.args = tuple(twin if a is state else a for a in v.args)
                plan.step.ys = [twin if y is state else y for y in plan.step.ys]
                plan.step.d_x = twin if plan.step.d_x is state else plan.step.d_x

    def place_states(self) -> None:
        """Buffers for states and carried gradients."""
        for way in ("forward", "back"):
            for before, after in self.carry[way]:
                reads = self.readers.get(id(before), [])
                outside = self.needs_all(before, f"{way} loop")
                all_after = after is not None and after is not before and self.needs_all(after)
                history = self.last and way == "forward" and after is not before and (outside or all_after)
                if after is before and outside and way == "forward":
                    history = self.last
                buffer = self.new(before, "history" if history else "live", way)
                self.take(before, Spot(buffer, "in" if history else ""))
                if after is None or after is before:
                    if history or (after is None and way == "back"):
                        self.ends[way].append((after, Spot(buffer, "next" if history else "")))
                    continue
                k = self.at[id(after)]
                late = any(
                    r > k or (r == k and not self.may_overlap(after, region)) for r, region, _ in reads
                )
                if history or (not late and not self.needs_all(after)):
                    self.take(after, Spot(buffer, "next" if history else ""))
                else:
                    self.ends[way].append((after, Spot(buffer)))

    def may_overlap(self, v: Value, region: Region) -> bool:
        """True if `v` may be written over what it reads: elementwise, number by number."""
        return v.op in IN_PLACE and region.lo is None and not region.chain and region.base.shape == v.shape

    # --- memory for the rest

    def new(self, v: Value, scope: str, way: str) -> Buffer:
        """A new buffer in the form of `v`."""
        buffer = Buffer(tuple(v.shape[1:]), v.dtype, scope, way)
        self.buffers.append(buffer)
        return buffer

    def take(self, v: Value, spot: Spot) -> None:
        """Let `v` live at `spot`."""
        self.spots[id(v)] = spot
        spot.buffer.holds.append((v, spot))
        if spot.buffer.scope == "step" and self.needs_all(v):
            spot.buffer.scope = "all"

    def designate(self) -> None:
        """Write parts of a larger value into its slices, and what leads up to a fixed place, there."""
        for way, part, v in self.order:
            if (
                v.op in ("place", "cat")
                and v.kind == "row"
                and id(v) not in self.spots
                and (cuts := slices_of(v))
            ):
                buffer = self.new(v, "all" if self.needs_all(v) else "step", way)
                buffer.reserved = True
                buffer.zeros = sum(hi - lo for lo, hi in cuts) < v.shape[1]
                self.take(v, Spot(buffer))
                for piece, (lo, hi) in zip(v.args, cuts):
                    home = f"{way} {part}"
                    own = isinstance(piece, Value) and piece.kind == "row" and self.part(piece) == home
                    if (
                        own
                        and not self.is_view(piece)
                        and id(piece) not in self.spots
                        and piece.op not in ("place", "cat")
                    ):
                        self.take(piece, Spot(buffer, "", lo, hi))
        for _, _, v in reversed(self.order):
            if id(v) in self.spots and v.op in IN_PLACE:
                self.lead_up(v, self.spots[id(v)])

    def lead_up(self, v: Value, spot: Spot) -> None:
        """Let the newest argument that serves `v` alone be written where `v` will be."""
        if spot.buffer.scope == "live":
            return
        for a in sorted((a for a in v.args if isinstance(a, Value)), key=lambda a: -self.at.get(id(a), -1)):
            alone = (
                a.kind == "row"
                and a.shape == v.shape
                and a.dtype == v.dtype
                and len(self.readers.get(id(a), [])) == 1
            )
            if (
                alone
                and self.part(a) == self.part(v)
                and not self.is_view(a)
                and id(a) not in self.spots
                and a.op not in ("place", "cat")
            ):
                self.take(a, spot)
                return

    def settle(self, k: int, way: str, part: str, v: Value) -> None:
        """Find memory for `v`: over an argument not needed any more, in free scratch, or in a new buffer."""
        if v.op in IN_PLACE:
            spots = []
            for a in v.args:
                if isinstance(a, Value) and a.kind == "row" and a.shape == v.shape and a.dtype == v.dtype:
                    base = self.region(a).base
                    if id(base) in self.spots:
                        spots.append(self.spot(a))
            spots = [
                s
                for s in spots
                if s.buffer.way == way and s.buffer.scope != "history" and not s.chain and self.free(s, k, v)
            ]
            if part == "loop" or all(s.buffer.scope == "all" for s in spots):
                for s in sorted(spots, key=lambda s: s.buffer.scope != "all"):
                    if s.buffer.scope != "live" or not (self.needs_all(v) or id(v) in self.carried):
                        self.take(v, s)
                        return
        if part == "loop" and not self.needs_all(v):
            for buffer in self.buffers:
                same = buffer.scope == "step" and buffer.way == way and not buffer.reserved
                if (
                    same
                    and buffer.tail == tuple(v.shape[1:])
                    and buffer.dtype == v.dtype
                    and self.free(Spot(buffer), k, None)
                ):
                    self.take(v, Spot(buffer))
                    return
        self.take(v, Spot(self.new(v, "all" if self.needs_all(v) else "step", way)))

    def free(self, spot: Spot, k: int, v: Value | None) -> bool:
        """True if nothing at `spot` is read after position k (or at k, but by an elementwise `v`)."""
        last = NEVER
        if v is not None and id(v) not in self.carried:
            last = max((r for r, _, _ in self.readers.get(id(v), [])), default=k)
        for w, held in spot.buffer.holds:
            made = self.at.get(id(w), -1)
            if held.overlaps(spot) and (last >= made if made > k else id(w) in self.carried):
                return False
            for position, region, _ in self.readers.get(id(w), []) if made <= k else []:
                lo = held.lo if region.lo is None else (held.lo or 0) + region.lo
                hi = held.hi if region.hi is None else (held.lo or 0) + (region.hi or 0)
                seen = Spot(held.buffer, held.which, lo, hi, region.chain)
                if position < k or not seen.overlaps(spot):
                    continue
                if (
                    position > k
                    or v is None
                    or (seen.lo, seen.hi, seen.chain) != (spot.lo, spot.hi, spot.chain)
                ):
                    return False
        return True

    # --- names

    def name_states(self) -> None:
        """Names for carried gradients, and for values that are one function of a named one."""
        step = self.plan.step
        for k, (state, d) in enumerate(zip(step.states, step.d_nexts or [None] * len(step.states))):
            state.name = state.name or f"s{k}"
            if d is not None:
                d.name = f"d_{state.name}"
        for v in step.values:
            if (
                not v.name
                and len(v.args) == 1
                and isinstance(v.args[0], Value)
                and v.args[0].name
                and v.op in ELEMENTWISE - {"neg", "cast"}
            ):
                v.name = f"{v.op}_{v.args[0].name}"

    def name_buffers(self) -> None:
        """Name each buffer after the value it was made for, or the last one written to it."""
        taken: set[str] = set()
        for buffer in self.buffers:
            whole = [v.name for v, s in buffer.holds if v.name and s.lo is None]
            name = (whole or [v.name for v, _ in buffer.holds if v.name] or ["u"])[0]
            buffer.name = fresh(name, taken)

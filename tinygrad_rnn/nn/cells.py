"""Recurrent cells: one step of time, state in, state out.

A cell does in `project` what needs no state (for all steps at once), and in `step` the rest:

    a = cell.project(xs)              xs (T B, D)
    h = cell.step(a[t], h)            h  (B, H)

T steps, B sequences, D inputs, H hidden units; x one step, xs many; h, c states; σ the logistic function.
The time loop in recurrent.py drives any cell written like these.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ..engine.tensor import Tensor
from ..ops import relu, sigmoid, tanh, zeros
from . import init
from .functional import linear
from .module import Module
from .parameter import Parameter


class LSTMState(NamedTuple):
    """What an LSTM carries from step to step: hidden state h and cell state c, (B, H) each."""

    h: Tensor
    c: Tensor


def each(f: Any, *states: Any) -> Any:
    """`f` of corresponding tensors of some states (tensors, or tuples of states), in the same form."""
    if not isinstance(states[0], tuple):
        return f(*states)
    parts = [each(f, *parts) for parts in zip(*states)]
    return type(states[0])(*parts) if hasattr(states[0], "_fields") else tuple(parts)


class Step(NamedTuple):
    """What `step` returns when the output `y` is not the (first) state."""

    y: Any
    state: Any


class Cell(Module):
    """One step of a recurrence. Subclasses define `step`; `project` and `initial_state` if needed.

    `step(a, state)` returns the next state, a tensor or a (named) tuple of tensors whose first is the
    output; or `Step(y, state)` if the output is something else. Rows (the first dimension) are independent.
    """

    hidden_size: int

    def project(self, xs: Tensor) -> Any:
        """The share of the inputs that needs no state, (N, D) -> (N, ...); default: the inputs."""
        return xs

    def step(self, a: Any, state: Any) -> Any:
        """One step, from projected inputs `a` (B, ...) and the state."""
        raise NotImplementedError(f"{type(self).__name__}: define step(a, state)")

    def initial_state(self, batch_size: int, like: Tensor) -> Any:
        """The state before the first step: zeros (batch_size, hidden_size), of the dtype of `like`."""
        if not hasattr(self, "hidden_size"):
            raise NotImplementedError(
                f"{type(self).__name__}: set hidden_size, or define initial_state(batch_size, like)"
            )
        return zeros(batch_size, self.hidden_size, dtype=like.dtype)

    def forward(self, x: Tensor, state: Any = None) -> Any:
        """One step from x (B, D); a missing state is `initial_state`."""
        return self.step(self.project(x), self.initial_state(len(x), x) if state is None else state)

    @classmethod
    def over(cls, **attributes: Any) -> Any:
        """A cell over weights that belong to another module: none is copied or registered."""
        cell = cls.__new__(cls)
        Module.__init__(cell)
        cell.__dict__.update(attributes)
        return cell


class GatedCell(Cell):
    """What our cells share: weights (gates H, D) and (gates H, H), two biases, all uniform in ±1/√H."""

    gates = 1
    states = 1
    keep_gate: int | None = None  # which of the biases' gates keeps the state as it goes to 1
    write_gate: int | None = None  # and which lets the candidate in

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        for name, shape in self.shapes(input_size, hidden_size, bias).items():
            self.register_parameter(name, Parameter(zeros(shape, device=device, dtype=dtype)))
        for name in ("bias_ih", "bias_hh"):
            if not bias:
                self.register_parameter(name, None)
        self.reset_parameters()

    @classmethod
    def shapes(
        cls, input_size: int, hidden_size: int, bias: bool, proj_size: int = 0
    ) -> dict[str, tuple[int, ...]]:
        """The parameters' names and shapes, in PyTorch's order."""
        if input_size <= 0 or hidden_size <= 0:
            raise ValueError(
                f"{cls.__name__}: input_size {input_size} and hidden_size {hidden_size} must be positive"
            )
        rows = cls.gates * hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, input_size)}
        shapes["weight_hh"] = (rows, proj_size or hidden_size)
        if bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        return shapes | ({"weight_hr": (proj_size, hidden_size)} if proj_size else {})

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform in ±1/√H."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def project(self, xs: Tensor) -> Tensor:
        """W_i xs + b_i: (N, D) -> (N, gates H)."""
        return linear(xs, self.weight_ih, self.bias_ih)

    def recur(self, h: Tensor) -> Tensor:
        """W_h h + b_h: (B, H) -> (B, gates H)."""
        return linear(h, self.weight_hh, self.bias_hh)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """One step from input (B, D) or (D,), and the state (B, H) or (H,); a missing state is zeros."""
        D = self.input_size
        if input.ndim not in (1, 2) or input.shape[-1] != D:
            raise RuntimeError(f"{type(self).__name__}: input {input.shape} must be (B, {D}) or ({D},)")
        state = None if hx is None else self.checked(hx, (*input.shape[:-1], self.hidden_size))
        if input.ndim == 2:
            return super().forward(input, state)
        state = None if hx is None else each(lambda s: s.unsqueeze(0), state)
        return each(lambda s: s.squeeze(0), super().forward(input.unsqueeze(0), state))

    def checked(self, hx: Any, shape: tuple[int, ...]) -> Any:
        """A state that a user gave: a tensor of `shape` (for an LSTM a pair of them); else an error."""
        parts = (hx,) if self.states == 1 else tuple(hx) if isinstance(hx, (tuple, list)) else ()
        if len(parts) != self.states or not all(isinstance(s, Tensor) for s in parts):
            form = "a tensor" if self.states == 1 else "a pair of tensors (h, c)"
            raise TypeError(f"{type(self).__name__}: hx must be {form}, got {type(hx).__name__}")
        for s in parts:
            if s.shape != shape:
                raise RuntimeError(f"{type(self).__name__}: hx {s.shape} must be {shape}")
        return parts if self.states > 1 else hx

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(GatedCell):
    """Elman's network (1990), with tanh or max(0, ·) for φ:

    h' = φ(W_ih x + b_ih + W_hh h + b_hh)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell: nonlinearity is 'tanh' or 'relu', not {nonlinearity!r}")
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.nonlinearity = nonlinearity

    def extra_repr(self) -> str:
        """The sizes, and φ if it is not tanh."""
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else ", nonlinearity=relu")

    def step(self, a: Tensor, h: Tensor) -> Tensor:
        """h' from a = W_ih x + b_ih (B, H) and h (B, H)."""
        phi = tanh if self.nonlinearity == "tanh" else relu
        return phi(a + self.recur(h))


class LSTMCell(GatedCell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate of Gers et al. 2000):

        i  = σ(W_ii x + b_ii + W_hi h + b_hi)        input gate
        f  = σ(W_if x + b_if + W_hf h + b_hf)        forget gate
        g  = tanh(W_ig x + b_ig + W_hg h + b_hg)     candidate
        o  = σ(W_io x + b_io + W_ho h + b_ho)        output gate
        c' = f ∘ c + i ∘ g
        h' = o ∘ tanh(c')

    Inside `LSTM(proj_size=P)`, h' = W_hr (o ∘ tanh(c')), of size P (Sak et al. 2014).
    """

    gates = 4
    states = 2
    write_gate: int | None = 0  # i
    keep_gate = 1  # f
    weight_hr: Any = None

    def initial_state(self, batch_size: int, like: Tensor) -> LSTMState:
        """Zeros."""
        c = zeros(batch_size, self.hidden_size, dtype=like.dtype)
        return LSTMState(
            c if self.weight_hr is None else zeros(batch_size, len(self.weight_hr), dtype=like.dtype), c
        )

    def step(self, a: Tensor, state: Any) -> LSTMState:
        """h', c' from a = W_i x + b_i (B, 4H) and the state (h, c)."""
        h, c = state
        a_i, a_f, a_g, a_o = (a + self.recur(h)).chunk(4, -1)
        i = sigmoid(a_i)
        f = sigmoid(a_f)
        g = tanh(a_g)
        o = sigmoid(a_o)
        c = f * c + i * g
        h = o * tanh(c)
        return LSTMState(h if self.weight_hr is None else linear(h, self.weight_hr), c)


class GRUCell(GatedCell):
    """Gated recurrent unit (Cho et al. 2014), reset applied after the product (as in PyTorch and cuDNN):

    r  = σ(W_ir x + b_ir + W_hr h + b_hr)             reset gate
    z  = σ(W_iz x + b_iz + W_hz h + b_hz)             update gate
    n  = tanh(W_in x + b_in + r ∘ (W_hn h + b_hn))    candidate
    h' = (1 - z) ∘ n + z ∘ h
    """

    gates = 3
    keep_gate = 1  # z

    def step(self, a: Tensor, h: Tensor) -> Tensor:
        """h' from a = W_i x + b_i (B, 3H) and h (B, H)."""
        a_r, a_z, a_n = a.chunk(3, -1)
        h_r, h_z, h_n = self.recur(h).chunk(3, -1)
        r = sigmoid(a_r + h_r)
        z = sigmoid(a_z + h_z)
        n = tanh(a_n + r * h_n)
        return (1 - z) * n + z * h

"""Cells and time loops that are wrong, most in a way once published or shipped, and the laws they break."""

from __future__ import annotations

import numpy as np

from tinygrad_rnn import cat, flip, float64, nn, set_default_dtype, sigmoid, tanh, tensor, zeros
from tinygrad_rnn.autograd import Function, set_grad_enabled
from tinygrad_rnn.nn.functional import dropout, softmax

WRONG = {}  # name: (the cell, the laws that must be among the broken ones, options of check_cell)


def breaks(*laws, **options):
    """Enter a cell (or, as `over`, a loop) in the table."""

    def enter(thing):
        cell, more = (thing, {}) if issubclass(thing, nn.Cell) else (nn.GRUCell, {"over": thing})
        WRONG[thing.__name__] = cell, laws, {**more, **options}
        return thing

    return enter


class Elman(nn.Cell):
    """tanh(W x + b + U h + c): right; the wrong ones are variations."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.W = nn.Parameter(zeros(hidden_size, input_size).uniform_(-0.5, 0.5))
        self.U = nn.Parameter(zeros(hidden_size, hidden_size).uniform_(-0.5, 0.5))
        self.bias_ih = nn.Parameter(zeros(hidden_size).uniform_(-0.5, 0.5))
        self.bias_hh = nn.Parameter(zeros(hidden_size).uniform_(-0.5, 0.5))

    def step(self, x, h):
        return tanh(x @ self.W.t() + self.bias_ih + h @ self.U.t() + self.bias_hh)


# --- backward passes written by hand


class ElmanStep(Function):
    """h' = tanh(x Wᵀ + h Uᵀ + b)."""

    @staticmethod
    def forward(ctx, x, h, W, U, b):
        y = tanh(x @ W.t() + h @ U.t() + b)
        ctx.save_for_backward(x, h, W, U, y)
        return y

    @classmethod
    def backward(cls, ctx, g):
        x, h, W, U, y = ctx.saved_tensors
        return cls.shares(x, h, W, U, y, g * (1 - y * y))

    @staticmethod
    def shares(x, h, W, U, y, d):
        return d @ W, d @ U, d.t() @ x, d.t() @ h, d.sum(0)


def elman_with(shares):
    """An Elman cell whose step has these shares for gradients."""
    own = type("Step", (ElmanStep,), {"shares": staticmethod(shares)})
    return lambda self, x, h: own.apply(x, h, self.W, self.U, self.bias_ih + self.bias_hh)


class HandWritten(Elman):
    """Right."""

    step = elman_with(ElmanStep.shares)


@breaks("backward_is_the_derivative", "second_derivatives", "real_time_recurrent_learning")
class RecurrentWeightNotTransposed(Elman):
    step = elman_with(lambda x, h, W, U, y, d: (d @ W, d @ U.t(), d.t() @ x, d.t() @ h, d.sum(0)))


@breaks("backward_is_the_derivative", "real_time_recurrent_learning")
class NewStateForOld(Elman):
    """dU from h_t instead of h_{t-1}."""

    step = elman_with(lambda x, h, W, U, y, d: (d @ W, d @ U, d.t() @ x, d.t() @ y, d.sum(0)))


@breaks("backward_is_the_derivative", "real_time_recurrent_learning", "every_parameter_matters")
class ZeroGradients(Elman):
    step = elman_with(lambda x, h, W, U, y, d: (0 * x, 0 * h, 0 * W, 0 * U, 0 * d.sum(0)))


@breaks("backward_is_the_derivative", "ragged_rows_equal_rows_alone")
class BiasGradientNotSummed(Elman):
    """The gradient of one row for that of all."""

    step = elman_with(lambda x, h, W, U, y, d: (d @ W, d @ U, d.t() @ x, d.t() @ h, d[:1].sum(0)))


@breaks("backward_is_the_derivative", "real_time_recurrent_learning")
class NotANumber(Elman):
    step = elman_with(lambda x, h, W, U, y, d: (d @ W, d @ U, d.t() @ x / 0.0 * 0.0, d.t() @ h, d.sum(0)))


@breaks("second_derivatives")
class RightOnlyOnce(Elman):
    """First derivatives are right; to the second, the saved values are constants."""

    step = elman_with(
        lambda x, h, W, U, y, d: (
            d @ W.detach(),
            d @ U.detach(),
            d.t() @ x.detach(),
            d.t() @ h.detach(),
            d.sum(0),
        )
    )


# --- forward passes


@breaks("backward_is_the_derivative", "real_time_recurrent_learning")
class GatePathCut(nn.GRUCell):
    """The update gate takes part in the values, and is cut from the gradient."""

    def step(self, a, h):
        a_r, a_z, a_n = a.chunk(3, -1)
        h_r, h_z, h_n = self.recur(h).chunk(3, -1)
        r, z = sigmoid(a_r + h_r), sigmoid(a_z + h_z).detach()
        n = tanh(a_n + r * h_n)
        return (1 - z) * n + z * h


@breaks("a_missing_state_is_the_initial_one")
class NoStateNoBias(Elman):
    """hidden=None skips a bias that zeros apply."""

    def forward(self, x, h=None):
        return tanh(x @ self.W.t() + self.bias_ih) if h is None else self.step(x, h)


@breaks("a_missing_state_is_the_initial_one")
class UnitState(Elman):
    """h / |h|, which is 0 / 0 in the first step."""

    def step(self, x, h):
        with np.errstate(invalid="ignore"):
            return super().step(x, h / (h * h).sum(1, keepdim=True).sqrt())


@breaks("layers_equal_loops")
class CalledOtherwise(Elman):
    """A call is not what the loop does."""

    def forward(self, x, h=None):
        return 2 * super().forward(x, h)


@breaks("float32_stays_float32")
class Widens(Elman):
    """A constant in float64, whatever the parameters are in."""

    def step(self, x, h):
        return super().step(x, h) * tensor([0.5] * self.hidden_size, dtype=float64)


@breaks("float32_stays_float32")
class StartsWide(Elman):
    def initial_state(self, batch_size, like):
        return zeros(batch_size, self.hidden_size, dtype=float64)


@breaks("a_missing_state_is_the_initial_one")
class StartsAtOne(Elman):
    def initial_state(self, batch_size, like):
        return zeros(batch_size, self.hidden_size, dtype=like.dtype) + 1


@breaks("two_biases_are_one")
class SecondBiasTwice(Elman):
    def step(self, x, h):
        return super().step(x, h) + tanh(self.bias_hh)


@breaks("every_parameter_matters")
class UnusedParameter(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.unused = nn.Parameter(zeros(hidden_size))


@breaks("every_parameter_matters")
class ShiftInSoftmax(Elman):
    """A shift of all arguments of a softmax, which changes nothing: its gradient is rounding."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.shift = nn.Parameter(zeros(1))

    def step(self, x, h):
        return softmax(3 * super().step(x, h) + self.shift, -1)


@breaks("every_parameter_matters")
class StateUnused(nn.Cell):
    """The state that is given changes nothing."""

    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.input_size, self.hidden_size = input_size, hidden_size
        self.W = nn.Parameter(zeros(hidden_size, input_size))

    def step(self, x, h):
        return tanh(x @ self.W.t()) + 0 * h


@breaks("rows_are_independent", "ragged_rows_equal_rows_alone", "layers_equal_loops")
class BatchMean(Elman):
    """Rows see the mean of their batch: permuting it changes nothing, other company does."""

    def step(self, x, h):
        h = super().step(x, h)
        return h - h.mean(0, keepdim=True) / 2 if len(h) else h


@breaks("rows_are_independent", "ragged_rows_equal_rows_alone")
class BatchStatistics(Elman):
    """Rows see the mean of their batch in training alone."""

    def step(self, x, h):
        h = super().step(x, h)
        return h - h.mean(0, keepdim=True) if self.training and len(h) > 1 else h


@breaks("rows_are_independent", "ragged_rows_equal_rows_alone")
class BatchNormed(Elman):
    """The usual mistake: a layer between steps that mixes rows in training."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.norm = nn.BatchNorm1d(hidden_size)

    def step(self, x, h):
        return self.norm(super().step(x, h))


class HalfDropped(Function):
    """Dropout whose backward forgets the mask."""

    @staticmethod
    def forward(ctx, x):
        return dropout(x, 0.5)

    @staticmethod
    def backward(ctx, g):
        return g


@breaks("backward_is_the_derivative", "second_derivatives")
class WrongDropout(Elman):
    """Wrong in training alone."""

    def step(self, x, h):
        return super().step(x, HalfDropped.apply(h) if self.training else h)


@breaks("rows_are_independent")
class NoiseAndMean(Elman):
    """Rows are mixed in training, behind noise."""

    def step(self, x, h):
        h = super().step(x, h)
        return dropout(h, 0.5) - h.mean(0, keepdim=True) if self.training and len(h) else h


@breaks("rows_are_independent", "ragged_rows_equal_rows_alone")
class RowsMixed(Elman):
    """A reshape (B, H) -> (H, B) where a transpose was meant."""

    def step(self, x, h):
        return super().step(x, h.reshape(h.shape[::-1]).t())


@breaks("a_step_is_pure")
class StateWritten(Elman):
    def step(self, x, h):
        new = super().step(x, h)
        h.array[...] = new.array
        return new


@breaks("a_step_is_pure")
class ParameterWritten(Elman):
    def step(self, x, h):
        self.W.array *= 1.01
        return super().step(x, h)


@breaks("a_step_is_pure")
class OneBuffer(Elman):
    """Every step returns the same memory."""

    def step(self, x, h):
        new = super().step(x, h)
        held = self.__dict__.setdefault("held", {})
        buffer = held.setdefault(new.shape, new)
        if buffer is not new:
            buffer.array[...] = new.array
            buffer.node, buffer.requires_grad = new.node, new.requires_grad
        return buffer


@breaks("a_step_is_pure")
class Remembers(Elman):
    """A state of its own beside the one it is given."""

    def step(self, x, h):
        self.__dict__["count"] = self.__dict__.get("count", 0) + 1
        return super().step(x, h) + 0.01 * self.count


@breaks("a_step_is_pure", "rows_are_independent")
class ChangesTheDefault(Elman):
    def step(self, x, h):
        set_default_dtype(float64)
        return super().step(x, h)


@breaks("gradients_accumulate", "gradients_share_no_memory")
class StopsRecording(Elman):
    def step(self, x, h):
        h = super().step(x, h)
        set_grad_enabled(False)
        return h


@breaks("no_steps_keep_the_state", "backward_is_the_derivative", "rows_are_independent")
class Crashes(Elman):
    def step(self, x, h):
        raise RuntimeError("this cell does nothing but fail")

    def initial_state(self, batch_size, like):
        return zeros(batch_size, self.hidden_size, dtype=like.dtype)


# --- time loops


class Loop(nn.Recurrent):
    """Our loop, to be made wrong in one place: `forward` gets everything."""


@breaks("padding_is_never_read", "ragged_rows_equal_rows_alone", "reversed_time_swaps_directions")
class ReversesThePadding(Loop):
    """The backward direction reads each padded row from its very end."""

    def run(self, input, states, lengths=None, mask=None):
        if lengths is None or sum(self.widths) == 1:
            forwards = {"lengths": lengths} if mask is None else {"mask": mask}
            turned = nn.Recurrent.run(self, flip(input, 0), states) if lengths is not None else None
            ys, last = nn.Recurrent.run(self, input, states, **forwards)
            return (ys, last) if turned is None else (ys + 0.01 * flip(turned[0], 0), last)
        ys, last = nn.Recurrent.run(self, input, states)
        counted = tensor(np.arange(len(input))[:, None] < np.asarray(lengths))
        return ys * counted.unsqueeze(-1), last


@breaks("no_steps_keep_the_state", "ragged_rows_equal_rows_alone")
class AtLeastOneStep(Loop):
    """Off by one: a sequence of length 0 is run for a step."""

    def run(self, input, states, lengths=None, mask=None):
        lengths = None if lengths is None else np.minimum(np.maximum(np.asarray(lengths), 1), len(input))
        return super().run(input, states, lengths, mask)


@breaks("padding_is_never_read")
class MultipliesByTheMask(Loop):
    """0 · NaN is NaN."""

    def run(self, input, states, lengths=None, mask=None):
        if lengths is not None:
            counted = tensor((np.arange(len(input))[:, None] < np.asarray(lengths)).astype(float))
            tail = (input * (1 - counted).unsqueeze(-1) * 0).sum()
            ys, last = super().run(input, states, lengths, mask)
            return ys + tail, last
        return super().run(input, states, lengths, mask)


@breaks("padding_is_never_read")
class ReadsBehindTheMask(Loop):
    """The same, for a mask alone."""

    def run(self, input, states, lengths=None, mask=None):
        ys, last = super().run(input, states, lengths, mask)
        if mask is not None:
            ys = ys + (input * (1 - mask.double()).unsqueeze(-1) * 0).sum()
        return ys, last


@breaks("padding_is_never_read")
class ReadsInLayers(Loop):
    """The same, where there are several layers."""

    def run(self, input, states, lengths=None, mask=None):
        ys, last = super().run(input, states, lengths, mask)
        return (ys + (input * 0).sum() if len(self.widths) > 1 else ys), last


@breaks("a_run_can_be_split")
class ScalesByLength(Loop):
    """Outputs divided by the number of steps."""

    def run(self, input, states, lengths=None, mask=None):
        ys, last = super().run(input, states, lengths, mask)
        return ys / max(len(input), 1), last


@breaks("a_run_can_be_split", "backward_is_the_derivative", "real_time_recurrent_learning")
class DetachesTheState(Loop):
    """Truncated where nobody asked for it."""

    def run(self, input, states, lengths=None, mask=None):
        states = [None if s is None else s.detach() for s in states]
        return super().run(input, states, lengths, mask)


@breaks("backward_is_the_derivative", "ragged_rows_equal_rows_alone", cases=1)
class EightSteps(Loop):
    """Backpropagation is truncated, but not in any short run."""

    def run(self, input, states, lengths=None, mask=None):
        if len(input) <= 8 or lengths is not None or mask is not None:
            return super().run(input, states, lengths, mask)
        first, middle = super().run(input[:8], states)
        second, last = super().run(input[8:], [s.detach() for s in middle])
        return cat([first, second]), last


@breaks("a_run_can_be_split")
class ForgetsAfterTen(Loop):
    """What comes after the tenth step starts from zeros."""

    def run(self, input, states, lengths=None, mask=None):
        if len(input) <= 10:
            return super().run(input, states, lengths, mask)
        lengths = np.full(input.shape[1], len(input)) if lengths is None else np.asarray(lengths)
        first, middle = super().run(input[:10], states, np.minimum(lengths, 10))
        second, last = super().run(input[10:], [0 * s for s in middle], np.maximum(lengths - 10, 0))
        return cat([first, second]), last


@breaks("reversed_time_swaps_directions", "layers_equal_loops")
class ForwardsTwice(Loop):
    """Both cells of a layer read forwards."""

    def layers(self):
        self.pairs = super().layers()
        return [[cell] for layer in self.pairs for cell in layer] if self.widths == [1] else self.pairs

    def run(self, input, states, lengths=None, mask=None):
        if self.widths == [1]:
            return super().run(input, states, lengths, mask)
        ys, last = super().run(input, states, lengths, mask)
        half = ys.shape[-1] // 2
        return cat([ys[..., :half], flip(ys[..., half:], 0)], -1), last


@breaks("layers_equal_loops")
class IgnoresTheMask(Loop):
    def run(self, input, states, lengths=None, mask=None):
        return super().run(input, states, lengths, None if mask is None else mask | True)

"""Memory tasks: made-up sequences whose answer depends on what was seen many steps ago.

    task = CopyTask(delay=20)
    batch = task.batch(32)                inputs (T, B, D), targets, lengths
    task.score(outputs, batch)            how good a network's outputs are
    task.chance                           the score of the best answer that does not look at the inputs

Numbers come from a generator, so that a seed gives the same batches. T steps, B sequences, D inputs. Tasks
whose sequences are words of a formal language are in languages.py.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...dtypes import get_default_dtype
from ...engine.tensor import Array, Tensor
from ...random import Generator, default_generator


class TaskBatch(NamedTuple):
    """A batch of a task: inputs (T, B, D); targets, as the task says; lengths (B,), the steps that count."""

    inputs: Tensor
    targets: Tensor
    lengths: Tensor


def one_hot(indices: Array, classes: int) -> Tensor:
    """Indices (T, B) as unit vectors (T, B, classes); of -1, zeros."""
    return Tensor((indices[..., None] == np.arange(classes)).astype(get_default_dtype()))


class Task:
    """What the tasks share. Subclasses define `draw`, `score`, and `chance`.

    `lower_is_better` tells errors from accuracies.
    """

    input_size: int  # D
    chance: float
    lower_is_better = False

    def batch(self, batch_size: int, generator: Generator | None = None) -> TaskBatch:
        """A random batch of B sequences.

        Args:
            batch_size: B, at least 1.
            generator: where numbers come from; default: the package's, which `manual_seed` sets.
        """
        if batch_size < 1:
            raise ValueError(f"{type(self).__name__}: batch_size must be at least 1, got {batch_size}")
        return self.draw(batch_size, (generator or default_generator).rng)

    def draw(self, B: int, rng: np.random.Generator) -> TaskBatch:
        """A batch of B sequences, from numbers of `rng`."""
        raise NotImplementedError(f"{type(self).__name__}: define draw(B, rng)")

    def score(self, outputs: Tensor, batch: TaskBatch) -> float:
        """The score of a network's outputs for `batch`."""
        raise NotImplementedError(f"{type(self).__name__}: define score(outputs, batch)")

    def checked(self, outputs: Tensor, shape: tuple[int, ...]) -> Array:
        """The outputs as an array of `shape`; else an error."""
        if outputs.shape != shape:
            raise ValueError(f"{type(self).__name__}: outputs must be {shape}, got {outputs.shape}")
        return outputs.array

    def least(self, name: str, value: int, least: int) -> int:
        """`value` if it is at least `least`; else an error."""
        if value < least:
            raise ValueError(f"{type(self).__name__}: {name} must be at least {least}, got {value}")
        return value


class AddingTask(Task):
    """Add two marked numbers (Hochreiter & Schmidhuber 1997, § 5.4, in the form of Le et al. 2015).

    inputs (T, B, 2): numbers uniform in [0, 1), and marks, 1 at one step of each half, else 0. targets (B,):
    the sum of the marked numbers. The score is the mean squared error of outputs (B,) after the last step;
    always saying 1 has an error of 1/6.

    Args:
        steps: T, at least 2.

    >>> task = AddingTask(50)
    >>> batch = task.batch(4)
    >>> batch.inputs.shape, task.score(batch.targets, batch)
    ((50, 4, 2), 0.0)
    """

    input_size = 2
    chance = 1 / 6
    lower_is_better = True

    def __init__(self, steps: int = 50) -> None:
        self.steps = self.least("steps", steps, 2)

    def draw(self, B: int, rng: np.random.Generator) -> TaskBatch:
        """Numbers, and a mark in each half."""
        T, columns = self.steps, np.arange(B)
        numbers, marks = rng.random((T, B)), np.zeros((T, B))
        marks[rng.integers(0, T // 2, B), columns] = 1
        marks[rng.integers(T // 2, T, B), columns] = 1
        dtype = get_default_dtype()
        targets = Tensor((numbers * marks).sum(0).astype(dtype))
        return TaskBatch(Tensor(np.stack([numbers, marks], -1).astype(dtype)), targets, lengths_of(T, B))

    def score(self, outputs: Tensor, batch: TaskBatch) -> float:
        """The mean squared error of outputs (B,)."""
        errors = self.checked(outputs, batch.targets.shape) - batch.targets.array
        return float((errors**2).mean())


class CopyTask(Task):
    """Copy what was seen before a long pause (Hochreiter & Schmidhuber 1997; Arjovsky et al. 2016).

    inputs (T, B, symbols + 2), unit vectors: `length` symbols, `delay` steps of which the last is the signal
    to begin, and `length` blanks. targets (T, B): the blank, class `symbols`, and at the last `length` steps
    the symbols in order. T = delay + 2 length. The score is the accuracy, over those last steps, of outputs
    (T, B, C) with C > symbols scores of classes.

    Args:
        delay: steps between the symbols and the answer, at least 1.
        length: how many symbols.
        symbols: how many there are to choose from.

    >>> task = CopyTask(delay=20)
    >>> task.batch(4).inputs.shape, task.chance
    ((40, 4, 10), 0.125)
    """

    def __init__(self, delay: int = 20, length: int = 10, symbols: int = 8) -> None:
        self.delay = self.least("delay", delay, 1)
        self.length, self.symbols = self.least("length", length, 1), self.least("symbols", symbols, 2)
        self.input_size, self.chance = symbols + 2, 1 / symbols

    def draw(self, B: int, rng: np.random.Generator) -> TaskBatch:
        """Symbols, a pause with its signal, and blanks."""
        symbols = rng.integers(0, self.symbols, (self.length, B))
        T = self.delay + 2 * self.length
        seen, said = np.full((2, T, B), self.symbols)
        seen[: self.length] = said[-self.length :] = symbols
        seen[self.length + self.delay - 1] = self.symbols + 1
        return TaskBatch(one_hot(seen, self.input_size), Tensor(said), lengths_of(T, B))

    def score(self, outputs: Tensor, batch: TaskBatch) -> float:
        """The accuracy of outputs (T, B, C) at the last `length` steps."""
        C = outputs.shape[-1] if outputs.ndim == 3 else 0
        scores = self.checked(outputs, (*batch.targets.shape, max(C, self.symbols + 1)))
        return accuracy(scores[-self.length :], batch.targets.array[-self.length :])


class TemporalOrderTask(Task):
    """Tell in which order X and Y came (Hochreiter & Schmidhuber 1997, § 5.6, experiment 6a).

    inputs (T, B, 8), unit vectors of E a b c d X Y B: the first is E, the last B, and two are X or Y each,
    one between T/10 and T/5, one between T/2 and 3T/5; all others a, b, c or d. targets (B,): the class of
    XX, XY, YX, YY, 0 to 3. The score is the accuracy of outputs (B, 4) after the last step.

    Args:
        steps: T, at least 10.

    >>> task = TemporalOrderTask(100)
    >>> task.batch(4).inputs.shape, task.chance
    ((100, 4, 8), 0.25)
    """

    input_size = 8
    chance = 1 / 4
    symbols = "EabcdXYB"

    def __init__(self, steps: int = 100) -> None:
        self.steps = self.least("steps", steps, 10)

    def draw(self, B: int, rng: np.random.Generator) -> TaskBatch:
        """Distractors, between E and B, and X or Y at two places."""
        T, columns = self.steps, np.arange(B)
        seen = rng.integers(1, 5, (T, B))
        seen[0], seen[-1] = 0, 7
        first, second = rng.integers(0, 2, (2, B))
        seen[rng.integers(T // 10, T // 5, B), columns] = 5 + first
        seen[rng.integers(T // 2, math.ceil(3 * T / 5), B), columns] = 5 + second
        return TaskBatch(one_hot(seen, 8), Tensor(2 * first + second), lengths_of(T, B))

    def score(self, outputs: Tensor, batch: TaskBatch) -> float:
        """The accuracy of outputs (B, 4)."""
        return accuracy(self.checked(outputs, (len(batch.targets), 4)), batch.targets.array)


class ParityTask(Task):
    """Tell whether the number of ones is odd: every bit matters, and no part of them tells anything.

    inputs (T, B, 1): bits; sequences are of random lengths, 0 behind their end. targets (B,): 1 if the number
    of ones is odd, else 0. The score is the accuracy of outputs (B, 2) after each sequence's last step.

    Args:
        steps: T, the greatest length, at least 1.
        shortest: the least length; default T, all of one length.

    >>> task = ParityTask(20, shortest=1)
    >>> task.batch(4).inputs.shape, task.chance
    ((20, 4, 1), 0.5)
    """

    input_size = 1
    chance = 1 / 2

    def __init__(self, steps: int = 20, shortest: int | None = None) -> None:
        self.steps = self.least("steps", steps, 1)
        self.shortest = steps if shortest is None else self.least("shortest", shortest, 1)
        self.least("steps", steps, self.shortest)

    def draw(self, B: int, rng: np.random.Generator) -> TaskBatch:
        """Random bits."""
        lengths = rng.integers(self.shortest, self.steps + 1, B)
        bits = rng.integers(0, 2, (self.steps, B)) * (np.arange(self.steps)[:, None] < lengths)
        return TaskBatch(
            Tensor(bits[..., None].astype(get_default_dtype())), Tensor(bits.sum(0) % 2), Tensor(lengths)
        )

    def score(self, outputs: Tensor, batch: TaskBatch) -> float:
        """The accuracy of outputs (B, 2)."""
        return accuracy(self.checked(outputs, (len(batch.targets), 2)), batch.targets.array)


def lengths_of(T: int, B: int) -> Tensor:
    """B times T."""
    return Tensor(np.full(B, T))


def accuracy(scores: Array, classes: Array) -> float:
    """The fraction of rows whose class has the greatest score."""
    return float((scores.argmax(-1) == classes).mean())

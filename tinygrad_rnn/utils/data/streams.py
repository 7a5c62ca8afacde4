"""StreamLoader: a text as parallel streams, for truncated backpropagation through time.

Symbols: `N` tokens, `B` streams, `L` steps of each stream, `T` steps of a chunk.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np

from ...engine.tensor import Tensor
from .sampler import flag, positive


class StreamLoader:
    """Chunks `(x, y)` of `B` contiguous streams of a 1-D array of token ids; `y` is `x` one step later.

    The `N` tokens make `N - 1` pairs of a token and its successor. They are cut into `B` streams of
    `L = (N - 1) // B` pairs each: stream `b` reads the tokens `bL … bL + L - 1` and predicts
    `bL + 1 … bL + L`. A pass goes through all streams side by side, `T = seq_len` steps at a time, so that
    row `b` of a chunk continues row `b` of the chunk before and a recurrent state may be carried over.

        x[t, b] = data[bL + kT + t]        y[t, b] = data[bL + kT + t + 1]        in chunk k

    Chunks are `int64` copies of shape `(T, B)`, or `(B, T)` with `batch_first`. What is left out: the last
    `(N - 1) % B` pairs of the text (`loader.dropped`), fewer than one for each stream. The last chunk has
    the `L % T` steps that remain, if any; `drop_last` leaves these out too.

    A pass can be continued in another process: `state_dict()` holds the position after the chunk that was
    yielded last, and the first pass after `load_state_dict` begins there. Every other pass begins at the
    start. `seq_len` may differ between the two; the text and `batch_size` may not.

    >>> x, y = next(iter(StreamLoader(np.arange(9), batch_size=2, seq_len=3, batch_first=True)))
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [4, 5, 6]], [[1, 2, 3], [5, 6, 7]])
    """

    def __init__(
        self, data: Any, batch_size: int, seq_len: int, *, batch_first: bool = False, drop_last: bool = False
    ) -> None:
        tokens = np.asarray(data.array if isinstance(data, Tensor) else data)
        if tokens.ndim != 1:
            raise ValueError(f"StreamLoader: data must be one-dimensional, got shape {tokens.shape}")
        if tokens.dtype.kind not in "iu" or not np.can_cast(tokens.dtype, np.int64):
            raise TypeError(f"StreamLoader: data must hold token ids that fit int64, got {tokens.dtype}")
        self.batch_size = positive("batch_size", batch_size, "StreamLoader")
        self.seq_len = positive("seq_len", seq_len, "StreamLoader")
        self.batch_first = flag("batch_first", batch_first, "StreamLoader")
        self.drop_last = flag("drop_last", drop_last, "StreamLoader")
        self.steps = max(len(tokens) - 1, 0) // batch_size
        if self.steps < (seq_len if drop_last else 1):
            raise ValueError(
                f"StreamLoader: {len(tokens)} tokens make no chunk, as batch_size={batch_size} streams have "
                f"{self.steps} steps each; use a smaller batch_size" + " or seq_len" * drop_last
            )
        used = self.steps * batch_size
        self.dropped = len(tokens) - 1 - used
        self.position = 0  # steps of the current pass that have been yielded
        self._resuming = False
        self._tokens = tokens
        self._inputs = tokens[:used].reshape(batch_size, self.steps)  # (B, L)
        self._targets = tokens[1 : used + 1].reshape(batch_size, self.steps)  # (B, L)

    def __len__(self) -> int:
        """The number of chunks of a whole pass."""
        whole, rest = divmod(self.steps, self.seq_len)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        self.position = self.position if self._resuming else 0
        self._resuming = False
        for t in range(self.position, self.steps, self.seq_len):
            end = min(t + self.seq_len, self.steps)
            if self.drop_last and end - t < self.seq_len:
                break
            self.position = end
            yield self._chunk(self._inputs[:, t:end]), self._chunk(self._targets[:, t:end])
        self.position = 0

    def _chunk(self, rows: np.ndarray[Any, Any]) -> Tensor:
        return Tensor(np.array(rows if self.batch_first else rows.T, np.int64, order="C"))

    @cached_property
    def _crc32(self) -> int:
        return zlib.crc32(np.ascontiguousarray(self._tokens, "<i8").data)

    def state_dict(self) -> dict[str, int]:
        """The position in the pass, and what tells whether it belongs to these streams (`save` takes it)."""
        return {
            "position": self.position,
            "batch_size": self.batch_size,
            "tokens": len(self._tokens),
            "crc32": self._crc32,
        }

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Let the next pass begin at the position of `state_dict`; a state of other streams is an error."""
        here = self.state_dict()
        if state_dict.keys() != here.keys():
            raise ValueError(f"StreamLoader: state_dict must have keys {list(here)}, got {list(state_dict)}")
        for name in ("batch_size", "tokens", "crc32"):
            if state_dict[name] != here[name]:
                raise ValueError(
                    f"StreamLoader: the state belongs to other streams: its {name} is {state_dict[name]}, "
                    f"here it is {here[name]}"
                )
        if not 0 <= state_dict["position"] <= self.steps:
            raise ValueError(f"StreamLoader: position {state_dict['position']} is outside 0 … {self.steps}")
        self.position = state_dict["position"]
        self._resuming = True

"""A character language model, and a training run that can be written down and continued.

`Run.advance` is truncated backpropagation through time (Williams & Peng 1990, "An efficient gradient-based
algorithm for on-line training of recurrent network trajectories"): the training text is laid out as parallel
streams, a step reads the next characters of each, and the recurrent state goes on from step to step while its
graph does not.
"""

from __future__ import annotations

import math
from typing import Any

from corpus import Corpus, Vocabulary

import tinygrad_rnn as tg
import tinygrad_rnn.nn.functional as F
from tinygrad_rnn import nn, optim
from tinygrad_rnn.utils.data import StreamLoader

FORMAT = "examples/char_lm.py 1"


class CharLM(nn.Module):
    """Scores of the next character: embedding, recurrent layers, a linear layer.

    `x` (T, B) numbers of characters -> scores (T, B, V), and the state after the last of them.
    """

    def __init__(
        self, cell: str, symbols: int, hidden: int, layers: int, dropout: float, compile: bool = False
    ) -> None:
        super().__init__()
        recurrent = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.embed = nn.Embedding(symbols, 64)
        rnn = recurrent(64, hidden, layers, dropout=dropout if layers > 1 else 0.0)
        self.rnn = tg.compile(rnn) if compile else rnn
        self.drop = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, symbols)

    def forward(self, x, state=None):
        y, state = self.rnn(self.drop(self.embed(x)), state)
        return self.head(self.drop(y)), state


def detach(state):
    """The state without its graph: h, or LSTM's (h, c)."""
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


class Run:
    """Everything a step depends on, and therefore everything a checkpoint holds."""

    def __init__(self, options: dict[str, Any], corpus: Corpus) -> None:
        tg.manual_seed(options["seed"])
        self.options, self.text = options, corpus.digest
        sizes = {name: options[name] for name in ("cell", "hidden", "layers", "dropout", "compile")}
        self.model = CharLM(symbols=len(corpus.vocabulary), **sizes)
        self.optimizer = optim.Adam(self.model.parameters(), lr=options["lr"])
        self.schedule = optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=options["steps"])
        self.streams = StreamLoader(
            corpus.vocabulary.encode(corpus.train), options["batch"], options["seq_len"]
        )
        self.chunks = iter(self.streams)
        self.state = None  # of the recurrent layers, after the chunk before
        self.step = 0
        self.loss = math.nan  # nats per character, a running mean

    def advance(self) -> None:
        """One step of training on the next chunk of the streams."""
        chunk = next(self.chunks, None)
        if chunk is None:  # the streams are at their end: once more from the beginning, remembering nothing
            self.chunks, self.state = iter(self.streams), None
            chunk = next(self.chunks)
        x, y = chunk
        scores, state = self.model(x, self.state)
        loss = F.cross_entropy(scores.flatten(0, 1), y.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.options["clip"])
        self.optimizer.step()
        self.schedule.step()
        self.state = detach(state)
        self.loss = loss.item() if self.step == 0 else 0.9 * self.loss + 0.1 * loss.item()
        self.step += 1

    def state_dict(self) -> dict[str, Any]:
        """The run as numbers, texts and tensors."""
        return {
            "format": FORMAT,
            "options": self.options,
            "text": self.text,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "streams": self.streams.state_dict(),
            "random": tg.get_rng_state(),
            "state": self.state,
            "step": self.step,
            "loss": self.loss,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on where `saved` was taken."""
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.schedule.load_state_dict(saved["schedule"])
        self.streams.load_state_dict(saved["streams"])
        self.state, self.step, self.loss = saved["state"], saved["step"], saved["loss"]
        tg.set_rng_state(saved["random"])



@tg.no_grad()
def bits_per_character(model: CharLM, numbers: list[int], streams: int = 1) -> float:
    """Mean of -log2 P(character | all before it), over all characters but the first, which is only read.

    More `streams` read the text at several places at once, which is faster and a little pessimistic: each
    begins without memory.
    """
    model.eval()
    state, nats, characters = None, 0.0, 0
    for x, y in StreamLoader(numbers, streams, seq_len=1000):
        scores, state = model(x, state)
        nats += F.cross_entropy(scores.flatten(0, 1), y.flatten(), reduction="sum").item()
        characters += y.numel()
    model.train()
    return nats / math.log(2) / characters


@tg.no_grad()
def sample(model: CharLM, vocabulary: Vocabulary, length: int, temperature: float, seed: int) -> str:
    """`length` characters drawn one by one, with a generator of their own: looking changes nothing."""
    model.eval()
    generator = tg.Generator().manual_seed(seed)
    state, numbers = None, vocabulary.encode("\n")
    for _ in range(length):
        scores, state = model(tg.tensor(numbers[-1:]).unsqueeze(1), state)
        chances = F.softmax(scores[0, 0] / temperature, dim=-1)
        chances[0] = 0.0  # the unknown symbol has no face
        numbers.append(tg.multinomial(chances, 1, generator=generator).item())
    model.train()
    return vocabulary.decode(numbers[1:])

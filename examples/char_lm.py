"""Train a character language model on real text, and compare it with n-gram models on the same test text.

    python examples/char_lm.py                                  # Python's own documentation, an LSTM
    python examples/char_lm.py --quick                          # a small one, in seconds
    python examples/char_lm.py --cell gru --text book.txt --checkpoint book.ckpt
    python examples/char_lm.py --text book.txt --resume book.ckpt --checkpoint book.ckpt

What is reported at the end are the final parameters on the test text, by which nothing was chosen.

A checkpoint holds the whole run. After `--resume` it goes on bit for bit as if it had never stopped, with the
options it was started with; the same text has to be given again.

NumPy's products run on one core unless OPENBLAS_NUM_THREADS says otherwise. At these sizes a second core
gains a tenth, and where another program wants that core, waiting for it makes training several times slower.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

from corpus import Corpus, Refused, read
from language_model import FORMAT, Run, bits_per_character, sample
from ngram import WittenBell
from options import DEFAULTS, parse, spelled

import tinygrad_rnn as tg


def open_checkpoint(path: str, training: dict[str, Any]) -> dict[str, Any]:
    """The content of a checkpoint, whose options `training` may repeat but not contradict."""
    try:
        saved = tg.load(path)
    except OSError as error:
        raise Refused(f"--resume: {path}: {error.strerror}") from error
    except ValueError as error:
        raise Refused(f"--resume: {error}") from error
    ours = isinstance(saved, dict) and saved.get("format") == FORMAT
    if not ours or set(saved.get("options", ())) != set(DEFAULTS):
        raise Refused(f"--resume: {path} is not a checkpoint of this program")
    for name, value in training.items():
        before = saved["options"][name]
        if value != before:
            option = spelled(name)
            raise Refused(f"{option} {value}: the run in {path} has {option} {before}; leave it out")
    return saved


def start(args: argparse.Namespace, corpus: Corpus) -> Run:
    """A new run, or the one that `--resume` names."""
    saved = open_checkpoint(args.resume, args.training) if args.resume else None
    options = saved["options"] if saved else DEFAULTS | args.training
    chunk = options["batch"] * options["seq_len"]
    if len(corpus.train) <= chunk or len(corpus.validation) < 2:
        raise Refused(
            f"the text is too short: {len(corpus.train):,} characters of it are for training, but --batch "
            f"{options['batch']} and --seq-len {options['seq_len']} take more than {chunk:,}"
        )
    if saved and saved.get("text") != corpus.digest:
        raise Refused(f"--resume: the run in {args.resume} has another text; give the same --text")
    run = Run(options, corpus)
    if saved:
        try:
            run.load_state_dict(saved)
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise Refused(f"--resume: {args.resume} does not fit: {' '.join(str(error).split())}") from error
    return run


class CtrlC:
    """Within the block the first Ctrl-C is only noted, so that no step is left half done."""

    def __enter__(self) -> CtrlC:
        self.pressed = False
        self.before = signal.signal(signal.SIGINT, self.note)
        return self

    def note(self, *_: object) -> None:
        self.pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # the second one is obeyed at once

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self.before)


def train(run: Run, corpus: Corpus, args: argparse.Namespace) -> None:
    """Train to the last step or the first Ctrl-C, with progress, samples and checkpoints on the way."""
    steps = run.options["steps"]
    line, look = max(1, min(100, steps // 20)), max(1, steps // 4)
    validation = corpus.vocabulary.encode(corpus.validation)
    began, first = time.perf_counter(), run.step
    with CtrlC() as ctrl_c:
        while run.step < steps and not ctrl_c.pressed:
            run.advance()
            if run.step % line == 0:
                print(progress(run, first, time.perf_counter() - began), flush=True)
                keep(run, args.checkpoint)
            if run.step % look == 0 and run.step < steps:
                bits = bits_per_character(run.model, validation, streams=min(16, len(validation) - 1))
                print(f"validation text: {bits:.3f} bits per character")
                show(run, corpus, args)
        keep(run, args.checkpoint)


def progress(run: Run, first: int, seconds: float) -> str:
    """One line: where the run is, how good, how fast, how long to go."""
    done, steps = run.step - first, run.options["steps"]
    speed = done * run.options["batch"] * run.options["seq_len"] / seconds
    left = round(seconds / done * (steps - run.step))
    return (
        f"step {run.step:5}/{steps}   loss {run.loss:.4f}   {run.loss / math.log(2):.3f} bits/char"
        f"   {speed:7,.0f} char/s   {left // 60}:{left % 60:02} left"
    )


def keep(run: Run, path: str | None) -> None:
    """Write a checkpoint, if one is wanted: the old file is replaced all at once."""
    if path:
        try:
            tg.save(run.state_dict(), path)
        except OSError as error:
            raise Refused(f"--checkpoint: {path}: {error.strerror or error}") from error


def show(run: Run, corpus: Corpus, args: argparse.Namespace) -> None:
    """Print a sample, indented."""
    if args.sample:
        seed = run.options["seed"] + run.step
        text = sample(run.model, corpus.vocabulary, args.sample, args.temperature, seed)
        print("\n    " + text.replace("\n", "\n    ") + "\n", flush=True)


def baselines(corpus: Corpus) -> dict[str, float]:
    """Bits per character of n-gram models: the same training text, the same test characters."""
    known = corpus.vocabulary.known
    model = WittenBell(known(corpus.train), order=5, symbols=len(corpus.vocabulary))
    orders = {"unigram": 1, "3-gram": 3, "5-gram": 5}
    return {name: model.bits_per_character(known(corpus.test), order) for name, order in orders.items()}


def report(bits: dict[str, float]) -> None:
    """Print a small table, the best model last."""
    print("bits per character on the test text")
    for name in sorted(bits, key=bits.__getitem__, reverse=True):
        print(f"    {name:8} {bits[name]:.3f}")
    print(flush=True)


def compare(args: argparse.Namespace) -> int:
    """Train, judge and show, as the options say."""
    corpus = Corpus(read(args.text))
    run = start(args, corpus)
    if args.checkpoint and not os.path.isdir(os.path.dirname(os.path.abspath(args.checkpoint))):
        raise Refused(f"--checkpoint: there is no folder for {args.checkpoint}")
    cell, parts = run.options["cell"], (corpus.train, corpus.validation, corpus.test)
    print("{:,} characters to train on, {:,} to validate, {:,} to test".format(*map(len, parts)))
    parameters = sum(p.numel() for p in run.model.parameters())
    print(f"{len(corpus.vocabulary)} symbols, {parameters:,} parameters\n")
    bits = baselines(corpus)
    report(bits)
    train(run, corpus, args)
    if run.step < run.options["steps"]:
        advice = f"; go on with --resume {args.checkpoint}" if args.checkpoint else ""
        print(f"stopped after step {run.step}{advice}")
        return 130
    show(run, corpus, args)
    bits[cell] = bits_per_character(run.model, corpus.vocabulary.encode(corpus.test))
    report(bits)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The whole program; the value is its exit status."""
    args = parse(argv)
    try:
        return compare(args)
    except Refused as error:
        print(f"char_lm.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

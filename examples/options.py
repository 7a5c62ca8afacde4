"""The command line of char_lm.py."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import Any


def checked(kind: Callable[[str], Any], holds: Callable[[Any], bool], wanted: str) -> Callable[[str], Any]:
    """A type for argparse: what `kind` makes of the text, if something holds for it."""

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not holds(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return convert


cell = checked(str, ["rnn", "lstm", "gru"].__contains__, "rnn, lstm or gru")
count = checked(int, lambda n: n >= 1, "a whole number from 1 up")
natural = checked(int, lambda n: n >= 0, "a whole number from 0 up")
positive = checked(float, lambda x: 0 < x < math.inf, "a positive number")
fraction = checked(float, lambda x: 0 <= x < 1, "a number from 0 up to 1, without 1")

TRAINING: dict[str, tuple[Any, Callable[[str], Any], str]] = {
    "cell": ("lstm", cell, "recurrent layer: rnn, lstm or gru"),
    "hidden": (256, count, "hidden units of a layer"),
    "layers": (1, count, "recurrent layers"),
    "seq_len": (64, count, "characters that a gradient goes back"),
    "batch": (32, count, "parallel streams of text"),
    "steps": (800, count, "steps of training"),
    "lr": (8e-3, positive, "learning rate of Adam, which falls to 0 along a cosine"),
    "clip": (1.0, positive, "largest norm of the gradient"),
    "dropout": (0.0, fraction, "chance of a dropped unit, between layers and around them"),
    "seed": (1, natural, "seed of all random numbers"),
}
DEFAULTS = {"compile": False} | {name: default for name, (default, _, _) in TRAINING.items()}
QUICK = {"hidden": 128, "steps": 100, "lr": 1e-2}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options. Those of the training that were given, by name or by `--quick`, are in `training`."""
    parser = argparse.ArgumentParser(
        prog="char_lm.py", description="Train a character language model and compare it with n-gram models."
    )
    group = parser.add_argument_group("training (of a resumed run: what its checkpoint says)")
    for name, (default, kind, what) in TRAINING.items():
        letter = "NAME" if kind is cell else "N" if isinstance(default, int) else "X"
        group.add_argument(spelled(name), type=kind, metavar=letter, help=f"{what} (default {default})")
    group.add_argument("--compile", action="store_const", const=True, help="train a compiled program, sooner")
    same = " ".join(f"{spelled(name)} {value}" for name, value in QUICK.items())
    group.add_argument("--quick", action="store_true", help=f"the same as {same}")
    add = parser.add_argument_group("text, checkpoints, samples").add_argument
    add("--text", metavar="FILE", help="UTF-8 text to learn (default: Python's own documentation)")
    add("--checkpoint", metavar="FILE", help="keep the state of the run in FILE")
    add("--resume", metavar="FILE", help="go on with the run that FILE holds")
    add("--sample", type=natural, default=300, metavar="N", help="characters of a sample (default 300)")
    less = "below 1 prefers likely characters (default 0.8)"
    add("--temperature", type=positive, default=0.8, metavar="X", help=less)
    args = parser.parse_args(argv)
    chosen = {name: vars(args)[name] for name in DEFAULTS if vars(args)[name] is not None}
    args.training = (QUICK | chosen) if args.quick else chosen
    return args


def spelled(name: str) -> str:
    """The option of a name."""
    return "--" + name.replace("_", "-")

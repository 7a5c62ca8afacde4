"""A worker process of a DataLoader: it is sent tasks, and sends back batches.

    tasks ──> receive ──> inbox ──> serve ──> outbox ──> send ──> results

Two threads keep both pipes flowing, so that neither process ever waits for the other to read.
"""

from __future__ import annotations

import os
import pickle
import random
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np

from ...random import manual_seed
from .fetch import Recipe

BEGIN, LOAD, END = "begin", "load", "end"  # a pass begins; load one task; the worker's part has ended
BATCH, FAILED = "batch", "failed"
PROTOCOL = 5
WATCH = 2.0  # seconds between looks at whether the parent is still there


@dataclass
class WorkerInfo:
    """What a worker process knows of itself; see `get_worker_info`."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """Return what a worker process of a DataLoader knows of itself, None in any other process.

    `id` counts from 0 to `num_workers - 1`; `seed` is the loader's base seed for this pass plus `id`, which
    the worker's generators were seeded with; `dataset` is this process's copy. An IterableDataset uses it
    to yield its part only:

        def __iter__(self):
            info = get_worker_info()
            return islice(self.lines(), info.id, None, info.num_workers)
    """
    return _info


def main(
    recipe: Recipe, worker: int, of: int, base_seed: int, init_fn: Any, tasks: Any, results: Any, parents: Any
) -> None:
    """Run as a process: worker number `worker` of `of`, until the parent says so or is gone.

    `parents`: the parent's ends of pipes, which a forked process has to close.
    """
    for connection in parents:
        connection.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the parent ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    global _info
    _info = WorkerInfo(worker, of, base_seed + worker, recipe.dataset)
    seed_everything(base_seed, worker)
    serve(recipe, worker, init_fn, tasks, results)


def seed_everything(base_seed: int, worker: int) -> None:
    """Seed the package's generator, Python's and NumPy's, which a forked process would share with others."""
    manual_seed(base_seed + worker)
    random.seed(base_seed + worker)
    np.random.seed(np.random.SeedSequence([base_seed, worker]).generate_state(4))


def serve(
    recipe: Recipe,
    worker: int,
    init_fn: Callable[[int], None] | None,
    tasks: Any,
    results: Any,
    leave: Callable[[int], Any] = os._exit,
) -> None:
    """Answer every task with a batch, the end, or an error with its traceback, in order.

    `leave(status)` is called if the parent is gone.
    """
    inbox: SimpleQueue[Any] = SimpleQueue()
    outbox: SimpleQueue[bytes | None] = SimpleQueue()
    threading.Thread(target=receive, args=(tasks, inbox, leave), daemon=True).start()
    sender = threading.Thread(target=send, args=(results, outbox, leave), daemon=True)
    sender.start()
    answers = Answers(recipe, worker, init_fn)
    while (message := inbox.get()) is not None:
        kind, task = message
        if kind == BEGIN:
            answers.stream = None
        else:
            outbox.put(answers.to(task))
    outbox.put(None)
    sender.join()


class Answers:
    """What a worker answers to its tasks, pickled."""

    def __init__(self, recipe: Recipe, worker: int, init_fn: Callable[[int], None] | None) -> None:
        self.recipe, self.worker = recipe, worker
        self.stream: Iterator[Any] | None = None  # of the present pass over an iterable dataset
        self.broken: bytes | None = None  # the answer to every task, if `init_fn` failed
        try:
            if init_fn is not None:
                init_fn(worker)
        except Exception:
            self.broken = failure(worker)

    def to(self, task: Any) -> bytes:
        """Return the answer to one task."""
        if self.broken is not None:
            return self.broken
        try:
            return pickle.dumps(self._loaded(task), PROTOCOL)
        except Exception:
            return failure(self.worker)

    def _loaded(self, task: Any) -> tuple[str, Any]:
        if not self.recipe.iterable:
            return BATCH, self.recipe.load(task)
        self.stream = self.recipe.stream() if self.stream is None else self.stream
        return next(((BATCH, batch) for batch in self.stream), (END, None))


def receive(tasks: Any, inbox: SimpleQueue[Any], leave: Callable[[int], Any]) -> None:
    """Pass on what the parent sends, until None; leave if the parent is gone."""
    parent = os.getppid()
    try:
        while True:
            while not tasks.poll(WATCH):  # a process forked elsewhere may keep the pipe open
                if os.getppid() != parent:
                    raise EOFError
            inbox.put(message := tasks.recv())
            if message is None:
                return
    except (EOFError, OSError):
        leave(1)


def send(results: Any, outbox: SimpleQueue[bytes | None], leave: Callable[[int], Any]) -> None:
    """Send what is in `outbox`, until None; leave if nobody reads it any more."""
    try:
        while (content := outbox.get()) is not None:
            results.send_bytes(content)
    except OSError:
        leave(1)


def failure(worker: int) -> bytes:
    """Return the exception that is being handled, for `reraise` in the parent."""
    kind = sys.exc_info()[0] or Exception
    text = f"Caught {kind.__name__} in DataLoader worker process {worker}.\nOriginal {traceback.format_exc()}"
    with suppress(Exception):  # a class that only this process knows
        return pickle.dumps((FAILED, (kind, text)), PROTOCOL)
    return pickle.dumps((FAILED, (RuntimeError, text)), PROTOCOL)


class Text(str):
    """A text that KeyError, which shows its argument's repr, shows as it is."""

    def __repr__(self) -> str:
        return self


def reraise(kind: type[Exception], text: str) -> None:
    """Raise the exception of a worker, of its kind if that takes one text, with the worker's traceback."""
    try:
        error = kind(Text(text))
    except Exception:
        error = RuntimeError(text)
    raise error

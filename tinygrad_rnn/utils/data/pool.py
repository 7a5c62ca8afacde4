"""The worker processes of a DataLoader, seen from the process that iterates.

Tasks go to the workers in turn, `prefetch_factor` for each at first and one more for each batch that is
taken. Every worker answers in order, so the next batch is the next answer of the worker whose turn it is.
"""

from __future__ import annotations

import pickle
import time
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from . import worker as process
from .fetch import Recipe
from .worker import BATCH, BEGIN, FAILED, LOAD, reraise

GRACE = 1.0  # seconds for a worker to finish the sample it is at, before it is ended


class Worker:
    """One worker process and the two pipes to it."""

    def __init__(self, number: int, context: Any, arguments: tuple[Any, ...], others: list[Worker]) -> None:
        self.number = number
        tasks, self.tasks = context.Pipe(duplex=False)
        self.results, results = context.Pipe(duplex=False)
        self.active = True  # False once its part of an iterable dataset has ended
        self.pending = 0  # answers that are still to come
        parents = [pipe for w in [*others, self] for pipe in (w.tasks, w.results)]
        inherited = parents if context.get_start_method() == "fork" else []
        recipe, of, base_seed, init_fn = arguments
        self.process = context.Process(
            target=process.main,
            args=(recipe, number, of, base_seed, init_fn, tasks, results, inherited),
            daemon=True,
        )
        with warnings.catch_warnings():  # the threads of BLAS know of forks
            warnings.filterwarnings("ignore", "This process.*is multi-threaded", DeprecationWarning)
            self.process.start()
        tasks.close()
        results.close()

    def send(self, kind: str, task: Any = None) -> None:
        """Send a message; one that cannot be sent is noticed when its answer is read."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.tasks.send((kind, task))
        self.pending += kind == LOAD

    def receive(self, timeout: float) -> tuple[str, Any]:
        """Return the next answer, within `timeout` seconds if that is not 0."""
        from multiprocessing.connection import wait

        ready = wait([self.results, self.process.sentinel], timeout or None)
        if not ready:
            raise RuntimeError(
                f"DataLoader: worker {self.number} gave no batch within timeout={timeout} seconds"
            )
        try:
            if self.results not in ready and not self.results.poll():
                raise EOFError
            content = self.results.recv_bytes()
        except (EOFError, OSError):
            self.process.join(GRACE)
            raise RuntimeError(
                f"DataLoader: worker {self.number} (pid {self.process.pid}) exited unexpectedly, with exit "
                f"code {self.process.exitcode}"
            ) from None
        self.pending -= 1
        kind, answer = pickle.loads(content)
        return kind, answer


class Pool:
    """The workers of one loader."""

    def __init__(
        self, recipe: Recipe, num_workers: int, base_seed: int, init_fn: Any, context: Any, prefetch: int,
        timeout: float, in_order: bool,
    ) -> None:  # fmt: skip
        import multiprocessing

        self.prefetch, self.timeout, self.in_order = prefetch, timeout, in_order
        context = (
            multiprocessing.get_context(context) if context is None or isinstance(context, str) else context
        )
        self.workers: list[Worker] = []
        self.passes = 0
        try:
            for number in range(num_workers):
                arguments = (recipe, num_workers, base_seed, init_fn)
                self.workers.append(Worker(number, context, arguments, self.workers))
        except BaseException:
            self.close()
            raise

    def batches(self, tasks: Iterator[Any]) -> Iterator[Any]:
        """Yield the batch of each task; a second pass ends the first."""
        self.passes += 1
        this_pass = self.passes
        self._begin()
        turn = 0
        expected: deque[Worker] = deque()  # who loads the batches to come

        def hand_out() -> None:
            nonlocal turn
            active = [w for w in (*self.workers[turn:], *self.workers[:turn]) if w.active]
            for worker, task in zip(active[:1], tasks):
                worker.send(LOAD, task)
                expected.append(worker)
                turn = worker.number + 1

        for _ in range(self.prefetch * len(self.workers)):
            hand_out()
        while expected:
            worker = self._next(expected)
            kind, answer = worker.receive(self.timeout)
            if kind == FAILED:
                reraise(*answer)
            if kind == BATCH or worker.active:
                worker.active = kind == BATCH
                hand_out()
            if kind == BATCH:
                yield answer
                if self.passes != this_pass:
                    raise RuntimeError("DataLoader: another pass has begun with the same persistent workers")

    def _begin(self) -> None:
        """Let all workers begin a pass, after what is left of one that was broken off."""
        for worker in self.workers:
            while worker.pending:
                worker.receive(self.timeout)
            worker.active = True
            worker.send(BEGIN)

    def _next(self, expected: deque[Worker]) -> Worker:
        """Take the worker out of `expected` whose batch is next: the first, or any that is ready."""
        from multiprocessing.connection import wait

        worker = expected[0]
        if not self.in_order:
            ready = wait({w.results for w in expected}, self.timeout or None)
            worker = next((w for w in expected if w.results in ready), worker)
        expected.remove(worker)
        return worker

    def close(self) -> None:
        """End all processes: those that do not finish within `GRACE` seconds are terminated."""
        deadline = time.monotonic() + GRACE
        for worker in self.workers:
            with suppress(OSError):
                worker.tasks.send(None)
            worker.tasks.close()
            worker.results.close()
        for worker in self.workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            for end in (worker.process.terminate, worker.process.kill):
                if worker.process.is_alive():
                    end()
                    worker.process.join(GRACE)
        self.workers = []

"""Worker processes: the same batches in the same order, errors with traceback, and no process left behind."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.random import Generator, manual_seed
from tinygrad_rnn.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    get_worker_info,
    worker,
)
from tinygrad_rnn.utils.data.fetch import Recipe

posix = pytest.mark.skipif(os.name != "posix", reason="about POSIX processes")
METHODS = multiprocessing.get_all_start_methods()


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    gc.collect()
    assert multiprocessing.active_children() == []


class Squares(Dataset[Any]):
    """Sample i is (i, i²), and may take a while."""

    def __init__(self, n: int, slow: bool = False) -> None:
        self.n, self.slow = n, slow

    def __getitem__(self, i: int) -> Any:
        if self.slow:
            time.sleep(0.002 * (i % 5))
        return i, np.full(2, i * i)

    def __len__(self) -> int:
        return self.n


class Lines(IterableDataset[int]):
    """The numbers below n, dealt out to the workers."""

    def __init__(self, n: int, split: bool = True) -> None:
        self.n, self.split = n, split

    def __iter__(self) -> Iterator[int]:
        info = get_worker_info()
        if info is None or not self.split:
            return iter(range(self.n))
        assert info.dataset is self
        return iter(range(info.id, self.n, info.num_workers))

    def __len__(self) -> int:
        return self.n


class Failing(Dataset[int]):
    """Raises `error` at index 3."""

    def __init__(self, error: Any) -> None:
        self.error = error

    def __getitem__(self, i: int) -> int:
        if i == 3:
            raise self.error
        return i

    def __len__(self) -> int:
        return 6


class Told(Dataset[Any]):
    """Sample i is what a worker knows of itself."""

    def __getitem__(self, i: int) -> Any:
        info = get_worker_info()
        assert info is not None
        drawn = (float(tg.rand(1)), random.random(), float(np.random.rand()))
        return os.getpid(), info.id, info.num_workers, info.seed, drawn

    def __len__(self) -> int:
        return 8


def plain(batch: Any) -> Any:
    if isinstance(batch, (list, tuple)):
        return [plain(part) for part in batch]
    return batch.tolist() if isinstance(batch, (tg.Tensor, np.ndarray)) else batch


def passes(loader: Any, n: int = 2) -> Any:
    return [[plain(batch) for batch in loader] for _ in range(n)]


# --- the same batches


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 4},
        {"batch_size": 3, "shuffle": True},
        {"batch_size": 5, "shuffle": True, "drop_last": True},
        {"batch_size": None},
        {"batch_sampler": [[3, 1], [2], [0, 0, 5]]},
        {"batch_size": 2, "collate_fn": list},
        {"sampler": [4, 2, 0]},
    ],
)
@pytest.mark.parametrize("persistent", [False, True])
def test_batches_are_those_of_one_process_in_order(arguments: dict[str, Any], persistent: bool) -> None:
    manual_seed(1)
    alone = passes(DataLoader(Squares(17), **arguments))
    after = tg.rand(3).tolist()
    for workers in (1, 3):
        manual_seed(1)
        loader = DataLoader(
            Squares(17, slow=True), num_workers=workers, persistent_workers=persistent, **arguments
        )
        assert passes(loader) == alone
        assert tg.rand(3).tolist() == after  # loading in workers takes no random number here
        del loader


@pytest.mark.parametrize("method", METHODS)
def test_every_way_of_starting_processes_gives_the_same(method: str) -> None:
    data = TensorDataset(tg.arange(10.0), tg.arange(20).reshape(10, 2))
    for context in (method, multiprocessing.get_context(method)):
        loader = DataLoader(data, 4, num_workers=1, multiprocessing_context=context)
        assert passes(loader, 1) == passes(DataLoader(data, 4), 1)


def test_a_generator_fixes_the_order_with_workers_too() -> None:
    def order(workers: int) -> Any:
        generator = Generator().manual_seed(5)
        return passes(DataLoader(Squares(9), 2, shuffle=True, generator=generator, num_workers=workers))

    assert order(0) == order(2)
    assert order(0)[0] != order(0)[1]


def test_batches_can_be_written_to() -> None:
    for batch in DataLoader(TensorDataset(tg.zeros(4)), 2, num_workers=1):
        batch[0].add_(1)
        assert batch[0].tolist() == [1, 1]


@pytest.mark.parametrize("n", [0, 1, 7, 12])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_an_iterable_dataset_is_split_by_who_a_worker_is(n: int, batch_size: int | None) -> None:
    loader = DataLoader(Lines(n), batch_size, num_workers=3, persistent_workers=True)
    for _ in range(2):
        got = [plain(batch) for batch in loader]
        flat = [i for batch in got for i in (batch if batch_size else [batch])]
        assert sorted(flat) == list(range(n))
    del loader


def test_an_iterable_dataset_that_is_not_split_comes_once_from_each_worker() -> None:
    assert passes(DataLoader(Lines(3, split=False), None, num_workers=2), 1) == [[0, 0, 1, 1, 2, 2]]


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
def test_workers_take_turns_and_those_that_have_ended_are_passed_over() -> None:
    torch = pytest.importorskip("torch")

    def dealt(library: Any) -> Any:
        class Uneven(library.IterableDataset):  # type: ignore[misc]
            def __iter__(self) -> Any:
                info = library.get_worker_info()
                return iter(range(100 * info.id, 100 * info.id + (5, 0, 9)[info.id]))

        loader = library.DataLoader(Uneven(), 2, num_workers=3, multiprocessing_context="fork")
        return [batch.tolist() for batch in loader]

    assert dealt(tg.utils.data) == dealt(torch.utils.data)


def test_out_of_order_gives_the_same_batches_in_some_order() -> None:
    loader = DataLoader(Squares(20, slow=True), 2, num_workers=2, in_order=False, collate_fn=list)
    seen = [batch[0][0] for batch in loader]
    assert sorted(seen) == list(range(0, 20, 2))


def test_as_many_batches_are_loaded_ahead_as_was_said() -> None:
    asked = []

    def sampler() -> Iterator[int]:
        for i in range(50):
            asked.append(i)
            yield i

    for ahead, (workers, factor) in {4: (2, None), 3: (1, 3), 6: (3, 2)}.items():
        asked.clear()
        loader = DataLoader(
            Squares(50), 1, sampler=sampler(), num_workers=workers, prefetch_factor=factor, collate_fn=list
        )
        batches = iter(loader)
        next(batches)
        assert len(asked) == ahead + 1
        del batches


def test_large_tasks_and_large_batches_never_wait_for_each_other() -> None:
    indices = list(range(60_000))
    loader = DataLoader(
        range(60_000), batch_sampler=[indices] * 6, num_workers=1, prefetch_factor=3, timeout=60
    )
    assert [len(batch) for batch in loader] == [60_000] * 6


# --- who a worker is


def test_every_worker_knows_its_number_and_has_seeds_of_its_own() -> None:
    manual_seed(3)
    loader = DataLoader(
        Told(), 1, num_workers=2, collate_fn=lambda samples: samples[0], multiprocessing_context="fork"
    )
    first, second = list(loader), list(loader)
    assert [(told[1], told[2]) for told in first] == [(0, 2), (1, 2)] * 4
    base = first[0][3]
    assert [told[3] for told in first] == [base, base + 1] * 4 and 0 <= base < 2**63
    assert len({told[0] for told in first} - {os.getpid()}) == 2
    drawn = [number for told in first + second for number in told[4]]
    assert len(set(drawn)) == len(drawn)
    assert second[0][3] != base
    manual_seed(3)
    again = DataLoader(
        Told(), 1, num_workers=2, collate_fn=lambda samples: samples[0], multiprocessing_context="fork"
    )
    assert [told[3:] for told in again] == [told[3:] for told in first]


def test_persistent_workers_are_the_same_processes_in_every_pass() -> None:
    loader = DataLoader(Told(), 4, num_workers=2, persistent_workers=True, collate_fn=list)
    pids = [{sample[0] for batch in loader for sample in batch} for _ in range(3)]
    assert pids[0] == pids[1] == pids[2] and len(pids[0]) == 2
    with pytest.raises(ValueError, match="persistent_workers cannot be changed"):
        loader.persistent_workers = False
    del loader


def mark(worker: int) -> None:
    info = get_worker_info()
    assert info is not None and info.id == worker
    info.dataset.n = 100 + worker


class Numbered(Squares):
    def __getitem__(self, i: int) -> Any:
        return self.n


def test_the_init_function_is_called_first_in_each_worker() -> None:
    loader = DataLoader(Numbered(4), 1, num_workers=2, worker_init_fn=mark)
    assert passes(loader, 1) == [[[100], [101], [100], [101]]]


# --- errors


class Odd(Exception):
    """An error that cannot be made of one text."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__(a, b)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ValueError("bad sample"), ValueError),
        (KeyError("bad sample"), KeyError),
        (Odd("bad", "sample"), RuntimeError),  # type: ignore[arg-type]
        (type("Local", (ValueError,), {})("bad sample"), RuntimeError),
    ],
)
@pytest.mark.parametrize("persistent", [False, True])
def test_an_error_is_raised_with_the_traceback_of_its_worker(error: Any, kind: Any, persistent: bool) -> None:
    loader = DataLoader(
        Failing(error), 1, num_workers=2, persistent_workers=persistent, multiprocessing_context="fork"
    )
    seen = []
    with pytest.raises(kind) as caught:
        for batch in loader:
            seen.extend(batch.tolist())
    assert seen == [0, 1, 2]
    text = str(caught.value)
    assert f"Caught {type(error).__name__} in DataLoader worker process 1.\nOriginal Traceback" in text
    assert "in __getitem__\n    raise self.error" in text and "bad" in text
    assert multiprocessing.active_children() == []


def broken_init(worker: int) -> None:
    raise OSError(f"no disk for {worker}")


def test_an_error_in_the_init_function_is_raised_at_the_first_batch() -> None:
    with pytest.raises(OSError, match="Caught OSError in DataLoader worker process 0"):
        list(DataLoader(Squares(4), num_workers=2, worker_init_fn=broken_init))


def test_a_batch_that_cannot_be_sent_says_why() -> None:
    w = tg.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"pickle t\.detach\(\) instead"):
        list(DataLoader([0], collate_fn=lambda _: w * 2, num_workers=1, multiprocessing_context="fork"))  # type: ignore[arg-type]


def test_a_dataset_that_cannot_be_sent_leaves_no_process() -> None:
    data: Any = [lambda: None]
    with pytest.raises((pickle.PicklingError, AttributeError)):
        list(DataLoader(data, num_workers=2, multiprocessing_context="spawn"))


class Dying(Squares):
    def __getitem__(self, i: int) -> Any:
        os._exit(7)


class Sleeping(Squares):
    def __getitem__(self, i: int) -> Any:
        time.sleep(0 if i == 0 else 60)
        return i


@pytest.mark.parametrize("persistent", [False, True])
def test_a_worker_that_dies_is_noticed(persistent: bool) -> None:
    loader = DataLoader(Dying(4), num_workers=2, persistent_workers=persistent)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"worker 0 \(pid \d+\) exited unexpectedly, with exit code 7"):
            list(loader)


@pytest.mark.parametrize("in_order", [True, False])
def test_a_worker_that_is_too_slow_is_named(in_order: bool) -> None:
    loader = DataLoader(Sleeping(4), num_workers=1, timeout=0.2, in_order=in_order)
    with pytest.raises(RuntimeError, match=r"worker 0 gave no batch within timeout=0.2 seconds"):
        list(loader)


# --- the end of a loop


def test_a_loop_that_is_left_leaves_no_process() -> None:
    def leave() -> None:
        for _ in DataLoader(Squares(100, slow=True), num_workers=2):
            assert len(multiprocessing.active_children()) == 2
            return

    leave()
    assert multiprocessing.active_children() == []
    with pytest.raises(ZeroDivisionError):
        for _ in DataLoader(Squares(100, slow=True), num_workers=2):
            1 / 0  # noqa: B018
    assert multiprocessing.active_children() == []


def test_workers_that_are_busy_when_a_loop_is_left_are_ended() -> None:
    start = time.monotonic()
    batches = iter(DataLoader(Sleeping(9), num_workers=2, sampler=[0, 1, 2, 3]))
    next(batches)
    del batches
    assert multiprocessing.active_children() == []
    assert time.monotonic() - start < 20


def test_persistent_workers_finish_a_pass_that_was_left_before_the_next() -> None:
    for data in (Squares(30), Lines(30)):
        loader: Any = DataLoader(data, 2, num_workers=2, persistent_workers=True, prefetch_factor=3)
        whole = passes(loader, 1)
        for _ in islice(loader, 4):
            pass
        assert passes(loader, 1) == whole
        one, two = iter(loader), iter(loader)
        next(one), next(two)
        with pytest.raises(RuntimeError, match="another pass has begun with the same persistent workers"):
            next(one)
        del one, two, loader
        gc.collect()
        assert multiprocessing.active_children() == []


PROGRAM = """
import os, sys, time
from tinygrad_rnn.utils.data import DataLoader

class Slow:
    def __getitem__(self, i):
        os.write(1, b"%d\\n" % os.getpid())
        time.sleep(30 if i > 5 else 0.01)
        return i
    def __len__(self):
        return 100

if __name__ == "__main__":
    persistent = sys.argv[2] == "1"
    for batch in DataLoader(
        Slow(), num_workers=3, persistent_workers=persistent, multiprocessing_context=sys.argv[1]
    ):
        pass
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf8") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


@posix
@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="looks into /proc")
@pytest.mark.parametrize(
    ("method", "persistent", "number", "group"),
    [
        ("fork", "0", signal.SIGINT, True),  # Ctrl-C goes to all processes
        ("fork", "1", signal.SIGINT, True),
        ("spawn", "0", signal.SIGINT, True),
        ("fork", "0", signal.SIGINT, False),
        ("fork", "1", signal.SIGTERM, False),
        ("fork", "0", signal.SIGKILL, False),
    ],
)
def test_no_process_outlives_one_that_is_interrupted_or_killed(
    tmp_path: Any, method: str, persistent: str, number: int, group: bool
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    child = subprocess.Popen(
        [sys.executable, str(program), method, persistent],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with child:
        assert child.stdout is not None
        pids = {int(child.stdout.readline()) for _ in range(8)}
        assert len(pids) == 3
        (os.killpg if group else os.kill)(child.pid, number)
        _, errors = child.communicate(timeout=30)
    assert child.returncode != 0
    if number == signal.SIGINT:
        assert errors.count("Traceback") == 1 and "KeyboardInterrupt" in errors
    end = time.monotonic() + 10
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(map(alive, pids))


# --- the worker's side, in this process


class Gone(Exception):
    pass


def served(recipe: Recipe, messages: list[Any], init_fn: Any = None) -> list[Any]:
    """What a worker answers to messages."""
    ours, tasks = multiprocessing.Pipe()
    results, theirs = multiprocessing.Pipe(duplex=False)
    for message in messages:
        ours.send(message)
    worker.serve(recipe, 1, init_fn, tasks, theirs, leave=lambda status: pytest.fail("left"))
    answers = []
    while results.poll():
        answers.append(results.recv())
    return answers


def test_a_worker_answers_every_task_in_order() -> None:
    recipe = Recipe([10, 11, 12], list, 2, False, True)
    load = [(worker.LOAD, [0, 2]), (worker.LOAD, [5]), (worker.LOAD, [1]), None]
    first, second, third = served(recipe, [(worker.BEGIN, None), *load])
    assert (first, third) == (("batch", [10, 12]), ("batch", [11]))
    assert second[0] == "failed" and second[1][0] is IndexError
    assert [kind for kind, _ in served(recipe, load, broken_init)] == ["failed"] * 3
    assert [kind for kind, _ in served(recipe, load, print)] == ["batch", "failed", "batch"]


def test_an_error_of_a_class_that_only_the_worker_knows_is_a_runtime_error() -> None:
    class Local(Exception):
        pass

    ((kind, (error, text)),) = served(
        Recipe(Failing(Local("bad")), list, 1, False, True), [(worker.LOAD, [3]), None]
    )
    assert (kind, error) == ("failed", RuntimeError) and "Caught Local" in text and "bad" in text


def test_a_worker_begins_an_iterable_dataset_again_in_every_pass() -> None:
    recipe = Recipe(Lines(3), list, 2, True, False)
    load = [(worker.LOAD, None)] * 3
    answers = served(recipe, [(worker.BEGIN, None), *load, (worker.BEGIN, None), *load, None])
    assert answers == [("batch", [0, 1]), ("end", None), ("end", None)] * 2


def test_a_worker_leaves_when_its_parent_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    inbox: Any = queue.SimpleQueue()
    ours, tasks = multiprocessing.Pipe()
    ours.send((worker.BEGIN, None))
    ours.close()
    worker.receive(tasks, inbox, left.append)
    results, theirs = multiprocessing.Pipe(duplex=False)
    results.close()
    inbox.put(b"answer")
    inbox.get()
    inbox.put(b"answer")
    worker.send(theirs, inbox, left.append)
    assert left == [1, 1]
    ours, tasks = multiprocessing.Pipe()  # somebody else keeps it open
    monkeypatch.setattr(worker, "WATCH", 0.01)
    parents = iter([1, 1, 2])
    monkeypatch.setattr(worker.os, "getppid", lambda: next(parents))
    worker.receive(tasks, inbox, left.append)
    assert left == [1, 1, 1]


def test_a_worker_sets_itself_up(monkeypatch: pytest.MonkeyPatch) -> None:
    python = random.getstate()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(worker, "_info", None)
    pipes = multiprocessing.Pipe()
    ours, tasks = multiprocessing.Pipe()
    results, theirs = multiprocessing.Pipe(duplex=False)
    ours.send((worker.LOAD, [0]))
    ours.send(None)
    numbers = np.random.get_state()
    try:
        worker.main(Recipe([1], list, 1, False, True), 2, 4, 40, None, tasks, theirs, pipes)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        drawn = float(tg.rand(1)), random.random()
    finally:
        np.random.set_state(numbers)
        random.setstate(python)
        for number, handler in handlers.items():
            signal.signal(number, handler)
    info = worker.get_worker_info()
    assert info is not None and (info.id, info.num_workers, info.seed) == (2, 4, 42)
    manual_seed(42)
    assert drawn == (float(tg.rand(1)), random.Random(42).random())
    assert all(pipe.closed for pipe in pipes)
    assert results.recv() == ("batch", [1])
    assert threading.active_count() < 20

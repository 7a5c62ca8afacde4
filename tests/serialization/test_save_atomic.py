"""A path holds the old content or the new one, whatever happens on the way."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinygrad_rnn.serialization import files, load, save

posix = pytest.mark.skipif(os.name != "posix", reason="about POSIX files")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with an old content, alone in its directory."""
    path = tmp_path / "checkpoint"
    save("old", path)
    return path


def assert_untouched(path: Path) -> None:
    assert load(path) == "old"
    assert os.listdir(path.parent) == [path.name]


def test_a_save_replaces_the_file_and_leaves_nothing_else(path: Path) -> None:
    save("new", str(path))
    assert load(path) == "new"
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "no space left"), KeyboardInterrupt()])
def test_a_failure_on_the_way_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str, failure: BaseException
) -> None:
    def fail(*_: Any) -> None:
        raise failure

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(type(failure)):
        save(np.zeros(1000), path)
    monkeypatch.undo()
    assert_untouched(path)


def test_a_disk_that_fills_up_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            super().write(bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(files, "open", Full, raising=False)
    with pytest.raises(OSError, match="no space left"):
        save(np.zeros(1000), path)
    monkeypatch.undo()
    assert_untouched(path)


def test_what_cannot_be_saved_is_found_before_anything_is_written(path: Path) -> None:
    with pytest.raises(TypeError, match=r"obj\['net'\]"):
        save({"weights": np.zeros(1000), "net": object()}, path)
    assert_untouched(path)
    buffer = io.BytesIO()
    with pytest.raises(TypeError):
        save({"weights": np.zeros(1000), "net": object()}, buffer)
    assert buffer.getvalue() == b""


ENDLESS_SAVES = """
import sys, numpy as np
from tinygrad_rnn.serialization import save
for n in range(10**9):
    save({"n": n, "a": np.full(50_000, n)}, sys.argv[1])
    if n == 0:
        print("saved", flush=True)
"""


@posix
def test_a_process_killed_while_it_saves_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    for delay in (0.0, 0.01, 0.023, 0.05):
        child = subprocess.Popen([sys.executable, "-c", ENDLESS_SAVES, str(path)], stdout=subprocess.PIPE)
        with child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"saved\n"
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
        loaded = load(path)
        assert (loaded["a"] == loaded["n"]).all()


def test_a_reader_never_sees_half_a_file(path: Path) -> None:
    done = threading.Event()

    def write() -> None:
        for n in range(40):
            save([n] * 2000, path)
        done.set()

    writer = threading.Thread(target=write)
    save([0] * 2000, path)
    writer.start()
    while not done.is_set():
        numbers = load(path)
        assert len(numbers) == 2000
        assert len(set(numbers)) == 1
    writer.join()


@posix
def test_permissions_are_kept_and_new_files_have_the_usual_ones(path: Path) -> None:
    path.chmod(0o640)
    save("new", path)
    assert path.stat().st_mode & 0o777 == 0o640
    old = os.umask(0o027)
    try:
        save("new", path.with_name("other"))
    finally:
        os.umask(old)
    assert path.with_name("other").stat().st_mode & 0o777 == 0o640


@posix
def test_a_link_keeps_pointing_at_the_file_it_names(path: Path) -> None:
    link = path.with_name("latest")
    link.symlink_to(path.name)
    save("new", link)
    assert link.is_symlink()
    assert load(path) == "new"


@posix
def test_a_device_is_written_to_and_not_replaced() -> None:
    save("new", os.devnull)
    assert not os.path.isfile(os.devnull)
    assert os.path.exists(os.devnull)


def test_a_path_in_no_directory_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no directory .*nowhere"):
        save(1, tmp_path / "nowhere" / "checkpoint")
    with pytest.raises(IsADirectoryError):
        save(1, tmp_path)
    assert os.listdir(tmp_path) == []


def test_open_files_are_written_in_place(tmp_path: Path) -> None:
    with open(tmp_path / "checkpoint", "w+b") as file:
        save({"n": 1}, file)
        file.seek(0)
        assert load(file) == {"n": 1}


def test_a_file_that_takes_only_a_part_is_an_error() -> None:
    class Short(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            return len(data) - 1

    with pytest.raises(OSError, match="only"):
        save(1, Short())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="path or a file"):
        save(1, None)  # type: ignore[arg-type]

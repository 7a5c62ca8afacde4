"""A path holds the old content or the new one, whatever happens on the way."""

from __future__ import annotations

import errno
import io
import os
import signal
import stat
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
        save({"weights": np.zeros(1000), "net": lambda: None}, path)
    assert_untouched(path)
    buffer = io.BytesIO()
    with pytest.raises(TypeError):
        save({"weights": np.zeros(1000), "net": lambda: None}, buffer)
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
def test_a_process_killed_while_it_saves_leaves_a_whole_file_and_one_temporary_file(tmp_path: Path) -> None:
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
        assert set(os.listdir(tmp_path)) <= {"checkpoint", ".checkpoint.saving"}
    save("new", path)
    assert_only(path, "new")


def assert_only(path: Path, content: Any) -> None:
    assert load(path) == content
    assert os.listdir(path.parent) == [path.name]


@posix
def test_nobody_else_can_read_a_file_before_it_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.chmod(0o664)
    seen = []
    real = os.fsync

    def watch(descriptor: int) -> None:
        seen.append(os.fstat(descriptor).st_mode & 0o777)
        real(descriptor)

    left = path.with_name(".checkpoint.saving")
    left.write_bytes(b"left by a save that was killed" * 1000)
    left.chmod(0o666)
    monkeypatch.setattr(files.os, "fsync", watch)
    save("new", path)
    assert seen[0] == 0o600
    assert path.stat().st_mode & 0o777 == 0o664
    assert_only(path, "new")


@posix
def test_the_directory_is_on_the_disk_before_save_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "replace", lambda *names: (order.append("replace"), replace(*names)))
    monkeypatch.setattr(
        files.os, "fsync", lambda fd: (order.append("directory" if is_directory(fd) else "file"), fsync(fd))
    )
    save("new", path)
    assert order == ["file", "replace", "directory"]


def is_directory(descriptor: int) -> bool:
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


@posix
def test_a_directory_that_cannot_be_synced_is_no_reason_to_fail(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(descriptor: int) -> None:
        if is_directory(descriptor):
            raise OSError(errno.EINVAL, "not here")

    monkeypatch.setattr(files.os, "fsync", fsync)
    save("new", path)
    assert_only(path, "new")


@posix
def test_saves_of_one_target_wait_for_each_other(path: Path) -> None:
    threads = [threading.Thread(target=save, args=([n] * 5000, path)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = load(path)
    assert len(numbers) == 5000 and len(set(numbers)) == 1
    assert os.listdir(path.parent) == [path.name]


@posix
def test_a_file_in_the_way_is_neither_followed_nor_overwritten(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    temporary = path.with_name(".checkpoint.saving")
    temporary.hardlink_to(other)
    with pytest.raises(FileExistsError, match=r"'.*\.checkpoint\.saving', which saving needs, .* remove it"):
        save("new", path)
    temporary.unlink()
    os.mkfifo(temporary)
    with pytest.raises(FileExistsError, match="remove it"):
        save("new", path)
    temporary.unlink()
    temporary.symlink_to(other)
    with pytest.raises(FileExistsError, match="remove it"):
        save("new", path)
    assert other.read_bytes() == b"precious" and load(path) == "old"


@posix
def test_without_locks_every_save_has_a_name_of_its_own(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(*_: Any) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(files.fcntl, "flock", flock)
    save("new", path)
    assert load(path) == "new"
    assert set(os.listdir(path.parent)) <= {path.name, ".checkpoint.saving"}


@posix
def test_a_save_that_is_interrupted_while_it_waits_leaves_nothing_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def flock(descriptor: int, _: int) -> None:
        opened.append(descriptor)
        raise KeyboardInterrupt

    monkeypatch.setattr(files.fcntl, "flock", flock)
    with pytest.raises(KeyboardInterrupt):
        save("new", path)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
    assert load(path) == "old"


def test_long_names_have_shorter_temporary_ones(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)
    save("new", path)
    assert_only(path, "new")


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

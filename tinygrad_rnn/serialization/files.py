"""Reading a file whole, and replacing one whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
from contextlib import suppress
from typing import Any
from uuid import uuid4

try:
    import fcntl
except ImportError:  # pragma: no cover (Windows)
    fcntl = None  # type: ignore[assignment]

LONGEST_NAME = 200  # bytes of a file's name in that of its temporary file; most systems allow 255
POSIX = os.name == "posix"
NEW = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
MINE = getattr(os, "O_NOFOLLOW", 0) | getattr(
    os, "O_NONBLOCK", 0
)  # no link to elsewhere, no pipe to wait for

umask_lock = threading.Lock()


def read(f: Any) -> tuple[str, bytes]:
    """Return the name of a file (a path, or what has `read`) for messages, and all its bytes."""
    if isinstance(f, (str, bytes, os.PathLike)):
        with open(f, "rb") as file:
            return os.fsdecode(f), file.read()
    if not callable(getattr(f, "read", None)):
        raise TypeError(f"load: f must be a path or a file, got {type(f).__name__}")
    data = f.read()
    if not isinstance(data, (bytes, bytearray)):
        raise TypeError("load: f is a text file; open it in binary mode, 'rb'")
    return str(getattr(f, "name", type(f).__name__)), bytes(data)


def write(f: Any, data: bytes) -> None:
    """Write `data` to a path, all or nothing, or to what has `write`."""
    if isinstance(f, (str, bytes, os.PathLike)):
        replace(os.fsdecode(f), data)
    elif callable(getattr(f, "write", None)):
        written = f.write(data)
        if isinstance(written, int) and written != len(data):
            raise OSError(f"save: only {written} of {len(data)} bytes were written")
    else:
        raise TypeError(f"save: f must be a path or a file, got {type(f).__name__}")


def replace(path: str, data: bytes) -> None:
    """Put a file with `data` in the place of `path` in one step, which a crash cannot divide.

    The data are on the disk under another name, in the same directory, before the name changes hands; the
    directory is on the disk before this returns. A symbolic link keeps pointing where it points; an old
    file's permissions are kept.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe or a device has no content to protect
        with open(path, "wb") as file:
            file.write(data)
        return
    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    if not os.path.isdir(directory):
        raise FileNotFoundError(f"save: there is no directory {directory!r}")
    temporary, descriptor = begin(target)
    with open(descriptor, "wb") as file:
        try:
            os.ftruncate(descriptor, 0)  # a save that was killed may have left something
            file.write(data)
            file.flush()
            os.fsync(descriptor)
            if POSIX:  # pragma: no branch
                os.fchmod(descriptor, final_mode(target))
                os.replace(temporary, target)  # while the lock is held
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
    if POSIX:
        sync(directory)
    else:  # pragma: no cover (Windows renames no file that is open)
        os.replace(temporary, target)


def begin(target: str) -> tuple[str, int]:
    """Return the name and the descriptor of a private file that will become `target`.

    There is one name for each target, so that saves that are killed leave one file in all; a lock, which ends
    with its process, lets one save at a time use it. Without locks each save has a name of its own.
    """
    directory, name = os.path.split(target)
    name = os.fsdecode(os.fsencode(name)[:LONGEST_NAME])
    temporary = os.path.join(directory, f".{name}.saving")
    while fcntl is not None:  # pragma: no branch
        if os.path.islink(temporary):
            raise in_the_way(temporary)
        descriptor = os.open(temporary, NEW | MINE, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if is_mine(descriptor, temporary):
                os.fchmod(descriptor, 0o600)
                return temporary, descriptor
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, FileExistsError) or not isinstance(error, OSError):
                raise
            break  # a file system without locks
        os.close(descriptor)
    temporary = os.path.join(directory, f".{name}.{uuid4().hex}.saving")
    return temporary, os.open(temporary, NEW | os.O_EXCL, 0o600)


def is_mine(descriptor: int, path: str) -> bool:
    """True if `path` still names the open file: the save that had the lock before may have renamed it.

    Raises FileExistsError for a file that somebody else has put there.
    """
    here = os.fstat(descriptor)
    if not stat.S_ISREG(here.st_mode) or here.st_uid != os.geteuid() or here.st_nlink > 1:
        raise in_the_way(path)
    try:
        return os.path.samestat(here, os.lstat(path))
    except FileNotFoundError:
        return False


def in_the_way(path: str) -> FileExistsError:
    """Return the error for what somebody else has put where the temporary file has to be."""
    return FileExistsError(f"save: {path!r}, which saving needs, is there already; remove it")


def final_mode(target: str) -> int:
    """Return the permissions of the file that `target` names, or those that a new file has."""
    if os.path.exists(target):
        return stat.S_IMODE(os.stat(target).st_mode)
    with umask_lock:  # there is no way to ask for it without setting it
        umask = os.umask(0o077)
        os.umask(umask)
    return 0o666 & ~umask


def sync(directory: str) -> None:
    """Wait until a directory's names are on the disk, where the file system can tell."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)

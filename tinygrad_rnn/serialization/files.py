"""Reading a file whole, and replacing one whole or not at all."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from typing import Any
from uuid import uuid4


def read(f: Any) -> tuple[str, bytes]:
    """The name of a file (a path, or what has `read`) for messages, and all its bytes."""
    if isinstance(f, (str, bytes, os.PathLike)):
        with open(f, "rb") as file:
            return repr(os.fsdecode(f)), file.read()
    if not callable(getattr(f, "read", None)):
        raise TypeError(f"load: f must be a path or a file, got {type(f).__name__}")
    data = f.read()
    if not isinstance(data, (bytes, bytearray)):
        raise TypeError("load: f is a text file; open it in binary mode, 'rb'")
    return repr(getattr(f, "name", type(f).__name__)), bytes(data)


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

    The data are on the disk under another name, in the same directory, before the name changes hands.
    A symbolic link keeps pointing where it points; an old file's permissions are kept.
    """
    if os.path.exists(path) and not os.path.isfile(path):  # a pipe or a device has no content to protect
        with open(path, "wb") as file:
            file.write(data)
        return
    target = os.path.realpath(path)
    directory = os.path.dirname(target)
    if not os.path.isdir(directory):
        raise FileNotFoundError(f"save: there is no directory {directory!r}")
    temporary = os.path.join(directory, f".{uuid4().hex}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            shutil.copymode(target, temporary)
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise

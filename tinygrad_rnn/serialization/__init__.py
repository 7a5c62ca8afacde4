"""save and load: tensors, state dictionaries and nested containers in one file, without pickle.

A file holds data and nothing else, so that opening one that somebody else made runs nothing.
"""

from __future__ import annotations

import os
from typing import IO, Any, Union

from .archive import LoadError, pack, unpack
from .files import read, write
from .structure import describe, restore

__all__ = ["LoadError", "load", "save"]

File = Union[str, "os.PathLike[str]", IO[bytes]]


def save(obj: Any, f: File, pickle_module: Any = None, pickle_protocol: int | None = None) -> None:
    """Write `obj` to `f`, a path or a file opened in binary mode.

    `obj` may be, or contain to any depth:

    - tensors and parameters: values and `requires_grad`, without graph, gradient or hooks. Names of one
      object are names of one object again after `load`, and tensors over the same memory share it again
      (tied weights stay tied); views that overlap only in part become separate copies;
    - NumPy arrays, numbers and dtypes, but not `object` arrays;
    - `dict` and `OrderedDict` with any hashable keys from this list, `list`, `tuple`, `set`, `frozenset`,
      and the state (h, c) of an LSTM, which comes back as a plain tuple;
    - `str`, `bytes`, `int` of any size, `float` to the bit, `bool`, `None`.

    Anything else, a whole Module above all, is a `TypeError` that says where it is and what to save
    instead: save `model.state_dict()`. A container that contains itself is a `ValueError`.

    A file at a path is replaced all at once: after an error or a crash it is still the old one.

    >>> import io, numpy
    >>> buffer = io.BytesIO()
    >>> save({"step": 3, "w": numpy.arange(2)}, buffer)
    >>> _ = buffer.seek(0)
    >>> load(buffer)
    {'step': 3, 'w': array([0, 1])}
    """
    only_default("save", pickle_module=pickle_module, pickle_protocol=pickle_protocol)
    write(f, pack(*describe(obj)))


def load(
    f: File,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """What `save` wrote to `f`, a path or a file opened in binary mode.

    A damaged, truncated or foreign file is a `LoadError` (a `ValueError`) with its name and the reason;
    a file that cannot be opened is Python's own `OSError`. `weights_only` changes nothing, because there
    is nothing but data in a file. `map_location` must leave what is on the
    processor there: `"cpu"`, a dict without it, or a function that returns the storage it is given.
    """
    only_default("load", pickle_module=pickle_module, mmap=mmap or None, **pickle_load_args)
    if not stays_on_cpu(map_location):
        raise NotImplementedError(f"load: map_location={map_location!r} is not supported; use 'cpu'")
    if weights_only not in (None, True, False):
        raise TypeError(f"load: weights_only must be True, False or None, got {weights_only!r}")
    name, data = read(f)
    try:
        return restore(*unpack(data))
    except LoadError as error:
        raise LoadError(f"load: {name}: {error}") from error.__cause__
    except Exception as error:  # there is no end to what a damaged file can provoke
        raise LoadError(f"load: {name}: the file is damaged ({type(error).__name__}: {error})") from error


def stays_on_cpu(map_location: Any) -> bool:
    """True if `map_location`, in any form that PyTorch knows, leaves what is on the processor there."""
    if callable(map_location):
        storage = object()
        return map_location(storage, "cpu") in (None, storage)
    where = map_location.get("cpu") if isinstance(map_location, dict) else map_location
    return where is None or str(where) == "cpu"


def only_default(user: str, **given: Any) -> None:
    """Refuse arguments that have no meaning here."""
    for name, value in given.items():
        if value is not None:
            raise NotImplementedError(f"{user}: {name}={value!r} is not supported; leave it out")

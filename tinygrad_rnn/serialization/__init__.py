"""save and load: tensors, state dictionaries and nested containers in one file, without pickle.

Such a file holds data and nothing else, so that opening one that somebody else made runs nothing. Objects
that are not plain data, such as whole modules, are pickled; `load` reads these only if it is told to.
"""

from __future__ import annotations

import os
from typing import IO, Any, Union

from .archive import pack, pack_pickle, unpack
from .errors import LoadError, brief
from .files import read, write
from .limits import collector_paused
from .pickled import add_safe_globals, clear_safe_globals, dump, get_safe_globals, safe_globals, undump
from .restore import restore
from .structure import describe

__all__ = [
    "LoadError", "add_safe_globals", "clear_safe_globals", "get_safe_globals", "load", "safe_globals", "save",
]  # fmt: skip

File = Union[str, "os.PathLike[str]", IO[bytes]]


def save(obj: Any, f: File, pickle_module: Any = None, pickle_protocol: int | None = None) -> None:
    """Write `obj` to `f`, a path or a file opened in binary mode.

    Plain data are written as data. `obj` is plain if it is, or contains to any depth below 25,000:

    - tensors and parameters: values and `requires_grad`, without graph, gradient or hooks. Names of one
      object are names of one object again after `load`, and tensors over the same memory share it again
      (tied weights stay tied); views that overlap only in part become separate copies;
    - NumPy arrays, numbers and dtypes, but not `object` arrays;
    - `dict` and `OrderedDict` with any hashable keys from this list, `list`, `tuple`, `set`, `frozenset`,
      and the state (h, c) of an LSTM, which comes back as a plain tuple;
    - `str`, `bytes`, `int` of any size, `float` to the bit, `bool`, `None`.

    If anything else is in it, a whole Module above all, `obj` is pickled, and `load` refuses the file unless
    it is told that it can be trusted: save `model.state_dict()` if others are to load it. What cannot be
    pickled either is a `TypeError` that says where it is and what to save instead. A container that contains
    itself is a `ValueError`, and so are keys that would take too long to hash.

    `pickle_module` and `pickle_protocol` must be left out.

    A file at a path is replaced all at once: after an error or a crash it is still the old one. Nobody else
    can read it before it is whole; then it has the permissions of the file it replaces, or the usual ones.

    >>> import io, numpy
    >>> buffer = io.BytesIO()
    >>> save({"step": 3, "w": numpy.arange(2)}, buffer)
    >>> _ = buffer.seek(0)
    >>> load(buffer)
    {'step': 3, 'w': array([0, 1])}
    """
    only_default("save", pickle_module=pickle_module, pickle_protocol=pickle_protocol)
    write(f, content_of(obj))


def content_of(obj: Any) -> bytes:
    """Return the file of `obj`: plain data if it is that, else a pickle."""
    try:
        return pack(*describe(obj))
    except LoadError as error:  # a bound that `load` keeps to
        raise ValueError(f"save: {error}") from None
    except TypeError as error:
        not_plain = error
    try:
        return pack_pickle(dump(obj))
    except Exception as error:  # whatever an object's own pickling raises
        raise TypeError(f"{not_plain}; it cannot be pickled either ({brief(error)})") from error


def load(
    f: File,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Return what `save` wrote to `f`, a path or a file opened in binary mode.

    - `map_location` must leave what is on the processor there: `"cpu"`, a dict without it, or a function
      that returns the storage it is given.
    - `weights_only`: None and True, as in PyTorch 2.6, refuse a file of whole objects, because reading a
      pickle can run any program, unless `serialization.add_safe_globals` allows the classes in it. False
      reads it: say it only of a file that you trust. For plain data it changes nothing.
    - `pickle_module`, `mmap` and further arguments must be left out.

    A damaged, truncated or foreign file is a `LoadError` (a `ValueError`) with its name and the reason, and
    for files of other libraries with what reads them; a file that cannot be opened is Python's own `OSError`.
    A file that was made to do harm costs no more time and memory than one of its size that `save` wrote.
    """
    only_default("load", pickle_module=pickle_module, mmap=mmap or None, **pickle_load_args)
    if not stays_on_cpu(map_location):
        raise NotImplementedError(f"load: map_location={map_location!r} is not supported; use 'cpu'")
    if weights_only not in (None, True, False):
        raise TypeError(f"load: weights_only must be True, False or None, got {weights_only!r}")
    name, data = read(f)
    try:
        with collector_paused():  # it would look again and again for cycles, of which plain data have none
            found = unpack(data, name)
            if not isinstance(found, memoryview):
                return restore(*found)
        return undump(found, weights_only is not False)
    except LoadError as error:
        raise LoadError(f"load: {name!r}: {error}") from error.__cause__
    except Exception as error:  # there is no end to what a damaged file can provoke
        reason = f"{type(error).__name__}: {error}"
        raise LoadError(f"load: {name!r}: the file is damaged ({brief(reason)})") from error


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

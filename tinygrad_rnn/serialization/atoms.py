"""Values without parts, as JSON: what JSON has stands for itself, others are `[tag, text, …]`."""

from __future__ import annotations

import base64
import math
import re
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import damaged
from .limits import full_of_brackets

PLAIN = (type(None), bool, int, float, str, bytes)
PLAIN_DTYPE = re.compile(r"[<>|=]?[a-zA-Z]\d{0,18}(\[\w{1,24}(/\d+)?\])?", re.ASCII)  # not of records


def is_atom(value: Any) -> bool:
    """True for what has no row of its own."""
    return type(value) in PLAIN or isinstance(value, (np.generic, np.dtype))


def atom(value: Any) -> Any:
    """Return JSON for a value without parts."""
    kind = type(value)
    if kind is int and abs(value) >= 2**63:
        return ["int", hex(value)]
    if kind is float and not math.isfinite(value):
        return ["float", struct.pack(">d", value).hex()]
    if kind is str and (has_surrogates(value) or full_of_brackets(value)):
        return ["str", value.encode("utf-8", "surrogatepass").hex()]
    if kind is bytes:
        return ["bytes", base64.b64encode(value).decode("ascii")]
    if kind is np.str_:
        return ["np.str_", atom("".join(value))]  # str() of it would drop zeros at the end
    if kind is np.bytes_:
        return ["np.bytes_", atom(bytes(value))]
    if isinstance(value, np.generic):
        return ["number", value.dtype.str, value.tobytes().hex()]
    if isinstance(value, np.dtype):
        return ["dtype", value.str]
    return value


def has_surrogates(text: str) -> bool:
    """True if halves of pairs stand in `text`, which JSON would join."""
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)


def number(name: str, text: str) -> Any:
    """Return a NumPy scalar from its bytes."""
    dtype, content = dtype_of(name), bytes.fromhex(text)
    if dtype.itemsize != len(content):
        raise damaged("a number's bytes do not fit its dtype")
    return np.ndarray((), dtype, content)[()]


def dtype_of(name: str) -> np.dtype[Any]:
    """Return the dtype of this name, if it is a plain one; the bytes of an object would be an address."""
    if not PLAIN_DTYPE.fullmatch(name):
        raise damaged("a dtype is not one that save writes")
    dtype = np.dtype(name)
    if dtype.hasobject:
        raise damaged("a dtype is not one that save writes")
    return dtype


ATOMS: dict[str, Callable[..., Any]] = {
    "int": lambda text: int(text, 16),
    "float": lambda text: struct.unpack(">d", bytes.fromhex(text))[0],
    "str": lambda text: bytes.fromhex(text).decode("utf-8", "surrogatepass"),
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "np.str_": lambda node: np.str_(from_atom(node)),
    "np.bytes_": lambda node: np.bytes_(from_atom(node)),
    "number": number,
    "dtype": dtype_of,
}


def from_atom(node: Any) -> Any:
    """Return the value of an `atom`, which must be written as `atom` writes it."""
    if not isinstance(node, list):
        return node
    tag, *content = node
    if tag not in ATOMS:
        raise damaged("its structure is not one that save writes")
    value = ATOMS[tag](*content)
    if tag != "str" and atom(value) != node:
        raise damaged("a value is not written as save does")
    return value

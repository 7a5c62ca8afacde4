"""One array of a file: a `.npy` member, of which nothing is allocated before its size has been checked."""

from __future__ import annotations

import ast
import math
import re
import struct
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ..engine.tensor import Array
from .errors import damaged

LONGEST_HEADER = 10_000  # letters; NumPy does not read longer ones either
DEEPEST_HEADER = 32  # brackets in brackets: records in records
MAGIC = re.compile(rb"\x93NUMPY([\x01-\x03])\x00", re.DOTALL)
SIMPLE = re.compile(
    r"\{'descr': '([^'\\]+)', 'fortran_order': (True|False), 'shape': (\([\d, ]*\)), \} *\n", re.ASCII
)


def read_array(content: memoryview) -> Array:
    """Return the array of one member, in memory of its own; only what `save` writes is read.

    Refuses objects, elements of no bytes, sizes that differ from what is there, and a header that NumPy
    would not give this array.
    """
    magic = MAGIC.match(content[:8])
    if magic is None:
        raise damaged("an array does not begin as a .npy file does")
    short = magic[1] == b"\x01"
    length_format = "<H" if short else "<I"
    start = 8 + struct.calcsize(length_format)
    (length,) = struct.unpack_from(length_format, content, 8)
    if length > LONGEST_HEADER:
        raise damaged("the header of an array is too long")
    header = bytes(content[start : start + length]).decode("utf8" if magic[1] == b"\x03" else "latin1")
    description, fortran, shape = header_of(header)
    dtype = npy.descr_to_dtype(description)
    values = content[start + length :]
    if not is_storable(dtype) or npy.dtype_to_descr(dtype) != description:
        raise damaged("an array has a dtype that save does not write")
    if math.prod(shape) * dtype.itemsize != len(values):
        raise damaged("an array is longer or shorter than its shape says")
    array: Array = np.ndarray(shape, dtype, values, order="F" if fortran else "C")
    if fortran != (array.flags.f_contiguous and not array.flags.c_contiguous):
        raise damaged("an array has another order than its header says")
    return array.copy(order="K")


def header_of(text: str) -> tuple[Any, bool, tuple[int, ...]]:
    """Return dtype description, Fortran order and shape of a header: a Python dict as text."""
    simple = SIMPLE.fullmatch(text)
    if simple is not None:
        shape = tuple(map(int, re.findall(r"\d+", simple[3])))
        if str(shape) == simple[3]:
            return simple[1], simple[2] == "True", shape
    steps = (1 if c in "([{" else -1 if c in ")]}" else 0 for c in text)
    if max(accumulate(steps), default=0) > DEEPEST_HEADER:
        raise damaged("the header of an array is nested too deeply")
    header = ast.literal_eval(text)
    description, fortran, shape = (header[key] for key in ("descr", "fortran_order", "shape"))
    if len(header) != 3 or type(fortran) is not bool or type(shape) is not tuple:
        raise damaged("the header of an array is not as NumPy writes it")
    if any(type(n) is not int or n < 0 for n in shape):
        raise damaged("an array has a shape that none can have")
    return description, fortran, shape


def is_storable(dtype: np.dtype[Any]) -> bool:
    """True if `.npy` gives arrays of this dtype back, without a pickle, and each element has bytes.

    Elements without bytes would let a file of 200 bytes hold 10¹² of them.
    """
    if dtype.hasobject or dtype.itemsize == 0:
        return False
    description = npy.dtype_to_descr(dtype)
    return len(str(description)) < LONGEST_HEADER - 1000 and npy.descr_to_dtype(description) == dtype

"""The file: an uncompressed zip of one JSON text and one `.npy` member for each array, or of one pickle.

    structure.json      {"format": "tinygrad_rnn", "version": 1, "arrays": 2, …}
    arrays/0.npy        NEP 1 (https://numpy.org/neps/nep-0001-npy-format.html), never with a pickle
    arrays/1.npy

    object.pkl          alone in its archive: an object that is not plain data (see pickled.py)

Zip keeps a CRC-32 of each member. Its readers are lenient, and slow for a directory of a million entries, so
`members` reads the archive from its start, as `save` lays it out: member after member without a gap, the
directory, the end. Sizes are compared with what is there before anything is allocated.
"""

from __future__ import annotations

import json
import struct
import zlib
from io import BytesIO
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from numpy.lib import format as npy

from ..engine.tensor import Array
from .errors import LoadError, brief, damaged
from .foreign import refuse_foreign
from .limits import parsed
from .npy import read_array

FORMAT, VERSION = "tinygrad_rnn", 1
STRUCTURE, PICKLE = "structure.json", "object.pkl"

# APPNOTE.TXT 4.3.7, 4.3.16 and 4.5.3 (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT)
MEMBER = struct.Struct("<4s2xHH4xLLLHH")  # signature, flags, method, CRC-32, sizes, lengths of name and more
END = struct.Struct("<4s6xHLLH")  # signature, entries, size and offset of the directory, length of a comment
FIRST, LAST = b"PK\x03\x04", b"PK\x05\x06"
ZIP64 = struct.Struct("<4xQQ")
ZIP64_END = 76  # bytes of the two records before the end of an archive beyond 4 GB or 65,535 members
MOST16, MOST32 = 0xFFFF, 0xFFFFFFFF


def member(i: int) -> str:
    """Return the name of array `i` in the archive."""
    return f"arrays/{i}.npy"


# --- writing


def pack(structure: dict[str, Any], arrays: list[Array]) -> bytes:
    """Return the file of a structure (anything JSON can hold) and its arrays.

    Equal content gives equal bytes.
    """
    head = {"format": FORMAT, "version": VERSION, "arrays": len(arrays)}
    whole = BytesIO()
    with ZipFile(whole, "w", ZIP_STORED) as archive:
        archive.writestr(ZipInfo(STRUCTURE), json.dumps(head | structure, allow_nan=False))
        for i, array in enumerate(arrays):
            content = BytesIO()
            npy.write_array(content, array, allow_pickle=False)
            archive.writestr(ZipInfo(member(i)), content.getvalue())
    return whole.getvalue()


def pack_pickle(content: bytes) -> bytes:
    """Return the file of a pickle."""
    whole = BytesIO()
    with ZipFile(whole, "w", ZIP_STORED) as archive:
        archive.writestr(ZipInfo(PICKLE), content)
    return whole.getvalue()


# --- reading


def unpack(data: bytes, name: str) -> tuple[dict[str, Any], list[Array]] | memoryview:
    """Return the structure and the arrays of a file, or its pickle, which has not been run.

    `name` is the file's name, which tells formats apart. Raises `LoadError` where the reason is known, else
    any exception.
    """
    refuse_foreign(data, name, (STRUCTURE, PICKLE))
    found = members(data)
    if list(found) == [PICKLE]:
        return found[PICKLE]
    structure = parsed(bytes(found[STRUCTURE]))
    if structure.get("format") != FORMAT:
        raise LoadError(f"its format is {brief(repr(structure.get('format')))}, not {FORMAT!r}")
    if structure.get("version") != VERSION:
        version = brief(repr(structure.get("version")))
        raise LoadError(f"its format version is {version}, this release reads {VERSION}")
    if structure.keys() != {"format", "version", "arrays", "root", "objects"}:
        raise damaged("its structure has other parts than those that save writes")
    count = len(found) - 1
    if type(structure["arrays"]) is not int or structure["arrays"] != count:
        raise damaged(f"it has {count} arrays, but speaks of {brief(structure['arrays'])}")
    if list(found) != [STRUCTURE, *(member(i) for i in range(count))]:
        raise damaged("its members have other names than those that save gives")
    return structure, [read_array(found[member(i)]) for i in range(count)]


def members(data: bytes) -> dict[str, memoryview]:
    """Return the members by name, in their order; all of `data` is accounted for."""
    found: dict[str, memoryview] = {}
    at = 0
    while data.startswith(FIRST, at):
        _, flags, method, crc, packed, size, name_length, more_length = MEMBER.unpack_from(data, at)
        more = at + MEMBER.size + name_length
        start = more + more_length
        if size == MOST32:
            size, packed = ZIP64.unpack_from(data, more)
        name = data[more - name_length : more].decode("ascii")
        content = memoryview(data)[start : start + size]
        if flags or method != ZIP_STORED or packed != size or name in found:
            raise damaged("it is not laid out as save does")
        if len(content) != size or zlib.crc32(content) != crc:
            raise damaged(f"{name} has another checksum than when it was saved")
        found[name] = content
        at = start + size
    check_end(data, at, len(found))
    return found


def check_end(data: bytes, at: int, count: int) -> None:
    """Raise unless the directory of `count` members begins `at` and ends with the file."""
    _, entries, size, offset, comment = END.unpack_from(data, len(data) - END.size)
    between = len(data) - END.size - size - at
    if (entries, offset, comment) != (min(count, MOST16), min(at, MOST32), 0) or between not in (
        0,
        ZIP64_END,
    ):
        raise damaged("something is missing, or stands between its parts")

"""The file: an uncompressed zip of one JSON text and one `.npy` member for each array.

    structure.json      {"format": "tinygrad_rnn", "version": 1, "arrays": 2, …}
    arrays/0.npy        NEP 1 (https://numpy.org/neps/nep-0001-npy-format.html), never with a pickle
    arrays/1.npy

Zip keeps a CRC-32 of each member. Because its readers are lenient about what surrounds the members,
`unpack` also insists that the archive begins and ends with the file and holds these members only.
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from numpy.lib import format as npy
from numpy.typing import NDArray

FORMAT, VERSION = "tinygrad_rnn", 1
STRUCTURE = "structure.json"
FIRST, LAST, LAST_SIZE = b"PK\x03\x04", b"PK\x05\x06", 22  # zip's first and last record

Array = NDArray[Any]


class LoadError(ValueError):
    """The file is not one that `save` wrote, or not any more."""


def member(i: int) -> str:
    """The name of array `i` in the archive."""
    return f"arrays/{i}.npy"


def pack(structure: dict[str, Any], arrays: list[Array]) -> bytes:
    """The file of a structure (anything JSON can hold) and its arrays. Equal content gives equal bytes."""
    head = {"format": FORMAT, "version": VERSION, "arrays": len(arrays)}
    whole = BytesIO()
    with ZipFile(whole, "w", ZIP_STORED) as archive:
        archive.writestr(ZipInfo(STRUCTURE), json.dumps(head | structure, allow_nan=False))
        for i, array in enumerate(arrays):
            content = BytesIO()
            npy.write_array(content, array, allow_pickle=False)
            archive.writestr(ZipInfo(member(i)), content.getvalue())
    return whole.getvalue()


def unpack(data: bytes) -> tuple[dict[str, Any], list[Array]]:
    """The structure and the arrays of a file. `LoadError` where the reason is known, else any exception."""
    refuse_foreign(data)
    with ZipFile(BytesIO(data)) as archive:
        infos = archive.infolist()
        names = [info.filename for info in infos]
        if STRUCTURE not in names:
            raise LoadError(foreign_zip(names))
        if infos[0].header_offset != 0 or any(info.compress_type != ZIP_STORED for info in infos):
            raise LoadError("the file is damaged (it is not laid out as save does)")
        structure = json.loads(archive.read(STRUCTURE))
        if structure["format"] != FORMAT:
            raise LoadError(f"its format is {structure['format']!r}, not {FORMAT!r}")
        if structure["version"] != VERSION:
            raise LoadError(f"its format version is {structure['version']!r}, this release reads {VERSION}")
        expected = [member(i) for i in range(structure["arrays"])]
        if names != [STRUCTURE, *expected]:
            raise LoadError("the file is damaged (arrays are missing, or there are others)")
        return structure, [read_array(archive.read(name)) for name in expected]


def read_array(content: bytes) -> Array:
    """The array of one `.npy` member."""
    stream = BytesIO(content)
    array: Array = npy.read_array(stream, allow_pickle=False)
    if stream.read(1):
        raise LoadError("the file is damaged (an array is longer than its shape says)")
    return array


def refuse_foreign(data: bytes) -> None:
    """Say what a file is that does not begin or end as a zip archive does."""
    if not data:
        raise LoadError("the file is empty, or was read to its end already (seek(0) rewinds it)")
    if data.startswith(b"\x80"):
        raise LoadError("this is a pickle (as old PyTorch checkpoints are), which could run any program")
    if not data.startswith(FIRST):
        raise LoadError("this is not a file that save wrote")
    if not data[-LAST_SIZE:].startswith(LAST):
        raise LoadError("the file is damaged (its end is missing, or something follows it)")


def foreign_zip(names: list[str]) -> str:
    """Say what a zip archive is that has no structure."""
    if any(name.endswith("data.pkl") for name in names):
        return (
            "this is a PyTorch checkpoint, which is a pickle in a zip. Where PyTorch is installed, load it "
            "there and save {name: tensor.numpy()} of its state_dict() with tinygrad_rnn.save"
        )
    return f"this is a zip archive, but not one that save wrote (no {STRUCTURE})"

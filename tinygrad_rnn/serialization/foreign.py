"""Files that others wrote: what they are, and what reads them."""

from __future__ import annotations

import os
import struct

from .errors import LoadError

FIRST, LAST = b"PK\x03\x04", b"PK\x05\x06"  # zip's first and last record
LAST_SIZE = 22
TAIL = 1 << 16  # bytes at the end of a zip archive that are searched for names

PYTORCH = (
    "where PyTorch is installed, torch.load reads it; save {name: tensor.numpy()} of its state_dict() there "
    "with tinygrad_rnn.save"
)
SAFETENSORS = "safetensors.numpy.load_file reads it, and load_state_dict takes what that gives"
KERAS = "keras.saving.load_model, or h5py.File, reads it"
READERS = {  # by the end of a file's name
    ".safetensors": f"a safetensors file: {SAFETENSORS}",
    ".npz": "arrays of NumPy: numpy.load reads it, and load_state_dict takes what that gives",
    ".npy": "an array of NumPy: numpy.load reads it",
    ".pt": f"a PyTorch checkpoint: {PYTORCH}",
    ".pth": f"a PyTorch checkpoint: {PYTORCH}",
    ".keras": f"a Keras model: {KERAS}",
    ".h5": f"an HDF5 file: {KERAS}",
    ".hdf5": f"an HDF5 file: {KERAS}",
    ".onnx": "an ONNX model: onnx.load reads it, onnxruntime runs it",
}


def refuse_foreign(data: bytes, name: str, ours: tuple[str, ...]) -> None:
    """Raise `LoadError` for what is not a whole zip archive whose first member is one of `ours`.

    `name` is the name of the file: what it ends in is believed where the content has no mark of its own.
    """
    if not data:
        raise LoadError("the file is empty, or was read to its end already (seek(0) rewinds it)")
    if data.startswith(b"\x80"):
        raise LoadError(
            f"this is a pickle (as old PyTorch checkpoints are), which could run any program; {PYTORCH}"
        )
    if not data.startswith(FIRST):
        kind = known(data, name)
        raise LoadError("this is not a file that save wrote" + (f", but {kind}" if kind else ""))
    if not data[-LAST_SIZE:].startswith(LAST):
        raise LoadError("the file is damaged (its end is missing, or something follows it)")
    if not any(data.startswith(member.encode(), 30) for member in ours):
        raise LoadError(foreign_zip(data, name))


def known(data: bytes, name: str) -> str:
    """Return what a file is that is no zip archive, and what reads it; "" if that is not known."""
    if data.startswith(b"\x93NUMPY"):
        return READERS[".npy"]
    if data.startswith(b"\x89HDF\r\n\x1a\n"):
        return READERS[".h5"]
    if data[8:9] == b"{" and struct.unpack_from("<Q", data)[0] <= len(data) - 8:
        return READERS[".safetensors"]
    if data.startswith(b"\x08") and data[2:3] in (b"\x12", b"\x1a", b"\x3a", b"\x42"):  # ModelProto's fields
        return READERS[".onnx"]
    return by_name(name)


def foreign_zip(data: bytes, name: str) -> str:
    """Return what a zip archive is that `save` did not write."""
    tail = data[-TAIL:]
    if b"data.pkl" in tail:
        return f"this is a PyTorch checkpoint, which is a pickle in a zip; {PYTORCH}"
    kind = READERS[".keras"] if b"model.weights.h5" in tail else READERS[".npz"] if b".npy" in tail else ""
    kind = kind or by_name(name)
    return "this is a zip archive, but not one that save wrote" + (f": {kind}" if kind else "")


def by_name(name: str) -> str:
    """Return what the end of a file's name says, with what reads it."""
    ending = os.path.splitext(name)[1].lower()
    return f"its name is that of {READERS[ending]}" if ending in READERS else ""

"""A file that is not as `save` left it gives one clear error; what does not matter may change."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.engine.tensor import Tensor
from tinygrad_rnn.nn.parameter import Parameter
from tinygrad_rnn.serialization import LoadError, load, save
from tinygrad_rnn.serialization.archive import members
from tinygrad_rnn.serialization.npy import header_of


def bytes_of(obj: Any) -> bytes:
    buffer = io.BytesIO()
    save(obj, buffer)
    return buffer.getvalue()


def content() -> dict[str, Any]:
    w = Parameter(np.linspace(-1, 1, 6).reshape(2, 3))
    more = {"step": 10**30, "loss": [0.5, float("nan")], (1, "a"): b"\x00\xff", "rng": np.arange(3)}
    return {"w": w, "tied": w, **more}


FILE = bytes_of(content())


def outcome(data: bytes) -> bytes | None:
    """None for a LoadError, else what was loaded, in bytes that can be compared; other errors are raised."""
    try:
        loaded = load(io.BytesIO(data))
    except LoadError:
        return None
    return bytes_of(loaded)


def test_the_oracle_tells_contents_apart() -> None:
    other = content()
    other["w"].array[1, 2] += 1e-15
    assert outcome(FILE) == FILE != outcome(bytes_of(other))


def test_every_truncation_is_refused() -> None:
    assert [n for n in range(len(FILE)) if outcome(FILE[:n]) is not None] == []


def test_truncation_never_uncovers_a_file_inside_the_file() -> None:
    inner = bytes_of({"step": 1})
    outer = bytes_of({"backup": np.frombuffer(inner, np.uint8), "step": 2})
    end = outer.index(inner) + len(inner)
    with zipfile.ZipFile(io.BytesIO(outer[:end])) as archive:  # zip itself is content with that
        assert "structure.json" in archive.namelist()
    assert [n for n in range(len(outer)) if outcome(outer[:n]) is not None] == []


@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80, 0xFF])
def test_every_damaged_byte_is_refused_or_does_not_matter(mask: int) -> None:
    results = set()
    for i, byte in enumerate(FILE):
        results.add(outcome(FILE[:i] + bytes([byte ^ mask]) + FILE[i + 1 :]))
    assert results <= {None, FILE}
    assert None in results


@given(st.data())
def test_any_damage_is_refused_or_does_not_matter(data: st.DataObject) -> None:
    damaged = bytearray(FILE)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged)))
        stop = data.draw(st.integers(start, min(len(damaged), start + 40)))
        damaged[start:stop] = data.draw(st.binary(max_size=40))
    assert outcome(bytes(damaged)) in (None, FILE)


@pytest.mark.parametrize("data", [FILE + b"\n", b"\n" + FILE, FILE + FILE, FILE + bytes(30)])
def test_what_surrounds_a_file_is_damage(data: bytes) -> None:
    assert outcome(data) is None


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)  # of no particular time
            info.compress_type = compression
            archive.writestr(info, data)
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(2))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just a note\n", "not a file that save wrote"),
        (b"\x93NUMPY\x01\x00", "not a file that save wrote"),
        (pickle.dumps({"w": [1.0]}), "pickle"),
        (pickle.dumps({"w": [1.0]}, protocol=0), "not a file that save wrote"),
        (zipped({"archive/data.pkl": b"", "archive/version": b"3"}), "PyTorch checkpoint"),
        (npz(), "a zip archive, but not one that save wrote"),
        (FILE[:-1], "its end is missing"),
        (FILE[: len(FILE) // 2], "its end is missing"),
    ],
)
def test_a_foreign_file_is_named_for_what_it_is(data: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    with pytest.raises(LoadError, match=reason) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, ValueError)


FOREIGN = [
    (
        "w.safetensors",
        (2).to_bytes(8, "little") + b"{}",
        r"a safetensors file: safetensors\.numpy\.load_file",
    ),
    ("w", (8).to_bytes(8, "little") + b'{"a":{}}' + bytes(9), "safetensors"),
    ("w.npz", npz(), r"numpy\.load reads it"),
    ("w", npz(), r"numpy\.load reads it"),
    ("w.npy", b"\x93NUMPY\x01\x00", r"numpy\.load reads it"),
    (
        "w.pt",
        b"data",
        r"its name is that of a PyTorch checkpoint: where PyTorch is installed, torch\.load",
    ),
    ("w.pth", zipped({"archive/data.pkl": b""}), r"PyTorch checkpoint, .*torch\.load reads it"),
    ("w.keras", zipped({"config.json": b"", "model.weights.h5": b""}), r"a Keras model: keras\.saving"),
    ("w.H5", b"\x89HDF\r\n\x1a\n", r"an HDF5 file: .*h5py\.File"),
    ("w.onnx", b"\x08\x09\x12\x07pytorch", r"an ONNX model: onnx\.load"),
    ("w.onnx", zipped({"a": b""}), r"one that save wrote: its name is that of an ONNX model"),
    ("w.txt", zipped({"a": b""}), r"not one that save wrote$"),
    ("w.txt", b"a note", r"not a file that save wrote$"),
]


@pytest.mark.parametrize(("name", "data", "reader"), FOREIGN, ids=range(len(FOREIGN)))
def test_a_file_of_another_library_names_what_reads_it(
    name: str, data: bytes, reader: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(LoadError, match=reader) as caught:
        load(tmp_path / name)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300 + len(str(tmp_path))


STRUCTURE = {"format": "tinygrad_rnn", "version": 1, "arrays": 0, "root": 1, "objects": []}


def forged(compression: int = zipfile.ZIP_STORED, **changes: Any) -> bytes:
    """A file with good checksums and a structure that `save` would not write."""
    structure = STRUCTURE | changes
    return zipped({"structure.json": json.dumps(structure).encode()}, compression)


def test_the_forgery_is_read_when_it_is_true() -> None:
    assert load(io.BytesIO(forged(root=["ref", 0], objects=[["list", [1, 2]]]))) == [1, 2]


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "another"},
        {"version": 2},
        {"arrays": 1},
        {"arrays": None},
        {"root": ["ref", 0]},
        {"root": ["ref", -1], "objects": [["list", []]]},
        {"root": ["ref", True], "objects": [["list", []], ["list", []]]},
        {"root": ["unknown", 0]},
        {"root": {"a": 1}},
        {"root": []},
        {"root": ["int", "ten"]},
        {"root": ["float", "00"]},
        {"root": ["number", "|O", "00" * 8]},
        {"root": ["number", "<f8", "00"]},
        {"root": ["bytes", "!"]},
        {"objects": [["list", [["ref", 0]]]]},
        {"objects": [["Module", []]]},
        {"objects": [["Tensor", 0, False]]},
        {"objects": [["dict", [[1, 2], [1, 3]]]]},
        {"objects": [["dict", [[["ref", 0], 2]]]]},
        {"objects": [["set", [1, 1]]]},
        {"objects": [["list", []], ["set", [["ref", 0]]]]},
        {"objects": 5},
        {"objects": [5]},
    ],
)
def test_a_structure_that_save_does_not_write_is_refused(changes: dict[str, Any]) -> None:
    assert outcome(forged(**changes)) is None


def test_a_newer_format_says_which_versions() -> None:
    with pytest.raises(LoadError, match="format version is 2, this release reads 1"):
        load(io.BytesIO(forged(version=2)))


def test_members_of_more_than_four_gigabytes_are_written_and_read_in_zip64() -> None:
    def wide(name: str, *extra: str) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for member in (name, *extra):
                with archive.open(zipfile.ZipInfo(member), "w", force_zip64=True) as file:
                    file.write(json.dumps(STRUCTURE | {"root": 7}).encode())
        return buffer.getvalue()

    data = wide("structure.json")
    assert load(io.BytesIO(data)) == 7
    sizes = b"\xff" * 8  # as they stand where 32 bits are too few
    at = data.index(b"\x0e\x00\x14\x00structure.json") - 8
    assert load(io.BytesIO(data[:at] + sizes + data[at + 8 :])) == 7
    twice = wide("structure.json", "structure.jsox").replace(b"jsox", b"json")
    for broken in (twice, wide("structure.json", "arrays/1.npy")):
        assert outcome(broken) is None


def test_an_archive_of_more_than_65535_members_is_read() -> None:
    data = zipped(dict.fromkeys(map(str, range(65_536)), b""))
    assert len(members(data)) == 65_536
    with pytest.raises(LoadError, match="something is missing"):
        members(data[:-30] + data[-22:])


def test_members_that_the_structure_does_not_know_are_damage() -> None:
    structure = {"format": "tinygrad_rnn", "version": 1, "arrays": 0, "root": 1, "objects": []}
    data = zipped({"structure.json": json.dumps(structure).encode(), "arrays/0.npy": b""})
    assert outcome(data) is None


def test_compression_is_refused_so_that_a_small_file_stays_small() -> None:
    assert outcome(forged(zipfile.ZIP_DEFLATED)) is None


def test_an_array_of_objects_is_refused_before_it_is_built() -> None:
    member = io.BytesIO()
    np.lib.format.write_array(member, np.array([print], dtype=object), allow_pickle=True)
    structure = {"format": "tinygrad_rnn", "version": 1, "arrays": 1, "root": 0, "objects": [["array", 0]]}
    data = zipped({"structure.json": json.dumps(structure).encode(), "arrays/0.npy": member.getvalue()})
    with pytest.raises(LoadError, match="a dtype that save does not write"):
        load(io.BytesIO(data))


def test_an_array_that_claims_more_than_it_has_is_refused() -> None:
    for claimed in (10**15, 4, 2):
        member = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            member, {"descr": "<f8", "fortran_order": False, "shape": (claimed,)}
        )
        member.write(bytes(24))
        structure = {"format": "tinygrad_rnn", "version": 1, "arrays": 1, "root": 0, "objects": []}
        data = zipped({"structure.json": json.dumps(structure).encode(), "arrays/0.npy": member.getvalue()})
        assert outcome(data) is None


@pytest.mark.parametrize("shape", ["(2, 3)", "(2,  3)", "( 2, 3)", "(2, 3, )"])
def test_a_header_is_read_as_python_reads_it(shape: str) -> None:
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}   \n"
    assert header_of(text) == ("<f8", False, (2, 3))


def test_what_cannot_be_opened_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        load(tmp_path / "nothing")
    with pytest.raises(TypeError, match="text file"):
        load(io.StringIO("text"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="path or a file"):
        load(3)  # type: ignore[arg-type]


def test_a_file_read_to_its_end_says_how_to_rewind() -> None:
    buffer = io.BytesIO()
    save(Tensor(np.zeros(1)), buffer)
    with pytest.raises(LoadError, match=r"seek\(0\)"):
        load(buffer)

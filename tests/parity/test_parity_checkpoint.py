"""PyTorch's own files are recognized, and refused without being run."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from tinygrad_rnn.serialization import LoadError, load

torch = pytest.importorskip("torch")


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


@pytest.mark.parametrize(("zipped", "kind"), [(True, "PyTorch checkpoint"), (False, "pickle")])
def test_a_checkpoint_of_pytorch_is_refused_by_name(tmp_path: Path, zipped: bool, kind: str) -> None:
    path = tmp_path / "model.pt"
    torch.save(torch.nn.LSTM(2, 3).state_dict(), path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(LoadError, match=f"model.pt.*{kind}"):
        load(path)


@pytest.mark.parametrize("write", [pickle.dump, torch.save])
def test_a_pickle_is_never_run(tmp_path: Path, write: Any) -> None:
    sprung = tmp_path / "sprung"
    with open(tmp_path / "trap", "wb") as file:
        write(Trap(str(sprung)), file)
    with pytest.raises(LoadError):
        load(tmp_path / "trap", weights_only=False)
    assert not sprung.exists()

"""Whole modules and other objects: pickled, and read only by who says that the file is trusted."""

from __future__ import annotations

import argparse
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn, serialization
from tinygrad_rnn.serialization import LoadError, load, save
from tinygrad_rnn.serialization.archive import pack_pickle


class Net(nn.Module):
    """A module of a program's own."""

    def __init__(self, hidden: int = 3) -> None:
        super().__init__()
        self.rnn = nn.GRU(2, hidden)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: Any) -> Any:
        return self.head(self.rnn(x)[0])


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def saved(obj: Any) -> io.BytesIO:
    file = io.BytesIO()
    save(obj, file)
    file.seek(0)
    return file


def test_a_whole_module_comes_back_if_the_file_is_trusted(tmp_path: Path) -> None:
    net, x = Net(), tg.randn(4, 1, 2)
    save({"net": net, "args": argparse.Namespace(lr=0.1), "epoch": 3}, tmp_path / "net.pt")
    loaded = load(tmp_path / "net.pt", weights_only=False)
    assert tg.equal(loaded["net"](x), net(x))
    assert (loaded["args"].lr, loaded["epoch"]) == (0.1, 3)


@pytest.mark.parametrize("weights_only", [None, True])
def test_otherwise_it_is_refused_unread_with_the_risk_and_what_is_in_it(
    tmp_path: Path, weights_only: bool | None
) -> None:
    sprung = tmp_path / "sprung"
    save([Net(), Trap(str(sprung))], tmp_path / "net.pt")
    with pytest.raises(
        LoadError, match=r"can run any program; if you trust the file, load.*weights_only=False"
    ) as e:
        load(tmp_path / "net.pt", weights_only=weights_only)
    assert "test_save_objects.Net" in str(e.value) and "net.pt" in str(e.value)
    assert "\n" not in str(e.value) and len(str(e.value)) < 500 + len(str(tmp_path))
    assert not sprung.exists()


def test_plain_data_never_become_a_pickle() -> None:
    net = Net()
    optimizer = tg.optim.Adam(net.parameters())
    net(tg.ones(2, 1, 2)).sum().backward()
    optimizer.step()
    checkpoint = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "loss": net(tg.ones(1, 1, 2))}
    assert b"object.pkl" not in saved(checkpoint).getvalue()
    assert load(saved(checkpoint))["net"].keys() == checkpoint["net"].keys()


def test_a_result_saved_with_a_module_becomes_a_leaf() -> None:
    net = nn.Linear(1, 1)
    loss = net(tg.ones(1, 1)).sum()
    loaded = load(saved([net, loss]), weights_only=False)
    assert loaded[1].is_leaf and loaded[1].requires_grad and loaded[1].item() == loss.item()


# --- classes that are allowed by name


def test_classes_that_are_allowed_need_no_trust_in_the_file() -> None:
    args = argparse.Namespace(
        lr=0.1, weights=np.arange(3), scale=np.float32(2), w=tg.ones(2), p=nn.Parameter(tg.ones(1))
    )
    file = saved(args)
    with serialization.safe_globals([argparse.Namespace]):
        assert serialization.get_safe_globals() == [argparse.Namespace]
        loaded = load(file)
    assert serialization.get_safe_globals() == []
    assert (loaded.lr, loaded.weights.tolist(), loaded.scale) == (0.1, [0, 1, 2], 2)
    assert loaded.w.tolist() == [1, 1] and type(loaded.p) is nn.Parameter
    file.seek(0)
    with pytest.raises(LoadError):
        load(file)


def test_what_is_not_allowed_is_not_imported_or_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    file = saved([argparse.Namespace(a=1), Trap(str(sprung))])
    with (
        serialization.safe_globals([argparse.Namespace]),
        pytest.raises(LoadError, match=r"\((_?io|builtins)\.open\)"),
    ):
        load(file)
    assert not sprung.exists()


def test_a_class_that_has_moved_is_allowed_under_its_old_name() -> None:
    content = pickle.dumps(argparse.Namespace(a=1)).replace(b"argparse", b"oldparse")
    with serialization.safe_globals([(argparse.Namespace, "oldparse.Namespace")]):
        assert load(io.BytesIO(pack_pickle(content))).a == 1


def test_allowing_lasts_until_it_is_cleared() -> None:
    serialization.add_safe_globals([range])
    with serialization.safe_globals([slice]):
        assert serialization.get_safe_globals() == [range, slice]
    assert serialization.get_safe_globals() == [range]
    serialization.clear_safe_globals()
    assert serialization.get_safe_globals() == []
    with pytest.raises(TypeError, match="expected classes and functions, got str"):
        serialization.add_safe_globals(["range"])  # type: ignore[list-item]


# --- pickles that fail


def test_a_class_that_is_gone_is_named_for_what_it_is() -> None:
    content = pickle.dumps(argparse.Namespace(a=1)).replace(b"argparse", b"goneparse"[:8])
    with pytest.raises(LoadError, match=r"unpickling its objects failed .*gonepars.*must be importable"):
        load(io.BytesIO(pack_pickle(content)), weights_only=False)


def test_a_damaged_pickle_is_refused_before_it_is_run() -> None:
    file = saved(argparse.Namespace(a="text")).getvalue()
    at = file.index(b"text")
    with pytest.raises(LoadError, match="checksum"):
        load(io.BytesIO(file[:at] + b"z" + file[at + 1 :]), weights_only=False)


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"cos\nsystem\n(S'x'\ntR.", r"\(os\.system\)"),
        (pickle.dumps([Net(), Net()], 4), r"\(test_save_objects\.Net, tinygrad_rnn\.nn\.recurrent\.GRU, "),
        (pickle.dumps([1, 2]), "objects, and"),
        (b"\x80\x05no pickle", "objects, and"),
        (pickle.dumps(list(range(20_000))), "objects, and"),
    ],
)
def test_the_names_in_a_pickle_are_read_without_running_it(content: bytes, names: str) -> None:
    with pytest.raises(LoadError, match=names):
        load(io.BytesIO(pack_pickle(content)))

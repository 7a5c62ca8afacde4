"""The example: the kit catches the tutorial's mistake, and passes the mended cell."""

from __future__ import annotations

import re
from pathlib import Path

import check_your_cell
import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.testing import LawBroken, check_cell


def test_the_wrong_cell_breaks_the_laws_of_gradients_and_no_others(capsys):
    assert check_your_cell.main([]) == 1
    told = capsys.readouterr().out
    assert "TutorialGRU breaks the law backward_is_the_derivative" in told
    assert "the operation at fault is GRUStep" in told
    assert "/ d h[" in told
    with pytest.raises(LawBroken) as caught:
        check_cell(check_your_cell.TutorialGRU)
    assert caught.value.laws == [
        "backward_is_the_derivative",
        "second_derivatives",
        "a_detached_state_truncates",
        "real_time_recurrent_learning",
    ]


def test_the_readme_shows_what_is_printed(capsys):
    check_your_cell.main([])
    told = capsys.readouterr().out
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    shown = readme.split("```text\nTutorialGRU")[1].split("```")[0]
    for line in f"TutorialGRU{shown}".splitlines():
        assert re.search(".*".join(re.escape(part) for part in line.strip().split("…")), told), line


def test_the_mended_cell_keeps_them_all(capsys):
    assert check_your_cell.main(["--right"]) == 0
    assert "real_time_recurrent_learning        held" in capsys.readouterr().out


def test_both_compute_what_our_gru_computes():
    ours = nn.GRUCell(3, 4).double()
    x, h = (tg.tensor(np.random.default_rng(0).standard_normal(shape)) for shape in ((2, 3), (2, 4)))
    ours.bias_hh.array[...] = 0
    for kind in (check_your_cell.TutorialGRU, check_your_cell.MendedGRU):
        cell = kind(3, 4).double()
        cell.load_state_dict({"W": ours.weight_ih, "U": ours.weight_hh, "b": ours.bias_ih})
        np.testing.assert_allclose(cell(x, h).detach().numpy(), ours(x, h).detach().numpy(), rtol=1e-12)

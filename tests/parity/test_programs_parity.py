"""The programs of tests/scripts follow the same loss curve on PyTorch and on tinygrad_rnn.

Their weights and data come from NumPy or plain Python; where they draw more (dropout), that is turned off.
"""

import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
sys.path.append(str(Path(__file__).parents[1] / "scripts"))

from ported import PROGRAMS, load  # noqa: E402

WITHOUT_DROPOUT = ("sentiment", "weight_drop", "word_language_model")
DRAW_THEIR_DATA = ("sequence_vae", "series_regression")  # these have no curve to compare


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.filterwarnings("ignore:.*(deprecated|Converting a tensor with requires_grad=True).*:Warning")
@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - set(DRAW_THEIR_DATA)))
def test_loss_curve_is_pytorchs(name):
    options = {"dropout": 0.0} if name in WITHOUT_DROPOUT else {}
    ours = load(name).main(**options)["losses"]
    theirs = load(name, ported=False).main(**options)["losses"]
    assert len(ours) == len(theirs)
    assert ours == pytest.approx(theirs, rel=0, abs=1e-4)

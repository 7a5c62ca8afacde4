"""Values and all gradients of every layer and cell are PyTorch's, to 1e-9; a file holds them."""

import make_recurrent as reference
import numpy as np
import pytest

import tinygrad_rnn as tg


@pytest.fixture(scope="module")
def expected():
    with np.load(reference.FILE) as file:
        return dict(file)


def test_the_file_holds_the_cases_and_no_others(expected):
    assert {key.split(":")[0] for key in expected} == {case.name for case in reference.CASES}


@pytest.mark.parametrize("case", reference.CASES, ids=lambda case: case.name)
def test_agrees_with_torch(case, expected):
    found = reference.run(tg, case)
    wanted = {key.split(": ")[1]: x for key, x in expected.items() if key.startswith(f"{case.name}: ")}
    assert set(found) == set(wanted)
    for name, x in wanted.items():
        assert found[name].dtype == np.float64
        np.testing.assert_allclose(found[name], x, rtol=1e-9, atol=1e-11, err_msg=name)

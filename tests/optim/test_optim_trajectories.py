"""Every optimizer, with every combination of its options, takes the steps that torch.optim takes."""

import make_optim as reference
import numpy as np
import pytest

from tinygrad_rnn import optim
from tinygrad_rnn.engine.tensor import Tensor

CASES = [(name, i) for name, cases in reference.CASES.items() for i in range(len(cases))]


@pytest.fixture(scope="module")
def expected():
    with np.load(reference.FILE) as file:
        return dict(file)


def parameters(arrays, dtype=np.float64):
    params = [Tensor(theta.astype(dtype), requires_grad=True) for theta in arrays]

    def set_gradients(gradients):
        for p, g in zip(params, gradients):
            p.grad = None if g is None else Tensor(g.astype(dtype))

    return params, [p.array for p in params], set_gradients


def run(name, options, dtype=np.float64):
    params, arrays, set_gradients = parameters(reference.start(), dtype)
    optimizer = getattr(optim, name)(reference.groups(params, options), **options)
    return reference.trajectory(arrays, set_gradients, optimizer.step), optimizer


@pytest.mark.parametrize(("name", "i"), CASES, ids=[f"{name}-{i}" for name, i in CASES])
def test_float64_trajectory_is_torchs(expected, name, i):
    found, _ = run(name, reference.CASES[name][i])
    np.testing.assert_allclose(found, expected[name][i], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("name", "i"), CASES, ids=[f"{name}-{i}" for name, i in CASES])
def test_float32_follows_and_keeps_its_state_in_float32(expected, name, i):
    found, optimizer = run(name, reference.CASES[name][i], np.float32)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[name][i], rtol=2e-4, atol=2e-5)
    kept = [v for state in optimizer.state.values() for v in state.values() if isinstance(v, Tensor)]
    assert {v.dtype for v in kept} <= {np.dtype(np.float32)}


@pytest.mark.parametrize("i", range(len(reference.LBFGS_CASES)))
def test_lbfgs_takes_torchs_steps_with_as_many_evaluations(expected, i):
    objective, steps, options = reference.LBFGS_CASES[i]
    params, arrays, set_gradients = parameters(reference.lbfgs_start())
    optimizer = optim.LBFGS(params, **options)
    found = reference.lbfgs_run(objective, steps, arrays, set_gradients, optimizer.step)
    want = expected[f"LBFGS{i}"]
    np.testing.assert_array_equal(found[:, -1], want[:, -1])
    assert optimizer.state[params[0]]["func_evals"] == want[-1, -1]
    np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("i", range(len(reference.SCHEDULES)))
def test_schedule_is_torchs(expected, i):
    name, options, (kind, settings), arguments = reference.SCHEDULES[i]
    params, _, _ = parameters(reference.start())
    optimizer = getattr(optim, kind)(reference.groups(params, settings), **settings)
    found = reference.scheduled(
        optimizer, lambda o: getattr(optim.lr_scheduler, name)(o, **options), arguments
    )
    np.testing.assert_allclose(found, expected[f"{name}{i}"], rtol=1e-13, atol=1e-17)


def test_the_reference_covers_every_optimizer_and_scheduler(expected):
    assert set(optim.__all__) - {"Optimizer", "lr_scheduler"} == {*reference.CASES, "LBFGS"}
    tabled = {"LRScheduler", "LambdaLR", "MultiplicativeLR"}  # tested by their formulas
    tabled |= {"SequentialLR", "ChainedScheduler"}  # and in tests/parity
    assert set(optim.lr_scheduler.__all__) - tabled == {name for name, *_ in reference.SCHEDULES}
    for name, cases in reference.CASES.items():
        assert len(expected[name]) == len(cases)

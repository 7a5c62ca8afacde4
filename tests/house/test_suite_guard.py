"""The suite's own rules: a test that changes the world fails, and profiles are as promised."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).resolve().parents[1]

SAMPLE = """
import numpy as np
import pytest
from hypothesis import given, strategies as st
import tinygrad_rnn as tg
from tinygrad_rnn.engine.primitive import primitive

np.seterr(over="raise")

def test_import():
    pass

def test_grad_mode():
    tg.set_grad_enabled(False)

def test_anomaly_mode():
    tg.autograd.set_detect_anomaly(True)

def test_default_dtype():
    tg.set_default_dtype(tg.float64)

def test_numpy_random_state():
    np.random.rand()

def test_primitives():
    primitive("twice", lambda x: 2 * x, lambda g, y, x: 2 * g)

def test_numpy_error_handling():
    np.seterr(all="ignore")

def test_passes_as_all_was_put_back():
    assert tg.is_grad_enabled() and not tg.autograd.is_anomaly_enabled()
    assert tg.get_default_dtype() == tg.float32 and np.geterr()["over"] == "warn"

numbers = []

@pytest.mark.parametrize("k", range(3))
def test_passes_and_draws_the_same_numbers_each_time(k):
    numbers.append(tg.rand(3).tolist())
    assert numbers[k] == numbers[0]

@given(st.integers())
def test_passes_and_draws_the_same_numbers_in_each_example(k):
    numbers.append(tg.rand(3).tolist())
    assert numbers[-1] == numbers[3]

def test_passes_with_a_context():
    with tg.no_grad(), tg.autograd.detect_anomaly(), np.errstate(all="ignore"):
        tg.zeros(2)
"""


def test_a_test_that_changes_the_world_fails_and_the_next_one_does_not(tmp_path):
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (tmp_path / "test_sample.py").write_text(SAMPLE)
    path = os.pathsep.join([str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "test_sample.py"]
    run = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    for name, what in {
        "test_grad_mode": "grad mode was True, is False",
        "test_anomaly_mode": "anomaly mode was False, is True",
        "test_default_dtype": "the default dtype was float32, is float64",
        "test_import": "is {'divide': 'warn', 'over': 'raise'",
        "test_numpy_random_state": "NumPy's global random state",
        "test_primitives": "'twice'",
        "test_numpy_error_handling": "NumPy's error handling",
    }.items():
        assert f"ERROR test_sample.py::{name}" in run.stdout and what in run.stdout
    assert run.stdout.count("PASSED test_sample.py::test_passes") == 6, run.stdout
    assert "7 errors" in run.stdout and "failed" not in run.stdout.splitlines()[-1]


def test_the_profiles():
    dev, ci, deep = (settings.get_profile(name) for name in ("dev", "ci", "deep"))
    assert deep.max_examples == 10 * ci.max_examples
    assert ci.derandomize and not dev.derandomize and not deep.derandomize
    assert all(profile.deadline is None and profile.print_blob for profile in (dev, ci, deep))


@pytest.mark.parametrize("torch_is_there", [True, False])
def test_what_is_said_about_parity(torch_is_there, monkeypatch, pytestconfig):
    said = []

    class Reporter:
        stats, write_line = property(lambda self: {}), staticmethod(said.append)

    plugin = next(
        p for p in pytestconfig.pluginmanager.get_plugins() if hasattr(p, "the_world_is_left_as_it_was")
    )
    monkeypatch.setattr(plugin.importlib.util, "find_spec", lambda name: object() if torch_is_there else None)
    plugin.pytest_terminal_summary(Reporter())
    assert bool(said) is not torch_is_there and all("torch is not installed" in line for line in said)

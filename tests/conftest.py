"""What every test rests on: Hypothesis profiles, a fixed seed, and a world that is left as it was found.

    HYPOTHESIS_PROFILE=dev     (default) new examples in every run; failures are remembered in .hypothesis/
    HYPOTHESIS_PROFILE=ci      the same examples in every run
    HYPOTHESIS_PROFILE=deep    ten times as many

A failing example is printed so that it can be pasted; `-rs` lists what was skipped.
"""

from __future__ import annotations

import importlib.util
import os
import zlib

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

import tinygrad_rnn as tg
from tinygrad_rnn.engine.primitive import REGISTRY

settings.register_profile(
    "dev",
    deadline=None,
    derandomize=False,
    max_examples=40,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True, database=None)
settings.register_profile("deep", settings.get_profile("dev"), max_examples=400)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


class DefaultGenerator:
    """The package's generator, as Hypothesis wants it: seeded before each example, put back afterwards."""

    seed = staticmethod(tg.manual_seed)
    getstate = staticmethod(tg.get_rng_state)
    setstate = staticmethod(tg.set_rng_state)


default_generator = DefaultGenerator()  # Hypothesis holds it weakly
hypothesis.register_random(default_generator)


def world() -> dict[str, object]:
    """What a test must not change, by the name it has in a failure."""
    return {
        "grad mode": tg.is_grad_enabled(),
        "anomaly mode": tg.autograd.is_anomaly_enabled(),
        "the default dtype": tg.get_default_dtype(),
        "the primitives": list(REGISTRY),
        "NumPy's error handling": np.geterr(),
    }


START = world()


def random_state() -> dict[str, object]:
    """The same for NumPy's global random state, from which the package never draws."""
    checksum = zlib.crc32(repr(np.random.get_state()).encode())
    return {"NumPy's global random state (its checksum)": checksum}


@pytest.fixture(autouse=True)
def the_world_is_left_as_it_was():
    """The package's generator starts from one seed; what else a test (or its module, when it is imported)
    changes, it must put back.
    """
    tg.manual_seed(0)
    numbers, before = np.random.get_state(), START | random_state()
    yield
    after = world() | random_state()
    tg.set_grad_enabled(True)
    tg.autograd.set_detect_anomaly(False)
    tg.set_default_dtype(before["the default dtype"])
    for name in set(REGISTRY) - set(before["the primitives"]):
        del REGISTRY[name]
    np.random.set_state(numbers)
    np.seterr(**before["NumPy's error handling"])
    changed = [
        f"{what} was {before[what]}, is {after[what]}" for what in before if before[what] != after[what]
    ]
    if changed:
        pytest.fail("the test changed the world:\n" + "\n".join(changed), pytrace=False)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so where the comparison with PyTorch itself was left out."""
    if importlib.util.find_spec("torch") is None:
        skipped = [r for r in terminalreporter.stats.get("skipped", []) if "parity" in r.nodeid]
        terminalreporter.write_line(
            f"SKIPPED {len(skipped)} files of parity tests: torch is not installed "
            "(the reference files made with it were compared)"
        )

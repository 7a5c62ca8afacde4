"""The budgets of the house: lines of the engine, files and functions; what one GRU step executes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("command", [["size.py"], ["frames.py", "--check"]], ids=lambda command: command[0])
def test_nothing_has_outgrown_its_budget(command):
    script = [sys.executable, str(ROOT / "tools" / command[0]), *command[1:]]
    run = subprocess.run(script, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr

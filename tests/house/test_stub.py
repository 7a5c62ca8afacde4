"""What type checkers are told of Tensor's attached methods is what is attached."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_stub_is_up_to_date():
    command = [sys.executable, str(ROOT / "tools" / "names.py"), "--check"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr

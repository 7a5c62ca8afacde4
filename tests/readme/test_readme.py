"""The README: its commands are the ones that are promised, its programs run, its links lead somewhere."""

import re
from pathlib import Path

import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAM = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_two_commands_come_first():
    install = "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python "
    commands = re.findall(r"^ {4}(.*)$", README, re.MULTILINE)
    assert commands[:2] == [install + "examples/char_lm.py", install + "-m pytest"]


def test_programs_run_from_top_to_bottom(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    programs = list(PROGRAM.finditer(README))
    assert programs
    names = {"__name__": "readme"}
    for program in programs:
        above = README.count("\n", 0, program.start(1))  # so that an error shows the README's line
        exec(compile("\n" * above + program[1], str(ROOT / "README.md"), "exec"), names)


def test_the_compiled_program_that_is_shown_is_the_one_that_is_printed():
    tg.manual_seed(0)
    rnn = tg.compile(nn.RNN(3, 5))
    rnn(tg.randn(7, 4, 3))[0].sum().backward()
    assert rnn.source.rstrip() in [program.rstrip() for program in PROGRAM.findall(README)]


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_paths_that_are_named_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)[^)]*\)", text)
    named = re.findall(r"`((?:examples|tests|benchmarks|tinygrad_rnn|\.ci)/[\w./]+)`", text)
    missing = [path for path in links + named if not (ROOT / path).exists()]
    assert not missing

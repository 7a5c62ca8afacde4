"""Break the source in every way that mistakes.py knows, and see whether the tests notice.

    make mutate                              all mutants (some 90 minutes of computing)
    make mutate ONLY=cells.py JOBS=2         those whose file, function or kind holds a text
    make mutate SAMPLE=100 SEED=1            a hundred of them, drawn at random

Each mutant is one changed place in a copy of the tree. The tests that may know it run there in a process that
is forked from this one, which has NumPy, pytest and Hypothesis loaded: first cheap ones with few examples,
then, if it lives, all that concern it as in `ci`. A mutant that lives is either killed by a better test or
listed, with the reason, in equivalent_mutants.txt. The exit code is 1 if one lives that is not listed, if a
listed one dies, or if an entry of that list is about no mutant.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Container, Iterable
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads do not survive a fork

import hypothesis
import hypothesis.extra.numpy
import numpy.testing  # noqa: F401
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from mistakes import MISTAKES
from mutants import ROWS, WHOLE, Mutant, mutants_of

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.txt")
MEMORY = 4 << 30  # bytes: a mutant that asks for more is stopped
FEW = 5  # examples
LIMITS = (30, 300)  # seconds of computing that a mutant may take in cheap tests, and in the last


# The tests that may know a mutant, the cheapest first. All but the last line run with few examples; {} is the
# primitives that a mutant is about.
OPS = (
    "tests/ops/test_op_gradients.py -k '{}'",
    "tests/ops/test_op_kinks.py tests/ops/test_op_types.py tests/ops/test_ops_reference.py "
    "tests/ops/test_op_errors.py tests/ops/test_op_truth.py tests/engine/test_engine_costs.py",
    "tests/ops tests/engine tests/nn tests/recurrent tests/compile",
)
ENGINE = (
    "tests/engine/test_accumulate.py tests/engine/test_random_programs.py tests/engine/test_assignment.py",
    "tests/engine/test_backward.py tests/engine/test_engine_costs.py tests/engine/test_anomaly.py "
    "tests/ops/test_op_gradients.py -k 'not 100_000 and not [matmul'",
    "tests/engine tests/engine_machine tests/ops tests/recurrent",
)
CELLS = (
    "tests/recurrent/test_equations.py",
    "tests/recurrent",
    "tests/recurrent tests/laws tests/nn tests/compile",
)
TIME = (
    "tests/recurrent/test_ragged_layers.py tests/recurrent/test_packing.py tests/recurrent/test_equations.py",
    "tests/recurrent",
    "tests/recurrent tests/laws tests/nn tests/compile",
)
CTC = ("tests/nn/test_ctc.py", "tests/nn/test_ctc.py tests/nn/test_decode.py tests/parity/test_ctc_parity.py")
DECODE = ("tests/nn/test_decode.py", "tests/nn/test_decode.py")
CRF = ("tests/nn/test_crf.py", "tests/nn/test_crf.py")
TARGETS = {
    "engine/derivatives.py": (ROWS, OPS),
    "engine/accumulate.py": (WHOLE, ENGINE),
    "engine/backward.py": ("backward_pass vjps batches_products", ENGINE),
    "ops/elementwise.py": (ROWS, OPS),
    "nn/functional/basic.py": ("linear", CELLS),
    "nn/cells.py": ("each step project recur initial_state forward", CELLS),
    "nn/crf.py": (WHOLE, CRF),
    "nn/functional/ctc.py": (WHOLE, CTC),
    "nn/utils/decode.py": (WHOLE, DECODE),
    "nn/utils/error_rates.py": (WHOLE, DECODE),
    "nn/loop.py": (WHOLE, TIME),
    "nn/recurrent.py": ("run _mask run_packed run_rows layers _cell forward _split _parts", TIME),
    "nn/utils/rnn.py": (WHOLE, TIME),
}


class Verdict(NamedTuple):
    """The fate of a mutant: "killed", "killed at import", "out of time", "lives"; and the seconds it took."""

    mutant: Mutant
    fate: str
    seconds: float


# --- running tests


class Profile:
    """A pytest plugin: the examples of `ci`, without shrinking; with `few`, only so many."""

    def __init__(self, few: int | None) -> None:
        self.few = few

    def pytest_collection(self) -> None:
        """After conftest.py has made its profiles, before a test module is imported."""
        generate = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        ci = hypothesis.settings.get_profile("ci")
        examples = self.few or ci.max_examples
        hypothesis.settings.register_profile("mutants", ci, phases=generate, max_examples=examples)
        hypothesis.settings.load_profile("mutants")


def run_tests(tree: Path, suite: tuple[str, ...], k: int, about: str = "", write: bool = False) -> str:
    """The fate of what stands in `tree`, by the k-th tests of a suite, in a process of its own."""
    pid = os.fork()
    if pid:
        status = os.waitpid(pid, 0)[1]
        if os.WIFSIGNALED(status):
            return "out of time" if os.WTERMSIG(status) == signal.SIGXCPU else "killed"
        code = os.WEXITSTATUS(status)
        return {0: "lives", 5: "lives", 100: "killed at import"}.get(code, "killed")  # 5: no test is about it
    code = 100
    try:
        last = k == len(suite) - 1
        seconds = LIMITS[last]
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        log = os.open(tree / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(tree)
        sys.path[0] = str(tree)
        sys.dont_write_bytecode = not write
        os.environ["HYPOTHESIS_PROFILE"] = "ci"
        import tinygrad_rnn

        assert Path(tinygrad_rnn.__file__).parent == tree / "tinygrad_rnn"
        quiet = "ignore::pytest.PytestAssertRewriteWarning"  # what is loaded here is not rewritten
        arguments = ["-x", "-q", "-p", "no:cacheprovider", "-W", quiet, *shlex.split(suite[k].format(about))]
        code = int(pytest.main(arguments, plugins=[Profile(None if last else FEW)]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


class Worker:
    """A process with a tree of its own."""

    tree: Path

    @classmethod
    def settle(cls, base: Path) -> None:
        """Copy the tree."""
        cls.tree = Path(tempfile.mkdtemp(dir=base.parent)) / "tree"
        shutil.copytree(base, cls.tree)

    @classmethod
    def judge(cls, task: tuple[Mutant, tuple[str, ...], int]) -> Verdict:
        """Put a mutant into the tree, run the tests until one fails, put the source back."""
        mutant, suite, stages = task
        file, start = cls.tree / mutant.path, time.monotonic()
        source = file.read_text(encoding="utf-8")
        for cached in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
            cached.unlink()  # it is known by a time in seconds and a size, which a mutant may share
        file.write_text(mutant.text, encoding="utf-8")
        try:
            fate, k = "lives", 0
            while fate == "lives" and k < stages:
                fate = run_tests(cls.tree, suite, k, " or ".join(mutant.primitives))
                k += 1
        finally:
            file.write_text(source, encoding="utf-8")
        return Verdict(mutant, fate, time.monotonic() - start)


def copy_of_the_tree(to: Path) -> None:
    """Copy the files that git knows of, and those that it would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, listed):
        if (ROOT / name).exists():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)


def check_without_a_mutant(tree: Path, suites: Iterable[tuple[str, ...]], cheap: bool) -> None:
    """The source as it is has to pass the tests; this also compiles what the mutants share."""
    for suite in suites:
        k = len(suite) - 1 - cheap
        fate = run_tests(tree, suite, k, write=True)
        if fate != "lives":
            sys.exit(f"{suite[k]}: {fate}, without a mutant\n{(tree / 'log.txt').read_text()[-3000:]}")


# --- the list of equivalent mutants


def equivalent(text: str) -> dict[tuple[str, str, str, str], str]:
    """{mutant.key: reason}, from entries `path: function`, `- before`, `+ after` (often), `= reason`."""
    found: dict[tuple[str, str, str, str], str] = {}
    path = function = before = ""
    waiting: list[tuple[str, str, str, str]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        mark, rest = line[0], line[1:].strip()
        if mark == "#":
            continue
        if mark == "-":
            before = rest
        elif mark == "+":
            waiting.append((path, function, before, rest))
        elif mark == "=":
            found.update(dict.fromkeys(waiting, rest))
            waiting = []
        else:
            path, _, function = (part.strip() for part in line.partition(":"))
    if waiting:
        raise ValueError(f"{EQUIVALENT.name}: no reason is given for {waiting[0]}")
    return found


# --- the report


def shown(mutant: Mutant) -> str:
    """A mutant as an entry of the list of equivalent ones."""
    return f"{mutant.path}: {mutant.function}\n- {mutant.before}\n+ {mutant.after}"


def table(verdicts: list[Verdict], listed: dict[tuple[str, str, str, str], str]) -> str:
    """Counts by file."""
    lines = ["| file | mutants | killed | equivalent | unexplained |", "|---|--:|--:|--:|--:|"]
    rows: dict[str, Counter[str]] = {}
    for v in verdicts:
        lives = "equivalent" if v.mutant.key in listed else "unexplained"
        fate = lives if v.fate == "lives" else "killed"
        for name in (v.mutant.path, "in all"):
            rows.setdefault(name, Counter())[fate] += 1
    rows["in all"] = rows.pop("in all", Counter())
    for name, n in rows.items():
        lines.append(f"| {name} | {n.total()} | {n['killed']} | {n['equivalent']} | {n['unexplained']} |")
    return "\n".join(lines)


def chosen(options: argparse.Namespace, mutants: list[Mutant]) -> list[Mutant]:
    """The mutants that are asked for, in an order that spreads them over the files."""
    wanted = [m for m in mutants if options.only in f"{m.path}: {m.function}: {m.kind}: {m.line}:"]
    random.Random(options.seed).shuffle(wanted)
    return wanted[: options.sample]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="a text in `path: function: kind of mistake: line:`")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--sample", type=int, help="how many, drawn at random")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cheap", action="store_true", help="run only the cheap tests, for a first look")
    parser.add_argument("--list", action="store_true", help="show the mutants and run nothing")
    options = parser.parse_args()
    everyone, suite_of = [], {}
    for name, (scope, suite) in TARGETS.items():
        path = f"tinygrad_rnn/{name}"
        everyone += mutants_of(path, (ROOT / path).read_text(encoding="utf-8"), MISTAKES, scope)
        suite_of[path] = suite
    listed = equivalent(EQUIVALENT.read_text(encoding="utf-8"))
    stale = set(listed) - {m.key for m in everyone}
    for key in sorted(stale):
        print("an entry about no mutant:", *key, sep="\n    ")
    mutants = chosen(options, everyone)
    if options.list:
        print(*(f"{m.path}:{m.line} {m.kind}\n{shown(m)}\n" for m in sorted(mutants)), sep="\n")
        return int(bool(stale))
    start = time.monotonic()
    verdicts = all_verdicts(mutants, suite_of, listed, options)
    wrong = [v for v in verdicts if (v.fate == "lives") != (v.mutant.key in listed)]
    print(f"\n{len(verdicts)} mutants in {(time.monotonic() - start) / 60:.0f} minutes")
    print(", ".join(f"{n} {fate}" for fate, n in Counter(v.fate for v in verdicts).most_common()), end="\n\n")
    print(table(sorted(verdicts), listed))
    for v in sorted(wrong):
        what = "LIVES" if v.fate == "lives" else "LISTED AS EQUIVALENT, BUT " + v.fate.upper()
        print(f"\n{what}  {v.mutant.path}:{v.mutant.line} ({v.mutant.kind})\n{shown(v.mutant)}")
    return int(bool(wrong or stale))


def all_verdicts(
    mutants: list[Mutant],
    suite_of: dict[str, tuple[str, ...]],
    listed: Container[object],
    options: argparse.Namespace,
) -> list[Verdict]:
    """Judge all mutants, telling of each that lives."""
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        copy_of_the_tree(base)
        check_without_a_mutant(base, dict.fromkeys(suite_of[m.path] for m in mutants), options.cheap)
        tasks = []
        for m in mutants:
            suite = suite_of[m.path]
            tasks.append((m, suite, len(suite) - (options.cheap or m.key in listed)))
        with get_context("fork").Pool(options.jobs, Worker.settle, (base,)) as pool:
            for v in pool.imap_unordered(Worker.judge, tasks):
                verdicts.append(v)
                if v.fate in ("lives", "out of time") and v.mutant.key not in listed:
                    where = f"{v.mutant.path}:{v.mutant.line} ({v.mutant.kind})"
                    print(f"\n{v.fate} ({v.seconds:.0f} s) {where}\n{shown(v.mutant)}", flush=True)
                if len(verdicts) % 50 == 0:
                    print(f"{len(verdicts)} of {len(tasks)}", flush=True)
    return verdicts


if __name__ == "__main__":
    sys.exit(main())

"""The mutation run: each mistake is made where it should be, and the list of exceptions is read right."""

import importlib
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"

RULES = """
def helper(g, axis):
    return np.flip(g, axis)

mul = binary("mul", np.multiply, lambda g, _y, _a, b: g * b, lambda g, _y, a, _b: helper(g * a, axis=0))
def elsewhere(x):
    raise ValueError(f"{x + 1}")
"""

CELL = '''
class C:
    def step(self, a, c):
        """c + 1"""
        n = sigmoid(a + linear(c, self.weight_hh, self.bias_hh))
        c = n * c
        h = tanh(c)
        return h
'''

LOOP = """
def unroll(xs, sizes: int = 3):
    for t in reversed(range(len(sizes))):
        live = rows(live, t, sizes[t])
        if t < 2 and not live:
            total += xs[t:]
    return total
"""


class Catalogue:
    """The module `mutants`, with the mistakes of the repository."""

    def __init__(self, mutants, mistakes):
        self.ROWS, self.WHOLE = mutants.ROWS, mutants.WHOLE
        self.mutants_of = lambda path, text, *scope: mutants.mutants_of(path, text, mistakes, *scope)


@pytest.fixture(scope="module")
def modules():
    sys.path.insert(0, str(TOOLS))
    try:
        mutants, mutate = importlib.import_module("mutants"), importlib.import_module("mutate")
        yield Catalogue(mutants, mutate.MISTAKES), mutate
    finally:
        sys.path.remove(str(TOOLS))
        for name in ("mutants", "mutate", "mistakes"):
            sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("wrong gradient", "lambda g, _y, _a, b: g * b", "lambda g, _y, _a, b: -(g * b)"),
        ("wrong gradient", "lambda g, _y, _a, b: g * b", "lambda g, _y, _a, b: 2 * (g * b)"),
        ("wrong gradient", "lambda g, _y, _a, b: g * b", "lambda g, _y, _a, b: 0 * (g * b)"),
        ("wrong gradient", "return np.flip(g, axis)", "return -np.flip(g, axis)"),
        ("cut second order", "g * b", 'g * getattr(b, "array", b)'),
        ("wrong operand", "lambda g, _y, _a, b", "lambda g, _y, b, _a"),
        ("wrong operator", "g * b", "g / b"),
        ("dropped term", "_y, _a, b: g * b", "_y, _a, b: g"),
        ("dropped term", "_y, _a, b: g * b", "_y, _a, b: b"),
        ("wrong name", "np.multiply", "np.divide"),
        ("dropped call", "np.flip(g, axis)", "g"),
        ("dropped argument", "helper(g * a, axis=0)", "helper(g * a)"),
        ("wrong constant", "axis=0", "axis=1"),
        ("wrong constant", "axis=0", "axis=-1"),
    ],
)
def test_mistakes_in_rules(modules, kind, before, after):
    assert_made(modules[0], "ops/sample.py", RULES, modules[0].ROWS, kind, before, after)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("cut path", "sigmoid(a + linear", "sigmoid(a.detach() + linear"),
        ("cut path", "linear(c, ", "linear(c.detach(), "),
        ("wrong value", "n * c", "n * a"),
        ("wrong value", "n * c", "c * c"),
        ("wrong value", "tanh(c)", "tanh(n)"),
        ("wrong order", "c = n * c h = tanh(c)", "h = tanh(c) c = n * c"),
        ("transposed weight", "self.weight_hh", "self.weight_hh.t()"),
        ("dropped argument", ", self.bias_hh)", ")"),
        ("wrong name", "self.weight_hh", "self.weight_ih"),
        ("wrong name", "n = sigmoid(", "n = tanh("),
        ("dropped call", "h = tanh(c)", "h = c"),
        ("dropped statement", "c = n * c", "pass"),
    ],
)
def test_mistakes_in_cells(modules, kind, before, after):
    assert_made(modules[0], "nn/cells.py", CELL, modules[0].WHOLE, kind, before, after)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("cut path", "rows(live, t", "rows(each(lambda s: s.detach(), live), t"),
        ("dropped call", "reversed(range(len(sizes)))", "range(len(sizes))"),
        ("off by one", "range(len(sizes))", "range(len(sizes) - 1)"),
        ("off by one", "sizes[t]", "sizes[t - 1]"),
        ("off by one", "xs[t:]", "xs[t + 1:]"),
        ("wrong comparison", "t < 2", "t <= 2"),
        ("wrong connective", "t < 2 and not live", "t < 2 or not live"),
        ("settled condition", "if t < 2 and not live", "if False"),
        ("dropped sign", "not live", "live"),
        ("dropped statement", "total += xs[t:]", "pass"),
        ("wrong operator", "total += xs[t:]", "total -= xs[t:]"),
        ("swapped arguments", "t, sizes[t]", "sizes[t], t"),
    ],
)
def test_mistakes_in_loops(modules, kind, before, after):
    assert_made(modules[0], "nn/loop.py", LOOP, modules[0].WHOLE, kind, before, after)


def assert_made(mutants, path, text, scope, kind, before, after):
    """One of the mutants differs from the text in just this."""
    found = [m for m in mutants.mutants_of(path, text, scope) if m.kind == kind]
    assert any(m.before.replace(before, after) == m.after != m.before for m in found), [
        (m.before, m.after) for m in found
    ]


def test_what_is_said_and_not_computed_is_left_alone(modules):
    for path, text, scope in (
        ("ops/sample.py", RULES, modules[0].ROWS),
        ("nn/cells.py", CELL, modules[0].WHOLE),
        ("nn/loop.py", LOOP, modules[0].WHOLE),
    ):
        found = modules[0].mutants_of(path, text, scope)
        assert len({m.text for m in found}) == len(found)
        for m in found:
            compile(m.text, path, "exec")
            assert "elsewhere" not in m.function and '"""' not in m.before and "raise" not in m.before
            assert m.before.startswith(text.splitlines()[m.line - 1].strip())


def test_a_file_with_letters_of_several_bytes_is_cut_at_the_right_places(modules):
    text = 'def f(g):\n    return "σ", g + 1  # ∂\n'
    after = {m.after for m in modules[0].mutants_of("x.py", text) if m.kind == "wrong operator"}
    assert after == {'return "σ", g - 1 # ∂'}


def test_the_list_of_equivalent_mutants(modules):
    found = modules[1].equivalent(
        "# a comment\nsome/file.py: f.g\n- a\n+ b\n- a\n+ c\n= why\n\n= \nother.py:\n- x\n+ y\n= because"
    )
    assert found == {
        ("some/file.py", "f.g", "a", "b"): "why",
        ("some/file.py", "f.g", "a", "c"): "why",
        ("other.py", "", "x", "y"): "because",
    }
    with pytest.raises(ValueError, match="no reason"):
        modules[1].equivalent("f.py: f\n- a\n+ b")


def test_no_entry_of_that_list_is_about_no_mutant(modules):
    mutants, mutate = modules
    listed = set(mutate.equivalent(mutate.EQUIVALENT.read_text(encoding="utf-8")))
    for path in {key[0] for key in listed}:
        scope = mutate.TARGETS[path.removeprefix("tinygrad_rnn/")][0]
        text = (mutate.ROOT / path).read_text(encoding="utf-8")
        listed -= {m.key for m in mutants.mutants_of(path, text, scope)}
    assert not listed

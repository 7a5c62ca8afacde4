"""Programs in the manner of public PyTorch scripts, run with only their imports changed.

`programs/` holds them, written against PyTorch; each `main()` returns its loss curve and what else it claims.
tests/parity/test_programs_parity.py compares the curves with PyTorch's own.
"""

import ast
import sys

import numpy as np
import pytest
from ported import PROGRAMS, Ported, load

import tinygrad_rnn

# name: the last losses are below …, and the other results lie between …
CLAIMS = {
    "adding_problem": (0.1, {}),  # always guessing the mean costs 1/6
    "beam_search": (0.4, {"known": (1, 1), "greedy_is_worse_by": (0.01, 1)}),
    "bilstm_crf": (2.0, {}),
    "char_generation": (0.05, {"recited": (0.9, 1), "hotter_by": (0.3, 3)}),
    "checkpoint_resume": (0.04, {"drift": (0, 0.35)}),
    "copy_memory": (0.1, {"accuracy": (0.85, 1)}),
    "echo_state": (0.02, {"spread": (0.01, 1)}),
    "function_cell": (0.1, {}),
    "gradient_penalty": (0.05, {"slope": (0.8, 1.2), "distance": (0.1, 2)}),
    "hierarchical_attention": (0.15, {"accuracy": (0.9, 1)}),
    "lazy_samplers": (0.05, {"accuracy": (1, 1)}),
    "learned_optimizer": (0.7, {"held_out": (0, 0.3)}),
    "lstm_from_scratch": (0.05, {}),
    "masked_tagging": (0.25, {"f1": (0.85, 1)}),
    "mixture_density": (0.2, {"near": (0.9, 1), "ups": (0.35, 0.65)}),
    "names_by_hand": (0.1, {"accuracy": (0.9, 1)}),
    "packed_bilstm": (0.05, {"accuracy": (0.9, 1)}),
    "pointer_network": (0.15, {"climbing": (0.9, 1)}),
    "pos_tagger": (0.6, {"accuracy": (1, 1)}),
    "sentiment": (0.2, {"accuracy": (0.9, 1), "gap": (0.5, 1)}),
    "seq2seq_attention": (0.5, {"right": (0.75, 1)}),
    "seq2seq_outputs": (0.05, {"sorted": (0.9, 1)}),
    "sequence_vae": (0.8, {"unexplained": (0, 0.2), "kl": (1, 10)}),
    "series_regression": (0.03, {"ratio": (0, 0.9)}),
    "siamese": (0.06, {"accuracy": (0.9, 1)}),
    "sine_lbfgs": (0.01, {"test_loss": (0, 0.01)}),
    "stacked_cells": (0.8, {}),
    "variables_era": (0.1, {"accuracy": (0.9, 1)}),
    "weight_drop": (0.9, {"dropped": (0.1, 0.3)}),
    "word_language_model": (1.0, {"perplexity": (1, 2.5)}),
}
DRAW_NUMBERS = (
    "char_generation",
    "mixture_density",
    "sentiment",
    "sequence_vae",
    "series_regression",
    "weight_drop",
    "word_language_model",
)


def test_every_program_has_a_claim():
    assert set(CLAIMS) == set(PROGRAMS)


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_import_pytorch_and_are_changed_in_nothing_else(name):
    source = PROGRAMS[name].read_text(encoding="utf-8")
    theirs, ours = ast.parse(source), Ported().visit(ast.parse(source))
    for tree, root in ((theirs, "torch"), (ours, "tinygrad_rnn")):
        nodes = [n for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom))]
        names = [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
        names += [n.module for n in nodes if isinstance(n, ast.ImportFrom)]
        roots = {n.partition(".")[0] for n in names}
        assert root in roots and roots <= {root, "numpy"} | set(sys.stdlib_module_names)
        for n in nodes:
            n.names = []
            if isinstance(n, ast.ImportFrom):
                n.module = None
    assert ast.dump(theirs) == ast.dump(ours)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_reaches_what_it_claims(name):
    result = load(name).main()
    highest, ranges = CLAIMS[name]
    losses = result["losses"]
    assert all(isinstance(x, float) and np.isfinite(x) for x in losses)
    assert np.mean(losses[-3:]) < highest < losses[0]
    for key, (low, high) in ranges.items():
        assert low <= result[key] <= high, (key, result[key])


@pytest.mark.parametrize("name", DRAW_NUMBERS)
def test_the_same_seed_gives_the_same_run(name):
    first, before = load(name).main(), np.random.get_state()
    tinygrad_rnn.rand(7)  # whatever was drawn in between
    second = load(name).main()
    np.random.set_state(before)
    assert second == first

"""Memory tasks: answers are as computed anew from the inputs; scores and chance are as stated."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.utils.data import (
    AddingTask,
    AnBnTask,
    CopyTask,
    DyckTask,
    EmbeddedReberTask,
    LanguageTask,
    ParityTask,
    ReberTask,
    Task,
    TaskBatch,
    TemporalOrderTask,
)

TASKS = {
    "adding": AddingTask(12),
    "copy": CopyTask(delay=5, length=3, symbols=4),
    "order": TemporalOrderTask(20),
    "parity": ParityTask(9, shortest=2),
    "anbn": AnBnTask(6),
    "dyck": DyckTask(kinds=2, depth=3, longest=12),
    "reber": ReberTask(),
    "embedded reber": EmbeddedReberTask(),
}
LANGUAGES = {name: task for name, task in TASKS.items() if isinstance(task, LanguageTask)}


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_gives_the_same_batch(name):
    task = TASKS[name]

    def drawn(seed):
        return [t.tolist() for t in task.batch(5, tg.Generator().manual_seed(seed))]

    tg.manual_seed(3)
    assert drawn(3) == drawn(3) == [t.tolist() for t in task.batch(5)] != drawn(4)
    batch = task.batch(7)
    T, B, D = batch.inputs.shape
    assert B == 7 and task.input_size == D and batch.lengths.shape == (7,) and batch.lengths.max().item() <= T
    assert batch.inputs.dtype == tg.get_default_dtype()


def perfect(task, batch):
    """Outputs that are right."""
    if isinstance(task, AddingTask):
        return batch.targets
    if isinstance(task, LanguageTask):
        return batch.targets * 2 - 1
    classes = {CopyTask: lambda: task.symbols + 2, TemporalOrderTask: lambda: 4, ParityTask: lambda: 2}
    return tg.nn.functional.one_hot(batch.targets, classes[type(task)]())


def blind(task, batch):
    """The best outputs that are the same whatever the inputs are."""
    if isinstance(task, AddingTask):
        return tg.ones(len(batch.targets))
    if isinstance(task, LanguageTask):
        return batch.targets.mean((0, 1), keepdim=True).expand(*batch.targets.shape) - 0.5
    return tg.zeros(*perfect(task, batch).shape)


@pytest.mark.parametrize("name", TASKS)
def test_scores_from_chance_to_perfection(name):
    task = TASKS[name]
    batch = task.batch(4000 if name not in LANGUAGES else 50)
    assert task.score(perfect(task, batch), batch) == (0 if task.lower_is_better else 1)
    assert task.score(blind(task, batch), batch) == pytest.approx(task.chance, abs=0.03)


def test_the_answers_of_adding_copying_order_and_parity():
    (numbers, marks), targets, _ = np.moveaxis((b := TASKS["adding"].batch(50)).inputs.numpy(), -1, 0), *b[1:]
    np.testing.assert_allclose((numbers * marks).sum(0), targets.numpy(), rtol=1e-6)
    assert (
        (marks[:6].sum(0) == 1).all()
        and (marks[6:].sum(0) == 1).all()
        and 0 <= numbers.min() < numbers.max() < 1
    )
    assert (marks.sum(1) > 0).all()  # every step can be marked

    inputs, targets, _ = TASKS["copy"].batch(50)
    seen = inputs.argmax(-1).numpy()
    assert (seen[:3] == targets.numpy()[-3:]).all() and (targets.numpy()[:-3] == 4).all()
    assert (seen[3:7] == 4).all() and (seen[7] == 5).all() and (seen[8:] == 4).all() and len(seen) == 11
    assert (inputs.sum(-1) == 1).all().item() and set(seen[:3].ravel()) == {0, 1, 2, 3}

    inputs, targets, _ = TASKS["order"].batch(200)
    for column, target in zip(inputs.argmax(-1).numpy().T, targets.tolist()):
        word = "".join(TemporalOrderTask.symbols[k] for k in column)
        assert re.fullmatch("E[abcd]*[XY][abcd]*[XY][abcd]*B", word)
        first, second = (m.start() for m in re.finditer("[XY]", word))
        assert 2 <= first < 4 and 10 <= second < 12
        assert target == ["XX", "XY", "YX", "YY"].index(word[first] + word[second])
    assert set(targets.tolist()) == {0, 1, 2, 3}

    inputs, targets, lengths = TASKS["parity"].batch(200)
    assert (inputs.numpy()[..., 0].sum(0) % 2 == targets.numpy()).all() and set(lengths.tolist()) == set(
        range(2, 10)
    )
    behind = np.arange(9)[:, None] >= lengths.numpy()
    assert not inputs.numpy()[behind].any() and (ParityTask(5).batch(9).lengths == 5).all().item()


# --- languages


def is_dyck(string):
    inner = string[1:-1]
    while inner != (inner := re.sub(r"\(\)|\[\]", "", inner)):
        pass
    depth = max(itertools.accumulate((1 if s in "([" else -1 for s in string[1:-1]), initial=0))
    return string[0] == "^" and string[-1] == "$" and inner == "" and depth <= 3


ARROWS = "0T1 0P2 1S1 1X3 2T2 2V4 3X2 3S5 4P3 4V5 5E6".split()


def is_reber(string):
    """Every path through the arrows of the published graph, from 0 to 6."""
    places = {"0"} if string[:1] == "B" else set()
    for symbol in string[1:]:
        places = {arrow[2] for arrow in ARROWS if arrow[0] in places and arrow[1] == symbol}
    return "6" in places


def is_embedded(string):
    return (
        string[:1] == "B"
        and string[1:2] in ("T", "P")
        and string[-2:] == string[1:2] + "E"
        and is_reber(string[2:-2])
    )


def is_anbn(string):
    n = len(string) // 2 - 1
    return n >= 1 and string == "^" + n * "a" + n * "b" + "$"


TESTS = {"anbn": is_anbn, "dyck": is_dyck, "reber": is_reber, "embedded reber": is_embedded}


@pytest.mark.parametrize("name", LANGUAGES)
def test_words_are_those_of_the_language_and_no_other_strings(name):
    task, rng = LANGUAGES[name], np.random.default_rng(0)
    words = {task.word() for _ in range(300)}
    assert all(TESTS[name](word) and task.is_word(word) for word in words) and len(words) > 5
    for word in sorted(words)[:50]:  # words with an error in them
        k = rng.integers(len(word))
        for other in (word[:k] + symbol + word[k + 1 :] for symbol in task.symbols):
            assert task.is_word(other) == TESTS[name](other), other
        for other in (word[:-1], word + word[-1], word[1:], ""):
            assert not task.is_word(other)


@pytest.mark.parametrize("name", ["anbn", "dyck", "reber"])
def test_all_short_strings_are_judged_rightly(name):
    task = LANGUAGES[name]
    for n in range(1, 6):
        for inner in itertools.product(task.symbols[1:-1], repeat=n):
            string = task.symbols[0] + "".join(inner) + task.symbols[-1]
            assert task.is_word(string) == TESTS[name](string), string


@pytest.mark.parametrize("name", LANGUAGES)
def test_targets_are_the_symbols_with_which_a_word_can_go_on(name):
    task = LANGUAGES[name]
    words = [task.word() for _ in range(4)]
    inputs, targets, lengths = task.encode(words)
    assert lengths.tolist() == [len(word) - 1 for word in words]
    for b, word in enumerate(words):
        for t in range(len(inputs)):
            shown = "".join(s for s, x in zip(task.symbols, inputs[t, b].tolist()) if x)
            legal = "".join(s for s, x in zip(task.symbols, targets[t, b].tolist()) if x)
            inside = t < len(word) - 1
            assert shown == (word[t] if inside else "") and legal == (
                task.legal(word[: t + 1]) if inside else ""
            )
            assert not inside or word[t + 1] in legal
    assert task.legal(words[0]) == task.legal("x") == ""


def test_one_wrong_step_makes_a_word_wrong_and_what_is_behind_it_does_not_matter():
    task = AnBnTask()
    batch = task.encode(["^ab$", "^aabb$"])
    outputs = batch.targets * 2 - 1
    outputs[3:, 0] = 1
    assert task.score(outputs, batch) == 1
    outputs[2, 0, 1] = 1
    assert task.score(outputs, batch) == 0.5


def test_dyck_words_stay_within_their_length_and_depth():
    for longest, depth in ((2, 1), (5, 4), (12, 2)):
        task = DyckTask(kinds=4, depth=depth, longest=longest)
        words = [task.word() for _ in range(200)]
        assert max(len(word) - 2 for word in words) == longest - longest % 2
        assert set("".join(words)) == set(task.symbols)
    assert len({AnBnTask(4).word() for _ in range(100)}) == 4


def test_what_is_refused():
    for make, words in [
        (lambda: AddingTask(1), "AddingTask: steps must be at least 2, got 1"),
        (lambda: CopyTask(delay=0), "CopyTask: delay must be at least 1, got 0"),
        (lambda: ParityTask(3, shortest=4), "ParityTask: steps must be at least 4, got 3"),
        (lambda: DyckTask(kinds=5), "DyckTask: kinds must be between 1 and 4, got 5"),
        (lambda: AnBnTask().batch(0), "AnBnTask: batch_size must be at least 1, got 0"),
        (lambda: AnBnTask().encode(["^ab$", "^ba$"]), r"AnBnTask: '\^ba\$' is no word of this language"),
        (
            lambda: TASKS["copy"].score(tg.zeros(2), TASKS["copy"].batch(3)),
            r"must be \(11, 3, 5\), got \(2,\)",
        ),
        (
            lambda: ParityTask().score(tg.zeros(2, 3), ParityTask().batch(2)),
            r"must be \(2, 2\), got \(2, 3\)",
        ),
    ]:
        with pytest.raises(ValueError, match=words):
            make()
    for call, words in [
        (lambda: Task().batch(2), r"define draw\(B, rng\)"),
        (lambda: Task().score(tg.zeros(1), TaskBatch(*[tg.zeros(1)] * 3)), r"define score\(outputs, batch\)"),
        (lambda: LanguageTask().moves(0), r"define moves\(state\)"),
    ]:
        with pytest.raises(NotImplementedError, match=words):
            call()

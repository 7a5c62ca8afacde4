"""The main example: what it promises about resuming, checkpoints, scores and errors."""

import math
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import char_lm
import pytest
from language_model import CharLM, Run, bits_per_character, sample

import tinygrad_rnn as tg
import tinygrad_rnn.nn.functional as F

TINY = "--hidden 5 --layers 2 --seq-len 7 --batch 3 --steps 12 --dropout 0.3 --sample 20".split()


@pytest.fixture
def text(tmp_path):
    """A file of 180 characters for training, so that a pass over the streams ends within twelve steps."""
    words = random.Random(0).choices(["sun", "moon", "rise", "fall", "\n"], k=100)
    path = tmp_path / "text"
    path.write_text(" ".join(words)[:200], encoding="utf-8")
    return str(path)


@pytest.fixture
def stop_after(monkeypatch):
    """A function that makes the next run receive Ctrl-C in the middle of a step."""
    optimize = tg.optim.Adam.step

    def install(step):
        def press(self, *args):
            count[0] += 1
            if count[0] == step:
                signal.raise_signal(signal.SIGINT)
            return optimize(self, *args)

        count = [0]
        monkeypatch.setattr(tg.optim.Adam, "step", press)

    return install


def main(*args):
    return char_lm.main([*map(str, args)])


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("step", [1, 8, 9, 11])  # a pass has 9 steps
def test_a_resumed_run_goes_on_bit_for_bit(text, tmp_path, stop_after, capsys, cell, step):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert main("--text", text, "--cell", cell, *TINY, "--checkpoint", whole) == 0
    uninterrupted = capsys.readouterr().out

    stop_after(step)
    assert main("--text", text, "--cell", cell, *TINY, "--checkpoint", parts) == 130
    assert f"stopped after step {step}; go on with --resume {parts}" in capsys.readouterr().out
    assert parts.read_bytes() != whole.read_bytes()

    assert main("--text", text, "--resume", parts, "--checkpoint", parts, "--sample", 20) == 0
    assert parts.read_bytes() == whole.read_bytes()
    result = "bits per character on the test text"
    assert capsys.readouterr().out.rpartition(result)[2] == uninterrupted.rpartition(result)[2]


def test_a_compiled_run_learns_the_same_and_can_be_continued(text, tmp_path, stop_after, capsys):
    eager, whole, parts = (tmp_path / name for name in ("eager", "whole", "parts"))
    assert main("--text", text, *TINY, "--checkpoint", eager) == 0
    assert main("--text", text, *TINY, "--compile", "--checkpoint", whole) == 0
    a, b = tg.load(eager), tg.load(whole)
    assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
    for name, weight in a["model"].items():
        assert tg.allclose(weight, b["model"][name], atol=1e-3), name
    stop_after(8)
    assert main("--text", text, *TINY, "--compile", "--checkpoint", parts) == 130
    assert main("--text", text, "--resume", parts, "--checkpoint", parts) == 0
    assert parts.read_bytes() == whole.read_bytes()


def test_a_run_goes_on_in_another_process(text, tmp_path, stop_after):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    main("--text", text, *TINY, "--checkpoint", whole)
    stop_after(5)
    main("--text", text, *TINY, "--checkpoint", parts)
    program = [sys.executable, char_lm.__file__, "--text", text, "--resume", parts, "--checkpoint", parts]
    here = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(program, check=True, stdout=subprocess.DEVNULL, env=here)
    assert parts.read_bytes() == whole.read_bytes()


def test_looking_at_samples_changes_nothing(text, tmp_path):
    for name, length in (("with", 40), ("without", 0)):
        main("--text", text, *TINY, "--checkpoint", tmp_path / name, "--sample", length, "--temperature", 2)
    assert (tmp_path / "with").read_bytes() == (tmp_path / "without").read_bytes()


def test_the_seed_decides(text, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        main("--text", text, *TINY, "--seed", seed, "--checkpoint", tmp_path / name)
    weights = [tg.load(tmp_path / name)["model"]["head.weight"] for name in "abc"]
    assert tg.equal(weights[0], weights[1])
    assert not tg.equal(weights[0], weights[2])


def test_a_second_ctrl_c_is_obeyed_at_once():
    before = signal.getsignal(signal.SIGINT)
    with char_lm.CtrlC() as ctrl_c:
        signal.raise_signal(signal.SIGINT)
        assert ctrl_c.pressed
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


# --- what is refused


def refused(capsys, *args):
    """The message of a run that ends with status 2 and one line."""
    capsys.readouterr()
    assert main(*args) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("char_lm.py: error: ") and err.count("\n") == 1
    return err


@pytest.fixture
def checkpoint(text, tmp_path):
    path = tmp_path / "checkpoint"
    main("--text", text, *TINY, "--checkpoint", path)
    return path


@pytest.mark.parametrize("damage", [lambda b: b[:-30], lambda b: b"", lambda b: b[:900] + b"!" + b[901:]])
def test_a_damaged_checkpoint_is_refused_and_left_alone(text, checkpoint, capsys, damage):
    content = damage(checkpoint.read_bytes())
    checkpoint.write_bytes(content)
    refused(capsys, "--text", text, "--resume", checkpoint, "--checkpoint", checkpoint)
    assert checkpoint.read_bytes() == content


def test_a_foreign_file_is_refused(text, tmp_path, capsys):
    assert "not a file that save wrote" in refused(capsys, "--text", text, "--resume", text)
    for content in ([1, 2], {"model": tg.ones(3)}, {"format": char_lm.FORMAT}):
        tg.save(content, tmp_path / "other")
        message = refused(capsys, "--text", text, "--resume", tmp_path / "other")
        assert "not a checkpoint of this program" in message
    assert "No such file" in refused(capsys, "--text", text, "--resume", tmp_path / "absent")


def test_a_checkpoint_with_a_missing_part_is_refused(text, checkpoint, capsys):
    saved = tg.load(checkpoint)
    del saved["model"]["head.bias"]
    tg.save(saved, checkpoint)
    assert "head.bias" in refused(capsys, "--text", text, "--resume", checkpoint)


def test_an_option_that_contradicts_the_checkpoint_is_refused(text, checkpoint, capsys):
    message = refused(capsys, "--text", text, "--resume", checkpoint, "--hidden", 6)
    assert "--hidden 6" in message and "--hidden 5" in message
    assert "--steps" in refused(capsys, "--text", text, "--resume", checkpoint, "--steps", 13)
    assert "--hidden" in refused(capsys, "--text", text, "--resume", checkpoint, "--quick")
    assert main("--text", text, "--resume", checkpoint, "--hidden", 5) == 0


def test_another_text_is_refused(text, checkpoint, capsys):
    Path(text).write_text(Path(text).read_text(encoding="utf-8")[:-1] + "?", encoding="utf-8")
    assert "another text" in refused(capsys, "--text", text, "--resume", checkpoint)


@pytest.mark.parametrize("content", ["", "a", "abc" * 7])
def test_a_text_that_is_too_short_is_refused(tmp_path, capsys, content):
    path = tmp_path / "short"
    path.write_text(content, encoding="utf-8")
    message = refused(capsys, "--text", path, *TINY)
    assert f"{len(content) * 9 // 10} characters" in message and "--batch 3" in message


def test_the_shortest_text_is_learned(tmp_path, capsys):
    path = tmp_path / "short"
    path.write_text("abcd" * 10, encoding="utf-8")
    assert main("--text", path, *TINY, "--batch", 5, "--seq-len", 7) == 0


def test_a_checkpoint_without_a_folder_is_refused_before_training(text, tmp_path, capsys):
    assert "no folder" in refused(capsys, "--text", text, *TINY, "--checkpoint", tmp_path / "absent" / "x")


def test_a_failed_write_leaves_the_old_checkpoint(text, checkpoint, tmp_path, monkeypatch, capsys):
    def full(*args):
        raise OSError(28, "No space left on device")

    content = checkpoint.read_bytes()
    monkeypatch.setattr("os.replace", full)
    assert main("--text", text, *TINY, "--seed", 9, "--checkpoint", checkpoint) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert checkpoint.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint", "text"]


@pytest.mark.parametrize(
    "option", "--cell=tree --hidden=0 --lr=nan --clip=x --dropout=1 --temperature=0 --sample=-1 --x".split()
)
def test_a_bad_option_is_named(capsys, option):
    with pytest.raises(SystemExit) as stop:
        main(option)
    assert stop.value.code == 2
    assert option.partition("=")[0] in capsys.readouterr().err


# --- what is reported


def test_every_character_but_the_first_is_scored_once():
    tg.manual_seed(0)
    model = CharLM("gru", symbols=4, hidden=3, layers=1, dropout=0.5)
    numbers = random.Random(1).choices(range(4), k=2500)  # more than two pieces
    scores, _ = model.eval()(tg.tensor(numbers[:-1]).unsqueeze(1))
    logs = F.log_softmax(scores.squeeze(1).double(), -1).tolist()
    expected = -math.fsum(row[i] for row, i in zip(logs, numbers[1:])) / math.log(2) / 2499
    assert bits_per_character(model, numbers) == pytest.approx(expected, rel=1e-6)


def test_several_streams_are_scored_as_texts_of_their_own():
    model = CharLM("rnn", symbols=4, hidden=3, layers=1, dropout=0.0)
    numbers = random.Random(1).choices(range(4), k=61)
    pieces = [bits_per_character(model, numbers[20 * b : 20 * b + 21]) for b in range(3)]
    assert bits_per_character(model, numbers, streams=3) == pytest.approx(sum(pieces) / 3, rel=1e-6)


def test_the_reported_score_is_that_of_the_final_parameters(text, checkpoint, capsys):
    capsys.readouterr()
    main("--text", text, "--resume", checkpoint)
    score = float(re.findall(r"lstm +([\d.]+)", capsys.readouterr().out)[-1])
    corpus = char_lm.Corpus(char_lm.read(text))
    saved = tg.load(checkpoint)
    run = Run(saved["options"], corpus)
    run.model.load_state_dict(saved["model"])
    expected = bits_per_character(run.model, corpus.vocabulary.encode(corpus.test))
    assert score == pytest.approx(expected, abs=5e-4)


def test_a_sample_never_shows_the_unknown_symbol_and_follows_its_seed():
    vocabulary = char_lm.Corpus("ab\n" * 40).vocabulary
    model = CharLM("rnn", len(vocabulary), hidden=3, layers=1, dropout=0.0)
    with tg.no_grad():
        model.head.bias.copy_(tg.tensor([50.0, 0.0, 0.0, 0.0]))  # it would always be the unknown symbol
    texts = [sample(model, vocabulary, 60, 1.0, seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert set("".join(texts)) == set("ab\n")


def test_a_low_temperature_takes_the_likeliest():
    vocabulary = char_lm.Corpus("ab" * 40).vocabulary
    model = CharLM("rnn", len(vocabulary), hidden=3, layers=1, dropout=0.0)
    with tg.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(tg.tensor([0.0, 1.0, 2.0]))
    assert sample(model, vocabulary, 50, 0.01, seed=0) == "b" * 50


def test_a_little_training_beats_the_unigram(capsys):
    assert main("--quick", "--hidden", 64, "--steps", 60, "--sample", 0) == 0
    scores = re.findall(r"^ +(\S+) +([\d.]+)$", capsys.readouterr().out, re.MULTILINE)
    assert [name for name, _ in scores[-4:]] == ["unigram", "lstm", "3-gram", "5-gram"]

"""Where the text comes from: honest parts, no paragraph twice, clear errors."""

import pytest
from corpus import UNKNOWN, Corpus, Refused, Vocabulary, python_documentation, read


def test_the_parts_are_the_text():
    text = "".join(chr(65 + i % 50) for i in range(997))
    corpus = Corpus(text)
    assert corpus.train + corpus.validation + corpus.test == text
    assert [len(corpus.train), len(corpus.validation), len(corpus.test)] == [897, 50, 50]


def test_the_vocabulary_is_that_of_the_training_text():
    corpus = Corpus("ab" * 45 + "c" * 10)
    assert corpus.vocabulary.symbols == UNKNOWN + "ab"
    assert corpus.vocabulary.known(corpus.test) == UNKNOWN * 5


def test_encode_and_decode_are_inverse_on_known_text():
    text = "naïve 文字 ab\n"
    vocabulary = Vocabulary(text + UNKNOWN)
    assert vocabulary.decode(vocabulary.encode(text + UNKNOWN)) == text + UNKNOWN
    assert len(vocabulary) == len(set(text)) + 1


def test_no_paragraph_of_the_documentation_is_in_two_parts():
    corpus = Corpus(python_documentation())
    train = {" ".join(p.split()) for p in corpus.train.split("\n\n")}
    test = {" ".join(p.split()) for p in corpus.test.split("\n\n")}
    assert len(test) > 50
    assert not train & test


def test_a_byte_order_mark_is_not_text(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfh\xc3\xa9")
    assert read(str(path)) == "hé"


def test_a_file_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"ab\xff")
    with pytest.raises(Refused, match=r"text is not UTF-8: invalid start byte at byte 2"):
        read(str(path))
    with pytest.raises(Refused, match="No such file"):
        read(str(tmp_path / "absent"))
    with pytest.raises(Refused, match="directory"):
        read(str(tmp_path))


def test_without_the_documentation_a_text_has_to_be_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pydoc_data.topics", None)
    with pytest.raises(Refused, match="--text FILE"):
        read(None)

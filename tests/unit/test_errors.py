"""What a hint names: the word that was meant where one is near, and every known word where none is."""

from __future__ import annotations

import pytest

from harness.errors import nearest
from harness.faults.base import FAULTS


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("rat", ("rate", "direction"), "rate"),
        ("n9", ("n1", "n2", "n3"), "n3"),
        ("latncy", FAULTS.names(), "latency"),
        ("paus", FAULTS.names(), "pause"),
        ("stpo", FAULTS.names(), "stop"),
        ("resart", FAULTS.names(), "restart"),
        ("dealy", ("delay", "jitter", "direction"), "delay"),
    ],
)
def test_a_misspelled_word_finds_the_one_that_was_meant(word: str, known: tuple[str, ...], meant: str) -> None:
    assert nearest(word, known) == f"did you mean {meant!r}?"


@pytest.mark.parametrize("word", ["nope", "abc", "x"])
def test_a_word_that_resembles_none_finds_the_list(word: str) -> None:
    assert nearest(word, FAULTS.names()) == f"known: {', '.join(sorted(FAULTS.names()))}"


def test_where_nothing_is_known_nothing_is_said() -> None:
    assert nearest("nope", ()) == ""


def test_a_long_list_is_cut_and_says_how_much_more_there_is() -> None:
    names = [f"scenario-{number:03d}" for number in range(160)]
    said = nearest("zzz", names)
    assert said.startswith("known: scenario-000, ")
    assert said.endswith("scenario-059 and 100 more")
    assert nearest("x" * 300, names) == said

"""A finding about one message speaks of one."""

from __future__ import annotations

import pytest

from harness.checks import loss


@pytest.mark.parametrize("words", [words for _, words in loss._WORDS.values()])
def test_what_became_of_a_single_message_is_said_of_one(words: str) -> None:
    assert loss._said(words, 2) == words
    one = loss._said(words, 1)
    assert one.split()[0] in {"was", "is"}
    assert not {"were", "are", "their", "them"} & set(one.replace(",", "").split())

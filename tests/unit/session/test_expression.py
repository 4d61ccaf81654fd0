"""The expression of ``--where``: what it means, and how a mistake is reported."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from harness.session.expression import ExpressionError, Field, Value, parse

FIELDS = {
    "tag": Field(kind="words", known=frozenset({"gate", "slow"})),
    "scenario": Field(kind="words", known=frozenset({"kafka-cpu", "latency"})),
    "runtime": Field(kind="words", known=frozenset({"process", "docker"})),
    "nodes": Field(kind="number"),
    "duration": Field(kind="duration"),
    "canary": Field(kind="yes or no"),
}
PLAN: Mapping[str, Value] = {
    "tag": frozenset({"gate", "slow"}),
    "scenario": frozenset({"kafka-cpu"}),
    "runtime": frozenset({"process"}),
    "nodes": 3,
    "duration": 10 * 10**9,
    "canary": False,
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tag == gate", True),
        ("tag = 'slow'", True),
        ("tag != gate", False),
        ("not tag == gate", False),
        ("tag", True),
        ("canary", False),
        ("not canary", True),
        ("canary == no", True),
        ("nodes == 3", True),
        ("nodes>=3 and nodes<4", True),
        ("nodes in (1, 3)", True),
        ("nodes not in (1, 3)", False),
        ("nodes < 3 or duration <= 10s", True),
        ("duration > 10000ms", False),
        ("scenario == kafka-*", True),
        ('scenario in (latency, "kafka-cpu")', True),
        ("tag == gate or tag == slow and canary", True),
        ("(tag == gate or tag == slow) and canary", False),
        ("not (canary or nodes == 1)", True),
        ("not not tag == gate", True),
    ],
)
def test_what_an_expression_means(text: str, expected: bool) -> None:
    assert parse(text, FIELDS)(PLAN) is expected


@pytest.mark.parametrize(
    ("text", "column", "said", "hint"),
    [
        ("tog == gate", 1, "no field 'tog'", "did you mean 'tag'?"),
        ("nodes > 1 and tag == gat", 22, "no tag 'gat'", "did you mean 'gate'?"),
        ("tag < gate", 5, "tag has no order: it is compared with == or !=", ""),
        ("nodes == three", 10, "nodes: 'three' is not a number", ""),
        ("nodes == nan", 10, "nodes: 'nan' is not a number", ""),
        ("duration > 5", 12, "duration: '5' is not a duration", ""),
        ("canary == maybe", 11, "canary is yes or no, not 'maybe'", ""),
        ("(nodes == 3", 12, "expected ')', found the end of the expression", ""),
        ("nodes == 3 tag", 12, "expected 'and', 'or' or the end, found 'tag'", ""),
        ("nodes ==", 9, "expected a value, found the end of the expression", ""),
        ("and nodes", 1, "expected the name of a field, found 'and'", ""),
        ("", 1, "expected the name of a field, found the end of the expression", ""),
        ("tag == 'gate", 8, "a quotation mark that is not closed cannot stand here", ""),
        ("nodes in ()", 11, "expected a value, found ')'", ""),
        ("not " * 60 + "canary", 201, "nested deeper than 50 levels", ""),
        ("__import__('os')", 1, "no field '__import__'", "known: "),
    ],
)
def test_a_mistake_is_reported_with_its_column(text: str, column: int, said: str, hint: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, FIELDS)
    assert caught.value.message.startswith(said)
    assert caught.value.column == column
    assert caught.value.hint.startswith(hint)

"""Validation is bounded: what would take minutes is refused, with its place, or is fast. Counted, not timed."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from support import scenario_vocabulary as words

from harness.errors import Location, ScenarioError
from harness.scenario import conflicts
from harness.scenario.document import SIGNS_MAX, TEXT_CHARS_MAX
from harness.scenario.entry import Words
from harness.scenario.expand import variants
from harness.scenario.load import load_text, read_text
from harness.scenario.matrix import PLANNED_MAX
from harness.scenario.reader import PROBLEMS_MAX
from harness.scenario.tree import Mapping, Scalar

HEAD = "version: 1\ntitle: x\nbroker: nats-2\nexpect: {loss: {}}\nworkload: {duration: 10h}\n"


def refused(text: str) -> ScenarioError:
    with pytest.raises(ScenarioError) as caught:
        variants(load_text(text, "long.yaml", words.vocabulary()))
    assert all(problem.location.line > 0 and problem.location.column > 0 for problem in caught.value.problems)
    return caught.value


def faults(*entries: str) -> str:
    return f"faults: [{', '.join(entries)}]\n"


def test_many_faults_at_once_are_told_up_to_a_bound() -> None:
    error = refused(HEAD + faults(*["{kill: {}, on: {node: n1}, at: 1s, for: 500ms}"] * 100))
    assert len(error.problems) == PROBLEMS_MAX + 1
    assert error.problems[0].message.startswith("kill-2 overlaps kill-1")
    assert f"more than {PROBLEMS_MAX} problems" in error.problems[-1].message


def test_faults_that_follow_each_other_are_not_compared_pair_by_pair() -> None:
    each = [f"{{kill: {{}}, on: {{node: n1}}, at: {at}s, for: 500ms}}" for at in range(60)]
    (variant,) = variants(load_text(HEAD + faults(*each), "long.yaml", words.vocabulary()))
    nowhere = Scalar(Location("long.yaml", 1, 1), "null", "", None)
    found = [(fault, Words(fault.id, nowhere, nowhere, Mapping(nowhere.at))) for fault in variant.faults]
    assert len(found) == 60
    assert list(conflicts._meeting(found)) == []
    longer = replace(variant.faults[0], until_ns=variant.faults[2].at_ns + 1)
    assert [second.id for _, (second, _) in conflicts._meeting([(longer, found[0][1]), *found[1:]])] == [
        "kill-2",
        "kill-3",
    ]


def test_the_first_of_two_that_overlap_is_found_behind_a_longer_one() -> None:
    entries = ["{kill: {}, id: long, on: {node: n1}, at: 1s, for: 90s}"]
    entries += [f"{{kill: {{}}, id: k{at}, on: {{node: n1}}, at: {at}s, for: 500ms}}" for at in (3, 5, 95)]
    error = refused(HEAD + faults(*reversed(entries)))
    assert [problem.message.split(" from ")[0] for problem in error.problems] == [
        "long overlaps k3 on n1",
        "long overlaps k5 on n1",
    ]


def test_a_long_circle_of_waits_is_told_in_short() -> None:
    entry = "{{kill: {{}}, id: k{0}, on: {{node: n1}}, when: {{after: k{1}, within: 500s}}, for: 1s}}"
    error = refused(HEAD + faults(*(entry.format(at, (at + 1) % 40) for at in range(40))))
    said = [problem.message for problem in error.problems if "wait for itself" in problem.message]
    assert said == ["a fault cannot wait for itself: k0 after k1 … after k0, 40 faults"]


def test_a_thousand_waits_are_refused_where_they_are_too_many() -> None:
    entry = "{{kill: {{}}, id: k{0}, on: {{node: n1}}, when: {{after: k{1}, within: 500s}}, for: 1s}}"
    (problem,) = refused(HEAD + faults(*(entry.format(at, at - 1) for at in range(1000)))).problems
    assert problem.location.line == 6
    assert str(SIGNS_MAX) in problem.message


def test_a_matrix_of_many_faults_is_refused() -> None:
    each = [f"{{kill: {{}}, on: {{node: n1}}, at: {at}s, for: 500ms}}" for at in range(30)]
    seeds = ", ".join(map(str, range(300)))
    (problem,) = refused(HEAD + faults(*each) + f"matrix: {{seed: [{seeds}]}}\n").problems
    assert problem.location.line == 7
    assert problem.message == f"the matrix has 300 variants of 30 faults: 9000, more than {PLANNED_MAX}"


def test_a_long_text_and_a_long_word_are_refused() -> None:
    assert "characters" in refused(HEAD + "#" * TEXT_CHARS_MAX).problems[0].message
    assert refused(HEAD + f"? {'k' * 50_000}\n: 1\n").problems[0].message.startswith("unknown key 'kkk")


@pytest.mark.parametrize("kind", ["a named pipe", "a device"])
def test_special_files_are_refused_without_being_waited_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "special.yaml"
    if kind == "a named pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ScenarioError, match=f"special.yaml:1:1: cannot read the scenario: it is {kind}"):
        read_text(path)


@pytest.mark.parametrize("deep", ["[" * 3000, "[" * 3000 + "]" * 3000, "{a: " * 3000, "- " * 3000])
def test_brackets_without_end_are_refused_at_their_place_before_they_are_counted(deep: str) -> None:
    """The scanner takes the square of their number."""
    began = time.process_time_ns()
    with pytest.raises(ScenarioError, match="nested deeper than 40 levels") as refused:
        load_text(f"version: 1\nwhy:\n  {deep}\n", "deep.yaml", words.vocabulary())
    (problem,) = refused.value.problems
    assert problem.location.line == 3
    assert 40 <= problem.location.column <= 200
    assert time.process_time_ns() - began < 10**9

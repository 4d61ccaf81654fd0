"""Suites survive JSON exactly, and one that contradicts itself is refused: no edit makes a red suite green."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support import suite_samples as samples
from support.suite_shards import split

from harness.errors import ExitCode, UsageError
from harness.report.suite_json import contradictions, from_json, schema, to_json
from harness.suite_result import SUITE_VERSION, SuiteEntry, SuiteResult, plan_digest, race_decided, suite_code
from harness.suites.merge import Part, merge
from harness.verdict import Verdict


def _put(result: SuiteResult, index: int, entry: SuiteEntry) -> SuiteResult:
    return replace(result, entries=(*result.entries[:index], entry, *result.entries[index + 1 :]))


@pytest.mark.parametrize("make", samples.ALL, ids=lambda make: make.__name__)
def test_samples_survive_json_and_match_the_schema(make: Callable[[], SuiteResult]) -> None:
    text = to_json(make())
    assert from_json(text) == make()
    jsonschema.validate(json.loads(text), schema())
    assert text.isascii()


def test_the_schema_is_valid_and_demands_what_has_no_default() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    content = json.loads(to_json(samples.red()))
    del content["entries"][0]["digest"]
    with pytest.raises(jsonschema.ValidationError, match="'digest' is a required property"):
        jsonschema.validate(content, schema())


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["entries"][0].update(state="done"),
        lambda content: content["entries"][3].update(attempts=[3]),
        lambda content: content["entries"][3].update(attempts=[3, 2, 1]),
        lambda content: content["entries"][2]["made_again"].update(cause="short of CPU"),
        lambda content: content["entries"][0]["expected"].update(source="guessed"),
        lambda content: content.update(version=2),
    ],
)
def test_what_the_reader_refuses_the_schema_refuses_too(change: Callable[[dict[str, Any]], object]) -> None:
    content = json.loads(to_json(samples.green()))
    change(content)
    with pytest.raises(UsageError, match=r"^(suite\.entries\[\d\]\.\w+|the suite has version)"):
        from_json(json.dumps(content))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, schema())


@pytest.mark.parametrize("version", [SUITE_VERSION + 1, None, "1", True, 0])
def test_an_unknown_version_is_refused_before_anything_else(version: object) -> None:
    with pytest.raises(UsageError, match=rf"version {version!r}; this release reads version {SUITE_VERSION}"):
        from_json(json.dumps({"version": version}))


def test_a_field_of_a_later_release_is_ignored() -> None:
    content = json.loads(to_json(samples.green())) | {"novelty": {"a": 1}}
    assert from_json(json.dumps(content)) == samples.green()


def test_a_field_given_twice_is_refused() -> None:
    text = to_json(samples.red()).replace('"exit_code": 1,\n "cores"', '"exit_code": 1,\n "exit_code": 0,\n "cores"')
    with pytest.raises(UsageError, match="names 'exit_code' twice"):
        from_json(text)


def test_a_merged_suite_hides_no_exit_code_of_what_it_was_merged_from() -> None:
    first, second = split(samples.green(), 2)
    merged = merge([Part(folder=Path(), suite=one) for one in (replace(first, exit_code=1), second)], Path()).suite
    assert from_json(to_json(merged)) == merged
    innocent = tuple(replace(part, own_exit_code=0) for part in merged.parts)
    for edited in (replace(merged, exit_code=0), replace(merged, parts=innocent)):
        with pytest.raises(UsageError, match="which its runs and the results that it was merged from give"):
            from_json(to_json(edited))


def test_repetitions_have_one_plan_and_the_same_attempts() -> None:
    runs = [
        samples.entry("latency", Verdict.FAIL if number == 1 else Verdict.PASS, repetition=number) for number in (1, 2)
    ]
    race = [replace(runs[0], attempts=(2, 1)), runs[1]]
    with pytest.raises(UsageError, match="another repetition of it has another plan or other attempts"):
        from_json(to_json(samples.suite(race)))


def _edits(result: SuiteResult) -> Iterator[tuple[str, SuiteResult]]:
    """Yield a red suite after each small edit that could make it look green."""
    for index, entry in enumerate(result.entries):
        rest = (*result.entries[:index], *result.entries[index + 1 :])
        yield f"{entry.key} removed", replace(result, entries=rest)
        for other in result.entries:
            if other.exit_code == ExitCode.PASS and other is not entry:
                copy = replace(other, key=entry.key, repetition=entry.repetition)
                yield f"{entry.key} replaced", _put(result, index, copy)
        for field, values in _VALUES.items():
            for value in values:
                yield f"{entry.key}.{field}={value!r}", _put(result, index, replace(entry, **{field: value}))


_VALUES: dict[str, tuple[Any, ...]] = {
    "state": ("ended", "not needed", "missing"),
    "exit_code": (0, None),
    "outcome": (Verdict.PASS, None),
    "verdict": (Verdict.PASS, Verdict.FAIL, None),
    "failed": ((), ("loss",), ("stall",)),
    "must_fail": ((), ("loss",), ("stall",)),
    "blocking": ((),),
    "attempts": ((1, 1), (2, 1)),
    "reason": ("", "not needed"),
    "digest": ("",),
    "repetition": (0, 2),
    "key": ("", "x#1"),
}


def _reds() -> Iterator[SuiteResult]:
    """Yield suites that are red by one entry alone, each by another cause."""
    good = samples.entry("latency")
    for bad in samples.red().entries[1:]:
        yield samples.suite([good, bad])


@pytest.mark.parametrize("result", list(_reds()), ids=lambda result: result.entries[1].scenario)
def test_no_single_edit_and_exit_code_0_makes_a_red_suite_green(result: SuiteResult) -> None:
    edits = dict(_edits(result)) | {"nothing": result}
    assert len(edits) > 40
    for name, edited in edits.items():
        for complete in (True, False):
            green = replace(edited, exit_code=0, complete=complete)
            with pytest.raises(UsageError, match="contradicts itself"):
                from_json(to_json(green))
                pytest.fail(f"accepted as green: {name}")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (replace(samples.red(), complete=True), r"complete is true, with 1 missing runs"),
        (replace(samples.green(), complete=False), r"complete is false, with 0 missing runs"),
        (replace(samples.red(), exit_code=6), r"exit code 6 hides 1"),
        (replace(samples.green(), exit_code=4), r"exit code 4 hides 0"),
        (replace(samples.red(), entries=samples.red().entries[:-1]), r"one was added, removed or changed"),
        (replace(samples.green(), entries=samples.green().entries * 2), r"^key '.*latency.*' occurs 2 times"),
        (replace(samples.green(), shard="5/4", cost_digest="ab"), r"'5/4' is no shard"),
        (replace(samples.green(), shard="1/4"), r"by which costs"),
        (replace(samples.empty(), shard=""), r"exit code 0 hides 5"),
        (replace(samples.shard(), planned=()), r"does not list the runs of the whole suite"),
        (
            replace(samples.shard(), planned=samples.shard().planned[:1]),
            r"planned runs are not those of the plan digest",
        ),
        (replace(samples.shard(), entries=(), exit_code=0), r"planned run .*latency.yaml@auto#1 has no entry"),
        (replace(samples.shard(), shard="3/4"), r"latency.yaml@auto#1: it is no run of shard 3/4"),
        (
            _put(samples.shard(), 0, replace(samples.shard().entries[0], digest="ab")),
            r"its plan is not the one that was planned",
        ),
    ],
)
def test_a_contradiction_is_named(result: SuiteResult, said: str) -> None:
    with pytest.raises(UsageError, match=said.removeprefix("^")):
        from_json(to_json(result))
    assert any(re.search(said, one) for one in contradictions(result))


def test_one_execution_does_not_count_for_two_places() -> None:
    first, second = samples.entry("a"), samples.entry("b")
    stolen = replace(second, run_id=first.run_id, run_dir=first.run_dir)
    assert any("occurs 2 times" in one for one in contradictions(samples.suite([first, stolen])))
    again = replace(samples.again("a"), run_id=first.run_id)
    assert any("occurs 2 times" in one for one in contradictions(samples.suite([replace(first, made_again=again)])))


def test_a_more_severe_exit_code_than_that_of_the_runs_is_believed() -> None:
    worse = replace(samples.green(), exit_code=int(ExitCode.VIOLATED))
    assert from_json(to_json(worse)).exit_code == ExitCode.VIOLATED


def test_the_digest_of_plans_does_not_depend_on_their_order_and_sees_every_change() -> None:
    plans = [("a#1", "d1"), ("b#1", "d2")]
    assert plan_digest(plans) == plan_digest(reversed(plans))
    others = [plans[:1], [("a#1", "d2"), ("b#1", "d1")], [("a#2", "d1"), plans[1]], [*plans, plans[0]]]
    assert len({plan_digest(one) for one in (plans, *others)}) == 5


def _race(codes: str) -> list[SuiteEntry]:
    """Return a race of three of which two must pass: p passed, f failed, ? inconclusive, - missing, n not needed."""
    entries = []
    for number, code in enumerate(codes, 1):
        if code in "-n":
            state = "missing" if code == "-" else "not needed"
            entries.append(samples.not_run("r", "why", repetition=number, attempts=(3, 2), state=state))
        else:
            verdict = {"p": Verdict.PASS, "f": Verdict.FAIL, "?": Verdict.INCONCLUSIVE}[code]
            entries.append(samples.entry("r", verdict, repetition=number, attempts=(3, 2)))
    return entries


@pytest.mark.parametrize(
    ("codes", "decided", "whole"),
    [
        ("ppn", 0, 0),
        ("pfp", 0, 0),
        ("ppf", 0, 0),
        ("ffn", 1, 1),
        ("fpf", 1, 1),
        ("pf-", None, 2),
        ("---", None, 2),
        ("pp-", 0, 2),
        ("ff-", 1, 1),
        ("p?p", 0, 6),
        ("??f", 1, 6),
        ("pfn", None, 3),
    ],
)
def test_the_runs_of_a_race_count_together(codes: str, decided: int | None, whole: int) -> None:
    race = _race(codes)
    assert race_decided(race) == decided
    assert suite_code(race) == whole
    believed = not contradictions(samples.suite(race))
    assert believed == (codes != "pfn"), "undecided, and yet one is said not to be needed"


def test_a_run_that_ended_without_an_exit_code_is_an_internal_error() -> None:
    assert suite_code([replace(samples.entry("a"), exit_code=None)]) == ExitCode.INTERNAL
    assert suite_code([]) == ExitCode.NOTHING_SELECTED
    with pytest.raises(ValueError, match="is no race"):
        race_decided([samples.entry("a")])

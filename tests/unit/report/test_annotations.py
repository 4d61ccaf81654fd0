"""What did not pass is annotated at its line, written as GitHub demands, the most severe first, ten of a level."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import report_samples
from support import suite_samples as samples

from harness.errors import Location
from harness.report.annotations import LEVEL_MAX, Annotation, annotate, github_commands
from harness.report.suite_of_runs import suite_of
from harness.result import RunResult
from harness.suite_result import SuiteEntry, SuiteResult
from harness.verdict import Verdict


def _locate(file: str, path: str) -> Location:
    """Return the path as the name of the file, so that tests see it."""
    return Location(f"{file}|{path}", 7, 3)


def _unread(_: SuiteEntry) -> str:
    return "its result cannot be read"


def _of_runs(runs: Sequence[RunResult]) -> tuple[Annotation, ...]:
    found = {run.run_id: run for run in runs}
    return annotate(suite_of(runs, 1), lambda entry: found[entry.run_id], _locate)


def test_a_violated_limit_is_annotated_at_its_line_with_value_finding_and_command() -> None:
    run = report_samples.failing()
    found = _of_runs([run])
    assert [(one.level, one.at.file) for one in found] == [
        ("error", f"{run.file}|expect.loss.messages_max"),
        ("error", f"{run.file}|expect.stall.pause_max"),
    ]
    assert found[0].title == "leader-kill [broker=nats-2, replicas=3]: loss is violated"
    lines = found[0].message.splitlines()
    assert lines[0] == "messages_max: measured 3, limit ≤ 0"
    assert lines[1].startswith("key 17 seq 204, acknowledged at offset 9204, is nowhere")
    assert lines[-1] == f"reproduce: {run.reproduce}"


def test_an_unproven_fault_is_annotated_at_its_entry() -> None:
    run = report_samples.inconclusive()
    unproven = next(fault for fault in run.faults if not fault.proven)
    (one,) = (one for one in _of_runs([run]) if "faults." in one.at.file)
    assert one.level == "warning"
    assert one.at.file == f"{run.file}|faults.{unproven.id}"
    assert "is not proven" in one.title
    assert "required" in one.message


@pytest.mark.parametrize(
    ("make", "level", "path"),
    [(report_samples.unfit, "error", ""), (report_samples.broken_canary, "error", "expect.stall.pause_max")],
)
def test_every_red_run_is_annotated(make: Callable[[], RunResult], level: str, path: str) -> None:
    run = make()
    (one,) = _of_runs([run])
    assert (one.level, one.at.file) == (level, f"{run.file}|{path}")


def test_a_canary_that_passed_is_annotated_where_it_says_what_must_fail() -> None:
    run = report_samples.canary()
    checks = tuple(replace(check, verdict=Verdict.PASS) for check in run.checks)
    passed = replace(run, checks=checks, verdict=Verdict.PASS, outcome=Verdict.FAIL, exit_code=1)
    (one,) = _of_runs([passed])
    assert one.at.file == f"{run.file}|must_fail"
    assert "did not fail as expected" in one.message


def test_nothing_is_said_of_what_passed() -> None:
    assert _of_runs([report_samples.passing(), report_samples.canary()]) == ()


def test_a_run_that_cannot_be_read_is_annotated_with_what_the_suite_knows() -> None:
    found = annotate(samples.red(), _unread, _locate)
    assert [(one.level, one.title) for one in found] == [
        ("error", "leader-kill: fail"),
        ("error", "fsync-never: fail"),
        ("error", "disk-full: environment error"),
        ("error", "1 run is missing"),
        ("warning", "partition: inconclusive"),
        ("notice", "partition was made again"),
    ]
    assert found[0].at.file == "scenarios/gate/leader-kill.yaml|expect.stall"
    assert "the deadline of the suite, 3m, had passed" in found[3].message
    assert "too few round trips" in found[5].message


def test_a_regression_is_annotated_at_its_check() -> None:
    (one,) = annotate(samples.regressed(), _unread, _locate)
    assert (one.level, one.at.file) == ("error", "scenarios/gate/latency.yaml|expect.latency")
    assert one.title == "latency (process): latency regressed"
    assert "p99 720ms; before: median 310ms" in one.message


def test_ten_of_a_level_at_most_the_most_severe_first_and_the_rest_counted() -> None:
    entries = [samples.entry(f"i{n}", Verdict.INCONCLUSIVE, began_ns=n) for n in range(30)]
    entries += [samples.entry(f"f{n}", Verdict.FAIL, began_ns=100 + n) for n in range(LEVEL_MAX)]
    found = annotate(samples.suite(entries), _unread, _locate)
    assert [one.level for one in found] == ["error"] * LEVEL_MAX + ["warning"] * LEVEL_MAX
    assert [one.title for one in found[:2]] == ["f0: fail", "f1: fail"]
    assert found[LEVEL_MAX - 1].title == f"f{LEVEL_MAX - 1}: fail"  # ten fit: none is left out
    assert found[-1].title == "21 more"


def test_a_command_is_escaped_exactly_as_github_does() -> None:
    one = Annotation("error", Location("a,b:c%.yaml", 4, 2), "50% of it: now, or\nnever", "100%\nsecond: line, end")
    (line,) = github_commands([one])
    assert line == (
        "::error file=a%2Cb%3Ac%25.yaml,line=4,col=2,title=50%25 of it%3A now%2C or never::100%25%0Asecond: line, end"
    )


@given(text=st.text(st.characters(), max_size=40))
def test_no_text_can_end_a_command_or_begin_another(text: str) -> None:
    one = Annotation("warning", Location(text or "x", 1, 1), text, f"::error::{text}\n::error::{text}")
    (line,) = github_commands([one])
    assert len(line.splitlines()) == 1
    found = re.fullmatch(r"::warning file=([^,:]*),line=1,col=1,title=([^,:]*)::(.*)", line)
    assert found is not None
    assert not re.search(r"%(?!25|0D|0A|2C|3A)", line)


def test_hostile_texts_cannot_steer_the_log() -> None:
    evil = "\x1b[2J\r\n::set-output name=x::y\u202e"
    entry = replace(
        samples.entry("x", Verdict.FAIL), scenario=evil, file=evil, headline=evil, reproduce=evil, failed=(evil,)
    )
    result: SuiteResult = samples.suite([entry, samples.not_run("y", evil)])
    lines = github_commands(annotate(result, _unread, _locate))
    assert all(line.startswith(("::error file=", "::warning file=", "::notice file=")) for line in lines)
    assert not any(set(line) & set("\x1b\r\n\u202e") for line in lines)

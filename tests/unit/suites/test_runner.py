"""Suites of real processes in which a fake broker runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from support.memory_suite import MemorySuite, cost, selected

from harness.clock import NS_PER_S
from harness.engine.isolation import Isolation, Networks
from harness.errors import ExitCode, UnfitEnvironmentError
from harness.progress import Note, SuiteRunEnded, SuiteRunPhase, SuiteRunStarted
from harness.report.files import TWINS_FILE
from harness.report.suite_json import SUITE_FILE, from_json
from harness.runtime.kernel import own_network
from harness.verdict import Verdict


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemorySuite:
    """Return a suite whose leases lie in a directory of the test's own."""
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    return MemorySuite(tmp_path / "reports")


def test_runs_go_on_side_by_side_and_count_together(suite: MemorySuite) -> None:
    result = suite.run([selected("one"), selected("two"), selected("bad", "loses")])
    assert [(entry.scenario, entry.exit_code) for entry in result.entries] == [("one", 0), ("two", 0), ("bad", 1)]
    assert result.exit_code == ExitCode.VIOLATED
    assert result.complete
    assert all((suite.folder.path / entry.run_dir / "report.html").exists() for entry in result.entries)
    assert [entry.verdict for entry in result.entries] == [Verdict.PASS, Verdict.PASS, Verdict.FAIL]
    assert from_json((suite.folder.path / SUITE_FILE).read_text(encoding="utf-8")) == result
    assert not list(suite.folder.logs.iterdir())


def test_a_process_that_is_killed_gives_an_entry_that_says_so(suite: MemorySuite) -> None:
    result = suite.run([selected("dead", "dies"), selected("one")])
    dead, one = result.entries
    assert (dead.state, dead.exit_code) == ("missing", ExitCode.ENVIRONMENT)
    assert "was killed (SIGKILL)" in dead.reason
    assert (suite.folder.path / dead.run_dir / "plan.json").exists()
    assert (one.state, one.exit_code) == ("ended", ExitCode.PASS)
    assert (result.exit_code, result.complete) == (ExitCode.ENVIRONMENT, False)
    assert list((suite.folder.path.parents[1] / "state" / "runs").iterdir()) == []


def test_after_the_first_failure_nothing_begins(suite: MemorySuite) -> None:
    suite.costs.by_name = {"bad": cost(wall_ns=9 * NS_PER_S)}
    result = suite.run([selected("one"), selected("bad", "loses")], cores=0.5, fail_fast=True)
    one, bad = result.entries
    assert bad.exit_code == ExitCode.VIOLATED
    assert (one.state, one.reason) == ("missing", "the suite ended at the first failure: bad")
    assert (result.exit_code, result.complete) == (ExitCode.VIOLATED, False)


def test_a_suite_until_a_fail_goes_on_until_its_rounds_are_used_up(suite: MemorySuite) -> None:
    result = suite.run([selected("one")], rounds=3)
    assert [entry.repetition for entry in result.entries] == [1, 2, 3]
    assert (result.exit_code, result.complete) == (ExitCode.PASS, True)


def test_a_suite_until_a_fail_ends_with_it(suite: MemorySuite) -> None:
    result = suite.run([selected("bad", "loses")], cores=0.5, rounds=3)
    assert [entry.exit_code for entry in result.entries] == [ExitCode.VIOLATED]
    assert result.complete


def test_nothing_begins_that_would_end_after_the_deadline(suite: MemorySuite) -> None:
    suite.costs.by_name = {"long": cost(wall_ns=10**6 * NS_PER_S)}
    result = suite.run([selected("one"), selected("long")], deadline_ns=10**4 * NS_PER_S)
    one, late = result.entries
    assert one.exit_code == ExitCode.PASS
    assert (late.state, late.reason) == ("missing", "the deadline came first")
    assert result.exit_code == ExitCode.INCONCLUSIVE
    assert not any(isinstance(event, SuiteRunStarted) and event.label == "long" for event in suite.heard)


@pytest.mark.parametrize(
    ("tag", "states", "code"),
    [("good", ["ended", "not needed", "not needed"], 0), ("loses", ["ended", "ended", "not needed"], 1)],
)
def test_a_race_ends_once_it_is_decided(suite: MemorySuite, tag: str, states: list[str], code: int) -> None:
    at_least = 1 if tag == "good" else 2
    race = selected("race", tag, more=f"attempts: {{runs: 3, at_least: {at_least}}}")
    result = suite.run([race], cores=0.5)
    assert [entry.state for entry in result.entries] == states
    assert (result.exit_code, result.complete) == (code, True)


def test_one_cluster_starts_at_a_time(suite: MemorySuite) -> None:
    suite.run([selected(f"s{number}") for number in range(4)], cores=4.0)
    starting: set[str] = set()
    for event in suite.heard:
        if isinstance(event, SuiteRunPhase) and event.phase == "fetch":
            starting.add(event.key)
        elif isinstance(event, SuiteRunPhase) and event.phase == "warmup":
            starting.discard(event.key)
        assert len(starting) <= 1


def test_runs_whose_costs_do_not_fit_together_wait(suite: MemorySuite) -> None:
    suite.costs.by_name = {name: cost(cores=0.9) for name in ("one", "two")}
    result = suite.run([selected("one"), selected("two")])
    one, two = sorted(result.entries, key=lambda entry: entry.began_ns or 0)
    assert one.began_ns is not None
    assert two.began_ns is not None
    assert one.began_ns + one.wall_ns <= two.began_ns
    assert result.waited_ns > 0


def test_what_is_made_again_runs_once_more_alone_after_all_others(suite: MemorySuite) -> None:
    result = suite.run([selected("late", title="late"), selected("one"), selected("two")], cores=4.0)
    late, *others = result.entries
    assert late.made_again is not None
    assert (late.made_again.cause, late.made_again.detail) == ("late ticks", "the monitor ticked late")
    assert late.made_again.run_id != late.run_id
    assert (suite.folder.path / late.made_again.run_dir / "result.json").exists()
    assert late.neighbours_max == 0
    assert late.began_ns is not None
    assert all((entry.began_ns or 0) + entry.wall_ns <= late.began_ns for entry in others)
    begun = [event.again for event in suite.heard if isinstance(event, SuiteRunStarted) and event.label == "late"]
    assert begun == ["", "late ticks"]
    assert (result.exit_code, result.complete) == (ExitCode.PASS, True)


def test_every_event_of_a_run_that_was_made_again_says_how_it_ended(suite: MemorySuite) -> None:
    suite.run([selected("late", title="late")])
    ended = [event for event in suite.heard if isinstance(event, SuiteRunEnded)]
    assert [(event.again, event.entry.state) for event in ended] == [("late ticks", "ended"), ("", "ended")]


def test_the_page_of_a_canary_shows_its_twin_once_both_have_ended(suite: MemorySuite) -> None:
    canary = selected("lossy", "loses", more="must_fail: [loss, log]")
    result = suite.run([canary, selected("lossy-twin"), selected("one")])
    shown, twin, one = result.entries
    assert (shown.verdict, shown.outcome, result.exit_code) == (Verdict.FAIL, Verdict.PASS, ExitCode.PASS)
    runs = suite.folder.path
    beside = json.loads((runs / shown.run_dir / TWINS_FILE).read_text(encoding="utf-8"))
    assert beside == {"runs": [f"../{Path(twin.run_dir).name}"]}
    assert "lossy-twin" in (runs / shown.run_dir / "report.html").read_text(encoding="utf-8")
    assert not any((runs / other.run_dir / TWINS_FILE).exists() for other in (twin, one))


def test_the_process_of_a_run_refuses_another_plan_than_was_chosen(suite: MemorySuite) -> None:
    one = selected("one")
    other = dataclasses.replace(one, plan=dataclasses.replace(one.plan, digest="0" * 64))
    (entry,) = suite.run([other]).entries
    assert (entry.state, entry.exit_code) == ("missing", ExitCode.ENVIRONMENT)
    assert entry.reason == "one.yaml gives another plan in the process of its run"
    assert list(suite.folder.runs.iterdir()) == []


def test_every_run_of_a_suite_is_isolated_in_its_own_process_where_this_machine_can(suite: MemorySuite) -> None:
    suite.isolation = Isolation("auto")
    own = Path("/proc/self/ns/net").readlink()
    result = suite.run([selected("one"), selected("two")])
    found = [json.loads((suite.folder.path / entry.run_dir / "result.json").read_text()) for entry in result.entries]
    why = own_network.why_not()
    assert [run["isolated"] for run in found] == [not why] * 2
    told = [event.text for event in suite.heard if isinstance(event, Note) and event.text.startswith("not isolated")]
    assert len(told) == bool(why), "what holds for the machine is said once"
    assert Path("/proc/self/ns/net").readlink() == own


def test_a_suite_that_must_be_isolated_and_cannot_begins_nothing(suite: MemorySuite) -> None:
    suite.isolation = Isolation("always", Networks(why_not=lambda: "no such right"))
    with pytest.raises(UnfitEnvironmentError, match="no such right"):
        suite.run([selected("one")])
    assert not list(suite.folder.runs.glob("*"))


def test_a_run_that_must_be_isolated_and_cannot_at_the_last_moment_refuses(
    suite: MemorySuite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What held for the suite may not hold for the process of a run, which is not isolated in silence then."""
    suite.isolation = Isolation("always", Networks(why_not=lambda: ""))
    monkeypatch.setenv("HARNESS_TEST_NO_NETWORK", "1")
    (entry,) = suite.run([selected("one")]).entries
    assert entry.exit_code == ExitCode.ENVIRONMENT
    assert "--isolate always: this machine gives a run no network of its own" in entry.reason + entry.headline

"""JUnit XML: valid whatever the content, and red exactly when the outcome is."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import report_samples as samples
from support.junit_page import parse_junit, states_of

from harness.report.junit import TRUST_CASE, to_junit
from harness.result import RunResult
from harness.verdict import Verdict


def _parse(*results: RunResult) -> ET.Element:
    return parse_junit(to_junit(results))


@pytest.mark.parametrize("make", samples.ALL, ids=lambda make: make.__name__)
def test_it_is_red_exactly_when_the_outcome_is(make: Callable[[], RunResult]) -> None:
    result = make()
    states = set(states_of(_parse(result)).values()) - {"", "skipped"}
    worst = "failure" if "failure" in states else "error" if "error" in states else ""
    assert worst == {Verdict.FAIL: "failure", Verdict.INCONCLUSIVE: "error", Verdict.PASS: ""}[result.outcome]


def test_a_failing_run_tells_checks_findings_and_how_to_reproduce() -> None:
    root = _parse(samples.failing())
    states = states_of(root)
    assert states["loss"] == states["stall"] == "failure"
    assert states["order"] == states[TRUST_CASE] == ""
    assert states["recovery"] == "skipped"
    failure = next(root.iter("failure"))
    assert failure.get("message") == "messages_max: measured 3, limit ≤ 0"
    assert failure.text is not None
    for told in ("key 17  seq 204  partition 4  offset 9204", "+11.702s", "kill-1", "reproduce: harness run"):
        assert told in failure.text
    properties = {one.get("name"): one.get("value") for one in root.iter("property")}
    assert properties["seed"] == "1729"
    assert properties["digest"] == samples.failing().digest
    assert properties["version.nats-server"] == "2.15.2"
    assert properties["reproduce"] == samples.failing().reproduce


def test_a_canary_is_inverted_by_its_outcome() -> None:
    assert states_of(_parse(samples.canary()))["loss"] == ""
    broken = states_of(_parse(samples.broken_canary()))
    assert broken["loss"] == "failure"
    assert broken["stall"] == "failure"


def test_what_blocks_the_verdict_is_an_error_of_trust() -> None:
    root = _parse(samples.inconclusive())
    assert states_of(root)[TRUST_CASE] == "error"
    assert states_of(root)["recovery"] == "error"
    error = next(root.iter("error"))
    assert "latency-1 has no evidence of its effect" in error.get("message", "")


def test_an_environment_error_is_an_error_that_says_why() -> None:
    root = _parse(samples.unfit())
    assert states_of(root) == {TRUST_CASE: "error"}
    assert "n3 did not become ready" in next(root.iter("error")).get("message", "")


def test_a_failure_that_no_check_tells_is_told_by_the_run() -> None:
    result = replace(samples.passing(), outcome=Verdict.FAIL, headline="fail: something else")
    assert states_of(_parse(result))[TRUST_CASE] == "failure"


def test_runs_of_one_file_share_a_suite_and_repeats_keep_their_names_apart() -> None:
    again = replace(samples.failing(), run_id="second")
    root = _parse(samples.failing(), samples.passing(), again)
    assert [suite.get("name") for suite in root] == [samples.failing().file, samples.passing().file]
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(names) == len(set(names))
    assert "second/seed" in {one.get("name") for one in root.iter("property")}


def test_no_results_are_a_valid_document() -> None:
    assert _parse().get("tests") == "0"


@given(text=st.text(st.characters(), max_size=30))
def test_any_text_gives_valid_xml(text: str) -> None:
    result = samples.failing()
    finding = replace(result.checks[0].findings[0], message=text, type=text)
    check = replace(result.checks[0], check=text, findings=(finding,), examined_unit=text, limits=())
    _parse(replace(result, checks=(check,), error=text, file=text, reproduce=text, variant={text: text}, run_id=text))


def test_a_check_that_was_only_measured_says_what() -> None:
    result = samples.passing()
    latency = replace(result.checks[3], expected=False, limits=(), measures={"p50_ns": 2_000_000, "longest_ns": 10**9})
    phantoms = replace(result.checks[0], check="phantoms", expected=False)
    root = _parse(replace(result, checks=(*result.checks[:3], latency, phantoms)))
    told = [element.get("message") for element in root.iter("skipped")]
    assert told == ["measured: p50 2ms, longest 1s", "not judged: would pass: messages_max: measured 0, limit ≤ 0"]

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

from harness.report.junit import Skipped, to_junit
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


def _properties(root: ET.Element) -> dict[str, str]:
    return {one.get("name", ""): one.get("value", "") for one in root.iter("property")}


def test_a_run_is_one_case_with_its_checks_as_properties() -> None:
    result = samples.failing()
    root = _parse(result)
    (case,) = root.iter("testcase")
    assert case.get("name", "").startswith(result.scenario)
    properties = _properties(root)
    assert {name for name in properties if name.startswith("check.")} == {f"check.{one.check}" for one in result.checks}
    assert properties["check.loss"] == "fail: messages_max: measured 3, limit ≤ 0"
    assert properties["check.order"].startswith("pass")
    assert properties["check.recovery"].startswith("not judged")
    assert properties["seed"] == "1729"
    assert properties["digest"] == result.digest
    assert properties["version.nats-server"] == "2.15.2"
    assert properties["reproduce"] == result.reproduce


def test_a_failing_run_answers_in_the_order_of_every_report() -> None:
    failure = next(_parse(samples.failing()).iter("failure"))
    assert "messages_max: measured 3, limit ≤ 0" in failure.get("message", "")
    assert failure.text is not None
    places = [failure.text.index(told) for told in ("is it real: ", "replay: ", "reproduce: harness run", "loss: fail")]
    assert places == sorted(places)
    for told in ("key 17  seq 204  partition 4  offset 9204", "+11.702s", "kill-1"):
        assert told in failure.text


def test_a_canary_is_inverted_by_its_outcome() -> None:
    root = _parse(samples.canary())
    assert set(states_of(root).values()) == {""}
    assert _properties(root)["check.loss"].startswith("fail, as expected")
    assert set(states_of(_parse(samples.broken_canary())).values()) == {"failure"}


def test_what_blocks_the_verdict_is_the_message_of_the_error() -> None:
    error = next(_parse(samples.inconclusive()).iter("error"))
    assert "latency-1 has no evidence of its effect" in error.get("message", "")
    assert "blocks the verdict: " in (error.text or "")


def test_an_environment_error_is_an_error_that_says_why_once() -> None:
    root = _parse(samples.unfit())
    assert list(states_of(root).values()) == ["error"]
    assert next(root.iter("error")).get("message", "").count("n3 did not become ready") == 1


def test_a_failure_that_no_check_tells_is_told_by_the_run() -> None:
    result = replace(samples.passing(), outcome=Verdict.FAIL, headline="fail: something else")
    assert next(_parse(result).iter("failure")).get("message") == "something else"


def test_a_plan_that_this_machine_cannot_run_is_skipped_with_its_reason() -> None:
    skipped = Skipped("scenarios/gate/cpu.yaml", "cpu", "broker=nats-2", "cpu-1: this machine cannot limit CPUs")
    root = parse_junit(to_junit([samples.passing()], skipped=[skipped]))
    assert states_of(root)["cpu[broker=nats-2]"] == "skipped"
    assert next(root.iter("skipped")).get("message") == skipped.reason
    assert root.get("tests") == "2"


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
    properties = _properties(_parse(replace(result, checks=(*result.checks[:3], latency, phantoms))))
    assert properties[f"check.{latency.check}"] == "measured: p50 2ms, longest 1s"
    assert properties["check.phantoms"] == "not judged: would pass: messages_max: measured 0, limit ≤ 0"


def test_a_run_that_its_race_passed_without_is_skipped_with_the_reason() -> None:
    failed = samples.failing()
    passed = replace(samples.passing(), run_id="other")
    root = parse_junit(to_junit([failed, passed], {failed.run_id: "the race passed without this run"}))
    assert root.get("failures") == root.get("errors") == "0"
    assert any("the race passed without this run" in item.get("message", "") for item in root.iter("skipped"))
    assert parse_junit(to_junit([failed, passed])).get("failures") != "0"


def test_spared_runs_and_plans_that_were_not_run_are_both_skipped() -> None:
    failed, unfit = samples.failing(), Skipped("scenarios/gate/cpu.yaml", "cpu", "", "it cannot limit CPUs")
    root = parse_junit(to_junit([failed], {failed.run_id: "the race passed without this run"}, [unfit]))
    told = [element.get("message", "") for element in root.iter("skipped")]
    assert [said.split(";")[0] for said in told] == ["the race passed without this run", "it cannot limit CPUs"]
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("2", "0", "0")

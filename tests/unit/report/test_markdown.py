"""The job summary in Markdown: verdict first, complete, escaped, and below the limit of its reader."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import report_samples
from support import suite_samples as samples

from harness.report.markdown import BYTES_MAX, suite_markdown
from harness.report.suite_of_runs import suite_of
from harness.report.suite_runs import read_run
from harness.suite_result import SuiteEntry
from harness.verdict import Verdict

GITHUB_BYTES_MAX = 1_048_576


def _unread(_: SuiteEntry) -> str:
    return "its result cannot be read"


def _shown(markdown: str) -> str:
    """Return the text as a reader sees it: without escapes."""
    text = re.sub(r"\\([\\`*_{}\[\]()#+\-.!|~@:])", r"\1", markdown)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def test_the_order_is_verdict_failures_missing_made_again_table() -> None:
    text = _shown(suite_markdown(samples.red(), _unread))
    said = ["## FAIL: gate", "4 runs of 6 did not pass", "### What did not pass", "**FAIL** leader-kill"]
    said += ["harness run scenarios/gate/leader-kill.yaml", "### What is missing", "the deadline of the suite"]
    said += [
        "### What was made again",
        "too few round trips",
        "<details><summary>All 6 runs",
        "| latency [broker=nats-2, replicas=3] | PASS",
    ]
    said += ["Machine: budget 1.8 cores"]
    places = [text.index(one) for one in said]
    assert places == sorted(places)


def test_a_failure_has_its_limits_findings_and_a_command_to_copy(tmp_path: Path) -> None:
    run = report_samples.failing()
    entry = samples.entry_of(run, tmp_path)
    markdown = suite_markdown(samples.suite([entry]), lambda one: read_run(tmp_path, one))
    text = _shown(markdown)
    assert "- stall pause_max: **7.91s** measured, limit ≤ 6s" in text
    assert "- lost: key 17 seq 204" in text
    assert f"```sh\n{run.reproduce}\n```" in markdown


def test_runs_of_one_command_give_a_summary_too() -> None:
    runs = {run.run_id: run for run in (replace(report_samples.passing(), run_id="a"), report_samples.failing())}
    text = _shown(suite_markdown(suite_of([*runs.values()], 1), lambda entry: runs[entry.run_id]))
    assert "1 run of 2 did not pass" in text
    assert "messages_max: **3** measured" in text
    assert "budget" not in text


def test_a_regression_is_listed() -> None:
    text = _shown(suite_markdown(samples.regressed(), _unread))
    assert "### Compared with earlier runs" in text
    assert "  - regressed: latency p99 720ms; before: median 310ms, 290ms to 340ms" in text


def test_a_race_that_passed_stays_green_in_spite_of_a_failed_run() -> None:
    runs = [replace(report_samples.failing(), run_id="a"), replace(report_samples.failing(), run_id="b")]
    passed = replace(runs[1], verdict=Verdict.PASS, outcome=Verdict.PASS, exit_code=0)
    suite = suite_of([runs[0], passed], 0, {passed.digest: (2, 1)})
    assert "What did not pass" not in suite_markdown(suite, _unread)


@pytest.mark.parametrize("count", [1000, 4000])
def test_it_stays_below_the_limit_and_counts_what_is_left_out(count: int) -> None:
    result = samples.generated(count)
    markdown = suite_markdown(result, _unread)
    assert len(markdown.encode()) < GITHUB_BYTES_MAX
    left = re.search(r"(\d+) further parts did not fit", markdown)
    machine = markdown.count("\nMachine:")
    rows = markdown.count("\n| generated")
    red = markdown.count("\n**")
    again = sum(entry.made_again is not None for entry in result.entries)
    bad = sum(bool(entry.exit_code) for entry in result.entries)
    assert rows + red + machine + (int(left[1]) if left else 0) == count + again + bad + 1
    assert markdown.rstrip().endswith((".", "`."))


def test_even_the_longest_texts_stay_below_the_limit() -> None:
    long = "|ü\u202e" * 5_000
    entries = [
        replace(
            samples.entry(f"r{n}", Verdict.FAIL, made_again=replace(samples.again(f"r{n}"), detail=long)),
            headline=long,
            reproduce=long,
            variant={long: long},
        )
        for n in range(300)
    ]
    missing = [samples.not_run(f"m{n}", f"{n}{long}") for n in range(300)]
    markdown = suite_markdown(replace(samples.suite([*entries, *missing]), name=long), lambda _: long)
    assert BYTES_MAX < GITHUB_BYTES_MAX
    assert len(markdown.encode()) < GITHUB_BYTES_MAX


@given(text=st.text(st.characters(), max_size=30))
def test_no_text_becomes_markup(text: str) -> None:
    evil = f"{text}|<b>*x*`](javascript:x)\n# y ```{text}"
    entry = replace(
        samples.entry("x", Verdict.FAIL),
        scenario=evil,
        headline=evil,
        reproduce=evil,
        runtime=evil,
        variant={evil: evil},
    )
    again = replace(samples.again("x"), detail=evil, headline=evil)
    result = samples.suite([replace(entry, made_again=again), samples.not_run("y", evil)])
    markdown = suite_markdown(replace(result, name=evil), lambda _: evil)
    fence = re.search(r"\n(`{3,})sh\n(.*)\n(`{3,})\n", markdown)
    assert fence is not None
    assert fence[1] == fence[3]
    assert fence[1] not in fence[2]
    prose = markdown.replace(fence[0], "")
    assert set(re.findall(r"<[^>]*>", prose)) == {"<details>", "<summary>", "</summary>", "</details>"}
    for line in prose.splitlines():
        if line.startswith("| "):
            columns = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) - 1
            assert columns in {4, 5}
    assert not re.search(r"(?<!\\)[`\[\]]", prose)


def test_runs_that_were_not_made_are_said_first_and_are_never_green() -> None:
    made = suite_of([report_samples.passing()], 2)
    assert _shown(suite_markdown(made, _unread, missing=2)).startswith(
        "## NOT COMPLETE: client-latency\n\n1 run passed; 2 runs are not made. "
    )
    assert _shown(suite_markdown(replace(made, exit_code=0), _unread, missing=1)).startswith("## NOT COMPLETE: ")
    failed = suite_of([report_samples.failing()], 1)
    assert _shown(suite_markdown(failed, _unread, missing=1)).startswith(
        "## FAIL: leader-kill\n\n1 run of 1 did not pass; 1 run is not made. "
    )


def test_what_broke_is_followed_by_whether_it_is_real_and_how_to_see_it_again() -> None:
    result = report_samples.failing()
    text = _shown(suite_markdown(suite_of([result], 1), lambda _: result))
    places = [text.index(part) for part in ("**FAIL**", "Is it real: ", result.reproduce, "- loss messages_max: ")]
    assert places == sorted(places)

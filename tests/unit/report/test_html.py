"""The page is self-contained, escaped, bounded, and says the verdict first."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import report_samples as samples
from support.report_page import Page, require_self_contained

from harness.errors import UnfitEnvironmentError
from harness.report.html import render_report, write_report
from harness.report.plot_timeline import timeline_svg
from harness.result import Band, ReportTimeline, RunResult, Series
from harness.verdict import Verdict

S = samples.S


def _svg(result: RunResult) -> ET.Element:
    return ET.fromstring(timeline_svg(result))


def _titles(result: RunResult) -> list[str]:
    return [element.text or "" for element in _svg(result).iter("title")]


@pytest.mark.parametrize("make", samples.ALL, ids=lambda make: make.__name__)
def test_the_page_is_self_contained_and_well_formed(make: Callable[[], RunResult]) -> None:
    source = render_report(make())
    require_self_contained(source)
    assert len(source.encode("utf-8", "backslashreplace")) < 400_000


def test_the_order_is_verdict_violations_weaknesses_timeline_checks_faults_reproduce() -> None:
    text = Page(render_report(samples.failing())).text
    told = ["FAIL", "loss: 3 acknowledged", "faults proven", "See it again", "harness replay", "harness run"]
    told += ["Killing the leader", "What was violated", "What weakens", "Timeline"]
    told += [
        "Checks",
        "Faults and their evidence",
        "Counts",
        "Use of the machine",
        "Versions",
        "harness check",
    ]
    places = [text.index(one) for one in told]
    assert places == sorted(places)


def test_the_page_says_whether_the_run_was_isolated() -> None:
    for isolated, said in ((True, "process, isolated"), (False, "process"), (None, "process")):
        text = " ".join(Page(render_report(replace(samples.failing(), isolated=isolated))).text.split())
        assert f"on {said}" in text
        assert ("isolated" in text) == bool(isolated)


def test_a_finding_shows_operations_times_fault_limit_and_measured_value() -> None:
    source = render_report(samples.failing())
    text = " ".join(Page(source).text.split())
    assert "messages_max 3 measured, limit ≤ 0" in text
    assert "pause_max 7.91s measured, limit ≤ 6s" in text
    assert "+10.071s to +17.983s, 7.91s long" in text
    assert "kill-1 (kill the leader with SIGKILL, start it again after 8s)" in text
    row = "".join(f"<td>{cell}</td>" for cell in ("+11.719s", "sent", 17, 204, 4, 9204, "p0.0", 9150))
    assert row in source


def test_a_canary_is_a_success_that_says_so() -> None:
    text = Page(render_report(samples.canary())).text
    assert "canary: failed as expected: loss" in text
    assert "What failed" in text
    assert "What was violated" not in text


def test_an_error_without_history_is_told_first() -> None:
    text = Page(render_report(samples.unfit())).text
    assert text.index("n3 did not become ready") < text.index("Consumers ride out")
    assert "Timeline" not in text


def test_a_blocking_weakness_comes_before_the_others() -> None:
    text = Page(render_report(samples.inconclusive())).text
    assert text.index("Blocks the verdict:") < text.index("worker c1 logged 4 client errors")


def test_hostile_texts_are_shown_not_obeyed() -> None:
    source = render_report(samples.hostile())
    assert source.count("<script>") == 1, "ours, the only one that the policy allows"
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\u202e]", source)
    assert "<script>alert('x')</script>" in Page(source).text


@given(text=st.text(st.characters(), max_size=20))
@settings(deadline=None, max_examples=40)
def test_any_text_gives_a_well_formed_page(text: str) -> None:
    result = samples.failing()
    assert result.timeline is not None
    bands = tuple(replace(band, label=text, lane=text) for band in result.timeline.bands)
    fault = replace(result.faults[0], id=text, description=text)
    timeline = replace(result.timeline, bands=bands, deliveries={text: (1, 2)})
    changed = replace(result, title=text, headline=text, error=text, faults=(fault,), timeline=timeline)
    Page(render_report(changed))
    _svg(changed)


def test_hovering_tells_exact_values() -> None:
    titles = _titles(samples.failing())
    assert "kill-1: kill the leader with SIGKILL, start it again after 8s: +10.006s to +19.470s" in titles
    assert "kill-1 planned +10.000s to +21.000s" in titles
    assert "partition 4 stalled: unexplained, +14.200s to +17.983s, 3.78s" in titles
    assert "n2 reachable: n2 unreachable: +10.010s to +18.700s, 8.69s" in titles
    assert any(re.fullmatch(r"partition 0, -5\.000s to \S+: 2\d\d(\.\d)?/s", title) for title in titles)
    assert any(title.startswith("loss: lost, +11.702s") for title in titles)
    assert any(re.fullmatch(r"-5\.000s · sent \S+/s · processed \S+/s", title) for title in titles)


def test_silence_of_a_partition_is_visible_as_a_hole() -> None:
    title = re.compile(r"partition (\d), ([-+][0-9.]+)s to ([-+][0-9.]+)s: .*/s")
    drawn = [match for match in map(title.fullmatch, _titles(samples.failing())) if match]
    within = {match[1] for match in drawn if float(match[2]) < 17.75 and float(match[3]) > 10.25}
    assert within == {"0", "1", "2", "3", "5"}


def test_the_limit_of_a_quantile_is_drawn_when_it_is_in_reach() -> None:
    drawn = [element.text for element in _svg(samples.failing()).iter("text")]
    assert "limit p99 9s" in drawn
    result = samples.failing()
    far = replace(result.checks[4].limits[0], limit=900 * S)
    checks = (*result.checks[:4], replace(result.checks[4], limits=(far,)))
    assert not [
        text for text in (e.text for e in _svg(replace(result, checks=checks)).iter("text")) if text and "limit" in text
    ]


def test_a_fault_that_never_healed_reaches_the_end_and_one_never_applied_keeps_its_plan() -> None:
    result = samples.failing()
    stuck = replace(result.faults[0], healed_at_ns=None, proven=False)
    absent = replace(result.faults[1], applied_at_ns=None, healed_at_ns=None, evidence=(), proven=False)
    changed = replace(result, faults=(stuck, absent))
    assert "kill-1: kill the leader with SIGKILL, start it again after 8s: +10.006s, never healed" in _titles(changed)
    words = [element.text or "" for element in _svg(changed).iter("text")]
    assert any("not proven" in word for word in words)
    assert any("never applied" in word for word in words)
    assert "No probe saw anything of this fault." in Page(render_report(changed)).text


def _long(partitions: int, bins: int) -> RunResult:
    times = tuple(range(0, bins * S, S))
    deliveries = {str(p): tuple((b * 7 + p * 13) % 90 for b in range(bins)) for p in range(partitions)}
    bands = tuple(
        Band(lane=f"partition {p}", kind=kind, label="x" * 30, start_ns=b * S, end_ns=b * S + S)
        for p in range(partitions)
        for b in range(0, bins, 40)
        for kind in ("stall", "owner")
    )
    series = tuple(
        Series(
            name=f"line {n}", unit=("/s", "ns", "messages")[n % 3], t_ns=times, y=tuple(float(t % 97) for t in times)
        )
        for n in range(9)
    )
    finding = samples.failing().checks[0].findings[0]
    operations = finding.operations * 50
    checks = tuple(
        replace(check, findings=(replace(finding, operations=operations),) * 300, reasons=("r" * 500,) * 200)
        for check in samples.failing().checks
    )
    timeline = ReportTimeline(start_ns=0, end_ns=bins * S, bin_ns=S, series=series, bands=bands, deliveries=deliveries)
    return replace(samples.failing(), timeline=timeline, checks=checks)


@pytest.mark.parametrize(("partitions", "bins"), [(1, 20_000), (64, 2_000), (500, 300)])
def test_the_picture_is_bounded_whatever_the_run(partitions: int, bins: int) -> None:
    picture = timeline_svg(_long(partitions, bins))
    ET.fromstring(picture)
    assert len(picture) < 400_000
    assert ("more partitions are not drawn" in picture) == (partitions > 64)


def test_the_page_is_bounded_whatever_the_findings() -> None:
    source = render_report(_long(12, 300))
    assert len(source) < 1_500_000
    assert "further findings are in result.json" in source


@pytest.mark.parametrize(
    "timeline",
    [
        ReportTimeline(start_ns=0, end_ns=0),
        ReportTimeline(start_ns=0, end_ns=1),
        ReportTimeline(start_ns=0, end_ns=S, series=(Series(name="empty", unit="ns", t_ns=(), y=()),)),
        ReportTimeline(
            start_ns=0, end_ns=S, series=(Series(name="gap", unit="ns", t_ns=(0, 1), y=(float("nan"),) * 2),)
        ),
        ReportTimeline(start_ns=0, end_ns=S, bin_ns=S, deliveries={"0": ()}),
        ReportTimeline(start_ns=0, end_ns=S, bin_ns=S, deliveries={"0": (0, 0), "1": (1,)}),
        ReportTimeline(start_ns=-3 * 86_400 * S, end_ns=9 * 86_400 * S),
    ],
)
def test_scarce_timelines_do_not_break_the_page(timeline: ReportTimeline) -> None:
    Page(render_report(replace(samples.passing(), timeline=timeline)))


def test_a_gap_in_a_line_stays_a_gap() -> None:
    line = Series(name="latency p99", unit="ns", t_ns=(0, S, 2 * S, 3 * S), y=(1e6, float("nan"), 2e6, 3e6))
    svg = _svg(replace(samples.passing(), timeline=ReportTimeline(start_ns=0, end_ns=4 * S, series=(line,))))
    paths = [element.get("d", "") for element in svg.iter("path") if element.get("class") == "line l0"]
    assert [path.count("M") for path in paths if "L" in path and path.count("M") > 1] == [2]


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(samples.passing(), path)
    assert path.read_text(encoding="utf-8") == render_report(samples.passing())
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(UnfitEnvironmentError, match="cannot write"):
        write_report(samples.passing(), tmp_path / "missing" / "report.html")


def test_informative_findings_are_shown_apart() -> None:
    result = samples.passing()
    check = replace(samples.failing().checks[0], expected=False)
    source = render_report(replace(result, checks=(*result.checks[1:], check)))
    assert "which the scenario does not name" in source
    assert "What was violated" not in source
    assert check.verdict is Verdict.FAIL


def test_a_check_that_the_scenario_does_not_name_is_calm() -> None:
    result = samples.passing()
    check = replace(
        samples.failing().checks[4], expected=False, limits=(), verdict=Verdict.INCONCLUSIVE, reasons=("no limit",)
    )
    failed = replace(samples.failing().checks[1], expected=False)
    source = render_report(replace(result, checks=(*result.checks[:2], replace(check, measures={"p99_ns": S}), failed)))
    text = " ".join(Page(source).text.split())
    assert "latency measured 52,446 deliveries no limit p99 1s" in text
    assert "stall not judged: would fail" in text
    assert 'class="glyph fail"' not in source


@pytest.mark.parametrize(
    ("make", "sections"),
    [
        (
            samples.failing,
            ["real", "again", "violations", "weakens", "timeline", "checks", "faults", "allowed", "numbers", "judge"],
        ),
        (samples.passing, ["real", "again", "weakens", "timeline", "checks", "faults", "allowed", "numbers", "judge"]),
        (samples.unfit, ["real", "again", "allowed", "numbers", "judge"]),
    ],
)
def test_every_section_is_present_in_order(make: Callable[[], RunResult], sections: list[str]) -> None:
    tags = Page(render_report(make())).tags
    assert [attributes["id"] for tag, attributes in tags if tag == "section"] == sections


def test_a_page_without_a_timeline_has_everything_else() -> None:
    source = render_report(replace(samples.failing(), timeline=None))
    assert "<svg" not in source
    assert [one for one in ("violations", "checks", "faults", "again") if f'id="{one}"' not in source] == []


def test_an_interrupted_run_says_when_it_was_stopped() -> None:
    result = replace(samples.passing(), error="interrupted", exit_code=2, outcome=Verdict.INCONCLUSIVE)
    banner = render_report(result).partition("</header>")[0]
    assert "stopped by a signal during audit; the recorded part was judged" in banner


def test_an_outage_that_lasts_to_the_end_is_labelled_before_it() -> None:
    result = samples.passing()
    assert result.timeline is not None
    band = Band(lane="leader", kind="outage", label="none", start_ns=30 * S, end_ns=result.timeline.end_ns)
    svg = _svg(replace(result, timeline=replace(result.timeline, bands=(*result.timeline.bands, band))))
    (label,) = (element for element in svg.iter("text") if element.text == "none, 10s")
    assert label.get("text-anchor") == "end"


def test_legends_stay_when_plots_are_zoomed_and_marks_of_time_do_not() -> None:
    page = render_report(samples.failing())
    fixed = "".join(re.findall(r'<g class="fixed">(.*?)</g>', page, re.DOTALL))
    for stays in ("deliveries per partition", "logarithmic scale", "warm-up is negative"):
        assert stays in fixed
    assert page.count("tick-label") > fixed.count("tick-label") == 0
    assert 'class="fault"' not in fixed

"""A canary next to its twins: who belongs together, the numbers that tell them apart, one scale, who is to blame."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from support import report_group_samples as groups
from support import report_samples as samples
from support.report_page import Page, require_self_contained

from harness.progress import Event, Note
from harness.report.files import write_all, write_with_twins
from harness.report.html import render_report
from harness.report.junit import to_junit
from harness.report.plot_timeline import scale_of, story_svg, timeline_svg
from harness.report.serialize import from_json, to_json
from harness.report.summary import render_summary
from harness.report.text import render_result
from harness.report.twins import alike, compare, comparison_lines, is_twin, twins_of
from harness.result import RunResult
from harness.session import session
from harness.verdict import Verdict

CANARY = groups.collateral()
TWINS = groups.twins()
S = samples.S


def _titles(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter("title")]


def _section(source: str) -> str:
    return source.partition('<section id="twins">')[2].partition("</section>")[0]


@pytest.mark.parametrize(
    ("name", "twin"),
    [("x-twin", True), ("x-twin-sticky", True), ("x", False), ("x-twins", False), ("xy-twin", False), ("twin", False)],
)
def test_a_twin_is_known_by_its_name(name: str, *, twin: bool) -> None:
    assert is_twin(name, "x") == twin


def test_twins_are_found_whatever_the_order_and_only_for_a_canary() -> None:
    stranger = samples.passing()
    assert twins_of(CANARY, [TWINS[0], stranger, CANARY, *TWINS[1:]]) == TWINS
    assert twins_of(replace(CANARY, must_fail=()), [CANARY, *TWINS]) == ()
    assert twins_of(CANARY, [CANARY, replace(TWINS[0], must_fail=("stall",))]) == ()


def test_variants_must_agree_where_both_choose() -> None:
    old, new = ({"broker": "kafka-3.9"}, {"broker": "kafka-4"})
    twins = [replace(TWINS[0], variant=old, digest="old"), replace(TWINS[0], variant=new, digest="new"), TWINS[1]]
    canary = replace(CANARY, variant=new)
    assert twins_of(canary, [*twins, canary]) == (twins[1], twins[2])


def test_of_repeated_runs_the_same_one_is_taken() -> None:
    canaries = [replace(CANARY, run_id=f"canary {n}") for n in range(3)]
    twins = [replace(TWINS[0], run_id=f"twin {n}") for n in range(2)]
    found = [twins_of(canary, [*canaries, *twins]) for canary in canaries]
    assert found == [(twins[0],), (twins[1],), (twins[1],)]


def test_the_numbers_are_those_of_the_checks_that_must_fail() -> None:
    comparison = compare(CANARY, TWINS)
    assert [(column.check, column.name, column.limit) for column in comparison.columns] == [
        ("stall", "collateral", "≤ 2s")
    ]
    assert [(row.name, row.verdict, row.cells[0]) for row in comparison.rows] == [
        ("canary", "fail, as expected", ("11.0s", "fail")),
        ("cooperative twin", "pass", ("0.1s", "pass")),
        ("kip848 twin", "pass", ("0.1s", "pass")),
        ("worker-handler twin", "pass", ("0.1s", "pass")),
    ]


def test_a_twin_without_the_limit_is_compared_by_what_it_measured() -> None:
    stall = TWINS[0].checks[0]
    bare = replace(TWINS[0], checks=(replace(stall, limits=()),))
    nothing = replace(TWINS[1], checks=())
    cells = [row.cells[0] for row in compare(CANARY, [bare, nothing]).rows]
    assert cells == [("11.0s", "fail"), ("0.1s", ""), ("not measured", "")]


def test_a_canary_that_did_not_fail_says_so() -> None:
    missed = replace(TWINS[0], scenario=CANARY.scenario, must_fail=("stall",), outcome=Verdict.FAIL, exit_code=1)
    comparison = compare(missed, TWINS[1:])
    assert comparison.rows[0].verdict == "pass, expected to fail"
    assert comparison.rows[0].cells[0] == ("104.0ms", "pass")


@pytest.mark.parametrize(
    ("values", "unit", "texts"),
    [
        ([11_000_000_000.0, 104_000_000.0], "ns", ["11.0s", "0.1s"]),
        ([11_000_000_000.0, 3_000_000.0, 0.0], "ns", ["11.0s", "3ms", "0.0s"]),
        ([float("inf"), 2_000_000_000.0, float("nan")], "ns", ["never ends", "2.0s", "not measured"]),
        ([float("nan")], "ns", ["not measured"]),
        ([3.0, 0.0], "count", ["3", "0"]),
    ],
)
def test_durations_are_told_in_one_unit(values: list[float], unit: str, texts: list[str]) -> None:
    assert alike(values, unit) == texts


def test_the_summary_compares_on_one_line() -> None:
    stream = io.StringIO()
    render_summary([CANARY, *TWINS], Console(file=stream, width=160))
    line = "collateral-stall: collateral 11.0s; cooperative twin 0.1s; kip848 twin 0.1s; worker-handler twin 0.1s"
    assert line in stream.getvalue().splitlines()
    assert comparison_lines([samples.canary(), *TWINS]) == ()
    twin = replace(samples.passing(), scenario="ack-none-kill-twin")
    assert comparison_lines([samples.canary(), twin]) == (
        "ack-none-kill [broker=nats-2, replicas=3]: loss messages 3; twin 0",
    )


def test_a_repeated_canary_tells_the_least_and_the_most() -> None:
    limit = replace(CANARY.checks[0].limits[0], measured=9_000_000_000)
    again = replace(CANARY, run_id="again", checks=(replace(CANARY.checks[0], limits=(limit,)),))
    assert comparison_lines([CANARY, again, TWINS[0]]) == (
        "collateral-stall: collateral 9.0s–11.0s; cooperative twin 0.1s (2 runs)",
    )


def test_the_page_shows_every_twin_under_the_same_scale() -> None:
    source = render_report(CANARY, TWINS)
    page = require_self_contained(source)
    sections = [attributes["id"] for tag, attributes in page.tags if tag == "section"]
    assert sections[:5] == ["real", "again", "violations", "twins", "timeline"]
    section = _section(source)
    assert section.count("<svg") == 1 + len(TWINS)
    text = " ".join(Page(section).text.split())
    assert text.startswith("Comparison with its twins")
    assert "In the canary c0 held the group up and c1 waited for it." in text
    for told in (
        "canary Canary: with range",
        "✗ fail, as expected",
        "11.0s",
        "cooperative twin Twin: with coop",
        "0.1s",
    ):
        assert told in text
    assert 'id="twins"' not in render_report(CANARY)
    assert source.count('id="hatch"') == 1
    assert len(source) < 500_000


def test_one_scale_has_one_axis_one_shading_and_one_hue_for_each_owner() -> None:
    assert CANARY.timeline is not None
    late = replace(TWINS[0], timeline=replace(CANARY.timeline, end_ns=60 * S, deliveries={"0": (900,) * 10}))
    scale = scale_of([CANARY, late])
    alone = scale_of([CANARY])
    assert scale is not None
    assert alone is not None
    assert (scale.axis.start_ns, scale.axis.end_ns) == (-5 * S, 60 * S)
    assert scale.shades.top_rate > 5 * alone.shades.top_rate
    assert scale.shades.hues == alone.shades.hues == {"c0": 0, "c1": 1, "c2": 2}
    ends = [
        float(match[1]) + float(match[2])
        for match in re.finditer(r'x="([\d.]+)" [^>]*width="([\d.]+)"[^>]*"void"', story_svg(CANARY, scale))
    ]
    assert ends
    assert all(end == pytest.approx(scale.axis.x(31 * S), abs=0.2) for end in ends)  # a shorter run ends where it ended
    assert scale_of([samples.unfit()]) is None


def test_a_twin_without_a_timeline_says_why() -> None:
    source = _section(render_report(CANARY, [replace(TWINS[0], timeline=None, error="n3 did not start")]))
    assert "No timeline: n3 did not start" in source
    assert source.startswith("\n  <h2>Comparison with its twin</h2>")


def test_a_hostile_twin_is_shown_not_obeyed() -> None:
    hostile = replace(samples.hostile(), scenario=f"collateral-stall-twin-{samples.HOSTILE}")
    require_self_contained(render_report(CANARY, [hostile]))
    require_self_contained(render_report(replace(samples.hostile(), must_fail=(samples.HOSTILE,)), [CANARY]))
    (line,) = comparison_lines([CANARY, hostile])
    assert all(char.isprintable() for char in line)


def test_the_picture_tells_who_held_the_group_up() -> None:
    picture = timeline_svg(CANARY)
    words = [element.text for element in ET.fromstring(picture).iter("text")]
    for told in ("c0 (cause)", "blocked 15s", "joining 14.1s", "preparing rebalance 13.8s", "absent", "unowned 11s"):
        assert told in words
    assert words.count("collateral 11s") == 3
    assert words.count("owner 15s") == 3
    titles = _titles(picture)
    assert "group: completing rebalance: +17.020s to +17.090s, 70ms" in titles
    assert "partition 3 stalled: collateral, +6.090s to +17.090s, 11s" in titles
    assert "partition 4 without an owner, +6.090s to +17.090s, 11s" in titles
    assert "c0 (cause)" not in [element.text for element in ET.fromstring(timeline_svg(TWINS[0])).iter("text")]


def test_a_dead_group_is_no_dead_worker() -> None:
    assert CANARY.timeline is not None
    bands = (
        replace(CANARY.timeline.bands[4], label="dead", meaning="gone"),
        replace(CANARY.timeline.bands[8], label="dead"),
    )
    assert [band.kind for band in bands] == ["group", "worker"]
    picture = timeline_svg(replace(CANARY, timeline=replace(CANARY.timeline, bands=bands)))
    assert picture.count("state trouble") == 2


def test_blame_is_told_on_every_medium() -> None:
    stream = io.StringIO()
    render_result(CANARY, Console(file=stream, width=120))
    assert "    caused by c0; affected c1\n" in stream.getvalue()
    assert (
        "as expected: stall (collateral_max: measured 11s, limit ≤ 2s; caused by c0; affected c1)" in stream.getvalue()
    )
    assert (
        '<dt>caused by</dt><dd class="culprit">c0</dd></div><div class="blame"><dt>affected</dt><dd>c1</dd>'
        in render_report(CANARY)
    )
    (case,) = ET.fromstring(to_junit([CANARY])).iter("testcase")
    told = case.findtext("system-out") or ""
    assert told.splitlines()[0].endswith("measured 11s, limit ≤ 2s; caused by c0; affected c1)")
    assert "  caused by: c0\n  affected: c1\n" in told
    failed = replace(CANARY, must_fail=(), outcome=Verdict.FAIL)
    failure = next(ET.fromstring(to_junit([failed])).iter("failure"))
    assert "stall: caused by: c0; stall: affected: c1" in (failure.get("message") or "")


def test_a_finding_that_blames_nobody_says_nothing_of_it() -> None:
    stream = io.StringIO()
    render_result(samples.failing(), Console(file=stream, width=120))
    for shown in (stream.getvalue(), render_report(samples.failing()), to_junit([samples.failing()])):
        assert "caused by" not in shown


def test_twins_stay_next_to_a_canary_that_is_judged_again(tmp_path: Path) -> None:
    places = [tmp_path / twin.scenario for twin in (CANARY, *TWINS)]
    for place in places:
        place.mkdir()
    write_all(CANARY, places[0])
    for twin, place in zip(TWINS, places[1:], strict=True):
        write_all(twin, place)
    write_with_twins(CANARY, places[0], list(zip(TWINS, places[1:], strict=True)))
    page = (places[0] / "report.html").read_text(encoding="utf-8")
    assert page == render_report(CANARY, TWINS)
    write_all(CANARY, places[0])
    assert (places[0] / "report.html").read_text(encoding="utf-8") == page
    (places[1] / "result.json").unlink()
    write_all(CANARY, places[0])
    assert (places[0] / "report.html").read_text(encoding="utf-8") == render_report(CANARY, TWINS[1:])
    for broken in ("{", "[]", '{"runs": 3}', '{"runs": [3]}'):
        (places[0] / "beside.json").write_text(broken, encoding="utf-8")
        write_all(CANARY, places[0])
        assert (places[0] / "report.html").read_text(encoding="utf-8") == render_report(CANARY)


def _session(
    folder: Path, results: list[RunResult], show: Callable[..., None] = write_with_twins
) -> tuple[list[RunResult], list[Event], list[tuple[int, int]]]:
    """Run a session that yields ``results``; also return its events and (runs so far, twins shown) of every writing."""
    told: list[Event] = []
    written: list[tuple[int, int]] = []
    ready = [replace(result, run_dir=str(folder / f"{index}")) for index, result in enumerate(results)]

    def run_one(index: int) -> RunResult:
        result = ready[index]
        Path(result.run_dir).mkdir()
        write_all(result, Path(result.run_dir))
        return result

    def counted(result: RunResult, run_dir: Path, twins: Sequence[tuple[RunResult, Path]]) -> None:
        written.append((sum(Path(one.run_dir).exists() for one in ready), len(twins)))
        show(result, run_dir, twins)

    return session.in_turn([one.scenario for one in ready], run_one, counted, told.append), told, written


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2)])
def test_a_session_writes_the_twins_once_the_last_of_them_has_finished(order: tuple[int, ...], tmp_path: Path) -> None:
    family = [(CANARY, *TWINS)[index] for index in order]
    results, _, written = _session(tmp_path, [*family, samples.passing()])
    assert written == [(4, 3)]
    (canary,) = (result for result in results if result.must_fail)
    page = (Path(canary.run_dir) / "report.html").read_text(encoding="utf-8")
    assert _section(page).count("<svg") == 4


def test_an_interrupted_session_shows_what_ran(tmp_path: Path) -> None:
    stopped = replace(samples.passing(), error="interrupted")
    results, _, written = _session(tmp_path, [CANARY, TWINS[0], stopped, TWINS[1]])
    assert len(results) == 3
    assert written == [(3, 1)]


def test_a_page_that_cannot_be_written_is_told_and_stays(tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    results, told, _ = _session(tmp_path, [CANARY, TWINS[0]], full)
    assert [result.exit_code for result in results] == [0, 0]
    (note,) = (event for event in told if isinstance(event, Note))
    assert note.warning
    assert "could not be updated with its twins" in note.text


def test_results_of_groups_can_be_read_back() -> None:
    assert from_json(to_json(CANARY)) == CANARY

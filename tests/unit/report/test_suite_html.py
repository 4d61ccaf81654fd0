"""The summary page of a suite: self-contained, escaped, bounded, readable without scripts, failures first."""

from __future__ import annotations

import base64
import hashlib
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import report_samples
from support import suite_samples as samples
from support.browser import load, probed, write
from support.report_page import Page

from harness.report.suite_excerpt import Excerpt, excerpt
from harness.report.suite_html import EXCERPTS_MAX, PICTURES_MAX, render_suite_page
from harness.report.suite_plot import report_link, suite_svg
from harness.suite_result import SuiteEntry, SuiteResult
from harness.verdict import Verdict

S = samples.S


def require_suite_page(source: str) -> Page:
    """Return the page; fails unless it is well formed, loads nothing, and its policy allows its own script alone."""
    page = Page(source)
    names = [tag for tag, _ in page.tags]
    assert set(names).isdisjoint({"link", "img", "iframe", "object", "embed", "base", "form", "image", "use"})
    assert names.count("script") == 1
    for tag, attributes in page.tags:
        assert {"src", "xlink:href", "style", "srcset", "action"}.isdisjoint(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        if "href" in attributes:
            assert tag == "a"
            assert re.match(r"^(#\w+|\./\S+/report\.html)$", attributes["href"] or "")
    script = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policies = [one.get("content") for tag, one in page.tags if one.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"]
    style = source.partition("<style>")[2].partition("</style>")[0]
    assert set(re.findall(r"url\([^)]*\)", style)) == {"url(#hatch)"}
    assert "@import" not in style
    return page


@pytest.mark.parametrize("make", samples.ALL, ids=lambda make: make.__name__)
def test_the_page_is_self_contained_and_well_formed(make: Callable[[], SuiteResult]) -> None:
    require_suite_page(render_suite_page(make()))
    require_suite_page(render_suite_page(make(), running=True, written="02:15"))


def test_the_order_is_verdict_failures_missing_made_again_time_table_machine() -> None:
    text = Page(re.sub(r"<nav.*?</nav>", "", render_suite_page(samples.red()), flags=re.DOTALL)).text
    said = ["FAIL", "4 runs of 6", "What did not pass", "leader-kill", "What is missing", "deadline of the suite"]
    said += ["What was made again", "Runs over time", "All runs", "The machine", "toxiproxy", "nats-server"]
    places = [text.index(one) for one in said]
    assert places == sorted(places)


def test_a_failure_shows_limits_findings_command_and_a_link_to_its_report(tmp_path: Path) -> None:
    run = report_samples.failing()
    entry = samples.entry_of(run, tmp_path)
    source = render_suite_page(samples.suite([entry]), lambda _, picture: excerpt(run, picture=picture))
    text = " ".join(Page(source).text.split())
    assert "loss messages_max 3 measured, limit ≤ 0" in text
    assert "lost key 17 seq 204, acknowledged at offset 9204" in text
    assert "during kill-1 (kill the leader with SIGKILL" in text
    assert run.reproduce in text
    assert source.count(f'<a href="./{entry.run_dir}/report.html">') == 3  # failure, picture and table
    assert source.count('class="timeline"') == 2


def test_excerpts_are_asked_for_the_most_severe_runs_only() -> None:
    entries = [samples.entry(f"r{n:03}", Verdict.FAIL, began_ns=n * S) for n in range(EXCERPTS_MAX + 10)]
    asked: list[tuple[str, bool]] = []

    def ask(entry: SuiteEntry, picture: bool) -> Excerpt | str | None:
        asked.append((entry.scenario, picture))
        return "its result cannot be read"

    text = Page(render_suite_page(samples.suite(entries), ask)).text
    assert asked == [(f"r{n:03}", n < PICTURES_MAX) for n in range(EXCERPTS_MAX)]
    assert text.count("its result cannot be read") == EXCERPTS_MAX
    assert f"{EXCERPTS_MAX + 10 - 12} more did not pass" in text


def test_every_run_has_a_row_with_its_outcome_and_what_it_used() -> None:
    result = samples.red()
    source = render_suite_page(result)
    table = source.partition('<table id="table">')[2].partition("</table>")[0]
    rows = re.findall(r'<tr data-word="([^"]+)"', table)
    assert rows == ["PASS", "FAIL", "INCONCLUSIVE", "ENVIRONMENT ERROR", "FAIL", "MISSING"]
    assert "inconclusive (made again)" in table
    assert ">0.87<" in table
    assert ">296MiB<" in table


def test_what_was_made_again_links_both_executions() -> None:
    source = render_suite_page(samples.green())
    part = source.partition('<section id="again">')[2].partition("</section>")[0]
    assert 'href="./runs/20260314-021440-leader-kill-first/report.html"' in part
    assert 'href="./runs/20260314-021507-leader-kill-1/report.html"' in part
    assert "too few round trips" in part


def test_a_regression_is_shown_with_its_figures() -> None:
    text = " ".join(Page(render_suite_page(samples.regressed())).text.split())
    assert "baseline last:5: fail: 2 plans compared, 1 of them with regressions" in text
    assert "latency (process) fail: 14 measures of 1 run against 5 nights" in text
    assert "regressed: latency p99 720ms; before: median 310ms" in text


def test_a_page_of_a_suite_that_goes_on_says_so_and_loads_itself_again() -> None:
    source = render_suite_page(samples.red(), running=True, written="02:15:40")
    assert '<meta http-equiv="refresh" content="5">' in source
    text = Page(source).text
    assert "RUNNING" in text
    assert "5 of 6 runs ended so far, 4 without a pass; written at 02:15:40" in text
    assert "What has not ended" in text
    assert 'http-equiv="refresh"' not in render_suite_page(samples.red())


def test_a_thousand_runs_stay_small() -> None:
    source = render_suite_page(samples.generated(1000))
    assert len(source.encode("utf-8")) < 2_500_000
    assert source.count("<tr data-word=") == 1000


def test_even_the_longest_texts_of_a_thousand_runs_stay_below_the_limit() -> None:
    long = "ü" * 5_000
    entries = [
        replace(
            samples.entry(f"r{n}", Verdict.FAIL, began_ns=n * S, wall_ns=3 * S),
            headline=long,
            title=long,
            reproduce=long,
            variant={"x": long},
            failed=(long,),
            made_again=replace(samples.again(f"r{n}"), detail=long, headline=long),
        )
        for n in range(1000)
    ]
    run = report_samples.hostile()
    source = render_suite_page(samples.suite(entries), lambda _, picture: excerpt(run, picture=picture))
    assert len(source.encode("utf-8", "backslashreplace")) < 5_000_000


EVIL = "</script><script>alert('x')</script> \"' \x1b\x00\u202e\ud800<!-- ]]> javascript:alert(1)"


def test_hostile_texts_are_shown_not_obeyed() -> None:
    entry = replace(
        samples.entry("x", Verdict.FAIL),
        scenario=EVIL,
        key=f"{EVIL}#1",
        file=EVIL,
        headline=EVIL,
        title=EVIL,
        reproduce=EVIL,
        run_dir=f"javascript:alert(1)/{EVIL}",
        failed=(EVIL,),
        tags=(EVIL,),
        variant={EVIL: EVIL},
        runtime=EVIL,
        broker=EVIL,
        versions={EVIL: EVIL},
        usage=samples.usage(cpu_ns={EVIL: S}),
    )
    again = replace(samples.again("x"), detail=EVIL, headline=EVIL, run_dir=f"//evil.example/{EVIL}")
    missing = samples.not_run("y", EVIL)
    result = samples.suite([replace(entry, made_again=again), missing])
    result = replace(result, name=EVIL, suite_id=EVIL, shard=EVIL, started_wall=EVIL, plan_digest=EVIL, harness=EVIL)
    source = render_suite_page(result, lambda *_: EVIL, running=True, written=EVIL)
    page = require_suite_page(source.encode("utf-8", "backslashreplace").decode())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\u202e]", source)
    assert "<script>alert('x')</script>" in page.text


@given(text=st.text(st.characters(), max_size=20))
@settings(deadline=None, max_examples=40)
def test_any_text_gives_a_well_formed_page(text: str) -> None:
    entry = replace(samples.entry("x", Verdict.FAIL), headline=text, title=text, run_dir=text, reason=text)
    changed = samples.suite([replace(entry, scenario=text, file=text, variant={text: text}, failed=(text,))])
    require_suite_page(render_suite_page(replace(changed, name=text)))
    ET.fromstring(suite_svg(changed))


@pytest.mark.parametrize(
    ("run_dir", "link"),
    [
        ("runs/a", "./runs/a/report.html"),
        ("", ""),
        ("javascript:x", "./javascript%3Ax/report.html"),
        ("//evil/x", "./evil/x/report.html"),
        ("../shard-2/runs/b c?#", "./../shard-2/runs/b%20c%3F%23/report.html"),
        ("x" * 400, ""),
    ],
)
def test_links_lead_to_files_only(run_dir: str, link: str) -> None:
    assert report_link(run_dir) == link


def _titles(result: SuiteResult) -> list[str]:
    return [element.text or "" for element in ET.fromstring(suite_svg(result)).iter("title")]


def test_the_picture_shows_each_execution_and_when_nothing_ran() -> None:
    first = replace(samples.again("b"), began_ns=3 * S, wall_ns=10 * S)
    entries = [
        samples.entry("a", began_ns=2 * S, wall_ns=10 * S),
        samples.entry("b", Verdict.FAIL, began_ns=30 * S, wall_ns=5 * S, made_again=first),
        samples.not_run("c", "not started"),
    ]
    titles = _titles(samples.suite(entries, wall_ns=40 * S))
    assert "a: PASS, 10s from 2s" in titles[[one.startswith("a:") for one in titles].index(True)]
    assert any(one.startswith("b, first execution: too few round trips") for one in titles)
    assert any(one.startswith("b: FAIL, 5s from 30s") for one in titles)
    assert "nothing ran for 2s" in titles
    assert "nothing ran for 17s" in titles
    assert not any(one.startswith("c:") for one in titles)


def test_a_suite_of_which_nothing_started_has_no_picture() -> None:
    assert suite_svg(samples.suite([samples.not_run("a", "x")])) == ""
    assert suite_svg(samples.empty()) == ""


@pytest.mark.parametrize("count", [1, 60, 61, 400])
def test_every_execution_is_drawn_whatever_their_number(count: int) -> None:
    result = samples.generated(count)
    drawn = {one.partition(":")[0].partition(",")[0].partition(" ")[0] for one in _titles(result)}
    assert {entry.scenario for entry in result.entries} <= drawn


def test_a_browser_runs_the_script_and_nothing_that_was_injected(tmp_path: Path) -> None:
    evil = samples.entry("evil", Verdict.FAIL, title="<img src=x onerror=document.title='owned'>", headline=EVIL)
    source = render_suite_page(samples.suite([samples.entry("latency"), evil, samples.entry("alpha")]))
    dom = load(write(source.replace("</body>", "<script>document.title = 'injected';</script></body>"), tmp_path)).dom
    assert "<title>FAIL: gate</title>" in dom  # neither injected nor owned
    assert ">3 of 3 runs</span>" in dom  # written by the script
    assert '<th scope="col"><button type="button">run</button></th>' in dom


_USE = """
(function () {
  var rows = function () {
    return Array.from(document.querySelectorAll("#table tbody tr")).filter(function (row) { return !row.hidden; })
      .map(function (row) { return row.cells[0].textContent; }).join(" ");
  };
  var said = [rows()];
  var press = function (column) { document.querySelectorAll("#table th button")[column].click(); said.push(rows()); };
  press(0); press(0); press(4); press(1);
  var box = document.querySelector("#controls input[value=PASS]");
  box.checked = false; box.dispatchEvent(new Event("change")); said.push(rows());
  box.checked = true; box.dispatchEvent(new Event("change"));
  var text = document.getElementById("filter");
  text.value = "GAMMA process"; text.dispatchEvent(new Event("input")); said.push(rows());
  said.push(document.getElementById("shown").textContent);
  document.title = said.join("|");
}());
"""


def test_the_table_is_sorted_and_filtered_in_a_browser(tmp_path: Path) -> None:
    entries = [
        samples.entry("beta", wall_ns=9 * S),
        samples.entry("gamma", Verdict.FAIL, wall_ns=100 * S),
        samples.entry("alpha", wall_ns=20 * S),
    ]
    source = render_suite_page(samples.suite(entries))
    allowed = base64.b64encode(hashlib.sha256(_USE.encode()).digest()).decode()
    source = source.replace("script-src ", f"script-src 'sha256-{allowed}' ")
    dom = load(write(source.replace("</body>", f"<script>{_USE}</script></body>"), tmp_path)).dom
    found = re.search("<title>(.*?)</title>", dom)
    assert found is not None
    assert found[1].split("|") == [
        "beta gamma alpha",
        "alpha beta gamma",
        "gamma beta alpha",
        "beta alpha gamma",  # by the time taken, as a number
        "gamma beta alpha",  # by severity
        "gamma",
        "gamma",
        "1 of 3 runs",
    ]


_WIDTHS = """
document.documentElement.setAttribute("data-seen", JSON.stringify({
  width: innerWidth, page: document.documentElement.scrollWidth,
  cells: Array.prototype.every.call(document.querySelectorAll("#table tbody > *, #table tbody td"), function (cell) {
    return cell.getBoundingClientRect().right <= innerWidth;
  }),
  order: [".banner .word", ".banner .sentence", "#controls", "#table"].map(function (name) {
    return document.querySelector(name).getBoundingClientRect().top;
  })
}));
"""


@pytest.mark.parametrize("width", [390, 1400])
def test_the_page_of_a_suite_fits_and_its_console_is_silent(width: int, tmp_path: Path) -> None:
    source = render_suite_page(samples.generated(60))
    assert load(write(source, tmp_path)).console == ()
    seen = probed(source, tmp_path, width, _WIDTHS)
    assert seen["width"] == width
    assert seen["page"] <= width, "nothing but the picture scrolls sideways"
    assert seen["cells"], "every number and headline of the table is visible"
    assert seen["order"] == sorted(seen["order"])

"""The page of a run in a real browser, where there is one: what fits on a phone, the cursor by keyboard, and zoom."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
from support import report_samples as samples
from support.browser import load, probed, write

from harness.report.html import render_report

PROBE = """
var svg = document.querySelector("svg.timeline");
function key(name) { svg.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true })); }
function told() { return document.querySelector(".readout").textContent; }
svg.focus();
var focused = document.activeElement === svg;
key("Home"); var first = told();
key("End"); var last = told();
key("Home"); for (var i = 0; i < 100; i += 1) key("ArrowRight");
var cells = Array.prototype.map.call(document.querySelectorAll("#checks td.num"), function (cell) {
  var box = cell.getBoundingClientRect(); return box.width > 0 && box.left >= 0 && box.right <= innerWidth;
});
document.documentElement.setAttribute("data-seen", JSON.stringify({
  width: innerWidth, page: document.documentElement.scrollWidth, focused: focused, first: first, last: last,
  middle: told(), cursor: document.querySelector(".cursor").getAttribute("d"), cells: cells
}));
"""


ZOOM = """
var svg = document.querySelector("svg.timeline"), bar = document.querySelector(".zoom");
function key(name) { svg.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true })); }
function press(text) {
  Array.prototype.filter.call(bar.querySelectorAll("button"), function (one) { return one.textContent === text; })[0]
    .click();
}
function pointer(kind, x, target) {
  var box = svg.getBoundingClientRect();
  target.dispatchEvent(new PointerEvent(kind, {
    clientX: box.left + x / svg.viewBox.baseVal.width * box.width, clientY: box.top + 40, bubbles: true,
    pointerType: "mouse", button: 0
  }));
}
function look() {
  var visible = Array.prototype.filter.call(svg.querySelectorAll("*"), function (mark) {
    return !mark.closest("[display=none]") && !mark.closest("clipPath");
  });
  function of(test) { return visible.filter(function (mark) { return mark.matches(test); }); }
  var left = Number(svg.dataset.left), right = Number(svg.dataset.right);
  return {
    span: bar.querySelector("span").textContent,
    fault: of("rect.fault").map(function (mark) { return Number(mark.getAttribute("width")); }),
    ticks: of(".tick-label").map(function (mark) { return mark.textContent; }),
    lanes: of("text.lane").length, headings: of("text.heading").length,
    beyond: of("rect").filter(function (mark) {
      var x = Number(mark.getAttribute("x"));
      return x >= left - 1 && x + Number(mark.getAttribute("width")) > right + 1;
    }).length,
    told: document.querySelector(".readout").textContent, markup: svg.innerHTML.length
  };
}
var before = svg.innerHTML, seen = { whole: look() };
pointer("pointerdown", 400, svg); pointer("pointermove", 700, svg); pointer("pointerup", 700, window);
seen.dragged = look();
press("Later"); seen.later = look();
press("Whole run"); seen.again = look();
key("Home"); for (var i = 0; i < 120; i += 1) key("ArrowRight");
key("+"); key("+"); seen.keys = look();
for (i = 0; i < 400; i += 1) key("ArrowRight");
seen.walked = look();
for (i = 0; i < 40; i += 1) key("+");
seen.closest = look();
key("0"); seen.back = look();
document.documentElement.setAttribute("data-seen", JSON.stringify({
  page: document.documentElement.scrollWidth, seen: seen
}));
"""


@pytest.mark.parametrize("width", [390, 1400])
def test_a_page_fits_and_its_cursor_reads_all_plots_by_keyboard(width: int, tmp_path: Path) -> None:
    seen = probed(render_report(samples.failing()), tmp_path, width, PROBE)
    assert seen["width"] == width
    assert seen["page"] <= width, "nothing but the plots scrolls sideways"
    assert seen["cells"]
    assert all(seen["cells"]), "measured and limit are visible"
    assert seen["focused"]
    assert seen["first"] != seen["last"]
    assert "kill-1" in seen["middle"]
    assert re.search(r"sent [\d,.]+", seen["middle"])
    assert seen["cursor"].startswith("M")


def _span_s(seen: dict[str, Any]) -> float:
    low, high = (float(text.replace("−", "-").rstrip("s")) for text in seen["span"].split(" to "))
    return high - low


@pytest.mark.parametrize("width", [390, 1400])
def test_plots_are_zoomed_by_dragging_by_buttons_and_by_keys(width: int, tmp_path: Path) -> None:
    """Names, legends and headings stay; what is beyond the span is gone; the whole run comes back as it was."""
    found = probed(render_report(samples.failing()), tmp_path, width, ZOOM)
    assert found["page"] <= width
    seen = found["seen"]
    whole = seen["whole"]
    assert whole["span"] == ""
    run_s = _span_s(seen["dragged"]) * (1086 - 118) / 300
    assert run_s == pytest.approx(45, rel=0.1), "300 of the picture's 968 pixels were chosen"
    for name in ("dragged", "later", "keys", "walked", "closest"):
        assert seen[name]["span"], name
        assert (seen[name]["lanes"], seen[name]["headings"]) == (whole["lanes"], whole["headings"]), name
        assert seen[name]["beyond"] == 0, name
    assert max(seen["keys"]["fault"], default=0) > max(whole["fault"])
    assert len(seen["dragged"]["ticks"]) >= 4
    assert not set(seen["keys"]["ticks"]) <= set(whole["ticks"]), "finer times than those of the whole run"
    assert _span_s(seen["keys"]) == pytest.approx(run_s / 4, rel=0.01)
    assert _span_s(seen["walked"]) == pytest.approx(run_s / 4, rel=0.01)
    assert seen["walked"]["span"] != seen["keys"]["span"], "the cursor takes the span along"
    assert _span_s(seen["closest"]) == pytest.approx(run_s / 400, rel=0.1)
    for name in ("again", "back"):
        assert {**seen[name], "told": ""} == {**whole, "told": ""} | {"markup": seen[name]["markup"]}, name


FIRST_SCREEN = """
function place(name) {
  var found = document.querySelector(name), box = found && found.getBoundingClientRect();
  return box ? [box.top, box.bottom] : null;
}
var commands = Array.prototype.map.call(document.querySelectorAll("#again code"), function (code) {
  return code.parentNode.scrollWidth <= code.parentNode.clientWidth;
});
document.documentElement.setAttribute("data-seen", JSON.stringify({
  width: innerWidth, height: innerHeight, page: document.documentElement.scrollWidth, commands: commands,
  places: ["header.banner", "#real", "#again", "h1", "nav.contents", "#violations, #weakens"].map(place),
  evidence: Array.prototype.every.call(document.querySelectorAll("#faults td"), function (cell) {
    return cell.getBoundingClientRect().right <= innerWidth;
  })
}));
"""
PAGES = {
    "fail": samples.failing,
    "pass": samples.passing,
    "inconclusive": samples.inconclusive,
    "canary": samples.canary,
    "hostile": samples.hostile,
}


@pytest.mark.parametrize("width", [390, 1400])
@pytest.mark.parametrize("kind", PAGES)
def test_the_first_screen_says_what_broke_whether_it_is_real_and_how_to_see_it_again(
    kind: str, width: int, tmp_path: Path
) -> None:
    """In this order, on one screen of a phone or a desk, with commands that are read whole."""
    seen = probed(render_report(PAGES[kind]()), tmp_path, width, FIRST_SCREEN)
    assert seen["width"] == width
    assert seen["page"] <= width
    places = [place for place in seen["places"] if place is not None]
    assert len(places) >= 5
    assert all(above[1] <= below[0] for above, below in itertools.pairwise(places)), seen["places"]
    assert seen["commands"]
    assert all(seen["commands"]), "no command is cut off"
    assert seen["evidence"]
    if kind != "hostile":  # its texts are as long as texts may be
        assert places[2][1] <= seen["height"], "what is asked first is answered without scrolling"


@pytest.mark.parametrize("kind", PAGES)
def test_the_console_of_a_page_is_silent(kind: str, tmp_path: Path) -> None:
    assert load(write(render_report(PAGES[kind]()), tmp_path)).console == ()


def test_a_console_that_hears_an_error_is_heard(tmp_path: Path) -> None:
    """The policy of a page stops a script that is not its own, and the console says so."""
    page = render_report(samples.passing()).replace("</body>", "<script>document.title = 'x';</script></body>")
    assert any("Content Security Policy" in line for line in load(write(page, tmp_path)).console)

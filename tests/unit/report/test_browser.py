"""The page of a run in a real browser, where there is one: what fits on a phone, and the cursor by keyboard."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import report_samples as samples

from harness.report.html import render_report

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")

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


def _seen(page: str, folder: Path, width: int) -> dict[str, Any]:
    """Return what the probe saw in a page, shown in a frame of a width: a window cannot be as narrow as a phone."""
    probed, changed = re.subn(r"script-src &#39;sha256-[^&]*&#39;", "script-src &#39;unsafe-inline&#39;", page)
    assert changed == 1
    (folder / "page.html").write_text(probed.replace("</body>", f"<script>{PROBE}</script></body>"), encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(
        f"<iframe id='f' src='page.html' style='width:{width}px;height:2000px;border:0'></iframe><script>"
        "document.getElementById('f').onload = function () { document.body.textContent = "
        "this.contentDocument.documentElement.getAttribute('data-seen'); };</script>",
        encoding="utf-8",
    )
    assert BROWSER is not None
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
    words += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=10000", frame.as_uri()]
    done = subprocess.run([BROWSER, *words], capture_output=True, text=True, check=True, timeout=300)
    found = re.search(r"<body>(\{.*\})", done.stdout, re.DOTALL)
    assert found is not None, done.stdout[-500:] + done.stderr[-500:]
    seen: dict[str, Any] = json.loads(html.unescape(found[1].partition("</body>")[0]))
    return seen


@pytest.mark.parametrize("width", [390, 1400])
def test_a_page_fits_and_its_cursor_reads_all_plots_by_keyboard(width: int, tmp_path: Path) -> None:
    seen = _seen(render_report(samples.failing()), tmp_path, width)
    assert seen["width"] == width
    assert seen["page"] <= width, "nothing but the plots scrolls sideways"
    assert seen["cells"]
    assert all(seen["cells"]), "measured and limit are visible"
    assert seen["focused"]
    assert seen["first"] != seen["last"]
    assert "kill-1" in seen["middle"]
    assert re.search(r"sent [\d,.]+", seen["middle"])
    assert seen["cursor"].startswith("M")

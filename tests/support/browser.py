"""A page in a real browser without a window: what it says, what a probe sees in it, and what its console heard."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.required_abilities import skip_or_fail

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_CONSOLE = re.compile(r"\bCONSOLE[:(].*")
_POLICY = re.compile(r"script-src (?:&#39;|')sha256-[^&']*(?:&#39;|')")


@dataclass(frozen=True)
class Loaded:
    """A page after its scripts ran.

    Attributes:
        dom: The document.
        console: Lines that the console heard: errors of scripts, and what the page's policy stopped.
    """

    dom: str
    console: tuple[str, ...]


def load(page: Path) -> Loaded:
    """Return a page as a browser has it; the running test is skipped, or fails, where there is none."""
    browser = next(filter(None, map(shutil.which, _NAMES)), None)
    if browser is None:
        skip_or_fail("browser", "no Chromium on this machine")
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--enable-logging=stderr"]
    words += [f"--user-data-dir={page.parent / 'profile'}", "--virtual-time-budget=10000", "--dump-dom", page.as_uri()]
    done = subprocess.run([browser, *words], capture_output=True, check=True, timeout=300)
    return Loaded(done.stdout.decode(), tuple(_CONSOLE.findall(done.stderr.decode(errors="replace"))))


def write(page: str, folder: Path) -> Path:
    """Write a page into a folder and return its path."""
    path = folder / "page.html"
    path.write_text(page.encode("utf-8", "replace").decode(), encoding="utf-8")
    return path


def probed(page: str, folder: Path, width: int, probe: str) -> dict[str, Any]:
    """Return what a probe saw in a page, shown in a frame of a width: a window cannot be as narrow as a phone.

    The probe is a script that leaves JSON in the attribute ``data-seen`` of the document.
    """
    allowed, changed = _POLICY.subn("script-src 'unsafe-inline'", page)
    assert changed == 1
    write(allowed.replace("</body>", f"<script>{probe}</script></body>"), folder)
    frame = folder / "frame.html"
    frame.write_text(
        f"<iframe id='f' src='page.html' style='width:{width}px;height:844px;border:0'></iframe><script>"
        "document.getElementById('f').onload = function () { document.body.textContent = "
        "this.contentDocument.documentElement.getAttribute('data-seen'); };</script>",
        encoding="utf-8",
    )
    loaded = load(frame)
    found = re.search(r"<body>(\{.*\})", loaded.dom, re.DOTALL)
    assert found is not None, (loaded.dom[-500:], loaded.console)
    seen: dict[str, Any] = json.loads(html.unescape(found[1].partition("</body>")[0]))
    return seen

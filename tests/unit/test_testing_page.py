"""docs/testing.md names every module of broker tests with its tier, and no module that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

from support.tiers import TIERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
ROWS = [row for row in PAGE.partition("## Every proof")[2].splitlines() if row.startswith("| ")][1:]


def test_every_module_of_broker_tests_has_a_row_and_every_row_a_module() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+)`", "\n".join(ROWS)))
    modules = {
        path.relative_to(ROOT).as_posix()
        for folder in ("integration", "conformance", "e2e")
        for path in (ROOT / "tests" / folder).rglob("test_*.py")
    }
    assert named == modules | {"tests/unit/", "tests/property/"}


def test_every_row_names_a_tier() -> None:
    assert ROWS
    for row in ROWS:
        tiers = set(re.findall(r"\w+", row.split("|")[3])) & set(TIERS)
        assert tiers, row


def test_what_is_marked_is_what_the_page_says() -> None:
    """A module whose tests all carry one tier says so in its row, and one that rotates says over how many."""
    for row in ROWS:
        tier = row.split("|")[3]
        for name in re.findall(r"`(tests/[\w/]+\.py)`", row):
            text = (ROOT / name).read_text(encoding="utf-8")
            if marked := re.search(r'^pytestmark = pytest\.mark\.tier\("(\w+)"\)', text, re.MULTILINE):
                assert marked[1] in tier, row
            for over in re.findall(r"rotates over (\d+)", tier):
                assert f"rotates({over})" in text, row

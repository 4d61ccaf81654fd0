"""docs/checks.md says everything that the registered checks say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.checks.base import CHECKS, metric_name, metrics

PAGE = (Path(__file__).parents[3] / "docs" / "checks.md").read_text(encoding="utf-8")


def _section(name: str) -> str:
    """Return a check's section on one line."""
    match = re.search(rf"^## {name}$(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL)
    assert match is not None, f"docs/checks.md has no section {name}"
    return " ".join(match[1].split())


@pytest.mark.parametrize("name", CHECKS.names())
def test_guarantee_stands_in_the_section_word_for_word(name: str) -> None:
    assert f"**Guarantee.** {CHECKS.get(name).guarantee}" in _section(name)


@pytest.mark.parametrize("name", CHECKS.names())
def test_every_finding_type_stands_in_the_section(name: str) -> None:
    assert [kind for kind in CHECKS.get(name).findings if f"`{kind}`" not in _section(name)] == []


@pytest.mark.parametrize("name", CHECKS.names())
def test_every_metric_stands_in_the_section_and_in_the_table(name: str) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
    limits = CHECKS.get(name).limits
    for metric in metrics(limits):
        word = f"`{metric_name(limits, metric)}`"
        assert word in row
        assert word in _section(name) or name == "latency"


@pytest.mark.parametrize("name", CHECKS.names())
def test_blind_spots_and_the_name_in_jepsen_are_told(name: str) -> None:
    assert "**Blind spots.**" in _section(name)
    assert "**Jepsen.**" in _section(name)


def test_no_section_tells_of_a_check_that_does_not_exist() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `", PAGE, re.MULTILINE)
    sections = re.findall(r"^## (\w+)$", PAGE, re.MULTILINE)
    assert set(CHECKS.names()) == set(sections)
    assert set(CHECKS.names()) == {row for row in rows if row in sections}

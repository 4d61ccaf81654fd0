"""Every path of a scenario is found where it is written, and every fault of a plan by its id."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import Location
from harness.scenario.expand import variants
from harness.scenario.load import load_file
from harness.scenario.locations import locations, nearest_location
from harness.session.vocabulary import vocabulary

SCENARIOS = sorted((Path(__file__).parents[3] / "scenarios").rglob("*.yaml"))

TEXT = """\
version: 1
matrix:
  expect.stall.pause_max: [6s, 9s]
  broker: [a, b]
faults:
  - {latency: {add: 5ms}, at: 1s, for: 2s}
  - kill: {}
    id: first-kill
    at: 3s
expect:
  loss:
    messages_max: 0
  stall: {}
"""


def _at(path: str) -> tuple[int, int] | None:
    found = nearest_location(locations(TEXT, "x.yaml"), path)
    return None if found is None else (found.line, found.column)


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("expect.loss.messages_max", (12, 5)),
        ("expect.loss.other_max", (11, 3)),
        ("expect.stall.pause_max", (3, 3)),
        ("expect.order", (10, 1)),
        ("broker", (4, 3)),
        ("faults.latency-1", (6, 5)),
        ("faults.first-kill", (7, 5)),
        ("faults.1", (7, 5)),
        ("faults.unknown", (5, 1)),
        ("must_fail", None),
        ("", None),
    ],
)
def test_a_path_is_found_or_its_closest_parent(path: str, at: tuple[int, int] | None) -> None:
    assert _at(path) == at


@pytest.mark.parametrize("text", ["", "a: [", "- 1", "a: 1\n---\nb: 2", "\x00"])
def test_a_text_that_is_no_scenario_has_no_places(text: str) -> None:
    assert locations(text, "x.yaml") == {}


def test_the_file_is_named_as_asked() -> None:
    assert locations(TEXT, "sub/x.yaml")["expect"] == Location("sub/x.yaml", 10, 1)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_fault_and_limit_of_every_scenario_is_found(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    known, lines = locations(text, str(path)), text.splitlines()
    for variant in variants(load_file(path, vocabulary())):
        for fault in variant.faults:
            at = known[f"faults.{fault.id}"]
            assert any(fault.kind in line for line in lines[at.line - 1 : at.line + 6])
        for expected in variant.expect:
            at = known[f"expect.{expected.check}"]
            assert expected.check in lines[at.line - 1]

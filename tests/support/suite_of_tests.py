"""One suite for many tests: whatever the collected tests want run is run side by side, once, before the first of them.

A test names its run by its parameter ``wanted``; what all of them want is read from the collected tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.made_again import record_entries
from support.slots import slot, whole_machine

from harness.progress import Note, SuiteEvent, SuiteRunEnded
from harness.session.selection import select
from harness.suite_result import SuiteEntry
from harness.suites.budget import machine_budget
from harness.suites.cost import CostBook
from harness.suites.item import items_of
from harness.suites.launch import Means, new_head, start
from harness.suites.place import Place
from harness.suites.rules import Rules
from harness.suites.state import SuiteDir


@dataclass(frozen=True, slots=True)
class Wanted:
    """One run that a test wants.

    Attributes:
        scenario: Its file, below ``scenarios/``.
        runtime: ``process`` or ``docker``.
        sabotaged: With the settings spoilt that its broker's profile names.
    """

    scenario: Path
    runtime: str
    sabotaged: bool = False

    def __str__(self) -> str:
        return f"{self.scenario}-{self.runtime}"


class SuiteRuns:
    """What came of the runs of a suite.

    Args:
        entries: Of each run that was wanted.
        folder: Where ``suite.json`` lies.
    """

    def __init__(self, entries: Mapping[Wanted, list[SuiteEntry]], folder: Path) -> None:
        self._entries, self._folder = entries, folder

    def entries(self, wanted: Wanted) -> list[SuiteEntry]:
        """Return the entries of one: a single one, or as many as its race took."""
        return [entry for entry in self._entries[wanted] if entry.state != "not needed"]

    def result(self, entry: SuiteEntry) -> dict[str, Any]:
        """Return the ``result.json`` of an entry's run."""
        text = (self._folder / entry.run_dir / "result.json").read_text(encoding="utf-8")
        found: dict[str, Any] = json.loads(text)
        return found


def wanted_by(items: Iterable[pytest.Item]) -> list[Wanted]:
    """Return every run that the collected tests want, each once, in their order."""
    params = (item.callspec.params.get("wanted") for item in items if hasattr(item, "callspec"))
    return list(dict.fromkeys(wanted for wanted in params if isinstance(wanted, Wanted)))


def run_together(files: Mapping[Wanted, Path], folder: Path, say: Callable[[str], None]) -> SuiteRuns:
    """Run everything as one suite within this machine's budget.

    Args:
        files: What is wanted, with the file that is run.
        folder: Of the suite's directory and its costs.
        say: Hears of every end, one line each.
    """
    book = CostBook(folder / "costs.json")
    places = {
        wanted: [
            Place.new(item, wanted.runtime, book.cost(item.plan, wanted.runtime))
            for item in items_of(select([file]), [wanted.runtime], 1)
        ]
        for wanted, file in files.items()
    }
    suite = SuiteDir.create(folder, "tests")

    def hear(event: SuiteEvent) -> None:
        if isinstance(event, SuiteRunEnded):
            entry = event.entry
            again = f"; to be made again: {event.again}" if event.again else ""
            said = entry.headline or entry.reason
            say(f"{event.label} ({entry.runtime}, {entry.wall_ns / 1e9:.0f} s): {said}{again}")
        elif isinstance(event, Note) and event.warning:
            say(event.text)

    every = [place for some in places.values() for place in some]
    with slot(whole_machine()):
        means = Means(budget=machine_budget(None, None, folder), costs=book, listener=hear)
        result = start(every, suite, new_head(suite, "tests"), Rules(), means)
    record_entries(result.entries)
    say(f"{len(every)} runs in {result.wall_ns / 1e9:.0f} s, {result.cpu_busy:.0%} of {result.cores:g} cores in use")
    return SuiteRuns({wanted: [place.entry for place in some] for wanted, some in places.items()}, suite.path)

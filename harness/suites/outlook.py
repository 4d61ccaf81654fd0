"""What a suite says of what lies ahead: when it begins, and after every change.

Owns these two events. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from harness.progress import SuiteForecast, SuiteStarted
from harness.suite_result import Cost
from harness.suites.budget import Budget
from harness.suites.forecast import left_ns
from harness.suites.places import Places

_SHOWN_MAX: Final = 3


def announcement(name: str, folder: Path, places: Places, budget: Budget) -> SuiteStarted:
    """Return how much there is to do, before anything runs; ``folder`` is the suite's."""
    entries = places.entries()
    return SuiteStarted(
        name=name,
        suite_dir=str(folder),
        total=len(entries),
        kept=sum(entry.state != "missing" for entry in entries),
        expected_ns=left_ns([place.cost for place in places.startable()], [], [], budget),
        cores=budget.cores,
        memory_bytes=budget.memory_bytes,
    )


def outlook(places: Places, running: Sequence[Cost], budget: Budget) -> SuiteForecast:
    """Return what is left; ``running`` is what runs, with what is expected to be left of each."""
    waiting, again = places.waiting(), places.to_make_again()
    return SuiteForecast(
        waiting=len(waiting) + len(again),
        next_labels=tuple(place.label for place in (*waiting, *again)[:_SHOWN_MAX]),
        left_ns=left_ns([place.cost for place in waiting], [place.cost for place in again], running, budget),
    )

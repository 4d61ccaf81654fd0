"""What a suite knows of one of its entries while it goes on. Knows no process and no schedule."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, Literal

from harness.errors import ExitCode
from harness.suite_result import AgainCause, Cost, MadeAgain, SuiteEntry
from harness.suites.item import SuiteItem, missing_entry
from harness.suites.messages import Ended

NOT_ENDED: Final = "it had not ended when this was written"
RUNS: Final = "runs"
"""Folder of the run directories, next to ``suite.json``."""


@dataclass(slots=True, kw_only=True)
class Place:
    """One entry and what it still needs.

    Attributes:
        item: What is to be made; None when it ended in an earlier session and its plan is not needed any more.
        runtime: Where it runs: ``process`` or ``docker``.
        cost: What the schedule reckons with.
        entry: As ``suite.json`` shows it.
        state: ``waits``, ``runs``, ``again`` (it waits to be made again, alone) or ``done``.
        first: The entry of its first execution, while it is to be made again.
        neighbours: How many other runs went on with it, at one time at most.
    """

    item: SuiteItem | None
    runtime: str
    cost: Cost
    entry: SuiteEntry
    state: Literal["waits", "runs", "again", "done"] = "waits"
    first: SuiteEntry | None = None
    neighbours: int = 0

    @property
    def needed_item(self) -> SuiteItem:
        """What is to be made, of a place that is not done."""
        assert self.item is not None
        return self.item

    @property
    def label(self) -> str:
        """A short name for people."""
        variant = ", ".join(f"{path}={value}" for path, value in self.entry.variant.items())
        return f"{self.entry.scenario}{f' [{variant}]' if variant else ''}"

    @staticmethod
    def new(item: SuiteItem, runtime: str, cost: Cost) -> Place:
        """Return the place of an execution that was never begun."""
        return Place(item=item, runtime=runtime, cost=cost, entry=missing_entry(item, cost, NOT_ENDED))

    @staticmethod
    def done(entry: SuiteEntry, item: SuiteItem | None) -> Place:
        """Return the place of an execution that ended, or was not needed, in an earlier session."""
        return Place(item=item, runtime=entry.runtime, cost=entry.expected, entry=entry, state="done")

    def to_be_made_again(self, made_again: MadeAgain) -> None:
        """Take from an earlier session that its first execution was inconclusive, and is to be made again."""
        self.state = "again"
        self.entry = dataclasses.replace(self.entry, reason=_again(made_again.cause), made_again=made_again)

    def begin(self, began_ns: int) -> None:
        """Take that its run begins now; ``began_ns`` counts from the start of the suite."""
        self.state, self.neighbours = "runs", 0
        self.entry = dataclasses.replace(self.entry, began_ns=began_ns)

    def end(self, ended: Ended, *, began_ns: int) -> str:
        """Take what came of its run; return why it is to be made again, empty when it is not."""
        entry = dataclasses.replace(
            self.entry,
            state="ended",
            reason="",
            runtime=self.runtime,
            run_id=ended.run_id,
            run_dir=f"{RUNS}/{ended.run_dir}" if ended.run_dir else "",
            verdict=ended.verdict,
            outcome=ended.outcome,
            exit_code=ended.exit_code,
            headline=ended.headline,
            blocking=ended.blocking,
            reproduce=ended.reproduce,
            versions=ended.versions,
            failed=ended.failed,
            began_ns=began_ns,
            wall_ns=ended.wall_ns,
            usage=ended.usage,
            neighbours_max=self.neighbours,
        )
        self.state = "done"
        if ended.lost:
            self.entry = dataclasses.replace(
                self.entry,
                reason=ended.error,
                exit_code=ended.exit_code,
                run_id="-".join(ended.run_dir.split("-")[:3]),
                run_dir=entry.run_dir,
            )
        elif ended.error == "interrupted" and ended.exit_code != ExitCode.VIOLATED:  # what was proven before stands
            self.entry = dataclasses.replace(
                entry, state="missing", reason="it was interrupted", exit_code=ExitCode.INTERRUPTED
            )
        elif ended.again is not None and entry.made_again is None:
            self.state, self.first = "again", entry
            self.entry = dataclasses.replace(
                missing_entry(self.needed_item, self.cost, _again(ended.again)),
                made_again=MadeAgain(
                    cause=ended.again,
                    detail=ended.detail,
                    run_id=entry.run_id,
                    run_dir=entry.run_dir,
                    headline=entry.headline,
                    began_ns=began_ns,
                    wall_ns=entry.wall_ns,
                ),
            )
            return ended.again
        else:
            self.entry = entry
        return ""

    def not_needed(self, reason: str) -> None:
        """Take that its race was decided before."""
        self.entry, self.state = dataclasses.replace(self.entry, state="not needed", reason=reason), "done"

    def give_up(self, reason: str, exit_code: ExitCode) -> None:
        """Take that it will not be begun in this session; what its first execution found counts, if there was one.

        Of a suite that was interrupted it does not: the suite can be resumed, and makes it again then.
        """
        self.state = "done"
        if self.first is not None and exit_code != ExitCode.INTERRUPTED:
            self.entry = self.first
        else:
            self.entry = dataclasses.replace(self.entry, reason=reason, exit_code=exit_code)


def _again(cause: AgainCause) -> str:
    return f"it is to be made again, because of {cause}"

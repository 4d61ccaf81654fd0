"""One place of a suite: which plan, where, and which repetition. Knows nothing of how it is run or scheduled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from harness.errors import UsageError
from harness.scenario.model import Plan
from harness.scenario.plan import variant_label
from harness.session.fields import posix_file
from harness.session.races import runs_of
from harness.session.selection import Selected
from harness.suite_result import Cost, SuiteEntry

RUNS_MAX: Final = 10_000
"""Of a suite, whose result is one document; a run of the shortest takes 2 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteItem:
    """One execution that a suite is to make.

    Attributes:
        selected: The plan, with the text that it was made from; shared by its repetitions.
        runtime: As asked for: ``process``, ``docker`` or ``auto``.
        repetition: From 1.
    """

    selected: Selected
    runtime: str
    repetition: int

    @property
    def plan(self) -> Plan:
        """The plan."""
        return self.selected.plan

    @property
    def file(self) -> str:
        """The scenario's file with ``/``, relative to the working directory where it lies below."""
        return posix_file(self.plan.file)

    @property
    def key(self) -> str:
        """``<file>[<variant>]@<runtime>#<repetition>``: unique in a suite and the same on every machine."""
        return f"{self.base}#{self.repetition}"

    @property
    def base(self) -> str:
        """The key without the repetition."""
        label = variant_label(self.plan)
        return f"{self.file}{f'[{label}]' if label else ''}@{self.runtime}"


def items_of(selected: Iterable[Selected], runtimes: Sequence[str], repeat: int) -> list[SuiteItem]:
    """Return every execution of plans, in each runtime ``repeat`` times, or as often as a race's attempts say.

    The larger number counts. A plan that was selected twice counts once.

    Raises:
        UsageError: There are more than ``RUNS_MAX``.
    """
    return repeated(firsts_of(selected, runtimes), repeat)


def firsts_of(selected: Iterable[Selected], runtimes: Sequence[str]) -> list[SuiteItem]:
    """Return the first execution of each plan in each runtime."""
    return [SuiteItem(selected=one, runtime=runtime, repetition=1) for one in selected for runtime in runtimes]


def repeated(firsts: Sequence[SuiteItem], repeat: int) -> list[SuiteItem]:
    """Return every execution of which these are the first; see ``items_of``."""
    total = sum(runs_of(first.plan, repeat) for first in firsts)
    if total > RUNS_MAX:
        raise UsageError(
            f"a suite has at most {RUNS_MAX:,} runs, and these are {total:,}", hint="repeat them less often"
        )
    found: dict[str, SuiteItem] = {}
    for first in firsts:
        for repetition in range(1, runs_of(first.plan, repeat) + 1):
            item = replace(first, repetition=repetition)
            found.setdefault(item.key, item)
    return list(found.values())


def missing_entry(item: SuiteItem, cost: Cost, reason: str) -> SuiteEntry:
    """Return the entry of an execution that has not ended."""
    plan = item.plan
    return SuiteEntry(
        key=item.key,
        scenario=plan.scenario,
        title=plan.title,
        file=item.file,
        tags=plan.tags,
        variant=plan.variant,
        seed=plan.seed,
        digest=plan.digest,
        broker=plan.broker,
        must_fail=plan.must_fail,
        runtime=item.runtime,
        repetition=item.repetition,
        attempts=(plan.attempts.runs, plan.attempts.at_least) if plan.attempts is not None else None,
        state="missing",
        reason=reason,
        expected=cost,
    )

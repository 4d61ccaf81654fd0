"""What is compared of a run: its plan, the conditions it ran under, and its measures.

Owns when two runs ran under the same conditions. Must never know by which rule measures are compared.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from harness.result import RunResult
from harness.suites.rows import SuitePlace, rows_of
from harness.suites.store import Store
from harness.suites.tables import CHECKS_TABLE, MEASURES, RUNS, VERSIONS
from harness.verdict import Verdict

BUSY_APART: Final = 0.25
"""Two runs ran under the same CPU pressure when the busy shares of their machines differ by at most this."""

_UNITS: Final = frozenset({"ns", "per_s"})
"""Times and rates are compared; counts and ratios are what checks have limits for."""


@dataclass(frozen=True, slots=True)
class ComparedMeasure:
    """One measure: its value, unit, which way is worse, and up to which difference nothing is said."""

    value: float
    unit: str
    worse: str
    resolution: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """One run, as far as it is compared; see ``tables.RUNS`` for the fields of the same name.

    Attributes:
        night: The suite that made it, else the run itself: what counts as one observation.
        versions: (software, version), sorted.
        busy: Share of its machine's CPUs in use; None when not known.
        passed: Its outcome is a pass.
        canary: It must fail.
        measures: (check, measure) → its value; only times and rates that have a limit, of checks that examined
            something.
    """

    run_id: str
    night: str
    started: str
    scenario: str
    variant: str
    runtime: str
    digest: str
    harness: str
    versions: tuple[tuple[str, str], ...]
    packing: str
    cores: float | None
    busy: float | None
    passed: bool
    canary: bool
    race: bool
    counts: bool
    regressed: bool
    measures: Mapping[tuple[str, str], ComparedMeasure]


def of_result(result: RunResult, place: SuitePlace) -> ComparedRun:
    """Return what is compared of a run that has just ended; derived from the rows that the store would keep."""
    rows: dict[str, list[Mapping[str, Any]]] = {table.name: [] for table in (RUNS, VERSIONS, CHECKS_TABLE, MEASURES)}
    for table, row in rows_of(result, place, ""):
        if table.name in rows:
            rows[table.name].append(row)
    return _compared(rows["runs"][0], rows["versions"], rows["checks"], rows["measures"])


def of_plan(store: Store, digest: str, runtime: str) -> Iterator[ComparedRun]:
    """Yield the stored runs of a plan, the latest first, one at a time."""
    found = store.select(
        "SELECT * FROM runs WHERE digest = ? AND runtime = ? ORDER BY started DESC, run_id DESC", (digest, runtime)
    )
    for run in found:
        parts = [
            [dict(row) for row in store.select(f"SELECT * FROM {table.name} WHERE run_id = ?", (run["run_id"],))]  # noqa: S608
            for table in (VERSIONS, CHECKS_TABLE, MEASURES)
        ]
        yield _compared(dict(run), *parts)


def unlike(run: ComparedRun, sample: Sequence[ComparedRun]) -> str:
    """Return why a stored run cannot be compared with a suite's runs of the same plan; empty when it can.

    Args:
        run: The stored one.
        sample: Runs under one set of conditions, at least one.
    """
    first = sample[0]
    if not run.passed:
        return "did not pass"
    if run.regressed:
        return "had regressed itself, which was not accepted"
    if major(run.harness) != major(first.harness):
        return "was judged by another major version of the harness"
    if run.versions != first.versions:
        ours = dict(first.versions)
        others = [f"{name} {version}" for name, version in run.versions if ours.get(name) != version]
        return f"had other versions ({', '.join(others) or 'fewer of them are recorded'})"
    if run.cores != first.cores:
        return f"had {_cores(run.cores)}, this suite {_cores(first.cores)}"
    if run.packing != first.packing:
        return f"ran {_PACKED[run.packing]}, this suite's {_PACKED[first.packing]}"
    known = sorted(item.busy for item in sample if item.busy is not None)
    if (run.busy is None) != (not known):
        return "has another record of how busy its machine was"
    if run.busy is not None and abs(run.busy - known[len(known) // 2]) > BUSY_APART:
        return f"ran under another CPU pressure (this suite's machine was {known[len(known) // 2]:.0%} busy)"
    return ""


_PACKED: Final = {"alone": "alone", "packed": "next to others", "unknown": "next to an unknown number of others"}


def major(version: str) -> str:
    """Return the major part of a version; empty of an empty one."""
    return version.partition(".")[0]


def _cores(cores: float | None) -> str:
    return "an unknown number of CPUs" if cores is None else f"{cores:g} CPUs"


def _compared(
    run: Mapping[str, Any],
    versions: Iterable[Mapping[str, Any]],
    checks: Iterable[Mapping[str, Any]],
    measures: Iterable[Mapping[str, Any]],
) -> ComparedRun:
    examined = {row["check_name"] for row in checks if row["examined"]}
    return ComparedRun(
        run_id=run["run_id"],
        night=run["suite_id"] or run["run_id"],
        started=run["started"],
        scenario=run["scenario"],
        variant=run["variant"],
        runtime=run["runtime"],
        digest=run["digest"],
        harness=run["harness"],
        versions=tuple(sorted((row["software"], row["version"]) for row in versions)),
        packing=run["packing"],
        cores=run["machine_cores"],
        busy=run["machine_busy"],
        passed=run["outcome"] == Verdict.PASS.value,
        canary=run["must_fail"] != "[]",
        race=bool(run["race"]),
        counts=bool(run["counts"]),
        regressed=bool(run["regressed"]),
        measures={
            (row["check_name"], row["measure"]): ComparedMeasure(
                row["value"], row["unit"], row["worse"], row["resolution"]
            )
            for row in measures
            if row["unit"] in _UNITS and row["value"] is not None and row["check_name"] in examined
        },
    )


def by_night(runs: Iterable[ComparedRun]) -> list[list[ComparedRun]]:
    """Return runs in groups of one night each, in the order in which the nights first appear."""
    nights: dict[str, list[ComparedRun]] = {}
    for run in runs:
        nights.setdefault(run.night, []).append(run)
    return list(nights.values())


def most_alike(runs: Sequence[ComparedRun]) -> list[ComparedRun]:
    """Return the largest group of a suite's runs of one plan that ran under the same conditions.

    A repetition that was made again ran alone while the others were packed: it is not mixed with them.
    """
    groups = [list(group) for _, group in itertools.groupby(sorted(runs, key=_conditions), key=_conditions)]
    return max(groups, key=len)


def _conditions(run: ComparedRun) -> tuple[str, ...]:
    return (major(run.harness), repr(run.versions), repr(run.cores), run.packing)

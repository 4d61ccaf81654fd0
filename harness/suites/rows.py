"""From a run's result to the rows that the store keeps of it.

Owns what is left out: plots, operations of findings, and findings beyond the first 100 of a check. Must never read or
write the store.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from harness.checks.base import CHECKS
from harness.checks.measures import MeasureKind, measure_kinds
from harness.result import RunResult
from harness.suites.tables import (
    CHECKS_TABLE,
    COUNTS,
    CPU,
    EVIDENCE,
    FAULTS_TABLE,
    FINDINGS,
    LIMITS,
    MEASURES,
    RUNS,
    TIMINGS,
    VERSIONS,
    StoreTable,
)
from harness.verdict import CheckResult

FINDINGS_MAX: Final = 100
_INTEGER_MAX: Final = 2**63 - 1

Packing = Literal["alone", "packed", "unknown"]
Value = str | int | float | None
Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuitePlace:
    """Where a run belongs in its suite; what its own result does not say.

    Attributes:
        suite_id, suite: The suite's execution and its name.
        entry: The key of its place.
        packing: Whether other runs of the suite went on meanwhile.
        counts: False for an execution that was made again.
        made_again: Why it was made again; empty when it was not.
        race: Its plan has ``attempts``.
        regressed: It was worse than the baseline of its suite.
    """

    suite_id: str = ""
    suite: str = ""
    entry: str = ""
    packing: Packing = "unknown"
    counts: bool = True
    made_again: str = ""
    race: bool = False
    regressed: bool = False


NO_SUITE: Final = SuitePlace()


def rows_of(result: RunResult, place: SuitePlace, added: str) -> Iterator[tuple[StoreTable, Row]]:
    """Yield each row with its table; the run itself first."""
    yield RUNS, _run(result, place, added)
    run = {"run_id": result.run_id}
    for software, version in result.versions.items():
        yield VERSIONS, {**run, "software": software, "version": version}
    for check in result.checks:
        yield from ((table, {**run, **row}) for table, row in _check(check, result.zero_ns))
    for fault in result.faults:
        yield (
            FAULTS_TABLE,
            {
                **run,
                "fault": fault.id,
                "kind": fault.kind,
                "description": fault.description,
                "targets": _json(fault.targets),
                "planned_at_ns": fault.planned_at_ns,
                "planned_until_ns": fault.planned_until_ns,
                "applied_at_ns": fault.applied_at_ns,
                "healed_at_ns": fault.healed_at_ns,
                "lateness_ns": fault.lateness_ns,
                "proven": int(fault.proven),
            },
        )
        for number, item in enumerate(fault.evidence, 1):
            yield (
                EVIDENCE,
                {
                    **run,
                    "fault": fault.id,
                    "number": number,
                    "stage": item.stage,
                    "target": item.target,
                    "probe": item.probe,
                    "proven": int(item.proven),
                    "observed": item.observed,
                    "required": item.required,
                },
            )
    for part, cpu_ns in (result.usage.cpu_ns if result.usage is not None else {}).items():
        yield CPU, {**run, "part": part, "cpu_ns": cpu_ns}
    for name, value in result.counts.items():
        yield COUNTS, {**run, "name": name, "value": value}
    for name, length_ns in result.timings_ns.items():
        yield TIMINGS, {**run, "name": name, "ns": length_ns}


def _run(result: RunResult, place: SuitePlace, added: str) -> Row:
    usage = result.usage
    return {
        "run_id": result.run_id,
        "started": result.started_wall,
        "suite_id": place.suite_id,
        "suite": place.suite,
        "entry": place.entry,
        "counts": int(place.counts),
        "made_again": place.made_again,
        "race": int(place.race),
        "regressed": int(place.regressed),
        "packing": place.packing,
        "scenario": result.scenario,
        "title": result.title,
        "file": result.file,
        "variant": _json(result.variant),
        "seed": result.seed,
        "digest": result.digest,
        "broker": result.broker,
        "runtime": result.runtime,
        "harness": result.harness,
        "verdict": result.verdict.value,
        "outcome": result.outcome.value,
        "exit_code": int(result.exit_code),
        "must_fail": _json(result.must_fail),
        "headline": result.headline,
        "blocking": _json(result.blocking),
        "error": result.error,
        "wall_ns": usage.wall_ns if usage is not None else result.timings_ns.get("total"),
        "cpu_ns": sum(usage.cpu_ns.values()) if usage is not None else None,
        "memory_peak_bytes": usage.memory_peak_bytes if usage is not None else None,
        "machine_cores": usage.machine_cores if usage is not None else None,
        "machine_busy": usage.machine_busy if usage is not None and usage.machine_busy >= 0 else None,
        "reproduce": result.reproduce,
        "run_dir": result.run_dir,
        "added": added,
    }


def _check(check: CheckResult, zero_ns: int | None) -> Iterator[tuple[StoreTable, Row]]:
    name = {"check_name": check.check}
    yield (
        CHECKS_TABLE,
        {
            **name,
            "verdict": check.verdict.value,
            "expected": int(check.expected),
            "examined": int(check.examined),
            "examined_unit": check.examined_unit,
            "findings": len(check.findings),
        },
    )
    for limit in check.limits:
        yield (
            LIMITS,
            {
                **name,
                "metric": limit.metric,
                "bound": _real(limit.limit),
                "measured": _real(limit.measured),
                "unit": limit.unit,
                "verdict": limit.verdict.value,
                "origin": limit.origin,
            },
        )
    kinds = _kinds(check.check)
    for measure, value in check.measures.items():
        kind = kinds.get(measure)
        yield (
            MEASURES,
            {
                **name,
                "measure": measure,
                "value": _real(value),
                "unit": kind.unit if kind is not None else "",
                "worse": kind.worse if kind is not None else "",
                "resolution": kind.resolution if kind is not None else None,
            },
        )
    for number, finding in enumerate(check.findings[:FINDINGS_MAX], 1):
        yield (
            FINDINGS,
            {
                **name,
                "number": number,
                "type": finding.type,
                "message": finding.message,
                "metric": finding.metric,
                "amount": _real(finding.amount),
                "partition_number": finding.partition,
                "start_ns": finding.start_ns - zero_ns if zero_ns is not None else None,
                "end_ns": finding.end_ns - zero_ns if zero_ns is not None else None,
                "faults": _json(finding.faults),
                "caused_by": _json(finding.at_fault),
                "affected": _json(finding.paid),
            },
        )


def _kinds(check: str) -> Mapping[str, MeasureKind]:
    """Return what is known of a check's measures; nothing when it is not installed here (a third party's)."""
    return measure_kinds(CHECKS.get(check).limits) if check in CHECKS.names() else {}


def _real(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _json(value: Any) -> str:
    return json.dumps(value if isinstance(value, Mapping) else list(value), sort_keys=True, ensure_ascii=False)


def storable(value: Value) -> bool:
    """Return whether SQLite can hold a value; its integers have 64 bits."""
    return not isinstance(value, int) or -_INTEGER_MAX - 1 <= value <= _INTEGER_MAX

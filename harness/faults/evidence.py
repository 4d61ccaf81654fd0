"""Readings that several faults base their evidence on: round trips before, during and after."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.clock import NS_PER_S
from harness.faults.base import Evidence, FaultContext, Sample, Stage
from harness.runtime.base import Identity
from harness.units import format_ns

SAMPLES_MIN = 3
BASELINE_NS = 5 * NS_PER_S


@dataclass(slots=True, kw_only=True)
class Acting:
    """When a fault acted, monotonic; 0 or None = not yet.

    Attributes:
        applied_ns: It began to be applied.
        acting_ns: It was in force everywhere.
        heal_ns: It began to be healed.
        healed_ns: It was healed everywhere.
    """

    applied_ns: int = 0
    acting_ns: int = 0
    heal_ns: int | None = None
    healed_ns: int = 0


def median_ns(samples: Sequence[Sample]) -> int | None:
    """Return the median length of the successful round trips; None when there are fewer than ``SAMPLES_MIN``."""
    lengths = [sample.length_ns for sample in samples if sample.ok]
    return round(statistics.median(lengths)) if len(lengths) >= SAMPLES_MIN else None


def baseline(context: FaultContext, target: str, applied_ns: int) -> Sequence[Sample]:
    """Return the target's round trips of the last seconds before the fault."""
    return context.probes.samples(target, applied_ns - BASELINE_NS, applied_ns)


def slowed(
    context: FaultContext, target: str, applied_ns: int, until_ns: int | None, least_ns: int, through: str = ""
) -> Evidence:
    """Judge whether round trips got longer by at least ``least_ns``; ``through``: the channel of the link, by its probe."""
    before = median_ns(baseline(context, through or target, applied_ns))
    during = median_ns(context.probes.samples(through or target, applied_ns, until_ns))
    required = f"median round trip at least {format_ns(least_ns)} longer than before"
    return Evidence(
        stage="effect",
        target=target,
        probe=_round_trip(through or "the link"),
        proven=before is not None and during is not None and during - before >= least_ns,
        observed=f"before {shown(before)}, during {shown(during)}",
        required=required,
    )


def recovered(
    context: FaultContext, target: str, applied_ns: int, healed_ns: int, tolerance_ns: int, through: str = ""
) -> Evidence:
    """Judge whether the last round trips after healing are as short as before, within ``tolerance_ns``."""
    before = median_ns(baseline(context, through or target, applied_ns))
    after = median_ns(context.probes.samples(through or target, healed_ns)[-5:])
    return Evidence(
        stage="healing",
        target=target,
        probe=_round_trip(through),
        proven=before is not None and after is not None and after - before <= tolerance_ns,
        observed=f"before {shown(before)}, after {shown(after)}",
        required=f"median round trip within {format_ns(tolerance_ns)} of before",
    )


def interrupted(context: FaultContext, target: str, since_ns: int, until_ns: int | None, through: str = "") -> Evidence:
    """Judge whether at least one round trip failed."""
    samples = context.probes.samples(through or target, since_ns, until_ns)
    failed = sum(not sample.ok for sample in samples)
    return Evidence(
        stage="effect",
        target=target,
        probe=_round_trip(through),
        proven=failed > 0,
        observed=f"{failed} of {len(samples)} failed",
        required="at least one fails",
    )


def reachable(context: FaultContext, target: str, healed_ns: int, through: str = "") -> Evidence:
    """Judge whether the last three round trips after healing succeeded."""
    samples = context.probes.samples(through or target, healed_ns)[-SAMPLES_MIN:]
    succeeded = sum(sample.ok for sample in samples)
    return Evidence(
        stage="healing",
        target=target,
        probe=_round_trip(through),
        proven=len(samples) == SAMPLES_MIN and succeeded == SAMPLES_MIN,
        observed=f"{succeeded} of the last {len(samples)} succeeded",
        required=f"the last {SAMPLES_MIN} succeed",
    )


def running(context: FaultContext, worker: str, before: Identity | None, stage: Stage = "healing") -> Evidence:
    """Judge whether a process other than ``before`` runs as this worker and said that it is connected."""
    now, ready = context.workers[worker].identity(), context.workers[worker].ready
    shown = "no process" if now is None else f"pid {now.pid}, {'connected' if ready else 'not connected'}"
    return Evidence(
        stage=stage,
        target=worker,
        probe="process table and the worker's word",
        proven=now is not None and now != before and ready,
        observed=shown,
        required="another process runs and is connected" if before is not None else "a process runs and is connected",
    )


def sentence(stage: Stage, target: str, probe: str, proven: bool, observed: str, required: str) -> Evidence:
    """Return evidence from plain values."""
    return Evidence(stage=stage, target=target, probe=probe, proven=proven, observed=observed, required=required)


def shown(value_ns: int | None) -> str:
    """Return a median in words."""
    return "too few round trips" if value_ns is None else format_ns(value_ns)


def _round_trip(through: str) -> str:
    return f"round trip through {through}" if through else "round trip"

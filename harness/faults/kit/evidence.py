"""Readings that several faults base their evidence on: round trips before, during and after."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence

from harness.clock import NS_PER_S
from harness.faults.base import Evidence, FaultContext, Sample, Stage
from harness.faults.kit import apart
from harness.faults.kit.lifetime import BASELINE_NS
from harness.history.record import Break
from harness.result import Lack
from harness.runtime.base import Identity
from harness.units import format_ns
from harness.workload.pace import BULK_NS, PROBE_NS

SAMPLES_MIN = 3
ANSWER_NS = NS_PER_S
"""For so long it waits for the answer."""
SILENCE_NS = PROBE_NS + ANSWER_NS
"""A target must be silent for so long for one round trip, begun in it, to fail."""
_UNDER_WAY_NS = 2 * NS_PER_S
"""Longer than a probe waits for its answer."""


def median_ns(samples: Sequence[Sample]) -> int | None:
    """Return the median length of the successful round trips; None when there are fewer than ``SAMPLES_MIN``."""
    lengths = [sample.length_ns for sample in samples if sample.ok]
    return round(statistics.median(lengths)) if len(lengths) >= SAMPLES_MIN else None


def shortest_ns(samples: Sequence[Sample]) -> int | None:
    """Return the length of the shortest successful round trip; None when there are fewer than ``SAMPLES_MIN``."""
    lengths = [sample.length_ns for sample in samples if sample.ok]
    return min(lengths) if len(lengths) >= SAMPLES_MIN else None


def slowed_for_ns(added_ns: int) -> int:
    """Return how long round trips must be slowed by so much for ``SAMPLES_MIN`` of them to be seen."""
    return PROBE_NS + (SAMPLES_MIN - 1) * max(PROBE_NS, added_ns) + added_ns


def looked_for_ns(length_ns: int) -> int:
    """Return how long a fault must last for ``SAMPLES_MIN`` of its bulk looks, of which each takes so long, to be
    made.
    """
    return (SAMPLES_MIN - 1) * max(BULK_NS, length_ns) + length_ns


def lack(*looks: Sequence[Sample], least: int = SAMPLES_MIN) -> Lack:
    """Return ``round trips`` when one of the looks has fewer than ``least`` and none of them failed; else nothing.

    A round trip that failed was made: what it found is the target's doing, not the machine's.
    """
    few = any(len(samples) < least for samples in looks)
    return "round trips" if few and all(sample.ok for samples in looks for sample in samples) else ""


def baseline(context: FaultContext, target: str, applied_ns: int) -> Sequence[Sample]:
    """Return the target's round trips of the last seconds before the fault."""
    return context.probes.samples(target, applied_ns - BASELINE_NS, applied_ns)


def recovered(
    context: FaultContext,
    target: str,
    applied_ns: int,
    healed_ns: int,
    tolerance_ns: int,
    least_ns: int,
    through: str = "",
) -> Evidence:
    """Judge whether the last round trips after healing are as short as before, within ``tolerance_ns``.

    Or whether one took less than half of ``least_ns``, which each would take at least if anything were left of the
    fault.
    """
    earlier = baseline(context, through or target, applied_ns)
    before = median_ns(earlier)
    last = context.probes.samples(through or target, healed_ns)[-5:]
    after, least_after = median_ns(last), shortest_ns(last)
    back = before is not None and after is not None and after - before <= tolerance_ns
    proven = back or (least_after is not None and least_after <= least_ns // 2)
    return Evidence(
        stage="healing",
        target=target,
        probe=_round_trip(through),
        proven=proven,
        lacks="" if proven else lack(earlier, last),
        observed=f"before {format_median(before)}, after {format_median(after, least_after)}",
        required=f"median round trip within {format_ns(tolerance_ns)} of before, or one of {format_ns(least_ns // 2)} "
        "at most",
    )


def interrupted(
    context: FaultContext, target: str, since_ns: int, until_ns: int | None, through: str = "", *, cut: bool = False
) -> Evidence:
    """Judge whether at least one round trip failed; with ``cut`` by the end of its connection: silence
    does not count, nor does what ended while another fault had a node at the link's ends down.
    """
    # The one that was under way when it struck is struck as well, and may be the only one in a short fault.
    known = context.probes.samples(through or target, since_ns - _UNDER_WAY_NS, until_ns)
    samples = [sample for sample in known if sample.end_ns > since_ns]
    if cut:
        samples = apart.that_show_a_cut(samples, apart.others(context, target))
    failed = sum(not sample.ok and not (cut and sample.broken is Break.SILENT) for sample in samples)
    return Evidence(
        stage="effect",
        target=target,
        probe=_round_trip(through),
        proven=failed > 0,
        observed=f"{failed} of {len(samples)} {'were cut' if cut else 'failed'}",
        required="at least one is cut" if cut else "at least one fails",
        lacks="" if samples else "round trips",
    )


def broken_off(name: str, schedule: asyncio.Task[None] | None) -> tuple[Evidence, ...]:
    """Return, as unproven, that a schedule of the harness ended before the fault was healed; nothing
    while it goes on.
    """
    if schedule is None or not schedule.done() or schedule.cancelled():
        return ()
    observed = f"it ended early: {schedule.exception() or 'without an error'}"
    return (
        sentence("effect", name, "the fault's own schedule", False, observed, "it goes on until the fault is healed"),
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
        lacks=lack(samples),
        observed=f"{succeeded} of the last {len(samples)} succeeded",
        required=f"the last {SAMPLES_MIN} succeed",
    )


def running(context: FaultContext, worker: str, before: Identity | None, stage: Stage = "healing") -> Evidence:
    """Judge whether a process other than ``before`` runs as this worker and, if it says anything, is connected."""
    now, ready = context.workers[worker].identity(), context.workers[worker].ready
    if not context.workers[worker].reporting:
        shown = "no process" if now is None else f"pid {now.pid}"
        required = "another process runs" if before is not None else "a process runs"
        return sentence(stage, worker, "process table", now is not None and now != before, shown, required)
    shown = "no process" if now is None else f"pid {now.pid}, {'connected' if ready else 'not connected'}"
    return Evidence(
        stage=stage,
        target=worker,
        probe="process table and the worker's report",
        proven=now is not None and now != before and ready,
        observed=shown,
        required="another process runs and is connected" if before is not None else "a process runs and is connected",
    )


def sentence(
    stage: Stage, target: str, probe: str, proven: bool, observed: str, required: str, lacks: Lack = ""
) -> Evidence:
    """Return evidence from plain values; what is proven lacks nothing."""
    return Evidence(
        stage=stage,
        target=target,
        probe=probe,
        proven=proven,
        observed=observed,
        required=required,
        lacks="" if proven else lacks,
    )


def format_median(value_ns: int | None, least_ns: int | None = None) -> str:
    """Return a median in words, with the shortest."""
    if value_ns is None:
        return "too few round trips"
    return format_ns(value_ns) + (f" ({format_ns(least_ns)} at least)" if least_ns is not None else "")


def _round_trip(through: str) -> str:
    return f"round trip through {through}" if through else "round trip"

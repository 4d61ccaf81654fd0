"""Puts the parts of a result into words: times, findings, operations, faults. Shared by every report.

Pure text without markup or colour. Must never know the medium that shows it, nor how a run is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from harness.report.sanitize import clean, clip
from harness.result import EvidenceItem, FaultResult, RunResult, Usage
from harness.units import BYTES, RATIO, format_ns
from harness.verdict import Finding, Operation

SEQ_BITS: Final = 40
"""A sequence number carries its producer's incarnation above these bits (docs/history.md); a test holds it in step."""


def relative(result: RunResult, t_ns: int) -> str:
    """Return a monotonic time as seconds after the start of the timeline (``+12.031s``); ``-`` without a start."""
    return "-" if result.zero_ns is None else offset_time(t_ns - result.zero_ns)


def offset_time(offset_ns: int) -> str:
    """Return a time after the start of the timeline (``+12.031s``; warm-up is negative)."""
    return f"{'-' if offset_ns < 0 else '+'}{abs(offset_ns) / 1e9:,.3f}s"


def span(result: RunResult, finding: Finding) -> str:
    """Return when a finding happened (``+12.031s to +26.200s, 14.169s long``); empty when it has no times."""
    if result.zero_ns is None or not (finding.start_ns or finding.end_ns):
        return ""
    if finding.end_ns <= finding.start_ns:
        return f"at {relative(result, finding.start_ns)}"
    length = format_ns(finding.end_ns - finding.start_ns)
    return f"{relative(result, finding.start_ns)} to {relative(result, finding.end_ns)}, {length} long"


def during(result: RunResult, finding: Finding) -> str:
    """Return the faults in force during a finding (``kill-1 (kill -9 of the leader)``); empty when there was none."""
    known = {fault.id: fault for fault in result.faults}
    return "; ".join(clean(f"{name} ({known[name].description})" if name in known else name) for name in finding.faults)


def usage_rows(usage: Usage) -> tuple[tuple[str, str], ...]:
    """Return what a run took of the machine as (label, value): CPU seconds of each part, memory, the machine's CPUs."""
    total_ns = sum(usage.cpu_ns.values())
    rows = [(f"CPU of {clean(part)}", _cpu_seconds(used)) for part, used in usage.cpu_ns.items()]
    rows += [
        ("CPU together", _cpu_seconds(total_ns)),
        ("memory at most", BYTES.brief(usage.memory_peak_bytes)),
        ("cores of the machine", f"{usage.machine_cores:g}"),
        ("machine busy", RATIO.brief(usage.machine_busy) if usage.machine_busy >= 0 else "not known"),
    ]
    return tuple(rows)


def usage_line(usage: Usage) -> str:
    """Return what a run took of the machine on one line: CPU seconds of each part, then memory and the machine."""
    parts = ", ".join(f"{clean(part)} {used / 1e9:,.1f}" for part, used in usage.cpu_ns.items())
    busy = f", {RATIO.brief(usage.machine_busy)} busy" if usage.machine_busy >= 0 else ""
    memory = BYTES.brief(usage.memory_peak_bytes)
    return f"{parts}; memory at most {memory}; {usage.machine_cores:g} cores{busy}"


def _cpu_seconds(used_ns: int) -> str:
    return f"{used_ns / 1e9:,.2f} s"


def sequence(seq: int) -> str:
    """Return a sequence number; of a restarted producer with the number of the start before a colon (``1:204``)."""
    start, count = seq >> SEQ_BITS, seq & ((1 << SEQ_BITS) - 1)
    return f"{start}:{count}" if seq >= 0 and start else str(seq) if seq >= 0 else ""


def place(value: int) -> str:
    """Return a key, partition, offset or ordinal; empty for -1."""
    return "" if value < 0 else str(value)


def operation_cells(result: RunResult, operation: Operation) -> tuple[str, str, str, str, str, str, str, str]:
    """Return the columns of ``OPERATION_COLUMNS`` for one operation."""
    return (
        relative(result, operation.t_ns),
        clean(operation.kind),
        place(operation.key),
        sequence(operation.seq),
        place(operation.partition),
        place(operation.offset),
        clean(operation.journal),
        place(operation.ordinal),
    )


def operation_line(result: RunResult, operation: Operation) -> str:
    """Return one operation on a line: time and kind, then whatever else is known of it."""
    cells = operation_cells(result, operation)
    known = [f"{name} {clip(cell, 60)}" for name, cell in zip(OPERATION_COLUMNS[2:], cells[2:], strict=True) if cell]
    return "  ".join((f"{cells[0]:>9}", f"{clip(cells[1], 24):<9}", *known))


OPERATION_COLUMNS: Final = ("time", "operation", "key", "seq", "partition", "offset", "journal", "record")


CAUSED_BY: Final = "caused by"
AFFECTED: Final = "affected"


def blame(findings: Iterable[Finding]) -> tuple[tuple[str, str], ...]:
    """Return (``caused by`` or ``affected``, workers) of findings that name any, none twice (``caused by``, ``c0``)."""
    named = {CAUSED_BY: dict[str, None](), AFFECTED: dict[str, None]()}
    for finding in findings:
        named[CAUSED_BY] |= dict.fromkeys(finding.at_fault)
        named[AFFECTED] |= dict.fromkeys(finding.paid)
    return tuple((word, clip(clean(", ".join(workers)), 200)) for word, workers in named.items() if workers)


def fault_span(fault: FaultResult) -> str:
    """Return when a fault acted (``+10.004s to +25.020s``), or that it never did."""
    if fault.applied_at_ns is None:
        return f"planned at {offset_time(fault.planned_at_ns)}, never applied"
    if fault.healed_at_ns is None:
        return f"{offset_time(fault.applied_at_ns)}, never healed"
    return f"{offset_time(fault.applied_at_ns)} to {offset_time(fault.healed_at_ns)}"


def evidence_by_target(fault: FaultResult) -> tuple[tuple[tuple[str, str], tuple[EvidenceItem, ...]], ...]:
    """Return ((stage, target), items) of the evidence, in order of first appearance."""
    groups: dict[tuple[str, str], tuple[EvidenceItem, ...]] = {}
    for item in fault.evidence:
        place = (item.stage, item.target)
        groups[place] = (*groups.get(place, ()), item)
    return tuple(groups.items())


def variant_text(result: RunResult) -> str:
    """Return the variant as ``broker=nats-2, replicas=3``; empty without a matrix."""
    return ", ".join(f"{clean(key)}={clean(value)}" for key, value in result.variant.items())


def wall_ns(result: RunResult) -> int:
    """Return the length of the run: ``total``, else the sum of the timings."""
    timings = result.timings_ns
    return timings.get("total", sum(value for name, value in timings.items() if name != "beyond_declared"))

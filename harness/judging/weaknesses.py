"""What makes a pass impossible, and what weakens a verdict: sentences on the run itself, whatever the checks say.

Must never judge a guarantee.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.checks.analysis.group import unnamed_states
from harness.checks.analysis.transactions import given_up
from harness.checks.base import plural
from harness.clock import NS_PER_S
from harness.engine.engine import RunRecord
from harness.faults.base import FAULTS
from harness.history.events import ErrorEvent, FaultEvent, MachineEvent, ProofEvent
from harness.history.index import Mask
from harness.history.read import History
from harness.history.record import Outcome
from harness.result import CPU_SHORT, LOAD_REACHED, BlockingCause, FaultResult, MachineTrouble
from harness.scenario.model import Plan
from harness.units import format_ns

_ERRORS_SHOWN = 3
_SENT_SHARE_MIN = 0.25
"""Below this share of the messages due, a pass would be green by absence. (An outage that stops producers for most of a
run stays above it; a broker that refuses everything does not.)"""

CPU_CONTENTION = "CPU contention"
_LATE_NS = NS_PER_S // 2


@dataclass(frozen=True, slots=True)
class Blocking:
    """What makes a pass impossible.

    Attributes:
        sentence: For people.
        cause: What of the machine alone explains it; empty when something else does.
    """

    sentence: str
    cause: BlockingCause = ""


def blocking_reasons(
    plan: Plan,
    history: History,
    record: RunRecord,
    faults: Iterable[FaultResult],
    machine: MachineTrouble,
    *,
    refused: bool = False,
) -> Iterable[Blocking]:
    """Yield everything that makes a pass impossible, whatever the checks say.

    Args:
        plan: Of the run.
        history: Of the run.
        record: What the engine saved of it.
        faults: What became of them.
        machine: What the monitor saw of the machine.
        refused: The check of acceptance failed, so that too few acknowledged messages are its finding.
    """
    if record.error:
        yield Blocking(f"the run did not complete: {record.error.splitlines()[0]}")
    yield from map(Blocking, record.problems)
    for fault in faults:
        if not fault.proven:
            yield Blocking(f"fault {fault.id} is not proven: {_unproven(fault)}", _cause(fault))
    proofs = [event for event in history.of_kind(ProofEvent) if event.proof == "no-bypass"]
    if not proofs or not all(event.proven for event in proofs):
        yield Blocking("no proof that all client traffic went through Toxiproxy")
    if record.drain and not record.error:
        yield Blocking(f"drain incomplete: {record.drain}")
    yield from map(Blocking, history.missing)
    if not record.error and history.window("end") is None:
        yield Blocking("the engine's events end before the run did")
    if unnamed := unnamed_states(history):
        yield Blocking(unnamed)
    monitor = next((view for view in history.journals if view.role == "monitor"), None)
    if monitor is None or not monitor.records.size:
        yield Blocking("the monitor recorded nothing: stalls of the machine and outages are unknown")
    if not refused:
        yield from _idle(plan, history, machine)


def planned_sends(plan: Plan) -> int:
    """Return how many messages the schedule of a plan has, over warm-up and timeline."""
    workload = plan.workload
    return int(workload.rate_per_s * (workload.warmup_ns + workload.duration_ns) / NS_PER_S)


def weakening_reasons(
    plan: Plan, history: History, faults: Sequence[FaultResult], machine: MachineTrouble
) -> Iterable[str]:
    """Yield everything else that a reader of the verdict should know."""
    yield from history.notes
    yield from _load(plan, history)
    yield from _machine(machine)
    yield from _lateness(faults)
    yield from _late_healing(history, faults)
    yield from _client_errors(history)


def machine_trouble(plan: Plan, history: History) -> MachineTrouble:
    """Return what the monitor saw of the machine itself."""
    workload, stalls = plan.workload, history.machine_stalls()
    windows = [window for window in (history.window("warmup"), history.window("faults")) if window is not None]
    start, end = (windows[0][0], windows[-1][1]) if windows else (0, 0)
    planned_ns = workload.warmup_ns + workload.duration_ns
    sent_ns = round(int(history.index.sends.t.size) / workload.rate_per_s * NS_PER_S)
    shares = [event.short_ns / max(1, event.of_ns) for event in history.of_kind(MachineEvent)]
    return MachineTrouble(
        late_ticks=len(stalls),
        late_ns=sum(stall.end_ns - stall.start_ns for stall in stalls),
        workload_late_ns=sum(max(0, min(stall.end_ns, end) - max(stall.start_ns, start)) for stall in stalls),
        unsent_ns=max(0, planned_ns - sent_ns),
        cpu_short=min(1.0, max(shares, default=-1.0)),
    )


def _cause(fault: FaultResult) -> BlockingCause:
    """Return what of the machine explains that a fault is not proven: then it explains all that is not."""
    lacking = {item.lacks for item in fault.evidence if not item.proven}
    if "" in lacking or {item.stage for item in fault.evidence} != {"effect", "healing"} or fault.healed_at_ns is None:
        return ""
    return "too few round trips" if "round trips" in lacking else "no periods" if lacking else ""


def _unproven(fault: FaultResult) -> str:
    if fault.applied_at_ns is None and not fault.evidence:
        return "it was never applied"
    for item in fault.evidence:
        if not item.proven:
            return f"{item.stage} on {item.target}: {item.probe}: {item.observed} (required: {item.required})"
    seen = {item.stage for item in fault.evidence}
    return f"no evidence of {' or '.join(sorted({'effect', 'healing'} - seen)) or 'anything'}"


def _idle(plan: Plan, history: History, machine: MachineTrouble) -> Iterable[Blocking]:
    """Yield a reason when too little of the workload was accepted for the guarantees to mean anything."""
    workload, sends = plan.workload, history.index.sends
    due = workload.rate_per_s * (workload.warmup_ns + workload.duration_ns) / 1e9
    sent, accepted = int(sends.t.size), int(np.count_nonzero(_accepted(history)))
    if sent < due * _SENT_SHARE_MIN:
        text = f"producers sent only {sent:,} of {due:,.0f} messages due (at least {_SENT_SHARE_MIN:.0%} needed)"
        yield Blocking(text, "late ticks" if machine.starved_producers else "")
    elif accepted < due * _SENT_SHARE_MIN:
        yield Blocking(
            f"only {accepted:,} of {due:,.0f} messages due were acknowledged (at least {_SENT_SHARE_MIN:.0%} needed)"
        )


def _accepted(history: History) -> Mask:
    """Return which sends did what was meant: they were acknowledged, or aborted on purpose, or have no answers."""
    outcome = history.index.sends.outcome
    if not history.facts.sends_acknowledged:
        return np.ones(outcome.size, np.bool_)
    accepted: Mask = (outcome == Outcome.OK) | given_up(history)
    return accepted


def _load(plan: Plan, history: History) -> Iterable[str]:
    """Yield what the producers sent of what was planned, when the schedule was not reached."""
    planned, sent = planned_sends(plan), int(history.index.sends.t.size)
    if sent < planned * LOAD_REACHED:
        yield (
            f"the load was not reached: the producers sent {sent:,} of {planned:,} planned messages "
            f"({sent / planned:.1%}), and {int(np.count_nonzero(_accepted(history))):,} were accepted"
        )


def _client_errors(history: History) -> Iterable[str]:
    """Yield the most frequent errors of clients since the workload began; before, nodes were still starting."""
    told: Counter[str] = Counter()
    warmup = history.window("warmup")
    for event in history.of_kind(ErrorEvent):
        if warmup is not None and event.t < warmup[0]:
            continue
        told[event.message] += event.count
    for message, count in told.most_common(_ERRORS_SHOWN):
        yield f"clients saw {message!r} {plural(count, 'time')}"


def _machine(seen: MachineTrouble) -> Iterable[str]:
    if seen.late_ns:
        yield f"this machine stalled {plural(seen.late_ticks, 'time')} ({format_ns(seen.late_ns)} in total)"
    if seen.cpu_short >= CPU_SHORT:
        yield f"{CPU_CONTENTION} on this machine: for {seen.cpu_short:.0%} of the run some process waited for a CPU"


def _lateness(faults: Iterable[FaultResult]) -> Iterable[str]:
    for fault in faults:
        if fault.lateness_ns is not None and fault.lateness_ns > _LATE_NS:
            yield f"fault {fault.id} began {format_ns(fault.lateness_ns)} later than planned"


def _late_healing(history: History, faults: Iterable[FaultResult]) -> Iterable[str]:
    """Yield faults that acted for longer than planned because their healing began late."""
    # What ends by itself takes as long as its act does, and its planned end is the worst case.
    known = {fault.id for fault in faults if not FAULTS.get(fault.kind).spec.ends_itself}
    for event in history.of_kind(FaultEvent):
        late = event.t - event.planned_ns
        if event.action == "heal" and event.planned_ns and event.fault in known and late > _LATE_NS:
            yield f"fault {event.fault} began to heal {format_ns(late)} later than planned, so it acted for longer"

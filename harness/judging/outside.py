"""What reached into a run from outside: parts that were killed, stopped, frozen, starved or hung, proxies that were
changed, and links that were out although no fault had planned it.

Owns that such a thing makes a run inconclusive, and which failures it may explain. Must never excuse a broker that runs
and does not answer by itself, nor what was proven before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from harness.checks.analysis.windows import Intervals, intersect, length, union
from harness.clock import NS_PER_MS, NS_PER_S
from harness.history.events import EvidenceEvent, ProofEvent, StandstillEvent, WorkerEvent
from harness.history.read import History
from harness.history.spans import Outage
from harness.history.standstill_events import STANDSTILLS
from harness.units import format_ns
from harness.verdict import CheckResult, Verdict

PROVEN_ANYWAY: Final = frozenset({"loss", "log", "phantoms", "transactions"})
"""Checks whose failure no stop of a process explains: a message does not go missing because a reader was slow."""

_AFTER_NS = 10 * NS_PER_S
"""How long, at least, what follows from a stop may go on after it."""
_CUT_MIN_NS = 500 * NS_PER_MS
_SILENT_MIN_NS = 3 * NS_PER_S
"""Shorter outages of a link without a fault are a busy machine's: a probe gives an answer a second."""
_AROUND_NS = 5 * NS_PER_S
"""How long around a fault its links may be out: connections come back some time after it."""
_HARNESS = "harness"
_NAMES = {_HARNESS: "the harness itself", "monitor": "the monitor"}
"""What is said of parts that have no name of their own."""
_SILENT_S = 6
"""How long a worker has been silent, at the most, before that is journaled."""


@dataclass(frozen=True, slots=True)
class Outside:
    """One thing that reached into a run.

    Attributes:
        sentence: By name and with times.
        start_ns, end_ns: Monotonic.
    """

    sentence: str
    start_ns: int
    end_ns: int


def outside(history: History) -> tuple[Outside, ...]:
    """Return what reached into a run from its warm-up to the end of its drain, in order of time."""
    warmup = history.window("warmup")
    if warmup is None:
        return ()
    faults = history.window("faults")
    zero = faults[0] if faults is not None else warmup[1]
    sources = (_standstills, _workers, _proxies, _links)
    found = sorted((item for source in sources for item in source(history, zero)), key=_start)
    return tuple(item for item in found if item.end_ns >= warmup[0])


def standstills(history: History) -> tuple[StandstillEvent, ...]:
    """Return the last event of each standstill; one of which only its beginning is known lasted to the end."""
    found = {(event.part, event.since_ns): event for event in history.of_kind(StandstillEvent)}
    last = history.span.end_ns
    return tuple(dataclasses.replace(event, until_ns=last) if event.lasting else event for event in found.values())


def weakened(results: Iterable[CheckResult], history: History, found: Sequence[Outside]) -> tuple[CheckResult, ...]:
    """Return the results, those inconclusive whose failure may come from outside.

    What ended before, or began long after, stands; and so does what no stop of a process explains.
    """
    after = max(_AFTER_NS, history.facts.pause_ns_derived, history.facts.session_timeout_ns)
    return tuple(_weakened(result, found, after) for result in results) if found else tuple(results)


def _weakened(result: CheckResult, found: Sequence[Outside], after: int) -> CheckResult:
    if result.verdict is not Verdict.FAIL or result.check in PROVEN_ANYWAY:
        return result
    causes = [item for item in found if _may_explain(result, item, after)]
    if not causes:
        return result
    limits = tuple(
        dataclasses.replace(limit, verdict=Verdict.INCONCLUSIVE) if limit.verdict is Verdict.FAIL else limit
        for limit in result.limits
    )
    reasons = tuple(f"what exceeds a limit may come from outside: {item.sentence}" for item in causes[:3])
    return dataclasses.replace(
        result, verdict=Verdict.INCONCLUSIVE, limits=limits, reasons=(*reasons, *result.reasons), doubt=""
    )


def _may_explain(result: CheckResult, item: Outside, after: int) -> bool:
    """Return whether all that a check found may come from one thing, or it does not say when that was."""
    timed = [finding for finding in result.findings if finding.end_ns or finding.start_ns]
    if len(timed) < len(result.findings) or not timed:
        return True
    # One that stands by itself is enough to fail; what exceeds a limit only together with others is not told apart.
    return all(finding.end_ns >= item.start_ns and finding.start_ns <= item.end_ns + after for finding in timed)


def _standstills(history: History, zero: int) -> Iterator[Outside]:
    audit = history.window("audit")
    for event in standstills(history):
        if audit is not None and event.since_ns >= audit[0] and event.part == _HARNESS:
            continue  # the audit takes as long as it takes; nodes alone matter then
        name = _NAMES.get(event.part, event.part)
        if event.how == "killed":
            sentence = f"{name} {STANDSTILLS[event.how]} at {_at(event.since_ns, zero)}"
            yield Outside(sentence, event.since_ns, history.span.end_ns)
            continue
        until = "to the end" if event.lasting else f"to {_at(event.until_ns, zero)}"
        span = f"from {_at(event.since_ns, zero)} {until} ({format_ns(max(0, event.until_ns - event.since_ns))})"
        yield Outside(f"{name} {STANDSTILLS[event.how]} {span}", event.since_ns, event.until_ns)


def _workers(history: History, zero: int) -> Iterator[Outside]:
    """Yield workers of ours that died, or ran and reported nothing: what follows is no failure of the broker."""
    stopped = [event for event in standstills(history) if event.how != "silent"]
    for event in history.of_kind(WorkerEvent):
        if event.state == "died":
            sentence = f"{event.worker} died at {_at(event.t, zero)} (exit status {event.exit})"
            yield Outside(sentence, event.t, history.span.end_ns)
        start = event.t - _SILENT_S * NS_PER_S
        if event.state != "silent" or any(
            other.part == event.worker and other.since_ns <= event.t and other.until_ns >= start for other in stopped
        ):
            continue
        yield Outside(f"{event.worker} {STANDSTILLS['silent']} from {_at(start, zero)} on", start, history.span.end_ns)


def _proxies(history: History, zero: int) -> Iterator[Outside]:
    """Yield that proxies or toxics were not those of the run; since when is not known."""
    del zero
    for event in history.of_kind(ProofEvent):
        if event.proof == "proxies" and not event.proven:
            yield Outside(event.detail, history.span.start_ns, history.span.end_ns)


def _links(history: History, zero: int) -> Iterator[Outside]:
    """Yield outages of client links that no fault had planned, while the node behind answered directly."""
    down = history.outages
    stalls = union(history.machine_stalls())
    around = _fault_spans(history)
    for outage in down:
        place = history.facts.links.get(outage.target)
        if place is None or outage.lone or not _long(outage, stalls):
            continue
        node = place[1]
        near = outage.start_ns - NS_PER_S, outage.end_ns + NS_PER_S
        if any(other.target == node and other.start_ns < near[1] and other.end_ns > near[0] for other in down):
            continue
        planned = union([*around.get(outage.target, []), *around.get(node, [])])
        if intersect([(outage.start_ns, outage.end_ns)], planned):
            continue
        yield Outside(
            f"link {outage.target} was out from {_at(outage.start_ns, zero)} to {_at(outage.end_ns, zero)}: no fault "
            f"planned that, and {node} answered directly",
            outage.start_ns,
            outage.end_ns,
        )


def _long(outage: Outage, stalls: Intervals) -> bool:
    """Return whether an outage is longer than what a machine's own stalls make of one."""
    span = [(outage.start_ns, outage.end_ns)]
    own = outage.end_ns - outage.start_ns - length(intersect(span, stalls))
    return own >= (_CUT_MIN_NS if outage.cut else _SILENT_MIN_NS)


def _fault_spans(history: History) -> dict[str, Intervals]:
    """Return link or node → when a fault acted on it, with what may follow.

    A fault may act on more than its targets (a border that runs around several nodes): its evidence names all of that.
    """
    found: dict[str, Intervals] = {}
    last = history.span.end_ns
    looked_at: dict[str, set[str]] = {}
    for event in history.of_kind(EvidenceEvent):
        looked_at.setdefault(event.fault, set()).add(event.target)
    for window in history.fault_windows:
        span = window.start_ns - NS_PER_S, (last if window.end_ns is None else window.end_ns) + _AROUND_NS
        for name in {*window.targets, *window.nodes, *looked_at.get(window.id, ())}:
            found.setdefault(name, []).append(span)
    return found


def _at(t: int, zero: int) -> str:
    """Return a time of the run in words: from the start of its timeline."""
    return f"{'-' if t < zero else ''}{format_ns(abs(t - zero))}"


def _start(item: Outside) -> int:
    return item.start_ns

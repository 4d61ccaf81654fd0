"""Names the members that caused a pause which was not its owner's own, and the healthy ones that it affected.

Owns the rule of blame: the cause is whichever member was impaired while the group waited; without one, the member whose
join, leave, death or expulsion began the rebalance. Must never blame a member for what another one of its group did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.checks.analysis import group
from harness.checks.analysis.causes import Causes
from harness.checks.analysis.handlers import held_by_handlers
from harness.checks.analysis.impaired import impairments
from harness.checks.analysis.windows import Intervals, intersect, length, union
from harness.history.events import AssignEvent, BlockedEvent
from harness.history.read import History
from harness.units import format_ns

_SHARE_MIN = 10
"""A member impaired for less than a tenth of the longest impairment did not hold the group up."""


@dataclass(frozen=True, slots=True)
class Blame:
    """Names for a finding.

    Attributes:
        at_fault: Workers that caused it, the one with the longest time first.
        paid: Healthy workers whose partition stalled.
        words: What follows in the message; empty when there is nothing to say.
    """

    at_fault: tuple[str, ...] = ()
    paid: tuple[str, ...] = ()
    words: str = ""


class Blaming:
    """Attributes slices of pauses to members of the group."""

    def __init__(self, history: History) -> None:
        self._history = history
        consumers = sorted({view.worker for view in history.journals if view.role == "consumer"})
        named = {event.worker for event in history.of_kind(AssignEvent, BlockedEvent)}
        self._impaired = {worker: _holding(history, worker) for worker in sorted({*consumers, *named})}
        self._rebalances = union([*group.unstable(history), *group.rebalances(history)])

    def of_pause(
        self, causes: Causes, partition: int, slices: Mapping[str, Intervals], cause: str, before: str, after: str
    ) -> Blame:
        """Return who is to blame for one cause of a pause.

        Args:
            causes: Of the history.
            partition: Which stalled.
            slices: Of the pause, by cause.
            cause: One of them.
            before: Worker that got the delivery before it; empty when there was none.
            after: Worker that got the delivery after it; empty when there was none.
        """
        spans = slices[cause]
        if not spans:
            return Blame()
        if cause == "lock":
            return of_locks(causes, partition, spans, after)
        if cause in {"pending", "transaction"}:
            return _of_held(causes, partition, spans, cause, after)
        if cause == "coordinator":
            return _of_coordinator(causes, spans)
        owners = causes.held(partition, spans[0][0], spans[-1][1], before, after)
        owner = owners[0].worker if owners else before
        if cause == "owner":
            return Blame(at_fault=(owner,) if owner else ())
        if cause == "unowned":
            return _of_no_owner(causes, spans, owner, owners[-1].following or after if owners else after)
        return self.of(spans, owner) if cause in {"collateral", "rebalance"} else Blame()

    def of(self, spans: Intervals, owner: str) -> Blame:
        """Return the cause of slices in which the group was not stable.

        Args:
            spans: The slices.
            owner: Last owner of the partition that stalled; empty when it had none.
        """
        if not length(spans):
            return Blame()
        paid = (owner,) if owner and not self._held_up(owner, spans) else ()
        lengths = {worker: self._held_up(worker, spans) for worker in self._impaired if worker not in paid}
        worst = max(lengths.values(), default=0)
        holders = sorted(
            (worker for worker, took in lengths.items() if took and took * _SHARE_MIN >= worst),
            key=lambda worker: -lengths[worker],
        )
        began = self._began(spans)
        said = [self._said(worker, spans) for worker in holders]
        words = f"; {' and '.join(said)} while the group waited" if said else ""
        if began:
            words += f"; it began with the {' and the '.join(f'{what} of {worker}' for worker, what in began[:3])}"
        if paid:
            words += f"; {paid[0]}, healthy, owned the partition and was stalled"
        at_fault = tuple(holders) or tuple(worker for worker, _ in began)
        return Blame(at_fault, tuple(name for name in paid if name not in at_fault), words)

    def _held_up(self, worker: str, spans: Intervals) -> int:
        return length(
            intersect(spans, union(span for kind in self._impaired.get(worker, {}).values() for span in kind))
        )

    def _said(self, worker: str, spans: Intervals) -> str:
        kinds = {kind: length(intersect(spans, found)) for kind, found in self._impaired[worker].items()}
        # The first one is the most precise: a fault's window is a little longer than its effect.
        kind = next(kind for kind, took in kinds.items() if 2 * took >= max(kinds.values()))
        return f"{worker} was {kind} for {format_ns(kinds[kind])}"

    def _began(self, spans: Intervals) -> list[tuple[str, str]]:
        for span in group.overlapping(self._rebalances, spans):
            if found := group.beginnings(self._history, span):
                return found
        return []


def _of_held(causes: Causes, partition: int, spans: Intervals, cause: str, after: str) -> Blame:
    """Return who held unacknowledged deliveries, or a transaction open, over slices of a pause."""
    source = causes.pending if cause == "pending" else causes.transactions
    held = source.held(partition, spans[0][0])
    if held is None:
        return Blame()
    took = format_ns(length(spans))
    named = " and ".join(held.workers)
    what = "held as many deliveries as may be unacknowledged" if cause == "pending" else "had a transaction open"
    paid = (after,) if after and after not in held.workers and not intersect(spans, causes.impaired(after)) else ()
    return Blame(held.workers, paid, f"; {named} {what} for {took}")


def _of_coordinator(causes: Causes, spans: Intervals) -> Blame:
    """Return the node that coordinated the group and did not answer."""
    lengths: dict[str, int] = {}
    for silence in causes.silences:
        took = length(intersect(spans, [(silence.start_ns, silence.end_ns)]))
        if took:
            lengths[silence.node] = lengths.get(silence.node, 0) + took
    named = sorted(lengths, key=lambda node: -lengths[node])
    said = [f"{node or 'it'} for {format_ns(lengths[node])}" for node in named]
    return Blame(
        tuple(node for node in named if node), (), f"; the group's coordinator did not answer: {' and '.join(said)}"
    )


def _of_no_owner(causes: Causes, spans: Intervals, last: str, following: str) -> Blame:
    """Return who left a partition without an owner: the last one or the next one, where it was not well or had left."""
    ill = [name for name in dict.fromkeys((last, following)) if name and intersect(spans, causes.impaired(name))]
    words = f"; {last} had given it up" if last else "; no consumer had ever owned it"
    paid = (following,) if following and following not in {last, *ill} else ()
    return Blame(tuple(ill), paid, words)


def of_locks(causes: Causes, partition: int, spans: Intervals, after: str) -> Blame:
    """Return who left a lock behind that held a partition up.

    Args:
        causes: Of the history.
        partition: Which stalled.
        spans: Slices of its pause.
        after: Worker that got the next delivery; empty when there was none.
    """
    lengths: dict[str, tuple[int, str]] = {}
    for lock in causes.left_locks:
        took = length(intersect(spans, lock.spans))
        if lock.tenure.partition == partition and took:
            known = lengths.get(lock.tenure.worker, (0, ""))[0]
            lengths[lock.tenure.worker] = known + took, f"was {lock.why}" if lock.why == "dead" else f"had {lock.why}"
    holders = sorted(lengths, key=lambda worker: -lengths[worker][0])
    said = [
        f"{worker}, which {lengths[worker][1]}, held its lock for {format_ns(lengths[worker][0])}" for worker in holders
    ]
    paid = (after,) if after and after not in holders and not intersect(spans, causes.impaired(after)) else ()
    words = f"; {' and '.join(said)}" if said else ""
    if paid:
        words += f"; {paid[0]}, healthy, got the next message"
    return Blame(tuple(holders), paid, words)


def _holding(history: History, worker: str) -> dict[str, Intervals]:
    """Return when a worker may have made its group wait, by kind: one that died does until its session is over."""
    found = impairments(history, worker)
    session = history.facts.session_timeout_ns
    dead = [(start, min(end, start + session) if session else end) for start, end in found["dead"]]
    return {
        "blocked": union([*found["blocked"], *held_by_handlers(history, worker)]),
        "paused": found["paused"],
        "silent": found["silent"],
        "dead": union(dead),
    }

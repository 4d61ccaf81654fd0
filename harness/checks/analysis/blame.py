"""Names the members that caused a pause which was not its owner's own, and the healthy ones that it affected.

Owns the rule of blame: the cause is whichever member was impaired while the group waited; without one, the member whose
join, leave, death or expulsion began the rebalance. Must never blame a member for what another one of its group did.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.checks.analysis import group
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
        self._rebalances = group.unstable(history)

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


def _holding(history: History, worker: str) -> dict[str, Intervals]:
    """Return when a worker may have made its group wait, by kind: one that died does until its session is over."""
    found = impairments(history, worker)
    session = history.facts.session_timeout_ns
    dead = [(start, min(end, start + session) if session else end) for start, end in found["dead"]]
    return {
        "blocked": found["blocked"],
        "paused": found["paused"],
        "silent": found["silent"],
        "dead": union(dead),
        "targeted": found["targeted"],
    }

"""Readings of link faults that more than a round trip's length shows: silence, closed connections, data, rates.

All rest on the monitor's samples, which show how a round trip failed and how much its connection had carried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.clock import NS_PER_MS, NS_PER_S
from harness.faults.base import Evidence, FaultContext, Sample
from harness.faults.kit import apart, evidence
from harness.faults.kit.interference import Interfering
from harness.faults.kit.lifetime import FaultSpan, Window
from harness.history.record import Break
from harness.result import Lack
from harness.units import format_ns

_WORDS = {Break.SILENT: "without an answer", Break.CUT: "cut", Break.REFUSED: "refused"}
_LONGEST_NS = 2 * NS_PER_S
_RECENT_NS = 3 * NS_PER_S
_WAITED_NS = 200 * NS_PER_MS
_LATE_NS = NS_PER_S
"""How late a connection may be seen to have ended."""


def silent(context: FaultContext, target: str, span: FaultSpan, through: str) -> Evidence:
    """Judge whether nothing comes through, without an error: round trips get no answer, none succeeds, none is cut.

    What another fault cut meanwhile, or a node that it took down left unanswered, shows nothing. Nor does silence while
    the node does not answer past every link either: then the machine or the node is silent, and not the link.
    """
    name = through or target
    looks = context.probes.samples(name, span.acting_ns - _LONGEST_NS, span.heal_ns)
    found = apart.that_show_silence(looks, apart.others(context, target))
    # One that was under way when the fault began may end either way; its silence counts all the same.
    ended = [
        s for s in found if s.start_ns >= span.acting_ns or (s.broken is Break.SILENT and s.end_ns > span.acting_ns)
    ]
    silences = sum(sample.broken is Break.SILENT for sample in ended)
    deaf = _node_is_silent(context, target, span)
    return Evidence(
        lacks="round trips" if span.acting_ns and not ended else "",
        stage="effect",
        target=target,
        probe=f"round trip through {name}",
        proven=bool(span.acting_ns) and silences > 0 and silences == len(ended) and not deaf,
        observed=_tally(ended) + _left_out(looks, found, apart.others(context, target)) + deaf,
        required="at least one times out; none succeeds, and none sees its connection closed",
    )


def _node_is_silent(context: FaultContext, link: str, span: FaultSpan) -> str:
    """Return, for a sentence, that a link's node answered none of the monitor's own round trips while the fault acted;
    empty when it answered one, or when another fault had it down.
    """
    node = context.links[link].node if link in context.links else ""
    if not node or any(other.target == node and other.down for other in apart.others(context, link)):
        return ""
    answered = any(sample.ok for sample in context.probes.samples(node, span.acting_ns, span.heal_ns))
    return "" if answered else f"; {node} itself answered no round trip"


def shut(context: FaultContext, target: str, span: FaultSpan, through: str) -> Evidence:
    """Judge whether no round trip succeeds, and connections are cut or refused.

    What was cut while another fault had the node down shows nothing.
    """
    name, spans = through or target, apart.others(context, target)
    found = context.probes.samples(name, span.acting_ns, span.heal_ns) if span.acting_ns else []
    ended = apart.that_show_a_cut(found, spans)
    failed = sum(sample.broken in (Break.CUT, Break.REFUSED) for sample in ended)
    return Evidence(
        lacks="round trips" if span.acting_ns and failed == len(ended) < evidence.SAMPLES_MIN else "",
        stage="effect",
        target=target,
        probe=f"round trip through {name}",
        # A late monitor may take a refusal for silence.
        proven=failed >= evidence.SAMPLES_MIN and not any(sample.ok for sample in ended),
        observed=_tally(ended) + _left_out(found, ended, spans),
        required=f"none succeeds, and {evidence.SAMPLES_MIN} at least are cut or refused",
    )


def open_meanwhile(context: FaultContext, target: str, span: FaultSpan, extra_probe: str) -> Evidence:
    """Judge whether connections stayed open while it lasted: a round trip on one was still waited for.

    What another fault ended meanwhile shows nothing; the connection that followed it must stay open in turn.
    """
    spans = apart.others(context, target)
    looks = [s for s in context.probes.samples(extra_probe, 0, span.heal_ns) if s.end_ns > span.acting_ns and not s.ok]
    ended = [s for s in looks if not any(other.overlaps(s.end_ns - _LATE_NS, s.end_ns) for other in spans)]
    return Evidence(
        stage="effect",
        target=target,
        probe=f"a round trip without time-out through {target}",
        proven=bool(span.acting_ns) and not ended,
        observed=(_tally(ended) if ended else "its connection is open") + _left_out(looks, ended, spans),
        required="its connection stays open",
    )


def after_all(
    context: FaultContext, target: str, span: FaultSpan, extra_probe: str, *, arrives: bool
) -> tuple[Evidence, ...]:
    """Judge what became of the round trip that was under way at the end: it ``arrives`` late, or was lost.

    Nothing can be said of it where another fault acted on the link, or kept a node at its ends down, as this one ended.
    """
    heal_ns = span.heal_ns or 0
    ending = [other for other in apart.others(context, target) if other.down or other.target == target]
    if any(other.overlaps(heal_ns - _WAITED_NS, span.healed_ns) for other in ending):
        return ()
    found = context.probes.samples(extra_probe, 0) if span.healed_ns else ()
    waiting = [s for s in found if s.start_ns < heal_ns <= s.end_ns and s.end_ns - s.start_ns > _WAITED_NS]
    last = waiting[-1] if waiting else None
    if last is None:
        observed = "no round trip was waiting"
    elif last.ok:
        observed = f"answered after {format_ns(last.end_ns - last.start_ns)}"
    else:
        observed = f"{_WORDS.get(last.broken, 'failed')} after {format_ns(last.end_ns - last.start_ns)}"
    found_evidence = Evidence(
        stage="healing",
        target=target,
        probe=f"a round trip without time-out through {target} that began before the fault ended",
        proven=last is not None and (last.ok if arrives else last.broken is Break.CUT),
        observed=observed,
        required="its answer arrives once the fault is over"
        if arrives
        else "its data is lost, and its connection ends",
    )
    return (found_evidence,)


def still_reachable(context: FaultContext, target: str, span: FaultSpan, through: str = "") -> tuple[Evidence, ...]:
    """Judge whether round trips went on succeeding while the fault lasts: it left this link alone.

    One that comes late says nothing: of a link that is cut off none succeeds. While another fault acts on the link or
    on a node at its ends, round trips say nothing of this one; a link with too few others is left out.
    """
    name = through or target
    spans = apart.others(context, target)
    found = context.probes.samples(name, span.acting_ns, span.heal_ns)
    alone = apart.untouched(found, spans)
    if len(alone) < min(len(found), evidence.SAMPLES_MIN):
        return ()
    # Where the others left fewer in this time, the last ones that they left.
    recent = [sample for sample in alone if sample.end_ns > alone[-1].end_ns - _RECENT_NS]
    samples = recent if len(recent) >= evidence.SAMPLES_MIN else alone[-evidence.SAMPLES_MIN :]
    succeeded = sum(sample.ok for sample in samples)
    item = Evidence(
        lacks=evidence.lack(samples) if span.acting_ns else "",
        stage="effect",
        target=target,
        probe=f"round trip through {name}",
        proven=bool(span.acting_ns) and succeeded >= evidence.SAMPLES_MIN,
        observed=f"{succeeded} of the last {len(samples)} succeeded" + _left_out(found, alone, spans),
        required=f"{evidence.SAMPLES_MIN} of the last {format_ns(_RECENT_NS)} succeed, so it is not cut off",
    )
    return (item,)


def lack(context: FaultContext, probe: str, *windows: Window | None) -> Lack:
    """Return whether a probe made too few round trips in one of these windows; nothing where one is not known yet."""
    looks = [context.probes.samples(probe, *window) for window in windows if window is not None]
    return evidence.lack(*looks) if len(looks) == len(windows) else ""


def length_ns(context: FaultContext, probe: str, window: Window | None) -> int | None:
    """Return the median length of a probe's successful round trips; None when there are too few, or no window."""
    return None if window is None else evidence.median_ns(context.probes.samples(probe, *window))


def shortest_ns(context: FaultContext, probe: str, window: Window | None) -> int | None:
    """Return the length of the shortest of a probe's successful round trips; None when there are too few, or no
    window.
    """
    return None if window is None else evidence.shortest_ns(context.probes.samples(probe, *window))


@dataclass(frozen=True, slots=True)
class Rates:
    """How fast data came through, in bytes/s.

    Attributes:
        median: Of all bulk round trips.
        fastest: Of the fastest of them.
    """

    median: int
    fastest: int


def rates(context: FaultContext, extra_probe: str, trip: str, size_bytes: int, window: Window | None) -> Rates | None:
    """Return the rates of the bulk round trips, the link's own round trip taken off; None when there are too few."""
    median, shortest = length_ns(context, extra_probe, window), shortest_ns(context, extra_probe, window)
    if median is None or shortest is None:
        return None
    alone = length_ns(context, trip, window) or 0, shortest_ns(context, trip, window) or 0
    return Rates(*(_rate(size_bytes, *lengths) for lengths in zip((median, shortest), alone, strict=True)))


def _rate(size_bytes: int, length_ns: int, alone_ns: int) -> int:
    return round(size_bytes * NS_PER_S / max(1, length_ns - alone_ns, length_ns // 2))


def _left_out(samples: Sequence[Sample], kept: Sequence[Sample], spans: Sequence[Interfering]) -> str:
    """Return how many round trips say nothing, because other faults acted; empty when every one counts."""
    count = len(samples) - len(kept)
    return f" ({count} more while {apart.names(spans)} acted)" if count else ""


def _tally(samples: Sequence[Sample]) -> str:
    """Return how many of the round trips went how."""
    count = Counter(_WORDS.get(sample.broken, "answered") for sample in samples)
    return f"of {len(samples)}: " + ", ".join(f"{n} {word}" for word, n in count.items()) if samples else "none ended"

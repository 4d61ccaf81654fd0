"""Readings of link faults that more than a round trip's length shows: silence, closed connections, data, rates.

All rest on the monitor's samples, which show how a round trip failed and how much its connection had carried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.clock import NS_PER_MS, NS_PER_S
from harness.faults.base import Evidence, FaultContext, Sample
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import FaultSpan, Window
from harness.history.record import Break
from harness.result import Lack
from harness.units import format_ns

_WORDS = {Break.SILENT: "without an answer", Break.CUT: "cut", Break.REFUSED: "refused"}
_LONGEST_NS = 2 * NS_PER_S
_RECENT_NS = 3 * NS_PER_S
_WAITED_NS = 200 * NS_PER_MS


def silent(context: FaultContext, target: str, span: FaultSpan, through: str) -> Evidence:
    """Judge whether nothing comes through, without an error: round trips get no answer, none succeeds, none is cut."""
    name = through or target
    found = context.probes.samples(name, span.acting_ns - _LONGEST_NS, span.heal_ns)
    # One that was under way when the fault began may end either way; its silence counts all the same.
    ended = [
        s for s in found if s.start_ns >= span.acting_ns or (s.broken is Break.SILENT and s.end_ns > span.acting_ns)
    ]
    silences = sum(sample.broken is Break.SILENT for sample in ended)
    return Evidence(
        lacks="round trips" if span.acting_ns and not ended else "",
        stage="effect",
        target=target,
        probe=f"round trip through {name}",
        proven=bool(span.acting_ns) and silences > 0 and silences == len(ended),
        observed=_tally(ended),
        required="at least one times out; none succeeds, and none sees its connection closed",
    )


def shut(context: FaultContext, target: str, span: FaultSpan, through: str) -> Evidence:
    """Judge whether no round trip succeeds, and connections are cut or refused."""
    name = through or target
    ended = context.probes.samples(name, span.acting_ns, span.heal_ns) if span.acting_ns else []
    failed = sum(sample.broken in (Break.CUT, Break.REFUSED) for sample in ended)
    return Evidence(
        lacks="round trips" if span.acting_ns and failed == len(ended) < evidence.SAMPLES_MIN else "",
        stage="effect",
        target=target,
        probe=f"round trip through {name}",
        # A late monitor may take a refusal for silence.
        proven=failed >= evidence.SAMPLES_MIN and not any(sample.ok for sample in ended),
        observed=_tally(ended),
        required=f"none succeeds, and {evidence.SAMPLES_MIN} at least are cut or refused",
    )


def open_meanwhile(context: FaultContext, target: str, span: FaultSpan, extra_probe: str) -> Evidence:
    """Judge whether a connection of before the fault stayed open while it lasted: its round trip was
    still waited for.
    """
    ended = [s for s in context.probes.samples(extra_probe, 0, span.heal_ns) if s.end_ns > span.acting_ns and not s.ok]
    return Evidence(
        stage="effect",
        target=target,
        probe=f"a round trip without time-out through {target}",
        proven=bool(span.acting_ns) and not ended,
        observed=_tally(ended) if ended else "its connection is open",
        required="its connection stays open",
    )


def after_all(context: FaultContext, target: str, span: FaultSpan, extra_probe: str, *, arrives: bool) -> Evidence:
    """Judge what became of the round trip that was under way at the end: it ``arrives`` late, or was lost."""
    heal_ns = span.heal_ns or 0
    found = context.probes.samples(extra_probe, 0) if span.healed_ns else ()
    waiting = [s for s in found if s.start_ns < heal_ns <= s.end_ns and s.end_ns - s.start_ns > _WAITED_NS]
    last = waiting[-1] if waiting else None
    if last is None:
        observed = "no round trip was waiting"
    elif last.ok:
        observed = f"answered after {format_ns(last.end_ns - last.start_ns)}"
    else:
        observed = f"{_WORDS.get(last.broken, 'failed')} after {format_ns(last.end_ns - last.start_ns)}"
    return Evidence(
        stage="healing",
        target=target,
        probe=f"a round trip without time-out through {target} that began before the fault ended",
        proven=last is not None and (last.ok if arrives else last.broken is Break.CUT),
        observed=observed,
        required="its answer arrives once the fault is over"
        if arrives
        else "its data is lost, and its connection ends",
    )


def still_reachable(context: FaultContext, target: str, span: FaultSpan, through: str = "") -> Evidence:
    """Judge whether round trips went on succeeding while the fault lasts: it left this link alone.

    One that comes late says nothing: of a link that is cut off none succeeds.
    """
    name = through or target
    found = context.probes.samples(name, span.acting_ns, span.heal_ns)
    samples = [sample for sample in found if sample.end_ns > found[-1].end_ns - _RECENT_NS]
    succeeded = sum(sample.ok for sample in samples)
    return Evidence(
        lacks=evidence.lack(samples) if span.acting_ns else "",
        stage="effect",
        target=target,
        probe=f"round trip through {name}",
        proven=bool(span.acting_ns) and succeeded >= evidence.SAMPLES_MIN,
        observed=f"{succeeded} of the last {len(samples)} succeeded",
        required=f"{evidence.SAMPLES_MIN} of the last {format_ns(_RECENT_NS)} succeed, so it is not cut off",
    )


def lack(context: FaultContext, probe: str, *windows: Window | None) -> Lack:
    """Return whether a probe made too few round trips in one of these windows; nothing where one is not known yet."""
    looks = [context.probes.samples(probe, *window) for window in windows if window is not None]
    return evidence.lack(*looks) if len(looks) == len(windows) else ""


def length_ns(context: FaultContext, probe: str, window: Window | None) -> int | None:
    """Return the median length of a probe's successful round trips; None when there are too few, or no window."""
    return None if window is None else evidence.median_ns(context.probes.samples(probe, *window))


def rate_bytes_per_s(
    context: FaultContext, extra_probe: str, trip: str, size_bytes: int, window: Window | None
) -> int | None:
    """Return the median rate of the bulk round trips, the link's own round trip taken off; None when
    there are too few.
    """
    length = length_ns(context, extra_probe, window)
    alone = length_ns(context, trip, window) or 0
    return None if length is None else round(size_bytes * NS_PER_S / max(1, length - alone, length // 2))


def _tally(samples: Sequence[Sample]) -> str:
    """Return how many of the round trips went how."""
    count = Counter(_WORDS.get(sample.broken, "answered") for sample in samples)
    return f"of {len(samples)}: " + ", ".join(f"{n} {word}" for word, n in count.items()) if samples else "none ended"

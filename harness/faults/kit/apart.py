"""What a fault did by itself: the monitor's round trips, apart from those that another fault may have ended.

A fault elsewhere may end a round trip in its own way: a node that restarts ends the connections through a link that is
a black hole. Such a round trip says nothing of this fault; one that succeeded always does.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.faults.base import FaultContext, Sample
from harness.faults.kit.interference import Interfering
from harness.history.record import Break


def others(context: FaultContext, link: str) -> tuple[Interfering, ...]:
    """Return what other faults did to a link and to the nodes at its ends."""
    ends = (context.links[link].source, context.links[link].node) if link in context.links else ()
    return context.interference.by_others(context.planned.id, link, *ends)


def untouched(samples: Sequence[Sample], spans: Sequence[Interfering]) -> list[Sample]:
    """Return the round trips during which no other fault acted."""
    return [item for item in samples if not any(span.overlaps(item.start_ns, item.end_ns) for span in spans)]


def that_show_silence(samples: Sequence[Sample], spans: Sequence[Interfering]) -> list[Sample]:
    """Return the round trips that show whether a link is silent by itself.

    Those left out were cut or refused while another fault acted, or got no answer while a node at an end was down.
    """
    down = [span for span in spans if span.down]
    return [item for item in samples if item.ok or not _explained(item, down if _silent(item) else spans)]


def that_show_a_cut(samples: Sequence[Sample], spans: Sequence[Interfering]) -> list[Sample]:
    """Return the round trips that show whether a link is cut by itself.

    Those left out failed while another fault had a node at an end down: its end cuts connections, too. One that was
    refused counts all the same, because a proxy takes connections whatever its node does.
    """
    down = [span for span in spans if span.down]
    return [item for item in samples if item.ok or item.broken is Break.REFUSED or not _explained(item, down)]


def names(spans: Sequence[Interfering]) -> str:
    """Return the ids of the faults, each once, as a list for a sentence."""
    return ", ".join(dict.fromkeys(span.fault for span in spans))


def _silent(sample: Sample) -> bool:
    return sample.broken is Break.SILENT


def _explained(sample: Sample, spans: Sequence[Interfering]) -> bool:
    return any(span.overlaps(sample.start_ns, sample.end_ns) for span in spans)

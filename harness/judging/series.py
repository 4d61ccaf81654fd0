"""What the report plots of a history: rates, backlog, latency and deliveries in bins; bounded whatever the run's
length.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from harness.checks.analysis.sending import sending
from harness.history.events import ErrorEvent
from harness.history.read import History
from harness.history.record import Outcome
from harness.judging.bands import PARTITIONS_MAX, PHASES, bands_of
from harness.result import ReportTimeline, Series
from harness.verdict import CheckResult

_BINS: Final = 240
_TOLD_NS_MAX: Final = 10**9
"""A client writes its errors at most once a second each, so that an event stands for that long before it at most."""
SENDERS: Final = "sends/s"
"""Unit of what became of sends: a panel of its own, in which the death of a leader is a gap of acknowledgements."""

ERRORS: Final = "errors/s"
"""Unit of errors: a panel of its own, because a few of them among thousands of sends would lie on its axis."""


def timeline_of(history: History, checks: Iterable[CheckResult]) -> ReportTimeline | None:
    """Return the plot of a history; None when its timeline never began."""
    faults = history.window("faults")
    warmup = history.window("warmup")
    if faults is None or warmup is None:
        return None
    zero = faults[0]
    start, end = warmup[0], max(stop for phase in PHASES if (stop := (history.window(phase) or (0, 0))[1]))
    edges = np.linspace(start, end, _BINS + 1)
    return ReportTimeline(
        start_ns=start - zero,
        end_ns=end - zero,
        series=tuple(_series(history, edges, zero)),
        bands=bands_of(history, checks, zero),
        bin_ns=int((end - start) / _BINS),
        deliveries=_heat(history, edges),
    )


def _series(history: History, edges: NDArray[np.float64], zero: int) -> Iterator[Series]:
    index = history.index
    sends, deliveries = index.sends, index.deliveries
    done = deliveries.t_processed[deliveries.t_processed >= 0]
    acknowledged = np.sort(sends.t_done[sends.outcome == Outcome.OK])
    times = tuple(int(t) - zero for t in (edges[:-1] + edges[1:]) / 2)
    seconds = (edges[1] - edges[0]) / 1e9
    for name, unit, stamps in (("sent", "/s", sends.t), ("processed", "/s", done), ("sent", SENDERS, sends.t)):
        rate = np.histogram(stamps, edges)[0] / seconds
        yield Series(name=name, unit=unit, t_ns=times, y=tuple(float(value) for value in rate))
    for name, outcome in (("acknowledged", Outcome.OK), ("refused", Outcome.FAIL)):
        rate = np.histogram(sends.t_done[sends.outcome == outcome], edges)[0] / seconds
        yield Series(name=name, unit=SENDERS, t_ns=times, y=tuple(float(value) for value in rate))
    if any(errors := _producer_errors(history, edges)):
        yield Series(name="errors that producers heard", unit=ERRORS, t_ns=times, y=errors)
    first = _first_processed(history)
    waiting = np.searchsorted(acknowledged, edges[1:]) - np.searchsorted(np.sort(first[first >= 0]), edges[1:])
    backlog = tuple(float(value) for value in np.maximum(waiting, 0))
    yield Series(name="backlog", unit="messages", t_ns=times, y=backlog)
    yield Series(name="latency p99", unit="ns", t_ns=times, y=_latency(history, edges))


def _producer_errors(history: History, edges: NDArray[np.float64]) -> tuple[float, ...]:
    """Return how many errors a second the producers heard: an attempt that is made again is neither acknowledged nor
    refused, so that without them an outage looks like silence.
    """
    producers = {journal.worker for journal in history.journals if journal.role == "producer"}
    told: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for event in history.of_kind(ErrorEvent):
        if event.worker in producers:
            told.setdefault((event.worker, event.message), []).append((event.t, event.count))
    heard = np.zeros(edges.size)  # up to each edge
    for events in told.values():
        times, counts, last, total = [0], [0], 0, 0
        for t, count in events:
            # The first of a burst is told at once; what came after it was gathered since the last one.
            begin = max(last, t - _TOLD_NS_MAX) if count > 1 else t - 1
            times += [max(begin, times[-1]), t]
            counts += [total, total + count]
            last, total = t, total + count
        heard += np.interp(edges, times, counts)
    return tuple(float(value) for value in np.diff(heard) / ((edges[1] - edges[0]) / 1e9))


def _first_processed(history: History) -> NDArray[np.int64]:
    """Return when each value was first processed, -1 where never."""
    deliveries = history.index.deliveries
    known = (deliveries.value >= 0) & (deliveries.t_processed >= 0)
    size = int(deliveries.value.max()) + 1 if deliveries.value.size else 0
    first = np.full(max(size, 0), np.iinfo(np.int64).max)
    np.minimum.at(first, deliveries.value[known], deliveries.t_processed[known])
    return np.where(first == np.iinfo(np.int64).max, -1, first)


def _latency(history: History, edges: NDArray[np.float64]) -> tuple[float, ...]:
    """Return the 99th percentile of due → first delivery of what was due in each bin; NaN where nothing was. Without a
    schedule a message is due when it is sent.
    """
    index = history.index
    sends, deliveries = index.sends, index.deliveries
    known = deliveries.value >= 0
    size = int(max(sends.value.max(initial=-1), deliveries.value.max(initial=-1))) + 1
    first = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(first, deliveries.value[known], deliveries.t[known])
    arrived = first[sends.value] != np.iinfo(np.int64).max
    late = sending(history)
    due, taken = late.since[arrived], (first[sends.value] - sends.t + late.possible)[arrived]
    order = np.argsort(due, kind="stable")
    due, taken = due[order], taken[order]
    cuts = np.searchsorted(due, edges)
    return tuple(
        float(np.percentile(taken[low:high], 99, method="inverted_cdf")) if high > low else float("nan")
        for low, high in itertools.pairwise(cuts)
    )


def _heat(history: History, edges: NDArray[np.float64]) -> dict[str, tuple[int, ...]]:
    deliveries = history.index.deliveries
    return {
        str(partition): tuple(
            int(count) for count in np.histogram(deliveries.t[deliveries.partition == partition], edges)[0]
        )
        for partition in range(min(history.facts.partitions, PARTITIONS_MAX))
    }

"""Which acknowledgements forbid that the broker delivers a message again, and which only may.

Owns the rule of time: a message is sent again ``wait_ns`` after the broker has *sent* it, which may be long before the
consumer was given it. It cannot have been before the message was sent to the broker, nor before the consumer asked for
it. Doubt is no proof: one that was too late by then forbids nothing. Must never blame a broker whose word may not have
arrived.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np

from harness.checks.analysis.disturbances import Disturbances
from harness.history.events import WorkerEvent
from harness.history.index import Int64, Mask
from harness.history.read import History
from harness.history.record import Outcome, RecordKind

_TOLD_NS: Final = 3_000_000_000
"""An outage is recorded with the answer that did not come, and an error within a second."""


class Acknowledgements:
    """The acknowledgements of one history whose deliveries are settled one by one.

    Attributes:
        binding: Of each delivery: it was acknowledged in time, and its worker was there all the time.
        confirmed: The broker said so.
    """

    def __init__(self, history: History, rows: Int64) -> None:
        """Examine deliveries.

        Args:
            history: That holds them.
            rows: Of deliveries, those that matter; of others nothing is said.
        """
        self._history = history
        deliveries = history.index.deliveries
        acknowledged = history.facts.settling.acknowledged
        assert acknowledged is not None
        good = deliveries.ack_outcome[rows] == Outcome.OK
        in_time = deliveries.t_acked[rows] - self._sent(rows) <= acknowledged.wait_ns
        self.binding: Mask = np.zeros(deliveries.t.size, np.bool_)
        self.binding[rows] = good & in_time & ~_paused(history, rows)
        self.confirmed: Mask = deliveries.ack_confirmed

    def undisturbed(self, earlier: Int64, later: Int64) -> Mask:
        """Return for pairs of deliveries whether nothing came between the first one's acknowledgement and the second.

        A broken connection, or a fault of the node or link, may have undone what the broker confirmed.
        """
        deliveries = self._history.index.deliveries
        found = np.ones(earlier.size, np.bool_)
        places = deliveries.partition[earlier].astype(np.int64), deliveries.journal[earlier], deliveries.journal[later]
        labels, which = np.unique(np.stack(places), axis=1, return_inverse=True)
        for number, (partition, first, second) in enumerate(labels.T.tolist()):
            (here,) = np.nonzero(which.ravel() == number)
            for journal in {first, second}:
                spans = self._disturbances.of(self._history.journals[journal].worker, partition)
                if not spans:
                    continue
                start, end = (np.array(edge, np.int64) for edge in zip(*spans, strict=True))
                # The first span that ends after the acknowledgement begins after the second delivery, or there is none.
                at = np.searchsorted(end, deliveries.t_acked[earlier[here]], side="right")
                beyond = at == end.size
                begins = start[np.minimum(at, end.size - 1)]
                found[here] &= beyond | (begins > deliveries.t[later[here]])
        return found

    def settled(self, later: Int64) -> Mask:
        """Return for deliveries whether everything is recorded that may have been disturbed before them.

        Probes and clients report it a little later. In a run that is not over it may still come.
        """
        history = self._history
        probed = any((view.kinds == RecordKind.PROBE).any() for view in history.journals)
        open_ = probed and all(event.phase != "end" for event in history.phases())
        until = history.span.end_ns - _TOLD_NS if open_ else np.iinfo(np.int64).max
        found: Mask = history.index.deliveries.t[later] <= until
        return found

    @functools.cached_property
    def _disturbances(self) -> Disturbances:
        return Disturbances(self._history)

    def _sent(self, rows: Int64) -> Int64:
        """Return the earliest time at which the broker can have sent each delivery."""
        history, index = self._history, self._history.index
        deliveries, sends = index.deliveries, index.sends
        earliest = np.array([int(view.header.get("mono_ns", 0)) for view in history.journals], np.int64)
        found = earliest[deliveries.journal[rows]]
        value = deliveries.value[rows]
        row = (
            np.where(value >= 0, index.first_send[np.maximum(value, 0)], -1) if index.values else np.full(rows.size, -1)
        )
        if sends.t.size:
            found = np.where(row >= 0, np.maximum(found, sends.t[np.maximum(row, 0)]), found)
        acknowledged = history.facts.settling.acknowledged
        asked = acknowledged.asked_max if acknowledged is not None else 0
        if asked and rows.size:
            # What is ``asked`` deliveries before was handed over before the consumer asked for this one.
            order = np.lexsort((np.arange(deliveries.t.size), deliveries.partition, deliveries.journal))
            place = np.empty(order.size, np.int64)
            place[order] = np.arange(order.size)
            before = order[np.maximum(place[rows] - asked, 0)]
            same = (place[rows] >= asked) & (deliveries.journal[before] == deliveries.journal[rows])
            same &= deliveries.partition[before] == deliveries.partition[rows]
            found = np.where(same, np.maximum(found, deliveries.t[before]), found)
        sent: Int64 = np.minimum(found, deliveries.t[rows])
        return sent


def _paused(history: History, rows: Int64) -> Mask:
    """Return whether the worker of each delivery was paused or dead between delivery and acknowledgement."""
    deliveries = history.index.deliveries
    found = np.zeros(rows.size, np.bool_)
    for event in history.of_kind(WorkerEvent):
        if event.state in {"paused", "killed", "died"}:
            hit = [view.worker == event.worker for view in history.journals]
            found |= (
                np.array(hit, np.bool_)[deliveries.journal[rows]]
                & (deliveries.t[rows] <= event.t)
                & (event.t <= deliveries.t_acked[rows])
            )
    return found

"""From an application's lines to the journal of its incarnation, in the order in which they came.

Owns which delivery a later line means: that of its place which came first and is not over. A line out of turn is
refused with a sentence, and changes nothing. Knows no socket and no broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from harness.applications.protocol import Assigned, Committed, Delivered, Line, Processed, Returned
from harness.clients.base import Session
from harness.clients.recording import DeliveryRecorder
from harness.history.events import AssignEvent, LostEvent, OwnershipEvent, RevokeEvent
from harness.history.record import Outcome

SETTLES: Final = "settles"
"""Option of the recorder's specification: how deliveries are settled: by ``positions``, ``messages`` or ``""``: not at
all."""
WHOLE: Final = "whole"
"""Option likewise: see ``OwnershipEvent``."""

_KINDS: Final[Mapping[str, type[OwnershipEvent]]] = {"assigned": AssignEvent, "revoked": RevokeEvent, "lost": LostEvent}

Place = tuple[int, int]
"""Partition and offset."""


class _Waiting:
    """Ordinals that wait for a step, by their place: a place that was delivered again has several, oldest first."""

    def __init__(self) -> None:
        self._of: dict[Place, list[int]] = {}

    def add(self, place: Place, ordinal: int) -> None:
        self._of.setdefault(place, []).append(ordinal)

    def take(self, place: Place) -> int | None:
        """Return the oldest one, which waits no longer; None when none waits there."""
        found = self._of.get(place)
        if not found:
            return None
        ordinal = found.pop(0)
        if not found:
            del self._of[place]
        return ordinal

    def remove(self, place: Place, ordinal: int) -> None:
        found = self._of.get(place, [])
        if ordinal in found:
            found.remove(ordinal)
            if not found:
                del self._of[place]

    def items(self) -> Iterator[int]:
        return (ordinal for ordinals in self._of.values() for ordinal in ordinals)


class Journaling:
    """The journal of one incarnation of an application.

    Args:
        session: Of the incarnation; nothing else records in its journal.
    """

    def __init__(self, session: Session) -> None:
        self._session, self._counters = session, session.counters
        self._settles = str(session.spec.options.get(SETTLES, ""))
        # The application commits as it likes: that is judged, and not refused here.
        self._recorder = DeliveryRecorder(
            session.journal, acknowledged=self._settles == "messages", early=True, shared=False
        )
        self._unprocessed, self._unsettled, self._asked = _Waiting(), _Waiting(), _Waiting()
        self._run: tuple[int, int] = (0, 0)
        self._steps: Mapping[type, Callable[..., str]] = {
            Processed: self._process,
            Returned: self._give_back,
            Committed: self._commit,
            Assigned: self._assign,
        }

    def take(self, lines: Sequence[tuple[int, Line]]) -> list[tuple[int, str]]:
        """Journal lines; return (number, why) of each that is out of turn. Raises JournalError.

        Args:
            lines: (number, line) of each, as they came.
        """
        refused: list[tuple[int, str]] = []
        deliveries: list[Delivered] = []
        for number, line in lines:
            if not isinstance(line, Processed) or line.outcome is not Outcome.OK:
                self._end_run()
            if isinstance(line, Delivered):
                if deliveries and (deliveries[0].intact is None) != (line.intact is None):
                    self._deliver(deliveries)
                    deliveries = []
                deliveries.append(line)
                continue
            if deliveries:
                self._deliver(deliveries)
                deliveries = []
            why = self._steps[type(line)](line)
            if why:
                refused.append((number, why))
        if deliveries:
            self._deliver(deliveries)
        self._end_run()
        self._recorder.flush()
        return refused

    def finish(self) -> None:
        """Journal what was asked for and never answered; raises JournalError."""
        for ordinal in sorted(self._asked.items()):
            self._recorder.acknowledged(ordinal, 1, Outcome.UNKNOWN, confirmed=False)
        self._recorder.flush()

    def _deliver(self, lines: Sequence[Delivered]) -> None:
        rows = [(line.key, line.seq, line.partition, line.offset, line.attempt, line.number) for line in lines]
        intact = None if lines[0].intact is None else [bool(line.intact) for line in lines]
        first = self._recorder.deliver_each(rows, intact)
        for ordinal, line in enumerate(lines, start=first):
            self._unprocessed.add((line.partition, line.offset), ordinal)
            if self._settles == "messages":
                self._unsettled.add((line.partition, line.offset), ordinal)
        self._counters.delivered += len(lines)

    def _process(self, line: Processed) -> str:
        ordinal = self._unprocessed.take((line.partition, line.offset))
        if ordinal is None:
            return f"says processed of {_named(line)}, which was not delivered, or is over already"
        self._counters.processed += 1
        if line.outcome is not Outcome.OK:
            self._recorder.failed(ordinal, 1)
            return ""
        first, count = self._run
        if count and ordinal == first + count:
            self._run = first, count + 1
        else:
            self._end_run()
            self._run = ordinal, 1
        return ""

    def _end_run(self) -> None:
        """Write the range of deliveries in order whose handlers have ended since the last one."""
        first, count = self._run
        if count:
            self._run = 0, 0
            self._recorder.processed(first, count)

    def _give_back(self, line: Returned) -> str:
        place = (line.partition, line.offset)
        ordinal = self._unprocessed.take(place)
        if ordinal is None:
            return f"says returned of {_named(line)}, which was not delivered, or is over already"
        self._unsettled.remove(place, ordinal)
        self._recorder.give_back(ordinal)
        self._counters.returned += 1
        return ""

    def _commit(self, line: Committed) -> str:
        if self._settles == "positions":
            if line.position < 0:
                return "says committed of an offset; here positions are committed: the offset behind the last message"
            if line.outcome is Outcome.UNKNOWN:
                self._recorder.begin_commit({line.partition: line.position})
            else:
                self._recorder.end_commit(line.partition, line.position, line.outcome)
            return ""
        if self._settles != "messages":
            return "says committed, and nothing is acknowledged here: the broker forgets a message once it was sent"
        if line.offset < 0:
            return "says committed of a position; here each message is acknowledged by itself: give its offset"
        return self._acknowledge(line)

    def _acknowledge(self, line: Committed) -> str:
        place = (line.partition, line.offset)
        asked = self._asked.take(place) if line.outcome is not Outcome.UNKNOWN else None
        ordinal = asked if asked is not None else self._unsettled.take(place)
        if ordinal is None:
            return f"says committed of {_named(line)}, which was not delivered, or is acknowledged already"
        if asked is None:
            self._recorder.acknowledge(ordinal, 1)
        if line.outcome is Outcome.UNKNOWN:
            self._asked.add(place, ordinal)
        else:
            confirmed = line.confirmed and line.outcome is Outcome.OK
            self._recorder.acknowledged(ordinal, 1, line.outcome, confirmed=confirmed)
        return ""

    def _assign(self, line: Assigned) -> str:
        spec = self._session.spec
        self._recorder.flush()
        self._session.events.write(
            _KINDS[line.event](
                worker=spec.worker,
                incarnation=spec.incarnation,
                partitions=line.partitions,
                start=(-1,) * len(line.partitions),
                whole=spec.options.get(WHOLE),
            )
        )
        return ""


def _named(line: Processed | Returned | Committed) -> str:
    return f"partition {line.partition} offset {line.offset}"

"""Declares small histories in lines of text, for the corpus and the tests of the checks.

A line is ``<journal> <ms> <operation> <value> [<arguments>]``; a value is ``key/n``, after a restart of its producer
``key/n'incarnation`` (from 1):

    p0.1 10 send 0/0 p0         SEND of key 0's first message to partition 0, at 10 ms
    p0.1 10 send 0/0 p0 +500    SEND of a message that is due 500 ms later
    p0.1 12 ok 0/0 @5           its SENT with outcome ok and offset 5; also: fail, unknown
    c0.1 20 got 0/0 p0 @5 #1    DELIVERED, delivery attempt 1; ``again`` sets the flag REDELIVERED, ``t2`` the thread,
                                ``intact`` and ``corrupted`` (also of stored, replica, dead) what was seen of the body;
                                ``?`` in place of a value is a body that does not name one
    c0.1 21 done 0/0            PROCESSED ok of the latest delivery of the value in this journal; also: failed
    c0.1 22 ack 0/0 confirmed   ACKED ok; also: ack-unknown, ack-fail
    c0.1 22 commit p0 @5 ~20    COMMIT ok, confirmed, of position 5, begun at 20 ms (without ``~``: not said when);
                                ``fail`` and ``unknown`` are other outcomes
    c0.1 23 poll 3 1500         POLL: 3 polls since the last one, at most 1,500 ms between two of them
    p0.1 10 begin               a transaction begins: of what this journal sends (a journal without sends: of what it
                                is given) until its end; then: commit-asked, abort-asked, committed, aborted,
                                ended (of unknown outcome)
    audit.1 90 stored 0/0 p0 @5 STORED
    audit.1 90 replica 0/0 p0 @5 n2   REPLICA, found on the second of the facts' nodes
    audit.1 90 output 0/0 p0 @5 OUTPUT
    audit.1 90 dead 0/0 p0 @0   DEAD_LETTER
    monitor.1 100 tick 100      TICK, 100 ms after the one before
    monitor.1 50 probe a->n1 fail 20   PROBE cut at 50 ms, begun 20 ms before; ``silent``: it had no answer in time
    - 0 phase phase=warmup      an event; the fields are JSON values, or strings
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.history.event_form import from_json
from harness.history.events import Event
from harness.history.facts import Facts
from harness.history.read import RECORD_DTYPE, History, JournalView
from harness.history.record import SEQ_BITS, Break, Flag, Outcome, RecordKind, TransactionStep

MS = 1_000_000
ROLES = {"p": "producer", "c": "consumer", "a": "audit", "m": "monitor"}

_OUTCOMES = {
    "ok": Outcome.OK,
    "fail": Outcome.FAIL,
    "unknown": Outcome.UNKNOWN,
    "done": Outcome.OK,
    "failed": Outcome.FAIL,
    "ack": Outcome.OK,
    "ack-fail": Outcome.FAIL,
    "ack-unknown": Outcome.UNKNOWN,
}
_COMPLETIONS = {
    "ok": RecordKind.SENT,
    "fail": RecordKind.SENT,
    "unknown": RecordKind.SENT,
    "done": RecordKind.PROCESSED,
    "failed": RecordKind.PROCESSED,
    "ack": RecordKind.ACKED,
    "ack-fail": RecordKind.ACKED,
    "ack-unknown": RecordKind.ACKED,
}

_OPERATIONS = {
    "send": RecordKind.SEND,
    "got": RecordKind.DELIVERED,
    "stored": RecordKind.STORED,
    "dead": RecordKind.DEAD_LETTER,
    "replica": RecordKind.REPLICA,
    "output": RecordKind.OUTPUT,
}

_STEPS = {
    "begin": (TransactionStep.BEGUN, Outcome.NONE),
    "commit-asked": (TransactionStep.COMMITTING, Outcome.NONE),
    "abort-asked": (TransactionStep.ABORTING, Outcome.NONE),
    "committed": (TransactionStep.ENDED, Outcome.OK),
    "aborted": (TransactionStep.ENDED, Outcome.FAIL),
    "ended": (TransactionStep.ENDED, Outcome.UNKNOWN),
}

_FLAGS = {"again": Flag.REDELIVERED, "intact": Flag.INTACT, "corrupted": Flag.CORRUPTED}

Record = tuple[int, int, int, int, int, int, int, int, int, int]


GROUP_STATES = {
    "preparing_rebalance": "rebalancing",
    "completing_rebalance": "rebalancing",
    "assigning": "rebalancing",
    "reconciling": "rebalancing",
    "stable": "settled",
    "empty": "empty",
    "dead": "gone",
}
"""State of a group in these histories → what it means."""


def facts(**changes: Any) -> Facts:
    """Return facts of a small cluster: one partition, one node, zone ``clients``.

    Args:
        changes: As ``facts.json`` has them; a ``group`` needs no states.
    """
    given: dict[str, Any] = {
        "partitions": 1,
        "nodes": ("n1",),
        "worker_zones": {},
        "links": {"clients->n1": ("clients", "n1")},
    }
    given |= changes
    if given.get("group") is not None:
        given["group"] = {"states": GROUP_STATES} | given["group"]
    return Facts.of(json.loads(json.dumps(given)))


@dataclass
class _Page:
    """One journal being written."""

    records: list[Record] = field(default_factory=list)
    sends: dict[tuple[int, int], int] = field(default_factory=dict)
    deliveries: dict[tuple[int, int], int] = field(default_factory=dict)
    targets: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    delivered: int = 0
    started: int = 0
    begun: int = 0


class HistoryBuilder:
    """Collects lines into a history."""

    def __init__(self, given: Facts | None = None) -> None:
        self.facts = given if given is not None else facts()
        self.pages: dict[str, _Page] = {}
        self.events: list[Event] = []

    def lines(self, lines: Iterable[str]) -> HistoryBuilder:
        """Add lines in order; blank ones and those that begin with ``#`` are skipped."""
        for line in lines:
            if line.strip() and not line.lstrip().startswith("#"):
                self._line(line.split())
        return self

    def event(self, t_ms: float, kind: str, **fields: Any) -> HistoryBuilder:
        """Add one event."""
        source = str(fields.get("worker", "engine"))
        # In the old form, which lets fields be left out.
        self.events.append(from_json({"t": round(t_ms * MS), "kind": kind, "source": source} | fields))
        return self

    def history(self, *, torn: Iterable[str] = ()) -> History:
        """Return the history."""
        return History.of([self.view(name) for name in self.pages], self.events, self.facts, torn=torn)

    def view(self, name: str) -> JournalView:
        """Return one journal."""
        page = self.pages[name]
        header = {"mono_ns": page.started, "targets": list(page.targets)}
        return JournalView.of(name, ROLES[name[0]], np.array(page.records, RECORD_DTYPE), header)

    def _line(self, words: list[str]) -> None:
        who, at, operation, *rest = words
        if who == "-":
            pairs = (word.split("=", 1) for word in rest)
            self.event(float(at), operation, **{name: _json(text) for name, text in pairs})
            return
        t = round(float(at) * MS)
        page = self.pages.setdefault(who, _Page(started=t))
        if operation in _COMPLETIONS:
            self._completion(page, t, operation, _value(rest[0]), rest[1:])
        elif operation == "tick":
            page.records.append(_record(RecordKind.TICK, t, offset=round(float(rest[0]) * MS)))
        elif operation == "poll":
            longest = round(float(rest[1]) * MS)
            page.records.append(_record(RecordKind.POLL, t, count=int(rest[0]), offset=longest))
        elif operation in _STEPS:
            self._step(page, t, *_STEPS[operation])
        elif operation == "commit":
            self._commit(page, t, rest)
        elif operation == "probe":
            index = page.targets.setdefault(rest[0], len(page.targets))
            trip = round(float(rest[2]) * MS)
            broken = {"ok": Break.NONE, "fail": Break.CUT, "silent": Break.SILENT}[rest[1]]
            outcome = Outcome.FAIL if broken else Outcome.OK
            page.records.append(
                _record(
                    RecordKind.PROBE, t, outcome=outcome, partition=index, seq=t - trip, offset=trip, count=int(broken)
                )
            )
        else:
            self._operation(page, t, operation, _value(rest[0]), rest[1:])

    def _commit(self, page: _Page, t: int, words: list[str]) -> None:
        outcome = next((_OUTCOMES[word] for word in words if word in {"fail", "unknown"}), Outcome.OK)
        begun = next((round(float(word[1:]) * MS) for word in words if word.startswith("~")), -1)
        page.records.append(
            _record(
                RecordKind.COMMIT,
                t,
                outcome=outcome,
                flags=Flag.CONFIRMED if outcome is Outcome.OK else 0,
                partition=_argument(words, "p", 0),
                seq=begun,
                offset=_argument(words, "@", -1),
            )
        )

    def _step(self, page: _Page, t: int, step: TransactionStep, outcome: Outcome) -> None:
        held = page.sent or page.delivered
        if step is TransactionStep.BEGUN:
            page.begun = held
        page.records.append(
            _record(RecordKind.TRANSACTION, t, outcome=outcome, key=step, ref=page.begun, count=held - page.begun)
        )

    def _operation(self, page: _Page, t: int, operation: str, value: tuple[int, int], words: list[str]) -> None:
        kind = _OPERATIONS[operation]
        if kind is RecordKind.SEND:
            page.sends[value] = page.sent
            page.sent += 1
        elif kind is RecordKind.DELIVERED:
            page.deliveries[value] = page.delivered
            page.delivered += 1
        page.records.append(
            _record(
                kind,
                t,
                outcome=_argument(words, "t", 0) if kind is RecordKind.DELIVERED else 0,
                flags=sum(flag for word, flag in _FLAGS.items() if word in words),
                count=_argument(words, "#", 0 if kind is RecordKind.DELIVERED else 1),
                key=value[0],
                seq=value[1],
                partition=_argument(words, "p", 0),
                offset=t + delay * MS if (delay := _argument(words, "+", 0)) else _argument(words, "@", -1),
                ref=_argument(words, "n", 0) - 1 if kind is RecordKind.REPLICA else -1,
            )
        )

    def _completion(self, page: _Page, t: int, operation: str, value: tuple[int, int], words: list[str]) -> None:
        kind = _COMPLETIONS[operation]
        flags = (Flag.CONFIRMED if "confirmed" in words else 0) | (Flag.DUPLICATE if "duplicate" in words else 0)
        refs = page.sends if kind is RecordKind.SENT else page.deliveries
        page.records.append(
            _record(
                kind,
                t,
                outcome=_OUTCOMES[operation],
                flags=flags,
                offset=_argument(words, "@", -1),
                ref=refs[value],
            )
        )


def _record(
    kind: RecordKind,
    t: int,
    *,
    outcome: int = 0,
    flags: int = 0,
    count: int = 1,
    key: int = -1,
    partition: int = -1,
    seq: int = -1,
    offset: int = -1,
    ref: int = -1,
) -> Record:
    return (kind, outcome, flags, count, t, key, partition, seq, offset, ref)


def _value(text: str) -> tuple[int, int]:
    if text == "?":
        return -1, -1
    place, _, incarnation = text.partition("'")
    key, n = place.split("/")
    return int(key), int(n) + ((int(incarnation or 1) - 1) << SEQ_BITS)


def _argument(words: list[str], sign: str, default: int) -> int:
    return next((int(word[len(sign) :]) for word in words if word.startswith(sign)), default)


def _json(text: str) -> Any:
    parse: Callable[[str], Any] = json.loads
    try:
        return parse(text)
    except ValueError:
        return text

"""What producers send in transactions, each of which is visible as a whole or not at all.

Committed ones, aborted ones, those whose outcome never became known, and those that a crash cut short; their messages
lie between those of the other producer. Must never know a check's code.
"""

from __future__ import annotations

import random
from typing import Final

from support.stories.story import MS, Message, Transaction

from harness.history.record import SEQ_BITS, Outcome, TransactionStep

COLLECTS: Final = 100 * MS
"""How long a transaction collects at most."""
_ENDS: Final = ("committed", "committed", "committed", "aborted", "given up", "unknown", "unknown", "cut short")


def messages(rng: random.Random, partitions: int) -> tuple[list[Message], list[Transaction]]:
    """Return messages in the order in which they were sent, and the transactions that they belong to."""
    found: list[Transaction] = []
    for producer in range(2):
        t, incarnation, counts = 10 * MS, 1, dict[int, int]()
        keys = [2 * key + producer for key in range(rng.randint(1, 2))]
        # The first of all is committed, so that there is something to read.
        for number in range(rng.randint(1, 4)):
            end = "committed" if number == producer == 0 else rng.choice(_ENDS)
            one = _one(rng, f"p{producer}.{incarnation}", t, end, keys, counts, partitions)
            found.append(one)
            t = max(one.ended, *(item.done for item in one.members), *(at for _, at in one.steps), 0) + MS
            t = max(t, one.members[-1].sent + 2 * MS) + rng.randint(0, 20) * MS
            if end == "cut short":
                incarnation, counts = incarnation + 1, {}
                t += 50 * MS
    sent = sorted((item for one in found for item in one.members), key=lambda item: item.sent)
    _place(rng, sent, found)
    return sent, found


def _one(
    rng: random.Random, journal: str, t: int, end: str, keys: list[int], counts: dict[int, int], partitions: int
) -> Transaction:
    """Return one transaction that begins at ``t``."""
    one, at = Transaction(journal, t), t
    incarnation = int(journal.partition(".")[2])
    for _ in range(rng.randint(1, 4)):
        key = rng.choice(keys)
        counts[key] = counts.get(key, -1) + 1
        at += rng.randint(1, 8) * MS + rng.randint(1, 999)  # no two at a time
        seq = counts[key] + ((incarnation - 1) << SEQ_BITS)
        one.members.append(Message(key, seq, journal, key % partitions, -1, at, -1, Outcome.UNKNOWN))
    at += rng.randint(1, 8) * MS
    if end == "cut short":
        return one
    if end == "given up":
        one.steps.append((TransactionStep.ABORTING, at))
    else:
        one.steps.append((TransactionStep.COMMITTING, at))
        if rng.random() < 0.2:
            at += rng.randint(1, 3) * MS
            one.steps.append((TransactionStep.COMMITTING, at))
        if end == "aborted":
            at += rng.randint(1, 3) * MS
            one.steps.append((TransactionStep.ABORTING, at))
    one.outcome = {"committed": Outcome.OK, "unknown": Outcome.UNKNOWN}.get(end, Outcome.FAIL)
    told = end != "unknown" or rng.random() < 0.5
    one.ended = at + rng.randint(1, 5) * MS if told else -1
    for item in one.members:
        item.outcome = one.outcome
        item.done = one.ended + MS // 2 if told else -1
        item.readable = one.asked
    if end == "committed" and len(one.members) > 1 and rng.random() < 0.1:
        # The library refused one, which was never part of it.
        one.members[-1].outcome = Outcome.FAIL
    return one


def _place(rng: random.Random, sent: list[Message], found: list[Transaction]) -> None:
    """Give every message its place in the log, and one to the mark of each transaction's end; store what is visible."""
    of = {id(item): one for one in found for item in one.members}
    visible = {id(one): one.outcome is Outcome.OK or (_may_be_seen(one) and rng.random() < 0.5) for one in found}
    ends: dict[int, int] = {}
    for item in sent:
        one = of[id(item)]
        ends[item.partition] = ends.get(item.partition, -1) + rng.choice([1, 1, 2])
        if visible[id(one)] and (item.outcome is not Outcome.FAIL):
            item.offset = ends[item.partition]
            item.stored = [(item.partition, item.offset)]
            item.told = item.offset if item.ok and rng.random() < 0.9 else -1


def _may_be_seen(one: Transaction) -> bool:
    return one.outcome is Outcome.UNKNOWN and one.asked >= 0

"""Draws runs in which everything is as it should be, whatever a client, a broker or a machine may legally do.

Producers that restart, send on schedules, or send in transactions; sends of every outcome, delayed messages; consumers
that acknowledge one by one, by positions of a group (eager or cooperative), by positions under locks, or not at all;
crashes, redeliveries, commits of unknown outcome, torn journals, stalls of the machine, a node that no client reaches,
retention. Written against ``docs/checks.md``: what it draws no check may find fault with. Must never know a check's
code.
"""

from __future__ import annotations

import dataclasses
import json
import random
from typing import Any, Final

from support.stories import owners, transactional
from support.stories.story import MS, Delivery, Message, Story

from harness.history.events import Event, FaultEvent, LeaderEvent, ScheduleEvent
from harness.history.facts import Facts
from harness.history.record import SEQ_BITS, Outcome

PROTOCOLS: Final = ("acks", "none", "eager", "cooperative", "locks")
PAUSE: Final = 3_000 * MS
"""Derived limit of a pause; a death, a lock that outlives it and a cut node are within it."""
SESSION: Final = 1_000 * MS
CUT_MAX: Final = SESSION - 2 * owners.TOOK_MAX
"""How long no client reaches the node at most: when the session of a dead member ends, the others still take over in
time, as far as the time-out of a rebalance gives them time.
"""
ACK_WAIT: Final = 300 * MS
LOCK: Final = 600 * MS
DELAYED_KEY: Final = 9
_COUNT: Final = (1 << SEQ_BITS) - 1
STATES: Final = {"preparing_rebalance": "rebalancing", "stable": "settled", "empty": "empty", "dead": "gone"}


def valid(rng: random.Random, protocol: str | None = None, *, in_transactions: bool = False) -> Story:
    """Return a run without a fault of anyone's; some have transactions, and all where that is asked for."""
    protocol = protocol or rng.choice(PROTOCOLS)
    partitions, workers = rng.randint(1, 3), rng.randint(2, 3)
    facts = _facts(rng, protocol, partitions, workers)
    if in_transactions or rng.random() < 0.25:
        messages, transactions = transactional.messages(rng, partitions)
        facts = dataclasses.replace(
            facts, isolation="committed", transaction_ns=transactional.COLLECTS, aborts_on_purpose=True
        )
    else:
        messages = _messages(rng, partitions, delayed=protocol in {"acks", "none"} and rng.random() < 0.4)
        transactions = []
    story = Story(facts, messages, [], [], [], 0, 0, transactions=transactions)
    if protocol in {"acks", "none"}:
        _by_itself(rng, story, workers, acks=protocol == "acks")
    else:
        owners.in_a_group(rng, story, workers, protocol)
    _close(rng, story)
    if rng.random() < 0.3:
        _stand_still(rng, story)
    story.replicated = rng.random() < 0.5
    return story


def _facts(rng: random.Random, protocol: str, partitions: int, workers: int) -> Facts:
    given: dict[str, Any] = {
        "partitions": partitions,
        "nodes": ("n1", "n2"),
        "links": {"clients->n1": ("clients", "n1")},
        "worker_zones": {f"c{index}": "clients" for index in range(workers)},
        "pause_ns_derived": PAUSE,
        "pause_formula": "of the proof",
        "detection_bound_ns": rng.choice([0, 100 * MS]),
        "settling": {
            "acks": {"acknowledged": {"confirmed": True, "wait_ns": ACK_WAIT}},
            "none": {},
        }.get(protocol, {"positions": True}),
    }
    if protocol not in {"acks", "none"}:
        group: dict[str, Any] = {
            "states": STATES,
            "eager": protocol == "eager",
            "rounds_per_change": 1 if protocol == "eager" else 2,
            "session_timeout_ns": SESSION,
            "rebalance_timeout_ns": SESSION,
        }
        if protocol == "locks":
            group |= {"lock_ns": LOCK, "notice_ns": 200 * MS}
            given["threads_per_partition"] = 1
        given["group"] = group
        given["membership_changes"] = 3
    return Facts.of(json.loads(json.dumps(given)))


def _messages(rng: random.Random, partitions: int, *, delayed: bool) -> list[Message]:
    """Return messages in the order in which they were sent, those of a key in the order of its log."""
    found: list[Message] = []
    ends = dict.fromkeys(range(partitions), -1)
    counts: dict[tuple[int, int], int] = {}
    incarnation = {0: 1, 1: 1}
    t = 10 * MS
    keys = rng.randint(1, 4)
    for _ in range(rng.randint(4, 24)):
        key = rng.randrange(keys)
        producer = key % 2
        t += rng.randint(1, 40) * MS
        if rng.random() < 0.03:
            incarnation[producer] += 1
            t += 50 * MS
        outcome = rng.choices([Outcome.OK, Outcome.UNKNOWN, Outcome.FAIL], [90, 7, 3])[0]
        if not found:
            outcome = Outcome.OK
        stored = outcome is Outcome.OK or (outcome is Outcome.UNKNOWN and rng.random() < 0.5)
        partition = key % partitions
        ends[partition] += rng.randint(1, 2) if stored else 0
        slot = key, incarnation[producer]
        n = counts[slot] = counts.get(slot, -1) + 1
        offset = ends[partition] if stored else -1
        # A producer waits for an answer before it sends the key's next one, as its journal then shows.
        done = t + rng.randint(1, 8) * MS
        found.append(
            Message(
                key,
                n + ((incarnation[producer] - 1) << SEQ_BITS),
                f"p{producer}.{incarnation[producer]}",
                partition,
                offset,
                t,
                done if outcome is not Outcome.UNKNOWN or rng.random() < 0.5 else -1,
                outcome,
                told=offset if outcome is Outcome.OK and rng.random() < 0.9 else -1,
                stored=[(partition, offset)] if stored else [],
            )
        )
        t = done
    if delayed:
        due = t + rng.randint(50, 300) * MS
        ends[0] += 1
        found.append(Message(DELAYED_KEY, 0, "p0.9", 0, ends[0], t, t + MS, Outcome.OK, ends[0], due, [(0, ends[0])]))
    return found


def _by_itself(rng: random.Random, story: Story, workers: int, *, acks: bool) -> None:
    """Deliver every message to its partition's one consumer, one at a time, until it is acknowledged."""
    for partition in range(story.facts.partitions):
        worker, incarnation, free = partition % workers, 1, 0
        for message in (item for item in story.messages if item.partition == partition and item.offset >= 0):
            ready = max(message.sent + MS, message.done, message.readable, message.due + MS)
            t = max(ready + rng.randint(0, 60) * MS, free)
            attempt = 1
            while True:
                item = Delivery(message, f"c{worker}.{incarnation}", t, partition, message.offset, attempt)
                item.again = attempt > 1 and rng.random() < 0.8
                story.deliveries.append(item)
                item.processed = t + rng.randint(0, 5 * MS)
                if not acks:
                    break
                item.acked = item.processed + rng.randint(1, 3) * MS
                end = rng.choices(
                    ["ok", "unconfirmed", "unknown", "failed", "crash", "crash early"], [80, 6, 4, 4, 3, 3]
                )
                if end[0] == "ok" or (end[0] == "unconfirmed" and rng.random() < 0.5):
                    item.confirmed = end[0] == "ok"
                    break
                _come_again(item, end[0])
                if end[0].startswith("crash"):
                    incarnation += 1
                t, attempt = item.t + ACK_WAIT + rng.randint(0, 20) * MS, attempt + 1
            free = max(item.processed, item.acked) + MS


def _come_again(item: Delivery, end: str) -> None:
    """Let a delivery end without an acknowledgement that binds the broker."""
    if end == "unconfirmed":
        item.confirmed = False
    elif end == "unknown":
        item.ack = Outcome.UNKNOWN
    else:
        item.acked = -1
        item.failed = end == "failed"
        if end == "crash early":
            item.processed = -1


def _close(rng: random.Random, story: Story) -> None:
    """Add what an engine notes of every run: a fault that does nothing much, the drain, and what retention took."""
    last = max(
        [item.sent for item in story.messages]
        + [t for one in story.transactions for _, t in one.steps]
        + [max(item.t, item.processed, item.acked) for item in story.deliveries]
        + [commit.known for commit in story.commits]
        + [event.t for event in story.events]
    )
    # Something is processed within the timeline, as a limit on throughput demands.
    done = [item.processed for item in story.deliveries if item.processed >= 0 and not item.failed]
    story.drain = max(last - rng.randint(0, 20) * MS, min(done, default=0) + MS)
    story.drained = last + rng.randint(20, 100) * MS
    story.events.append(LeaderEvent(t=0, source="observer", partition=-1, leader="n1"))
    begun = rng.randint(1, max(last // MS, 2)) * MS
    story.events += [_fault("apply", begun), _fault("healed", begun + rng.randint(1, 50) * MS)]
    story.events += _finished(story)
    story.events += _schedules(story)
    if rng.random() < 0.1:
        story.torn.add(rng.choice([message.producer for message in story.messages]))
    if rng.random() < 0.2:
        _retain(rng, story)


def _finished(story: Story) -> list[Event]:
    """Return the end of each producer, which comes soon after its last answer."""
    last: dict[str, int] = {}
    for message in story.messages:
        last[message.producer] = max(message.sent, message.done, last.get(message.producer, 0))
    for one in story.transactions:
        last[one.journal] = max(last[one.journal], one.ended, *(t for _, t in one.steps), 0)
    return [
        owners.worker_event(who.partition(".")[0], int(who.partition(".")[2]), "finished", t + MS, role="producer")
        for who, t in last.items()
    ]


def _schedules(story: Story) -> list[Event]:
    """Return the schedules of some producers, by which nothing was sent before it was due, and all soon after."""
    rng = random.Random(story.drained)  # of their own: all else is drawn as it was before there were schedules
    found: list[Event] = []
    for who in dict.fromkeys(message.producer for message in story.messages):
        mine = [message for message in story.messages if message.producer == who]
        if len({message.key for message in mine}) > 1 or rng.random() < 0.3:
            continue  # keys that take no turns
        first = min(message.sent for message in mine)
        gaps = [(message.sent - first) // (message.seq & _COUNT) for message in mine if message.seq & _COUNT]
        worker, _, incarnation = who.partition(".")
        found.append(
            ScheduleEvent(
                t=max(first - rng.randint(0, 5) * MS, MS),
                source=worker,
                worker=worker,
                incarnation=int(incarnation),
                start_ns=first - rng.randint(0, 3) * MS,
                rate_per_s=1e9 / max(min(gaps, default=MS), MS),
                keys=(mine[0].key,),
                messages_max=len(mine),
            )
        )
    return found


def _retain(rng: random.Random, story: Story) -> None:
    """Let the log's beginning go: everything of it was processed."""
    partition = rng.randrange(story.facts.partitions)
    known = [item for item in story.messages if item.partition == partition and item.offset >= 0 and item.ok]
    if known:
        story.first_offset[partition] = first = rng.choice(known).offset
        for item in story.messages:
            item.stored = [place for place in item.stored if place[0] != partition or place[1] >= first]


def _fault(action: str, t: int) -> FaultEvent:
    return FaultEvent(
        t=t,
        source="engine",
        fault="latency-1",
        fault_kind="latency",
        action=action,
        targets=("clients->n1",),
        nodes=(),
        workers=(),
        planned_ns=t if action == "apply" else 0,
        detail="",
        takes_node_down=False,
        silences=False,
        holds_handler=False,
        joins=False,
        departures=0,
    )


def _stand_still(rng: random.Random, story: Story) -> None:
    """Let nothing happen for a while: the machine stalls, longer than any limit, or no probe reaches the node."""
    start = rng.randint(0, story.drain // MS) * MS
    if rng.random() < 0.5:
        took = rng.randint(100, 5_000) * MS
        later(story, start, took)
        story.stalls.append((start, took))
    else:
        cut_off(story, start, rng.randint(100, CUT_MAX // MS) * MS)


def cut_off(story: Story, start: int, took: int) -> None:
    """Let no client reach the node for a while, and everything wait for that."""
    later(story, start, took)
    story.cuts.append((start, start + took))


def later(story: Story, start: int, took: int) -> None:
    """Put off everything after ``start``."""

    def put(t: int) -> int:
        return t + took if t > start else t

    for message in story.messages:
        message.sent, message.done, message.due = put(message.sent), put(message.done), put(message.due)
        message.readable = put(message.readable)
    for one in story.transactions:
        one.begun, one.ended = put(one.begun), put(one.ended)
        one.steps = [(step, put(t)) for step, t in one.steps]
    for item in story.deliveries:
        item.t, item.processed, item.acked = put(item.t), put(item.processed), put(item.acked)
    for commit in story.commits:
        commit.begun, commit.known = put(commit.begun), put(commit.known)
    story.events = [owners.moved(event, put) for event in story.events]
    story.drain, story.drained = put(story.drain), put(story.drained)


__all__ = ["Event", "later", "valid"]

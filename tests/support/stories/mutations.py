"""Named mutations of a valid run: what a broken broker, client or consumer would have done in it.

Each changes a copy of the run and says what its finding must name; a mutation that cannot be made here returns None.
Whether the changed run violates anything is not decided here but by the references. Must never know a check's code.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from support.stories import logs, moves, readers
from support.stories.story import MS, Delivery, Message, Story, name_of
from support.stories.valid import ACK_WAIT, PAUSE, later

from harness.history.events import ScheduleEvent
from harness.history.record import SEQ_BITS, Outcome

_COUNT: Final = (1 << SEQ_BITS) - 1

Change = Callable[[Story, random.Random], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """A way to break a run.

    Attributes:
        check, finding: What must find it; finding ``*``: any of the check's.
        change: Changes the run in place, and returns what the finding must name.
        protocols: Of the runs that it is tried on; empty: all.
        in_transactions: Whether it needs a run with transactions.
        also: Checks that may find something, too, because the change may break their guarantee as well. Whether it
            does in a run says each check's own reference.
    """

    name: str
    check: str
    finding: str
    change: Change
    protocols: Collection[str] = ()
    in_transactions: bool = False
    also: frozenset[str] = field(default=frozenset())


def _candidates(story: Story) -> list[Message]:
    return [item for item in story.messages if item.ok and item.due < 0 and story.first(item) is not None]


def _one(rng: random.Random, messages: list[Message]) -> Message | None:
    return rng.choice(messages) if messages else None


def _drop(story: Story, rng: random.Random) -> str | None:
    message = _one(rng, [item for item in _candidates(story) if item.stored])
    if message is None:
        return None
    story.deliveries = [item for item in story.deliveries if item.message is not message]
    return message.name


def _erase(story: Story, rng: random.Random) -> str | None:
    name = _drop(story, rng)
    for message in story.messages:
        if message.name == name:
            message.stored = []
    return name


def _forget(story: Story, rng: random.Random) -> str | None:
    message = _one(rng, _candidates(story))
    if message is None:
        return None
    for item in story.of(message):
        item.processed = -1
    return message.name


def _bury(story: Story, rng: random.Random) -> str | None:
    name = _forget(story, rng)
    for message in story.messages:
        message.dead = message.dead or message.name == name
    return name


def _phantom(story: Story, rng: random.Random, key: int) -> Message:
    message = Message(key, 99, "p0.1", rng.randrange(story.facts.partitions), 5_000, 0, -1, Outcome.NONE)
    message.invented = True
    story.messages.append(message)
    return message


def _invent(story: Story, rng: random.Random) -> str | None:
    message = _phantom(story, rng, rng.choice([0, 1, 700]))
    return message.name if moves.deliver_last(story, message, message.offset) is not None else None


def _invent_stored(story: Story, rng: random.Random) -> str:
    message = _phantom(story, rng, rng.choice([0, 1, 700]))
    message.stored = [(message.partition, message.offset)]
    return message.name


def _resurrect(story: Story, rng: random.Random) -> str | None:
    message = _one(rng, [item for item in story.messages if item.outcome is Outcome.FAIL])
    if message is None:
        return None
    if rng.random() < 0.5:
        message.stored = [(message.partition, 6_000)]
        return message.name
    return message.name if moves.deliver_last(story, message, 6_000) is not None else None


def _duplicate(story: Story, rng: random.Random) -> str | None:
    message = _one(rng, [item for item in _candidates(story) if item.stored])
    if message is not None:
        message.stored.append((message.partition, 7_000))
    return message.name if message is not None else None


def _duplicate_delivered(story: Story, rng: random.Random) -> str | None:
    message = _one(rng, _candidates(story))
    if message is None or moves.deliver_last(story, message, 7_000) is None:
        return None
    return message.name


def _rewind(story: Story, rng: random.Random) -> str | None:
    """Deliver once more what was acknowledged; without acknowledgements, anything.

    A fault since then may have undone what the broker confirmed.
    """
    disturbed = max([0, *(event.t for event in story.events if event.kind == "fault"), *(end for _, end in story.cuts)])
    settled = [
        item
        for item in story.deliveries
        if story.facts.settling.on_delivery
        or (item.confirmed and item.ack is Outcome.OK and disturbed < item.acked <= item.t + ACK_WAIT)
    ]
    if not settled:
        return None
    item = rng.choice(settled)
    again = moves.deliver_last(story, item.message, item.offset)
    if again is None:
        return None
    again.attempt, again.again = item.attempt + 1, True
    return item.message.name


def _neighbours(story: Story, rng: random.Random) -> tuple[Message, Message] | None:
    """Return two messages of one key that follow each other, each delivered once."""
    once = [item for item in _candidates(story) if len(story.of(item)) == 1]
    pairs = [(a, b) for a, b in itertools.pairwise(once) if a.key == b.key]
    later_ones = [(a, b) for a in once for b in once if a.key == b.key and a.seq + 1 == b.seq]
    return rng.choice(pairs or later_ones) if pairs or later_ones else None


def _swap(story: Story, rng: random.Random) -> str | None:
    pair = _neighbours(story, rng)
    if pair is None:
        return None
    (first,), (second,) = (story.of(message) for message in pair)
    first.message, second.message = second.message, first.message
    first.offset, second.offset = second.offset, first.offset
    return pair[0].name


def _lose_a_delivery(story: Story, rng: random.Random) -> str | None:
    """Let a first delivery be lost on its way, so that the message comes again after the next one of its key."""
    name = _swap(story, rng)
    for item in story.deliveries:
        if item.message.name == name:
            item.attempt, item.again = 2, True
    return name


def _swap_log(story: Story, rng: random.Random) -> str | None:
    pair = _neighbours(story, rng)
    if pair is None:
        return None
    first, second = pair
    first.offset, second.offset = second.offset, first.offset
    first.stored, second.stored = second.stored, first.stored
    first.told = first.offset if first.told >= 0 else -1
    second.told = second.offset if second.told >= 0 else -1
    for item in (*story.of(first), *story.of(second)):
        item.offset = item.message.offset
    return first.name


def _waiting(story: Story, rng: random.Random) -> Delivery | None:
    """Return a first delivery before which its message waited."""
    found = [item for item in story.deliveries if story.first(item.message) is item and item.message.ok]
    found = [item for item in found if 0 <= max(item.message.done, item.message.due) < item.t - 2 * MS]
    return rng.choice(found) if found else None


def _freeze(story: Story, rng: random.Random) -> str | None:
    item = _waiting(story, rng)
    if item is None:
        return None
    later(story, item.t - 1, 5 * PAUSE)
    return item.message.name


def _slow(story: Story, rng: random.Random) -> str | None:
    item = _waiting(story, rng)
    if item is None:
        return None
    later(story, item.t - 1, 25_000 * MS)
    return _slowest(story)


def _slowest(story: Story) -> str:
    firsts = [(mine, message) for message in story.messages if (mine := story.first(message)) is not None]
    took = {message.name: mine.t - max(message.due, _meant(story, message)) for mine, message in firsts}
    return max(took, key=lambda name: took[name])


def _meant(story: Story, message: Message) -> int:
    """Return when a message was to be sent."""
    for event in story.events:
        mine = isinstance(event, ScheduleEvent) and message.producer == f"{event.worker}.{event.incarnation}"
        if mine and isinstance(event, ScheduleEvent):
            due = event.start_ns + int((message.seq & _COUNT) / event.rate_per_s * 1e9)
            return min(message.sent, max(due, event.t))
    return message.sent


def _hold_back(story: Story, rng: random.Random) -> str | None:
    """Let a producer send nothing for long, before its first message; everything else waits as well."""
    del rng
    begun = [event for event in story.events if isinstance(event, ScheduleEvent)]
    if not begun:
        return None
    first = min(begun, key=lambda event: (event.t, event.start_ns))
    sent = [message.sent for message in story.messages if not message.invented]
    if min(sent) <= max(first.t, first.start_ns):
        return None
    later(story, min(sent) - 1, 25_000 * MS)
    return _slowest(story)


def _stop_sending(story: Story, rng: random.Random) -> str | None:
    """Let a producer that had more to send stop long before the load ends."""
    begun = [event for event in story.events if isinstance(event, ScheduleEvent)]
    if not begun:
        return None
    event = rng.choice(begun)
    story.events[story.events.index(event)] = dataclasses.replace(event, messages_max=event.messages_max + 1)
    for other in [item for item in story.events if getattr(item, "state", "") == "finished"]:
        story.events.remove(other)
    took = 25_000 * MS
    story.drain, story.drained = story.drain + took, story.drained + took
    return name_of(event.keys[0], event.messages_max + ((event.incarnation - 1) << SEQ_BITS))


def _linger(story: Story, rng: random.Random) -> str | None:
    """Process what was acknowledged before the fault was healed long after it."""
    item = _waiting(story, rng)
    if item is None:
        return None
    later(story, item.t - 1, 25_000 * MS)
    healed = max(event.t for event in story.events if getattr(event, "action", "") == "healed")
    done: dict[str, int] = {}
    for other in story.deliveries:
        owed = other.message.ok and 0 <= other.message.done <= healed and other.message.due <= healed
        if owed and other.processed >= 0 and not other.failed:
            done[other.message.name] = min(other.processed, done.get(other.message.name, other.processed))
    return max(done, key=lambda name: done[name]) if done else None


def _starve(story: Story, rng: random.Random) -> str | None:
    """Process next to nothing in the timeline."""
    first = min((item.processed for item in story.deliveries if item.processed >= 0), default=0)
    story.drain = first + MS
    later(story, rng.randint(1, max(first - MS, 2)), 220_000 * MS)
    return ""


def _hurry(story: Story, rng: random.Random) -> str | None:
    delayed = [item for item in story.deliveries if item.message.due >= 0 and story.first(item.message) is item]
    if not delayed:
        return None
    item = rng.choice(delayed)
    ahead = item.t - (item.message.due - rng.randint(1, 40) * MS)
    item.t -= ahead
    item.processed = max(item.t, item.processed - ahead)
    item.acked = item.acked - ahead if item.acked >= 0 else -1
    return item.message.name


def _refuse(story: Story, rng: random.Random) -> str | None:
    message = _one(rng, [item for item in story.messages if item.ok])
    if message is None:
        return None
    # A broker is asked to acknowledge a transaction when its commit is.
    later(story, max(message.sent, message.readable), 5 * PAUSE)
    return ""


_SHIFTS: Final = frozenset({"stall", "latency", "recovery", "ownership", "rebalances", "acceptance", "throughput"})
"""What may find something when everything stands still."""
_PROCESSED: Final = frozenset({"throughput"})
"""What may find something when the only message of a run is not processed, or not within the timeline."""
_EARLY: Final = frozenset({"ownership", "duplicates", "transactions"})
"""What may find something when a message comes sooner than it did, perhaps before the commit of its transaction."""
GROUPS: Final = ("eager", "cooperative", "locks")

MUTATIONS: Final = (
    Mutation(name="drop", check="loss", finding="skipped", change=_drop, also=_PROCESSED | {"ownership", "order"}),
    Mutation(
        name="erase",
        check="loss",
        finding="lost",
        change=_erase,
        also=_PROCESSED | {"ownership", "order", "log", "transactions"},
    ),
    Mutation(name="forget", check="loss", finding="abandoned", change=_forget, also=_PROCESSED),
    Mutation(name="bury", check="loss", finding="dead-lettered", change=_bury, also=_PROCESSED),
    Mutation(name="vanish", check="log", finding="vanished", change=logs.vanish),
    Mutation(
        name="misplace", check="log", finding="misplaced", change=logs.misplace, also=frozenset({"order", "loss"})
    ),
    Mutation(name="conflict", check="log", finding="conflict", change=logs.conflict, also=frozenset({"order"})),
    Mutation(
        name="misroute", check="log", finding="misrouted", change=logs.misroute, also=frozenset({"duplicates", "order"})
    ),
    Mutation(name="corrupt", check="log", finding="corrupted", change=logs.corrupt),
    Mutation(name="diverge", check="log", finding="diverged", change=logs.diverge),
    Mutation(name="lose the log", check="log", finding="gone", change=logs.lose_log),
    Mutation(
        name="lose the consumer",
        check="loss",
        finding="consumer-gone",
        change=logs.lose_consumer,
        protocols=("acks", "none"),
        also=_PROCESSED | {"log"},
    ),
    Mutation(
        name="tear",
        check="transactions",
        finding="torn-transaction",
        change=readers.tear,
        in_transactions=True,
        also=_PROCESSED | {"loss", "log", "order", "ownership"},
    ),
    Mutation(
        name="read aborted",
        check="transactions",
        finding="aborted-read",
        change=readers.show_aborted,
        in_transactions=True,
    ),
    Mutation(
        name="read before the commit",
        check="transactions",
        finding="early-read",
        change=readers.hurry_commit,
        in_transactions=True,
        also=frozenset({"acceptance"}),
    ),
    Mutation(
        name="read without a commit",
        check="transactions",
        finding="early-read",
        change=readers.never_ask,
        in_transactions=True,
    ),
    Mutation(name="invent", check="phantoms", finding="phantom", change=_invent, also=frozenset({"log"})),
    Mutation(name="invent stored", check="phantoms", finding="phantom", change=_invent_stored, also=frozenset({"log"})),
    Mutation(name="resurrect", check="phantoms", finding="resurrected", change=_resurrect, also=frozenset({"log"})),
    Mutation(name="duplicate", check="duplicates", finding="copy", change=_duplicate),
    Mutation(
        name="duplicate delivered",
        check="duplicates",
        finding="copy",
        change=_duplicate_delivered,
        # Where its own place was removed, nothing explains that it is gone from the further one.
        also=frozenset({"log"}),
    ),
    Mutation(name="rewind", check="duplicates", finding="redelivered-after-ack", change=_rewind, protocols=("acks",)),
    Mutation(
        name="rewind without acks",
        check="duplicates",
        finding="redelivered-without-acks",
        change=_rewind,
        protocols=("none",),
    ),
    Mutation(
        name="rewind beyond a commit",
        check="duplicates",
        finding="redelivered-after-ack",
        change=moves.regress,
        protocols=GROUPS,
        also=frozenset({"ownership", "order"}),
    ),
    Mutation(name="swap", check="order", finding="inversion", change=_swap, also=_EARLY),
    Mutation(
        name="lose a delivery",
        check="order",
        finding="redelivered-late",
        change=_lose_a_delivery,
        protocols=("acks",),
        also=_EARLY,
    ),
    Mutation(
        name="pass over",
        check="order",
        finding="skip",
        change=moves.pass_over,
        protocols=GROUPS,
        also=_PROCESSED | {"loss"},
    ),
    Mutation(
        name="swap in an epoch",
        check="order",
        finding="nonmonotonic",
        change=_swap,
        also=_EARLY,
    ),
    Mutation(
        name="swap in the log",
        check="order",
        finding="log-inversion",
        change=_swap_log,
        also=frozenset({"ownership", "duplicates", "loss"}),
    ),
    Mutation(name="freeze", check="stall", finding="pause", change=_freeze, also=_SHIFTS),
    Mutation(name="slow down", check="latency", finding="slow", change=_slow, also=_SHIFTS),
    Mutation(name="hold back sends", check="latency", finding="slow", change=_hold_back, also=_SHIFTS),
    Mutation(name="stop sending", check="latency", finding="slow", change=_stop_sending, also=_SHIFTS),
    Mutation(name="linger", check="recovery", finding="slow-recovery", change=_linger, also=_SHIFTS),
    Mutation(name="starve", check="throughput", finding="slow-processing", change=_starve, also=_SHIFTS),
    Mutation(name="hurry", check="delays", finding="early", change=_hurry, also=frozenset({"order"})),
    Mutation(name="refuse", check="acceptance", finding="*", change=_refuse, also=_SHIFTS),
    Mutation(
        name="steal ownership",
        check="ownership",
        finding="dual-ownership",
        change=moves.steal,
        protocols=GROUPS,
        also=_SHIFTS | {"duplicates", "order"},
    ),
    Mutation(
        name="deliver to no owner",
        check="ownership",
        finding="outside-assignment",
        change=moves.outside,
        protocols=GROUPS,
        also=frozenset({"duplicates", "order"}),
    ),
    Mutation(
        name="commit as a zombie",
        check="ownership",
        finding="zombie-commit",
        change=moves.zombie,
        protocols=GROUPS,
        also=frozenset({"duplicates", "loss"}),
    ),
    Mutation(
        name="regress a commit",
        check="ownership",
        finding="commit-regression",
        change=moves.regress,
        protocols=GROUPS,
        also=frozenset({"duplicates", "order"}),
    ),
    Mutation(
        name="skip",
        check="ownership",
        finding="skip",
        change=moves.skip,
        protocols=GROUPS,
        also=_PROCESSED | {"loss", "order"},
    ),
    Mutation(name="desert", check="ownership", finding="unowned", change=moves.desert, protocols=GROUPS, also=_SHIFTS),
    Mutation(
        name="lock twice", check="ownership", finding="double-lock", change=moves.lock_twice, protocols=("locks",)
    ),
    Mutation(
        name="second thread",
        check="ownership",
        finding="concurrent-threads",
        change=moves.second_thread,
        protocols=("locks",),
        also=_PROCESSED,
    ),
    Mutation(name="flap", check="rebalances", finding="too-many", change=moves.flap, protocols=GROUPS),
    Mutation(name="flap in a storm", check="rebalances", finding="storm", change=moves.flap, protocols=GROUPS),
    Mutation(name="hang", check="rebalances", finding="never-completed", change=moves.hang, protocols=GROUPS),
    Mutation(
        name="rebalance for long",
        check="rebalances",
        finding="long-rebalance",
        change=moves.prolong,
        protocols=GROUPS,
        also=_SHIFTS,
    ),
)

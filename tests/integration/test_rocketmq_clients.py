"""RocketMQ's reference clients as real workers on a real broker, which is started by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.rocketmq_nodes import Nodes, rocketmq

from harness.brokers.rocketmq import questions
from harness.brokers.rocketmq.options import GROUP, TOPIC, ConsumerOptions, ProducerOptions
from harness.clock import NS_PER_S
from harness.history.events import AssignEvent, LockEvent, RevokeEvent
from harness.history.facts import Facts
from harness.history.read import History
from harness.history.record import Outcome

pytestmark = pytest.mark.timeout(600)

KEYS = tuple(range(8))
LEAVE_S = 30.0
ONCE = ProducerOptions(timeout_ns=120 * NS_PER_S)
"""Sends that a busy broker answers late are not made again: what was stored all the same would be there twice."""


def history_of(root: Path) -> History:
    Facts(partitions=4, nodes=("n1",), worker_zones={}).save(root / "facts.json")
    return History.load(root)


def places(rows: Any) -> dict[tuple[int, int], tuple[int, int]]:
    """Return (key, sequence) → (partition, offset) of sends or deliveries."""
    columns = (column.tolist() for column in (rows.key, rows.seq, rows.partition, rows.offset))
    return {(key, seq): (partition, offset) for key, seq, partition, offset in zip(*columns, strict=True)}


async def processed(nodes: Nodes, count: int) -> None:
    """Wait until so many messages are processed by the workers together."""

    async def reached() -> bool:
        return sum(worker.counters.processed for worker in nodes.workers.values()) >= count

    await nodes.until(f"{count} messages are processed", reached)


async def dealt(nodes: Nodes, members: int) -> None:
    """Wait until the group has so many members, and each has been told."""

    async def reached() -> bool:
        return len(await questions.consumers(nodes.broker, GROUP)) == members

    await nodes.until(f"the group has {members} members", reached)


async def drained(nodes: Nodes) -> bool:
    """Return whether the group is at the end of every queue of the topic."""
    stats = await questions.consume_stats(nodes.broker, GROUP, TOPIC)
    return len(stats) == 4 and all(queue.position == queue.end for queue in stats.values())


async def settled(nodes: Nodes, messages: int) -> bool:
    """Return whether the group is at the end of every queue, that of retries included, and nothing is still to come.

    The queues are read one after the other, and a message that is due goes from one to another meanwhile: only what is
    the same twice was so.
    """
    first = await _ends(nodes, messages)
    return first is not None and first == await _ends(nodes, messages)


async def _ends(nodes: Nodes, messages: int) -> tuple[object, ...] | None:
    """Return the ends of every queue; None while the group is not at one of them, or a message is not due yet."""
    own = await questions.consume_stats(nodes.broker, GROUP, TOPIC)
    retries = await questions.consume_stats(nodes.broker, GROUP, f"%RETRY%{GROUP}")
    due = await questions.delay_offsets(nodes.broker)
    waiting = await questions.topic_stats(nodes.broker, "SCHEDULE_TOPIC_XXXX") or {}
    at_the_end = (
        sum(queue.end for queue in own.values()) == messages
        and all(queue.position == queue.end for queue in (*own.values(), *retries.values()))
        and bool(retries)
        and all(extent.end == due.get(queue + 1, 0) for queue, extent in waiting.items())
    )
    return (own, retries, due, {queue: extent.end for queue, extent in waiting.items()}) if at_the_end else None


async def finished(nodes: Nodes, *names: str) -> None:
    for name in names:
        nodes.workers[name].send_command("stop")
    for name in names:
        assert await nodes.workers[name].finish(LEAVE_S), f"{name} did not finish\n{nodes.workers[name].logs()}"


def owned(history: History, worker: str) -> list[set[int]]:
    """Return what a worker owned, by its own account, after each change."""
    found: list[set[int]] = [set()]
    events = [event for event in history.of_kind(AssignEvent, RevokeEvent) if event.worker == worker]
    for event in sorted(events, key=lambda event: event.t):
        partitions = set(event.partitions or ())
        found.append(found[-1] | partitions if isinstance(event, AssignEvent) else found[-1] - partitions)
    return found


async def shared(nodes: Nodes, *names: str) -> None:
    """Wait until each of these workers owns something, and together they own every queue."""

    async def reached() -> bool:
        history = history_of(nodes.root)
        now = [owned(history, name)[-1] for name in names]
        return all(now) and set().union(*now) == set(range(nodes.partitions))

    await nodes.until(f"{', '.join(names)} share the queues", reached)


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


def test_orderly_members_share_the_queues_and_keep_the_order(tmp_path: Path) -> None:
    async def run() -> None:
        async with rocketmq(tmp_path) as nodes:
            await nodes.start("c0", ConsumerOptions())
            for queue in range(4):  # before anything is sent, so that the group begins at the first message
                assert await questions.committed(nodes.broker, GROUP, TOPIC, queue) == 0
            await nodes.start("c1", ConsumerOptions())
            await shared(nodes, "c0", "c1")
            await nodes.start("p0", ONCE, keys=KEYS, messages_max=400)
            await processed(nodes, 400)
            await finished(nodes, "p0", "c0", "c1")

    asyncio.run(run())
    history = history_of(tmp_path)
    sends, found = history.index.sends, history.index.deliveries
    assert sends.outcome.tolist() == [Outcome.OK] * 400
    # What the broker said of a place is where the message was found.
    assert places(found) == places(sends)
    assert all(np.count_nonzero(sends.partition == partition) == 100 for partition in range(4))
    by_time = np.argsort(found.t, kind="stable")
    first = by_time[np.sort(np.unique(found.value[by_time], return_index=True)[1])]
    for key in KEYS:
        seqs = found.seq[first][found.key[first] == key]
        assert (np.diff(seqs) > 0).all(), f"key {key} came out of order"
    assert (found.t_processed >= 0).all()
    workers = np.array([history.journals[journal].worker for journal in found.journal])
    took = [set(found.partition[workers == name].tolist()) for name in ("c0", "c1")]
    assert [len(queues) for queues in took] == [2, 2]
    assert took[0] | took[1] == {0, 1, 2, 3}
    held = {
        partition for event in history.of_kind(LockEvent) if event.state == "held" for partition in event.partitions
    }
    assert held == {0, 1, 2, 3}


def test_a_member_that_is_killed_hands_its_queues_over(tmp_path: Path) -> None:
    async def run() -> None:
        # Longer than the 20 s after which a member renews its locks, so those of one that is killed are in force.
        life = "-Drocketmq.broker.rebalance.lockMaxLiveTime=25000"
        async with rocketmq(tmp_path, flags=(life,)) as nodes:
            await nodes.start("c0", ConsumerOptions())
            await nodes.start("c1", ConsumerOptions())
            await dealt(nodes, 2)
            await nodes.start("p0", ONCE, keys=KEYS, messages_max=1_000, rate_per_s=100.0)
            await processed(nodes, 200)
            nodes.workers["c0"].expect_end()
            await nodes.workers["c0"].kill()
            sent = nodes.workers["p0"]
            assert await sent.finish(60.0)
            await nodes.until("everything is consumed", lambda: drained(nodes))
            await finished(nodes, "c1")

    asyncio.run(run())
    history = history_of(tmp_path)
    found = history.index.deliveries
    assert np.unique(found.value[found.t_processed >= 0]).size == 1_000
    assert {0, 1, 2, 3} in owned(history, "c1")
    assert any(event.state == "refused" and event.worker == "c1" for event in history.of_kind(LockEvent))


LEVELS = {"messageDelayLevel": "1s 1s 1s 1s 1s"}
"""After a second each message comes again that was sent back."""


def test_a_concurrent_listener_gets_a_failed_message_again_and_what_came_with_it(tmp_path: Path) -> None:
    options = ConsumerOptions(listener="concurrent", threads=8, fail_every=10)

    async def run() -> None:
        async with rocketmq(tmp_path, settings=LEVELS, orderly=False) as nodes:
            await nodes.start("c0", options)
            await nodes.start("p0", ONCE, keys=KEYS, messages_max=80)

            async def handled() -> bool:
                return await settled(nodes, 80)

            await nodes.until("every message is handled", handled)
            await finished(nodes, "p0", "c0")

    asyncio.run(run())
    found = history_of(tmp_path).index.deliveries
    assert np.unique(found.value[found.t_processed >= 0]).size == 80
    failed = (found.seq % 10) == 9
    # From the queue of retries, in which a message has another place.
    again = found.attempt == 2
    assert set(found.value[failed].tolist()) <= set(found.value[again].tolist())
    assert set(found.offset[again].tolist()) == {-1}
    assert (found.partition[again] == found.key[again] % 4).all()


def test_what_is_put_off_too_often_is_lost_with_this_library(tmp_path: Path) -> None:
    """RocketMQ fails when a client gives a message up without naming its topic (docs/rocketmq.md)."""
    options = ConsumerOptions(listener="concurrent", threads=8, fail_every=10, failures=0)

    async def run() -> None:
        async with rocketmq(tmp_path, settings=LEVELS, orderly=False, retries=1) as nodes:
            await nodes.start("c0", options)
            await nodes.start("p0", ONCE, keys=KEYS, messages_max=80)

            async def given_up() -> bool:
                return await settled(nodes, 80) and 'because "topic" is null' in (tmp_path / "n1" / "out").read_text()

            await nodes.until("a message is given up", given_up)
            assert await questions.topic_stats(nodes.broker, f"%DLQ%{GROUP}") is None
            await finished(nodes, "p0", "c0")

    asyncio.run(run())
    found = history_of(tmp_path).index.deliveries
    poison = (found.seq % 10) == 9
    assert not (found.t_processed[poison] >= 0).any()
    # What is pulled together with it is sent back with it, and may be given up before its turn comes.
    assert np.unique(found.value[found.t_processed >= 0]).size <= 72


@pytest.mark.parametrize("on_failure", ["exception", "consumed"])
def test_what_is_taken_for_consumed_never_comes_again(tmp_path: Path, on_failure: str) -> None:
    options = ConsumerOptions(fail_every=10, on_failure=on_failure)  # type: ignore[arg-type]

    async def run() -> None:
        async with rocketmq(tmp_path) as nodes:
            await nodes.start("c0", options)
            await nodes.start("p0", ONCE, keys=KEYS, messages_max=80)
            await processed(nodes, 80)  # handlers that failed have ended, too
            await finished(nodes, "p0", "c0")

    asyncio.run(run())
    found = history_of(tmp_path).index.deliveries
    failing = (found.seq % 10) == 9
    assert np.count_nonzero(failing) == 8
    assert not (found.t_processed[failing] >= 0).any()
    assert (found.ack_outcome == Outcome.OK).all()


def test_an_orderly_queue_waits_for_a_failed_message(tmp_path: Path) -> None:
    async def run() -> None:
        async with rocketmq(tmp_path) as nodes:
            await nodes.start("c0", ConsumerOptions(fail_every=10, failures=3))
            await nodes.start("p0", ONCE, keys=KEYS, messages_max=160)
            await processed(nodes, 160 + 16 * 3)  # handlers that failed have ended, too
            await finished(nodes, "p0", "c0")

    asyncio.run(run())
    found = history_of(tmp_path).index.deliveries
    again = (found.seq % 10) == 9
    assert np.bincount(found.attempt[again]).tolist() == [16, 0, 16, 16, 16]
    for partition in range(4):
        offsets = found.offset[found.partition == partition]
        assert (np.diff(offsets) >= 0).all(), "a successor came before the message that failed"


def test_a_broker_that_is_killed_costs_no_worker(tmp_path: Path) -> None:
    async def run() -> None:
        async with rocketmq(tmp_path) as nodes:
            await nodes.start("c0", ConsumerOptions())
            producer = await nodes.start(
                "p0", ProducerOptions(retries=200), keys=KEYS, messages_max=1_000, rate_per_s=200.0
            )
            await processed(nodes, 200)
            nodes.restart_broker()
            await nodes.served()
            assert await producer.finish(120.0)
            # Not so many as were sent: what the broker stored before it died is there twice.
            await nodes.until("everything is consumed", lambda: drained(nodes))
            await finished(nodes, "c0")

    asyncio.run(run())
    history = history_of(tmp_path)
    assert set(history.index.sends.outcome.tolist()) == {Outcome.OK}
    found = history.index.deliveries
    assert np.unique(found.value[found.t_processed >= 0]).size == 1_000

"""Administration, audit and probe against a cluster in memory (a fake that speaks the protocol)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from support.rocketmq_cluster import FakeCluster

from harness.brokers.base import LogExtent
from harness.brokers.rocketmq.admin import RocketmqAdmin, worker_of
from harness.brokers.rocketmq.audit import AuditPace, RocketmqAudit
from harness.brokers.rocketmq.options import TOPIC
from harness.brokers.rocketmq.probe import HaProbe, RocketmqProbe
from harness.brokers.rocketmq.remoting import Code
from harness.brokers.rocketmq.spec import LISTEN, NAMES
from harness.brokers.rocketmq.view import DEAD_LETTERS, RETRY, SCHEDULED
from harness.errors import ControlError, StartError
from harness.history.events import DeadLettersEvent, GroupEvent, LeaderEvent, OffsetsEvent
from harness.history.record import HEADER_BYTES, RECORD_DTYPE, Journal, RecordKind
from harness.scenario.model import Plan

TWO = {"n1": ("n1",), "n2": ("n2",)}
PAIR = {"n1": ("n1", "n2")}
QUICK = AuditPace(patience_s=0.2, again_s=0.01)


def plan(start_at: str = "first") -> Plan:
    return cast("Plan", SimpleNamespace(workload=SimpleNamespace(consumer=SimpleNamespace(start_at=start_at))))


def administered(
    cluster: FakeCluster,
    work: Callable[[RocketmqAdmin], Awaitable[None]],
    *,
    partitions: int = 5,
    consumers: Sequence[str] = ("c0", "c1"),
    timeout_s: float = 20.0,
    create_s: float = 60.0,
) -> None:
    """Run ``work`` with administration of a fake cluster."""

    async def run() -> None:
        async with cluster.served() as ports:
            admin = RocketmqAdmin(
                ports,
                partitions=partitions,
                sets=cluster.sets,
                consumers=consumers,
                timeout_s=timeout_s,
                create_s=create_s,
            )
            try:
                await work(admin)
            finally:
                await admin.close()

    asyncio.run(run())


def filled(sets: Mapping[str, Sequence[str]] = TWO, partitions: int = 5, messages: int = 3) -> FakeCluster:
    """Return a cluster with a topic: ``messages`` in each queue, all of them consumed."""
    cluster = FakeCluster(sets)
    for partition in range(partitions):
        number, broker = partition // len(sets), list(sets)[partition % len(sets)]
        for node in sets[broker]:
            cluster.nodes[node].fill(TOPIC, number, messages)
            cluster.nodes[node].positions[TOPIC, number] = messages
    return cluster


@pytest.mark.parametrize("start_at", ["first", "end"])
def test_the_topic_is_spread_over_the_masters_and_the_group_begins_where_the_scenario_says(start_at: str) -> None:
    cluster = FakeCluster(TWO)

    async def work(admin: RocketmqAdmin) -> None:
        await admin.create_topic(plan(start_at))
        assert await admin.partition_count() == 5
        await admin.add_partitions(8)
        assert await admin.partition_count() == 8

    administered(cluster, work)
    assert [len(cluster.nodes[node].topics[TOPIC]) for node in ("n1", "n2")] == [4, 4]
    committed = {node: sorted(cluster.nodes[node].positions.values()) for node in ("n1", "n2")}
    assert committed == ({"n1": [0, 0, 0], "n2": [0, 0]} if start_at == "first" else {"n1": [], "n2": []})


def test_a_topic_that_cannot_be_made_is_an_error() -> None:
    cluster = FakeCluster(TWO)
    cluster.nodes["n2"].silent = True

    async def work(admin: RocketmqAdmin) -> None:
        with pytest.raises(StartError, match=r"the topic cannot be made: .*did not answer UPDATE_AND_CREATE_TOPIC"):
            await admin.create_topic(plan())

    administered(cluster, work, timeout_s=0.05, create_s=0.1)


def test_a_broker_is_ready_once_the_name_server_knows_it_and_is_told_to_register() -> None:
    cluster = FakeCluster(TWO)
    cluster.nodes["n2"].registered = False

    async def work(admin: RocketmqAdmin) -> None:
        assert await admin.node_ready(NAMES) == ""
        assert await admin.node_ready("n1") == ""
        assert await admin.node_ready("n2") == "n2 is not registered with the name server"
        assert cluster.nodes["n2"].orders == [Code.UPDATE_BROKER_CONFIG]
        assert await admin.node_ready("n2") == ""
        await admin.create_topic(plan())
        cluster.nodes["n2"].registered = False
        cluster.nodes["n2"].orders.clear()
        assert await admin.node_ready("n2") == "n2 is not registered with the name server"
        assert cluster.nodes["n2"].orders == [], "it comes back by itself"

    administered(cluster, work)


def test_a_slave_is_ready_once_it_holds_what_its_master_holds() -> None:
    cluster = FakeCluster(PAIR)
    cluster.nodes["n1"].log_end = 900

    async def work(admin: RocketmqAdmin) -> None:
        assert await admin.node_ready("n2") == "n2 has not begun to copy n1"
        assert cluster.nodes["n2"].copies == "127.0.0.1:4711", "a slave forgets where it was configured to copy from"
        for copied in ([-1], [0], [-1, 0]):
            cluster.nodes["n1"].copied = copied
            assert await admin.node_ready("n2") == "n2 has not begun to copy n1"
        cluster.nodes["n1"].log_end, cluster.nodes["n1"].copied = 0, [0]
        assert await admin.node_ready("n2") == "", "there is nothing to copy"
        cluster.nodes["n1"].log_end = 900
        cluster.nodes["n1"].copied = [0, 300]
        assert await admin.node_ready("n2") == "n2 lacks 600 bytes of its master's log"
        cluster.nodes["n1"].copied = [900]
        assert await admin.node_ready("n2") == ""
        cluster.nodes["n1"].silent = True
        assert "n1 does not say how far n2 has copied it" in await admin.node_ready("n2")

    administered(cluster, work, timeout_s=0.3)


def test_what_the_monitor_journals_is_what_each_master_says() -> None:
    cluster = filled()
    cluster.nodes["n1"].members = cluster.nodes["n2"].members = ["127.0.0.1@c0", "127.0.0.1@c1"]
    cluster.nodes["n2"].fill(TOPIC, 1, 2)

    async def work(admin: RocketmqAdmin) -> None:
        assert await admin.settled() == ""
        *leaders, group, offsets = await admin.observe()
        assert [(event.partition, event.leader) for event in leaders if isinstance(event, LeaderEvent)] == [
            (0, "n1"),
            (1, "n2"),
            (2, "n1"),
            (3, "n2"),
            (4, "n1"),
        ]
        assert isinstance(group, GroupEvent)
        assert (group.state, group.coordinator) == ("stable", "")
        assert [(member.worker, member.member) for member in group.members or ()] == [
            ("c0", "127.0.0.1@c0"),
            ("c1", "127.0.0.1@c1"),
        ]
        assert isinstance(offsets, OffsetsEvent)
        assert dict(offsets.committed) == dict.fromkeys(range(5), 3)
        assert dict(offsets.end) == {0: 3, 1: 3, 2: 3, 3: 5, 4: 3}

    administered(cluster, work)


def test_partitions_that_were_added_are_observed_drained_and_audited(tmp_path: Path) -> None:
    cluster = filled(partitions=7, messages=2)
    journal = Journal(tmp_path / "audit.journal", {})

    async def work(admin: RocketmqAdmin) -> None:
        leaders = [event for event in await admin.observe() if isinstance(event, LeaderEvent)]
        assert [event.partition for event in leaders] == list(range(7))
        states = await admin.partitions()
        assert states is not None
        assert len(states) == 7
        assert [extent.partition for extent in await admin.audit(journal)] == list(range(7))

    try:
        administered(cluster, work)
    finally:
        journal.close()


def test_a_group_has_settled_only_once_all_brokers_name_the_same_members() -> None:
    cluster = filled()
    cluster.nodes["n1"].members = ["127.0.0.1@c0", "127.0.0.1@c1"]

    async def work(admin: RocketmqAdmin) -> None:
        assert await admin.group_state() == "stable"
        assert await admin.settled() == "members at n2 are none, not c0, c1"
        cluster.nodes["n1"].members = []
        assert await admin.group_state() == "empty"

    administered(cluster, work)


def test_a_dead_master_leads_nothing_and_one_that_is_late_may_yet_answer() -> None:
    cluster = filled()
    cluster.dead.add("n1")
    cluster.nodes["n2"].silent = True

    async def work(admin: RocketmqAdmin) -> None:
        events = await admin.observe()
        leaders = {event.partition: event.leader for event in events if isinstance(event, LeaderEvent)}
        assert leaders == {0: "", 2: "", 4: ""}
        assert await admin.leader(0) == await admin.leader(1) == ""
        assert await admin.group_state() == "unknown"
        (group,) = [event for event in events if isinstance(event, GroupEvent)]
        assert (group.state, group.members) == ("unknown", None)
        with pytest.raises(ControlError):
            await admin.partitions()

    administered(cluster, work, timeout_s=0.3)


def test_a_queue_is_drained_once_nothing_is_left_to_give_or_to_give_again() -> None:
    cluster = filled()
    late, busy = cluster.nodes["n1"], cluster.nodes["n2"]
    late.topics[SCHEDULED] = {2: [b"", b"", b""]}
    late.delays = {3: 1}
    busy.fill(RETRY, 0, 4)
    busy.positions[RETRY, 0] = 3
    busy.positions[TOPIC, 1] = 1

    async def work(admin: RocketmqAdmin) -> None:
        states = await admin.partitions()
        assert states is not None
        told = [
            (state.partition, state.end_offset, state.pending, state.ack_pending, state.drained) for state in states
        ]
        assert told[:2] == [(0, 2, 0, 2, False), (1, 2, 0, 1, False)], "the queue of retries"
        assert told[2:] == [(2, 2, 0, 0, True), (3, 2, 2, 0, False), (4, 2, 0, 0, True)]

    administered(cluster, work)


def test_without_the_topic_there_is_nothing_to_drain() -> None:
    async def work(admin: RocketmqAdmin) -> None:
        assert await admin.partitions() is None

    administered(FakeCluster(TWO), work)


def audited(cluster: FakeCluster, tmp_path: Path, partitions: int = 5) -> tuple[list[LogExtent], Any]:
    """Return what an audit says, and what it journaled."""
    found: list[LogExtent] = []
    journal = Journal(tmp_path / "audit.journal", {})

    async def work(admin: RocketmqAdmin) -> None:
        found.extend(await RocketmqAudit(admin._view, journal, partitions, QUICK).run())

    try:
        administered(cluster, work, timeout_s=0.5)
    finally:
        journal.close()
    return found, np.fromfile(tmp_path / "audit.journal", RECORD_DTYPE, offset=HEADER_BYTES)[:-1]


def test_an_audit_reads_every_queue_in_several_answers(tmp_path: Path) -> None:
    cluster = filled(messages=7)
    cluster.nodes["n1"].gives = 3
    extents, records = audited(cluster, tmp_path)
    assert [(extent.partition, extent.audit, extent.first_offset, extent.last_offset) for extent in extents] == [
        (partition, "complete", 0, 6) for partition in range(5)
    ]
    assert set(records["kind"]) == {RecordKind.STORED}
    for partition in range(5):
        rows = records[records["partition"] == partition]
        assert rows["offset"].tolist() == rows["seq"].tolist() == list(range(7))
        assert set(rows["key"]) == {partition // 2}


def test_dead_letters_are_journaled_as_such(tmp_path: Path) -> None:
    cluster = filled(messages=1)
    cluster.nodes["n2"].fill(DEAD_LETTERS, 0, 2)
    extents, records = audited(cluster, tmp_path)
    assert {extent.audit for extent in extents} == {"complete"}
    letters = records[records["kind"] == RecordKind.DEAD_LETTER]
    assert [letters[name].tolist() for name in ("partition", "offset", "seq")] == [[1, 1], [0, 1], [0, 1]]
    assert extents[0].events == (DeadLettersEvent(read="complete", messages=2, detail="read 2 dead letters"),)
    assert not any(extent.events for extent in extents[1:])


def test_a_topic_that_a_master_lost_does_not_exist_there(tmp_path: Path) -> None:
    cluster = filled(messages=2)
    del cluster.nodes["n2"].topics[TOPIC]
    extents, _ = audited(cluster, tmp_path)
    assert [(extent.partition, extent.exists, extent.audit) for extent in extents] == [
        (partition, partition % 2 == 0, "complete") for partition in range(5)
    ]


def test_what_is_not_read_proves_nothing(tmp_path: Path) -> None:
    cluster = filled(messages=2)
    cluster.nodes["n2"].gives = 0
    extents, records = audited(cluster, tmp_path)
    assert [extent.audit for extent in extents] == ["complete", "partial", "complete", "partial", "complete"]
    assert "not now" in extents[1].detail
    assert set(records["partition"]) == {0, 2, 4}
    assert [event.kind for event in extents[0].events] == ["dead_letters"]
    (tmp_path / "again").mkdir()
    cluster.nodes["n2"].silent = True
    extents, _ = audited(cluster, tmp_path / "again")
    assert [extent.audit for extent in extents] == ["complete", "none", "complete", "none", "complete"]
    (letters,) = extents[0].events
    assert isinstance(letters, DeadLettersEvent)
    assert (letters.read, letters.detail) == ("partial", "read 0 dead letters, not all of n2")


def test_a_slave_is_read_where_its_master_is_dead(tmp_path: Path) -> None:
    cluster = filled(PAIR, partitions=2, messages=3)
    cluster.nodes["n2"].topics[TOPIC][1].pop()
    cluster.dead.add("n1")
    extents, records = audited(cluster, tmp_path, partitions=2)
    assert [(extent.audit, extent.last_offset) for extent in extents] == [("complete", 2), ("complete", 1)]
    assert "of n2" in extents[0].detail
    assert records.size == 5
    assert cluster.nodes["n2"].orders == [Code.UPDATE_BROKER_CONFIG]


@pytest.mark.parametrize("lacks", ["topic", "queue"])
def test_what_a_slave_lacks_says_nothing_of_the_messages(lacks: str, tmp_path: Path) -> None:
    """It has asked for its master's topics before the topic was made, or before it was enlarged."""
    cluster = filled(PAIR, partitions=2, messages=3)
    topics = cluster.nodes["n2"].topics
    if lacks == "topic":
        del topics[TOPIC]
    else:
        del topics[TOPIC][1]
    cluster.dead.add("n1")
    extents, _ = audited(cluster, tmp_path, partitions=2)
    assert [extent.exists for extent in extents] == [True, True]
    assert [extent.audit for extent in extents] == ["none" if lacks == "topic" else "complete", "none"]
    assert extents[1].detail == f"n2, a slave, does not have the {lacks}"


def test_a_slave_has_the_topic_from_the_start() -> None:
    cluster = FakeCluster(PAIR)

    async def work(admin: RocketmqAdmin) -> None:
        await admin.create_topic(plan())
        assert len(cluster.nodes["n2"].topics[TOPIC]) == 5
        await admin.add_partitions(8)
        assert len(cluster.nodes["n2"].topics[TOPIC]) == 8

    administered(cluster, work)


@pytest.mark.parametrize("server", [NAMES, "n1"])
@pytest.mark.parametrize("keep", [True, False])
def test_a_probe_takes_as_much_up_and_down_as_is_asked(server: str, keep: bool) -> None:
    async def run() -> None:
        async with FakeCluster({"n1": ("n1",)}).served() as ports:
            probe = RocketmqProbe(f"127.0.0.1:{ports[server][LISTEN]}", keep=keep, timeout_s=20.0)
            assert await probe.round_trip() > 0
            small = probe.received
            await probe.bulk(3_000_000, 0)
            assert probe.sent >= 3_000_000
            received = probe.received
            await probe.bulk(0, 200_000)
            assert probe.received - (received if keep else 0) >= 200_000
            assert small < 300
            assert await probe.closing() > 0

    asyncio.run(run())


def test_a_master_is_asked_for_the_beginning_of_its_log_and_told_of_nothing_copied() -> None:
    told: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append(await reader.readexactly(8))
        writer.write(bytes(12) + b"log")
        told.append(await reader.read())
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        probe = HaProbe(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", keep=False, timeout_s=20.0)
        assert await probe.round_trip() > 0
        with pytest.raises(ValueError, match="no data"):
            await probe.bulk(1, 0)
        server.close()
        await asyncio.sleep(0.01)

    asyncio.run(run())
    assert told[0] == bytes(8)


@pytest.mark.parametrize(
    ("client", "worker"),
    [("127.0.0.1@c0", "c0"), ("10.0.0.1@c12#3", "c12"), ("c3", "c3"), ("127.0.0.1@4711", "127.0.0.1@4711")],
)
def test_a_client_id_names_its_worker(client: str, worker: str) -> None:
    assert worker_of(client) == worker

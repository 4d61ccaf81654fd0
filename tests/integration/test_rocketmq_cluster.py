"""Real clusters of RocketMQ: started, probed, administered and audited, in both runtimes, with a client by hand."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.deployed import deployed
from support.required_abilities import require_for_faults
from support.rocketmq_hand import Hand

from harness.brokers.base import LogExtent
from harness.brokers.rocketmq.admin import RocketmqAdmin
from harness.brokers.rocketmq.broker import RocketmqBroker
from harness.errors import ControlError
from harness.history.events import DeadLettersEvent, GroupEvent, LeaderEvent, OffsetsEvent
from harness.history.record import HEADER_BYTES, RECORD_DTYPE, Journal, RecordKind

pytestmark = pytest.mark.timeout(900)

TEXT = """\
version: 1
title: A cluster of RocketMQ
broker: rocketmq-5
cluster: {cluster}
workload: {{producers: 1, consumers: 1, partitions: 4, rate: 10/s, duration: 5s}}
faults: []
expect: {{loss: {{}}}}
"""
WITHOUT_CONSUMERS: dict[str, Any] = {"consumers": []}
PARTITIONS = 4


async def audited(admin: RocketmqAdmin, folder: Path) -> tuple[list[LogExtent], np.ndarray]:
    """Return what the brokers say of their logs, and every record that was read."""
    path = folder / f"{time.monotonic_ns()}.journal"
    journal = Journal(path, {})
    extents = list(await admin.audit(journal))
    journal.close()
    return extents, np.fromfile(path, RECORD_DTYPE, offset=HEADER_BYTES)[:-1]


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


@pytest.mark.rotates(2)
@pytest.mark.parametrize("runtime", ["process", "docker"])
@pytest.mark.parametrize("nodes", [1, 3])
def test_masters_take_messages_through_links_and_are_audited(nodes: int, runtime: str, tmp_path: Path) -> None:
    require_for_faults((), runtime)
    names = tuple(f"n{index + 1}" for index in range(nodes))

    async def run() -> None:
        text = TEXT.format(cluster=f"{{nodes: {nodes}}}")
        async with deployed(text, tmp_path, runtime, options=WITHOUT_CONSUMERS) as up:
            admin, hand = up.admin, Hand(up)
            assert isinstance(admin, RocketmqAdmin)
            assert await admin.partition_count() == PARTITIONS
            places = await hand.connect()
            assert places.sets == names
            assert hand.addresses == {name: up.links[f"clients->{name}"].address for name in names}
            offsets = {
                partition: [await hand.send(places, partition, seq) for seq in range(40)]
                for partition in range(PARTITIONS)
            }
            assert set(map(tuple, offsets.values())) == {tuple(range(40))}
            states = await admin.partitions()
            assert states is not None
            assert [(state.partition, state.end_offset, state.pending) for state in states] == [
                (partition, 39, 40) for partition in range(PARTITIONS)
            ]
            await asyncio.gather(*(hand.commit(places, partition, 40) for partition in range(PARTITIONS)))
            states = await admin.partitions()
            assert states is not None
            assert all(state.drained for state in states)
            found = await admin.observe()
            leaders = {event.partition: event.leader for event in found if isinstance(event, LeaderEvent)}
            assert leaders == {partition: names[partition % nodes] for partition in range(PARTITIONS)}
            (group,) = [event for event in found if isinstance(event, GroupEvent)]
            assert (group.state, group.members) == ("empty", ())
            (told,) = [event for event in found if isinstance(event, OffsetsEvent)]
            assert dict(told.committed) == dict(told.end) == dict.fromkeys(range(PARTITIONS), 40)
            extents, records = await audited(admin, tmp_path)
            assert [(extent.audit, extent.first_offset, extent.last_offset) for extent in extents] == [
                ("complete", 0, 39)
            ] * PARTITIONS
            assert records.size == 40 * PARTITIONS
            assert (records["key"] == records["partition"]).all()
            assert (records["seq"] == records["offset"]).all()
            assert set(records["kind"]) == {RecordKind.STORED}
            hand.close()
            await up.recheck_bypass()
            assert up.problems == []

    asyncio.run(run())


def test_a_master_that_is_killed_leads_nothing_and_comes_back_with_its_messages(tmp_path: Path) -> None:
    async def run() -> None:
        async with deployed(TEXT.format(cluster="{nodes: 2}"), tmp_path, options=WITHOUT_CONSUMERS) as up:
            admin, hand = up.admin, Hand(up)
            assert isinstance(admin, RocketmqAdmin)
            places = await hand.connect()
            for seq in range(10):
                await asyncio.gather(*(hand.send(places, partition, seq) for partition in range(PARTITIONS)))
            up.nodes["n1"].expect_end_by("test", expected=True)
            await up.nodes["n1"].kill()
            leaders = [event for event in await admin.observe() if isinstance(event, LeaderEvent)]
            assert [event.leader for event in leaders] == ["", "n2", "", "n2"]
            with pytest.raises(ControlError):
                await hand.send(places, 0, 99)
            await up._start_node(up.nodes["n1"])
            await up._node_up("n1")
            assert await admin.leader(0) == "n1"
            extents, records = await audited(admin, tmp_path)
            assert {extent.audit for extent in extents} == {"complete"}
            assert records.size == 10 * PARTITIONS
            hand.close()

    asyncio.run(run())


@pytest.mark.rotates(2)
@pytest.mark.parametrize("runtime", ["process", "docker"])
@pytest.mark.parametrize("replication", ["async", "sync"])
def test_a_slave_holds_what_its_master_held_when_it_was_killed(replication: str, runtime: str, tmp_path: Path) -> None:
    require_for_faults((), runtime)

    async def run() -> None:
        text = TEXT.format(cluster=f"{{nodes: 2, replicas: 2, topic: {{replication: {replication}}}}}")
        async with deployed(text, tmp_path, runtime, options=WITHOUT_CONSUMERS) as up:
            admin, hand = up.admin, Hand(up)
            assert isinstance(admin, RocketmqAdmin)
            places = await hand.connect()
            assert places.sets == ("n1",)
            for seq in range(10):
                await asyncio.gather(*(hand.send(places, partition, seq) for partition in range(PARTITIONS)))
            broker = RocketmqBroker()
            for channel in up.links["n2->n1"].channels:
                probe = (
                    broker.further_probe(channel.protocol, channel.address, timeout_s=10.0)
                    if channel.protocol
                    else broker.probe(channel.address, keep=False, timeout_s=10.0)
                )
                assert await probe.round_trip() > 0
            await up._node_up("n2")
            await up.recheck_bypass()
            assert up.problems == []
            up.nodes["n1"].expect_end_by("test", expected=True)
            await up.nodes["n1"].kill()
            extents, records = await audited(admin, tmp_path)
            assert [(extent.audit, extent.last_offset) for extent in extents] == [("complete", 9)] * PARTITIONS
            assert all("of n2" in extent.detail for extent in extents)
            assert records.size == 10 * PARTITIONS
            hand.close()

    asyncio.run(run())


def test_dead_letters_are_read_as_a_place_of_their_own(tmp_path: Path) -> None:
    async def run() -> None:
        async with deployed(TEXT.format(cluster="{nodes: 1}"), tmp_path, "process", options=WITHOUT_CONSUMERS) as up:
            admin, hand = up.admin, Hand(up)
            assert isinstance(admin, RocketmqAdmin)
            places = await hand.connect()
            for seq in range(10):
                await asyncio.gather(*(hand.send(places, partition, seq) for partition in range(PARTITIONS)))
            await hand.give_up(places, 1, 7)
            extents, records = await audited(admin, tmp_path)
            dead = records[records["kind"] == RecordKind.DEAD_LETTER]
            assert list(zip(dead["key"].tolist(), dead["seq"].tolist(), strict=True)) == [(1, 7)]
            assert np.count_nonzero(records["kind"] == RecordKind.STORED) == 10 * PARTITIONS
            (letters,) = (event for extent in extents for event in extent.events)
            assert isinstance(letters, DeadLettersEvent)
            assert (letters.read, letters.messages) == ("complete", 1)
            hand.close()

    asyncio.run(run())

"""Replicas of real clusters: what a follower holds itself is read, and one that lags or is silent proves nothing. A
body that was altered is found, on one copy and on all of them.
"""

from __future__ import annotations

import asyncio
import struct
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs leave out what they import themselves
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)
from support.audited_record import (
    COUNT,
    ENDS_S,
    PARTITIONS,
    TEXT,
    Record,
    alter,
    replicas,
    require_altered,
    require_equal,
    until,
)
from support.deployed import deployed
from support.rocketmq_hand import Hand

from harness.brokers.kafka.admin import KafkaAdmin
from harness.brokers.kafka.options import TOPIC
from harness.brokers.rocketmq.admin import RocketmqAdmin
from harness.checks.analysis.bodies import corrupted
from harness.checks.analysis.replicas import diverged

pytestmark = pytest.mark.timeout(900)

CODECS = ("gzip", "snappy", "lz4", "zstd")
"""In the order of their numbers in the attributes of a batch, from 1 on."""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


def test_kafka_followers_are_read(tmp_path: Path) -> None:
    cluster = "{nodes: 3, replicas: 3, config: {replica.lag.time.max.ms: 3000}}"

    async def run() -> None:
        async with deployed(TEXT.format(broker="kafka-4", cluster=cluster), tmp_path, group=False) as up:
            admin = up.admin
            assert isinstance(admin, KafkaAdmin)
            producer = Producer({"bootstrap.servers": admin._bootstrap(), "linger.ms": 0})
            record = Record(up, tmp_path)

            async def send(partition: int, body: bytes) -> int:
                told: list[int] = []
                producer.produce(
                    TOPIC, body, partition=partition, on_delivery=lambda _, found: told.append(found.offset() or 0)
                )
                assert not await asyncio.to_thread(producer.flush, 120)  # aim: 1 ms
                return told[0]

            await record.send(send, lies=True)
            history = await record.audited()
            require_equal(history, copies=2)
            require_altered(history)

            # The file of one follower is altered under it: it serves what is there.
            leaders = [await admin.leader(partition) for partition in range(PARTITIONS)]
            last = next(name for name in sorted(up.nodes) if name not in leaders)
            victim = next(name for name in sorted(up.nodes) if name not in {leaders[0], last})
            logs = (up._run_dir.path / "nodes" / victim).rglob(f"{TOPIC}-0/*.log")
            assert sum(alter(path, 5) for path in logs) == 1
            history = await record.audited()
            (finding,) = diverged(history).findings
            assert (finding.type, finding.partition, finding.amount) == ("diverged", 0, 1)
            assert f"{victim} holds key 0 seq 5, its body altered" in finding.message
            assert corrupted(history).measured["corrupted_max"].proven == PARTITIONS  # the leader's is whole

            # One that is cut off falls out of sync: it is not read, and proves nothing.
            cut = [name for name in up.links if last in name.split("->") and "clients" not in name]
            for link in cut:
                up.runtime.control.switch_off(link, "test")
            await record.send(send)
            await until(lambda: _out_of_sync(admin, last))
            async with asyncio.timeout(ENDS_S):
                history = await record.audited()
            told = [event for event in replicas(history) if event.node == last]
            assert told
            assert all(event.read == "none" and "not in sync" in event.detail for event in told)
            assert {finding.operations[0].seq for finding in diverged(history).findings} <= {5}
            for link in cut:
                up.runtime.control.switch_on(link, "test")

    asyncio.run(run())


def test_compressed_batches_of_kafka_followers_are_read(tmp_path: Path) -> None:
    """A producer compresses them, or the node does, in every codec that librdkafka has."""

    async def run() -> None:
        text = TEXT.format(broker="kafka-4", cluster="{nodes: 3, replicas: 3}")
        async with deployed(text, tmp_path, group=False) as up:
            admin = up.admin
            assert isinstance(admin, KafkaAdmin)
            record = Record(up, tmp_path)
            bootstrap = admin._bootstrap()
            for codec in CODECS:
                await record.send_batches(Producer(_batching(bootstrap) | {"compression.type": codec}))
            for codec in CODECS:
                await asyncio.to_thread(_compress_in_topic, bootstrap, codec)
                await record.send_batches(Producer(_batching(bootstrap)))
            history = await record.audited()
            require_equal(history, copies=2)
            assert history.index.stored.offset.size == 2 * len(CODECS) * COUNT * PARTITIONS
            for name in sorted(up.nodes):
                for partition in range(PARTITIONS):
                    (log,) = (up._run_dir.path / "nodes" / name).rglob(f"{TOPIC}-{partition}/*.log")
                    assert _codecs_in(log) == [1, 2, 3, 4, 1, 2, 3, 4]

    asyncio.run(run())


def _batching(bootstrap: str) -> dict[str, str | int | float | bool]:
    """Return settings of a producer whose messages come in as few batches as they can."""
    return {"bootstrap.servers": bootstrap, "linger.ms": 100, "log_level": 0}


def _compress_in_topic(bootstrap: str, codec: str) -> None:
    """Set ``compression.type`` of the topic; return once every node has it."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    resource = ConfigResource(ConfigResource.Type.TOPIC, TOPIC)
    entry = ConfigEntry("compression.type", codec, incremental_operation=AlterConfigOpType.SET)
    wanted = ConfigResource(ConfigResource.Type.TOPIC, TOPIC, incremental_configs=[entry])
    admin.incremental_alter_configs([wanted])[wanted].result(60)
    deadline = time.monotonic() + 60
    while admin.describe_configs([resource])[resource].result(60)["compression.type"].value != codec:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _codecs_in(log: Path) -> list[int]:
    """Return the numbers of the codecs of a log's batches, in order, each once for all batches in a row."""
    content, at, found = log.read_bytes(), 0, list[int]()
    while at < len(content):
        codec = struct.unpack_from(">h", content, at + 21)[0] & 7
        found += [codec] if found[-1:] != [codec] else []
        at += 12 + struct.unpack_from(">i", content, at + 8)[0]
    return found


async def _out_of_sync(admin: KafkaAdmin, node: str) -> bool:
    found = [await admin.leadership(partition) for partition in range(PARTITIONS)]
    return all(now.leader and node not in now.in_sync for now in found)


def test_a_slave_of_rocketmq_is_read(tmp_path: Path) -> None:
    async def run() -> None:
        text = TEXT.format(broker="rocketmq-5", cluster="{nodes: 2, replicas: 2, topic: {replication: sync}}")
        async with deployed(text, tmp_path, options={"consumers": []}) as up:
            admin, hand = up.admin, Hand(up)
            assert isinstance(admin, RocketmqAdmin)
            places = await hand.connect()
            await up._node_up("n2")
            record = Record(up, tmp_path)

            async def send(partition: int, body: bytes) -> int:
                return await hand.send_body(places, partition, body)

            await record.send(send, lies=True)
            history = await record.audited()
            require_equal(history, copies=1)
            require_altered(history)

            # The slave's log is altered under it.
            logs = [path for path in (up._run_dir.path / "nodes" / "n2").rglob("commitlog/*") if path.is_file()]
            assert sum(alter(path, 5) for path in logs) == 1
            history = await record.audited()
            (finding,) = diverged(history).findings
            assert (finding.partition, finding.amount) == (0, 1)
            assert "n2 holds key 0 seq 5, its body altered" in finding.message
            hand.close()

    asyncio.run(run())

"""Stores of a real NATS cluster: each node is read in its own one, and what was changed in one is found.

What the servers make of a changed store stands in docs/nats.md.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.audited_record import (
    COUNT,
    ENDS_S,
    PARTITIONS,
    TEXT,
    Record,
    altered,
    replicas,
    require_altered,
    require_equal,
    until,
)
from support.deployed import deployed
from support.nats_store import alter_message

from harness.brokers.nats.admin import NatsAdmin
from harness.brokers.nats.options import STREAM, subject
from harness.checks.analysis.bodies import corrupted
from harness.checks.analysis.replicas import diverged
from harness.clients.payload import encode
from harness.engine.deployment import Deployment
from harness.history.events import AuthorityEvent

pytestmark = pytest.mark.timeout(900)

SEQ, HOLE = 5, 9
"""Sequences, of key 0, of the messages that are altered."""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


@dataclass
class Cluster:
    """Three nodes that hold a stream."""

    up: Deployment
    admin: NatsAdmin
    record: Record

    async def send(self, partition: int, body: bytes) -> int:
        """Publish a message; return its sequence."""
        js = await self.admin._jetstream()
        return (await js.publish(subject(partition), body, timeout=30)).seq

    async def follower(self) -> str:
        """Return the name of a node that does not lead."""
        leader = await self.admin.leader()
        assert leader
        return next(name for name in sorted(self.up.nodes) if name != leader)

    async def in_sync(self, name: str) -> bool:
        """Return whether the leader says that a follower has all that it has."""
        found = (await (await self.admin._jetstream()).stream_info(STREAM)).cluster
        assert found is not None
        return any(peer.name == name and peer.current and not peer.offline for peer in found.replicas or ())

    async def change_store(self, name: str, change: Callable[[Path], None]) -> None:
        """Stop a node in good order, change the file of the stream's messages, and start it; returns once in sync."""
        node = self.up.nodes[name]
        node.expect_end_by("test", expected=True)
        await node.stop()
        (block,) = (self.up._run_dir.path / "nodes" / name).rglob(f"streams/{STREAM}/msgs/*.blk")
        change(block)
        await node.start()
        node.expect_end_by("test", expected=False)
        await self.up._node_up(name)
        await until(lambda: self.in_sync(name))

    async def let_lead(self, name: str) -> None:
        """Let a node lead the stream."""
        request = json.dumps({"placement": {"preferred": name}}).encode()

        async def leads() -> bool:
            if await self.admin.leader() == name:
                return True
            js = await self.admin._jetstream()
            await js._nc.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{STREAM}", request, timeout=30)
            return False

        await until(leads)


@asynccontextmanager
async def three_nodes(folder: Path) -> AsyncIterator[Cluster]:
    """Yield a cluster that is up."""
    async with deployed(TEXT.format(broker="nats-2", cluster="{nodes: 3, replicas: 3}"), folder) as up:
        assert isinstance(up.admin, NatsAdmin)
        yield Cluster(up, up.admin, Record(up, folder))


def change(seq: int, *, checksum: bool) -> Callable[[Path], None]:
    """Return what alters a message of key 0 in a file."""

    def act(block: Path) -> None:
        body = encode(0, seq, 200)
        assert alter_message(block, STREAM, subject(0), body, altered(body), checksum=checksum)

    return act


def cut(block: Path) -> None:
    """Cut the last quarter of the messages off a file; all are equally long."""
    size = block.stat().st_size
    with block.open("r+b") as file:
        file.truncate(size // (COUNT * PARTITIONS) * (COUNT * PARTITIONS * 3 // 4))


def test_every_node_of_nats_is_read_in_its_own_store(tmp_path: Path) -> None:
    async def run() -> None:
        async with deployed(TEXT.format(broker="nats-2", cluster="{nodes: 3, replicas: 3}"), tmp_path) as up:
            admin = up.admin
            assert isinstance(admin, NatsAdmin)
            record = Record(up, tmp_path)

            async def send(partition: int, body: bytes) -> int:
                js = await admin._jetstream()
                return (await js.publish(subject(partition), body, timeout=30)).seq

            await record.send(send, lies=True)
            history = await record.audited()
            require_equal(history, copies=2)
            require_altered(history)
            leader = await admin.leader()
            assert {event.node for event in replicas(history)} == set(up.nodes) - {leader}
            (said,) = history.of_kind(AuthorityEvent)
            assert f"from {leader}, the leader" in said.detail

            # One that is frozen is told, and the others are read all the same, in bounded time.
            silent = next(name for name in sorted(up.nodes) if name != leader)
            up.nodes[silent].pause("test")
            async with asyncio.timeout(ENDS_S):
                history = await record.audited()
            told = {event.node: event.read for event in replicas(history)}
            assert told.pop(silent) == "none"
            assert set(told.values()) <= {"complete"}
            part = diverged(history)
            assert part.findings == ()
            assert any(silent in reason for reason in part.reasons)
            up.nodes[silent].resume("test")

    asyncio.run(run())


def test_a_message_that_was_altered_in_one_store_is_found_there_and_where_it_leads(tmp_path: Path) -> None:
    async def run() -> None:
        async with three_nodes(tmp_path) as cluster:
            await cluster.record.send(cluster.send)
            require_equal(await cluster.record.audited(), copies=2)

            victim = await cluster.follower()
            await cluster.change_store(victim, change(SEQ, checksum=True))
            history = await cluster.record.audited()
            (finding,) = diverged(history).findings
            assert (finding.type, finding.amount) == ("diverged", 1)
            assert f"{victim} holds key 0 seq {SEQ}, its body altered" in finding.message
            assert corrupted(history).measured["corrupted_max"].proven == 0  # the leader's is whole

            # Where it leads, its store is the one that the audit reads, and consumers are given the altered message.
            await cluster.let_lead(victim)
            history = await cluster.record.audited()
            (finding,) = corrupted(history).findings
            assert (finding.type, finding.amount) == ("corrupted", 1)
            assert {(operation.key, operation.seq) for operation in finding.operations} == {(0, SEQ)}
            findings = diverged(history).findings
            assert {found.amount for found in findings} == {1}
            others = set(cluster.up.nodes) - {victim}
            assert {name for name in others for found in findings if f"log of {name}" in found.message} == others

    asyncio.run(run())


def test_a_store_that_was_damaged_is_repaired_or_has_a_hole_that_is_found(tmp_path: Path) -> None:
    async def run() -> None:
        async with three_nodes(tmp_path) as cluster:
            await cluster.record.send(cluster.send)
            victim = await cluster.follower()
            # A store that ends earlier than the leader's takes the rest from it.
            await cluster.change_store(victim, cut)
            require_equal(await cluster.record.audited(), copies=2)

            # A message whose checksum is wrong is not given, and not taken again from the leader either.
            victim = await cluster.follower()
            await cluster.change_store(victim, change(HOLE, checksum=False))
            history = await cluster.record.audited()
            (finding,) = diverged(history).findings
            assert (finding.type, finding.amount) == ("diverged", 1)
            assert f"where the audit read key 0 seq {HOLE} and {victim} holds nothing" in finding.message
            (event,) = [event for event in replicas(history) if event.node == victim]
            assert (event.read, event.messages) == ("partial", COUNT * PARTITIONS - 1)

    asyncio.run(run())

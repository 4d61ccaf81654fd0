"""Queues of servers that the audit did not read: what they hold is journaled, and what was not read is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.rocketmq_cluster import FakeCluster

from harness.brokers.rocketmq.admin import RocketmqAdmin
from harness.brokers.rocketmq.messages import StoredMessage, read_messages
from harness.brokers.rocketmq.options import TOPIC
from harness.clients.payload import encode
from harness.history.events import ReplicaEvent
from harness.history.record import HEADER_BYTES, RECORD_DTYPE, Flag, Journal, RecordKind

PAIR = {"n1": ("n1", "n2")}
MESSAGES = 6


def pair(slave: Mapping[int, int] | None = None) -> FakeCluster:
    """Return a master and a slave with two queues; of the slave how many messages each holds."""
    cluster = FakeCluster(PAIR)
    for node, counts in (("n1", {0: MESSAGES, 1: MESSAGES}), ("n2", slave or {0: MESSAGES, 1: MESSAGES})):
        for queue, count in counts.items():
            cluster.nodes[node].fill(TOPIC, queue, count)
    cluster.nodes["n1"].log_end, cluster.nodes["n1"].copied = 100, [100]
    return cluster


def audited(cluster: FakeCluster, folder: Path, timeout_s: float = 20.0) -> tuple[list[ReplicaEvent], np.ndarray]:
    """Audit a cluster; return the events of replicas, and what of them was journaled."""
    journal = Journal(folder / "audit.journal", {})

    async def run() -> list[Any]:
        async with cluster.served() as ports:
            admin = RocketmqAdmin(ports, partitions=2, sets=cluster.sets, consumers=(), timeout_s=timeout_s)
            try:
                return [event for extent in await admin.audit(journal) for event in extent.events]
            finally:
                await admin.close()

    events = asyncio.run(run())
    journal.close()
    records = np.fromfile(folder / "audit.journal", RECORD_DTYPE, offset=HEADER_BYTES)[:-1]
    found = [event for event in events if isinstance(event, ReplicaEvent)]
    return found, records[records["kind"] == RecordKind.REPLICA]


def test_a_slave_is_read_next_to_its_master(tmp_path: Path) -> None:
    cluster = pair()
    bodies = cluster.nodes["n2"].topics[TOPIC][1]
    bodies[2] = b"z" + bodies[2][1:]
    events, records = audited(cluster, tmp_path)
    assert [
        (event.partition, event.node, event.in_sync, event.read, event.end_offset, event.messages) for event in events
    ] == [(partition, "n2", True, "complete", MESSAGES, MESSAGES) for partition in (0, 1)]
    for partition in (0, 1):
        here = records[records["partition"] == partition]
        assert here["offset"].tolist() == here["seq"].tolist() == list(range(MESSAGES))
        assert set(here["ref"].tolist()) == {1}
        altered = np.flatnonzero(here["flags"] == Flag.CORRUPTED).tolist()
        assert altered == ([2] if partition else [])


def test_a_slave_that_is_behind_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    cluster = pair({0: MESSAGES, 1: 4})
    cluster.nodes["n1"].copied = [60]
    events, records = audited(cluster, tmp_path)
    assert [(event.in_sync, event.read, event.end_offset) for event in events] == [
        (False, "complete", MESSAGES),
        (False, "complete", 4),
    ]
    assert "is 2 offsets behind" in events[1].detail
    assert records.size == MESSAGES + 4


@pytest.mark.parametrize("trouble", ["silent", "refuses", "lacks a queue"])
def test_what_was_not_read_is_told(tmp_path: Path, trouble: str) -> None:
    cluster = pair()
    slave = cluster.nodes["n2"]
    if trouble == "silent":
        slave.silent = True
    elif trouble == "refuses":
        slave.gives = 0
    else:
        del slave.topics[TOPIC][1]
    events, records = audited(cluster, tmp_path, timeout_s=0.5)
    assert events[1].read == "none"
    assert events[1].end_offset == -1
    assert not np.count_nonzero(records["partition"] == 1)
    says = {"silent": "it does not answer", "refuses": "not now", "lacks a queue": "does not have the queue"}
    assert says[trouble] in events[1].detail


def test_a_master_that_is_dead_is_told_where_its_slave_was_read(tmp_path: Path) -> None:
    cluster = pair()
    cluster.dead.add("n1")
    events, records = audited(cluster, tmp_path)
    assert [(event.node, event.read) for event in events] == [("n1", "none")] * 2
    assert not records.size


@pytest.mark.parametrize(("keys", "intact"), [(None, True), ("1-7", True), ("1-8", False), ("", False)])
def test_a_message_whose_keys_are_another_ones_is_not_the_one_that_was_sent(keys: str | None, intact: bool) -> None:
    message = StoredMessage(
        topic=TOPIC,
        queue=0,
        offset=7,
        log_offset=0,
        born_ms=0,
        stored_ms=0,
        reconsumed=0,
        body=encode(1, 7, 64),
        properties={} if keys is None else {"KEYS": keys},
    )
    found = read_messages([message])
    assert (found.keys.tolist(), found.seqs.tolist(), found.intact.tolist()) == ([1], [7], [intact])

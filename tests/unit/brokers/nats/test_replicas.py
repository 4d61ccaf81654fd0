"""The stores of nodes that follow: each is read by a consumer that is placed there, and what was not read is told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from nats.js import JetStreamContext

from harness.brokers.base import LogExtent
from harness.brokers.nats.messages import MESSAGE_ID, message_id, read_message
from harness.brokers.nats.options import subject
from harness.brokers.nats.replicas import NatsReplicas, ReplicaPace
from harness.brokers.nats.view import NatsView, StoreState
from harness.clients.payload import encode
from harness.errors import ControlError
from harness.history.events import ReplicaEvent
from harness.history.record import HEADER_BYTES, RECORD_DTYPE, Flag, Journal, RecordKind

PACE = ReplicaPace(whole_s=5.0, behind_s=0.1, again_s=0.01)
QUICK = ReplicaPace(whole_s=0.3, behind_s=0.1, again_s=0.01)
BODIES = {seq: encode(seq % 2, seq, 64) for seq in range(1, 11)}


def a_message(sequence: int, body: bytes, consumer: int, headers: dict[str, str] | None = None) -> Any:
    """Return a message as the client library hands it over."""
    found = SimpleNamespace(stream=sequence, consumer=consumer)
    return SimpleNamespace(
        data=body, headers=headers, subject=subject(sequence % 2), metadata=SimpleNamespace(sequence=found)
    )


@dataclass
class FakeCluster:
    """Three nodes that hold the stream, each for itself; ``n1`` leads. Consumers are placed in turn.

    Attributes:
        stores: Node → sequence → body.
        ends: Node → last sequence that it names, where that is not its last one.
        unread: Nodes on which consumers give nothing.
        lagging, silent: Nodes that are not current, and that do not answer on their monitoring ports.
    """

    stores: dict[str, dict[int, bytes]]
    ends: dict[str, int] = field(default_factory=dict)
    unread: Sequence[str] = ()
    lagging: Sequence[str] = ()
    silent: Sequence[str] = ()
    placed: list[tuple[str, int]] = field(default_factory=list)
    forgotten: int = 0

    async def connect(self) -> JetStreamContext:
        return cast("JetStreamContext", self)

    async def stream_info(self, _: str) -> Any:
        peers = [
            SimpleNamespace(name=name, current=name not in self.lagging, offline=None)
            for name in self.stores
            if name != "n1"
        ]
        return SimpleNamespace(cluster=SimpleNamespace(leader="n1", replicas=peers))

    async def add_consumer(self, _: str, config: Any, **__: Any) -> Any:
        assert config.num_replicas == 1
        node = f"n{len(self.placed) % 3 + 1}"
        self.placed.append((node, config.opt_start_seq))
        return SimpleNamespace(name=str(len(self.placed) - 1), cluster=SimpleNamespace(leader=node))

    async def delete_consumer(self, _: str, name: str) -> None:
        del name
        self.forgotten += 1

    async def pull_subscribe_bind(self, *, consumer: str, stream: str) -> Any:
        del stream
        node, start = self.placed[int(consumer)]
        left = sorted(sequence for sequence in self.stores[node] if sequence >= start)
        handed_out = 0

        async def fetch(count: int, **_: Any) -> list[Any]:
            nonlocal left, handed_out
            if node in self.unread:
                return []
            now, left = left[: min(count, 4)], left[min(count, 4) :]
            found = [
                a_message(sequence, self.stores[node][sequence], handed_out + place + 1)
                for place, sequence in enumerate(now)
            ]
            handed_out += len(now)
            return found

        return SimpleNamespace(fetch=fetch)

    async def store(self, node: str) -> StoreState | None:
        """Return what the node's monitoring port says."""
        if node in self.silent:
            return None
        held = self.stores[node]
        last = self.ends.get(node, max(held, default=0))
        return StoreState(first=min(held, default=0), last=last, messages=len(held))


def read(
    cluster: FakeCluster, folder: Path, pace: ReplicaPace = PACE, audited: str = "n1"
) -> tuple[dict[str, ReplicaEvent], np.ndarray]:
    """Read the followers; return the events by node, and what was journaled."""
    path = folder / "audit.1.journal"
    journal = Journal(path, {})
    extent = LogExtent(exists=True, first_offset=1, last_offset=10, audit="complete", detail="")
    replicas = NatsReplicas(cluster.connect, cast("NatsView", cluster), ["n1", "n2", "n3"], journal, pace)
    found = asyncio.run(replicas.run(extent, audited))
    journal.close()
    assert cluster.forgotten == len(cluster.placed)
    return {event.node: event for event in found}, np.fromfile(path, RECORD_DTYPE, offset=HEADER_BYTES)[:-1]


def test_each_follower_is_read_in_its_own_store(tmp_path: Path) -> None:
    other = {**BODIES, 4: encode(0, 99, 64), 5: BODIES[5][:50] + b"#" + BODIES[5][51:]}
    events, records = read(FakeCluster({"n1": BODIES, "n2": BODIES, "n3": other}), tmp_path)
    assert {
        name: (event.read, event.first_offset, event.end_offset, event.messages) for name, event in events.items()
    } == dict.fromkeys(("n2", "n3"), ("complete", 1, 11, 10))
    assert set(records["kind"].tolist()) == {RecordKind.REPLICA}
    mine, theirs = records[records["ref"] == 1], records[records["ref"] == 2]
    assert mine["offset"].tolist() == theirs["offset"].tolist() == list(range(1, 11))
    assert mine["seq"].tolist() == list(range(1, 11))
    assert theirs["seq"].tolist() == [1, 2, 3, 99, *range(5, 11)]
    assert theirs["flags"].tolist() == [Flag.INTACT] * 4 + [Flag.CORRUPTED] + [Flag.INTACT] * 5
    assert mine["partition"].tolist() == [sequence % 2 for sequence in range(1, 11)]


def test_a_hole_is_read_as_one(tmp_path: Path) -> None:
    holed = {sequence: body for sequence, body in BODIES.items() if sequence not in {3, 10}}
    events, records = read(FakeCluster({"n1": BODIES, "n2": holed, "n3": holed}, ends={"n2": 10}), tmp_path)
    assert (events["n2"].read, events["n2"].end_offset, events["n2"].messages) == ("complete", 11, 8)
    assert (events["n3"].end_offset, events["n3"].messages) == (10, 8)
    assert "is 1 sequences behind" in events["n3"].detail
    assert records.size == 16


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"lagging": ["n3"]}, "it is not in sync"),
        ({"silent": ["n3"]}, "does not answer on its monitoring port"),
        ({"unread": ["n3"]}, "a request for messages ended without one"),
    ],
    ids=["out of sync", "silent", "gives nothing"],
)
def test_what_was_not_read_is_told(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    events, records = read(FakeCluster({"n1": BODIES, "n2": BODIES, "n3": BODIES}, **changes), tmp_path, QUICK)
    assert (events["n3"].read, events["n3"].messages, events["n3"].end_offset) == ("none", 0, -1)
    assert says in events["n3"].detail
    assert events["n2"].read == "complete"
    assert set(records["ref"].tolist()) == {1}


def test_a_stream_with_one_copy_has_no_replica(tmp_path: Path) -> None:
    events, records = read(FakeCluster({"n1": BODIES}), tmp_path)
    assert (events, records.size) == ({}, 0)


def test_no_consumer_is_looked_for_without_end(tmp_path: Path) -> None:
    class Elsewhere(FakeCluster):
        async def add_consumer(self, _: str, config: Any, **__: Any) -> Any:
            self.placed.append(("n1", config.opt_start_seq))
            return SimpleNamespace(name="0", cluster=SimpleNamespace(leader="n1"))

    events, _ = read(Elsewhere({"n1": BODIES, "n2": BODIES}), tmp_path, QUICK)
    assert events["n2"].read == "none"
    assert "was placed on n2" in events["n2"].detail


def test_a_refusal_is_a_matter_of_time(tmp_path: Path) -> None:
    class Refusing(FakeCluster):
        refusals = 3

        async def connect(self) -> JetStreamContext:
            self.refusals -= 1
            if self.refusals in {0, 1}:
                raise ControlError("no node takes a connection")
            return await super().connect()

    events, records = read(Refusing({"n1": BODIES, "n2": BODIES}), tmp_path)
    assert (events["n2"].read, records.size) == ("complete", 10)


@pytest.mark.parametrize(
    ("headers", "intact"),
    [
        (None, True),
        ({}, True),
        ({"Other": "1-7"}, True),
        ({MESSAGE_ID: message_id(1, 7)}, True),
        ({MESSAGE_ID: "1-8"}, False),
    ],
)
def test_a_message_whose_id_is_another_ones_is_not_the_one_that_was_sent(
    headers: dict[str, str] | None, intact: bool
) -> None:
    assert read_message(a_message(7, encode(1, 7, 64), 1, headers)) == (1, 7, intact)


def test_whoever_leads_now_the_stores_that_the_audit_did_not_read_are_read(tmp_path: Path) -> None:
    events, records = read(FakeCluster({"n1": BODIES, "n2": BODIES, "n3": BODIES}), tmp_path, audited="n2")
    assert {name: event.read for name, event in events.items()} == {"n1": "complete", "n3": "complete"}
    assert set(records["ref"].tolist()) == {0, 2}


def test_a_cluster_that_does_not_answer_leaves_every_store_unread_by_name(tmp_path: Path) -> None:
    class Silent(FakeCluster):
        async def connect(self) -> JetStreamContext:
            raise ControlError("no node takes a connection")

    events, _ = read(Silent({"n1": BODIES}), tmp_path, QUICK)
    assert {name: event.read for name, event in events.items()} == {"n2": "none", "n3": "none"}


@pytest.mark.parametrize(("silences", "read_"), [(5, "complete"), (10**6, "none")])
def test_a_consumer_that_is_placed_on_a_node_that_is_down_is_made_again(
    tmp_path: Path, silences: int, read_: str
) -> None:
    class Down(FakeCluster):
        left = silences

        async def add_consumer(self, _: str, config: Any, **__: Any) -> Any:
            if self.left:
                self.left -= 1
                raise TimeoutError
            return await super().add_consumer(_, config)

    events, _ = read(Down({"n1": BODIES, "n2": BODIES}), tmp_path, QUICK)
    assert events["n2"].read == read_

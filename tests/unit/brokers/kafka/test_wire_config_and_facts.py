"""The Kafka protocol's encoding, the nodes' configuration, the facts and their formulas, payloads in bulk."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.brokers.base import Addresses, Launch
from harness.brokers.kafka import leaders as kafka_leaders
from harness.brokers.kafka import queries as ask
from harness.brokers.kafka.admin import KafkaAdmin
from harness.brokers.kafka.config import server_properties
from harness.brokers.kafka.probe import KafkaProbe
from harness.brokers.kafka.queries import DescribedMember, GroupDescription, Metadata, PartitionMetadata
from harness.brokers.kafka.view import KafkaView
from harness.brokers.kafka.wire import ProtocolError, Wire, WireReader, Writer
from harness.clock import monotonic_ns
from harness.distributions.base import Installation
from harness.engine.topology import draw_links
from harness.errors import ScenarioError
from harness.history.events import LeaderEvent, PositionsEvent
from harness.runtime.kernel.ports import Ports
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.session.vocabulary import vocabulary

T = TypeVar("T")

SCENARIO = """
version: 1
title: A test
broker: kafka-4
cluster: {nodes: 3, replicas: 3, config: {log.segment.bytes: 1048576, auto.create.topics.enable: true}}
workload:
  producers: 1
  consumers: 2
  partitions: 4
  zones: {far: [c1]}
  consumer: {session_timeout: 4s, heartbeat_interval: 500ms, %s}
expect: {loss: {messages_max: 0}}
"""


def plan(options: str = "protocol: classic", **changes: str) -> Plan:
    text = SCENARIO % options
    for old, new in changes.items():
        text = text.replace(old, new)
    return make_plan(variants(load_text(text, "t.yaml", vocabulary()))[0], None)


@given(st.integers(0, 2**32 - 1), st.text(max_size=300))
def test_what_is_written_is_read(number: int, text: str) -> None:
    written = Writer().unsigned(number).text(text).compact(text).number("q", number)
    reader = WireReader(bytes(written.data))
    assert (reader.unsigned(), reader.text(), reader.compact(), reader.number("q")) == (number, text, text, number)
    with pytest.raises(ProtocolError):
        reader.raw(1)


class FakeNode:
    """Answers every request with the same body; a fake: it knows nothing of Kafka."""

    def __init__(self, body: bytes, *, flexible: bool = False) -> None:
        self._body, self._flexible = body, flexible

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                (length,) = struct.unpack(">i", await reader.readexactly(4))
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            request = await reader.readexactly(length)
            head = request[4:8] + (b"\0" if self._flexible else b"")
            writer.write(struct.pack(">i", len(head) + len(self._body)) + head + self._body)


def asked(node: FakeNode, question: Callable[[Wire], Awaitable[T]]) -> T:
    async def run() -> T:
        server = await asyncio.start_server(node.serve, "127.0.0.1", 0)
        wire = Wire(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        try:
            return await question(wire)
        finally:
            wire.close()
            server.close()
            await asyncio.sleep(0.01)  # for the fake to see the end of the connection

    return asyncio.run(run())


def test_a_consumer_protocol_group_is_read() -> None:
    body = Writer().number("i", 0).unsigned(2).number("h", 0).unsigned(0).compact("chaos").compact("Reconciling")
    body.number("i", 7).number("i", 7).compact("uniform").unsigned(2)
    body.compact("m-1").unsigned(0).unsigned(0).number("i", 7).compact("c0").compact("/127.0.0.1")
    body.unsigned(2).compact("chaos").unsigned(0)
    for partitions in ((0, 2), (0, 2, 3)):
        body.unsigned(2).raw(b"u" * 16).compact("chaos").unsigned(len(partitions) + 1)
        for index in partitions:
            body.number("i", index)
        body.unsigned(0).unsigned(0)
    body.unsigned(0).number("i", -1).unsigned(0).unsigned(0)
    group = asked(FakeNode(bytes(body.data), flexible=True), lambda wire: ask.consumer_group(wire, "chaos", "chaos"))
    assert group == ask.GroupDescription(
        state="reconciling", members=(ask.DescribedMember(worker="c0", member="m-1", partitions=(0, 2)),)
    )


def test_a_classic_group_is_read_while_it_has_no_assignment() -> None:
    body = Writer().number("i", 1).number("h", 0).text("chaos").text("PreparingRebalance").text("consumer").text("")
    body.number("i", 1).text("m-1").text("c0").text("/127.0.0.1").number("i", 0).number("i", 0)
    group = asked(FakeNode(bytes(body.data)), lambda wire: ask.classic_group(wire, "chaos", "chaos"))
    assert group.state == "preparing_rebalance"
    assert group.members == (ask.DescribedMember(worker="c0", member="m-1", partitions=()),)


def test_a_node_that_is_not_the_coordinator_is_an_error() -> None:
    body = Writer().number("i", 1).number("h", 16).text("chaos")
    with pytest.raises(ProtocolError, match=r"not .yet. the group's coordinator"):
        asked(FakeNode(bytes(body.data)), lambda wire: ask.classic_group(wire, "chaos", "chaos"))


def test_an_answer_cut_short_is_an_error_and_no_hang() -> None:
    with pytest.raises(ProtocolError, match="shorter"):
        asked(FakeNode(b"\0\0"), lambda wire: ask.metadata(wire, None))


def test_a_probe_that_gets_no_answer_times_out() -> None:
    async def run() -> None:
        held: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
        probe = KafkaProbe(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", keep=True, timeout_s=0.1)
        try:
            with pytest.raises(TimeoutError):
                await probe.round_trip()
        finally:
            for writer in held:
                writer.close()
            server.close()

    asyncio.run(run())


def launch(given: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launch:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    ports = Ports()
    try:
        drawn = {member.name: {role: ports.draw() for role in member.ports} for member in given.topology.members}
        links = draw_links(given.topology, drawn, ports, dict.fromkeys(drawn, "127.0.0.1"))
    finally:
        ports.release()
    checkpoint = tmp_path / "bootstrap.checkpoint"
    checkpoint.write_bytes(b"checkpoint")
    installation = Installation(
        command=("/java",), directory=tmp_path, versions={"kafka": "4.1.1"}, parts={"bootstrap": checkpoint}
    )
    return Launch(
        installation=installation, run_dir=tmp_path, plan=given, addresses=Addresses(ports=drawn, links=links)
    )


def test_clients_are_told_their_own_links_and_peers_their_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = launch(plan(), tmp_path, monkeypatch)
    links, ports = given.addresses.links, given.addresses.ports
    properties = server_properties("n2", given)
    advertised = dict(item.split("://") for item in properties["advertised.listeners"].split(","))
    zones = {advertised[name] for name in advertised if name.startswith("ZONE")}
    assert zones == {links["clients->n2"].address, links["far->n2"].address}
    assert advertised["PEER"] == f"n2:{ports['n2']['peer']}"
    assert advertised["CONTROLLER"] == f"n2:{ports['n2']['controller']}"
    # The proxy of each pair listens at the peer's own port on an address that no other pair has.
    assert {channel.name for channel in links["n1->n2"].channels} == {"n1->n2", "n1->n2.controller"}
    for link in links.values():
        if link.role == "peer":
            assert {channel.host for channel in link.channels} == {
                f"127.{100 + int(link.source[1:])}.{link.node[1:]}.1"
            }
            assert {channel.port for channel in link.channels} == {
                ports[link.node]["peer"],
                ports[link.node]["controller"],
            }


def test_what_the_scenario_configures_replaces_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    properties = server_properties("n1", launch(plan(), tmp_path, monkeypatch))
    assert properties["auto.create.topics.enable"] == "true"
    assert properties["log.segment.bytes"] == "1048576"


@pytest.mark.parametrize(
    ("consumers", "faults", "delay"),
    [
        (2, "[]", "1000"),
        (2, "[{client_join: {}, on: {worker: c1}, at: 1s}]", "0"),
        (3, "[{client_join: {}, on: {worker: c1}, at: 1s}]", "1000"),
    ],
)
def test_members_that_start_together_share_the_partitions_at_once(
    consumers: int, faults: str, delay: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One by one, a sticky assignor leaves most partitions to the first; a single member waits for none."""
    changes = {"consumers: 2": f"consumers: {consumers}", "\nexpect:": f"\nfaults: {faults}\nexpect:"}
    properties = server_properties("n1", launch(plan(**changes), tmp_path, monkeypatch))
    assert properties["group.initial.rebalance.delay.ms"] == delay


def test_the_broker_sets_the_time_outs_of_the_consumer_protocol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    properties = server_properties("n1", launch(plan("protocol: consumer"), tmp_path, monkeypatch))
    assert properties["group.consumer.session.timeout.ms"] == "4000"
    assert properties["group.consumer.min.session.timeout.ms"] == "4000"
    assert properties["group.consumer.heartbeat.interval.ms"] == "500"


@pytest.mark.parametrize(
    ("options", "changes", "said"),
    [
        ("assignor: uniform", {}, "assignor uniform does not exist in the classic protocol"),
        ("protocol: consumer", {"kafka-4\n": "kafka-3.9\n"}, "protocol: consumer needs Kafka 4.0 or newer"),
        ("max_poll_interval: 1s", {}, "session_timeout must not exceed max_poll_interval"),
        ("client: kafka-python-2.0.0", {}, "is not like confluent-kafka-2.8.0"),
        ("protocol: classic}\n  producer: {acks: leader", {}, "idempotent: true needs acks: all"),
        (
            "protocol: classic}\n  producer: {transaction: 10, idempotent: false",
            {},
            "transaction needs idempotent: true",
        ),
        ("transactional: true, commit: async", {}, "commits positions with the transaction, so commit: async is none"),
        ("transactional: true, handler_in: worker", {}, "transactional: true needs handler_in: loop"),
        ("abort_every: 3", {}, "abort_every needs transactional: true"),
        ("transactional: true, abort_every: 1", {}, "aborts every transaction"),
    ],
)
def test_what_does_not_fit_is_refused(options: str, changes: dict[str, str], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        plan(options, **changes)


def test_the_facts_follow_from_options_and_faults() -> None:
    from harness.brokers.base import BROKERS

    faults = "faults:\n  - client_kill: {}\n    on: {worker: c0}\n    at: 1s\n    for: 6s\nexpect"
    quiet, killed = (BROKERS.get("kafka").bind(plan(**changes)).facts for changes in ({}, {"expect": faults}))
    assert quiet.settling.positions
    assert quiet.settling.acknowledged is None
    assert quiet.group is not None
    assert (quiet.group.eager, quiet.group.rounds_per_change) == (False, 2)
    assert [state for state, meaning in quiet.group.states.items() if meaning == "rebalancing"] == [
        "preparing_rebalance",
        "completing_rebalance",
    ]
    assert quiet.membership_changes == 0
    assert killed.membership_changes == 2
    # session 4 s + 2 rounds x (heartbeat 0.5 s + poll_wait 0.1 s)
    assert killed.pause_ns_derived - quiet.pause_ns_derived == 5_200_000_000
    assert "session_timeout 4s" in killed.pause_formula


def test_what_transactions_make_true_follows_from_the_options() -> None:
    from harness.brokers.base import BROKERS

    broker = BROKERS.get("kafka")
    plain, dirty, writing = (
        broker.bind(plan(options))
        for options in (
            "protocol: classic",
            "isolation: read_uncommitted}\n  producer: {transaction: 5",
            "transactional: true, transaction_timeout: 4s",
        )
    )
    assert [bound.facts.isolation for bound in (plain, dirty, writing)] == ["committed", "uncommitted", "committed"]
    assert [bound.facts.outputs for bound in (plain, dirty, writing)] == [False, False, True]
    assert any("messages of open and aborted transactions are delivered" in said for said in dirty.facts.allowed)
    assert any("processed again by its worker" in said for said in writing.facts.allowed)
    # A member that waits for the end of its transaction keeps a rebalance of two rounds waiting.
    longer = writing.facts.causes_ns_derived["collateral"] - plain.facts.causes_ns_derived["collateral"]
    assert longer == 2 * 4_000_000_000
    assert "transaction_timeout 4s" in writing.facts.causes_formulas["collateral"]
    assert writing.leave_ns - plain.leave_ns == 10 * 4_000_000_000
    assert [bound.admin_options["outputs"] for bound in (plain, writing)] == [False, True]


def test_a_range_assignor_is_eager_and_says_so() -> None:
    from harness.brokers.base import BROKERS

    facts = BROKERS.get("kafka").bind(plan("assignor: range")).facts
    assert facts.group is not None
    assert (facts.group.eager, facts.group.rounds_per_change) == (True, 1)
    assert any("every rebalance takes every partition" in sentence for sentence in facts.allowed)


def test_orders_about_leaders_are_taken_or_refused() -> None:
    refused = Writer().number("i", 0).number("h", 41).compact("not the controller").unsigned(1).unsigned(0)
    taken = Writer().number("i", 0).number("h", 0).unsigned(0).unsigned(2).compact("chaos").unsigned(2)
    taken.number("i", 0).number("h", 0).unsigned(0).unsigned(0).unsigned(0).unsigned(0)
    of_partition = Writer().number("i", 0).number("h", 0).unsigned(0).unsigned(2).compact("chaos").unsigned(2)
    of_partition.number("i", 0).number("h", 39).compact("no such replica").unsigned(0).unsigned(0).unsigned(0)

    def prefer(body: Writer) -> None:
        asked(FakeNode(bytes(body.data), flexible=True), lambda wire: kafka_leaders.prefer(wire, "chaos", 0, [2, 1]))

    prefer(taken)
    with pytest.raises(ProtocolError, match="error 41: not the controller"):
        prefer(refused)
    with pytest.raises(ProtocolError, match="error 39: no such replica"):
        prefer(of_partition)


@pytest.mark.parametrize(("error", "taken"), [(0, True), (84, True), (80, False)])
def test_an_election_that_was_not_needed_is_as_good(error: int, taken: bool) -> None:
    body = Writer().number("i", 0).number("h", 0).number("i", 1).text("chaos").number("i", 1)
    node = FakeNode(bytes(body.number("i", 0).number("h", error).text("why").data))
    if taken:
        asked(node, lambda wire: kafka_leaders.elect(wire, "chaos", 0))
        return
    with pytest.raises(ProtocolError, match=f"error {error}: why"):
        asked(node, lambda wire: kafka_leaders.elect(wire, "chaos", 0))


def _metadata(leader: int) -> bytes:
    body = Writer().number("i", 0).number("i", 1).number("i", 1).number("h", 0).text("chaos").number("b", 0)
    body.number("i", 1).number("h", 0).number("i", 0).number("i", leader)
    return bytes(body.number("i", 0).number("i", 0).data)


def test_a_frozen_node_does_not_hold_up_what_the_others_know() -> None:
    """A node that takes connections and never answers; waited for only where every node's word is wanted."""

    async def run() -> tuple[str, float]:
        held: list[asyncio.StreamWriter] = []
        frozen = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
        told = [await asyncio.start_server(FakeNode(_metadata(2)).serve, "127.0.0.1", 0) for _ in range(2)]
        ports = {
            f"n{index + 1}": {"admin": server.sockets[0].getsockname()[1]}
            for index, server in enumerate((frozen, *told))
        }
        admin = KafkaAdmin(
            ports, partitions=1, consumers=(), protocol="classic", committed_only=False, transactional=False
        )
        loop = asyncio.get_running_loop()
        began = loop.time()
        leader = await admin.leader(0)
        length = loop.time() - began
        await admin.close()
        for writer in held:
            writer.close()
        for server in (frozen, *told):
            server.close()
        await asyncio.sleep(0.01)
        return leader, length

    leader, length = asyncio.run(run())
    assert leader == "n2"
    assert length < 0.6  # a request may take 1 s


@pytest.mark.parametrize("silent", [(), ("n2",)])
def test_which_replicas_are_in_sync_is_their_leaders_word(
    silent: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that is cut off from the others, and is asked first, still counts itself."""
    view = KafkaView(dict.fromkeys(("n1", "n2", "n3"), "127.0.0.1:1"), "classic")
    names = {id(wire): name for name, wire in view.wires.items()}

    async def metadata(wire: Wire, _: object) -> Metadata:
        name = names[id(wire)]
        if name in silent:
            raise TimeoutError
        in_sync = (1, 2, 3) if name == "n1" else (2, 3)
        told = PartitionMetadata(index=0, leader=2, replicas=(1, 2, 3), in_sync=in_sync)
        return Metadata(nodes=(1, 2, 3), partitions={"chaos": (told,)})

    async def offsets(wire: Wire, *_: object) -> dict[int, int]:
        return {} if names[id(wire)] in silent else {0: 5}

    monkeypatch.setattr(ask, "metadata", metadata)
    monkeypatch.setattr(ask, "offsets", offsets)
    found = asyncio.run(view.leadership(0))
    assert (found.leader, found.obeyed) == ("n2", not silent)
    if not silent:
        assert found.in_sync == ("n2", "n3")


async def _silent() -> tuple[asyncio.Server, list[asyncio.StreamWriter], int]:
    """Start a node that takes connections and never answers."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    return server, held, server.sockets[0].getsockname()[1]


def test_no_answer_is_not_the_same_as_no_leader() -> None:
    async def run() -> tuple[list[str], list[str]]:
        frozen, held, port = await _silent()
        node = await asyncio.start_server(FakeNode(_metadata(-1)).serve, "127.0.0.1", 0)
        kinds = []
        for at in (port, node.sockets[0].getsockname()[1]):
            admin = KafkaAdmin(
                {"n1": {"admin": at}},
                partitions=1,
                consumers=(),
                protocol="classic",
                committed_only=False,
                transactional=False,
                timeout_s=0.1,
            )
            kinds.append([event.leader for event in await admin.observe() if isinstance(event, LeaderEvent)])
            await admin.close()
        for writer in held:
            writer.close()
        frozen.close()
        node.close()
        await asyncio.sleep(0.01)
        return kinds[0], kinds[1]

    unanswered, leaderless = asyncio.run(run())
    assert unanswered == []
    assert leaderless == [""]


def test_an_order_is_given_its_own_time() -> None:
    async def run() -> None:
        server, held, port = await _silent()
        patient, hasty = (
            asyncio.create_task(ask.metadata(Wire(f"127.0.0.1:{port}", timeout_s=limit_s), None))
            for limit_s in (60, 0.1)
        )
        try:
            with pytest.raises(TimeoutError):
                await hasty
            assert not patient.done()
        finally:
            patient.cancel()
            await asyncio.gather(patient, return_exceptions=True)
            for writer in held:
                writer.close()
            server.close()
            await asyncio.sleep(0.01)

    asyncio.run(run())


def test_a_producer_may_end_its_transaction_before_it_is_killed() -> None:
    from harness.brokers.base import BROKERS

    broker = BROKERS.get("kafka")
    plain, transactional = (
        broker.bind(plan("protocol: classic}\n  producer: {timeout: 7s" + options)).settle_ns
        for options in ("", ", transaction: 10, transaction_timeout: 3s")
    )
    assert transactional - plain == 5 * 3_000_000_000


OWNED: dict[str, tuple[int, ...]] = {"c0": (0,), "c1": (1,)}


class FakeView:
    """What the nodes of a cluster say, as a test has it: of the group, and of positions, answer by answer."""

    known_coordinator = "n1"

    def __init__(self, members: dict[str, tuple[int, ...]], told: list[dict[int, int]]) -> None:
        self._members, self._told = members, told

    async def group(self) -> GroupDescription:
        listed = [
            DescribedMember(worker=name.partition("#")[0], member=f"{name}-id", partitions=owned)
            for name, owned in self._members.items()
        ]
        return GroupDescription(state="stable", members=tuple(listed))

    async def positions(self, _: int) -> dict[int, int]:
        return self._told.pop(0)

    async def leaders(self) -> dict[int, str]:
        return {}

    async def ends(self, *_: object) -> dict[int, int]:
        return {}


def admin_of(members: dict[str, tuple[int, ...]], told: list[dict[int, int]], *, by_positions: bool) -> KafkaAdmin:
    """Return the administration of a group with these members: client id (up to a ``#``) → partitions."""
    admin = KafkaAdmin(
        {"n1": {"admin": 1}},
        partitions=2,
        consumers=("c0", "c1"),
        protocol="classic",
        committed_only=False,
        transactional=False,
        by_positions=by_positions,
    )
    admin._view = FakeView(members, told)  # type: ignore[assignment]
    return admin


@pytest.mark.parametrize(
    ("members", "by_positions", "lacks"),
    [
        (OWNED, False, ""),
        (OWNED, True, ""),
        ({"rdkafka#1": (0,), "rdkafka#2": (1,)}, False, "members are rdkafka, not c0, c1"),
        ({"rdkafka#1": (0,), "rdkafka#2": (1,)}, True, ""),
        ({"rdkafka#1": (0,), "rdkafka#2": ()}, True, "partition 1 is assigned 0 times"),
        ({"rdkafka#1": (0, 1)}, True, "1 members are there, not 2"),
        ({}, True, "0 members are there, not 2"),
        ({"c0": (0,), "rdkafka#2": (1,)}, True, "members are c0, rdkafka, not c0, c1"),
    ],
)
def test_members_without_names_are_taken_where_positions_alone_are_known(
    members: dict[str, tuple[int, ...]], by_positions: bool, lacks: str
) -> None:
    assert asyncio.run(admin_of(members, [], by_positions=by_positions).settled()) == lacks


@pytest.mark.parametrize("by_positions", [False, True])
def test_every_answer_about_positions_is_reported_where_they_are_all_that_is_known(by_positions: bool) -> None:
    admin = admin_of(OWNED, [{0: 5, 1: -1}, {}, {0: 5, 1: -1}], by_positions=by_positions)
    admin._offsets_asked_ns = monotonic_ns()

    async def run() -> list[PositionsEvent]:
        return [event for _ in range(3) for event in await admin.observe() if isinstance(event, PositionsEvent)]

    found = asyncio.run(run())
    assert [event.committed for event in found] == ([{0: 5, 1: -1}] * 2 if by_positions else [])
    assert all(event.asked_ns <= event.t for event in found)
    assert len({event.asked_ns for event in found}) == len(found), "no two answers are the same to the observer"

"""Addresses of a topology: where links listen, what workers are given, and what the monitor looks at."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.topologies import NODES, SERVICE, with_service

from harness.brokers.base import Addresses
from harness.engine.target_lookup import resolve_targets
from harness.engine.topology import (
    PATIENCE_S,
    draw_controls,
    draw_links,
    draw_ports,
    gateway_specs,
    monitor_targets,
    worker_specs,
)
from harness.faults.base import FAULTS
from harness.runtime.base import Link
from harness.runtime.kernel.ports import Ports
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import Plan, PlannedFault, Target
from harness.scenario.plan import make_plan
from harness.scenario.topology import ChannelSpec, LinkSpec, Member, Topology

TEXT = """\
version: 1
title: A broker with a directory
broker: depot-1
cluster: {nodes: 2}
workload: {consumers: 2, duration: 60s, zones: {far: [c1]}}
FAULTS
expect:
  loss: {}
"""
OWN = {
    "left": {"admin": 1001, "data": 1002, "copy": 1003, "vote": 1004},
    "right": {"admin": 2001, "data": 2002, "copy": 2003, "vote": 2004},
    SERVICE: {"ask": 3001},
}
HOSTS = {name: f"host-{name}" for name in OWN}
FAULT = "faults:\n  - latency: {delay: 5ms}\n    on: {link: %s}\n    at: 10s\n    for: 5s"


def plan(link: str = "") -> Plan:
    text = TEXT.replace("FAULTS", FAULT % link if link else "faults: []")
    return make_plan(variants(load_text(text, "depot.yaml", with_service()))[0])


def drawn(given: Plan) -> dict[str, Link]:
    ports = Ports()
    try:
        return draw_links(given.topology, OWN, ports, HOSTS)
    finally:
        ports.release()


def test_a_port_that_a_member_fixes_lies_as_far_from_its_first_as_it_says() -> None:
    ports, member = Ports(), Member(name="n1", ports=("data", "fast", "copy"), asked=("data",), apart={"fast": -2})
    try:
        found = draw_ports(member, ports)
        assert list(found) == ["data", "fast", "copy"]
        assert found["fast"] == found["data"] - 2
        assert set(found.values()) == set(ports._held)
    finally:
        ports.release()


def test_what_lies_apart_is_a_port_besides_the_first() -> None:
    for apart in ({"data": 1}, {"none": 1}):
        with pytest.raises(ValueError, match="n1 lacks a port that lies apart"):
            Topology(nodes=(Member(name="n1", ports=("data",), asked=("data",), apart=apart),))


def test_a_channel_listens_on_a_port_drawn_free_or_on_the_members_own_at_the_pairs_address() -> None:
    links = drawn(plan())
    (asked,), (data,), (copy, vote) = (links[name].channels for name in ("far->directory", "far->right", "left->right"))
    assert (asked.host, asked.upstream) == ("127.0.0.1", "127.0.0.1:3001")
    assert (data.host, data.port, data.upstream) == ("127.200.2.2", 2002, "host-right:2002")
    assert (copy.name, copy.host, copy.upstream) == ("left->right", "127.0.0.1", "host-right:2003")
    assert (vote.name, vote.host, vote.upstream) == ("left->right.vote", "127.0.0.1", "host-right:2004")
    registers = links["left->directory"].channels[0]
    assert (registers.host, registers.upstream) == ("127.0.0.1", "host-directory:3001")
    free = [asked.port, copy.port, vote.port, registers.port]
    assert len(set(free)) == len(free)
    assert set(free).isdisjoint(port for of_member in OWN.values() for port in of_member.values())


def test_all_channels_of_a_client_link_reach_its_target_from_where_the_link_is_carried() -> None:
    channels = (ChannelSpec(role="data", listens="own port"), ChannelSpec(role="ask"))
    topology = Topology(
        nodes=(Member(name="n1", ports=("data", "ask"), asked=("ask",)),),
        links=(LinkSpec(source="far", target="n1", role="client", channels=channels),),
    )
    ports = Ports()
    try:
        links = draw_links(topology, {"n1": {"data": 1001, "ask": 1002}}, ports, {"n1": "host-n1"})
    finally:
        ports.release()
    assert [channel.upstream for channel in links["far->n1"].channels] == ["host-n1:1001", "host-n1:1002"]


def test_links_say_what_they_connect_and_what_a_stranger_may_keep() -> None:
    links = drawn(plan())
    told = {name: (link.role, link.keeps) for name, link in links.items()}
    assert told["clients->left"] == told["clients->directory"] == ("client", True)
    assert told["left->right"] == ("peer", False)
    assert told["left->directory"] == ("service", True)


def test_workers_are_given_the_links_of_their_zone_at_which_clients_begin() -> None:
    given = plan()
    links = drawn(given)
    specs = {spec.worker: spec for spec in worker_specs(given, links, Path("history"))}
    assert specs["c1"].addresses == (links["far->directory"].address,)
    assert specs["c0"].addresses == specs["p0"].addresses == (links["clients->directory"].address,)
    assert {spec.broker for spec in specs.values()} == {"depot"}


def with_gateways() -> Plan:
    """Return the plan with a gateway of each zone in front of the directory."""
    given = plan()
    links = tuple(
        replace(link, gateway=link.role == "client" and link.target == SERVICE) for link in given.topology.links
    )
    return replace(given, topology=replace(given.topology, links=links))


def test_workers_begin_at_the_gateway_of_their_zone_and_the_monitor_looks_at_the_link_behind_it() -> None:
    given = with_gateways()
    links = drawn(given)
    specs = {spec.worker: spec for spec in worker_specs(given, links, Path("history"))}
    assert specs["c1"].addresses == (links["far->directory"].gateway,)
    assert specs["c0"].addresses == (links["clients->directory"].gateway,)
    assert len({link.gateway for link in links.values()}) == 3  # two, and none
    targets = monitor_targets(given, Addresses(ports=OWN, links=links), {})
    found = {str(target["name"]): target["address"] for target in targets}
    assert found["far->directory"] == links["far->directory"].channels[0].address != links["far->directory"].gateway


def test_a_gateway_knows_where_its_zone_reaches_each_port_that_the_broker_may_tell() -> None:
    given = with_gateways()
    links = drawn(given)
    specs = {spec.zone: spec for spec in gateway_specs(given, Addresses(ports=OWN, links=links))}
    assert set(specs) == {"clients", "far"}
    far = specs["far"]
    assert far.broker == "depot"
    assert far.paths == ((links["far->directory"].gateway, links["far->directory"].address),)
    assert far.addresses == {
        1002: links["far->left"].address,
        2002: links["far->right"].address,
        3001: links["far->directory"].gateway,
    }
    assert gateway_specs(plan(), Addresses(ports=OWN, links=links)) == []


def test_the_monitor_looks_at_client_links_nodes_and_services_past_every_link() -> None:
    given = plan()
    found = {
        str(target["name"]): target for target in monitor_targets(given, Addresses(ports=OWN, links=drawn(given)), {})
    }
    clients = {f"{zone}->{name}" for zone in ("clients", "far") for name in (*NODES, SERVICE)}
    assert set(found) == clients | {*NODES, SERVICE}
    assert found["right"]["address"] == "127.0.0.1:2001"
    assert found[SERVICE]["address"] == "127.0.0.1:3001"


@pytest.mark.parametrize("link", ["left->right", "left->directory"])
def test_the_monitor_looks_at_what_starts_from_nodes_where_a_fault_acts_on_it(link: str) -> None:
    given = plan(link)
    found = {
        str(target["name"]): target for target in monitor_targets(given, Addresses(ports=OWN, links=drawn(given)), {})
    }
    assert {"left->right", "left->right.vote", "right->left", "left->directory", "right->directory"} <= set(found)
    assert not found["left->right.vote"]["keep"]
    assert found["left->directory"]["keep"]


def looked_at(kind: str, on: Target, targets: tuple[str, ...], **options: Any) -> dict[str, dict[str, object]]:
    """Return what the monitor looks at for one fault, or for any, by name."""
    given = plan()
    fault = PlannedFault(
        id="f-1",
        kind=kind,
        options=FAULTS.get(kind).spec.options(**options),
        on=on,
        targets=targets,
        at_ns=0,
        until_ns=1,
        seed=1,
    )
    given = replace(given, timeline=(fault,))
    return {
        str(target["name"]): target for target in monitor_targets(given, Addresses(ports=OWN, links=drawn(given)), {})
    }


def test_a_fault_has_looks_of_its_own_at_every_channel_of_its_links() -> None:
    names = ("left->right", "clients->left")
    found = looked_at("bandwidth", Target(link="left->right"), names, rate_bytes_per_s=10_000, direction="up")
    own = {name: found[name] for name in found if name.endswith(" for f-1")}
    assert {name: (look["mode"], look["keep"]) for name, look in own.items()} == {
        "left->right for f-1": ("bulk", False),
        "left->right.vote for f-1": ("bulk", False),
        "clients->left for f-1": ("bulk", True),
    }
    assert all(look["timeout_s"] == PATIENCE_S and look["up_bytes"] and not look["down_bytes"] for look in own.values())
    assert own["left->right for f-1"]["address"] == found["left->right"]["address"]


def test_a_look_that_waits_needs_a_connection_that_is_kept() -> None:
    found = looked_at("stall", Target(link="left->right"), ("left->right", "clients->left"))
    assert [name for name in found if name.endswith(" for f-1")] == ["clients->left for f-1"]


def test_where_targets_are_looked_up_every_link_of_the_group_is_looked_at() -> None:
    clients = looked_at("stall", Target(link="client-broker", mode="leader"), ())
    assert {name for name in clients if name.endswith(" for f-1")} == {
        f"{zone}->{node} for f-1" for zone in ("clients", "far") for node in NODES
    }
    assert "left->right" not in clients
    between = looked_at("slow_close", Target(link="broker-broker", mode="leader"), (), delay_ns=50_000_000)
    assert {name for name in between if name.endswith(" for f-1")} == {
        f"{link}{port} for f-1" for link in ("left->right", "right->left") for port in ("", ".vote")
    }
    assert "left->right" in between


def test_links_between_nodes_are_looked_at_where_a_fault_on_nodes_acts_on_them() -> None:
    assert "left->right" in looked_at("partition", Target(node="left"), ("left",))
    assert "left->right" not in looked_at("kill", Target(node="left"), ("left",))


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (Target(link="client-broker", mode="leader"), ("clients->left", "far->left")),
        (Target(link="client-broker", mode="leader", zone="far"), ("far->left",)),
        (Target(link="broker-broker", mode="coordinator"), ("left->right", "right->left")),
        (Target(node="broker", mode="leader"), ("left",)),
    ],
)
def test_a_role_is_resolved_to_its_node_or_to_the_links_that_end_there(on: Target, expected: tuple[str, ...]) -> None:
    async def role(*_: int) -> str:
        return "left"

    cluster = SimpleNamespace(admin=SimpleNamespace(leader=role, coordinator=role), topology=plan().topology)
    found = asyncio.run(resolve_targets(cast("Any", SimpleNamespace(on=on)), cast("Any", cluster)))
    assert found == expected


def test_where_evidence_is_compared_each_node_has_a_path_that_no_fault_touches() -> None:
    given = plan("left->right")
    links, ports = drawn(given), Ports()
    try:
        controls = draw_controls(given, links, ports)
        assert draw_controls(plan(), links, ports) == {}
    finally:
        ports.release()
    assert set(controls) == {*NODES, SERVICE}
    assert {path.role for path in controls.values()} == {"control"}
    assert controls["left"].upstream == links["clients->left"].upstream
    free = {path.address for path in controls.values()}
    assert len(free) == len(controls)
    assert free.isdisjoint(channel.address for link in links.values() for channel in link.channels)
    found = {
        str(target["name"]): target
        for target in monitor_targets(given, Addresses(ports=OWN, links=links), controls)
        if str(target["name"]).startswith("control->")
    }
    assert set(found) == {f"control->{name}" for name in (*NODES, SERVICE)}
    assert all(target["mode"] == "control" for target in found.values())


def test_a_fault_that_is_compared_looks_at_the_control_paths_to_its_nodes_as_well() -> None:
    given = plan("left->right")
    fault = replace(
        given.timeline[0],
        id="f-1",
        kind="bandwidth",
        options=FAULTS.get("bandwidth").spec.options(rate_bytes_per_s=10_000),
        targets=("left->right", "clients->right"),
    )
    given = replace(given, timeline=(fault,))
    links, ports = drawn(given), Ports()
    try:
        controls = draw_controls(given, links, ports)
    finally:
        ports.release()
    found = monitor_targets(given, Addresses(ports=OWN, links=links), controls)
    own = [target for target in found if target["name"] == "control->right for f-1"]
    assert [(look["mode"], look["address"]) for look in own] == [("bulk", controls["right"].address)]
    # As they are looked at, so are the paths: one of the links keeps no connection.
    assert [look["keep"] for look in own] == [False]
    alone = replace(given, timeline=(replace(fault, targets=("clients->right",)),))
    found_alone = monitor_targets(alone, Addresses(ports=OWN, links=links), controls)
    assert [look["keep"] for look in found_alone if look["name"] == "control->right for f-1"] == [True]
    assert not any(target["name"] == "control->left for f-1" for target in found)

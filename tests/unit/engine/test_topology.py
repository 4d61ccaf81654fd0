"""Addresses of a topology: where links listen, what workers are given, and what the monitor looks at."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.topologies import NODES, SERVICE, with_service

from harness.brokers.base import Addresses
from harness.engine.topology import draw_links, monitor_targets, worker_specs
from harness.runtime.base import Link
from harness.runtime.kernel.ports import Ports
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import Plan
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


def test_the_monitor_looks_at_client_links_nodes_and_services_past_every_link() -> None:
    given = plan()
    found = {str(target["name"]): target for target in monitor_targets(given, Addresses(ports=OWN, links=drawn(given)))}
    clients = {f"{zone}->{name}" for zone in ("clients", "far") for name in (*NODES, SERVICE)}
    assert set(found) == clients | {*NODES, SERVICE}
    assert found["right"]["address"] == "127.0.0.1:2001"
    assert found[SERVICE]["address"] == "127.0.0.1:3001"


@pytest.mark.parametrize("link", ["left->right", "left->directory"])
def test_the_monitor_looks_at_what_starts_from_nodes_where_a_fault_acts_on_it(link: str) -> None:
    given = plan(link)
    found = {str(target["name"]): target for target in monitor_targets(given, Addresses(ports=OWN, links=drawn(given)))}
    assert {"left->right", "left->right.vote", "right->left", "left->directory", "right->directory"} <= set(found)
    assert not found["left->right.vote"]["keep"]
    assert found["left->directory"]["keep"]

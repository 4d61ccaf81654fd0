"""Topologies: what fits together, in which order members start, and what of them a fault may name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.topologies import NODES, SERVICE, topology, with_service

from harness.errors import ScenarioError
from harness.scenario.expand import variants
from harness.scenario.explain import explain
from harness.scenario.load import load_text
from harness.scenario.mesh import mesh
from harness.scenario.model import Cluster, Plan, Workload
from harness.scenario.plan import make_plan
from harness.scenario.topology import ChannelSpec, LinkSpec, Member, Topology, pair_address

TEXT = """\
version: 1
title: A broker with a directory
broker: depot-1
cluster: {nodes: 2}
workload: {consumers: 2, duration: 60s, zones: {far: [c1]}}
faults:
  - FAULT
    at: 10s
    for: 5s
expect:
  loss: {}
"""
KILL, LATENCY = "kill: {}\n    on: {node: %s}", "latency: {delay: 5ms}\n    on: {link: %s}"


def plan(fault: str) -> Plan:
    (variant,) = variants(load_text(TEXT.replace("FAULT", fault), "depot.yaml", with_service()))
    return make_plan(variant)


def targets(fault: str) -> tuple[str, ...]:
    return plan(fault).timeline[0].targets


def test_groups_stand_for_nodes_and_the_links_to_them_alone() -> None:
    assert targets(KILL % "broker") == NODES
    assert targets(LATENCY % "client-broker") == ("clients->left", "clients->right", "far->left", "far->right")
    assert targets(LATENCY % "client-broker, zone: far") == ("far->left", "far->right")
    assert targets(LATENCY % "broker-broker") == ("left->right", "right->left")


@pytest.mark.parametrize(
    "fault",
    [
        KILL % "left",
        KILL % SERVICE,
        LATENCY % "clients->right",
        LATENCY % "far->directory",
        LATENCY % "right->directory",
    ],
)
def test_nodes_services_and_their_links_are_targets_by_name(fault: str) -> None:
    assert targets(fault) == (fault.rpartition(": ")[2].rstrip("}"),)


@pytest.mark.parametrize(
    ("fault", "at", "message", "hint"),
    [
        (KILL % "n1", (8, 16), "unknown node 'n1'", ""),
        (KILL % "direktory", (8, 16), "unknown node 'direktory'", "'directory'"),
        (LATENCY % "directory->left", (8, 16), "unknown link 'directory->left'", ""),
        (LATENCY % "left->directori", (8, 16), "unknown link 'left->directori'", "'left->directory'"),
        (
            KILL % "directory, mode: one",
            (8, 33),
            "'mode' narrows a group, but directory is one node",
            "leave 'mode' out",
        ),
        (
            "kill: {}\n    when: {leader_of: 0, is: n1, within: 5s}\n    on: {node: left}",
            (8, 30),
            "unknown node 'n1'",
            "",
        ),
        (
            "kill: {}\n    when: {leader_of: 0, is: directory, within: 5s}\n    on: {node: left}",
            (8, 30),
            "unknown node 'directory'",
            "",
        ),
    ],
)
def test_wrong_targets_are_told_at_their_place(fault: str, at: tuple[int, int], message: str, hint: str) -> None:
    text = TEXT.replace("FAULT", fault)
    if "when" in fault:
        text = text.replace("    at: 10s\n", "").replace("cluster: {nodes: 2}", "cluster: {nodes: 2, replicas: 2}")
    with pytest.raises(ScenarioError) as caught:
        variants(load_text(text, "depot.yaml", with_service()))
    (problem,) = caught.value.problems
    assert (problem.location.line, problem.location.column) == at
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("broker: depot-1", "broker: depott-1"), "unknown broker 'depott-1'"),
        (("{nodes: 2}", "{nodes: 2, replicas: 4}"), "4 replicas do not fit on 2 nodes"),
    ],
)
@pytest.mark.parametrize(
    "fault",
    [
        KILL % SERVICE,
        LATENCY % "left->right",
        "kill: {}\n    when: {leader_of: 0, is: left, within: 5s}\n    on: {node: broker}",
    ],
)
def test_names_that_the_broker_may_lay_out_are_not_called_unknown(
    fault: str, change: tuple[str, str], message: str
) -> None:
    text = TEXT.replace("FAULT", fault).replace(*change)
    if "when" in fault:
        text = text.replace("    at: 10s\n", "")
    with pytest.raises(ScenarioError) as caught:
        variants(load_text(text, "depot.yaml", with_service()))
    assert [problem.message for problem in caught.value.problems] == [message]


@pytest.mark.parametrize(("zone", "like"), [("directory", "service"), ("right", "node")])
def test_a_zone_is_not_named_like_a_service_or_a_node(zone: str, like: str) -> None:
    text = TEXT.replace("FAULT", KILL % "left").replace("{far:", f"{{{zone}:")
    with pytest.raises(ScenarioError, match=rf"^depot\.yaml:5:49: zone '{zone}' is named like a {like}"):
        variants(load_text(text, "depot.yaml", with_service()))


def test_the_plan_carries_the_topology_and_its_text_names_the_nodes() -> None:
    made = plan(KILL % "left")
    assert made.topology == topology(made.cluster, made.workload)
    assert "2 nodes (left, right)" in explain(made)


def test_the_digest_covers_what_is_written_and_not_what_the_broker_lays_out() -> None:
    known = with_service()
    text = TEXT.replace("FAULT", KILL % "broker, mode: leader")
    depot = replace(known.brokers["depot"], topology=mesh)
    other = replace(known, brokers={**known.brokers, "depot": depot})
    (first,), (second,) = (variants(load_text(text, "depot.yaml", words)) for words in (known, other))
    assert first.topology != second.topology
    assert make_plan(first).digest == make_plan(second).digest


def test_members_start_after_those_that_they_need() -> None:
    assert topology(Cluster(nodes=2), Workload()).waves() == ((SERVICE,), NODES)
    assert mesh(Cluster(nodes=3), Workload()).waves() == (("n1", "n2", "n3"),)
    chain = (member("a", "b"), member("b", "c"), member("c"))
    assert Topology(nodes=chain).waves() == (("c",), ("b",), ("a",))


def member(name: str, *needs: str) -> Member:
    return Member(name=name, ports=("x",), asked=("x",), needs=needs)


def link(role: str, target: str = "b") -> LinkSpec:
    return LinkSpec(source="a", target=target, role="peer", channels=(ChannelSpec(role=role),))


@pytest.mark.parametrize(
    ("nodes", "links", "message"),
    [
        ((member("a"), member("a")), (), "two members are named a"),
        ((member("a", "b"), member("b", "a")), (), "a, b wait for each other"),
        ((member("a", "nowhere"),), (), "a wait for each other or for no member"),
        ((member("a"),), (link("x"),), "a->b leads to no member"),
        ((member("a"), member("b")), (link("y"),), "a->b needs a port y of b"),
        ((Member(name="a", ports=("x",), asked=("y",)),), (), "a needs a port for administration"),
        ((member("a"), member("b")), (replace(link("x"), gateway=True),), "a->b cannot have a gateway"),
        (
            (member("b"),),
            (replace(link("x"), role="client", gateway=True, channels=(ChannelSpec(role="x"),) * 2),),
            "a->b cannot have a gateway",
        ),
    ],
)
def test_what_does_not_fit_together_is_no_topology(
    nodes: tuple[Member, ...], links: tuple[LinkSpec, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Topology(nodes=nodes, links=links)


def test_a_mesh_links_every_zone_and_every_other_node_to_each_node() -> None:
    made = mesh(Cluster(nodes=2), Workload(consumers=2, zones={"far": ("c1",)}))
    assert [found.name for found in made.client_links()] == ["clients->n1", "clients->n2", "far->n1", "far->n2"]
    assert [found.name for found in made.peer_links()] == ["n1->n2", "n2->n1"]
    assert made.service_links() == ()
    assert [found.keeps for found in made.links] == [True] * 4 + [False] * 2


def test_zones_have_a_gateway_where_one_of_their_links_has_one() -> None:
    made = mesh(Cluster(nodes=2), Workload(consumers=2, zones={"far": ("c1",)}))
    assert made.gateway_zones() == ()
    links = tuple(replace(spec, gateway=spec.source == "far") for spec in made.links)
    assert replace(made, links=links).gateway_zones() == ("far",)


def test_every_pair_has_an_address_of_its_own() -> None:
    made = topology(Cluster(nodes=2), Workload(consumers=2, zones={"far": ("c1",)}))
    found = [pair_address(made, spec.source, spec.target) for spec in made.links]
    assert len(set(found)) == len(made.links)
    assert pair_address(made, "left", "right") == "127.101.2.1"
    assert pair_address(made, "right", SERVICE) == "127.102.3.1"
    assert pair_address(made, "far", "left") == "127.200.1.2"

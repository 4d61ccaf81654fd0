"""What a plan lays out: members and links, the configuration of servers, facts, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from harness.brokers.base import BROKERS, Addresses, Launch
from harness.brokers.rocketmq.broker import RocketmqBroker
from harness.brokers.rocketmq.config import REGISTER_MS
from harness.brokers.rocketmq.places import SETS_VARIABLE
from harness.brokers.rocketmq.probe import HaProbe
from harness.brokers.rocketmq.spec import FAST, HA, LISTEN, NAMES
from harness.distributions.base import Installation
from harness.engine.topology import draw_links, draw_ports, gateway_specs, monitor_targets, worker_specs
from harness.errors import ScenarioError
from harness.runtime.base import NodeSpec
from harness.runtime.kernel.ports import Ports
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.session.vocabulary import vocabulary

_S = 1_000_000_000

TEXT = """\
version: 1
title: RocketMQ
broker: rocketmq-5
cluster: {cluster}
workload: {{producers: 1, consumers: 2, partitions: {partitions}, rate: 100/s, duration: 10s{workload}}}
faults: {faults}
expect: {{loss: {{}}}}
"""
KILL = "[{kill: {}, on: {node: n1}, at: 1s, for: 4s}]"
LEAVE = "[{client_leave: {}, on: {worker: c1}, at: 1s, for: 4s}]"


def plan(cluster: str = "{nodes: 2}", workload: str = "", faults: str = "[]", partitions: int = 5) -> Plan:
    text = TEXT.format(cluster=cluster, workload=workload, faults=faults, partitions=partitions)
    return make_plan(variants(load_text(text, "rocketmq.yaml", vocabulary()))[0])


def launched(given: Plan, tmp_path: Path, image: str = "") -> tuple[Launch, dict[str, NodeSpec]]:
    """Return what a plan is laid out as, with the links of its topology."""
    ports = Ports()
    try:
        drawn = {member.name: draw_ports(member, ports) for member in given.topology.members}
        links = draw_links(given.topology, drawn, ports, dict.fromkeys(drawn, "127.0.0.1"))
    finally:
        ports.release()
    installation = Installation(
        command=("/java",), directory=tmp_path, versions={}, parts={"native": tmp_path / "native"}, image=image
    )
    addresses = Addresses(ports=drawn, links=links)
    launch = Launch(installation=installation, run_dir=tmp_path, plan=given, addresses=addresses)
    return launch, {spec.name: spec for spec in BROKERS.get("rocketmq").node_specs(launch)}


def read(spec: NodeSpec, file: str) -> dict[str, str]:
    (text,) = [content for path, content in spec.files.items() if path.name == file]
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_name_server_starts_first_and_brokers_register_through_links(tmp_path: Path) -> None:
    given = plan()
    assert given.topology.waves() == ((NAMES,), ("n1", "n2"))
    launch, specs = launched(given, tmp_path)
    assert set(specs) == {NAMES, "n1", "n2"}
    for node in ("n1", "n2"):
        ports, properties = launch.addresses.ports[node], read(specs[node], "broker.conf")
        assert properties["namesrvAddr"] == launch.addresses.links[f"{node}->{NAMES}"].address
        assert properties["brokerName"] == properties["brokerClusterName"] == properties["brokerIP1"] == node
        assert properties["listenPort"] == str(ports[LISTEN])
        assert ports[FAST] == ports[LISTEN] - 2
        assert properties["haListenPort"] == str(ports[HA])
        assert properties["registerNameServerPeriod"] == str(REGISTER_MS)
        assert (properties["brokerRole"], properties["flushDiskType"]) == ("ASYNC_MASTER", "ASYNC_FLUSH")
    names = read(specs[NAMES], "names.conf")
    assert names == {"bindAddress": "127.0.0.1", "listenPort": str(launch.addresses.ports[NAMES][LISTEN])}


@pytest.mark.parametrize("replication", ["async", "sync"])
def test_a_slave_copies_its_master_through_their_link(replication: str, tmp_path: Path) -> None:
    cluster = f"{{nodes: 2, replicas: 2, topic: {{replication: {replication}}}}}"
    launch, specs = launched(plan(cluster), tmp_path)
    master, slave = (read(specs[node], "broker.conf") for node in ("n1", "n2"))
    link, ports = launch.addresses.links["n2->n1"], launch.addresses.ports["n1"]
    assert [(channel.name, channel.protocol) for channel in link.channels] == [
        ("n2->n1", "ha"),
        ("n2->n1.listen", ""),
        ("n2->n1.fast", ""),
    ]
    assert slave["haMasterAddress"] == link.address
    assert "haMasterAddress" not in master
    assert [master[key] for key in ("brokerRole", "brokerId")] == [f"{replication.upper()}_MASTER", "0"]
    assert [slave[key] for key in ("brokerRole", "brokerId")] == ["SLAVE", "1"]
    assert master["brokerName"] == slave["brokerName"] == "n1"
    # What it hears of its master from the name server leads to the link, too.
    (hosts,) = [content for path, content in specs["n2"].files.items() if path.name == "hosts"]
    names = {name: address for address, name in (line.split() for line in hosts.splitlines())}
    assert [f"{names['n1']}:{ports[role]}" for role in (LISTEN, FAST)] == [
        channel.address for channel in link.channels[1:]
    ]
    assert master.get("inSyncReplicas") == ("2" if replication == "sync" else None)


def test_the_monitor_asks_each_channel_in_its_own_protocol(tmp_path: Path) -> None:
    faults = "[{latency: {delay: 5ms}, on: {link: broker-broker}, at: 1s, for: 4s}]"
    given = plan("{nodes: 2, replicas: 2}", faults=faults)
    launch, _ = launched(given, tmp_path)
    targets = {str(target["name"]): target for target in monitor_targets(given, launch.addresses, {})}
    assert targets["n2->n1"]["protocol"] == "ha"
    assert targets["n2->n1.listen"]["protocol"] == ""
    assert isinstance(cast("RocketmqBroker", BROKERS.get("rocketmq")).further_probe("ha", "127.0.0.1:1"), HaProbe)


def test_a_scenario_changes_brokers_alone(tmp_path: Path) -> None:
    cluster = "{nodes: 1, topic: {flush: sync, lock_life: 25s}, config: {transientStorePoolEnable: true, x: 'a\\nb'}}"
    _, specs = launched(plan(cluster), tmp_path)
    properties = read(specs["n1"], "broker.conf")
    assert (properties["flushDiskType"], properties["transientStorePoolEnable"]) == ("SYNC_FLUSH", "true")
    assert "transientStorePoolEnable" not in read(specs[NAMES], "names.conf")
    assert "-Drocketmq.broker.rebalance.lockMaxLiveTime=25000" in specs["n1"].argv
    assert not any("lockMaxLiveTime" in word for word in specs[NAMES].argv)


@pytest.mark.parametrize("image", ["", "an-image"])
def test_native_libraries_are_those_of_the_installation_outside_of_images(image: str, tmp_path: Path) -> None:
    _, specs = launched(plan(), tmp_path, image)
    found = [word for word in specs["n1"].argv if word.startswith("-Djava.library.path=")]
    assert found == ([] if image else [f"-Djava.library.path={tmp_path / 'native'}"])


def test_a_broker_names_itself_by_the_address_at_which_the_first_zone_reaches_it(tmp_path: Path) -> None:
    launch, specs = launched(plan(workload=", zones: {far: [c1]}"), tmp_path)
    for node in ("n1", "n2"):
        (hosts,) = [content for path, content in specs[node].files.items() if path.name == "hosts"]
        names = {name: address for address, name in (line.split() for line in hosts.splitlines())}
        link = launch.addresses.links[f"clients->{node}"]
        assert f"{names[node]}:{launch.addresses.ports[node][LISTEN]}" == link.address


def test_each_zone_begins_at_its_gateway_and_is_led_to_its_links(tmp_path: Path) -> None:
    given = plan(workload=", zones: {far: [c1]}")
    launch, _ = launched(given, tmp_path)
    links, ports = launch.addresses.links, launch.addresses.ports
    starts = {spec.worker: spec.addresses for spec in worker_specs(given, links, tmp_path)}
    assert starts["p0"] == starts["c0"] == (links[f"clients->{NAMES}"].gateway,)
    assert starts["c1"] == (links[f"far->{NAMES}"].gateway,)
    for spec in gateway_specs(given, launch.addresses):
        assert spec.addresses[ports["n2"][LISTEN]] == links[f"{spec.zone}->n2"].address


def test_workers_are_told_the_broker_sets() -> None:
    bound = BROKERS.get("rocketmq").bind(plan("{nodes: 3}"))
    assert bound.client_environment == {SETS_VARIABLE: "3"}
    assert bound.admin_options["sets"] == {"n1": ["n1"], "n2": ["n2"], "n3": ["n3"]}
    assert set(bound.client_libraries) == {"producer", "consumer"}


@pytest.mark.parametrize(
    ("cluster", "partitions", "message"),
    [
        ("{nodes: 3, replicas: 3}", 5, "a queue has 1 or 2 replicas here, not 3"),
        ("{nodes: 3, replicas: 2}", 5, "so an even number of nodes, not 3"),
        ("{nodes: 1, topic: {replication: sync}}", 5, "replication: sync needs 2 replicas"),
        ("{nodes: 3}", 2, "3 masters need as many partitions at least, not 2"),
    ],
)
def test_what_does_not_fit_is_refused(cluster: str, partitions: int, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        plan(cluster, partitions=partitions)


@pytest.mark.parametrize(("listener", "failures"), [("orderly", 5), ("concurrent", 0), ("concurrent", 5)])
def test_a_message_goes_back_through_the_links_of_the_first_zone_alone(listener: str, failures: int) -> None:
    options = f", consumer: {{listener: {listener}, fail_every: {failures}}}"
    assert plan(workload=f"{options}, zones: {{far: [p0]}}")
    if listener == "concurrent" and failures:
        with pytest.raises(ScenarioError, match="links of the first zone, which are not those of c1"):
            plan(workload=f"{options}, zones: {{far: [c1]}}")
    else:
        assert plan(workload=f"{options}, zones: {{far: [c1]}}")


def bound_facts(**given: Any) -> Any:
    return BROKERS.get("rocketmq").bind(plan(**given)).facts


def test_pauses_follow_from_the_clients_time_outs_and_the_plans_faults() -> None:
    calm, killed, left = bound_facts(), bound_facts(faults=KILL), bound_facts(faults=LEAVE)
    assert calm.detection_bound_ns == 30 * _S
    assert calm.pause_ns_derived == 31 * _S
    assert killed.detection_bound_ns == 70 * _S
    assert killed.pause_ns_derived == 75 * _S
    assert "longest outage of a master 4s" in killed.pause_formula
    assert left.pause_ns_derived == 111 * _S
    assert "lock_life 60s" in left.pause_formula or "lock_life 1m" in left.pause_formula
    assert left.membership_changes == 2


@pytest.mark.parametrize(
    ("workload", "allowed"),
    [
        ("producer: {queue_by: turn}", "queue_by turn: messages of a key lie in all queues"),
        ("producer: {queue_away: other}", "queue_away other: while a broker is away, its keys go to other queues"),
        ("producer: {retry_at: next}", "retry_at next: a retried message changes its queue"),
        ("producer: {delay_level: 2}", "delay_level 2: messages come in the order in which they are due"),
        ("consumer: {start_at: end}", "start_at end: what arrives in a queue"),
        ("consumer: {fail_every: 5, on_failure: exception}", "on_failure exception: a message whose handler fails"),
        ("consumer: {listener: concurrent}", "listener concurrent: 4 threads"),
        ("consumer: {listener: concurrent, fail_every: 5}", "16 times is given up"),
    ],
)
def test_what_the_clients_options_allow_is_said(workload: str, allowed: str) -> None:
    assert any(allowed in sentence for sentence in bound_facts(workload=f", {workload}").allowed)
    assert not any(allowed in sentence for sentence in bound_facts().allowed)


@pytest.mark.parametrize(
    ("cluster", "allowed"),
    [
        ("{nodes: 1}", "flush async: power loss"),
        ("{nodes: 1, config: {transientStorePoolEnable: true}}", "are lost when it is killed"),
    ],
)
def test_what_the_configuration_allows_is_said(cluster: str, allowed: str) -> None:
    assert any(allowed in sentence for sentence in bound_facts(cluster=cluster).allowed)
    assert not any("power loss" in text for text in bound_facts(cluster="{nodes: 1, topic: {flush: sync}}").allowed)


def pulls(options: str = "", **given: Any) -> Any:
    return bound_facts(workload=f", consumer: {{listener: pull{options}}}", **given)


def test_a_pull_group_waits_for_shorter_pulls_and_for_locks_only_where_a_member_does_not_give_them_back() -> None:
    calm, left = pulls(), pulls(faults=LEAVE)
    killed = pulls(faults="[{client_kill: {}, on: {worker: c1}, at: 1s, for: 4s}]")
    assert (calm.detection_bound_ns, calm.pause_ns_derived) == (10 * _S, 11 * _S)
    assert left.pause_ns_derived == calm.pause_ns_derived + 5 * _S
    assert killed.pause_ns_derived == left.pause_ns_derived + 60 * _S
    assert (calm.group.notice_ns, calm.group.lock_ns, calm.threads_per_partition) == (5 * _S, 60 * _S, 1)
    assert calm.settling.positions
    assert calm.settling.acknowledged is None
    assert pulls(", handler_time: 1s, rebalance_interval: 2s").group.notice_ns == 8 * _S


def test_a_pull_group_without_locks_may_have_two_members_at_work_and_says_so() -> None:
    without = pulls(", locks: false")
    assert without.group.lock_ns == 0
    assert any("two of them may work on one queue" in sentence for sentence in without.allowed)
    short = pulls(cluster="{nodes: 1, topic: {lock_life: 10s}}")
    assert any("lock_trust not below lock_life" in sentence for sentence in short.allowed)
    assert not any("lock" in sentence for sentence in pulls().allowed)

"""Configuration of Kafka nodes: KRaft in combined mode, one listener for each kind of visitor.

Listeners: ``CONTROLLER`` and ``PEER`` for nodes (each pair through its own proxies), ``ADMIN`` for the harness alone,
and one for each client zone, which advertises that zone's link: a client that asks for the cluster's nodes gets its own
links.

Nodes know each other by name. Each node's own host table (``jdk.net.hosts.file``) maps a peer's name to the address at
which the proxy of that pair listens, and its own name to 127.0.0.1; the port is the peer's own. No format run is
needed: a ``meta.properties`` is written by hand and the bootstrap checkpoint is the one that this version's own tool
makes.
"""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Mapping

from harness.brokers.base import Launch
from harness.brokers.kafka.spec import zone_role
from harness.brokers.properties import properties, require_no_comma
from harness.runtime.base import NodeSpec
from harness.scenario.members import zones
from harness.scenario.model import Plan
from harness.scenario.topology import pair_address

MAIN_CLASS = "kafka.Kafka"
BROKER_SESSION = "broker.session.timeout.ms"
BROKER_SESSION_MS = 9_000
REPLICA_LAG = "replica.lag.time.max.ms"
REPLICA_LAG_MS = 30_000
_CLUSTER_ID = "Y2hhb3MtaGFybmVzcy0wMQ"  # any 16 bytes in URL-safe base64
_HEAP = ("-Xms192m", "-Xmx512m")
_TOGETHER_MS = 1_000
"""Longer than the members of a group start apart from each other, so that they share the partitions at once."""

_ADVERTISES_CONTROLLERS = (3, 9)
"""From this version on controllers' addresses can be advertised; earlier ones refuse it, and know ``voters`` alone."""


def node_spec(name: str, launch: Launch) -> NodeSpec:
    """Return how one node is started."""
    directory = launch.run_dir / "nodes" / name
    data = directory / "data"
    require_no_comma(data, "log.dirs")
    config, hosts = directory / "server.properties", directory / "hosts"
    # IPv4 sockets, so that the kernel's tables name the addresses that were configured.
    jvm = (*_HEAP, "-Djava.net.preferIPv4Stack=true", f"-Djdk.net.hosts.file={hosts}", f"-Dkafka.logs.dir={directory}")
    return NodeSpec(
        name=name,
        argv=(*launch.installation.command, *jvm, MAIN_CLASS, str(config)),
        files={
            config: properties(server_properties(name, launch) | {"log.dirs": str(data)}),
            hosts: _hosts(name, launch),
        },
        data_dir=data,
        seeds={
            data / "meta.properties": properties(_meta(name, launch)).encode(),
            data / "bootstrap.checkpoint": launch.installation.parts["bootstrap"].read_bytes(),
        },
        ports=launch.addresses.ports[name],
        stop_timeout_s=30.0,
    )


def server_properties(name: str, launch: Launch) -> dict[str, str]:
    """Return the node's configuration but for its directories; what the scenario gives replaces what stands here."""
    cluster, addresses = launch.plan.cluster, launch.addresses
    ports = addresses.ports
    consumer = launch.plan.workload.consumer
    names = launch.plan.topology.node_names
    zone_names = {zone_role(zone): f"ZONE{index}" for index, zone in enumerate(zones(launch.plan.workload))}
    listeners = {"CONTROLLER": "controller", "PEER": "peer", "ADMIN": "admin"}
    listeners |= {listener: role for role, listener in zone_names.items()}
    links = {(link.source, link.node): link.address for link in addresses.links.values() if link.role == "client"}
    advertised = {"PEER": f"{name}:{ports[name]['peer']}", "ADMIN": f"127.0.0.1:{ports[name]['admin']}"}
    if _version(launch) >= _ADVERTISES_CONTROLLERS:
        # A new leader of the quorum tells the others where it is (KIP-853): by name, or they would dial it past the
        # proxy.
        advertised["CONTROLLER"] = f"{name}:{ports[name]['controller']}"
    for zone in zones(launch.plan.workload):
        # Without links (a benchmark's bare node) clients come directly.
        direct = f"127.0.0.1:{ports[name][zone_role(zone)]}"
        advertised[zone_names[zone_role(zone)]] = links.get((zone, name), direct)
    session_ms = max(1, consumer.session_timeout_ns // 1_000_000)
    heartbeat_ms = max(1, consumer.heartbeat_interval_ns // 1_000_000)
    found = {
        "process.roles": "broker,controller",
        "node.id": name[1:],
        "controller.quorum.voters": ",".join(f"{node[1:]}@{node}:{ports[node]['controller']}" for node in names),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PEER",
        "listeners": ",".join(f"{item}://{addresses.bind}:{ports[name][role]}" for item, role in listeners.items()),
        "advertised.listeners": ",".join(f"{item}://{address}" for item, address in advertised.items()),
        "listener.security.protocol.map": ",".join(f"{item}:PLAINTEXT" for item in listeners),
        "auto.create.topics.enable": "false",
        "default.replication.factor": str(cluster.replicas),
        "offsets.topic.replication.factor": str(cluster.nodes),
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": str(cluster.nodes),
        "transaction.state.log.min.isr": str(max(1, cluster.nodes - 1)),
        "transaction.state.log.num.partitions": "1",
        "group.initial.rebalance.delay.ms": str(_first_delay_ms(launch.plan)),
        # The broker refuses members outside these bounds; scenarios may want any time-out.
        "group.min.session.timeout.ms": str(min(6_000, session_ms)),
        "group.max.session.timeout.ms": str(max(1_800_000, session_ms)),
        "log.cleaner.dedupe.buffer.size": "8388608",
    }
    if consumer.protocol == "consumer":
        # Of the consumer protocol the broker sets the time-outs.
        found |= {
            "group.consumer.min.session.timeout.ms": str(min(45_000, session_ms)),
            "group.consumer.max.session.timeout.ms": str(max(60_000, session_ms)),
            "group.consumer.session.timeout.ms": str(session_ms),
            "group.consumer.min.heartbeat.interval.ms": str(min(5_000, heartbeat_ms)),
            "group.consumer.max.heartbeat.interval.ms": str(max(15_000, heartbeat_ms)),
            "group.consumer.heartbeat.interval.ms": str(heartbeat_ms),
        }
    return found | {key: _plain(value) for key, value in cluster.config.items()}


def _first_delay_ms(plan: Plan) -> int:
    """Return how long a group that is empty waits for further members, milliseconds.

    Members that come one after the other share the partitions in another way than those that come together: a sticky
    assignor leaves most of them to the first. So several members get the time in which all of them start, on a busy
    machine as well. A single one waits for none.
    """
    late = {worker for fault in plan.timeline if fault.joins for worker in fault.targets}
    return 0 if plan.workload.consumers - len(late) <= 1 else _TOGETHER_MS


def _version(launch: Launch) -> tuple[int, ...]:
    """Return the first two numbers of the installed version."""
    return tuple(int(part) for part in launch.installation.versions["kafka"].split(".")[:2])


def _meta(name: str, launch: Launch) -> dict[str, str]:
    """Return ``meta.properties``; the directory's id must be unique and stay the same over restarts."""
    unique = hashlib.sha256(f"{launch.run_dir}/{name}".encode()).digest()[:16]
    directory = base64.urlsafe_b64encode(unique).decode().rstrip("=")
    return {
        "version": "1",
        "cluster.id": _CLUSTER_ID,
        "node.id": name[1:],
        # A leading dash would look like an option to Kafka's own tools, which refuse such ids.
        "directory.id": directory.replace("-", "A"),
    }


def _hosts(name: str, launch: Launch) -> str:
    """Return the JVM's host table; every name that it may look up must stand in it."""
    lines = ["127.0.0.1 localhost", f"127.0.0.1 {socket.gethostname()}"]
    topology = launch.plan.topology
    lines += [
        f"{'127.0.0.1' if node == name else pair_address(topology, name, node)} {node}" for node in topology.node_names
    ]
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def broker_session_ns(config: Mapping[str, object]) -> int:
    """Return after how long without heartbeats the controller fences a node."""
    return int(str(config.get(BROKER_SESSION, BROKER_SESSION_MS))) * 1_000_000


def replica_lag_ns(config: Mapping[str, object]) -> int:
    """Return after how long a leader drops a follower from those in sync that does not keep up."""
    return int(str(config.get(REPLICA_LAG, REPLICA_LAG_MS))) * 1_000_000

"""NATS JetStream: configuration of the nodes, and what its configuration makes true.

Addresses: clients know only their links' addresses (``no_advertise`` keeps the nodes' own out of INFO); nodes dial each
other through explicit routes, one per ordered pair. ``cluster.advertise`` names an address where nothing listens: a
node that hears of a peer it has no route to (after a partition) would otherwise dial that peer's own port, past the
proxy (``processImplicitRoute`` in server/route.go); an implicit route is tried once and then given up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.brokers.base import BROKERS, Admin, BoundBroker, Launch, NodePorts, Probe
from harness.brokers.nats.admin import NatsAdmin
from harness.brokers.nats.options import ConsumerOptions, ProducerOptions
from harness.brokers.nats.probe import NatsProbe
from harness.distributions.base import Installation
from harness.history.facts import Acknowledged, Facts, Settling
from harness.runtime.base import NodeSpec
from harness.scenario.members import zones
from harness.scenario.model import Plan
from harness.units import format_ns

_NOWHERE = "127.0.0.1:1"
_S = 1_000_000_000

ELECTION_NS_MAX = 9 * _S
"""Longest election time-out of JetStream's Raft (``maxElectionTimeoutDefault`` in server/raft.go)."""


class NatsBroker:
    """The NATS broker kind."""

    kind = "nats"
    observe_every_s = 0.25

    def bind(self, plan: Plan) -> BoundBroker:
        """Return what follows from a plan."""
        return BoundBroker(
            broker=self,
            plan=plan,
            facts=_facts(plan),
            settle_ns=_settle_ns(plan.workload.producer),
            leave_ns=_leave_ns(plan.workload.consumer),
            admin_options={"partitions": plan.workload.partitions},
        )

    def worker_environment(self, library: Installation | None, folder: Path) -> Mapping[str, str]:
        """Return nothing, because nats-py needs no variable and writes no file."""
        del library, folder
        return {}

    def node_specs(self, launch: Launch) -> tuple[NodeSpec, ...]:
        """Return how each node is started: one configuration file (JSON, which the server's format contains)."""
        specs = []
        for name in launch.plan.topology.node_names:
            directory = launch.run_dir / "nodes" / name
            config = directory / "nats.conf"
            specs.append(
                NodeSpec(
                    name=name,
                    argv=(*launch.installation.command, "-c", str(config)),
                    files={config: json.dumps(_config(name, launch), indent=2) + "\n"},
                    data_dir=directory / "data",
                    ports=launch.addresses.ports[name],
                )
            )
        return tuple(specs)

    def admin(self, ports: NodePorts, options: Mapping[str, Any]) -> Admin:
        """Return administration through the nodes' own listeners."""
        return NatsAdmin(ports, **options)

    def probe(self, address: str, *, keep: bool, timeout_s: float = 1.0) -> Probe:
        """Return a PING probe; it works on client and on route listeners."""
        return NatsProbe(address, keep=keep, timeout_s=timeout_s)


def _settle_ns(options: ProducerOptions) -> int:
    """Return the time in which every retry times out, and a second more."""
    return (options.retries + 1) * (options.timeout_ns + options.retry_wait_ns) + _S


def _leave_ns(options: ConsumerOptions) -> int:
    """Return the length of a last fetch and of handling all of it, and three seconds more."""
    return options.fetch_wait_ns + options.fetch * options.handler_time_ns + 3 * _S


def _config(name: str, launch: Launch) -> dict[str, Any]:
    ports, bind = launch.addresses.ports[name], launch.addresses.bind
    config: dict[str, Any] = {
        "server_name": name,
        "listen": f"{bind}:{ports['client']}",
        "http": f"{bind}:{ports['monitor']}",
        "jetstream": {"store_dir": str(launch.run_dir / "nodes" / name / "data")},
    }
    if launch.plan.cluster.nodes > 1:
        config["cluster"] = {
            "name": "chaos",
            "listen": f"{bind}:{ports['cluster']}",
            "advertise": _NOWHERE,
            "no_advertise": True,
            "routes": [
                f"nats-route://{link.address}" for link in launch.addresses.links.values() if link.source == name
            ],
        }
    return _merged(config, launch.plan.cluster.config)


def _merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``extra`` laid over it, map by map."""
    result = dict(base)
    for key, value in extra.items():
        ours = result.get(key)
        result[key] = _merged(ours, value) if isinstance(ours, Mapping) and isinstance(value, Mapping) else value
    return result


def _facts(plan: Plan) -> Facts:
    workload, cluster = plan.workload, plan.cluster
    consumer, producer, topic = workload.consumer, workload.producer, cluster.topic
    give_up = consumer.ping_interval_ns * (consumer.pings_unanswered_max + 1)
    # Time a client may need after its leader is reachable again: it notices a silent connection, connects again, its
    # outstanding pull expires, and a message that was on its way when the fault struck is sent again after ack_wait.
    redelivery = consumer.ack_wait_ns if consumer.ack == "explicit" else 0
    detection = give_up + 2 * consumer.reconnect_wait_ns + consumer.fetch_wait_ns + redelivery
    formula = (
        f"ping_interval × (pings_unanswered_max + 1) {format_ns(give_up)} + 2 × reconnect_wait "
        f"{format_ns(consumer.reconnect_wait_ns)} + fetch_wait {format_ns(consumer.fetch_wait_ns)}"
        + (f" + ack_wait {format_ns(redelivery)}" if redelivery else "")
    )
    election = ELECTION_NS_MAX if cluster.replicas > 1 else 0
    longest = max((fault.until_ns - fault.at_ns for fault in plan.timeline if fault.takes_node_down), default=0)
    down = longest if cluster.replicas == 1 else 0
    machine = 1 * _S
    pause_formula = (
        (f"longest outage of the only copy {format_ns(down)} + " if down else "")
        + (f"Raft election {format_ns(election)} + " if election else "")
        + f"{formula} + {format_ns(machine)} for scheduling"
    )
    return Facts(
        partitions=workload.partitions,
        nodes=plan.topology.node_names,
        worker_zones={worker: zone for zone, workers in zones(workload).items() for worker in workers},
        links={link.name: (link.source, link.target) for link in plan.topology.client_links()},
        settling=Settling(
            acknowledged=Acknowledged(confirmed=consumer.ack_confirm, wait_ns=consumer.ack_wait_ns)
            if consumer.ack == "explicit"
            else None,
            when=consumer.ack_when,
        ),
        message_ids=producer.message_ids,
        dedupe_window_ns=topic.duplicate_window_ns,
        shared_partitions=workload.consumers > workload.partitions,
        detection_bound_ns=detection + election,
        detection_formula=formula + (f" + Raft election {format_ns(election)}" if election else ""),
        pause_ns_derived=down + election + detection + machine,
        pause_formula=pause_formula,
        durable=topic.storage == "file",
        allowed=_allowed(plan),
    )


def _allowed(plan: Plan) -> tuple[str, ...]:
    consumer, producer, topic = plan.workload.consumer, plan.workload.producer, plan.cluster.topic
    allowed = []
    if topic.storage == "memory":
        allowed.append("storage memory: a stream with one replica is gone when its server restarts")
    if consumer.ack == "none":
        allowed.append("ack none: messages sent to a consumer that dies are not sent again")
    elif consumer.ack_when == "before":
        allowed.append(
            "ack before processing: messages acknowledged and not yet processed are lost with their consumer"
        )
    else:
        allowed.append("ack after processing: a message is delivered again when its acknowledgement is late or lost")
    if consumer.ack == "explicit" and consumer.max_ack_pending > 1:
        allowed.append("max_ack_pending above 1: a delivery that is lost on its way comes again after its successors")
    if not producer.message_ids:
        allowed.append("no message ids: a retried publish may be stored twice")
    elif topic.duplicate_window_ns < producer.timeout_ns * (producer.retries + 1):
        allowed.append("the duplicate window is shorter than the producer's retries: a late retry may be stored twice")
    sync = str(plan.cluster.config.get("jetstream", {}).get("sync_interval", "2m (default)"))
    if sync != "always":
        allowed.append(f"sync_interval {sync}: power loss of every replica may lose messages not yet synced")
    return tuple(allowed)


BROKERS.register("nats")(NatsBroker())

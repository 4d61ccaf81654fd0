"""Tinylog for the engine: how its node is laid out and started, and what its configuration makes true."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.plugin_api.broker import (
    BROKERS,
    Acknowledged,
    Admin,
    BoundBroker,
    Facts,
    Installation,
    Launch,
    NodePorts,
    NodeSpec,
    Plan,
    Probe,
    Settling,
    format_ns,
    zones,
)
from tinylog_chaos.admin import TinylogAdmin, TinylogProbe

_S = 1_000_000_000


class TinylogBroker:
    """The broker kind ``tinylog``."""

    kind = "tinylog"
    observe_every_s = 0.25

    def bind(self, plan: Plan) -> BoundBroker:
        """Return what follows from a plan."""
        producer, consumer = plan.workload.producer, plan.workload.consumer
        return BoundBroker(
            broker=self,
            plan=plan,
            facts=_facts(plan),
            # Every retry of one message times out; a last fetch is handled whole.
            settle_ns=(producer.retries + 1) * (producer.timeout_ns + producer.retry_wait_ns) + _S,
            leave_ns=consumer.fetch * (consumer.handler_time_ns + consumer.timeout_ns) + 3 * _S,
            admin_options={},
        )

    def worker_environment(self, library: Installation | None, folder: Path) -> Mapping[str, str]:
        """Return nothing: a worker finds this package where the harness does."""
        del library, folder
        return {}

    def node_specs(self, launch: Launch) -> tuple[NodeSpec, ...]:
        """Return how the one node is started: one configuration file."""
        (name,) = launch.plan.topology.node_names
        directory, ports = launch.run_dir / "nodes" / name, launch.addresses.ports[name]
        config = {
            "listen": f"{launch.addresses.bind}:{ports['client']}",
            "data": str(directory / "data"),
            "durable": launch.plan.cluster.topic.durable,
            **launch.plan.cluster.config,
        }
        return (
            NodeSpec(
                name=name,
                argv=(*launch.installation.command, str(directory / "config.json")),
                files={directory / "config.json": json.dumps(config) + "\n"},
                data_dir=directory / "data",
                ports=ports,
            ),
        )

    def admin(self, ports: NodePorts, options: Mapping[str, Any]) -> Admin:
        """Return administration of the one node."""
        del options
        ((name, roles),) = ports.items()
        return TinylogAdmin(name, f"127.0.0.1:{roles['client']}")

    def probe(self, address: str, *, keep: bool, timeout_s: float = 1.0) -> Probe:
        """Return a probe that pings."""
        return TinylogProbe(address, keep=keep, timeout_s=timeout_s)


def _facts(plan: Plan) -> Facts:
    """Return what the configuration makes true."""
    workload, topic = plan.workload, plan.cluster.topic
    consumer = workload.consumer
    detection = consumer.timeout_ns + 2 * consumer.retry_wait_ns
    formula = f"timeout {format_ns(consumer.timeout_ns)} + 2 × retry_wait {format_ns(consumer.retry_wait_ns)}"
    down = max((fault.until_ns - fault.at_ns for fault in plan.timeline if fault.takes_node_down), default=0)
    return Facts(
        partitions=workload.partitions,
        nodes=plan.topology.node_names,
        worker_zones={worker: zone for zone, workers in zones(workload).items() for worker in workers},
        links={link.name: (link.source, link.target) for link in plan.topology.client_links()},
        settling=Settling(acknowledged=Acknowledged(confirmed=True)),
        shared_partitions=workload.consumers > workload.partitions,
        detection_bound_ns=detection,
        detection_formula=formula,
        pause_ns_derived=down + detection + _S,
        pause_formula=f"outage of the only node {format_ns(down)} + {formula} + 1s for scheduling",
        durable=topic.durable,
        allowed=() if topic.durable else ("durable: false: what the broker holds is gone when it restarts",),
    )


BROKERS.register("tinylog")(TinylogBroker())

"""Kafka: one broker kind over all released versions from 3.7, and what its configuration makes true."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.brokers.base import BROKERS, Admin, Launch, Probe
from harness.brokers.kafka.admin import KafkaAdmin
from harness.brokers.kafka.config import node_spec, zone_role
from harness.brokers.kafka.facts import facts_of
from harness.brokers.kafka.probe import KafkaProbe
from harness.distributions.base import Installation
from harness.history.facts import Facts
from harness.runtime.base import NodeSpec
from harness.scenario.members import absent_workers, node_names, zones
from harness.scenario.model import Plan

_S = 1_000_000_000


class KafkaBroker:
    """The Kafka broker kind."""

    kind = "kafka"
    admin_role = "admin"
    direct_roles: tuple[str, ...] = ("admin",)
    peer_roles: tuple[str, ...] = ("peer", "controller")
    peers_by_name = True
    observe_every_s = 0.1

    def port_roles(self, plan: Plan) -> tuple[str, ...]:
        """Return the ports that each node needs: one for each client zone among them."""
        return ("controller", "peer", "admin", *map(zone_role, zones(plan.workload)))

    def client_role(self, zone: str) -> str:
        """Return the zone's own listener."""
        return zone_role(zone)

    def client_libraries(self, plan: Plan) -> Mapping[str, str]:
        """Return the client versions that the scenario asks for."""
        workload = plan.workload
        wanted = {"producer": workload.producer.client, "consumer": workload.consumer.client}
        return {role: name for role, name in wanted.items() if name}

    def worker_environment(self, library: Installation | None, folder: Path) -> Mapping[str, str]:
        """Return where Python finds the client version that the scenario asks for, before the installed one."""
        del folder
        return {"PYTHONPATH": str(library.directory)} if library is not None else {}

    def settle_ns(self, plan: Plan) -> int:
        """Return the time after which librdkafka gives a message up, with that of a last transaction and 2 s more.

        A transaction ends in five steps at most: a flush, three attempts to commit, an abort. A producer that is killed in
        between leaves it open, and what others have sent out of the sight of consumers.
        """
        producer = plan.workload.producer
        ending_ns = 5 * producer.transaction_timeout_ns if producer.transaction else 0
        return int(producer.timeout_ns + ending_ns + 2 * _S)

    def leave_ns(self, plan: Plan) -> int:
        """Return the time to handle what one poll gave, to commit and to leave."""
        consumer = plan.workload.consumer
        return int(
            consumer.poll * consumer.handler_time_ns + consumer.poll_wait_ns + consumer.request_timeout_ns + 3 * _S
        )

    def node_specs(self, launch: Launch) -> tuple[NodeSpec, ...]:
        """Return how each node is started."""
        return tuple(node_spec(name, launch) for name in node_names(launch.plan.cluster))

    def admin_options(self, plan: Plan) -> Mapping[str, Any]:
        """Return what administration must know."""
        workload = plan.workload
        late = absent_workers(plan)
        return {
            "partitions": workload.partitions,
            "consumers": [f"c{index}" for index in range(workload.consumers) if f"c{index}" not in late],
            "protocol": workload.consumer.protocol,
            "committed_only": workload.consumer.isolation == "read_committed",
            "transactional": bool(workload.producer.transaction),
        }

    def admin(self, ports: Mapping[str, Mapping[str, int]], options: Mapping[str, Any]) -> Admin:
        """Return administration through the nodes' own listeners."""
        return KafkaAdmin(ports, **options)

    def probe(self, address: str, *, keep: bool, timeout_s: float = 1.0) -> Probe:
        """Return an ApiVersions probe; it works on every listener."""
        return KafkaProbe(address, keep=keep, timeout_s=timeout_s)

    def facts(self, plan: Plan) -> Facts:
        """Return what the configuration makes true."""
        return facts_of(plan)


BROKERS.register("kafka")(KafkaBroker())

"""Kafka: one broker kind over all released versions from 3.7, and what its configuration makes true."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.brokers.base import BROKERS, Admin, BoundBroker, Launch, NodePorts, Probe
from harness.brokers.kafka.admin import KafkaAdmin
from harness.brokers.kafka.config import node_spec
from harness.brokers.kafka.facts import facts_of
from harness.brokers.kafka.options import ConsumerOptions, ProducerOptions
from harness.brokers.kafka.probe import KafkaProbe
from harness.brokers.kafka.retention import removals
from harness.distributions.base import Installation
from harness.runtime.base import NodeSpec
from harness.scenario.application import shown_by
from harness.scenario.members import absent_workers
from harness.scenario.model import Plan

_S = 1_000_000_000


class KafkaBroker:
    """The Kafka broker kind."""

    kind = "kafka"
    observe_every_s = 0.1

    def bind(self, plan: Plan) -> BoundBroker:
        """Return what follows from a plan."""
        workload = plan.workload
        wanted = {"producer": workload.producer.client, "consumer": workload.consumer.client}
        if workload.consumer.application is not None:
            del wanted["consumer"]  # it has a library of its own
        return BoundBroker(
            broker=self,
            plan=plan,
            facts=facts_of(plan),
            settle_ns=_settle_ns(workload.producer),
            leave_ns=_leave_ns(workload.consumer),
            admin_options=_admin_options(plan),
            client_packages=dict.fromkeys(wanted, "confluent-kafka"),
            client_libraries={role: name for role, name in wanted.items() if name},
        )

    def worker_environment(self, library: Installation | None, folder: Path) -> Mapping[str, str]:
        """Return where Python finds the client version that the scenario asks for, before the installed one."""
        del folder
        return {"PYTHONPATH": str(library.directory)} if library is not None else {}

    def node_specs(self, launch: Launch) -> tuple[NodeSpec, ...]:
        """Return how each node is started."""
        return tuple(node_spec(name, launch) for name in launch.plan.topology.node_names)

    def admin(self, ports: NodePorts, options: Mapping[str, Any]) -> Admin:
        """Return administration through the nodes' own listeners."""
        return KafkaAdmin(ports, **options)

    def probe(self, address: str, *, keep: bool, timeout_s: float = 1.0) -> Probe:
        """Return an ApiVersions probe; it works on every listener."""
        return KafkaProbe(address, keep=keep, timeout_s=timeout_s)


def _settle_ns(producer: ProducerOptions) -> int:
    """Return the time after which librdkafka gives a message up, with that of a last transaction and 2 s more.

    A transaction ends in five steps at most: a flush, three attempts to commit, an abort. A producer that is killed in
    between leaves it open, and what others have sent out of the sight of consumers.
    """
    ending_ns = 5 * producer.transaction_timeout_ns if producer.transaction else 0
    return producer.timeout_ns + ending_ns + 2 * _S


def _leave_ns(consumer: ConsumerOptions) -> int:
    """Return the time to handle what one poll gave, to commit and to leave.

    A transaction ends in ten steps at most: a flush, three attempts each to hand in positions, to commit and to abort.
    """
    ending_ns = 10 * consumer.transaction_timeout_ns if consumer.transactional else 0
    return (
        ending_ns
        + consumer.poll * consumer.handler_time_ns
        + consumer.poll_wait_ns
        + consumer.request_timeout_ns
        + 3 * _S
    )


def _admin_options(plan: Plan) -> Mapping[str, Any]:
    """Return what administration must know."""
    workload, late = plan.workload, absent_workers(plan)
    return {
        "partitions": workload.partitions,
        "consumers": [f"c{index}" for index in range(workload.consumers) if f"c{index}" not in late],
        "protocol": workload.consumer.protocol,
        "committed_only": workload.consumer.isolation == "read_committed",
        "transactional": bool(workload.producer.transaction),
        "outputs": workload.consumer.transactional,
        "removes": removals(plan.cluster).of_oldest,
        "by_positions": shown_by(workload.consumer) == "commits",
    }


BROKERS.register("kafka")(KafkaBroker())

"""RocketMQ: one broker kind over the released versions 5.x, and what its configuration makes true."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.brokers.base import BROKERS, Admin, BoundBroker, Launch, NodePorts, Probe
from harness.brokers.rocketmq.admin import RocketmqAdmin
from harness.brokers.rocketmq.aliases import ALIASES, CLIENT
from harness.brokers.rocketmq.config import node_spec
from harness.brokers.rocketmq.facts import facts_of
from harness.brokers.rocketmq.places import SETS_VARIABLE
from harness.brokers.rocketmq.probe import HaProbe, RocketmqProbe
from harness.brokers.rocketmq.spec import HA, broker_sets, set_of
from harness.distributions.base import Installation
from harness.runtime.base import NodeSpec
from harness.scenario.members import absent_workers
from harness.scenario.model import Plan


class RocketmqBroker:
    """The RocketMQ broker kind."""

    kind = "rocketmq"
    observe_every_s = 0.25

    def bind(self, plan: Plan) -> BoundBroker:
        """Return what follows from a plan."""
        return BoundBroker(
            broker=self,
            plan=plan,
            facts=facts_of(plan),
            settle_ns=plan.workload.producer.settle_ns,
            leave_ns=plan.workload.consumer.leave_ns,
            admin_options=_admin_options(plan),
            client_libraries=dict.fromkeys(("producer", "consumer"), ALIASES[CLIENT]),
            client_environment={SETS_VARIABLE: str(broker_sets(plan.cluster))},
        )

    def worker_environment(self, library: Installation | None, folder: Path) -> Mapping[str, str]:
        """Return where Python finds the client library, and where that writes its logs."""
        found = {"PYTHONPATH": str(library.directory)} if library is not None else {}
        return found | {"HOME": str(folder)}

    def node_specs(self, launch: Launch) -> tuple[NodeSpec, ...]:
        """Return how the name server and each broker is started."""
        return tuple(node_spec(member.name, launch) for member in launch.plan.topology.members)

    def admin(self, ports: NodePorts, options: Mapping[str, Any]) -> Admin:
        """Return administration through the servers' own listeners."""
        return RocketmqAdmin(ports, **options)

    def probe(self, address: str, *, keep: bool, timeout_s: float = 1.0) -> Probe:
        """Return a probe by the remoting protocol; it works on name servers and brokers."""
        return RocketmqProbe(address, keep=keep, timeout_s=timeout_s)

    def further_probe(self, protocol: str, address: str, *, timeout_s: float = 1.0) -> Probe:
        """Return a probe of the port at which a master hands its log to its slave."""
        assert protocol == HA
        return HaProbe(address, keep=False, timeout_s=timeout_s)


def _admin_options(plan: Plan) -> Mapping[str, Any]:
    """Return what administration must know."""
    workload, late = plan.workload, absent_workers(plan)
    sets: dict[str, list[str]] = {}
    for node in plan.topology.node_names:
        sets.setdefault(set_of(node, plan.cluster), []).append(node)
    return {
        "partitions": workload.partitions,
        "sets": sets,
        "consumers": [f"c{index}" for index in range(workload.consumers) if f"c{index}" not in late],
    }


BROKERS.register("rocketmq")(RocketmqBroker())

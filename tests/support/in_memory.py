"""A second implementation of the parts of a run: a broker, a runtime, workers and a monitor in memory. A FAKE.

It starts no process and opens no socket, so that the engine is tested in seconds. It proves nothing about any broker.
Nodes are flags, links cannot be slowed, and workers are tasks of the test's own loop; what they record are real
journals of a real history.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.in_memory_clients import MemoryLog
from support.in_memory_runtime import MemoryCluster, MemoryRuntime
from support.in_memory_workers import MemoryGateway, MemoryMonitor, MemoryWorker

from harness.applications.instance import Setup
from harness.brokers.base import Addresses, Admin, BoundBroker, Launch, LogExtent, NodePorts, PartitionState, Probe
from harness.clients.base import WorkerSpec
from harness.clients.batches import found_records
from harness.clients.payload import read_all
from harness.distributions.base import Installation
from harness.engine.bypass import Processes
from harness.engine.parts import Binaries, Site, WorkerChange
from harness.errors import ControlError
from harness.history.events import Event, HeadersEvent, LeaderEvent
from harness.history.facts import Acknowledged, Facts, Settling
from harness.history.record import Journal, RecordKind
from harness.progress import Listener
from harness.runtime.abilities import MachineAbility
from harness.runtime.base import NodeSpec
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.members import zones
from harness.scenario.mesh import mesh
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.scenario.plugins import BrokerSpec
from harness.scenario.topology import Topology
from harness.session.selection import Selected
from harness.session.vocabulary import vocabulary

_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOptions:
    """The fake broker has no options."""


SPEC = BrokerSpec(
    aliases={"memory-1": "memory-1.0.0"},
    topic=NoOptions,
    producer=NoOptions,
    consumer=NoOptions,
    node_counts=(1,),
    topology=lambda cluster, workload: mesh(cluster, workload, ports=("client",), peers=()),
)


SCENARIO = """
version: 1
title: In memory
seed: 1
broker: memory-1
cluster: {nodes: 1}
workload: {producers: 1, consumers: 1, partitions: 2, keys: 4, rate: 100/s, warmup: 300ms, duration: 1200ms, drain: 9s}
faults: %s
expect:
  loss: {messages_max: 0, examined_min: %d}
  order: {}
"""


def memory_plan(faults: str = "[]", examined_min: int = 50) -> Selected:
    """Return a plan for the fake broker, and the text that it was made from."""
    text = SCENARIO % (faults, examined_min)
    words = dataclasses.replace(vocabulary(), brokers={"memory": SPEC})
    (variant,) = variants(load_text(text, "memory.yaml", words))
    return Selected(plan=make_plan(variant), source=text)


class MemoryAdmin:
    """Administration of the fake cluster."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster
        self.closed = False

    async def create_topic(self, plan: Plan) -> None:
        self._cluster.logs[:] = [MemoryLog() for _ in range(plan.workload.partitions)]

    async def leader(self, partition: int = 0) -> str:
        return "n1" if self._cluster.serves else ""

    async def coordinator(self) -> str:
        return ""

    async def group_state(self) -> str:
        return "unknown"

    async def settled(self) -> str:
        return ""

    async def observe(self) -> Sequence[Event]:
        return [LeaderEvent(partition=-1, leader=await self.leader())]

    async def node_ready(self, node: str) -> str:
        return "" if self._cluster.serves else f"{node} does not run"

    async def partitions(self) -> list[PartitionState] | None:
        if not self._cluster.serves:
            raise ControlError("n1 does not run")
        return [
            PartitionState(
                partition=index,
                end_offset=len(log.messages) - 1,
                consumed_offset=log.position - 1,
                pending=len(log.messages) - log.position,
                ack_pending=0,
            )
            for index, log in enumerate(self._cluster.logs)
        ]

    async def audit(self, journal: Journal) -> Sequence[LogExtent]:
        found = []
        for index, log in enumerate(self._cluster.logs):
            contents = read_all(log.messages)
            journal.extend(found_records(RecordKind.STORED, contents, index, range(len(log.messages))))
            last = len(log.messages) - 1
            found.append(
                LogExtent(
                    partition=index,
                    exists=True,
                    first_offset=0 if log.messages else -1,
                    last_offset=last,
                    audit="complete",
                    detail=f"read {last + 1} messages",
                    events=(
                        HeadersEvent(
                            partition=index,
                            read="complete",
                            first_offset=0,
                            end_offset=last + 1,
                            runs=0,
                            detail="messages have no producer",
                        ),
                    ),
                )
            )
        return found

    async def close(self) -> None:
        self.closed = True


class MemoryBroker:
    """The fake broker kind."""

    kind = "memory"
    observe_every_s = 0.1

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster

    def bind(self, plan: Plan) -> BoundBroker:
        facts = Facts(
            partitions=plan.workload.partitions,
            nodes=plan.topology.node_names,
            worker_zones={worker: zone for zone, members in zones(plan.workload).items() for worker in members},
            links={link.name: (link.source, link.target) for link in plan.topology.client_links()},
            settling=Settling(acknowledged=Acknowledged(confirmed=True)),
            detection_bound_ns=_S,
            pause_ns_derived=2 * _S,
        )
        return BoundBroker(
            broker=self,
            plan=plan,
            facts=facts,
            settle_ns=_S // 5,
            leave_ns=_S // 5,
            admin_options={},
            client_environment={"MEMORY_PARTITIONS": str(plan.workload.partitions)},
        )

    def worker_environment(self, library: Installation | None, folder: Path) -> Mapping[str, str]:
        return {}

    def node_specs(self, launch: Launch) -> tuple[NodeSpec, ...]:
        return tuple(
            NodeSpec(name=name, argv=("/nowhere",), files={}, data_dir=launch.run_dir / "nodes" / name)
            for name in launch.plan.topology.node_names
        )

    def admin(self, ports: NodePorts, options: Mapping[str, Any]) -> Admin:
        return MemoryAdmin(self._cluster)

    def probe(self, address: str, *, keep: bool, timeout_s: float = 1.0) -> Probe:
        raise NotImplementedError("the fake monitor asks the fake cluster")


class MemoryParts:
    """Everything of a run in memory; fulfils ``Parts``.

    Attributes:
        cluster: The fake cluster, to misbehave as a test wants.
        workers, monitors, gateways, runtimes: What was made, for tests to look at.
    """

    proof_s = 1.0
    healing_s = 15.0

    def __init__(self, cluster: MemoryCluster | None = None) -> None:
        self.cluster = cluster or MemoryCluster()
        self.workers: list[MemoryWorker] = []
        self.monitors: list[MemoryMonitor] = []
        self.gateways: list[MemoryGateway] = []
        self.runtimes: list[MemoryRuntime] = []

    def broker(self, kind: str) -> MemoryBroker:
        return MemoryBroker(self.cluster)

    async def software(
        self, bound: BoundBroker, runtime: str, listener: Listener, versions: dict[str, str]
    ) -> Binaries:
        versions["memory"] = "1.0.0"
        nothing = Installation(command=(), directory=Path("/nowhere"), versions={})
        return Binaries(broker=nothing, toxiproxy=nothing, libraries={})

    def runtime(
        self,
        kind: str,
        binaries: Binaries,
        site: Site,
        ledger: Ledger,
        ports: Ports,
        abilities: frozenset[MachineAbility],
    ) -> MemoryRuntime:
        self.runtimes.append(MemoryRuntime(self.cluster))
        return self.runtimes[-1]

    def worker(self, spec: WorkerSpec, run_dir: Path, ledger: Ledger, on_change: WorkerChange) -> MemoryWorker:
        self.workers.append(MemoryWorker(spec, self.cluster, on_change))
        return self.workers[-1]

    def application(
        self,
        spec: WorkerSpec,
        setup: Setup,
        run_dir: Path,
        ledger: Ledger,
        on_change: WorkerChange,
        on_trouble: Callable[[str], None],
    ) -> MemoryWorker:
        raise NotImplementedError("the fake's consumers are its own")

    def monitor(self, run_dir: Path, ledger: Ledger, on_death: Callable[[int], None]) -> MemoryMonitor:
        self.monitors.append(MemoryMonitor(self.cluster))
        return self.monitors[-1]

    def gateway(self, zone: str, run_dir: Path, ledger: Ledger, on_death: Callable[[int], None]) -> MemoryGateway:
        self.gateways.append(MemoryGateway(zone, on_death))
        return self.gateways[-1]

    def bypasses(self, topology: Topology, addresses: Addresses, processes: Processes) -> tuple[list[str], set[str]]:
        return [], set(processes.workers)

"""What a plan is expected to take of a machine, from its topology, its rate and its faults: pure, and equal on every
machine.

Owns the model and its constants, which were fitted to recorded runs (docs/suites.md says to which, and how well). What
depends on a kind of broker or fault is declared by it, and never known here by its name.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.clock import NS_PER_S
from harness.faults.base import FAULTS, needs_control
from harness.runtime.abilities import MachineAbility
from harness.scenario.model import DiskSpec, Plan
from harness.scenario.plan import canonical, declared_ns
from harness.scenario.plugins import BROKER_SPECS, BrokerCosts, ProcessCost
from harness.scenario.topology import Topology
from harness.suite_result import Cost

_MS = NS_PER_S // 1_000

_HARNESS_CPU_NS = 1_200 * _MS
"""Of the harness itself: starting, judging, reports."""
_HARNESS_CORES = 0.02
_HARNESS_WALL_NS = 2_200 * _MS
"""Of the same, before the cluster starts and after it is taken down."""
_HARNESS_BYTES = 110_000_000
_MONITOR = ProcessCost(
    start_cpu_ns=250 * _MS, start_ns=300 * _MS, cores=0.01, message_cpu_ns=0, memory_bytes=50_000_000
)
_MONITOR_CORES_PER_NODE = 0.01
_PROXY = ProcessCost(
    start_cpu_ns=100 * _MS, start_ns=100 * _MS, cores=0.01, message_cpu_ns=60_000, memory_bytes=20_000_000
)
_PROXY_CORES_PER_LINK = 0.003
_PROXY_PORTS = 1
_GATEWAY = ProcessCost(
    start_cpu_ns=80 * _MS, start_ns=160 * _MS, cores=0.001, message_cpu_ns=0, memory_bytes=22_000_000
)
"""It starts next to Toxiproxy, and no message goes through it."""

_LONE_RATE_PER_S = 300.0
"""Up to this rate every message costs what its own request costs; of more, some share one."""

_STARTS_AT_ONCE = 0.4
"""By how much of one start's length each further member of a wave makes it longer: they share the machine's CPUs."""
_DRAIN_NS = NS_PER_S
_DRAIN_PART = 20
"""Most runs have drained a second after the end; some need a good part of what is allowed."""
_AUDIT_NS = 500 * _MS
_CONTAINER_START_NS = 700 * _MS
_CONTAINER_CPU_NS = 300 * _MS
"""Of each container, in the engine; it starts nodes of a wave one after the other."""
_CONTAINER_BYTES = 15_000_000

_RECORD_BYTES = 64
_RECORDS_PER_MESSAGE = 3
"""Send, acknowledgement and delivery; the audit writes one for each replica. See docs/history.md."""
_STORED_BYTES = 200
"""What a node keeps of each message in addition to its body: headers, indexes."""
_NODE_BYTES = 3 << 20
_RUN_BYTES = 2 << 20
"""Reports, logs, events, whatever the length of a run."""

CORES_MIN = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lengths:
    """How long parts of a run take, ns.

    Attributes:
        start: Until the cluster serves and workers are connected.
        life: From the start of the cluster until it is taken down.
    """

    start: int
    life: int


def formula(plan: Plan, runtime: str) -> Cost:
    """Return what a plan is expected to take, without having run it.

    Args:
        plan: Any.
        runtime: ``process``, ``docker``, or ``auto``: then as processes, unless the plan names an image.
    """
    # A kind that is not registered runs with parts of its own.
    known = plan.broker_kind in BROKER_SPECS.names()
    costs = BROKER_SPECS.get(plan.broker_kind).costs if known else BrokerCosts()
    containers = in_containers(plan, runtime)
    lengths = _lengths(plan, costs, containers=containers)
    wall_ns = lengths.life + _HARNESS_WALL_NS
    cpu_ns = _cpu_ns(plan, costs, lengths, containers=containers)
    return Cost(
        cores=round(max(CORES_MIN, cpu_ns / wall_ns), 3),
        memory_bytes=_memory_bytes(plan, costs, containers=containers),
        wall_ns=wall_ns,
        disk_bytes=_disk_bytes(plan),
        ports=_ports(plan),
        measures_machine=any(
            kind.measures_machine is not None and kind.measures_machine(fault.options)
            for fault in plan.timeline
            for kind in (FAULTS.get(fault.kind),)
        ),
        source="formula",
        start_ns=lengths.start,
    )


def cost_key(plan: Plan) -> str:
    """Return the SHA-256 (hex) of what decides a plan's cost: equal for plans that differ in words or seeds alone."""
    content = {
        "broker": plan.broker,
        "cluster": canonical(plan.cluster),
        "workload": canonical(plan.workload),
        "timeline": [canonical(fault) for fault in plan.timeline],
    }
    for fault in content["timeline"]:
        for name in ("id", "seed", "targets"):
            del fault[name]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def in_containers(plan: Plan, runtime: str) -> bool:
    """Return whether a plan is expected to run in containers."""
    return runtime == "docker" or (runtime == "auto" and bool(plan.cluster.image))


def shortest_ns(plan: Plan) -> int:
    """Return the least that a run which was carried out to its end can take."""
    return plan.workload.warmup_ns + plan.workload.duration_ns


def _cost_of(name: str, topology: Topology, costs: BrokerCosts) -> ProcessCost:
    return costs.service if name in topology.service_names else costs.node


def _lengths(plan: Plan, costs: BrokerCosts, *, containers: bool) -> _Lengths:
    workload = plan.workload
    start = costs.worker.start_ns
    for wave in plan.topology.waves():
        longest = max(_cost_of(name, plan.topology, costs).start_ns for name in wave)
        start += round(longest * (1 + _STARTS_AT_ONCE * (len(wave) - 1)))
        start += _CONTAINER_START_NS * len(wave) * containers
    drain = min(workload.drain_ns, _DRAIN_NS + workload.drain_ns // _DRAIN_PART)
    declared = declared_ns(plan) - workload.drain_ns
    return _Lengths(start=start, life=start + declared + drain + _AUDIT_NS)


def _cpu_ns(plan: Plan, costs: BrokerCosts, lengths: _Lengths, *, containers: bool) -> float:
    """Return the CPU time of all processes."""
    workload, topology = plan.workload, plan.topology
    workers = workload.producers + workload.consumers
    messages = workload.rate_per_s * shortest_ns(plan) / NS_PER_S
    messages *= math.sqrt(min(1.0, _LONE_RATE_PER_S / workload.rate_per_s))
    copies = messages * plan.cluster.replicas
    nodes, services = len(topology.nodes), len(topology.services)
    used = _HARNESS_CPU_NS + _HARNESS_CORES * lengths.life
    used += _idle_ns(_MONITOR, 1, lengths.life) + _MONITOR_CORES_PER_NODE * nodes * lengths.life
    used += _idle_ns(_PROXY, 1, lengths.life) + _PROXY_CORES_PER_LINK * len(topology.links) * lengths.life
    used += _idle_ns(_GATEWAY, len(topology.gateway_zones()), lengths.life)
    used += _PROXY.message_cpu_ns * (messages + copies)  # in, to every further copy, and out
    used += _idle_ns(costs.node, nodes, lengths.life) + costs.node.message_cpu_ns * copies
    used += _idle_ns(costs.service, services, lengths.life)
    used += _idle_ns(costs.worker, workers, lengths.life) + 2 * costs.worker.message_cpu_ns * messages
    used += _CONTAINER_CPU_NS * (nodes + services + 1) * containers
    return used + _fault_cpu_ns(plan, costs)


def _idle_ns(cost: ProcessCost, count: int, life_ns: int) -> float:
    """Return the CPU time of so many processes that have nothing to do."""
    return count * (cost.start_cpu_ns + cost.cores * life_ns)


def _fault_cpu_ns(plan: Plan, costs: BrokerCosts) -> float:
    """Return what faults add: processes that are started again, and loads."""
    used = 0.0
    for fault in plan.timeline:
        count, kind = max(1, len(fault.targets)), FAULTS.get(fault.kind)
        if fault.takes_node_down:
            used += costs.node.start_cpu_ns * count
        used += costs.worker.start_cpu_ns * fault.departures // 2
        if kind.extra_cores is not None:
            used += kind.extra_cores(fault.options) * count * (fault.until_ns - fault.at_ns)
    return used


def _memory_bytes(plan: Plan, costs: BrokerCosts, *, containers: bool) -> int:
    topology, workload = plan.topology, plan.workload
    members = [_cost_of(member.name, topology, costs).memory_bytes for member in topology.members]
    workers = (workload.producers + workload.consumers) * costs.worker.memory_bytes
    engine = _CONTAINER_BYTES * (len(members) + 1) * containers
    gateways = len(topology.gateway_zones()) * _GATEWAY.memory_bytes
    return sum(members) + workers + engine + gateways + _HARNESS_BYTES + _MONITOR.memory_bytes + _PROXY.memory_bytes


def _disk_bytes(plan: Plan) -> int:
    """Return the size of the disks of all nodes, or what nodes write where they share the machine's, and the rest."""
    workload, nodes = plan.workload, len(plan.topology.members)
    messages = round(workload.rate_per_s * shortest_ns(plan) / NS_PER_S)
    history = messages * (_RECORDS_PER_MESSAGE + plan.cluster.replicas) * _RECORD_BYTES
    disk = _disk(plan)
    if disk is not None:
        return history + _RUN_BYTES + len(plan.topology.nodes) * disk.size_bytes
    stored = messages * plan.cluster.replicas * (workload.payload_bytes + _STORED_BYTES)
    return history + _RUN_BYTES + stored + nodes * _NODE_BYTES


def _disk(plan: Plan) -> DiskSpec | None:
    """Return the disk of each node, as the engine will make it; None where it makes none."""
    needed: Sequence[MachineAbility] = [
        ability for fault in plan.timeline for ability in FAULTS.get(fault.kind).machine
    ]
    return plan.cluster.disk or (DiskSpec() if MachineAbility.DISK in needed else None)


def _ports(plan: Plan) -> int:
    """Return on how many ports a run listens: its members, the proxies of its links and control paths, gateways, and
    Toxiproxy's own.
    """
    topology = plan.topology
    members = sum(len(member.ports) for member in topology.members)
    members += len(topology.members) * needs_control(plan.timeline)
    return members + sum(len(link.channels) + link.gateway for link in topology.links) + _PROXY_PORTS

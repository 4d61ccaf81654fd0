"""What a third party's fault may import: the protocol, how a fault lasts, and what evidence rests on."""

from __future__ import annotations

from harness.clock import monotonic_ns
from harness.errors import ControlError, HarnessError, StartError
from harness.faults.base import (
    FAULTS,
    Evidence,
    ExtraProbe,
    Fault,
    FaultContext,
    FaultKind,
    FaultLeaders,
    FaultTopic,
    FaultWorker,
    ProbeView,
    Sample,
    TouchesOthers,
)
from harness.faults.kit.evidence import baseline, interrupted, median_ns, reachable, recovered, sentence
from harness.faults.kit.freeze import Freeze
from harness.faults.kit.interference import Interference, Interfering
from harness.faults.kit.lifetime import FaultSpan, HealingFault, OneOffFault
from harness.faults.kit.node_life import NodeLife, NodeLives, NodesDown
from harness.faults.kit.outages import Outages
from harness.faults.kit.silence import SilentLinks
from harness.faults.kit.slowness import longer, slowed
from harness.faults.kit.toxics import LinkFault, LinkToxic
from harness.faults.kit.worker_exit import WorkerExit
from harness.runtime.abilities import MachineAbility
from harness.runtime.base import CpuUse, Identity, Link, MemoryUse
from harness.runtime.contract import ProxyControl, RunNode
from harness.scenario.abilities import BrokerAbility
from harness.scenario.model import Cluster, PlannedFault, Target, Workload
from harness.scenario.plugins import FaultPlace, FaultSpec, Refusal
from harness.units import Bytes, Duration, Rate, Ratio, format_ns

__all__ = [
    "FAULTS",
    "BrokerAbility",
    "Bytes",
    "Cluster",
    "ControlError",
    "CpuUse",
    "Duration",
    "Evidence",
    "ExtraProbe",
    "Fault",
    "FaultContext",
    "FaultKind",
    "FaultLeaders",
    "FaultPlace",
    "FaultSpan",
    "FaultSpec",
    "FaultTopic",
    "FaultWorker",
    "Freeze",
    "HarnessError",
    "HealingFault",
    "Identity",
    "Interference",
    "Interfering",
    "Link",
    "LinkFault",
    "LinkToxic",
    "MachineAbility",
    "MemoryUse",
    "NodeLife",
    "NodeLives",
    "NodesDown",
    "OneOffFault",
    "Outages",
    "PlannedFault",
    "ProbeView",
    "ProxyControl",
    "Rate",
    "Ratio",
    "Refusal",
    "RunNode",
    "Sample",
    "SilentLinks",
    "StartError",
    "Target",
    "TouchesOthers",
    "WorkerExit",
    "Workload",
    "baseline",
    "format_ns",
    "interrupted",
    "longer",
    "median_ns",
    "monotonic_ns",
    "reachable",
    "recovered",
    "sentence",
    "slowed",
]

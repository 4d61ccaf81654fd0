"""What third parties may import is fixed here, name by name: a change of it is a change of what plug-ins rely on."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path

import pytest
from support.worker_modules import BEYOND_A_WORKER, modules_after

EXPORTS = {
    "broker": """
        Acknowledged Addresses Admin BROKERS BROKER_SPECS BatchesEvent BoundBroker Broker BrokerAbility BrokerCosts
        BrokerSpec Build BuildContext BuildResult Cache CachedEntry Channel ChannelSpec Client Cluster ConnectionProbe
        Content Contents
        ControlError CountingConnection DISTRIBUTIONS DeadLettersEvent DistributionKind DownloadError Event Facts Flag
        GoModule GroupEvent
        GroupFacts GroupMember HarnessError HeadersEvent IMAGES ImageKind Installation JavaImage JavaLine JavaRange
        JavaSoftware
        Journal Launch LeaderEvent Leadership Link LinkSpec LockEvent LogExtent Member Need NodePorts NodeSpec
        OfficialJavaImage OffsetsEvent OutputsEvent PartitionState Plan PlannedFault PositionsEvent Probe
        ProcessCost Progress
        PythonPackage
        RECORD_DTYPE RecordKind Refusal RefusedError Removals ReplicaEvent Settling SpeaksFurther StartError StaticImage
        Topology UnfitEnvironmentError Workload decode decode_all format_ns found_records mesh monotonic_ns read
        read_all require_version worker_names zones
    """,
    "check": """
        AssignEvent AuthorityEvent BlockedEvent Bytes CHECKS Check CheckResult DeadLettersEvent Default DrainEvent
        Duration ErrorEvent Event Facts Finding Flag GroupEvent History LeaderEvent Limit LockEvent LostEvent
        Measure Operation Outcome OutputsEvent PhaseEvent PollingEvent
        Rate Ratio RecordKind ResultBuilder RevokeEvent Verdict WorkerEvent capped excused format_ns has_limit
        is_given metric_name or_default plural with_defaults
    """,
    "client": """
        AssignEvent Batch BlockedEvent Bytes CLIENTS Contents Control ControlError Counters DeliveryRecorder Duration
        ErrorCollapse EventLog GATEWAYS Gateway Generator Handler HarnessError LockEvent LostEvent Outcome PollingEvent
        Rate Ratio RecordingError Records ReferenceClient RevokeEvent Rewriter SendRecorder Session StartError
        StatsEvent TransactionRecorder WorkerSpec decode decode_all deliveries encode encode_all format_ns monotonic_ns
        positions read read_all write_schedule
    """,
    "fault": """
        BrokerAbility Bytes Cluster ControlError CpuUse Duration Evidence ExtraProbe FAULTS Fault FaultContext
        FaultKind FaultLeaders FaultPlace FaultSpan FaultSpec FaultTopic FaultWorker Freeze HarnessError
        HealingFault Identity Interference Interfering Link LinkFault LinkToxic MachineAbility MemoryUse
        NodeLife NodeLives NodesDown OneOffFault Outages PlannedFault ProbeView ProxyControl Rate Ratio Refusal
        RunNode Sample SilentLinks
        StartError Target TouchesOthers WorkerExit Workload baseline format_ns interrupted longer median_ns
        monotonic_ns reachable recovered sentence slowed
    """,
}

THIRD_PARTY = Path(__file__).parents[2] / "third_party" / "tinylog_chaos"


@pytest.mark.parametrize("module", EXPORTS)
def test_each_module_exports_exactly_these_names(module: str) -> None:
    found = importlib.import_module(f"harness.plugin_api.{module}")
    assert sorted(found.__all__) == sorted(EXPORTS[module].split())
    assert all(hasattr(found, name) for name in found.__all__)


def test_there_are_no_other_modules() -> None:
    package = importlib.import_module("harness.plugin_api")
    assert {path.stem for path in Path(package.__path__[0]).glob("*.py")} == {"__init__", *EXPORTS}


def test_what_a_worker_imports_brings_nothing_beyond_it() -> None:
    assert not [name for name in modules_after("import harness.plugin_api.client") if BEYOND_A_WORKER.match(name)]


@pytest.mark.parametrize("path", sorted(THIRD_PARTY.glob("*.py")), ids=lambda path: path.stem)
def test_the_third_party_of_the_tests_imports_nothing_else_of_the_harness(path: Path) -> None:
    allowed = {f"harness.plugin_api.{name}" for name in EXPORTS} | {"numpy"}
    imported: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    other = {name for name in imported if name.split(".")[0] not in {*sys.stdlib_module_names, THIRD_PARTY.name}}
    assert other <= allowed

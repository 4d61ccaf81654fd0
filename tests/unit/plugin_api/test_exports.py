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
        Content
        ControlError CountingConnection DISTRIBUTIONS DistributionKind DownloadError Event Facts GoModule GroupEvent
        GroupFacts GroupMember HarnessError HeadersEvent IMAGES ImageKind Installation JavaImage JavaLine JavaRange
        JavaSoftware
        Journal Launch LeaderEvent Leadership Link LinkSpec LogExtent Member Need NodePorts NodeSpec
        OfficialJavaImage OffsetsEvent PartitionState Plan PlannedFault Probe ProcessCost Progress PythonPackage
        RECORD_DTYPE RecordKind Refusal RefusedError Settling StartError StaticImage Topology UnfitEnvironmentError
        Workload decode decode_all format_ns mesh monotonic_ns require_version worker_names zones
    """,
    "check": """
        AssignEvent AuthorityEvent BlockedEvent Bytes CHECKS Check CheckResult DrainEvent Duration ErrorEvent Event
        Finding Flag GroupEvent History LeaderEvent Limit LostEvent Measure Operation Outcome PhaseEvent PollingEvent
        Rate Ratio RecordKind ResultBuilder RevokeEvent Verdict WorkerEvent capped excused format_ns has_limit
        metric_name or_default plural
    """,
    "client": """
        AssignEvent Batch BlockedEvent Bytes CLIENTS Control ControlError Counters DeliveryRecorder Duration
        ErrorCollapse EventLog Generator Handler HarnessError LostEvent Outcome PollingEvent Rate Ratio RecordingError
        Records ReferenceClient RevokeEvent SendRecorder Session StartError StatsEvent WorkerSpec decode decode_all
        deliveries encode encode_all format_ns monotonic_ns positions
    """,
    "fault": """
        BrokerAbility Bytes Cluster ControlError CpuUse Duration Evidence ExtraProbe FAULTS Fault FaultContext
        FaultKind FaultLeaders FaultPlace FaultSpan FaultSpec FaultTopic FaultWorker Freeze HarnessError
        HealingFault Identity Link LinkFault LinkToxic MachineAbility MemoryUse NodeLife NodeLives NodesDown
        OneOffFault Outages PlannedFault ProbeView ProxyControl Rate Ratio Refusal RunNode Sample SilentLinks
        StartError Target WorkerExit Workload baseline format_ns interrupted median_ns monotonic_ns reachable
        recovered sentence slowed
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

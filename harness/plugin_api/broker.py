"""What a third party's broker may import: specification, administration, probe, facts, and its software as files and as
an image.

Its client, and the options that the client reads, import ``client`` instead: a worker loads nothing of this.
"""

from __future__ import annotations

from harness.brokers.base import (
    BROKERS,
    Addresses,
    Admin,
    BoundBroker,
    Broker,
    Launch,
    Leadership,
    LogExtent,
    NodePorts,
    PartitionState,
    Probe,
    SpeaksFurther,
)
from harness.brokers.connection import CountingConnection
from harness.brokers.probe import ConnectionProbe
from harness.clients.batches import found_records
from harness.clients.payload import Contents, decode, decode_all, read, read_all
from harness.clock import monotonic_ns
from harness.distributions.base import DISTRIBUTIONS, DistributionKind, Installation, Progress
from harness.distributions.cache import BuildContext, BuildResult, Cache, CachedEntry
from harness.distributions.go_modules import GoModule
from harness.distributions.image_java import JavaImage, OfficialJavaImage
from harness.distributions.image_official import require_version
from harness.distributions.image_static import StaticImage
from harness.distributions.images import IMAGES, Build, Content, ImageKind
from harness.distributions.java import JavaRange
from harness.distributions.java_software import JavaLine, JavaSoftware
from harness.distributions.python_packages import PythonPackage
from harness.distributions.toolchains import Need
from harness.errors import ControlError, DownloadError, HarnessError, RefusedError, StartError, UnfitEnvironmentError
from harness.history.events import (
    BatchesEvent,
    DeadLettersEvent,
    Event,
    GroupEvent,
    GroupMember,
    HeadersEvent,
    LeaderEvent,
    LockEvent,
    OffsetsEvent,
    OutputsEvent,
    PositionsEvent,
    ReplicaEvent,
)
from harness.history.facts import Acknowledged, Facts, GroupFacts, Removals, Settling
from harness.history.record import RECORD_DTYPE, Flag, Journal, RecordKind
from harness.runtime.base import Channel, Link, NodeSpec
from harness.runtime.docker.engine import Client
from harness.scenario.abilities import BrokerAbility
from harness.scenario.members import worker_names, zones
from harness.scenario.mesh import mesh
from harness.scenario.model import Cluster, Plan, PlannedFault, Workload
from harness.scenario.plugins import BROKER_SPECS, BrokerCosts, BrokerSpec, ProcessCost, Refusal
from harness.scenario.topology import ChannelSpec, LinkSpec, Member, Topology
from harness.units import format_ns

__all__ = [
    "BROKERS",
    "BROKER_SPECS",
    "DISTRIBUTIONS",
    "IMAGES",
    "RECORD_DTYPE",
    "Acknowledged",
    "Addresses",
    "Admin",
    "BatchesEvent",
    "BoundBroker",
    "Broker",
    "BrokerAbility",
    "BrokerCosts",
    "BrokerSpec",
    "Build",
    "BuildContext",
    "BuildResult",
    "Cache",
    "CachedEntry",
    "Channel",
    "ChannelSpec",
    "Client",
    "Cluster",
    "ConnectionProbe",
    "Content",
    "Contents",
    "ControlError",
    "CountingConnection",
    "DeadLettersEvent",
    "DistributionKind",
    "DownloadError",
    "Event",
    "Facts",
    "Flag",
    "GoModule",
    "GroupEvent",
    "GroupFacts",
    "GroupMember",
    "HarnessError",
    "HeadersEvent",
    "ImageKind",
    "Installation",
    "JavaImage",
    "JavaLine",
    "JavaRange",
    "JavaSoftware",
    "Journal",
    "Launch",
    "LeaderEvent",
    "Leadership",
    "Link",
    "LinkSpec",
    "LockEvent",
    "LogExtent",
    "Member",
    "Need",
    "NodePorts",
    "NodeSpec",
    "OfficialJavaImage",
    "OffsetsEvent",
    "OutputsEvent",
    "PartitionState",
    "Plan",
    "PlannedFault",
    "PositionsEvent",
    "Probe",
    "ProcessCost",
    "Progress",
    "PythonPackage",
    "RecordKind",
    "Refusal",
    "RefusedError",
    "Removals",
    "ReplicaEvent",
    "Settling",
    "SpeaksFurther",
    "StartError",
    "StaticImage",
    "Topology",
    "UnfitEnvironmentError",
    "Workload",
    "decode",
    "decode_all",
    "format_ns",
    "found_records",
    "mesh",
    "monotonic_ns",
    "read",
    "read_all",
    "require_version",
    "worker_names",
    "zones",
]

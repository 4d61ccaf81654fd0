"""What a third party's reference client, and its options, may import. Brings no administration, fault, check or
container.

A client records through ``SendRecorder`` and ``DeliveryRecorder``, which hold the rules of recording: a send before
its first attempt, and once when it is settled; a delivery before its handler; the handler's end before the
acknowledgement.
"""

from __future__ import annotations

from harness.clients.base import CLIENTS, Control, Counters, ErrorCollapse, ReferenceClient, Session, WorkerSpec
from harness.clients.gateway import GATEWAYS, Gateway, Rewriter
from harness.clients.generator import Generator
from harness.clients.handler import Handler
from harness.clients.payload import Contents, decode, decode_all, encode, encode_all, read, read_all
from harness.clients.recording import (
    Batch,
    DeliveryRecorder,
    RecordingError,
    Records,
    SendRecorder,
    deliveries,
    positions,
)
from harness.clients.schedule import write_schedule
from harness.clients.transactions import TransactionRecorder
from harness.clock import monotonic_ns
from harness.errors import ControlError, HarnessError, StartError
from harness.history.events import (
    AssignEvent,
    BlockedEvent,
    LockEvent,
    LostEvent,
    PollingEvent,
    RevokeEvent,
    StatsEvent,
)
from harness.history.record import EventLog, Outcome
from harness.units import Bytes, Duration, Rate, Ratio, format_ns

__all__ = [
    "CLIENTS",
    "GATEWAYS",
    "AssignEvent",
    "Batch",
    "BlockedEvent",
    "Bytes",
    "Contents",
    "Control",
    "ControlError",
    "Counters",
    "DeliveryRecorder",
    "Duration",
    "ErrorCollapse",
    "EventLog",
    "Gateway",
    "Generator",
    "Handler",
    "HarnessError",
    "LockEvent",
    "LostEvent",
    "Outcome",
    "PollingEvent",
    "Rate",
    "Ratio",
    "RecordingError",
    "Records",
    "ReferenceClient",
    "RevokeEvent",
    "Rewriter",
    "SendRecorder",
    "Session",
    "StartError",
    "StatsEvent",
    "TransactionRecorder",
    "WorkerSpec",
    "decode",
    "decode_all",
    "deliveries",
    "encode",
    "encode_all",
    "format_ns",
    "monotonic_ns",
    "positions",
    "read",
    "read_all",
    "write_schedule",
]

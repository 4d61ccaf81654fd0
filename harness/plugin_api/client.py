"""What a third party's reference client, and its options, may import. Brings no administration, fault, check or
container.

A client records by the rules of ``harness/history/record.py``: a send before its first attempt, and once when it is
settled; a delivery before its handler; the handler's end before the acknowledgement.
"""

from __future__ import annotations

from harness.clients.base import CLIENTS, Control, Counters, ErrorCollapse, ReferenceClient, Session, WorkerSpec
from harness.clients.generator import Generator
from harness.clients.handler import Handler
from harness.clients.payload import decode, decode_all, encode, encode_all
from harness.clock import monotonic_ns
from harness.errors import ControlError, HarnessError, StartError
from harness.history.events import AssignEvent, BlockedEvent, LostEvent, PollingEvent, RevokeEvent, StatsEvent
from harness.history.record import RECORD_DTYPE, EventLog, Flag, Journal, Outcome, RecordKind
from harness.units import Bytes, Duration, Rate, Ratio, format_ns

__all__ = [
    "CLIENTS",
    "RECORD_DTYPE",
    "AssignEvent",
    "BlockedEvent",
    "Bytes",
    "Control",
    "ControlError",
    "Counters",
    "Duration",
    "ErrorCollapse",
    "EventLog",
    "Flag",
    "Generator",
    "Handler",
    "HarnessError",
    "Journal",
    "LostEvent",
    "Outcome",
    "PollingEvent",
    "Rate",
    "Ratio",
    "RecordKind",
    "ReferenceClient",
    "RevokeEvent",
    "Session",
    "StartError",
    "StatsEvent",
    "WorkerSpec",
    "decode",
    "decode_all",
    "encode",
    "encode_all",
    "format_ns",
    "monotonic_ns",
]

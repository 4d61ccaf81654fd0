"""Events of versions 1 and 2, as run directories recorded before hold them: their fields in the form of today.

Owns what was left unsaid then. What a fault does was known by its kind alone: this is the one place that knows kinds of
faults by name, and only those of that time. Must never be asked of an event of today's version.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from harness.history.events import Event, EvidenceEvent, FaultEvent, GroupEvent, OwnershipEvent

VERSION: Final = 1

_NODE_DOWN: Final = MappingProxyType({"takes_node_down": True})
_NOTHING: Final[Mapping[str, bool | int]] = MappingProxyType({})

OLD_FAULT_KINDS: Final[Mapping[str, Mapping[str, bool | int]]] = {
    "add_partitions": _NOTHING,
    "bandwidth": _NOTHING,
    "blackhole": _NOTHING,
    "client_block": {"holds_handler": True},
    "client_join": {"joins": True, "departures": 1},
    "client_kill": {"silences": True, "departures": 2},
    "client_leave": {"departures": 2},
    "client_pause": {"silences": True},
    "client_slow": _NOTHING,
    "cpu": _NOTHING,
    "disconnect": _NOTHING,
    "disk_full": _NODE_DOWN,
    "kill": _NODE_DOWN,
    "latency": _NOTHING,
    "limit_data": _NOTHING,
    "memory": _NODE_DOWN,
    "move_leader": _NOTHING,
    "partition": _NODE_DOWN,
    "pause": _NODE_DOWN,
    "power_loss": _NODE_DOWN,
    "reset": _NOTHING,
    "restart": _NODE_DOWN,
    "slicer": _NOTHING,
    "slow_close": _NOTHING,
    "stall": _NOTHING,
    "stop": _NODE_DOWN,
}
"""Kind of a fault → what of its effects is not false or 0. A kind that is not named came from elsewhere: of it nothing
is known.
"""

_EFFECTS: Final = {
    "takes_node_down": False,
    "silences": False,
    "holds_handler": False,
    "joins": False,
    "departures": 0,
}

_LATER: Final = frozenset({*_EFFECTS, "whole", "lacks"})
"""Fields that version 1 had not: a line with one of them has lost its version."""

_ABSENT: Final[Mapping[str, Any]] = {
    "targets": [],
    "nodes": [],
    "workers": [],
    "planned_ns": 0,
    "detail": "",
    "incarnation": 0,
    "role": "consumer",
    "exit": None,
    "planned": True,
    "partition": -1,
    "partitions": None,
    "start": [],
    "generation": -1,
    "leader": "",
    "state": "unknown",
    "coordinator": "",
    "members": None,
    "count": 1,
    "end_offset": -1,
    "consumed_offset": -1,
    "first_offset": -1,
    "last_offset": -1,
    "pending": 0,
    "ack_pending": 0,
    "exists": True,
    "audit": "none",
}
"""Field → what readers took it for where it was absent."""


def translated(kind: type[Event], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an event of version 1 in the form of today; what it cannot have had is left as it is.

    Raises:
        ValueError: It has a field that only the form of today has.
    """
    if later := sorted(_LATER & given.keys()):
        raise ValueError(f"it has {', '.join(later)}, which version {VERSION} had not")
    fields = translated_2(kind, given)
    if issubclass(kind, FaultEvent):
        fields |= {**_EFFECTS, **OLD_FAULT_KINDS.get(str(fields.get("fault_kind")), _NOTHING)}
    elif issubclass(kind, OwnershipEvent):
        protocol = fields.pop("protocol", None)
        fields["whole"] = None if protocol is None else protocol == "eager"
    elif issubclass(kind, GroupEvent):
        fields.setdefault("asked_ns", fields.get("t"))
        fields["members"] = _members(fields.get("members"))
    for field in dataclasses.fields(kind):
        if field.name in _ABSENT:
            fields.setdefault(field.name, _ABSENT[field.name])
    return fields


def translated_2(kind: type[Event], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an event of version 2 in the form of today.

    Raises:
        ValueError: It has a field that only the form of today has.
    """
    if not issubclass(kind, EvidenceEvent):
        return dict(given)
    if "lacks" in given:
        raise ValueError("it has lacks, which version 2 had not")
    return {**given, "lacks": ""}


def _members(told: Any) -> Any:
    if not isinstance(told, list):
        return told
    unsaid = {"worker": "", "member": "", "partitions": []}
    return [unsaid | member if isinstance(member, dict) else member for member in told]

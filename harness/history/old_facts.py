"""Facts as the version before wrote them (a ``facts.json`` without ``version``), translated into the present form.

Owns what that form meant: which protocol of a group had which states, and how deliveries were settled. Must never be
asked about the present form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_SETTLED: Final = {"stable": "settled", "empty": "empty", "dead": "gone"}
_STATES: Final[Mapping[str, Mapping[str, str]]] = {
    "classic": {"preparing_rebalance": "rebalancing", "completing_rebalance": "rebalancing", **_SETTLED},
    "consumer": {"assigning": "rebalancing", "reconciling": "rebalancing", **_SETTLED},
}
"""Protocol of a group → state → what it means."""

_MOVED: Final = (
    "ack_policy",
    "ack_when",
    "acks_confirmed",
    "ack_wait_ns",
    "commits",
    "group_protocol",
    "eager",
    "session_timeout_ns",
    "rebalance_timeout_ns",
)
"""Keys that the present form has elsewhere."""


def translate(old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the present form of facts; raises ValueError for a protocol that the old form did not have.

    Early files lack keys that came later; they had the defaults given here.
    """
    new = {name: value for name, value in old.items() if name not in _MOVED}
    new["settling"] = _settling(old)
    new["group"] = _group(old)
    return new


def _settling(old: Mapping[str, Any]) -> dict[str, Any]:
    """Positions, where there were any, decided alone: what was said of acknowledgements had no meaning then."""
    positions = bool(old.get("commits", False))
    one_by_one = not positions and old.get("ack_policy", "explicit") == "explicit"
    acknowledged = {
        "confirmed": old.get("acks_confirmed", False),
        "wait_ns": old.get("ack_wait_ns", 30_000_000_000),
    }
    return {
        "acknowledged": acknowledged if one_by_one else None,
        "positions": positions,
        "when": old.get("ack_when", "after"),
    }


def _group(old: Mapping[str, Any]) -> dict[str, Any] | None:
    protocol = old.get("group_protocol", "")
    if not protocol:
        return None
    if protocol not in _STATES:
        raise ValueError(f"it names a group protocol {protocol!r}, which never was")
    eager = bool(old.get("eager", False))
    return {
        "states": dict(_STATES[protocol]),
        "rounds_per_change": 2 if protocol == "classic" and not eager else 1,
        "eager": eager,
        "session_timeout_ns": old.get("session_timeout_ns", 0),
        "rebalance_timeout_ns": old.get("rebalance_timeout_ns", 0),
    }

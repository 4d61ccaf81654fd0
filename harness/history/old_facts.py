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
    """Return the present form of facts; values are left for its reader to refuse.

    Early files lack keys that came later; they had the defaults given here.

    Raises:
        ValueError: A word that the old form did not have, or a part that only the present form has.
    """
    if later := [name for name in ("settling", "group") if name in old]:
        raise ValueError(f"it has {' and '.join(later)}, which its version had not")
    new = {name: value for name, value in old.items() if name not in _MOVED}
    new["settling"] = _settling(old)
    new["group"] = _group(old)
    return new


def _settling(old: Mapping[str, Any]) -> dict[str, Any]:
    """Return how deliveries were settled: positions, where there were any, decided alone."""
    positions, policy = old.get("commits", False), old.get("ack_policy", "explicit")
    if policy not in ("explicit", "none"):
        raise ValueError(f"ack_policy: {policy!r} is none of explicit, none")
    one_by_one = not positions and policy == "explicit"
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
    if protocol == "":
        return None
    if not isinstance(protocol, str) or protocol not in _STATES:
        raise ValueError(f"it names a group protocol {protocol!r}, which never existed")
    eager = old.get("eager", False)
    return {
        "states": dict(_STATES[protocol]),
        "rounds_per_change": 2 if protocol == "classic" and not eager else 1,
        "eager": eager,
        "session_timeout_ns": old.get("session_timeout_ns", 0),
        "rebalance_timeout_ns": old.get("rebalance_timeout_ns", 0),
    }

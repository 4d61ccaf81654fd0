"""Facts as earlier versions wrote them, translated into the present form.

Owns what those forms meant. In the first (a ``facts.json`` without ``version``), which protocol of a group had which
states, and how deliveries were settled; in the later ones, what they left unsaid. Must never be asked about the
present form.
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

_LATER: Final[Mapping[str, Any]] = {"threads_per_partition": 0, "dead_letters": False, "delay_early_ns": 0}
"""What version 2 had not → what was so then."""

_LATER_THAN_5: Final[Mapping[str, Any]] = {"shows": "", "fixed_owners": {}}

_LATER_OF_GROUP: Final[Mapping[str, Any]] = {"notice_ns": 0, "lock_ns": 0}

_LATER_THAN_3: Final[Mapping[str, Any]] = {
    "planned_end_ns": 0,
    "first_fault_ns": 0,
    "sends_acknowledged": True,
    "accept_ns_derived": 0,
    "accept_formula": "",
    "transaction_ns": 0,
    "aborts_on_purpose": False,
    "refusals": [],
    "limits_ns_derived": {},
    "limits_formulas": {},
    # Nothing was known of it, so the checks take what excuses most.
    "removals": None,
    "attempts_max": 0,
    "first_offset": -1,
    "starts_at": "",
    "reads_copy": False,
    "one_log": False,
    "fixed_partitions": False,
    "isolation": "",
    "outputs": False,
    "open_transaction_ns": 0,
    "late_redelivery": "",
    "removal": "",
}
"""What version 3 had not → what was so then."""

_LATER_THAN_3_OF_ACKNOWLEDGED: Final[Mapping[str, Any]] = {"pending_max": 0, "asked_max": 0}

_LATER_OF_REMOVALS: Final[Mapping[str, Any]] = {
    "message_bytes_min": 0,
    "message_bytes_max": 0,
    "names_in_bytes": False,
}

_LATE: Final = "max_ack_pending above 1: "

_NO_ANSWERS: Final = "acks none: sends are never acknowledged"


def translate_2(old: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts of version 2 in the form of version 3; values are left for its reader to refuse.

    Raises:
        ValueError: It has a field that only a later form has.
    """
    group = old.get("group")
    new = {**old, "group": _with(group, _LATER_OF_GROUP)} if isinstance(group, Mapping) else old
    return _with(new, _LATER)


def _with(old: Mapping[str, Any], unsaid: Mapping[str, Any]) -> dict[str, Any]:
    if later := sorted(old.keys() & unsaid.keys()):
        raise ValueError(f"it has {' and '.join(later)}, which its version had not")
    return {**old, **unsaid}


def translate_3(old: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts of version 3 in the form of 4, which said among ``allowed`` alone that sends have no answers.

    Raises:
        ValueError: It has a field that only a later form has.
    """
    new = dict(old)
    settling = old.get("settling")
    if isinstance(settling, Mapping) and isinstance(acknowledged := settling.get("acknowledged"), Mapping):
        new["settling"] = {**settling, "acknowledged": _with(acknowledged, _LATER_THAN_3_OF_ACKNOWLEDGED)}
    unsaid = {"sends_acknowledged": _answered(old), "late_redelivery": _late_redelivery(old)}
    return _with(new, {**_LATER_THAN_3, **unsaid})


def translate_4(old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the present form of facts of version 4, which did not say how many bytes a message takes.

    Raises:
        ValueError: It has a field that only the present form has.
    """
    removals = old.get("removals")
    return {**old, "removals": _with(removals, _LATER_OF_REMOVALS)} if isinstance(removals, Mapping) else dict(old)


def translate_5(old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the present form of facts of version 5, which did not say what consumers show of their work.

    Raises:
        ValueError: It has a field that only the present form has.
    """
    return _with(old, _LATER_THAN_5)


def _late_redelivery(old: Mapping[str, Any]) -> str:
    """Return what lets a redelivery come late, of facts that said it among ``allowed`` alone."""
    allowed = old.get("allowed")
    said = [str(text) for text in allowed] if isinstance(allowed, list) else []
    return next((text for text in said if text.startswith(_LATE)), "")


def _answered(old: Mapping[str, Any]) -> bool:
    """Return whether sends have answers, of facts that said it among ``allowed`` alone."""
    allowed = old.get("allowed")
    return not (isinstance(allowed, list) and any(str(text).startswith(_NO_ANSWERS) for text in allowed))


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
    return {"sends_acknowledged": _answered(old)} | new


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

"""``when``: the state at which a fault is applied, read, checked against what there is, and put into words.

Owns the words of ``when`` and the comparisons in it. Never knows how a state is watched.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from harness.errors import Location, nearest
from harness.scenario.abilities import BrokerAbility
from harness.scenario.application import shown_by
from harness.scenario.model import Trigger
from harness.scenario.nodes import child, key_at, value_at
from harness.scenario.quantity import exact
from harness.scenario.reader import INVALID, NodeReader
from harness.scenario.target import TargetField
from harness.scenario.tree import Node
from harness.units import DURATION

KINDS: Final = ("group", "leader_of", "backlog", "processed", "after")
"""What can be waited for; exactly one of them is written."""

MOVED: Final = "moved"
NO_LEADER: Final = "none"
BOUND_PATTERN: Final = r"^(>=|<=|>|<)\s*([0-9]{1,15})$"

_CIRCLE_SHOWN_MAX: Final = 8

_COMPARE: Final[Mapping[str, Callable[[int, int], bool]]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def read_trigger(node: Node, path: str, place: TargetField | None, reader: NodeReader) -> Trigger | None:
    """Return the trigger as written when it can come true here; otherwise report and return None.

    Whether a fault of the id in ``after`` exists is for the caller to check.
    """
    before = len(reader.problems)
    values = reader.fields(node, Trigger, path)
    if values is None or INVALID in values.values() or len(reader.problems) > before:
        return None
    given = [kind for kind in KINDS if values[kind] not in (None, "")]
    if not given:
        reader.add(node.at, f"{path} names no state", f"one of {', '.join(KINDS)}")
        return None
    if len(given) > 1:
        reader.add(key_at(node, given[-1]), f"{path} waits for one state, not for {' and '.join(given)}", "keep one")
        return None
    (kind,) = given
    if values["is_"] and kind != "leader_of":
        reader.add(key_at(node, "is"), f"{path}: 'is' goes with leader_of, not with {kind}", "leave 'is' out")
        return None
    if kind in ("backlog", "processed"):
        values[kind] = _bound(node, kind, str(values[kind]), path, reader)
        if place is not None and shown_by(place.workload.consumer) == "commits":
            message = f"{path}.{kind}: an application that shows commits does not say what it has processed"
            reader.add(key_at(node, kind), message, "give a time: at: 5s; or wait for group, leader_of or after")
    elif kind == "leader_of":
        values["is_"] = values["is_"] or MOVED
    if place is not None and kind == "group":
        _check_group(node, str(values[kind]), path, place, reader)
    elif place is not None and kind == "leader_of":
        _check_leader(node, values, place, reader)
    return Trigger(**values) if len(reader.problems) == before else None


def holds(bound: str, value: int) -> bool:
    """Return whether a value meets a comparison (``> 1000``)."""
    match = re.match(BOUND_PATTERN, bound)
    return match is not None and _COMPARE[match[1]](value, int(match[2]))


def in_words(trigger: Trigger, *, deadline: bool = True) -> str:
    """Return ``when the group is stable, 500ms later, within 10s``; without its deadline if so wanted."""
    if trigger.group:
        text = f"when the group is {trigger.group}"
    elif trigger.leader_of is not None:
        text = {
            MOVED: f"when the leader of partition {trigger.leader_of} has moved",
            NO_LEADER: f"when partition {trigger.leader_of} has no leader",
        }.get(trigger.is_, f"when {trigger.is_} leads partition {trigger.leader_of}")
    elif trigger.backlog:
        text = f"when the backlog is {trigger.backlog}"
    elif trigger.processed:
        text = f"when processed messages are {trigger.processed}"
    else:
        text = f"after {trigger.after} is healed"
    later = f", {exact(DURATION, trigger.delay_ns)} later" if trigger.delay_ns else ""
    return text + later + (f", within {exact(DURATION, trigger.within_ns)}" if deadline else "")


def check_after(at: Location, entry_id: str, after: Mapping[str, str], ids: Sequence[str], reader: NodeReader) -> bool:
    """Return whether what a fault waits for exists and does not wait for it in turn; report when not.

    Args:
        at: Of the word after ``after``.
        entry_id: Of the fault that waits.
        after: Fault → the fault that it waits for, of all that wait for one.
        ids: Of all faults, in file order.
        reader: Collects the problems.
    """
    first = after[entry_id]
    if first not in ids:
        known = [name for name in ids if name != entry_id]
        reader.add(at, f"unknown fault id {first!r}", nearest(first, known) or "there is no other fault")
        return False
    seen, known_by = [entry_id], {entry_id}
    while seen[-1] in after:
        following = after[seen[-1]]
        if following == entry_id and next(name for name in ids if name in known_by) != entry_id:
            return False  # told at the first of the circle
        if following == entry_id and len(seen) > _CIRCLE_SHOWN_MAX:
            reader.add(
                at,
                f"a fault cannot wait for itself: {entry_id} after {first} … after {entry_id}, {len(seen)} faults",
                "give one of them a time: at: 5s",
            )
            return False
        if following == entry_id:
            chain = " after ".join((*seen, entry_id))
            reader.add(at, f"a fault cannot wait for itself: {chain}", "give one of them a time: at: 5s")
            return False
        if following in known_by:
            return False  # another fault's circle, told there
        seen.append(following)
        known_by.add(following)
    return True


def after_at(node: Node | None) -> Location | None:
    """Return where the id after ``after`` stands."""
    value = child(node, "after")
    return None if value is None else value.at


def _bound(node: Node, kind: str, text: str, path: str, reader: NodeReader) -> str:
    """Return a comparison in its one form."""
    match = re.match(BOUND_PATTERN, text.strip())
    if match is None:
        reader.add(value_at(node, kind), f"{path}.{kind}: {text!r} is not a comparison", 'e.g. "> 1000", in quotes')
        return ""
    return f"{match[1]} {int(match[2])}"


def _check_group(node: Node, state: str, path: str, place: TargetField, reader: NodeReader) -> None:
    at = value_at(node, "group")
    refusal = place.lacks(BrokerAbility.GROUPS)
    if refusal is not None:
        reader.add(at, f"when group: {refusal.message}", refusal.hint)
    elif place.group_words and state not in place.group_words:
        words = ", ".join(place.group_words)
        reader.add(at, f"{path}.group must be one of {words}, not {state}", nearest(state, place.group_words))
    elif place.group_states and state not in place.group_states:
        words = ", ".join(place.group_states)
        reader.add(at, f"a group of this protocol is never {state}", f"known: {words}")


def _check_leader(node: Node, values: Mapping[str, Any], place: TargetField, reader: NodeReader) -> None:
    at, partition = value_at(node, "leader_of"), int(values["leader_of"])
    refusal = place.lacks(BrokerAbility.PARTITION_LEADERS)
    last = 0 if refusal is not None else place.workload.partitions - 1
    if partition > last and refusal is not None:
        reader.add(at, f"leader_of: {refusal.message}", f"{refusal.hint}; or leader_of: 0")
    elif partition > last:
        reader.add(at, f"unknown partition {partition}", f"known: {f'0 to {last}' if last else '0'}")
    names = place.topology.node_names
    wanted = str(values["is_"])
    if wanted not in (MOVED, NO_LEADER, *names) and not place.laid_out:
        return
    if wanted not in (MOVED, NO_LEADER, *names):
        reader.add(value_at(node, "is"), f"unknown node {wanted!r}", nearest(wanted, (MOVED, NO_LEADER, *names)))
    elif wanted == MOVED and place.cluster.replicas == 1:
        reader.add(at, "with 1 replica a leader never moves", "raise cluster.replicas, or wait for 'is: none'")

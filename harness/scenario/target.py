"""What a target means in a cluster: the names it may come down to.

Owns the words of ``on``. Never knows a fault; it receives what kind of thing the fault acts on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from harness.errors import nearest
from harness.scenario.abilities import BrokerAbility
from harness.scenario.members import worker_names, zones
from harness.scenario.model import LOOKED_UP, TOPIC, Mode, Target
from harness.scenario.nodes import child, key_at, value_at
from harness.scenario.plugins import ActsOn, FaultPlace
from harness.scenario.reader import NodeReader
from harness.scenario.tree import Node

KEY = {"node": "node", "link": "link", "client": "worker", "consumer": "worker"}
GROUPS = {
    "node": ("broker",),
    "link": ("client-broker", "broker-broker"),
    "client": ("consumer", "producer"),
    "consumer": ("consumer",),
}
WORKERS = ("client", "consumer")
"""What is acted on where workers are."""


@dataclass(frozen=True, slots=True)
class TargetField(FaultPlace):
    """What exists for targets to name, and for triggers.

    Attributes:
        group_states: States that this variant's consumer group can be in.
        group_words: Every state that a group of this broker can be in.
        laid_out: The topology is this broker's own. Otherwise broker and cluster have a problem, the common case stands
            for what is not known, and a name that is not in it may exist.
    """

    group_states: tuple[str, ...] = ()
    group_words: tuple[str, ...] = ()
    laid_out: bool = True

    def members(self, group: str, zone: str) -> tuple[str, ...]:
        """Return the names a group stands for; a zone narrows the client links."""
        if group == "broker":
            return self.topology.node_names
        if group == "client-broker":
            return tuple(link.name for link in self.topology.client_links(zone))
        if group == "broker-broker":
            return tuple(link.name for link in self.topology.peer_links())
        return tuple(name for name in worker_names(self.workload) if name.startswith(group[0]))

    def names(self, acts_on: ActsOn) -> tuple[str, ...]:
        """Return every single name of one kind: those of groups, then services or the links that lead to them."""
        found = tuple(name for group in GROUPS[acts_on] for name in self.members(group, ""))
        if acts_on == "node":
            return (*found, *self.topology.service_names)
        return (*found, *(link.name for link in self.topology.service_links())) if acts_on == "link" else found


def read_target(node: Node, acts_on: ActsOn, kind: str, path: str, reader: NodeReader) -> Target | None:
    """Return the target as written when its keys fit the fault; otherwise report and return None."""
    before = len(reader.problems)
    values = reader.fields(node, Target, path)
    if values is None or len(reader.problems) > before:
        return None
    target = Target(**values)
    wanted = KEY[acts_on]
    given = [name for name in dict.fromkeys(KEY.values()) if getattr(target, name)]
    if given != [wanted]:
        at = key_at(node, given[-1]) if given else node.at
        groups = " or ".join(f"{{{wanted}: {group}}}" for group in GROUPS[acts_on])
        if not given:
            reader.add(at, f"{path} names no {wanted}: {kind} acts on a {wanted}", f"e.g. {groups}")
        elif len(given) > 1:
            reader.add(at, f"{path} names {' and '.join(given)}: {kind} acts on a {wanted} only", f"e.g. {groups}")
        else:
            reader.add(at, f"{kind} acts on a {wanted}, not on a {given[0]}", f"e.g. {groups}")
        return None
    return target


def candidates(target: Target, node: Node, acts_on: ActsOn, place: TargetField, reader: NodeReader) -> tuple[str, ...]:
    """Return the names that the target may come down to, in order; empty when there is a problem (reported).

    With mode ``random``, ``leader`` and ``coordinator`` one of them is chosen later; with ``all`` and ``one`` these are
    the targets.
    """
    if acts_on == "topic":
        return (TOPIC,)
    key = KEY[acts_on]
    word: str = getattr(target, key)
    if word not in GROUPS[acts_on]:
        return _single(word, node, acts_on, place, reader)
    zone_at = value_at(node, "zone")
    if target.zone and word != "client-broker":
        reader.add(zone_at, f"zones belong to clients, so {word!r} has none", "zone goes with {link: client-broker}")
        return ()
    if target.zone and target.zone not in zones(place.workload):
        reader.add(zone_at, f"unknown zone {target.zone!r}", nearest(target.zone, zones(place.workload)))
        return ()
    if not _fits(target, node, acts_on, place, reader):
        return ()
    found = place.members(word, target.zone)
    if not found and place.laid_out:
        nodes = place.cluster.nodes
        at = value_at(node, key)
        reader.add(at, f"there is no {word} {key} with {nodes} node{'s' if nodes > 1 else ''}")
    return found[:1] if target.mode == "one" else found


def _single(word: str, node: Node, acts_on: ActsOn, place: TargetField, reader: NodeReader) -> tuple[str, ...]:
    """Return the one name that is written, when it exists and nothing narrows it."""
    key, known = KEY[acts_on], place.names(acts_on)
    if word not in known:
        at = value_at(node, key)
        if acts_on in WORKERS and word in (*GROUPS["client"], *place.names("client")):
            reader.add(at, f"{word} has no handler: only consumers have", "e.g. {worker: consumer}")
        elif place.laid_out or acts_on in WORKERS:
            reader.add(at, f"unknown {key} {word!r}", nearest(word, (*GROUPS[acts_on], *known)))
        return ()
    for name in ("zone", "mode", "partition"):
        if child(node, name) is not None:
            at = value_at(node, name)
            reader.add(at, f"{name!r} narrows a group, but {word} is one {key}", f"leave {name!r} out")
            return ()
    return (word,)


def _fits(target: Target, node: Node, acts_on: ActsOn, place: TargetField, reader: NodeReader) -> bool:
    """Return whether mode and partition go with the group, the broker and each other; report what does not."""
    at = value_at(node, "mode")
    if target.mode in LOOKED_UP and acts_on in WORKERS:
        others = [mode for mode in get_args(Mode) if mode not in LOOKED_UP]
        reader.add(at, f"workers have no {target.mode}", f"known: {', '.join(others)}")
        return False
    if target.mode == "coordinator":
        refusal = place.lacks(BrokerAbility.COORDINATOR)
        if refusal is not None:
            reader.add(at, f"mode coordinator: {refusal.message}", refusal.hint)
            return False
    if target.partition is None:
        return True
    at = value_at(node, "partition")
    if target.mode != "leader":
        reader.add(at, f"partitions have leaders: 'partition' does not go with mode {target.mode}", "mode: leader")
        return False
    refusal = place.lacks(BrokerAbility.PARTITION_LEADERS)
    if refusal is not None:
        reader.add(at, f"partition: {refusal.message}", refusal.hint)
        return False
    if target.partition >= place.workload.partitions:
        last = place.workload.partitions - 1
        reader.add(at, f"unknown partition {target.partition}", f"known: 0 to {last}" if last else "known: 0")
        return False
    return True

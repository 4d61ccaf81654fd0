"""What a target means in a cluster: the names it may come down to.

Owns the words of ``on``. Never knows a fault; it is told what kind of thing the fault acts on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from harness.errors import Location, nearest
from harness.scenario import document
from harness.scenario.document import Node, Scalar
from harness.scenario.model import (
    ClusterShape,
    Mode,
    Target,
    WorkloadShape,
    client_links,
    node_names,
    peer_links,
    worker_names,
    zones,
)
from harness.scenario.shape import Reader

ActsOn = Literal["link", "node", "client"]

KEY = {"node": "node", "link": "link", "client": "worker"}
GROUPS = {"node": ("broker",), "link": ("client-broker", "broker-broker"), "client": ("consumer", "producer")}


@dataclass(frozen=True, slots=True)
class Place:
    """What exists for targets to name."""

    cluster: ClusterShape
    workload: WorkloadShape

    def members(self, group: str, zone: str) -> tuple[str, ...]:
        """Return the names a group stands for; a zone narrows the client links."""
        if group == "broker":
            return node_names(self.cluster)
        if group == "client-broker":
            links = client_links(self.cluster, self.workload)
            return tuple(name for name, of_zone, _ in links if zone in ("", of_zone))
        if group == "broker-broker":
            return tuple(name for name, _, _ in peer_links(self.cluster))
        return tuple(name for name in worker_names(self.workload) if name.startswith(group[0]))

    def names(self, acts_on: ActsOn) -> tuple[str, ...]:
        """Return every single name of one kind."""
        return tuple(name for group in GROUPS[acts_on] for name in self.members(group, ""))


def read_target(node: Node, acts_on: ActsOn, kind: str, path: str, reader: Reader) -> Target | None:
    """Return the target as written when its keys fit the fault; otherwise report and return None."""
    before = len(reader.problems)
    values = reader.fields(node, Target, path)
    if values is None or len(reader.problems) > before:
        return None
    target = Target(**values)
    wanted = KEY[acts_on]
    given = [name for name in KEY.values() if getattr(target, name)]
    if given != [wanted]:
        key = node.key(given[-1]) if given and isinstance(node, document.Mapping) else None
        at = key.at if key is not None else node.at
        groups = " or ".join(f"{{{wanted}: {group}}}" for group in GROUPS[acts_on])
        if not given:
            reader.add(at, f"{path} names no {wanted}: {kind} acts on a {wanted}", f"e.g. {groups}")
        elif len(given) > 1:
            reader.add(at, f"{path} names {' and '.join(given)}: {kind} acts on a {wanted} only", f"e.g. {groups}")
        else:
            reader.add(at, f"{kind} acts on a {wanted}, not on a {given[0]}", f"e.g. {groups}")
        return None
    return target


def candidates(target: Target, node: Node, acts_on: ActsOn, place: Place, reader: Reader) -> tuple[str, ...]:
    """Return the names that the target may come down to, in order; empty when there is a problem (reported).

    With mode ``random`` and ``leader`` one of them is chosen later; with ``all`` and ``one`` these are the targets.
    """
    key = KEY[acts_on]
    word: str = getattr(target, key)
    written = {name: _value_at(node, name) for name in (key, "zone", "mode")}
    if word not in GROUPS[acts_on]:
        known = place.names(acts_on)
        if word not in known:
            reader.add(written[key], f"unknown {key} {word!r}", nearest(word, (*GROUPS[acts_on], *known)))
            return ()
        for name in ("zone", "mode"):
            if isinstance(node, document.Mapping) and node.key(name) is not None:
                reader.add(written[name], f"{name!r} narrows a group, but {word} is one {key}", f"leave {name!r} out")
                return ()
        return (word,)
    if target.zone and word != "client-broker":
        reader.add(written["zone"], f"zones are of clients: {word!r} has none", "zone goes with {link: client-broker}")
        return ()
    if target.zone and target.zone not in zones(place.workload):
        reader.add(written["zone"], f"unknown zone {target.zone!r}", nearest(target.zone, zones(place.workload)))
        return ()
    if target.mode == "leader" and acts_on == "client":
        others = [mode for mode in get_args(Mode) if mode != "leader"]
        reader.add(written["mode"], "workers have no leader", f"known: {', '.join(others)}")
        return ()
    found = place.members(word, target.zone)
    if not found:
        nodes = place.cluster.nodes
        reader.add(written[key], f"there is no {word} {key} with {nodes} node{'s' if nodes > 1 else ''}")
    return found[:1] if target.mode == "one" else found


def _value_at(node: Node, key: str) -> Location:
    value = node.get(key) if isinstance(node, document.Mapping) else None
    if isinstance(value, Scalar):
        return value.at
    return node.at

"""How cluster, workload and broker of a variant fit together, and what there is then for targets to name.

Owns the rules over several keys that no fault is part of: replicas and nodes, keys and producers, zones and workers,
and the broker's own. Never knows a broker by name: its specification says what it runs with.
"""

from __future__ import annotations

import re
from dataclasses import replace

from harness.errors import nearest
from harness.scenario import tree
from harness.scenario.abilities import BrokerAbility
from harness.scenario.application_fit import check_application
from harness.scenario.head import NODE_PATTERN, ZONE_PATTERN
from harness.scenario.image import image_problem
from harness.scenario.members import worker_names
from harness.scenario.mesh import mesh
from harness.scenario.model import Cluster, Workload
from harness.scenario.nodes import child, deepest, value_at
from harness.scenario.plugins import BrokerSpec, Vocabulary
from harness.scenario.reader import NodeReader
from harness.scenario.target import TargetField
from harness.scenario.topology import Topology
from harness.scenario.tree import Node, Sequence, as_written


def read_place(
    root: tree.Mapping,
    parts: tuple[Cluster | None, Workload | None],
    broker: object,
    spec: BrokerSpec | None,
    vocabulary: Vocabulary,
    reader: NodeReader,
) -> TargetField | None:
    """Return what targets and triggers may name, and what this broker and others can do; report what does not fit.

    Args:
        root: The variant.
        parts: Cluster and workload; None where it cannot be read, and then there is nothing to name.
        broker: As written.
        spec: Of the broker; None when it is not known.
        vocabulary: Every broker that is known.
        reader: Collects the problems.
    """
    cluster, workload = parts
    if workload is not None:
        _check_zones(root.get("workload"), workload, reader)
    if cluster is None or workload is None:
        return None
    fits = _check_fit(root, cluster, workload, spec, reader)
    topology = _topology(root, cluster, workload, spec if fits else None, reader)
    name = broker if isinstance(broker, str) else ""
    able = {
        ability: tuple(kind for kind, of in sorted(vocabulary.brokers.items()) if ability in of.abilities)
        for ability in BrokerAbility
    }
    place = TargetField(cluster, workload, topology, name, able, laid_out=fits)
    if spec is not None:
        states = spec.group_states if spec.group_states_of is None else spec.group_states_of(workload)
        place = replace(place, abilities=spec.abilities, group_states=states, group_words=spec.group_states)
    _check_abilities(root.get("workload"), place, reader)
    check_application(root, cluster, workload, spec, reader)
    return place


def _check_zones(node: Node | None, workload: Workload, reader: NodeReader) -> None:
    zones = child(node, "zones")
    if not isinstance(zones, tree.Mapping):
        return
    known = worker_names(workload)
    placed: dict[str, str] = {}
    for entry in zones.entries:
        zone = entry.key.text
        if zone == "clients":
            reader.add(entry.key.at, "zone 'clients' is the one of all workers not named", "take another name")
        elif not re.fullmatch(ZONE_PATTERN, zone):
            reader.add(entry.key.at, f"zone {zone!r} must be a word of a-z, 0-9 and '-'")
        elif re.fullmatch(NODE_PATTERN, zone):
            reader.add(entry.key.at, f"zone {zone!r} is named like a node", "take another name")
        items = entry.value.items if isinstance(entry.value, Sequence) else ()
        if not items:
            reader.add(entry.value.at, f"zone {zone!r} has no workers", f"known: {', '.join(known[:8])}")
        for item in items:
            worker = as_written(item)
            if worker not in known:
                reader.add(item.at, f"unknown worker {worker!r}", nearest(worker, known))
            elif worker in placed:
                again = "twice in" if placed[worker] == zone else f"in zone {placed[worker]!r} and in"
                reader.add(item.at, f"worker {worker} is {again} zone {zone!r}")
            placed[worker] = zone


def _check_fit(
    root: tree.Mapping, cluster: Cluster, workload: Workload, spec: BrokerSpec | None, reader: NodeReader
) -> bool:
    """Return whether everything fits together (replicas and nodes, keys and producers, the broker's own rules); report
    what does not.
    """
    before = len(reader.problems)
    if cluster.replicas > cluster.nodes:
        nodes = f"{cluster.nodes} node{'s' if cluster.nodes > 1 else ''}"
        reader.add(deepest(root, "cluster", "replicas").at, f"{cluster.replicas} replicas do not fit on {nodes}")
    if workload.keys < workload.producers:
        written = child(root.get("workload"), "keys") is not None
        message = f"{workload.producers} producers cannot share {workload.keys} keys: some would send nothing"
        reader.add(
            deepest(root, "workload", "keys" if written else "producers").at, message, f"keys: {workload.producers}"
        )
    if spec is None:
        return False
    written_as = root.get("broker")
    name = as_written(written_as) if written_as else ""
    if cluster.nodes not in spec.node_counts:
        counts = ", ".join(str(count) for count in spec.node_counts)
        message = f"{name or 'the broker'} does not run with {cluster.nodes} nodes"
        reader.add(deepest(root, "cluster", "nodes").at, message, f"known: {counts}")
        return False
    message, hint = image_problem(cluster.image, spec.aliases.get(name, name))
    if message:
        reader.add(deepest(root, "cluster", "image").at, message, hint)
    for refusal in () if spec.validate is None else spec.validate(name, cluster, workload):
        at = deepest(root, *(refusal.path or (refusal.key or "cluster").split("."))).at
        reader.add(at, refusal.message, refusal.hint)
    return len(reader.problems) == before


def _topology(
    root: tree.Mapping, cluster: Cluster, workload: Workload, spec: BrokerSpec | None, reader: NodeReader
) -> Topology:
    """Return what the broker lays out, or the common case where it is not known; report a zone that is named like a
    member.
    """
    if spec is None:
        return mesh(cluster, workload)
    topology = spec.topology(cluster, workload)
    written = child(root.get("workload"), "zones")
    for entry in written.entries if isinstance(written, tree.Mapping) else ():
        zone = entry.key.text
        if zone in topology.service_names or (zone in topology.node_names and not re.fullmatch(NODE_PATTERN, zone)):
            like = "service" if zone in topology.service_names else "node"
            reader.add(entry.key.at, f"zone {zone!r} is named like a {like}", "take another name")
    return topology


def _check_abilities(node: Node | None, place: TargetField, reader: NodeReader) -> None:
    """Report what the workload needs and this broker does not do."""
    refusal = place.lacks(BrokerAbility.ZONES) if place.workload.zones else None
    if refusal is not None and node is not None:
        reader.add(value_at(node, "zones"), f"workload.zones: {refusal.message}", refusal.hint)

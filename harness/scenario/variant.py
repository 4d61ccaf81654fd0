"""One variant of a scenario: a tree with the matrix put in, read into the shapes of the model.

Owns how the top-level keys depend on each other. Faults are read next door (timeline).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import nearest
from harness.scenario import document
from harness.scenario.abilities import BrokerAbility
from harness.scenario.document import Node, Scalar, Sequence, as_written
from harness.scenario.entry import FaultEntry
from harness.scenario.head import SEED_DEFAULT, SEED_MAX, TAG_PATTERN, VERSION_PATTERN, ZONE_PATTERN, Head
from harness.scenario.image import image_misfit
from harness.scenario.load import Source
from harness.scenario.matrix import Combination
from harness.scenario.members import worker_names
from harness.scenario.mesh import mesh
from harness.scenario.model import Attempts, Cluster, Expectation, Workload
from harness.scenario.plugins import BrokerSpec, Vocabulary
from harness.scenario.reader import INVALID, NodeReader
from harness.scenario.target import TargetField
from harness.scenario.timeline import read_faults
from harness.scenario.topology import Topology

NODE_PATTERN = r"^n[0-9]+$"
"""Names that look like a node's whatever the broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One variant with everything but the random choices settled.

    Attributes:
        scenario, file, title, why, tags, broker, broker_kind, cluster, workload, expect, must_fail, attempts,
            topology: As in ``Plan``.
        labels: Matrix path → value as written; empty without a matrix.
        seed: As written; None when the scenario says ``random``.
        faults: In file order, with the names that each may act on.
    """

    scenario: str
    file: str
    labels: Mapping[str, str]
    title: str
    why: str
    tags: tuple[str, ...]
    broker: str
    broker_kind: str
    seed: int | None
    cluster: Cluster
    workload: Workload
    faults: tuple[FaultEntry, ...]
    expect: tuple[Expectation, ...]
    must_fail: tuple[str, ...]
    attempts: Attempts | None
    topology: Topology


def read_variant(source: Source, combination: Combination, reader: NodeReader) -> Variant | None:
    """Return the variant of one combination; None when it has problems, which are reported."""
    before = len(reader.problems)
    root, vocabulary = combination.root, source.vocabulary
    values = reader.fields(root, Head, "")
    assert values is not None
    _check_words(root, values, reader)
    kind, spec = _broker(root, values["broker"], vocabulary, reader)
    cluster = _section(root, "cluster", Cluster, spec, reader)
    workload = _section(root, "workload", Workload, spec, reader)
    place = topology = None
    if workload is not None:
        _check_zones(_child(root, "workload"), workload, reader)
        if cluster is not None:
            fits = _check_fit(root, cluster, workload, spec, reader)
            topology = _topology(root, cluster, workload, spec if fits else None, reader)
            name = values["broker"] if isinstance(values["broker"], str) else ""
            place = _place(cluster, workload, topology, name, spec, vocabulary)
            _check_abilities(_child(root, "workload"), place, reader)
    faults = read_faults(_given(root, "faults"), vocabulary.faults, place, reader)
    expect = _expectations(root.get("expect"), vocabulary.checks, reader)
    must_fail = _must_fail(_given(root, "must_fail"), _given(root, "expect"), reader)
    seed = _seed(_given(root, "seed"), reader)
    if len(reader.problems) > before:
        return None
    assert cluster is not None
    assert workload is not None
    assert topology is not None
    return Variant(
        scenario=source.name,
        file=source.file,
        labels=combination.labels,
        title=values["title"],
        why=values["why"],
        tags=values["tags"],
        broker=values["broker"],
        broker_kind=kind,
        seed=seed,
        cluster=cluster,
        workload=workload,
        faults=faults,
        expect=expect,
        must_fail=must_fail,
        attempts=values["attempts"],
        topology=topology,
    )


def _place(
    cluster: Cluster,
    workload: Workload,
    topology: Topology,
    name: str,
    spec: BrokerSpec | None,
    vocabulary: Vocabulary,
) -> TargetField:
    """Return what targets and triggers may name, and what this broker and others can do."""
    able = {
        ability: tuple(kind for kind, of in sorted(vocabulary.brokers.items()) if ability in of.abilities)
        for ability in BrokerAbility
    }
    if spec is None:
        return TargetField(cluster, workload, topology, name, able)
    states = spec.group_states if spec.group_states_of is None else spec.group_states_of(workload)
    return TargetField(cluster, workload, topology, name, able, spec.abilities, states, spec.group_states)


def _given(root: document.Mapping, key: str) -> Node | None:
    """Return the value of a key; a null counts as not written."""
    node = root.get(key)
    return None if isinstance(node, Scalar) and node.kind == "null" else node


def _child(root: document.Mapping, key: str) -> Node:
    return _given(root, key) or document.Mapping(root.at)


def _check_words(root: document.Mapping, values: Mapping[str, Any], reader: NodeReader) -> None:
    title, tags, attempts = root.get("title"), root.get("tags"), values["attempts"]
    if isinstance(title, Scalar) and isinstance(values["title"], str) and not title.text.strip():
        reader.add(title.at, "title must not be empty")
    if isinstance(tags, Sequence) and isinstance(values["tags"], tuple):
        for item in tags.items:
            if not re.fullmatch(TAG_PATTERN, as_written(item)):
                reader.add(item.at, f"tag {as_written(item)!r} must be a word of a-z, 0-9, '-' and '_'")
    if isinstance(attempts, Attempts) and attempts.at_least > attempts.runs:
        node = root.get("attempts")
        at_least = node.get("at_least") if isinstance(node, document.Mapping) else None
        message = f"attempts.at_least of {attempts.at_least} is more than the {attempts.runs} runs"
        reader.add((at_least or root).at, message)


def _broker(
    root: document.Mapping, name: object, vocabulary: Vocabulary, reader: NodeReader
) -> tuple[str, BrokerSpec | None]:
    """Return the broker's kind and its specification when the distribution can exist, else an empty name and None."""
    node, matrix = root.get("broker"), root.get("matrix")
    if node is None and not (isinstance(matrix, document.Mapping) and matrix.key("broker")):
        aliases = sorted(alias for spec in vocabulary.brokers.values() for alias in spec.aliases)
        reader.add(root.at, "the scenario needs 'broker'", f"known: {', '.join(aliases)}; or vary it in the matrix")
    if not isinstance(name, str) or node is None:
        return "", None
    known = {alias: kind for kind, spec in vocabulary.brokers.items() for alias in spec.aliases}
    if name in known:
        return known[name], vocabulary.brokers[known[name]]
    fits = [kind for kind in vocabulary.brokers if name.startswith(f"{kind}-")]
    if not fits:
        reader.add(node.at, f"unknown broker {name!r}", nearest(name, known))
        return "", None
    kind = max(fits, key=len)
    spec = vocabulary.brokers[kind]
    if not re.fullmatch(VERSION_PATTERN, name.removeprefix(f"{kind}-")):
        version = next(iter(spec.aliases.values()), f"{kind}-1.0.0")
        hint = f"{nearest(name, spec.aliases)} Or an exact version, such as {version}".strip()
        reader.add(node.at, f"{name!r} is neither an alias of {kind} nor {kind}-X.Y.Z", hint)
    return kind, spec


def _section(root: document.Mapping, key: str, cls: type, spec: BrokerSpec | None, reader: NodeReader) -> Any:
    """Return the cluster or the workload, with the broker's own options in it; None when it has problems."""
    node = _child(root, key)
    if spec is None:
        narrowed: dict[str, type] = {}
    elif key == "cluster":
        narrowed = {"topic": spec.topic}
    else:
        narrowed = {"producer": spec.producer, "consumer": spec.consumer}
    value = reader.build(node, cls, key, narrowed)
    return None if value is INVALID else value


def _check_zones(node: Node, workload: Workload, reader: NodeReader) -> None:
    zones = node.get("zones") if isinstance(node, document.Mapping) else None
    if not isinstance(zones, document.Mapping):
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


def _check_abilities(node: Node, place: TargetField, reader: NodeReader) -> None:
    """Report what the workload needs and this broker does not do."""
    refusal = place.lacks(BrokerAbility.ZONES) if place.workload.zones else None
    if refusal is not None and isinstance(node, document.Mapping):
        reader.add((node.get("zones") or node).at, f"workload.zones: {refusal.message}", refusal.hint)


def _check_fit(
    root: document.Mapping, cluster: Cluster, workload: Workload, spec: BrokerSpec | None, reader: NodeReader
) -> bool:
    """Return whether everything fits together (replicas and nodes, keys and producers, the broker's own rules); report
    what does not.
    """
    before = len(reader.problems)

    def at(section: str, key: str) -> document.Node:
        node = root.get(section)
        value = node.get(key) if isinstance(node, document.Mapping) else None
        return value or node or root

    if cluster.replicas > cluster.nodes:
        nodes = f"{cluster.nodes} node{'s' if cluster.nodes > 1 else ''}"
        reader.add(at("cluster", "replicas").at, f"{cluster.replicas} replicas do not fit on {nodes}")
    if workload.keys < workload.producers:
        node = root.get("workload")
        written = isinstance(node, document.Mapping) and node.get("keys") is not None
        message = f"{workload.producers} producers cannot share {workload.keys} keys: some would send nothing"
        reader.add(at("workload", "keys" if written else "producers").at, message, f"keys: {workload.producers}")
    if spec is None:
        return False
    if cluster.nodes not in spec.node_counts:
        counts = ", ".join(str(count) for count in spec.node_counts)
        kind = root.get("broker")
        message = f"{as_written(kind) if kind else 'the broker'} does not run with {cluster.nodes} nodes"
        reader.add(at("cluster", "nodes").at, message, f"known: {counts}")
        return False
    kind = root.get("broker")
    name = as_written(kind) if kind else ""
    message, hint = image_misfit(cluster.image, spec.aliases.get(name, name))
    if message:
        reader.add(at("cluster", "image").at, message, hint)
    for refusal in () if spec.validate is None else spec.validate(name, cluster, workload):
        reader.add(
            _written(root, refusal.key).at if refusal.key else at("cluster", "").at, refusal.message, refusal.hint
        )
    return len(reader.problems) == before


def _topology(
    root: document.Mapping, cluster: Cluster, workload: Workload, spec: BrokerSpec | None, reader: NodeReader
) -> Topology:
    """Return what the broker lays out, or the common case where it is not known; report a zone that is named like a
    member.
    """
    if spec is None:
        return mesh(cluster, workload)
    topology = spec.topology(cluster, workload)
    node = root.get("workload")
    written = node.get("zones") if isinstance(node, document.Mapping) else None
    for entry in written.entries if isinstance(written, document.Mapping) else ():
        zone = entry.key.text
        if zone in topology.service_names or (zone in topology.node_names and not re.fullmatch(NODE_PATTERN, zone)):
            like = "service" if zone in topology.service_names else "node"
            reader.add(entry.key.at, f"zone {zone!r} is named like a {like}", "take another name")
    return topology


def _written(root: document.Mapping, path: str) -> Node:
    """Return what is written at a dotted path; where a part of it is not, the last one that is."""
    node: Node = root
    for key in path.split("."):
        following = node.get(key) if isinstance(node, document.Mapping) else None
        if following is None:
            break
        node = following
    return node


def _expectations(node: Node | None, checks: Mapping[str, type], reader: NodeReader) -> tuple[Expectation, ...]:
    if node is None:
        return ()
    if not isinstance(node, document.Mapping):
        reader.add(node.at, "expect must be a mapping of checks to limits", f"known: {', '.join(sorted(checks))}")
        return ()
    if not node.entries:
        reader.add(node.at, "expect must name at least one check", f"known: {', '.join(sorted(checks))}")
    found = []
    for entry in node.entries:
        check = entry.key.text
        if check not in checks:
            reader.add(entry.key.at, f"unknown check {check!r}", nearest(check, checks))
            continue
        limits = reader.build(entry.value, checks[check], f"expect.{check}")
        found.append(Expectation(check=check, limits=limits))
    return tuple(found)


def _must_fail(node: Node | None, expect: Node | None, reader: NodeReader) -> tuple[str, ...]:
    if node is None:
        return ()
    names = reader.value(node, tuple[str, ...], "must_fail")
    if names is INVALID:
        return ()
    assert isinstance(node, Sequence)
    known = [entry.key.text for entry in expect.entries] if isinstance(expect, document.Mapping) else []
    for index, item in enumerate(node.items):
        if names[index] in names[:index]:
            reader.add(item.at, f"must_fail names {names[index]!r} twice")
        elif names[index] not in known:
            reader.add(
                item.at, f"must_fail names {names[index]!r}, which expect does not", nearest(names[index], known)
            )
    return tuple(names)


def _seed(node: Node | None, reader: NodeReader) -> int | None:
    if node is None:
        return SEED_DEFAULT
    value = node.value if isinstance(node, Scalar) else None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= SEED_MAX:
        return value
    if value != "random":
        reader.add(node.at, f"seed must be a whole number from 0 to {SEED_MAX} or random, not {as_written(node)}")
    return None

"""One variant of a scenario: a tree with the matrix put in, read into the classes of the model.

Owns the top-level keys. How cluster, workload and broker fit together is said in fit, faults are read in timeline.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import nearest
from harness.scenario import tree
from harness.scenario.application_fit import check_expectations
from harness.scenario.config_keys import check_config
from harness.scenario.entry import FaultEntry
from harness.scenario.expectations import read_expectations, switched_off
from harness.scenario.fit import read_place
from harness.scenario.head import SEED_DEFAULT, SEED_MAX, TAG_PATTERN, VERSION_PATTERN, Head
from harness.scenario.load import Source
from harness.scenario.matrix import Combination
from harness.scenario.model import Attempts, Cluster, Expectation, Workload
from harness.scenario.nodes import child, given
from harness.scenario.plugins import BrokerSpec, Vocabulary
from harness.scenario.reader import INVALID, NodeReader
from harness.scenario.timeline import read_faults
from harness.scenario.topology import Topology
from harness.scenario.tree import Node, Scalar, Sequence, as_written


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
    if spec is not None:
        check_config(root.get("cluster"), spec.config_keys, reader, trusted=vocabulary.trusted)
    workload = _section(root, "workload", Workload, spec, reader)
    place = read_place(root, (cluster, workload), values["broker"], spec, vocabulary, reader)
    faults = read_faults(given(root, "faults"), vocabulary.faults, place, reader)
    expect = read_expectations(root.get("expect"), vocabulary, reader)
    if workload is not None:
        check_expectations(root, workload.consumer, vocabulary, reader)
    counting = {*vocabulary.always, *vocabulary.standing} - {item.check for item in expect if item.off}
    must_fail = _must_fail(given(root, "must_fail"), given(root, "expect"), counting, reader)
    seed = _seed(given(root, "seed"), reader)
    if len(reader.problems) > before:
        return None
    assert place is not None
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
        cluster=place.cluster,
        workload=place.workload,
        faults=faults,
        expect=expect,
        must_fail=must_fail,
        attempts=values["attempts"],
        topology=place.topology,
    )


def _check_words(root: tree.Mapping, values: Mapping[str, Any], reader: NodeReader) -> None:
    title, tags, attempts = root.get("title"), root.get("tags"), values["attempts"]
    if isinstance(title, Scalar) and isinstance(values["title"], str) and not title.text.strip():
        reader.add(title.at, "title must not be empty")
    if isinstance(tags, Sequence) and isinstance(values["tags"], tuple):
        for item in tags.items:
            if not re.fullmatch(TAG_PATTERN, as_written(item)):
                reader.add(item.at, f"tag {as_written(item)!r} must be a word of a-z, 0-9, '-' and '_'")
    if isinstance(attempts, Attempts) and attempts.at_least > attempts.runs:
        message = f"attempts.at_least of {attempts.at_least} is more than the {attempts.runs} runs"
        reader.add((child(root.get("attempts"), "at_least") or root).at, message)


def _broker(
    root: tree.Mapping, name: object, vocabulary: Vocabulary, reader: NodeReader
) -> tuple[str, BrokerSpec | None]:
    """Return the broker's kind and its specification when the distribution can exist, else an empty name and None."""
    node, matrix = root.get("broker"), root.get("matrix")
    if node is None and not (isinstance(matrix, tree.Mapping) and matrix.key("broker")):
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


def _section(root: tree.Mapping, key: str, cls: type, spec: BrokerSpec | None, reader: NodeReader) -> Any:
    """Return the cluster or the workload, with the broker's own options in it; None when it has problems."""
    node = given(root, key) or tree.Mapping(root.at)
    if spec is None:
        narrowed: dict[str, type] = {}
    elif key == "cluster":
        narrowed = {"topic": spec.topic}
    else:
        narrowed = {"producer": spec.producer, "consumer": spec.consumer}
    value = reader.build(node, cls, key, narrowed)
    return None if value is INVALID else value


def _must_fail(
    node: Node | None, expect: Node | None, counting: Collection[str], reader: NodeReader
) -> tuple[str, ...]:
    if node is None:
        return ()
    names = reader.value(node, tuple[str, ...], "must_fail")
    if names is INVALID:
        return ()
    assert isinstance(node, Sequence)
    known = [entry.key.text for entry in expect.entries] if isinstance(expect, tree.Mapping) else []
    known += sorted(name for name in counting if name not in known)
    for index, item in enumerate(node.items):
        if names[index] in names[:index]:
            reader.add(item.at, f"must_fail names {names[index]!r} twice")
        elif names[index] not in known:
            reader.add(
                item.at, f"must_fail names {names[index]!r}, which expect does not", nearest(names[index], known)
            )
        elif switched_off(expect, names[index]):
            reader.add(item.at, f"must_fail names {names[index]!r}, which expect switches off")
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

"""The matrix: which values a scenario takes in turn, and the tree with one combination of them put in.

Works on trees alone, so that a value of the matrix keeps its own line and column. Never knows what a path means.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from harness.errors import nearest
from harness.scenario import tree
from harness.scenario.reader import NodeReader
from harness.scenario.tree import KeyValue, Node, Scalar, Sequence, as_written

VARIANTS_MAX: Final = 500
PLANNED_MAX: Final = 4_000
"""Faults of all variants together; each takes about 0.3 ms to read and to plan."""
VARIED: Final = ("broker", "seed", "cluster", "workload", "faults", "expect", "must_fail", "attempts")


@dataclass(frozen=True, slots=True)
class Axis:
    """One path of the matrix with its values."""

    path: Scalar
    values: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Combination:
    """One value of every axis, put into the tree.

    Attributes:
        labels: Path → value as written.
        root: The tree that results.
    """

    labels: Mapping[str, str]
    root: tree.Mapping


def read_axes(root: tree.Mapping, reader: NodeReader, brokers: tuple[str, ...]) -> tuple[Axis, ...]:
    """Return the axes of the matrix that are well-formed; the others are reported. ``brokers``: names for the example
    in a hint.
    """
    node = root.get("matrix")
    if node is None:
        return ()
    if not isinstance(node, tree.Mapping) or not node.entries:
        hint = f"e.g. matrix: {{broker: [{', '.join(brokers)}]}}"
        reader.add(node.at, "matrix must be a mapping of dotted paths to lists of values", hint)
        return ()
    axes = []
    for entry in node.entries:
        head = entry.key.text.partition(".")[0]
        values = entry.value
        if head not in VARIED:
            reader.add(entry.key.at, f"the matrix cannot vary {entry.key.text!r}", nearest(head, VARIED))
        elif "" in entry.key.text.split("."):
            reader.add(entry.key.at, f"the matrix path {entry.key.text!r} has an empty step")
        elif not isinstance(values, Sequence) or not values.items:
            shown = as_written(values)
            hint = f"write [{shown}]" if isinstance(values, Scalar) and values.kind != "null" else ""
            reader.add(values.at, f"matrix.{entry.key.text} must be a list of at least one value", hint)
        elif _distinct(values, entry.key.text, reader):
            axes.append(Axis(entry.key, values.items))
    count = math.prod(len(axis.values) for axis in axes)
    if count > VARIANTS_MAX:
        reader.add(node.at, f"the matrix has {count} variants, more than {VARIANTS_MAX}")
        return ()
    faults = max((len(node.items) for node in _fault_lists(root, axes)), default=0)
    if count * faults > PLANNED_MAX:
        message = f"the matrix has {count} variants of {faults} faults: {count * faults}, more than {PLANNED_MAX}"
        reader.add(node.at, message, "make several scenarios of it")
        return ()
    return tuple(axes)


def axis_values(root: tree.Mapping) -> dict[str, tuple[str, ...]]:
    """Return path → values as written, of a matrix as far as it is well-formed; see ``read_axes`` for what is not."""
    node = root.get("matrix")
    return {
        entry.key.text: tuple(as_written(item) for item in entry.value.items)
        for entry in (node.entries if isinstance(node, tree.Mapping) else ())
        if isinstance(entry.value, Sequence)
    }


def _fault_lists(root: tree.Mapping, axes: list[Axis]) -> Iterator[Sequence]:
    """Yield every list that may stand under ``faults``."""
    for node in (root.get("faults"), *(value for axis in axes if axis.path.text == "faults" for value in axis.values)):
        if isinstance(node, Sequence):
            yield node


def combinations(root: tree.Mapping, axes: tuple[Axis, ...], reader: NodeReader) -> Iterator[Combination]:
    """Yield every combination, the last axis varying fastest; paths that lead nowhere are reported and left out."""
    for chosen in itertools.product(*(axis.values for axis in axes)):
        labels: dict[str, str] = {}
        node: Node = root
        for axis, value in zip(axes, chosen, strict=True):
            labels[axis.path.text] = as_written(value)
            node = put(node, axis.path, value, reader) or node
        assert isinstance(node, tree.Mapping)
        yield Combination(labels, node)


def _distinct(values: Sequence, path: str, reader: NodeReader) -> bool:
    seen: set[str] = set()
    for item in values.items:
        text = as_written(item)
        if text in seen:
            reader.add(item.at, f"matrix.{path} has the value {text} twice")
            return False
        seen.add(text)
    return True


def put(node: Node, path: Scalar, value: Node, reader: NodeReader, noun: str = "matrix path") -> Node | None:
    """Return ``node`` with ``value`` at a dotted path; None when it leads nowhere, which is reported.

    Args:
        node: Where the path begins.
        path: As written; keys that are missing are made.
        value: What to put there.
        reader: Collects the problem.
        noun: What the path is, for the message.
    """
    return _put(node, path, path.text, value, _Reported(reader, noun))


@dataclass(frozen=True, slots=True)
class _Reported:
    """Where a path that leads nowhere is reported, and what it is."""

    reader: NodeReader
    noun: str

    def add(self, path: Scalar, message: str, hint: str = "") -> None:
        self.reader.add(path.at, f"{self.noun} {path.text!r}: {message}", hint)


def _put(node: Node, path: Scalar, rest: str, value: Node, reported: _Reported) -> Node | None:
    """Return ``node`` with ``value`` at the dotted path ``rest``, or None when a list has no such index."""
    if not rest:
        return value
    if isinstance(node, Sequence):
        return _put_item(node, path, rest, value, reported)
    entries = node.entries if isinstance(node, tree.Mapping) else ()
    if isinstance(node, Scalar) and node.kind != "null":
        reported.add(path, f"nothing lies below {as_written(node)!r}")
        return None
    name, below = _first(rest, entries)
    for index, entry in enumerate(entries):
        if entry.key.text == name:
            changed = _put(entry.value, path, below, value, reported)
            if changed is None:
                return None
            return tree.Mapping(node.at, (*entries[:index], replace(entry, value=changed), *entries[index + 1 :]))
    changed = _put(Scalar(path.at, "null", "", None), path, below, value, reported)
    if changed is None:
        return None
    return tree.Mapping(node.at, (*entries, KeyValue(Scalar(path.at, "str", name, name), changed)))


def _put_item(node: Sequence, path: Scalar, rest: str, value: Node, reported: _Reported) -> Node | None:
    name, _, below = rest.partition(".")
    index = int(name) if name.isascii() and name.isdigit() and len(name) < 6 else len(node.items)
    if index >= len(node.items):
        count = len(node.items)
        known = f"positions 0 to {count - 1}" if count else "no positions: the list is empty"
        reported.add(path, f"no position {name!r} in the list", known)
        return None
    changed = _put(node.items[index], path, below, value, reported)
    if changed is None:
        return None
    return Sequence(node.at, (*node.items[:index], changed, *node.items[index + 1 :]))


def _first(rest: str, entries: tuple[KeyValue, ...]) -> tuple[str, str]:
    """Split off the first key: the longest that exists (``log.segment.bytes``), else the first word."""
    known = {entry.key.text for entry in entries}
    words = rest.split(".")
    for count in range(len(words), 1, -1):
        name = ".".join(words[:count])
        if name in known:
            return name, ".".join(words[count:])
    return words[0], ".".join(words[1:])

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
    return tuple(axes)


def combinations(root: tree.Mapping, axes: tuple[Axis, ...], reader: NodeReader) -> Iterator[Combination]:
    """Yield every combination, the last axis varying fastest; paths that lead nowhere are reported and left out."""
    for chosen in itertools.product(*(axis.values for axis in axes)):
        labels: dict[str, str] = {}
        node: Node = root
        for axis, value in zip(axes, chosen, strict=True):
            labels[axis.path.text] = as_written(value)
            node = _put(node, axis.path, axis.path.text, value, reader) or node
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


def _put(node: Node, path: Scalar, rest: str, value: Node, reader: NodeReader) -> Node | None:
    """Return ``node`` with ``value`` at the dotted path ``rest``, or None when a list has no such index."""
    if not rest:
        return value
    if isinstance(node, Sequence):
        return _put_item(node, path, rest, value, reader)
    entries = node.entries if isinstance(node, tree.Mapping) else ()
    if isinstance(node, Scalar) and node.kind != "null":
        reader.add(path.at, f"matrix path {path.text!r}: nothing lies below {as_written(node)!r}")
        return None
    name, below = _first(rest, entries)
    for index, entry in enumerate(entries):
        if entry.key.text == name:
            changed = _put(entry.value, path, below, value, reader)
            if changed is None:
                return None
            return tree.Mapping(node.at, (*entries[:index], replace(entry, value=changed), *entries[index + 1 :]))
    changed = _put(Scalar(path.at, "null", "", None), path, below, value, reader)
    if changed is None:
        return None
    return tree.Mapping(node.at, (*entries, KeyValue(Scalar(path.at, "str", name, name), changed)))


def _put_item(node: Sequence, path: Scalar, rest: str, value: Node, reader: NodeReader) -> Node | None:
    name, _, below = rest.partition(".")
    index = int(name) if name.isascii() and name.isdigit() and len(name) < 6 else len(node.items)
    if index >= len(node.items):
        count = len(node.items)
        known = f"positions 0 to {count - 1}" if count else "no positions: the list is empty"
        reader.add(path.at, f"matrix path {path.text!r}: no position {name!r} in the list", known)
        return None
    changed = _put(node.items[index], path, below, value, reader)
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

"""The tree of a document: nodes that know where they are written.

Knows neither YAML's grammar nor a key of the scenario language. The tree is immutable, so that the matrix can put
other values into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import Location

ScalarKind = Literal["str", "int", "float", "bool", "null"]


@dataclass(frozen=True, slots=True)
class Scalar:
    """One word, number or nothing.

    Attributes:
        at: Where it is written.
        kind: As YAML 1.2 resolves it (``yes`` and ``1:30`` are ``str``).
        text: As written, without quotes.
        value: The plain value; ``text`` for ``str``.
    """

    at: Location
    kind: ScalarKind
    text: str
    value: str | float | bool | None


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list of nodes."""

    at: Location
    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One key of a mapping with its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True, slots=True)
class Mapping:
    """Entries in the order written; keys are strings and unique."""

    at: Location
    entries: tuple[KeyValue, ...] = ()

    def get(self, name: str) -> Node | None:
        """Return the value of the key ``name``, or None."""
        for entry in self.entries:  # a generator costs three times as much, and this is asked most of all
            if entry.key.text == name:
                return entry.value
        return None

    def key(self, name: str) -> Scalar | None:
        """Return the key ``name`` as written, or None."""
        return next((entry.key for entry in self.entries if entry.key.text == name), None)


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> Any:
    """Return a node as plain data: dicts, lists, strings, numbers, booleans and None."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {entry.key.text: plain(entry.value) for entry in node.entries}


def as_written(node: Node) -> str:
    """Return a node on one line, as in YAML's flow style; the name of a matrix value."""
    if isinstance(node, Scalar):
        return node.text or ("null" if node.kind == "null" else "''")
    if isinstance(node, Sequence):
        return f"[{', '.join(as_written(item) for item in node.items)}]"
    return "{" + ", ".join(f"{entry.key.text}: {as_written(entry.value)}" for entry in node.entries) + "}"

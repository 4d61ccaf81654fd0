"""Looking up in a tree of nodes: values, and where a value or a key is written.

Knows no key of the language.
"""

from __future__ import annotations

from harness.errors import Location
from harness.scenario import tree
from harness.scenario.tree import Node, Scalar


def child(node: Node | None, key: str) -> Node | None:
    """Return the value of a key; None where it is not written, or where there is no mapping."""
    return node.get(key) if isinstance(node, tree.Mapping) else None


def given(node: Node | None, key: str) -> Node | None:
    """Return the value of a key; a null counts as not written."""
    value = child(node, key)
    return None if isinstance(value, Scalar) and value.kind == "null" else value


def deepest(root: Node, *keys: str) -> Node:
    """Return what is written below the keys; where one of them is not, what is written above it."""
    node = root
    for key in keys:
        following = child(node, key)
        if following is None:
            break
        node = following
    return node


def value_at(node: Node, key: str) -> Location:
    """Return where the value of a key is written; where the node is, without it."""
    return deepest(node, key).at


def key_at(node: Node, key: str) -> Location:
    """Return where a key is written; where the node is, without it."""
    found = node.key(key) if isinstance(node, tree.Mapping) else None
    return node.at if found is None else found.at

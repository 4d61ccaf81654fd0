"""Where in a scenario file something is written: for messages about a run that was made from it.

Owns the names of places: dotted paths of keys (``expect.loss.messages_max``), and ``faults.<id>`` for a fault. Never
knows what a key means.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.errors import Location, ScenarioError
from harness.scenario import tree
from harness.scenario.document import read_document
from harness.scenario.tree import Node, Scalar, Sequence

_WORDS = frozenset({"on", "id", "at", "when", "for"})
"""Keys of an entry of ``faults`` that are no fault."""


def locations(text: str, file: str) -> Mapping[str, Location]:
    """Return dotted path → where its key is written; empty when the text is no scenario.

    A fault is found by its id, written or derived (``latency-1``), and by its position from 0. A path that the matrix
    varies, and that is written nowhere else, is found in the matrix.
    """
    try:
        root = read_document(text, file).root
    except ScenarioError:
        return {}
    found = dict(_paths(root, ""))
    matrix = root.get("matrix")
    if isinstance(matrix, tree.Mapping):
        for entry in matrix.entries:
            found.setdefault(entry.key.text, entry.key.at)
    faults = root.get("faults")
    if isinstance(faults, Sequence):
        for index, node in enumerate(faults.items):
            found[f"faults.{index}"] = node.at
            if isinstance(node, tree.Mapping):
                found[f"faults.{_fault_id(node, index)}"] = node.at
    return found


def nearest_location(known: Mapping[str, Location], path: str) -> Location | None:
    """Return where a path is written, or else the closest of its parents; None when none of them is."""
    while path:
        if path in known:
            return known[path]
        path = path.rpartition(".")[0]
    return None


def _paths(node: tree.Mapping, prefix: str) -> Iterator[tuple[str, Location]]:
    for entry in node.entries:
        path = f"{prefix}{entry.key.text}"
        yield path, entry.key.at
        if isinstance(entry.value, tree.Mapping):
            yield from _paths(entry.value, f"{path}.")


def _fault_id(node: tree.Mapping, index: int) -> str:
    """Return the id of an entry of ``faults`` as ``timeline.py`` gives it."""
    written: Node | None = node.get("id")
    if isinstance(written, Scalar) and written.kind == "str":
        return written.text
    kind = next((entry.key.text for entry in node.entries if entry.key.text not in _WORDS), "")
    return f"{kind}-{index + 1}"

"""Values that a command line puts into a scenario: ``--set PATH=VALUE``.

Owns how they are read and put into the tree, on top of the matrix, and where an error in one of them is: in the option,
not in the file. Never knows what a path means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.errors import Location, Problem, ScenarioError, nearest
from harness.scenario import tree
from harness.scenario.document import read_document
from harness.scenario.matrix import VARIED, Axis, Combination, put
from harness.scenario.reader import NodeReader
from harness.scenario.tree import Node, Scalar

_KEY = "value: "


@dataclass(frozen=True, slots=True)
class OptionPlace(Location):
    """A place in an option of the command line: ``file`` is the option as given, ``column`` counts in its value."""

    def __str__(self) -> str:
        return f"{self.file}, column {self.column}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of the command line.

    Attributes:
        path: Where it goes.
        text: As given.
        value: Its tree.
    """

    path: Scalar
    text: str
    value: Node


def read_settings(given: Mapping[str, str]) -> tuple[Setting, ...]:
    """Return the settings of path → value as text, a YAML value each.

    Raises:
        ScenarioError: With every path that cannot be set and every value that is no YAML.
    """
    found, problems = [], list[Problem]()
    for path, text in given.items():
        at = OptionPlace(f"--set {path}={text}", 1, 1)
        head = path.partition(".")[0]
        if head not in VARIED:
            problems.append(Problem(at, f"{path!r} cannot be set", nearest(head, VARIED)))
        elif "" in path.split("."):
            problems.append(Problem(at, f"the path {path!r} has an empty step"))
        else:
            try:
                found.append(Setting(Scalar(at, "str", path, path), text, _value(text, at)))
            except ScenarioError as error:
                problems += [replace(problem, location=_moved(problem.location, at)) for problem in error.problems]
    if problems:
        raise ScenarioError(problems)
    return tuple(found)


def on_axes(axes: Sequence[Axis], settings: Sequence[Setting], reader: NodeReader) -> tuple[Axis, ...]:
    """Return the axes of the matrix, those that are set with that one value; report one that lies below a setting."""
    own = {setting.path.text: setting for setting in settings}
    for axis in axes:
        for path, setting in own.items():
            if axis.path.text.startswith(f"{path}."):
                reader.add(setting.path.at, f"the matrix varies {axis.path.text!r}, which lies below {path!r}")
    return tuple(replace(axis, values=(own[axis.path.text].value,)) if axis.path.text in own else axis for axis in axes)


def with_settings(combination: Combination, settings: Sequence[Setting], reader: NodeReader) -> Combination:
    """Return a combination of the matrix with every setting in it; paths that lead nowhere are reported."""
    root: Node = combination.root
    for setting in settings:
        root = put(root, setting.path, setting.value, reader, "path") or root
    assert isinstance(root, tree.Mapping)
    return Combination({**combination.labels, **{setting.path.text: setting.text for setting in settings}}, root)


def _value(text: str, at: OptionPlace) -> Node:
    """Return the tree of one value, its places moved into the option."""
    document = read_document(f"{_KEY}{text}", at.file, "value")
    if document.problems:
        raise ScenarioError(document.problems)
    if len(document.root.entries) != 1 or "\n" in text:
        raise ScenarioError([Problem(at, "a value is one line of YAML")])
    return _tree_moved(document.root.entries[0].value, at)


def _moved(place: Location, at: OptionPlace) -> OptionPlace:
    return replace(at, column=max(1, place.column - len(_KEY)))


def _tree_moved(node: Node, at: OptionPlace) -> Node:
    place = _moved(node.at, at)
    if isinstance(node, Scalar):
        return replace(node, at=place)
    if isinstance(node, tree.Sequence):
        return tree.Sequence(place, tuple(_tree_moved(item, at) for item in node.items))
    entries = (
        replace(entry, key=replace(entry.key, at=_moved(entry.key.at, at)), value=_tree_moved(entry.value, at))
        for entry in node.entries
    )
    return tree.Mapping(place, tuple(entries))

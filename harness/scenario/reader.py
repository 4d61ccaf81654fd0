"""From located nodes to instances of frozen dataclasses, collecting every problem on the way.

Owns what is right for a key by its type alone. Never knows what a key means, nor how keys depend on each other.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

from harness.errors import Location, Problem, ScenarioError, nearest
from harness.scenario import tree
from harness.scenario.fields import FieldSpec, field_specs, item_type, literals, unit_of, value_type, without_none
from harness.scenario.quantity import exact
from harness.scenario.tree import Node, Scalar, as_written, plain
from harness.units import Unit


class _Invalid:
    """Stands for a value that could not be read; its problem has been reported."""

    def __repr__(self) -> str:
        return "INVALID"


INVALID: Final = _Invalid()

PROBLEMS_MAX: Final = 100
"""More are not read, and finding a hint for each of ten thousand takes minutes."""

_KINDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
}


class NodeReader:
    """Reads nodes into values, collecting problems instead of stopping at the first."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def add(self, at: Location, message: str, hint: str = "") -> None:
        """Report one problem; raises ScenarioError with all of them when they are too many to go on."""
        self.problems.append(Problem(at, message, hint))
        if len(self.problems) > PROBLEMS_MAX:
            stop = Problem(at, f"more than {PROBLEMS_MAX} problems: what follows is not checked", "mend these first")
            raise ScenarioError([*self.problems[:-1], stop])

    def build(self, node: Node, cls: type, path: str, narrowed: Mapping[str, type] | None = None) -> Any:
        """Return an instance of the dataclass ``cls``, or INVALID.

        Args:
            node: Its mapping; a null stands for an empty one.
            cls: Frozen dataclass.
            path: Dotted path of the node, for messages.
            narrowed: Dataclasses for fields annotated ``Any``, by field name.
        """
        values = self.fields(node, cls, path, narrowed)
        if values is None or INVALID in values.values():
            return INVALID
        try:
            return cls(**values)
        except ValueError as error:
            self.add(node.at, f"{path}: {error}")
            return INVALID

    def fields(
        self, node: Node, cls: type, path: str, narrowed: Mapping[str, type] | None = None
    ) -> dict[str, Any] | None:
        """Return field name → value (INVALID where there is a problem), or None when the node is no mapping."""
        if isinstance(node, Scalar) and node.kind == "null":
            node = tree.Mapping(node.at)
        if not isinstance(node, tree.Mapping):
            example = ", ".join(f"{spec.yaml}: …" for spec in field_specs(cls)[:2])
            self._wrong(node, path, "a mapping", f"e.g. {{{example}}}" if example else "write {}")
            return None
        specs = {spec.yaml: spec for spec in field_specs(cls)}
        for entry in node.entries:
            if entry.key.text not in specs:
                self.unknown(entry.key, path, specs)
        values: dict[str, Any] = {}
        for spec in specs.values():
            child = node.get(spec.yaml)
            where = f"{path}.{spec.yaml}" if path else spec.yaml
            if child is not None and spec.annotation is not Any:
                values[spec.name] = self.field(child, spec, where)
            elif narrowed and spec.name in narrowed:
                values[spec.name] = self.build(child or tree.Mapping(node.at), narrowed[spec.name], where)
            elif child is not None:
                values[spec.name] = child
            elif spec.required:
                self.add(node.at, f"{path or 'the scenario'} needs {spec.yaml!r}", wanted(spec))
                values[spec.name] = INVALID
            else:
                values[spec.name] = spec.default()
        return values

    def unknown(self, key: Scalar, path: str, known: Iterable[str]) -> None:
        """Report an unknown key, with the nearest one that is known."""
        where = f"in {path}" if path else "at the top level"
        self.add(key.at, f"unknown key {key.text!r} {where}", nearest(key.text, known) or "it takes no keys")

    def field(self, node: Node, spec: FieldSpec, path: str) -> Any:
        """Return one field's value, within its bounds, or INVALID."""
        if spec.nullable and isinstance(node, Scalar) and node.kind == "null":
            return None
        value = self.value(node, spec.annotation, path)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return value
        unit = unit_of(spec.annotation)
        if spec.minimum is not None and value < spec.minimum:
            positive = unit is not None and unit.integral and spec.minimum == 1
            bound = "more than 0" if positive else f"at least {_shown(spec.minimum, unit)}"
            self.add(node.at, f"{path} must be {bound}, not {as_written(node)}")
            return INVALID
        if spec.maximum is not None and value > spec.maximum:
            self.add(node.at, f"{path} must be at most {_shown(spec.maximum, unit)}, not {as_written(node)}")
            return INVALID
        return value

    def value(self, node: Node, annotation: Any, path: str) -> Any:
        """Return the value of a node by its type alone, or INVALID."""
        annotation, nullable = without_none(annotation)
        if nullable and isinstance(node, Scalar) and node.kind == "null":
            return None
        unit = unit_of(annotation)
        words = literals(annotation)
        if annotation is Any:
            return plain(node)
        if unit is not None:
            return self._quantity(node, unit, path)
        if words is not None:
            return self._word(node, words, path)
        if item_type(annotation) is not None:
            return self._tuple(node, item_type(annotation), path)
        if value_type(annotation) is not None:
            return self._mapping(node, value_type(annotation), path)
        if dataclasses.is_dataclass(annotation):
            assert isinstance(annotation, type)
            return self.build(node, annotation, path)
        return self._scalar(node, annotation, path)

    def _wrong(self, node: Node, path: str, expected: str, hint: str = "") -> _Invalid:
        if isinstance(node, Scalar):
            shown = "nothing" if node.kind == "null" else f"{_KINDS[node.kind]} ({node.text[:60]!r})"
        else:
            shown = "a mapping" if isinstance(node, tree.Mapping) else "a list"
        self.add(node.at, f"{path} must be {expected}, not {shown}", hint)
        return INVALID

    def _quantity(self, node: Node, unit: Unit, path: str) -> Any:
        if isinstance(node, Scalar) and node.kind in ("int", "float"):
            self.add(node.at, f"{path}: {node.text} has no unit: every quantity carries one", f"e.g. {unit.example}")
            return INVALID
        if not isinstance(node, Scalar) or node.kind != "str":
            return self._wrong(node, path, f"a {unit.name}", f"e.g. {unit.example}")
        if node.text.startswith("-"):
            self.add(node.at, f"{path} must not be negative: {node.text!r}", f"e.g. {unit.example}")
            return INVALID
        try:
            value = unit.parse(node.text)
        except OverflowError:
            value = math.inf
        except ValueError as error:
            self.add(node.at, f"{path}: {error}")
            return INVALID
        if not math.isfinite(value):
            self.add(node.at, f"{path}: the number is too large")
            return INVALID
        return value

    def _word(self, node: Node, words: tuple[Any, ...], path: str) -> Any:
        if isinstance(node, Scalar):
            for word in words:
                if type(word) is type(node.value) and word == node.value:
                    return word
        known = [str(word) for word in words]
        shown = as_written(node)[:60]
        expected = f"one of {', '.join(known)}" if len(known) > 1 else known[0]
        self.add(node.at, f"{path} must be {expected}, not {shown!r}", nearest(shown, known))
        return INVALID

    def _tuple(self, node: Node, item: Any, path: str) -> Any:
        if not isinstance(node, tree.Sequence):
            hint = f"write [{node.text}]" if isinstance(node, Scalar) and node.text else ""
            return self._wrong(node, path, "a list", hint)
        values = [self.value(child, item, f"{path}.{index}") for index, child in enumerate(node.items)]
        return INVALID if INVALID in values else tuple(values)

    def _mapping(self, node: Node, value: Any, path: str) -> Any:
        if isinstance(node, Scalar) and node.kind == "null":
            return {}
        if not isinstance(node, tree.Mapping):
            return self._wrong(node, path, "a mapping")
        values = {entry.key.text: self.value(entry.value, value, f"{path}.{entry.key.text}") for entry in node.entries}
        return INVALID if INVALID in values.values() else values

    def _scalar(self, node: Node, annotation: type, path: str) -> Any:
        name, accepted = {
            int: ("a whole number", ("int",)),
            float: ("a number", ("int", "float")),
            bool: ("true or false", ("bool",)),
            str: ("text", ("str",)),
        }[annotation]
        if not isinstance(node, Scalar) or node.kind not in accepted:
            written = annotation is str and isinstance(node, Scalar) and node.text
            return self._wrong(node, path, name, "quote it" if written else "")
        return float(plain(node)) if annotation is float else node.value


def wanted(spec: FieldSpec) -> str:
    """Return a hint that says what a missing key would hold."""
    unit, words = unit_of(spec.annotation), literals(spec.annotation)
    if unit is not None:
        return f"a {unit.name}, e.g. {spec.yaml}: {unit.example}"
    if words is not None:
        return f"{spec.yaml}: {' | '.join(str(word) for word in words)}"
    return spec.doc.partition(". ")[0].rstrip(".")


def _shown(value: float, unit: Unit | None) -> str:
    return f"{value:g}" if unit is None else exact(unit, value)

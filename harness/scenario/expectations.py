"""The checks that a scenario expects, and their limits: given, switched off, or left to the check.

Owns the word ``off``. Must never know a check by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from harness.errors import nearest
from harness.scenario import tree
from harness.scenario.fields import FieldSpec, field_specs
from harness.scenario.model import Expectation
from harness.scenario.plugins import Vocabulary
from harness.scenario.reader import INVALID, NodeReader
from harness.scenario.tree import KeyValue, Node, Scalar
from harness.units import OFF, Off

_NO_METRIC = "examined_min"
"""A condition of the whole check: it is not given, or it is a number."""


def read_expectations(node: Node | None, vocabulary: Vocabulary, reader: NodeReader) -> tuple[Expectation, ...]:
    """Return the entries of ``expect`` in their order; problems are reported."""
    checks = vocabulary.checks
    if node is None:
        return ()
    if not isinstance(node, tree.Mapping):
        reader.add(node.at, "expect must be a mapping of checks to limits", f"known: {', '.join(sorted(checks))}")
        return ()
    if not node.entries:
        reader.add(node.at, "expect must name at least one check", f"known: {', '.join(sorted(checks))}")
    found = []
    for entry in node.entries:
        check = entry.key.text
        if check not in checks:
            reader.add(entry.key.at, f"unknown check {check!r}", nearest(check, checks))
        elif _is_off(entry.value):
            found.append(_off(entry, vocabulary, reader))
        else:
            found.append(Expectation(check=check, limits=_limits(entry.value, checks[check], check, reader)))
    if found and all(item.off for item in found):
        reader.add(node.at, "expect must name at least one check that is not off")
    return tuple(found)


def metric_specs(limits: type) -> tuple[FieldSpec, ...]:
    """Return the keys of a check's limits that are metrics: by default they are not given."""
    return tuple(
        spec
        for spec in field_specs(limits)
        if spec.nullable and not spec.required and spec.default() is None and spec.name != _NO_METRIC
    )


def switched_off(expect: Node | None, check: str) -> bool:
    """Return whether ``expect`` switches a check off as a whole."""
    return isinstance(expect, tree.Mapping) and (node := expect.get(check)) is not None and _is_off(node)


def _is_off(node: Node) -> bool:
    return isinstance(node, Scalar) and node.kind == "str" and node.text == OFF


def _off(entry: KeyValue, vocabulary: Vocabulary, reader: NodeReader) -> Expectation:
    """Return a check that is switched off; only what counts in every run can be."""
    check = entry.key.text
    if check not in vocabulary.standing:
        hint = f"these count in every run unless they are off: {', '.join(sorted(vocabulary.standing)) or 'none'}"
        reader.add(entry.value.at, f"{check} counts only where expect names it, so leave it out", hint)
    return Expectation(check=check, limits=vocabulary.checks[check](), off=True)


def _limits(node: Node, cls: type, check: str, reader: NodeReader) -> Any:
    """Return the limits of one check; INVALID when they have problems, which are reported."""
    path, off = f"expect.{check}", _metrics_off(node, cls)
    if isinstance(node, tree.Mapping) and off:
        kept = tuple(entry for entry in node.entries if entry.key.text not in off)
        if len(off) == len(metric_specs(cls)):
            reader.add(node.at, f"every limit of {check} is off, so it would judge nothing", "leave the check out")
            return INVALID
        node = dataclasses.replace(node, entries=kept)
    limits = reader.build(node, cls, path)
    if limits is INVALID or not off:
        return limits
    return dataclasses.replace(limits, **{name: Off.of(name) for name in off.values()})


def _metrics_off(node: Node, cls: type) -> Mapping[str, str]:
    """Return key → field of each metric that is switched off."""
    if not isinstance(node, tree.Mapping):
        return {}
    known = {spec.yaml: spec.name for spec in metric_specs(cls)}
    return {
        entry.key.text: known[entry.key.text]
        for entry in node.entries
        if entry.key.text in known and _is_off(entry.value)
    }

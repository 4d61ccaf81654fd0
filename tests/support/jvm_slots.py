"""Marks tests by the JVMs that they start, so that they can be chosen by ``-m``.

A broker's profile says whether its nodes are JVMs.
"""

from __future__ import annotations

import re

import pytest
from support.broker_profiles import profiles

_BROKER = re.compile(r"^broker: *([a-z][a-z0-9-]*?)(?:-\d[^\s#]*)?\s*(?:#.*)?$", re.MULTILINE)
_NODES = re.compile(r"^(?:cluster: *\{.*?|cluster:\n(?:  .*\n)*?  )nodes: *(\d+)", re.MULTILINE)
MARKS = ("several_jvms", "one_jvm")


def jvm_count(scenario: str) -> int:
    """Return how many JVMs a scenario's cluster has, 0 for a broker of another kind."""
    broker = _BROKER.search(scenario)
    if broker is None or broker[1] not in profiles() or not profiles()[broker[1]].jvm:
        return 0
    nodes = _NODES.search(scenario)
    return int(nodes[1]) if nodes else 1


def jvm_marks(scenario: str) -> tuple[pytest.MarkDecorator, ...]:
    """Return the marks of a test that runs this scenario."""
    count = jvm_count(scenario)
    return (getattr(pytest.mark, MARKS[0 if count > 1 else 1]),) if count else ()

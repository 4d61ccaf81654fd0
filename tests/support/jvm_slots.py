"""Keeps tests that run two at a time from starving each other: several JVMs at once take all of a small machine's CPUs.

A run of several JVMs goes on while no other one starts any; runs of one JVM, and of other nodes, go on side by side.
A broker's profile says whether its nodes are JVMs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.broker_profiles import profiles

_BROKER = re.compile(r"^broker: *([a-z][a-z0-9-]*?)(?:-\d[^\s#]*)?\s*(?:#.*)?$", re.MULTILINE)
_NODES = re.compile(r"^(?:cluster: *\{.*?|cluster:\n(?:  .*\n)*?  )nodes: *(\d+)", re.MULTILINE)
_LOCK = Path(tempfile.gettempdir()) / f"broker-chaos-tests-{os.getuid()}.lock"
MARKS = ("several_jvms", "one_jvm")


def jvm_count(scenario: str) -> int:
    """Return how many JVMs a scenario's cluster has, 0 for a broker of another kind."""
    broker = _BROKER.search(scenario)
    if broker is None or broker[1] not in profiles() or not profiles()[broker[1]].jvm:
        return 0
    nodes = _NODES.search(scenario)
    return int(nodes[1]) if nodes else 1


@contextlib.contextmanager
def jvm_slot(scenario: str) -> Iterator[None]:
    """Wait until this scenario's JVMs may run, and hold that place."""
    count = jvm_count(scenario)
    if not count:
        yield
        return
    with _LOCK.open("a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX if count > 1 else fcntl.LOCK_SH)
        yield


def jvm_marks(scenario: str) -> tuple[pytest.MarkDecorator, ...]:
    """Return the marks by which ``sort_by_jvms`` sorts a test that runs this scenario."""
    count = jvm_count(scenario)
    return (getattr(pytest.mark, MARKS[0 if count > 1 else 1]),) if count else ()


def sort_by_jvms(items: list[pytest.Item]) -> None:
    """Sort tests, so that of two workers one begins with several JVMs and the other, in the middle, with none."""
    rank = {mark: number for number, mark in enumerate(MARKS)}
    items.sort(key=lambda item: min((rank[mark.name] for mark in item.iter_markers() if mark.name in rank), default=2))

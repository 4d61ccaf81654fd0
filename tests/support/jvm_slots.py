"""Keeps tests that run two at a time from starving each other: several JVMs at once take all of a small machine's CPUs.

A run of several Kafka nodes goes on beside no other run of Kafka; runs of one Kafka node, and all of NATS, go on side by side.
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

_BROKER = re.compile(r"^broker: *kafka", re.MULTILINE)
_NODES = re.compile(r"^(?:cluster: *\{.*?|cluster:\n(?:  .*\n)*?  )nodes: *(\d+)", re.MULTILINE)
_LOCK = Path(tempfile.gettempdir()) / f"broker-chaos-tests-{os.getuid()}.lock"
MARKS = ("several_jvms", "one_jvm")


def jvms(text: str) -> int:
    """Return how many nodes of Kafka a scenario starts, 0 for another broker."""
    if not _BROKER.search(text):
        return 0
    nodes = _NODES.search(text)
    return int(nodes[1]) if nodes else 1


@contextlib.contextmanager
def turn(text: str) -> Iterator[None]:
    """Wait for this scenario's turn, and keep it."""
    count = jvms(text)
    if not count:
        yield
        return
    with _LOCK.open("a", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX if count > 1 else fcntl.LOCK_SH)
        yield


def marks(text: str) -> tuple[pytest.MarkDecorator, ...]:
    """Return what sorts a test that runs this scenario (see ``in_order``)."""
    count = jvms(text)
    return (getattr(pytest.mark, MARKS[0 if count > 1 else 1]),) if count else ()


def in_order(items: list[pytest.Item]) -> None:
    """Sort tests, so that of two workers one begins with several JVMs and the other, in the middle, with none."""
    rank = {mark: number for number, mark in enumerate(MARKS)}
    items.sort(key=lambda item: min((rank[mark.name] for mark in item.iter_markers() if mark.name in rank), default=2))

"""What a test learns of the workers that it has started next to nodes of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from support.rocketmq_nodes import Nodes

from harness.workload.launcher import Worker


class _Ended:
    name = "c0"

    def logs(self) -> str:
        return "the end of its log"


async def _never() -> bool:
    return False


def _nodes() -> Nodes:
    none: Any = None
    return Nodes(none, none, none, Path(), none, 4, none, none)


def test_a_wait_ends_with_a_worker_that_died_and_says_how() -> None:
    nodes = _nodes()
    nodes._changed(cast("Worker", _Ended()), "died", -9)
    with pytest.raises(AssertionError, match="all is read: no more, because c0 ended with status -9\nthe end of"):
        asyncio.run(nodes.until("all is read", _never))


def test_a_worker_that_has_finished_died_of_nothing() -> None:
    nodes = _nodes()
    nodes._changed(cast("Worker", _Ended()), "died", 0)
    nodes._changed(cast("Worker", _Ended()), "killed", -9)
    assert not nodes.died

"""Spinning processes next to a node: whatever happens while they start, none goes on once its holder has ended it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from harness.runtime.cpu_load import CpuLoad
from harness.runtime.kernel import procfs
from harness.runtime.ledger import Ledger


class FakeGroup:
    """A control group that notes what is put into it, or refuses everything."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.pids: list[int] = []

    def add(self, pid: int) -> None:
        self.pids.append(pid)
        if self.refuses:
            raise OSError("the group is gone")


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    ledger = Ledger(f"cpu-load-{tmp_path.name}", tmp_path)
    yield ledger
    ledger.close()


def load_of(ledger: Ledger, tmp_path: Path) -> CpuLoad:
    return CpuLoad("n1", ledger, tmp_path / "n1.log")


def as_group(fake: FakeGroup) -> Any:
    return cast("Any", fake)


async def nothing_runs(ledger: Ledger) -> bool:
    """Wait until no process of the run exists and the loop has heard of its end; False when one still does after a
    while.
    """
    for _ in range(200):
        if not list(procfs.marked(ledger.run_id)):
            watchers = [task for task in asyncio.all_tasks() if task.get_name().startswith("watch ")]
            await asyncio.wait_for(asyncio.gather(*watchers), 10)
            return True
        await asyncio.sleep(0.02)
    return False


def test_a_process_that_its_group_refuses_ends_with_its_holder(ledger: Ledger, tmp_path: Path) -> None:
    async def run() -> None:
        load, group = load_of(ledger, tmp_path), FakeGroup(refuses=True)
        with pytest.raises(OSError, match="the group is gone"):
            await load.start("cpu-1", 1, as_group(group))
        load.stop("cpu-1")
        assert len(group.pids) == 1
        assert await nothing_runs(ledger)

    asyncio.run(run())


@pytest.mark.parametrize("end", [lambda load: load.stop("cpu-1"), lambda load: load.suspend()], ids=["stop", "suspend"])
def test_what_is_ended_while_it_starts_does_not_go_on(
    end: Callable[[CpuLoad], None], ledger: Ledger, tmp_path: Path
) -> None:
    async def run() -> None:
        load, group = load_of(ledger, tmp_path), FakeGroup()
        starting = asyncio.create_task(load.start("cpu-1", 2, as_group(group)))
        await asyncio.sleep(0)
        end(load)
        await starting
        assert group.pids == []
        assert await nothing_runs(ledger)

    asyncio.run(run())


def test_only_what_is_still_asked_for_is_resumed(ledger: Ledger, tmp_path: Path) -> None:
    async def run() -> None:
        load, before, after = load_of(ledger, tmp_path), FakeGroup(), FakeGroup()
        for holder in ("cpu-1", "cpu-2"):
            await load.start(holder, 1, as_group(before))
        load.suspend()
        assert await nothing_runs(ledger)
        resuming = asyncio.create_task(load.resume(as_group(after)))
        await asyncio.sleep(0)
        load.stop("cpu-2")
        await resuming
        assert len(after.pids) == 1
        assert load.wanted
        load.stop("cpu-1")
        assert await nothing_runs(ledger)
        assert not load.wanted

    asyncio.run(run())

"""Workers that do not finish in time are reported. The workers and processes are fakes that end as a test says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.clients.base import WorkerSpec
from harness.engine.drain import Drain
from harness.workload import launcher
from harness.workload.launcher import Worker


class FakeProcess:
    """Ends by itself after ``ends_s``, at once when it is killed; ``pid`` 0: it does not run."""

    def __init__(self, ends_s: float, pid: int = 7) -> None:
        self.pid, self.returncode = pid, None
        self.process = SimpleNamespace(stdin=None)
        self._ends_s = ends_s

    def expect_end(self) -> None:
        return

    async def wait(self) -> None:
        await asyncio.sleep(self._ends_s)

    async def end(self, number: int, _: float) -> None:
        self.returncode = -number  # type: ignore[assignment]


def worker(tmp_path: Path, process: FakeProcess, *, says: bool = False) -> Worker:
    """Return a worker over a fake process; with ``says`` it has said that it finished."""
    spec = WorkerSpec(
        worker="c0",
        incarnation=1,
        role="consumer",
        broker="kafka",
        history_dir="",
        addresses=(),
        partitions=1,
        keys=(),
        options={},
    )
    made = Worker(spec, tmp_path, cast("Any", None), lambda *_: None)
    made._process = cast("Any", process)
    if says:
        made._finished.set()
    return made


def test_who_ran_and_did_not_finish_in_time_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "_STARVED_S", 0.1)
    broker = SimpleNamespace(settle_ns=0, leave_ns=0)

    def told(made: Worker) -> list[str]:
        drain = Drain(cast("Any", broker), cast("Any", None), {"c0": made}, cast("Any", None))
        return asyncio.run(drain.stop_consumers())

    (problem,) = told(worker(tmp_path, FakeProcess(60)))
    assert "c0 did not finish" in problem
    assert "-9" in problem
    (problem,) = told(worker(tmp_path, FakeProcess(0)))  # broke down as it ended
    assert "c0" in problem
    assert told(worker(tmp_path, FakeProcess(0.05), says=True)) == []  # late, yet within what a busy machine is granted
    assert told(worker(tmp_path, FakeProcess(0, pid=0))) == []  # it is down by a fault, say

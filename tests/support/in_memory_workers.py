"""Workers and the monitor of the fake (see ``in_memory``): tasks of the test's own loop, with real journals."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from support import in_memory_liars as liars
from support.in_memory_clients import consume, produce
from support.in_memory_runtime import MemoryCluster

from harness.clients.base import Control, Counters, ErrorCollapse, Session, WorkerSpec, WorkerStats
from harness.clock import NS_PER_S, monotonic_ns
from harness.engine.parts import WorkerChange
from harness.history.events import LeaderEvent
from harness.history.record import Break, EventLog, Journal, Outcome, RecordKind
from harness.runtime.base import Identity

_TICK_NS = NS_PER_S // 10
_PROBE_S = 0.05


class MemoryWorker:
    """A worker that is a task; fulfils ``RunWorker``."""

    holds_loop = False
    reporting = True
    held = False
    cpu_ns = 0

    def __init__(self, spec: WorkerSpec, cluster: MemoryCluster, on_change: WorkerChange) -> None:
        self.spec = spec
        self.returncode: int | None = None
        self._cluster, self._on_change = cluster, on_change
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._past = Counters()
        self.finished = False

    @property
    def name(self) -> str:
        return self.spec.worker

    @property
    def pid(self) -> int:
        return os.getpid() if self._task is not None and not self._task.done() else 0

    @property
    def pids(self) -> tuple[int, ...]:
        return (self.pid,) if self.pid else ()

    @property
    def companions(self) -> Mapping[str, int]:
        return {}

    @property
    def counters(self) -> Counters:
        current = self._session.counters if self._session is not None else Counters()
        pairs = zip(dataclasses.astuple(self._past), dataclasses.astuple(current), strict=True)
        return Counters(*(past + now for past, now in pairs))

    @property
    def reports(self) -> Sequence[WorkerStats]:
        return (WorkerStats(t=monotonic_ns(), counters=self.counters),)

    @property
    def ready(self) -> bool:
        return self._session is not None and self._session.ready.is_set()

    @property
    def abandoned(self) -> int:
        return self._past.delivered - self._past.processed

    async def start(self) -> None:
        spec = self.spec
        stem = Path(spec.history_dir) / f"{spec.worker}.{spec.incarnation}"
        journal = Journal(
            stem.with_name(f"{stem.name}.journal"),
            {"worker": spec.worker, "incarnation": spec.incarnation, "role": spec.role},
        )
        events = EventLog(stem.with_name(f"{stem.name}.events.jsonl"), spec.worker)
        self._session = Session(
            spec=spec,
            control=Control(go=asyncio.Event(), stop_sending=asyncio.Event(), stop=asyncio.Event()),
            counters=Counters(),
            journal=journal,
            events=events,
            errors=ErrorCollapse(events, spec.worker),
            ready=asyncio.Event(),
        )
        self.finished, self.returncode = False, None
        self._task = asyncio.create_task(self._work(self._session), name=spec.worker)
        self._on_change(self, "started", None)

    async def wait_ready(self) -> None:
        assert self._session is not None
        await self._session.ready.wait()
        self._on_change(self, "ready", None)

    async def restart(self, go_ns: int) -> None:
        self._past = self.counters
        self.spec = dataclasses.replace(self.spec, incarnation=self.spec.incarnation + 1)
        await self.join(go_ns)

    async def join(self, go_ns: int) -> None:
        await self.start()
        await self.wait_ready()
        self.send_command("go", start_ns=go_ns)

    async def leave(self, timeout_s: float) -> None:
        self.send_command("stop_sending" if self.spec.role == "producer" else "stop")
        await self.finish(timeout_s)

    def send_command(self, command: str, **fields: int) -> None:
        if self._session is None:
            return
        control = self._session.control
        if command == "go":
            control.start_ns = fields["start_ns"]
            control.go.set()
        elif command == "stop_sending":
            control.stop_sending.set()
        elif command == "stop":
            control.leave()
            control.stop.set()
            control.go.set()

    def expect_end(self) -> None:
        return

    async def finish(self, timeout_s: float) -> bool:
        if self._task is None:
            return True
        done, _ = await asyncio.wait({self._task}, timeout=timeout_s)
        if not done:
            await self.kill()
            return False
        self._on_change(self, "finished", 0)
        return self.finished

    async def kill(self) -> None:
        if self._task is not None:
            assert self._session is not None
            self._session.journal._open = False  # as SIGKILL leaves it: without its end record
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.returncode = -9
        self._on_change(self, "killed", -9)

    def pause(self, holder: str) -> None:
        raise NotImplementedError

    def resume(self, holder: str) -> None:
        raise NotImplementedError

    def state(self) -> str:
        return "S" if self.pid else ""

    def identity(self) -> Identity | None:
        return Identity(pid=1, start_ticks=self.spec.incarnation) if self.pid else None

    def logs(self) -> str:
        return ""

    def block_handler(self, length_ns: int) -> None:
        raise NotImplementedError

    def slow_handler(self, extra_ns: int) -> None:
        raise NotImplementedError

    async def _work(self, session: Session) -> None:
        try:
            session.ready.set()
            await session.control.go.wait()
            cluster = self._cluster
            if cluster.lie:
                lying = liars.produce if self.spec.role == "producer" else liars.consume
                await lying(session, cluster.logs, lambda: cluster.serves, cluster.lie)
            elif self.spec.role == "producer":
                await produce(session, cluster.logs, lambda: cluster.serves, cluster.loses)
            else:
                await consume(session, cluster.logs, lambda: cluster.serves)
            self.finished, self.returncode = True, 0
        finally:
            session.journal.close()
            session.events.close()


class MemoryMonitor:
    """Looks at the fake cluster and journals what the real monitor would."""

    name = "monitor"
    pid = 0
    heard = 0
    cpu_ns = 0

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster
        self._task: asyncio.Task[None] | None = None
        self.ended = False

    async def start(self, spec: Mapping[str, Any]) -> None:
        history = Path(spec["history_dir"])
        targets = [target["name"] for target in spec["targets"]]
        meta = {"worker": "monitor", "incarnation": 1, "role": "monitor", "targets": targets}
        journal = Journal(history / "monitor.1.journal", meta)
        events = EventLog(history / "monitor.1.events.jsonl", "monitor")
        self._task = asyncio.create_task(self._look(journal, events, len(targets)))

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.ended = True

    async def _look(self, journal: Journal, events: EventLog, targets: int) -> None:
        last, leader = monotonic_ns(), ""
        try:
            while True:
                await asyncio.sleep(_PROBE_S)
                now = monotonic_ns()
                serves = self._cluster.serves or self._cluster.blind
                if now - last >= _TICK_NS:
                    journal.add(RecordKind.TICK, t=now, offset=now - last)
                    last = now
                for index in range(targets):
                    journal.add(
                        RecordKind.PROBE,
                        t=now,
                        outcome=Outcome.OK if serves else Outcome.FAIL,
                        count=int(Break.NONE if serves else Break.REFUSED),
                        key=0,
                        partition=index,
                        seq=now - 1,
                        offset=1,
                        ref=0,
                    )
                journal.flush()
                if (found := "n1" if serves else "") != leader:
                    leader = found
                    events.write(LeaderEvent(partition=-1, leader=leader))
        finally:
            journal.close()
            events.close()


class MemoryGateway:
    """A gateway that passes nothing on: the fake's workers dial no address."""

    cpu_ns = 1

    @property
    def heard(self) -> int:
        return monotonic_ns()

    def __init__(self, zone: str, on_death: Callable[[int], None]) -> None:
        self.name = f"gateway-{zone}"
        self.pid = 0
        self.spec: Mapping[str, Any] = {}
        self.die = on_death

    async def start(self, spec: Mapping[str, Any]) -> None:
        self.spec, self.pid = spec, os.getpid()

    async def end(self) -> None:
        self.pid = 0

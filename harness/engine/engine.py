"""The engine: one run, from a plan to a complete run directory.

Owns the order of phases: up → warm-up → timeline → drain → audit. Judges nothing; whatever happens, what was recorded
so far stays in the run directory and nothing of ours stays running.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness import __version__
from harness.brokers.base import Admin
from harness.clock import NS_PER_S, monotonic_ns
from harness.engine.abilities import check_abilities, needed_abilities
from harness.engine.deployment import Deployment
from harness.engine.disks import disk_spec
from harness.engine.drain import Drain
from harness.engine.fault_schedule import FaultSchedule, sleep_until
from harness.engine.isolation import NEVER, Isolation
from harness.engine.parts import Binaries, MachineParts, Parts
from harness.engine.run_usage import UsageMeter
from harness.engine.rundir import RunDir
from harness.errors import ControlError, DisturbedError, HarnessError
from harness.history.events import AuthorityEvent, PhaseEvent
from harness.history.manifest import write_manifest
from harness.history.record import EventLog, Journal
from harness.progress import Listener, PhaseStarted, Snapshot
from harness.result import Usage
from harness.runtime.abilities import MachineAbility
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger
from harness.scenario.model import Plan

_SNAPSHOT_S = 0.5
_START_DELAY_NS = NS_PER_S // 10
_AUDIT_WITHOUT_NODE_S = 20.0
"""How long an audit may take once a node has ended for good."""


@dataclass(slots=True)
class RunRecord:
    """What the engine records about a run in addition to its history; saved as ``run.json``.

    Attributes:
        run_id, runtime, versions, started_wall: Identity.
        harness: Version of this tool.
        timings_ns: Phase → measured length.
        overhead: See ``Deployment.overhead``.
        usage: Without judging; None when nothing was started.
        problems: Deaths of nodes, workers, the monitor that no fault planned.
        isolated: Its processes had a network of their own; None when that is not known.
        drain: Why the drain is unproven; empty when it is proven.
        error: Why the run did not complete; empty when it did.
        exit_code: Of that error; 0 when it completed.
        format: Of the run directory: 2 has a manifest and journals with an end; the first one is not named.
    """

    run_id: str
    runtime: str
    versions: dict[str, str] = field(default_factory=dict)
    started_wall: str = ""
    harness: str = __version__
    timings_ns: dict[str, int] = field(default_factory=dict)
    overhead: dict[str, float] = field(default_factory=dict)
    usage: Usage | None = None
    problems: list[str] = field(default_factory=list)
    isolated: bool | None = None
    drain: str = "never reached"
    error: str = ""
    exit_code: int = 0
    format: int = 2


class Engine:
    """Executes one plan.

    Args:
        plan: What to do.
        source: Text of the scenario file, kept in the run directory.
        reports: Where run directories are made.
        run_id: From ``rundir.new_run_id``.
        runtime: ``process`` or ``docker``.
        listener: For progress.
        parts: What the run is put together from; None = this machine's.
        isolation: What it has come to for this run; ``run`` may need a thread of its own.
    """

    def __init__(
        self,
        plan: Plan,
        source: str,
        reports: Path,
        run_id: str,
        runtime: str,
        listener: Listener,
        parts: Parts | None = None,
        isolation: Isolation = NEVER,
    ) -> None:
        self._plan, self._isolation = plan, isolation
        self._listener = listener
        self._parts = parts or MachineParts()
        self._bound = self._parts.broker(plan.broker_kind).bind(plan)
        self.record = RunRecord(
            run_id=run_id, runtime=runtime, started_wall=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        )
        self.run_dir = RunDir.create(reports, plan, run_id)
        self.run_dir.save_plan(plan, source)
        self._bound.run_facts.save(self.run_dir.path / "facts.json")
        self._events = EventLog(self.run_dir.history / "engine.events.jsonl", "engine")
        self._phase = ""
        self._phase_began = self._began = monotonic_ns()
        self._timeline: FaultSchedule | None = None
        self._hastened = False

    @property
    def in_force(self) -> tuple[str, ...]:
        """Ids of the faults that are in force now."""
        return () if self._timeline is None else tuple(sorted(self._timeline.active))

    def hasten(self) -> None:
        """Let a run that is being taken down wait for nothing any more: the ledger kills what is left of it."""
        self._hastened = True

    async def run(self) -> RunRecord:
        """Carry the plan out; the record and the history are saved whatever happens.

        Raises:
            HarnessError: The run could not be made or completed.
            asyncio.CancelledError: It was interrupted; everything is taken down before this returns.
        """
        try:
            abilities = self._abilities()
            binaries = await self._fetch()
            # Not before: downloads need this machine's network. Not later: everything of a run is in one network.
            self.record.isolated = self._isolation.enter(self._listener)
            await self._execute(binaries, abilities)
        except HarnessError as error:
            self.record.error, self.record.exit_code = str(error), int(error.exit_code)
            raise
        except asyncio.CancelledError:
            self.record.error, self.record.exit_code = "interrupted", 2
            raise
        except Exception as error:
            self.record.error, self.record.exit_code = f"internal error: {error!r}", 3
            raise
        finally:
            self._enter("end")
            self.record.timings_ns["total"] = monotonic_ns() - self._began
            self._events.close()
            self.run_dir.write_json("run.json", _document(self.record))
            write_manifest(self.run_dir.path)
        return self.record

    def _abilities(self) -> frozenset[MachineAbility]:
        needed = needed_abilities(self._plan)
        check_abilities(needed, self.record.runtime)
        disk_spec(self._plan.cluster, needed)
        return frozenset(needed)

    async def _fetch(self) -> Binaries:
        self._enter("fetch")
        return await self._parts.software(self._bound, self.record.runtime, self._listener, self.record.versions)

    async def _execute(self, binaries: Binaries, abilities: frozenset[MachineAbility]) -> None:
        ledger = Ledger(self.record.run_id, self.run_dir.path)
        ports = Ports()
        meter = UsageMeter(self._began)
        try:
            deployment = Deployment(
                bound=self._bound,
                binaries=binaries,
                parts=self._parts,
                runtime=self.record.runtime,
                run_dir=self.run_dir,
                ledger=ledger,
                ports=ports,
                events=self._events,
                abilities=abilities,
                listener=self._listener,
            )
            self._enter("up", f"{self._plan.cluster.nodes} × {self._plan.broker}, {len(deployment.links)} links")
            try:
                async with _teardown_on_exit(deployment, lambda: self._hastened):
                    await deployment.up()
                    await self._work(deployment, meter)
            finally:
                self.record.usage = meter.usage(deployment.cpu_ns())
        finally:
            self._enter("clean")
            ledger.close()
            ports.release()

    async def _work(self, deployment: Deployment, meter: UsageMeter) -> None:
        workload = self._plan.workload
        go_ns = monotonic_ns() + _START_DELAY_NS
        start_ns = go_ns + workload.warmup_ns
        self._enter("warmup", length_ns=workload.warmup_ns)
        for worker in deployment.workers.values():
            worker.send_command("go", start_ns=go_ns)
        self._timeline = FaultSchedule(
            self._plan.timeline,
            deployment,
            self._events,
            start_ns=start_ns,
            go_ns=go_ns,
            listener=self._listener,
            healing_s=self._parts.healing_s,
        )
        meter.work_begins()
        watching = asyncio.create_task(self._watch(deployment, meter))
        looking = asyncio.create_task(deployment.watch.run())
        working = asyncio.create_task(self._phases(deployment, start_ns))
        fatal = asyncio.create_task(deployment.fatal.wait())
        try:
            await asyncio.wait({working, looking, fatal}, return_when=asyncio.FIRST_COMPLETED)
            if looking.done():
                await looking  # a watch that fails must not be taken for one that saw nothing
            if fatal.done():
                error = DisturbedError if deployment.died else ControlError
                raise error("; ".join(deployment.problems))
            await working
        finally:
            tasks = (working, watching, looking, fatal)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            deployment.watch.end()
            meter.work_ends()
            self.record.problems = list(deployment.problems)
            self.record.overhead = deployment.overhead()

    async def _phases(self, deployment: Deployment, start_ns: int) -> None:
        workload = self._plan.workload
        # A little before: it can take seconds, which the plan's faults would not wait for.
        await sleep_until(start_ns - min(NS_PER_S, workload.warmup_ns // 2))
        await deployment.disks.sync()
        await sleep_until(start_ns)
        self._enter("faults", length_ns=workload.duration_ns, t=start_ns)
        assert self._timeline is not None
        faults = asyncio.create_task(self._timeline.run())
        try:
            await sleep_until(start_ns + workload.duration_ns)
            await faults
        finally:
            faults.cancel()
            await asyncio.gather(faults, return_exceptions=True)
        await deployment.compare_proxies()
        self._enter("drain", length_ns=workload.drain_ns)
        drain = Drain(self._bound, deployment.admin, deployment.workers, self._events)
        deployment.problems += await drain.settle_producers()
        self.record.drain = await drain.consumers_catch_up()
        await deployment.recheck_bypass()
        deployment.problems += await drain.stop_consumers()
        deployment.watch.drained()
        self._enter("audit")
        try:
            # Without a node that has ended for good, the broker is asked in vain, again and again.
            await asyncio.wait_for(self._audit(deployment.admin), _AUDIT_WITHOUT_NODE_S if deployment.died else None)
        except TimeoutError as error:
            raise DisturbedError(f"no audit within {_AUDIT_WITHOUT_NODE_S:g} s: {deployment.problems[0]}") from error

    async def _audit(self, admin: Admin) -> None:
        """Read the broker's whole log: the authority on what was stored, where, and how often."""
        journal = Journal(
            self.run_dir.history / "audit.1.journal", {"worker": "audit", "incarnation": 1, "role": "audit"}
        )
        try:
            said = await admin.audit(journal)
        finally:
            journal.close()
        for extent in said:
            fields = {field.name: getattr(extent, field.name) for field in dataclasses.fields(extent)}
            for event in fields.pop("events"):
                self._events.write(event)
            self._events.write(AuthorityEvent(**fields))

    async def _watch(self, deployment: Deployment, meter: UsageMeter) -> None:
        """Report the listener how far things are, and look at memory, twice a second."""
        last_sent = last_processed = 0
        last = monotonic_ns()
        while True:
            meter.sample(deployment.pids().values())
            deployment.cpu_ns()  # of a container that ends by itself, what was seen last counts
            await asyncio.sleep(_SNAPSHOT_S)
            counters = [worker.counters for worker in deployment.workers.values()]
            sent, processed = sum(c.sent for c in counters), sum(c.processed for c in counters)
            acknowledged = sum(c.acknowledged for c in counters)
            now = monotonic_ns()
            self._listener(
                Snapshot(
                    phase=self._phase,
                    elapsed_ns=now - self._phase_began,
                    sent=sent,
                    acknowledged=acknowledged,
                    delivered=sum(c.delivered for c in counters),
                    processed=processed,
                    backlog=max(0, acknowledged - processed),
                    send_per_s=(sent - last_sent) * 1e9 / (now - last),
                    process_per_s=(processed - last_processed) * 1e9 / (now - last),
                    active_faults=tuple(sorted(self._timeline.active)) if self._timeline else (),
                    consumption_known=not self._bound.run_facts.by_positions,
                )
            )
            last_sent, last_processed, last = sent, processed, now

    def _enter(self, phase: str, detail: str = "", length_ns: int = 0, t: int | None = None) -> None:
        now = monotonic_ns() if t is None else t
        if self._phase:
            self.record.timings_ns[self._phase] = now - self._phase_began
        self._phase, self._phase_began = phase, now
        if phase in {"up", "warmup", "faults", "drain", "audit", "end"}:
            self._events.write(PhaseEvent(phase=phase, t=now))
        if phase != "end":
            self._listener(PhaseStarted(phase=phase, detail=detail, length_ns=length_ns))


@contextlib.asynccontextmanager
async def _teardown_on_exit(deployment: Deployment, hastened: Callable[[], bool]) -> AsyncIterator[None]:
    """Take the deployment down however the block is left; a cancellation waits for it, unless it is ``hastened``."""
    try:
        yield
    finally:
        taking_down = asyncio.ensure_future(deployment.down())
        while not taking_down.done():
            with contextlib.suppress(asyncio.CancelledError):
                if hastened():
                    taking_down.cancel()
                await asyncio.shield(taking_down)


def _document(record: RunRecord) -> dict[str, object]:
    return dataclasses.asdict(record)

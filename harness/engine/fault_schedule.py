"""Carries the plan's faults out: each at its time, or at the state it waits for, with its evidence gathered while it
acts and after it is healed.

Every fault that was applied is healed, whatever happens in between; what could not be proven is journaled as unproven
and makes the run inconclusive.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from collections.abc import Callable

from harness.clients.base import Counters
from harness.clock import NS_PER_S, monotonic_ns
from harness.engine.deployment import Deployment
from harness.engine.target_lookup import resolve_targets, wait_for_targets
from harness.engine.triggers import Sighting, TriggerSources, wait_for
from harness.engine.usage import CpuUsage
from harness.errors import ControlError, HarnessError
from harness.faults.base import (
    FAULTS,
    Evidence,
    Fault,
    FaultContext,
    FaultKind,
    FaultLeaders,
    FaultTopic,
    TouchesOthers,
)
from harness.faults.kit.interference import Interference
from harness.faults.kit.outages import Outages
from harness.history.events import EvidenceEvent, FaultEvent, TriggerEvent
from harness.history.record import EventLog
from harness.progress import FaultChanged
from harness.scenario.model import FaultEffects, PlannedFault, Trigger
from harness.scenario.trigger import in_words

_POLL_S = 0.1
_FAILURES = (HarnessError, OSError)  # the kernel, too, may refuse an act (control groups, signals)
_EFFECT_S = 5.0
"""How long the evidence of a fault that ends by itself may be on its way: the monitor may be late."""


class FaultSchedule:
    """The faults of one run.

    Args:
        faults: In order of their times.
        deployment, events: Of the run.
        start_ns: Monotonic time zero of the plan: the end of warm-up.
        go_ns: When the workload started.
        listener: For progress.
        healing_s: How long a control port may take to heal, and after healing the probes to see it.
    """

    def __init__(
        self,
        faults: tuple[PlannedFault, ...],
        deployment: Deployment,
        events: EventLog,
        *,
        start_ns: int,
        go_ns: int,
        listener: Callable[[FaultChanged], None],
        healing_s: float,
    ) -> None:
        self._faults = faults
        self._healing_s = healing_s
        self._deployment = deployment
        self._events = events
        self._start_ns = start_ns
        self._go_ns = go_ns
        self._listener = listener
        self.active: set[str] = set()  # faults in force
        self._healed = {fault.id: asyncio.Event() for fault in faults}
        self._sources = TriggerSources(
            group_state=deployment.admin.group_state,
            leader=deployment.admin.leader,
            counters=self._counters,
            healed=self._healed,
        )
        self._outages = Outages()
        self._interference = Interference()
        self._cores: dict[str, float] = {}
        self._usage = CpuUsage(deployment.nodes)

    async def run(self) -> None:
        """Carry every fault out; returns when all are healed and their healing was proven or given up.

        Begins at the end of warm-up: what was used until then is what the warm-up took.
        """
        self._cores = self._usage.cores()
        tasks = [asyncio.create_task(self._carry_out(fault), name=fault.id) for fault in self._faults]
        try:
            await asyncio.gather(*tasks)
        finally:
            # Interrupted: every fault still heals itself on cancellation before we leave.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _carry_out(self, planned: PlannedFault) -> None:
        sighting: Sighting | None = None
        if planned.when is not None:
            sighting = await wait_for(planned.when, self._sources, self._start_ns)
            if not sighting.seen_ns:
                self._journal_no_trigger(planned, planned.when, sighting)
                return
            planned = _move_to(planned, sighting.seen_ns + planned.when.delay_ns - self._start_ns)
        await sleep_until(self._start_ns + planned.at_ns)
        kind = FAULTS.get(planned.kind)
        targets = planned.targets or await resolve_targets(planned, self._deployment)
        if not targets:
            targets = await wait_for_targets(planned, self._deployment)
            # Its length stays.
            planned = _move_to(planned, max(planned.at_ns, monotonic_ns() - self._start_ns))
        context = self._context(planned, targets)
        fault = kind.make(context)
        if not targets:
            self._changed(planned, "failed", targets, f"the cluster has no {planned.on.mode} to act on")
            return
        if sighting is not None:
            self._journal_trigger(planned, sighting)
        applied = False
        try:
            applied = await self._apply(planned, kind, fault, targets)
            if applied:
                await self._hold(planned, kind, fault)
        finally:
            if await self._heal(planned, fault, targets) and applied:
                self._healed[planned.id].set()
        await self._prove_healing(planned, fault, targets)

    async def _apply(self, planned: PlannedFault, kind: FaultKind, fault: Fault, targets: tuple[str, ...]) -> bool:
        self.active.add(planned.id)
        touched = fault.touches() if isinstance(fault, TouchesOthers) else targets
        for name in touched:
            down = kind.spec.takes_node_down and name in self._deployment.nodes
            self._interference.begin(planned.id, (name,), monotonic_ns(), down=down)
        self._changed(planned, "apply", targets, kind.describe(planned.options), self._start_ns + planned.at_ns)
        try:
            await fault.apply()
        except _FAILURES as error:
            self._changed(planned, "failed", targets, str(error))
            return False
        self._changed(planned, "applied", targets, "")
        return True

    async def _hold(self, planned: PlannedFault, kind: FaultKind, fault: Fault) -> None:
        """Gather evidence of the effect until the fault's time is over."""
        left_s = (self._start_ns + planned.until_ns - monotonic_ns()) / NS_PER_S
        # Looked at up to its end: an effect that wore off in between is not proven.
        deadline = asyncio.get_running_loop().time() + (_EFFECT_S if kind.spec.ends_itself else left_s)
        await self._prove(planned, fault.effect, lambda: deadline, until_end=not kind.spec.ends_itself)

    async def _heal(self, planned: PlannedFault, fault: Fault, targets: tuple[str, ...]) -> bool:
        self._changed(planned, "heal", targets, "", self._start_ns + planned.until_ns)
        healing = asyncio.ensure_future(_heal_with_retry(fault, self._healing_s))
        try:
            # A second cancellation must not leave a fault half healed.
            await asyncio.shield(healing)
        except asyncio.CancelledError:
            await asyncio.wait({healing}, timeout=self._healing_s)
            raise
        except _FAILURES as error:
            self._changed(planned, "failed", targets, f"could not be healed: {error}")
            return False
        finally:
            self.active.discard(planned.id)
            # Whatever became of it: no trigger waits for a fault that is over.
            for target in targets:
                self._outages.release(target, planned.id)
            self._interference.end(planned.id, monotonic_ns())
        self._changed(planned, "healed", targets, "")
        return True

    async def _prove_healing(self, planned: PlannedFault, fault: Fault, targets: tuple[str, ...]) -> None:
        """Look until healing is proven, up to ``healing_s`` after the last other fault on its links or on the nodes at
        their ends is over.
        """
        links = self._deployment.links
        touched = fault.touches() if isinstance(fault, TouchesOthers) else targets
        needed = {end for name in touched if name in links for end in (name, links[name].node, links[name].source)}
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._healing_s

        def latest() -> float:
            nonlocal deadline
            if any(span.end_ns is None for span in self._interference.by_others(planned.id, *needed)):
                deadline = loop.time() + self._healing_s
            return deadline

        await self._prove(planned, fault.healing, latest)

    async def _prove(
        self, planned: PlannedFault, look: Callable[[], object], latest: Callable[[], float], *, until_end: bool = False
    ) -> None:
        """Look until everything is proven (or, ``until_end``, until the latest time); journal what was seen last."""
        loop = asyncio.get_running_loop()
        while True:
            found: tuple[Evidence, ...] = ()
            failure = ""
            try:
                found = await look()  # type: ignore[misc]
            except _FAILURES as error:
                failure = f"evidence could not be read: {error}"
            proven = bool(found) and all(item.proven for item in found)
            deadline = latest()
            if (proven and not until_end) or loop.time() >= deadline:
                break
            await asyncio.sleep(min(_POLL_S, max(0.0, deadline - loop.time())))
        if failure:
            self._changed(planned, "failed", (), failure)
        for item in found:
            self._write(planned, item)
        if found:
            shown = next((item for item in found if not item.proven), found[-1])
            text = f"{shown.stage} on {shown.target} {'proven' if proven else 'NOT PROVEN'}: {shown.observed}"
            self._listener(FaultChanged(fault=planned.id, action="evidence", text=text))

    def _journal_trigger(self, planned: PlannedFault, sighting: Sighting) -> None:
        """Journal what a fault waited for, just before it acts."""
        assert planned.when is not None
        self._events.write(
            TriggerEvent(
                fault=planned.id,
                state=in_words(planned.when),
                observed=sighting.observed,
                seen_ns=sighting.seen_ns,
                act_ns=monotonic_ns() - sighting.seen_ns,
            )
        )

    def _journal_no_trigger(self, planned: PlannedFault, trigger: Trigger, sighting: Sighting) -> None:
        """Journal that the state was not seen: the fault has no effect, and says why."""
        item = Evidence(
            stage="effect",
            target=", ".join(planned.targets) or f"the {planned.on.mode}",
            probe="the state it waits for",
            proven=False,
            observed=f"never applied: {sighting.observed}",
            required=in_words(trigger),
        )
        self._write(planned, item)
        self._listener(FaultChanged(fault=planned.id, action="failed", text=f"{item.observed} ({item.required})"))

    def _counters(self) -> Counters:
        told = [dataclasses.astuple(worker.counters) for worker in self._deployment.workers.values()]
        return Counters(*map(sum, zip(*told, strict=True)))

    def _write(self, planned: PlannedFault, item: Evidence) -> None:
        self._events.write(EvidenceEvent(fault=planned.id, **dataclasses.asdict(item)))

    def _context(self, planned: PlannedFault, targets: tuple[str, ...]) -> FaultContext:
        deployment = self._deployment
        return FaultContext(
            planned=planned,
            targets=targets,
            nodes=deployment.nodes,
            links=deployment.links,
            workers=deployment.workers,
            control=deployment.runtime.control,
            probes=deployment.probes,
            node_ready=deployment.admin.node_ready,
            node_state=deployment.node_state,
            random=random.Random(planned.seed),  # noqa: S311  reproducible on purpose
            go_ns=self._go_ns,
            now_ns=monotonic_ns,
            leave_ns=deployment.leave_ns,
            topic=deployment.admin if isinstance(deployment.admin, FaultTopic) else None,
            leaders=deployment.admin if isinstance(deployment.admin, FaultLeaders) else None,
            cores=self._cores,
            probe_names=lambda link: tuple(channel.name for channel in deployment.links[link].channels),
            control_name=self._control_name,
            journal=self._events.write,
            outages=self._outages,
            interference=self._interference,
        )

    def _control_name(self, link: str) -> str:
        control = self._deployment.controls.get(self._deployment.links[link].node)
        return control.name if control is not None else ""

    def _changed(
        self, planned: PlannedFault, action: str, targets: tuple[str, ...], detail: str, planned_ns: int = 0
    ) -> None:
        links = self._deployment.links
        nodes = [
            target if target in self._deployment.nodes else links[target].node
            for target in targets
            if target in self._deployment.nodes or target in links
        ]
        self._events.write(
            FaultEvent(
                fault=planned.id,
                fault_kind=planned.kind,
                action=action,
                targets=tuple(targets),
                nodes=tuple(sorted(set(nodes))),
                workers=tuple(target for target in targets if target in self._deployment.workers),
                planned_ns=planned_ns,
                detail=detail,
                **{field.name: getattr(planned, field.name) for field in dataclasses.fields(FaultEffects)},
            )
        )
        self._listener(FaultChanged(fault=planned.id, action=action, text=f"{', '.join(targets)} {detail}".strip()))


async def _heal_with_retry(fault: Fault, within_s: float) -> None:
    """Heal; where a control port did not answer, again until ``within_s`` have passed. Raises what the
    last attempt did.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        try:
            return await fault.heal()
        except ControlError:
            if loop.time() >= deadline:
                raise
            await asyncio.sleep(_POLL_S)


def _move_to(planned: PlannedFault, at_ns: int) -> PlannedFault:
    """Return a planned fault with the times that have become known."""
    return dataclasses.replace(planned, at_ns=at_ns, until_ns=at_ns + planned.until_ns - planned.at_ns)


async def sleep_until(at_ns: int) -> None:
    """Sleep until a monotonic time; returns at once when it has passed."""
    await asyncio.sleep(max(0, at_ns - monotonic_ns()) / NS_PER_S)

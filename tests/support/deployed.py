"""Brings everything of a run up but its workers: nodes, services, links, gateways and the monitor, really running."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from support.slots import cost_of, slot

from harness.brokers.base import BROKERS
from harness.engine.deployment import Deployment
from harness.engine.parts import MachineParts
from harness.engine.rundir import RunDir, new_run_id
from harness.history.record import EventLog
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.plan import make_plan
from harness.session.vocabulary import vocabulary


class _WithoutGroup(Deployment):
    """A deployment that waits for no group: it has no consumers, and of some brokers no group then."""

    async def _wait_settled(self) -> None:
        return


@contextlib.asynccontextmanager
async def deployed(
    text: str, folder: Path, runtime: str = "process", *, options: dict[str, Any] | None = None, group: bool = True
) -> AsyncIterator[Deployment]:
    """Yield what a scenario lays out, up and ready, its topic created, and take it down whatever happens.

    Args:
        text: The scenario; its faults are not applied.
        folder: For the run directory.
        runtime: ``process`` or ``docker``.
        options: In place of some of the administration's own (a broker may be told to wait for consumers).
        group: Wait until the group is settled.
    """
    plan = make_plan(variants(load_text(text, "scenario.yaml", vocabulary()))[0])
    bound = BROKERS.get(plan.broker_kind).bind(plan)
    bound = replace(bound, admin_options={**bound.admin_options, **(options or {})})
    run_id, parts = new_run_id(), MachineParts()
    with slot(cost_of(text, runtime)) as place, contextlib.ExitStack() as closing:
        run_dir = RunDir.create(folder, plan, run_id)
        ledger, ports = Ledger(run_id, run_dir.path), Ports()
        closing.callback(ports.release)
        closing.callback(ledger.close)
        events = EventLog(run_dir.history / "engine.events.jsonl", "engine")
        closing.callback(events.close)
        deployment = (Deployment if group else _WithoutGroup)(
            bound=bound,
            binaries=await parts.software(bound, runtime, lambda _: None, {}),
            parts=parts,
            runtime=runtime,
            run_dir=run_dir,
            ledger=ledger,
            ports=ports,
            events=events,
            abilities=frozenset(),
            listener=lambda _: None,
        )
        deployment.workers.clear()
        try:
            await deployment.up()
            place.served()
            yield deployment
        finally:
            await deployment.down()

"""Runs a scenario inside the test's process, so that a test can take the effect of a fault away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from support import made_again
from support.broker_profiles import profiles
from support.slots import cost_of, slot, whole_machine

from harness.engine.parts import Parts
from harness.progress import Event, PhaseStarted
from harness.result import RunResult
from harness.session import session
from harness.session.selection import select
from harness.suite_result import Cost
from harness.suites.again import why_again


def run_text(
    text: str, folder: Path, runtime: str = "process", parts: Parts | None = None, *, idle: bool = False
) -> tuple[RunResult, list[Event]]:
    """Run one scenario and return its result and everything the engine told; ``idle``: no fault of it has an effect, so
    that nothing is measured of the machine.
    """
    cost = cost_of(text, runtime)
    if idle:
        cost = replace(cost, measures_machine=False)
    result, events = _run(text, folder, runtime, parts, cost)
    made_again.record_run(result)
    return result, events


def run_decided(text: str, folder: Path, runtime: str = "process", parts: Parts | None = None) -> RunResult:
    """Run one scenario, and once more, alone, if its own record says that the machine gave it too little time
    (``suites.again``); each time is written down.
    """
    result, _ = _run(text, folder, runtime, parts, cost_of(text, runtime))
    why = why_again(result)
    made_again.record_run(result, why)
    if why is not None:
        (folder / "again").mkdir()
        result, _ = _run(text, folder / "again", runtime, parts, whole_machine())
        made_again.record_run(result)
    return result


def _run(text: str, folder: Path, runtime: str, parts: Parts | None, cost: Cost) -> tuple[RunResult, list[Event]]:
    path = folder / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    events: list[Event] = []
    selected = select([path])
    with slot(cost) as place:

        def listen(event: Event) -> None:
            events.append(event)
            if isinstance(event, PhaseStarted) and event.phase == "warmup":
                place.served()

        (result,) = session.run_all(
            selected, repeat=1, runtime=runtime, reports=folder / "reports", listener=listen, parts=parts
        )
    return result, events


def last_run_dir(folder: Path) -> Path:
    """Return the directory of the run that counted of ``run_decided``."""
    again = folder / "again"
    (run_dir,) = ((again if again.exists() else folder) / "reports").iterdir()
    return run_dir


def scenario(
    fault: str,
    on: str = "",
    span: str = "for: 2s",
    *,
    broker: str = "nats",
    cluster: str = "{nodes: 1}",
    **workload: str,
) -> str:
    """Return a small scenario with one fault; without ``on`` or ``span`` it has no such key."""
    profile = profiles()[broker]
    options = {"producers": "1", "consumers": "1", "duration": "4s", "consumer": profile.quick_consumer} | workload
    extra = "".join(f", {name}: {value}" for name, value in options.items())
    where = f"    on: {on}\n" if on else ""
    length = f"    {span}\n" if span else ""
    return f"""
version: 1
title: One fault
seed: 3
broker: {profile.alias}
cluster: {cluster}
workload: {{partitions: 2, keys: 8, rate: 50/s, warmup: 1s, drain: 20s{extra}}}
faults:
  - {fault}
{where}    at: 500ms
{length}expect:
  loss: {{messages_max: 0, examined_min: 20}}
"""

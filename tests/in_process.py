"""Runs a scenario inside the test's process, so that a test can take the effect of a fault away."""

from __future__ import annotations

from pathlib import Path

from harness.progress import Event
from harness.result import RunResult
from harness.run import session
from harness.run.selection import select


def run_text(text: str, folder: Path) -> tuple[RunResult, list[Event]]:
    """Run one scenario and return its result and everything the engine told."""
    path = folder / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    events: list[Event] = []
    (result,) = session.run_all(select([path]), repeat=1, reports=folder / "reports", listener=events.append)
    return result, events


def scenario(fault: str, on: str, span: str = "for: 2s", **workload: str) -> str:
    """Return a small scenario with one fault."""
    options = {"consumer": "{ack_wait: 1s}"} | workload
    extra = "".join(f", {name}: {value}" for name, value in options.items())
    return f"""
version: 1
title: One fault
seed: 3
broker: nats-2
cluster: {{nodes: 1}}
workload: {{producers: 1, consumers: 1, partitions: 2, keys: 8, rate: 50/s, warmup: 1s, duration: 4s, drain: 8s{extra}}}
faults:
  - {fault}
    on: {on}
    at: 500ms
    {span}
expect:
  loss: {{messages_max: 0, examined_min: 20}}
"""

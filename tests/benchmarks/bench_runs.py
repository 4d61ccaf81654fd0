"""Whole runs: start-up, time beyond what the scenario declares, and how far from plan faults were applied."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

import numpy as np

from harness.history.events import FaultEvent
from harness.history.read import History
from harness.progress import Event
from harness.runtime.docker import engine as docker_engine
from harness.session import session
from harness.session.selection import select

_FAULTS = 20
_SCENARIO = """
version: 1
title: Many short faults
seed: 1
broker: nats-2
cluster: {{nodes: {nodes}, replicas: {nodes}}}
workload: {{producers: 2, consumers: 2, partitions: 4, keys: 32, rate: 200/s, warmup: 1s, \
duration: {seconds}s, drain: 10s}}
faults:
{faults}
expect:
  loss: {{messages_max: 0}}
"""
_ENTRY = "  - latency: {{delay: 5ms}}\n    on: {{link: client-broker}}\n    at: {at}ms\n    for: 480ms"


def rows() -> list[tuple[str, str]]:
    """Return the rows of the table."""
    started: dict[int, list[float]] = {}
    beyond: list[float] = []
    begun: list[float] = []
    in_force: list[float] = []
    for nodes in (1, 3, 1, 3):
        faults = "\n".join(_ENTRY.format(at=200 + 500 * index) for index in range(_FAULTS))
        result, history = _run(_SCENARIO.format(nodes=nodes, seconds=_FAULTS // 2 + 1, faults=faults))
        started.setdefault(nodes, []).append(result["up"])
        beyond.append(result["beyond_declared"])
        planned = {event.fault: event.planned_ns for event in history.of_kind(FaultEvent) if event.action == "apply"}
        for event in history.of_kind(FaultEvent):
            late_ms = (event.t - planned[event.fault]) / 1e6
            if event.action == "apply":
                begun.append(late_ms)
            elif event.action == "applied":
                in_force.append(late_ms)
    contained = [_run(_SCENARIO.format(nodes=nodes, seconds=3, faults="  []"), "docker")[0] for nodes in _contained()]
    plain = [_run(_SCENARIO.format(nodes=nodes, seconds=3, faults="  []"))[0] for nodes in _contained()]
    more = [there["total"] - here["total"] for there, here in zip(contained, plain, strict=True)]
    return [
        *(
            (f"start-up in containers, {nodes} node{'s' if nodes > 1 else ''}", f"{run['up']:.2f} s (aim < 2 s)")
            for nodes, run in zip(_contained(), contained, strict=True)
        ),
        *(
            (f"what containers cost more, whole run, {nodes} nodes", f"{extra:.2f} s (aim <= 5 s)")
            for nodes, extra in zip(_contained(), more, strict=True)
        ),
        ("start-up, 1 node with Toxiproxy, 4 workers, monitor", f"{statistics.median(started[1]):.2f} s"),
        ("start-up, 3 nodes with Toxiproxy, 4 workers, monitor", f"{statistics.median(started[3]):.2f} s"),
        ("wall time beyond warm-up, timeline and drain", f"{max(beyond):.2f} s at most of {len(beyond)} (aim <= 5 s)"),
        ("faults begun after plan, p99", f"{_p99(begun):.1f} ms of {len(begun)} (aim <= 50 ms)"),
        ("link faults in force on every link after plan, p99", f"{_p99(in_force):.1f} ms of {len(in_force)}"),
    ]


def _contained() -> tuple[int, ...]:
    """Return the cluster sizes to measure in containers; none without an engine."""
    return () if docker_engine.unusable() else (1, 3)


def _p99(values: list[float]) -> float:
    return float(np.percentile(values, 99, method="inverted_cdf"))


def _run(text: str, runtime: str = "process") -> tuple[dict[str, float], History]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.yaml"
        path.write_text(text, encoding="utf-8")
        told: list[Event] = []
        (result,) = session.run_all(
            select([path]), repeat=1, runtime=runtime, reports=Path(folder) / "reports", listener=told.append
        )
        (run_dir,) = (Path(folder) / "reports").iterdir()
        history = History.load(run_dir)
        history.index  # noqa: B018  read before the folder goes
    return {name: value / 1e9 for name, value in result.timings_ns.items()}, history


if __name__ == "__main__":
    for label, figure in rows():
        print(f"{label:<56}{figure}")

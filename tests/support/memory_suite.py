"""Suites of the fake broker of ``support/in_memory``: real processes, in which nothing is started."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from support.in_memory import SPEC

from harness.clock import NS_PER_S
from harness.progress import SuiteEvent
from harness.result import Usage
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.session.selection import Selected
from harness.session.vocabulary import vocabulary
from harness.suite_result import Cost, SuiteResult
from harness.suites.budget import Budget
from harness.suites.item import items_of
from harness.suites.place import Place
from harness.suites.rules import Rules, SuiteHead
from harness.suites.runner import run_suite
from harness.suites.state import SuiteDir

CHILD = (sys.executable, str(Path(__file__).with_name("memory_child.py")))

SCENARIO = """
version: 1
title: In memory
seed: 1
tags: [{tags}]
broker: memory-1
cluster: {{nodes: 1}}
workload: {{producers: 1, consumers: 1, partitions: 2, keys: 4, rate: 100/s, warmup: 100ms, duration: 300ms, drain: 1s}}
expect:
  loss: {{messages_max: 0, examined_min: 5}}
{more}
"""


def cost(**changes: object) -> Cost:
    """Return the cost of a short run that takes half a core."""
    usual = Cost(
        cores=0.5,
        memory_bytes=1 << 20,
        wall_ns=NS_PER_S,
        disk_bytes=1 << 20,
        ports=4,
        measures_machine=False,
        source="given",
    )
    return dataclasses.replace(usual, **changes)  # type: ignore[arg-type]


def selected(name: str, *tags: str, more: str = "") -> Selected:
    """Return a plan of the fake broker; see ``memory_child`` for what tags do."""
    text = SCENARIO.format(tags=", ".join(tags), more=more)
    words = dataclasses.replace(vocabulary(), brokers={"memory": SPEC})
    (variant,) = variants(load_text(text, f"{name}.yaml", words))
    return Selected(plan=make_plan(variant), source=text)


@dataclass
class GivenCosts:
    """Costs by the names of scenarios; ``recorded`` holds whose usage was recorded."""

    by_name: dict[str, Cost] = field(default_factory=dict)
    recorded: list[str] = field(default_factory=list)

    def cost(self, plan: Plan, runtime: str) -> Cost:
        return self.by_name.get(plan.scenario, cost())

    def record(self, plan: Plan, runtime: str, usage: Usage) -> None:
        self.recorded.append(plan.scenario)


@dataclass
class MemorySuite:
    """A suite in a folder, and what was heard of it."""

    reports: Path
    costs: GivenCosts = field(default_factory=GivenCosts)
    heard: list[SuiteEvent] = field(default_factory=list)

    def run(self, plans: Iterable[Selected], *, repeat: int = 1, cores: float = 1.0, **rules: object) -> SuiteResult:
        """Run plans to the end of the suite."""
        places = [
            Place.new(item, "process", self.costs.cost(item.plan, "process"))
            for item in items_of(plans, ["process"], repeat)
        ]
        self.folder = SuiteDir.create(self.reports, "memory")
        return asyncio.run(
            run_suite(
                places,
                self.folder,
                head=SuiteHead(suite_id=self.folder.suite_id, name="memory", started_wall="2026-01-01T00:00:00Z"),
                rules=Rules(child_command=CHILD, **rules),  # type: ignore[arg-type]
                budget=Budget(cores=cores, memory_bytes=1 << 30, disk_bytes=1 << 30, ports=100),
                costs=self.costs,
                listener=self.heard.append,
            )
        )

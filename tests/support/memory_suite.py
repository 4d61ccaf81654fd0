"""Suites of the fake broker of ``support/in_memory``: real processes, in which nothing is started.

As a program it runs the scenarios named on its command line, one at a time, in the working directory; with
``--many RUNS EVERY`` one scenario many times, side by side.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.in_memory import SPEC

from harness.clock import NS_PER_S
from harness.engine.isolation import NEVER, Isolation
from harness.progress import SuiteEvent, SuiteRunEnded
from harness.report.suite_files import SuiteReports
from harness.result import Usage
from harness.runtime.kernel import procfs
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.scenario.plugins import Vocabulary
from harness.session.selection import Selected
from harness.session.vocabulary import vocabulary
from harness.suite_result import Cost, SuiteResult
from harness.suites.budget import Budget
from harness.suites.compared_suite import BaselineRequest
from harness.suites.draw import draw, head_of
from harness.suites.item import items_of
from harness.suites.launch import Means, new_head, places_of, resume, start
from harness.suites.rules import Rules
from harness.suites.shards import Shard
from harness.suites.state import SuiteDir

CHILD = (sys.executable, str(Path(__file__).with_name("memory_child.py")))

SCENARIO = """
version: 1
title: {title}
seed: 1
tags: [{tags}]
broker: memory-1
cluster: {{nodes: 1}}
workload:
  {{producers: 1, consumers: 1, partitions: 2, keys: 4, rate: 100/s, warmup: 100ms, duration: {duration}, drain: 9s}}
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


def scenario(*tags: str, more: str = "", duration: str = "300ms", title: str = "In memory") -> str:
    """Return a scenario of the fake broker; see ``memory_child`` for what tags do."""
    return SCENARIO.format(tags=", ".join(tags), more=more, duration=duration, title=title)


def scenario_file(folder: Path, name: str, *, duration: str = "300ms", title: str = "In memory") -> Path:
    """Write a scenario of the fake broker."""
    path = folder / f"{name}.yaml"
    path.write_text(scenario(duration=duration, title=title), encoding="utf-8")
    return path


def memory_words() -> Vocabulary:
    """Return the vocabulary of the fake broker."""
    return dataclasses.replace(vocabulary(), brokers={"memory": SPEC})


def selected_from(text: str, file: str) -> Selected:
    """Return the plan of a scenario without a matrix."""
    (variant,) = variants(load_text(text, file, memory_words()))
    return Selected(plan=make_plan(variant), source=text)


def selected(name: str, *tags: str, more: str = "", title: str = "In memory") -> Selected:
    """Return a plan of the fake broker; see ``memory_child`` for what tags and titles do."""
    return selected_from(scenario(*tags, more=more, title=title), f"{name}.yaml")


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
    store: Path | None = None
    baseline: BaselineRequest | None = None
    isolation: Isolation = NEVER

    def run(
        self,
        plans: Iterable[Selected],
        *,
        repeat: int = 1,
        cores: float = 1.0,
        shard: Shard | None = None,
        **rules: object,
    ) -> SuiteResult:
        """Run plans to the end of the suite, or of one shard of it."""
        items = items_of(plans, ["process"], repeat)
        drawn = draw(items, shard) if shard is not None else None
        places = places_of(items if drawn is None else drawn.items, self.costs, self.heard.append)
        self.folder = SuiteDir.create(self.reports, "memory")
        head = new_head(self.folder, "memory")
        kept = Rules(child_command=CHILD, **rules)  # type: ignore[arg-type]
        head = head if drawn is None else head_of(head, drawn)
        return start(places, self.folder, head, kept, self._means(cores))

    def run_files(self, *names: str, deadline_ns: int | None = None) -> SuiteResult:
        """Run scenarios of the working directory, one at a time, in this order."""
        self.costs.by_name = {name: cost(wall_ns=(100 - index) * NS_PER_S) for index, name in enumerate(names)}
        plans = [selected_from(Path(f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml") for name in names]
        return self.run(plans, cores=0.5, deadline_ns=deadline_ns)

    def resume(self, folder: SuiteDir) -> SuiteResult:
        """Go on with a suite."""
        return resume(folder, self._means(0.5), child_command=CHILD, words=memory_words())

    def _means(self, cores: float) -> Means:
        budget = Budget(cores=cores, memory_bytes=1 << 30, disk_bytes=1 << 30, ports=100)
        return Means(
            budget=budget,
            costs=self.costs,
            listener=self.heard.append,
            store=self.store,
            baseline=self.baseline,
            isolation=self.isolation,
        )


class _Memory:
    """Prints the resident memory of this process, bytes, whenever ``every`` runs have ended; keeps nothing."""

    def __init__(self, every: int) -> None:
        self._every, self._ended = every, 0

    def __call__(self, event: SuiteEvent) -> None:
        if isinstance(event, SuiteRunEnded):
            self._ended += 1
            if self._ended % self._every == 0:
                gc.collect()
                print(self._ended, procfs.rss_bytes(os.getpid()), flush=True)


def run_many(reports: Path, repeat: int, every: int) -> SuiteResult:
    """Run one short scenario many times, and print what the suite takes of memory meanwhile."""
    costs = GivenCosts()
    places = places_of(items_of([selected("many")], ["process"], repeat), costs, lambda _: None)
    folder = SuiteDir.create(reports, "many")
    budget = Budget(cores=1.5, memory_bytes=1 << 30, disk_bytes=1 << 30, ports=100)
    means = Means(budget=budget, costs=costs, listener=_Memory(every), store=Path("store.sqlite"))
    result = start(places, folder, new_head(folder, "many"), Rules(child_command=CHILD), means)
    SuiteReports(folder.path).finish(result)
    return result


if __name__ == "__main__":
    if sys.argv[1] == "--many":
        sys.exit(run_many(Path("reports"), int(sys.argv[2]), int(sys.argv[3])).exit_code)
    sys.exit(MemorySuite(Path("reports")).run_files(*sys.argv[1:], deadline_ns=10**5 * NS_PER_S).exit_code)

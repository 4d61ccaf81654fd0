"""What is fixed of a suite before it begins: data, and what it asks of its surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from harness.result import Usage
from harness.scenario.model import Plan
from harness.suite_result import Cost, PlannedRun, SuiteEntry
from harness.suites.process import CHILD_COMMAND

UNTIL_FAIL_ROUNDS: Final = 10_000
"""How often a suite that goes on until a fail makes everything, at most."""


class Costs(Protocol):
    """What plans cost on this machine."""

    def cost(self, plan: Plan, runtime: str) -> Cost:
        """Return what a run is expected to take."""
        ...

    def record(self, plan: Plan, runtime: str, usage: Usage) -> None:
        """Keep what a run took."""
        ...


class Keep(Protocol):
    """Keeps what came of a run, for later suites."""

    async def __call__(self, entry: SuiteEntry, made_again: str) -> str:
        """Keep one execution; return why that was not possible, empty when it was.

        Args:
            entry: As it ended.
            made_again: Why it is to be made again; empty when it counts.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteHead:
    """What a suite is, whatever comes of it.

    Attributes:
        suite_id, name, started_wall, cost_digest, shard: As in ``SuiteResult``.
        planned: Every run of the whole suite, when this is a shard of it.
        plan_digest: Of the whole suite, when this is a shard of it; empty = of the entries.
        wall_ns, waited_ns: Of its earlier sessions.
    """

    suite_id: str
    name: str
    started_wall: str
    plan_digest: str = ""
    cost_digest: str = ""
    shard: str = ""
    planned: tuple[PlannedRun, ...] = ()
    wall_ns: int = 0
    waited_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a suite may end early, and how its runs are made.

    Attributes:
        deadline_ns: After its start: no run begins whose expected end lies behind it; None = no deadline.
        fail_fast: No run begins after one that failed.
        rounds: How often all is made, until a run fails or the deadline comes.
        repeat: How many executions of a race are made even when it is decided.
        child_command: What runs one plan, see ``child.main``.
    """

    deadline_ns: int | None = None
    fail_fast: bool = False
    rounds: int = 1
    repeat: int = 1
    child_command: Sequence[str] = CHILD_COMMAND

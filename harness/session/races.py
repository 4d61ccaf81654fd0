"""Races: plans whose runs count together, and are made only until their outcome is decided.

Owns how many runs a race takes and what is said of it. When it is decided is one function for a session and a suite
(``errors.race_decided``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import ExitCode, race_decided
from harness.result import RunResult
from harness.scenario.model import Attempts, Plan
from harness.scenario.plan import variant_label


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """How a race went.

    Attributes:
        scenario, variant, digest: Of its plan.
        runs: How many it may take.
        at_least: How many of them must show what is declared.
        made: How many were made.
        shown: How many of these showed it.
        code: Exit code of the race; that of runs that neither passed nor failed comes first. None while it is not
            decided.
    """

    scenario: str
    variant: str
    digest: str
    runs: int
    at_least: int
    made: int
    shown: int
    code: ExitCode | None

    @property
    def sentence(self) -> str:
        """What it came to, for people."""
        label = f"{self.scenario} [{self.variant}]" if self.variant else self.scenario
        runs = "1 run" if self.made == 1 else f"{self.made} runs"
        said = f"the race {label} showed what is declared in {self.shown} of {runs}"
        said += f" (needed: {self.at_least} of {self.runs})"
        left = self.runs - self.made
        if self.code is None or not left:
            return said
        return f"{said}; it is decided, so {left} more {'run is' if left == 1 else 'runs are'} not needed"


def runs_of(plan: Plan, repeat: int) -> int:
    """Return how often a plan is run at most: ``repeat`` times, or by its ``attempts`` when those are more."""
    return max(repeat, plan.attempts.runs if plan.attempts is not None else 1)


def race_of(plan: Plan, results: Sequence[RunResult], repeat: int = 1) -> Race | None:
    """Return how the race of a plan went by the results of a session; None when it is none."""
    attempts: Attempts | None = plan.attempts
    if attempts is None:
        return None
    codes = [result.exit_code for result in results if result.digest == plan.digest]
    runs = max(runs_of(plan, repeat), len(codes))
    return Race(
        scenario=plan.scenario,
        variant=variant_label(plan),
        digest=plan.digest,
        runs=runs,
        at_least=attempts.at_least,
        made=len(codes),
        shown=codes.count(ExitCode.PASS),
        code=race_decided(codes, runs=runs, at_least=attempts.at_least),
    )


def codes_of(race: Race, results: Sequence[RunResult]) -> list[int]:
    """Return the exit codes by which a race counts in a session: one, or those of runs that ended otherwise.

    A run that neither passed nor failed counts by itself, whatever the others show.
    """
    codes = [result.exit_code for result in results if result.digest == race.digest]
    others = [code for code in codes if code not in {ExitCode.PASS, ExitCode.VIOLATED}]
    return others or [ExitCode.INTERNAL if race.code is None else race.code]

"""Races: plans whose runs count together, and are made only until their outcome is decided.

Owns how many runs a race takes, what is said of it, and which runs are not needed once one has ended. When it is
decided is one function for a session and a suite (``errors.race_decided``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.errors import ExitCode, race_decided
from harness.progress import Listener, Note
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


def not_made(plans: Iterable[Plan], results: Sequence[RunResult], repeat: int) -> int:
    """Return how many runs a session of these plans lacks; what a race that is decided takes no more of does not
    count.
    """
    lacking = 0
    for plan in {plan.digest: plan for plan in plans}.values():
        made = sum(result.digest == plan.digest for result in results)
        race = race_of(plan, results, repeat)
        if race is None or race.code is None or made < repeat:
            lacking += max(0, runs_of(plan, repeat) - made)
    return lacking


def not_shown(races: Sequence[Race], results: Sequence[RunResult]) -> dict[str, str]:
    """Return run id → sentence of each run that did not show what its race, which passed, needed no more of.

    Such a run is red in no report, as it is not in the exit code.
    """
    passed = {race.digest: race for race in races if race.code is ExitCode.PASS}
    return {
        result.run_id: f"the race passed without this run ({passed[result.digest].at_least} of "
        f"{passed[result.digest].runs} must show what is declared)"
        for result in results
        if result.digest in passed and result.exit_code == ExitCode.VIOLATED
    }


def codes_of(race: Race, results: Sequence[RunResult]) -> list[int]:
    """Return the exit codes by which a race counts in a session: one, or those of runs that ended otherwise.

    A run that neither passed nor failed counts by itself, whatever the others show.
    """
    codes = [result.exit_code for result in results if result.digest == race.digest]
    others = [code for code in codes if code not in {ExitCode.PASS, ExitCode.VIOLATED}]
    return others or [ExitCode.INTERNAL if race.code is None else race.code]


def all_after_failure(
    plans: Sequence[Plan], index: int, results: Sequence[RunResult], repeat: int, listener: Listener
) -> frozenset[int]:
    """Return all plans that are left once that at ``index`` did not pass, and what its race does not need."""
    race = race_of(plans[index], results, repeat)
    code = results[-1].exit_code
    if race is not None and code in {ExitCode.PASS, ExitCode.VIOLATED}:
        code = race.code or ExitCode.PASS
    if code == ExitCode.PASS:
        return no_longer_needed(plans, index, results, repeat, listener)
    left = frozenset(range(index + 1, len(plans)))
    if left:
        runs = "1 run is" if len(left) == 1 else f"{len(left)} runs are"
        listener(Note(text=f"-x: {results[-1].scenario} did not pass, so {runs} not made"))
    return left


def no_longer_needed(
    plans: Sequence[Plan], index: int, results: Sequence[RunResult], repeat: int, listener: Listener
) -> frozenset[int]:
    """Return which plans need not be run once that at ``index`` was: those of its race, when that is decided."""
    race = race_of(plans[index], results, repeat)
    if race is None or race.code is None or race.made < repeat:
        return frozenset()
    left = frozenset(later for later in range(index + 1, len(plans)) if plans[later].digest == race.digest)
    if left:
        listener(Note(text=race.sentence))
    return left

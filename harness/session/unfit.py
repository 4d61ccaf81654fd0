"""Which plans this machine can run at all. Starts nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.engine.abilities import check_abilities, needed_abilities
from harness.engine.runtimes import runtime_of
from harness.errors import NothingSelectedError, UnfitEnvironmentError
from harness.scenario.model import Plan
from harness.scenario.plan import variant_label
from harness.session.selection import Selected


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfit:
    """A plan that this machine cannot run.

    Attributes:
        scenario, variant, file: Of the plan.
        reason: What the machine lacks.
    """

    scenario: str
    variant: str
    file: str
    reason: str

    @property
    def sentence(self) -> str:
        """What is said of it."""
        label = f"{self.scenario} [{self.variant}]" if self.variant else self.scenario
        return f"skipped {label}: {self.reason}"


def why_unfit(plan: Plan, runtime: str) -> str:
    """Return what this machine lacks for a plan; empty when it can run it.

    Args:
        plan: To run.
        runtime: As asked for: ``process``, ``docker`` or ``auto``.
    """
    try:
        check_abilities(needed_abilities(plan), runtime_of(plan, runtime, lambda _: None))
    except UnfitEnvironmentError as error:
        return error.message
    return ""


def fit_and_unfit(
    selected: Sequence[Selected], runtime: str, why: Callable[[Plan, str], str] = why_unfit
) -> tuple[list[Selected], list[Unfit]]:
    """Return the plans that this machine can run, and the others with what it lacks.

    Raises:
        NothingSelectedError: It can run none.
    """
    fit, unfit = [], []
    for item in selected:
        plan = item.plan
        if reason := why(plan, runtime):
            unfit.append(Unfit(scenario=plan.scenario, variant=variant_label(plan), file=plan.file, reason=reason))
        else:
            fit.append(item)
    if not fit:
        raise NothingSelectedError(
            f"this machine can run none of the {len(unfit)} plans selected", hint=unfit[0].reason if unfit else ""
        )
    return fit, unfit

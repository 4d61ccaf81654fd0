"""Whether this machine can do what a run's faults need: looked at before anything starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.errors import AbilityError
from harness.faults.base import FAULTS
from harness.runtime.abilities import MachineAbility, why_not
from harness.scenario.model import Plan


def needed_abilities(plan: Plan) -> dict[MachineAbility, tuple[str, ...]]:
    """Return ability → ids of the faults of a plan that need it."""
    needed: dict[MachineAbility, tuple[str, ...]] = {}
    for fault in plan.timeline:
        for ability in FAULTS.get(fault.kind).machine:
            needed[ability] = (*needed.get(ability, ()), fault.id)
    return needed


def check_abilities(
    needed: Mapping[MachineAbility, tuple[str, ...]],
    runtime: str,
    machine_lacks: Callable[[MachineAbility, str], str] = why_not,
) -> None:
    """Refuse a run whose faults need what this machine cannot do.

    Args:
        needed: Ability → ids of the faults that need it.
        runtime: Where the nodes run.
        machine_lacks: (ability, runtime) → why this machine does not have it; empty when it has.

    Raises:
        AbilityError: Names the faults, what the machine cannot do, and why.
    """
    for ability, faults in needed.items():
        if why := machine_lacks(ability, runtime):
            message = f"{', '.join(faults)}: this machine cannot {ability.does} ({why})"
            raise AbilityError(message, hint="`harness doctor` says what this machine can do")

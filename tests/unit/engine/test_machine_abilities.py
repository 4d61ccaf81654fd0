"""A run whose faults need what this machine cannot do is refused before anything starts."""

from __future__ import annotations

import pytest

from harness.engine.abilities import check_abilities
from harness.errors import AbilityError
from harness.runtime.abilities import MachineAbility

NEEDED = {MachineAbility.CPU_LIMITS: ("cpu-1", "slow"), MachineAbility.DISK: ("power",)}


def test_the_refusal_names_the_faults_what_is_lacking_and_why() -> None:
    def lacks(ability: MachineAbility, runtime: str) -> str:
        return f"no root in the {runtime} runtime" if ability is MachineAbility.DISK else ""

    with pytest.raises(AbilityError) as caught:
        check_abilities(NEEDED, "process", lacks)
    assert str(caught.value).startswith(
        "power: this machine cannot give each node a disk of its own (no root in the process runtime)"
    )
    assert caught.value.hint == "`harness doctor` says what this machine can do"


def test_a_machine_that_can_do_everything_refuses_nothing() -> None:
    check_abilities(NEEDED, "docker", lambda *_: "")

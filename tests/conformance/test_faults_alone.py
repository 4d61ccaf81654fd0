"""Each fault alone on a cluster: what never shares a run in every CI run, all the others in ``make prove``.

In CI ``disk_full``, ``memory`` and ``power_loss`` act on every broker and in both runtimes, a third each time. They are
sabotaged where other code is to notice it, a third each time. The table is that of ``support/fault_cases.py``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.broker_profiles import profiles
from support.by_cost import cost_marks
from support.fault_cases import Case, cases
from support.fault_proofs import wrong_in
from support.in_process import run_decided, run_text
from support.required_abilities import require_for_faults
from support.sabotage import take_away

pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(900),  # two runs, and the wait for their turn
]

WANTED = os.environ.get("HARNESS_CONFORMANCE", ",".join(profiles())).split(",")
RUNTIMES = os.environ.get("HARNESS_RUNTIMES", "process,docker").split(",")
ASKS_THE_BROKER = {"power_loss"}
"""Of the faults that never share a run: its effect shows on each broker in its own way, so it is sabotaged on all."""
IN_CONTAINERS_TOO = {"memory"}
"""Of them: another runtime's node carries it out, so it is sabotaged there, too."""


def _in_ci(case: Case, broker: str, runtime: str, *, sabotaged: bool) -> bool:
    """Return whether every CI run has it."""
    if not case.alone:
        return False
    if not sabotaged:
        return True
    first = broker == next(able for able in WANTED if case.fits(able))
    if runtime == RUNTIMES[0]:
        return first or case.kind in ASKS_THE_BROKER
    return first and case.kind in IN_CONTAINERS_TOO


def _runs(*, sabotaged: bool) -> list[Any]:
    """Return every case on every broker; runtimes in another order each time, so that each part of two has both."""
    found: list[Any] = []
    able = [(name, case, broker) for name, case in cases().items() for broker in WANTED if case.fits(broker)]
    for number, (name, case, broker) in enumerate(able):
        for runtime in RUNTIMES if number % 2 else reversed(RUNTIMES):
            tier = () if _in_ci(case, broker, runtime, sabotaged=sabotaged) else (pytest.mark.tier("prove"),)
            marks = (*cost_marks(case.text(broker), runtime), *tier)
            found.append(pytest.param(name, broker, runtime, id=f"{broker}-{name}-{runtime}", marks=marks))
    return found


def _possible(name: str, runtime: str) -> Case:
    """Return a case that this machine can do; else skip, or fail where it is required."""
    found = cases()[name]
    require_for_faults([found.kind], runtime)
    return found


@pytest.mark.rotates(3)
@pytest.mark.parametrize(("name", "broker", "runtime"), _runs(sabotaged=False))
def test_it_acts_and_heals_with_evidence(name: str, broker: str, runtime: str, tmp_path: Path) -> None:
    case = _possible(name, runtime)
    wrong = wrong_in(run_decided(case.text(broker), tmp_path, runtime), {f"{case.kind}-1": case.of(broker)})
    assert not wrong, "\n".join(wrong)


@pytest.mark.rotates(3)
@pytest.mark.parametrize(("name", "broker", "runtime"), _runs(sabotaged=True))
def test_without_its_effect_it_is_not_believed(
    name: str, broker: str, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = _possible(name, runtime)
    asked = take_away(monkeypatch, {f"{case.kind}-1": case.lost})
    result, _ = run_text(case.text(broker), tmp_path, runtime, idle=True)
    wrong = wrong_in(result, {f"{case.kind}-1": case.of(broker)}, lost=asked.keys())
    assert not wrong, "\n".join(wrong)
    assert all(asked.values()), f"nothing was taken away: {case.lost}"

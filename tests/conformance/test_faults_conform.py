"""Every registered fault acts and heals with evidence on a real broker; without its effect it is never believed.

Of each broker, a few runs of many faults hold the whole table of ``support/fault_cases.py``: first acting, then with
every effect taken away. Four CI runs have all of them, in both runtimes. What never shares a run, and each fault alone
on a cluster, is in ``test_faults_alone.py``.

``HARNESS_CONFORMANCE`` names the brokers (default: every one that has a profile in ``tests/brokers/``),
``HARNESS_RUNTIMES`` the runtimes (default ``process,docker``). What a broker cannot do it must refuse.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from support.broker_profiles import profiles
from support.by_cost import cost_marks
from support.fault_cases import Case, cases
from support.fault_packs import Pack, packs
from support.fault_proofs import possible_cases, wrong_in
from support.in_process import run_decided, run_text, scenario
from support.required_abilities import require_for_faults
from support.sabotage import take_away

from harness.engine.parts import MachineParts
from harness.errors import ScenarioError
from harness.faults.base import FAULTS
from harness.scenario.plugins import BROKER_SPECS
from harness.session.selection import select
from harness.verdict import Verdict
from harness.workload.launcher import Worker

# nats-py leaves a connection that brought no INFO to the garbage collector; a container's published port takes
# connections while its node is down.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(900),  # two runs, and the wait for their turn
]

WANTED = os.environ.get("HARNESS_CONFORMANCE", ",".join(profiles())).split(",")
RUNTIMES = os.environ.get("HARNESS_RUNTIMES", "process,docker").split(",")
FAST = ("links", "process")
"""The run of many faults that ``make test`` has, of each broker."""


def _runs(*, tiers: bool = True, quick: bool = False) -> list[Any]:
    """Return every run of many faults; with ``tiers``, one of each broker is of the tier ``fast``.

    Each run stands in the list once in one runtime, and after all others in the other one: so each part of a rotation
    has runs of every broker, in both runtimes.
    """
    found: list[Any] = []
    every = [(broker, pack) for broker in WANTED for pack in packs(broker, quick=quick)]
    for turn in range(len(RUNTIMES)):
        for number, (broker, pack) in enumerate(every):
            runtime = RUNTIMES[(number + turn) % len(RUNTIMES)]
            fast = (pytest.mark.tier("fast"),) if tiers and (pack.name, runtime) == FAST else ()
            marks = (*cost_marks(pack.text(), runtime), *fast)
            found.append(pytest.param(broker, pack.name, runtime, id=f"{broker}-{pack.name}-{runtime}", marks=marks))
    return found


def test_every_registered_fault_has_a_case() -> None:
    assert {case.kind for case in cases().values()} == set(FAULTS.names())


@pytest.mark.parametrize("broker", WANTED)
def test_every_case_is_a_valid_scenario(broker: str, tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    for case in (case for case in cases().values() if case.fits(broker)):
        path.write_text(case.text(broker), encoding="utf-8")
        assert select([path])


@pytest.mark.parametrize("kind", sorted({case.kind for case in cases().values()}))
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_this_machine_can_do_it(kind: str, runtime: str) -> None:
    """What it cannot do is left out of the runs below: here it is said, and is a failure where it is required."""
    require_for_faults([kind], runtime)


def _pack(broker: str, name: str, runtime: str, *, quick: bool = False) -> Pack:
    """Return one run of many with what this machine can do."""
    found = [pack for pack in packs(broker, possible=possible_cases(runtime), quick=quick) if pack.name == name]
    if not found:
        pytest.skip("this machine can do none of its faults")
    return found[0]


def _asked(pack: Pack) -> dict[str, Case]:
    return {act.id: cases()[act.name].of(pack.broker) for act in pack.acts}


@pytest.mark.rotates(8)
@pytest.mark.parametrize(("broker", "name", "runtime"), _runs())
def test_all_act_and_heal_with_evidence(broker: str, name: str, runtime: str, tmp_path: Path) -> None:
    pack = _pack(broker, name, runtime)
    result = run_decided(pack.text(), tmp_path, runtime)
    wrong = wrong_in(result, _asked(pack))
    assert not wrong, "\n".join(wrong)


@pytest.mark.rotates(8)
@pytest.mark.parametrize(("broker", "name", "runtime"), _runs(quick=True))
def test_without_its_effect_none_is_believed(
    broker: str, name: str, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = _pack(broker, name, runtime, quick=True)
    asked = take_away(monkeypatch, {act.id: cases()[act.name].lost for act in pack.acts})
    parts = MachineParts(healing_s=2)  # nothing heals: nothing is waited for
    result, _ = run_text(pack.text(), tmp_path, runtime, parts, idle=True)
    wrong = wrong_in(result, _asked(pack), lost=asked.keys())
    assert not wrong, "\n".join(wrong)
    assert all(asked.values()), f"nothing was taken away from {[fault for fault, acts in asked.items() if not acts]}"


@pytest.mark.tier("prove")
@pytest.mark.parametrize("half", [0, 1], ids=["even", "odd"])
@pytest.mark.parametrize(("broker", "name", "runtime"), _runs(tiers=False))
def test_exactly_those_without_their_effect_are_not_believed(
    broker: str, name: str, runtime: str, half: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What acts next to a fault lends it no evidence, and what does not act takes none away."""
    pack = _pack(broker, name, runtime)
    asked = take_away(monkeypatch, {act.id: cases()[act.name].lost for act in pack.acts[half::2]})
    result, _ = run_text(pack.text(), tmp_path, runtime)
    wrong = wrong_in(result, _asked(pack), lost=asked.keys())
    assert not wrong, "\n".join(wrong)
    assert all(asked.values()), asked


@pytest.mark.parametrize("broker", WANTED)
@pytest.mark.parametrize("name", sorted(name for name, case in cases().items() if case.needs))
def test_what_a_broker_cannot_do_is_refused_before_anything_starts(name: str, broker: str, tmp_path: Path) -> None:
    case = cases()[name]
    lacking = case.lacks(broker)
    if lacking is None:
        path = tmp_path / "scenario.yaml"
        path.write_text(case.text(broker), encoding="utf-8")
        assert select([path])
        return
    able = ", ".join(kind for kind, spec in BROKER_SPECS.items() if lacking in spec.abilities)
    refusal = rf"scenario\.yaml:\d+:\d+: .*{profiles()[broker].alias} does not .*known: {able}"
    with pytest.raises(ScenarioError, match=refusal):
        run_text(case.text(broker), tmp_path)


def test_a_worker_that_hangs_costs_that_worker_only_and_the_run_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped from outside the harness: it neither reports nor ends."""

    def stop_unseen(worker: Worker, _: str) -> None:
        os.kill(worker.pid, signal.SIGSTOP)

    monkeypatch.setattr(Worker, "pause", stop_unseen)
    text = scenario("client_pause: {}", "{worker: c1}", "for: 10s", consumers="2", duration="12s")
    result, _ = run_text(text, tmp_path)
    assert result.verdict is Verdict.INCONCLUSIVE, result.headline
    assert [reason for reason in result.blocking if "worker" in reason] == [
        "worker c1 hangs: its process runs, but has reported nothing for 5 s"
    ]

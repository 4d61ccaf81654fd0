"""What is asked of a result, fault by fault: each lie is named, and what is right has nothing wrong in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.fault_cases import cases
from support.fault_proofs import wrong_in
from support.report_samples import passing

from harness.result import EvidenceItem, FaultResult, RunResult
from harness.verdict import Verdict

LINK = cases()["latency between all nodes"].of("nats")
TARGETS = tuple(f"n{source}->n{target}" for source in (1, 2, 3) for target in (1, 2, 3) if source != target)


def item(stage: str, *, proven: bool = True) -> EvidenceItem:
    return EvidenceItem(stage=stage, target="t", probe="p", proven=proven, observed="seen", required="wanted")


def fault(name: str, **given: Any) -> FaultResult:
    made = FaultResult(
        id=name,
        kind="latency",
        description="",
        targets=TARGETS,
        planned_at_ns=0,
        planned_until_ns=1,
        applied_at_ns=0,
        healed_at_ns=1,
        lateness_ns=0,
        evidence=(item("effect"), item("healing")),
        proven=True,
    )
    return replace(made, **given)


def result(*faults: FaultResult, **given: Any) -> RunResult:
    return replace(passing(), faults=faults, verdict=Verdict.PASS, exit_code=0, **given)


def inconclusive(*faults: FaultResult, blocking: tuple[str, ...]) -> RunResult:
    return replace(passing(), faults=faults, verdict=Verdict.INCONCLUSIVE, exit_code=6, blocking=blocking)


UNPROVEN: dict[str, Any] = {"evidence": (item("effect", proven=False), item("healing")), "proven": False}
ASKED = {"a": LINK, "b": LINK}


def test_a_result_that_proves_all_has_nothing_wrong() -> None:
    assert wrong_in(result(fault("a"), fault("b")), ASKED) == []


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (fault("a", **UNPROVEN), "a: not proven"),
        (fault("a", evidence=(item("effect"),)), "a: evidence of ['effect'] alone"),
        (fault("a", targets=TARGETS[:5]), "not on 6"),
        (fault("a", targets=(*TARGETS[:5], "clients->n1")), "does not look like"),
    ],
)
def test_each_thing_that_is_wrong_with_a_fault_is_named(told: FaultResult, expected: str) -> None:
    (only,) = wrong_in(result(told, fault("b")), ASKED)
    assert expected in only


def test_a_fault_that_is_not_in_the_result_is_missed() -> None:
    (only,) = wrong_in(result(fault("a")), ASKED)
    assert "not ['a', 'b']" in only


def test_without_its_effect_a_fault_is_named_by_what_blocks_the_verdict_and_others_are_proven() -> None:
    told = inconclusive(fault("a", **UNPROVEN), fault("b"), blocking=("fault a is not proven: effect",))
    assert wrong_in(told, ASKED, lost={"a"}) == []
    assert any("b: " in problem for problem in wrong_in(told, ASKED, lost={"a", "b"}))
    assert any("a: not proven" in problem for problem in wrong_in(told, ASKED, lost={"b"}))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (inconclusive(fault("a"), fault("b"), blocking=("fault a is not proven",)), "a: believed"),
        (inconclusive(fault("a", **UNPROVEN), fault("b"), blocking=("fault b is not proven",)), "a: is not named"),
        (
            inconclusive(
                fault("a", evidence=(item("effect"), item("healing", proven=False)), proven=False),
                fault("b"),
                blocking=("fault a is not proven",),
            ),
            "a: its effect is believed",
        ),
        (result(fault("a", **UNPROVEN), fault("b"), blocking=("fault a is not proven",)), "exit code 0"),
    ],
)
def test_each_way_of_believing_is_named(told: RunResult, expected: str) -> None:
    assert any(expected in problem for problem in wrong_in(told, ASKED, lost={"a"}))

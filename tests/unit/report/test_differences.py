"""Where two judgements of one history disagree is said in words, and nothing of it is left out."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from support import report_samples as samples

from harness.report.differences import differences
from harness.report.serialize import comparable
from harness.result import RunResult
from harness.verdict import CheckResult, Verdict


def _with(before: RunResult, index: int, **changes: object) -> RunResult:
    checks = list(before.checks)
    checks[index] = replace(checks[index], **changes)  # type: ignore[arg-type]
    return replace(before, checks=tuple(checks))


def test_what_differs_is_said_in_words() -> None:
    before = samples.failing()
    loss: CheckResult = before.checks[0]
    limit = replace(loss.limits[0], measured=4, verdict=Verdict.PASS)
    extra = replace(loss.findings[0], type="lost", message="key 1 seq 2 was never processed", start_ns=7)
    after = _with(before, 0, limits=(limit,), findings=(*loss.findings[1:], extra), verdict=Verdict.PASS)
    after = replace(after, outcome=Verdict.PASS, checks=after.checks[:-1])
    told = differences(before, after)
    assert "outcome: fail → pass" in told
    assert "loss: verdict fail → pass" in told
    assert (
        "loss: messages_max measured 3, limit ≤ 0, fail, from scenario → measured 4, limit ≤ 0, pass, from scenario"
        in told
    )
    assert "loss: newly found: lost: key 1 seq 2 was never processed" in told
    gone = f"loss: no longer found: {loss.findings[0].type}: {loss.findings[0].message}"
    assert gone in told
    assert f"{before.checks[-1].check}: judged before ({before.checks[-1].verdict}), and not any more" in told
    assert len(told) == 6
    assert not any("{" in line for line in told), "a person does not read JSON"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"examined": 1, "examined_unit": "sends"}, "→ 1 sends"),
        ({"doubt": "late ticks"}, "in doubt because of nothing → late ticks"),
        ({"expected": False}, "it counted before, and does not any more"),
        ({"reasons": ("because",)}, "new reason: because"),
        ({"measures": {"lost": float("nan")}}, "measured: lost 3 → not measured"),
        ({"limits": ()}, "limit on messages_max no longer there (measured 3, limit ≤ 0, fail, from scenario)"),
    ],
)
def test_each_part_of_a_check_is_compared(changes: dict[str, object], said: str) -> None:
    before = _with(samples.failing(), 0, measures={"lost": 3.0})
    assert any(said in line for line in differences(before, _with(before, 0, **changes))), differences(
        before, _with(before, 0, **changes)
    )


def test_a_finding_with_other_particulars_is_one_finding() -> None:
    before = samples.failing()
    found = before.checks[0].findings
    told = differences(before, _with(before, 0, findings=(replace(found[0], amount=99.0), *found[1:])))
    assert told == (f"loss: found otherwise: {found[0].type}: {found[0].message} (with other amount)",)
    told = differences(before, _with(before, 0, findings=found[::-1]))
    assert told == ("loss: the same findings in another order",)


def test_many_findings_are_counted_and_control_characters_are_gone() -> None:
    before = samples.failing()
    found = tuple(
        replace(before.checks[0].findings[0], start_ns=number, message="\x1b[2Jhostile") for number in range(100, 140)
    )
    told = differences(before, _with(before, 0, findings=(*before.checks[0].findings, *found)))
    assert len(told) == 6
    assert told[-1] == "loss: newly found: 35 more"
    assert not any("\x1b" in line for line in told)


def test_nothing_that_must_agree_differs_in_silence() -> None:
    """Whatever field of a check is changed, something is said."""
    before = samples.failing()
    draw = random.Random(7)
    for index, check in enumerate(before.checks):
        for field in ("verdict", "examined", "examined_unit", "limits", "findings", "reasons", "measures", "expected"):
            value = getattr(check, field)
            changed: object = {
                "verdict": draw.choice([verdict for verdict in Verdict if verdict is not check.verdict]),
                "examined": check.examined + 1,
                "examined_unit": "others",
                "limits": (*check.limits, *check.limits),
                "findings": (*check.findings, *check.findings),
                "reasons": (*check.reasons, "another"),
                "measures": {**check.measures, "another_ns": 0.25},
                "expected": not check.expected,
            }[field]
            after = _with(before, index, **{field: changed})
            assert (comparable(before) != comparable(after)) == bool(differences(before, after)), (field, value)
    assert differences(before, replace(before, digest="other"))

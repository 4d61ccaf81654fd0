"""What a result must say of each fault of a run: proven, or, where its effect was taken away, not believed.

Also which cases this machine can do. Judges results only; starts nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from support.fault_cases import Case, cases
from support.required_abilities import require_for_faults

from harness.errors import ExitCode
from harness.faults.base import FAULTS
from harness.result import FaultResult, RunResult
from harness.runtime.abilities import why_not
from harness.verdict import Verdict


def possible_cases(runtime: str) -> tuple[str, ...]:
    """Return the cases that this machine can do; skips, or fails where it is required, without the runtime itself."""
    require_for_faults((), runtime)
    return tuple(
        name
        for name, case in cases().items()
        if not any(why_not(ability, runtime) for ability in FAULTS.get(case.kind).machine)
    )


def wrong_in(result: RunResult, asked: dict[str, Case], lost: Collection[str] = ()) -> list[str]:
    """Return what a result should say otherwise, one sentence for each point; empty when it is right.

    Args:
        result: Of the run.
        asked: Id of a fault → its case: all of the run.
        lost: The ids of those whose effect was taken away.
    """
    found = {fault.id: fault for fault in result.faults}
    if found.keys() != asked.keys():
        return [f"the result has {sorted(found)}, not {sorted(asked)}; {result.headline}; {result.error}"]
    problems: list[str] = []
    for name, case in asked.items():
        judged = _not_believed(found[name], result) if name in lost else _proven(found[name], case)
        problems += [f"{name}: {problem}" for problem in judged]
    verdict = Verdict.INCONCLUSIVE if lost else Verdict.PASS
    code = ExitCode.INCONCLUSIVE if lost else ExitCode.PASS
    if (result.verdict, result.exit_code) != (verdict, code):
        problems.append(f"{result.verdict.value}, exit code {result.exit_code}: {result.headline} {result.error}")
    return problems


def _proven(fault: FaultResult, case: Case) -> Iterator[str]:
    if not fault.proven:
        yield f"not proven: {[item for item in fault.evidence if not item.proven] or 'no evidence'}"
    if {item.stage for item in fault.evidence} != {"effect", "healing"}:
        yield f"evidence of {sorted({item.stage for item in fault.evidence})} alone"
    if case.targets and len(set(fault.targets)) != case.targets:
        yield f"acted on {', '.join(fault.targets)}, not on {case.targets}"
    if case.like and not all(re.fullmatch(case.like, target) for target in fault.targets):
        yield f"acted on {', '.join(fault.targets)}, which does not look like {case.like}"


def _not_believed(fault: FaultResult, result: RunResult) -> Iterator[str]:
    unproven = [item for item in fault.evidence if item.stage == "effect" and not item.proven]
    if fault.proven:
        yield f"believed without its effect: {fault.evidence}"
    elif not unproven:
        yield f"its effect is believed: {fault.evidence}"
    if not all(item.observed and item.required for item in unproven):
        yield f"does not say what was seen and required: {unproven}"
    if not any(f"fault {fault.id} is not proven" in reason for reason in result.blocking):
        yield f"is not named by what blocks the verdict: {result.blocking}"

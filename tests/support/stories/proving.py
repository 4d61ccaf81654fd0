"""One step of the proof of the checks: a valid run has no finding, and a mutation that violates has the right one.

Whether it violates says the check's reference (``support.references``), which shares no code with ``harness.checks``.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from support.references import latency, recovery, throughput
from support.references.values import Violations
from support.stories.mutations import Mutation
from support.stories.story import Story, name_of
from support.stories.valid import valid

from harness.checks.base import CHECKS
from harness.checks.judge import judge_all
from harness.checks.latency import LatencyLimits
from harness.checks.recovery import RecoveryLimits
from harness.checks.throughput import ThroughputLimits
from harness.history.read import History
from harness.verdict import CheckResult, Finding, Verdict

LIMITS: Mapping[str, Any] = {
    "latency": LatencyLimits(longest_ns_max=latency.LONGEST_MAX),
    "throughput": ThroughputLimits(processed_per_s_min=throughput.PROCESSED_MIN),
    "recovery": RecoveryLimits(within_ns_max=recovery.WITHIN_MAX),
}
"""The other checks have limits of their own, from the facts."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one mutation of one run; ``wrong`` says what is wrong, empty when nothing is.

    Attributes:
        applicable: The reference says that the mutated run violates what it must.
        missed: The check did not fail, or none of its findings names what was mutated.
        loud: A check has a finding that has no reason for one.
    """

    applicable: bool = False
    missed: bool = False
    loud: bool = False
    wrong: str = ""


def judged(history: History) -> dict[str, CheckResult]:
    """Return the result of every check."""
    return {result.check: result for result in judge_all(history, LIMITS)}


def false_findings(story: Story) -> list[str]:
    """Return a sentence for each check that finds fault with a run, or cannot judge it."""
    said = []
    for name, result in judged(story.history()).items():
        if result.verdict is Verdict.FAIL or result.findings:
            said.append(f"{name}: {result.verdict}: {[finding.message for finding in result.findings]}")
        said += [f"{name}: {reason}" for reason in result.reasons if "could not judge" in reason]
    return said


def reference(check: str, history: History) -> Violations:
    """Return what a check's reference finds."""
    found: Violations = importlib.import_module(f"support.references.{check}").violations(history)
    return found


def is_judged(mutation: Mutation) -> bool:
    """Return whether there is a check that must find it."""
    return mutation.check in CHECKS.names()


def attempt(mutation: Mutation, seed: int) -> Tried:
    """Mutate the run of a seed and judge it."""
    rng = random.Random(f"{mutation.name} {seed}")
    protocol = rng.choice(sorted(mutation.protocols)) if mutation.protocols else None
    story = valid(rng, protocol, in_transactions=mutation.in_transactions).copy()
    name = mutation.change(story, rng)
    if name is None:
        return Tried()
    history = story.history()
    violated = reference(mutation.check, history)
    if name not in violated.get(mutation.finding, set()) and not (name == "" and violated.get(mutation.finding)):
        return Tried()
    results = judged(history)
    # What a change moves before its own send is a phantom, too, as far as the reference of phantoms says so.
    also = mutation.also | ({"phantoms"} if reference("phantoms", history).get("phantom") else set())
    loud = [
        f"{check}: {result.findings[0].message}"
        for check, result in results.items()
        if result.findings and check != mutation.check and check not in also
    ]
    result = results[mutation.check]
    findings = [item for item in result.findings if mutation.finding in {"*", item.type}]
    missed = ""
    if result.verdict is not Verdict.FAIL:
        missed = f"{mutation.check} says {result.verdict}: {' '.join(result.reasons)}"
    elif not findings:
        missed = f"{mutation.check} has no finding {mutation.finding}"
    elif name and not any(name in _named(finding) for finding in findings):
        missed = f"no finding names {name}: {[finding.message for finding in findings]}"
    wrong = "; ".join(part for part in (missed, *loud) if part)
    return Tried(applicable=True, missed=bool(missed), loud=bool(loud), wrong=wrong and f"seed {seed}: {wrong}")


def _named(finding: Finding) -> set[str]:
    values = {name_of(operation.key, operation.seq) for operation in finding.operations if operation.key >= 0}
    return values | {*finding.at_fault, *finding.paid, f"partition {finding.partition}"}

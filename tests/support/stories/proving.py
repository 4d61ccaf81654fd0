"""One step of the proof of the checks: a valid run has no finding, and a mutation that violates has the right one.

Whether it violates says the check's reference (``support.references``), which shares no code with ``harness.checks``.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from support.references import latency, recovery, throughput
from support.references.values import Violations
from support.stories.mutations import Mutation
from support.stories.story import Story, name_of
from support.stories.valid import valid

from harness.checks.base import CHECKS, OPERATIONS_MAX
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
ROOM: Final = OPERATIONS_MAX // 2
"""Violations that a finding names at least, if there are so many: two operations show each."""
UNNAMED: Final = frozenset({"", "never"})
"""What references say in place of a name, where a finding names no operation."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one mutation of one run; ``wrong`` says what is wrong, empty when nothing is.

    Attributes:
        applicable: The reference says that the mutated run violates what it must.
        missed: The check did not fail, or none of its findings names what was mutated.
        loud: A check has a finding that the mutation or the check's own reference does not know of.
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
    violated = reference(mutation.check, history).get(mutation.finding, set())
    if name not in violated and not (name == "" and violated):
        return Tried()
    results = judged(history)
    missed, loud = _missed(mutation, name, results[mutation.check], violated), groundless(mutation, results, history)
    wrong = "; ".join(part for part in (missed, *loud) if part)
    return Tried(applicable=True, missed=bool(missed), loud=bool(loud), wrong=wrong and f"seed {seed}: {wrong}")


def _missed(mutation: Mutation, name: str, result: CheckResult, violated: set[str]) -> str:
    """Return in what the check failed to find and name what was changed, empty when it did not."""
    findings = [item for item in result.findings if mutation.finding in {"*", item.type}]
    if result.verdict is not Verdict.FAIL:
        return f"{mutation.check} says {result.verdict}: {' '.join(result.reasons)}"
    if not findings:
        return f"{mutation.check} has no finding {mutation.finding}"
    if name and not any(name in _named(finding) for finding in findings) and not are_counted(findings, violated):
        return f"no finding names {name}: {[finding.message for finding in findings]}"
    return ""


def are_counted(findings: Sequence[Finding], violated: set[str]) -> bool:
    """Return whether findings count every violation, and each names as many of its own as a finding has room for.

    A change may break the guarantee for more messages than a finding names: it stands for the others by its count.
    """
    full = all(len(violated & _named(item)) >= min(ROOM, item.amount) for item in findings)
    return full and sum(item.amount for item in findings) == len(violated)


def groundless(mutation: Mutation, results: Mapping[str, CheckResult], history: History) -> list[str]:
    """Return a sentence for each check that speaks without need: the mutation does not say that it may, or its own
    reference does not have in this very run what it found.
    """
    loud = []
    for check, result in results.items():
        violated = reference(check, history) if result.findings else {}
        # What a change moves before its own send is a phantom, whatever else it breaks.
        may = check in mutation.also | {mutation.check, "phantoms"}
        for finding in result.findings:
            if not may or not _has_ground(finding, violated):
                reason = "its reference has nothing of it" if may else "the mutation does not name it"
                loud.append(f"{check} has {finding.type}, and {reason}: {finding.message}")
                break
    return loud


def _has_ground(finding: Finding, violated: Violations) -> bool:
    names = violated.get(finding.type, set()) | violated.get("*", set())
    return bool(names & (_named(finding) | UNNAMED))


def _named(finding: Finding) -> set[str]:
    values = {name_of(operation.key, operation.seq) for operation in finding.operations if operation.key >= 0}
    return values | {*finding.at_fault, *finding.paid, f"partition {finding.partition}"}

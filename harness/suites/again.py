"""Whether a run may be made again, once, alone: the one function that decides, for suites and for tests.

Owns the rule; docs/suites.md says it in words. Rests on typed fields of the result alone, never on a sentence. A result
that does not say what explains it, such as one of an earlier release, is never made again.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ExitCode
from harness.result import BlockingCause, RunResult
from harness.suite_result import AgainCause
from harness.verdict import CheckResult, Verdict

_INCONCLUSIVE = Verdict.INCONCLUSIVE


@dataclass(frozen=True, slots=True)
class Again:
    """Why a run may be made again.

    Attributes:
        cause: What its record names.
        detail: The sentence that names it.
    """

    cause: AgainCause
    detail: str


def why_again(result: RunResult) -> Again | None:
    """Return why a run may be made again; None when it may not.

    It may when it is inconclusive, and everything that makes it so is explained by a machine that gave the run too
    little time: late ticks of the monitor, too few round trips, or no period in which a node could be throttled. One
    reason of another kind decides against it, and so do a fail, a run that broke off, and a canary that came through.
    A machine whose processes waited for a CPU explains nothing.
    """
    if result.exit_code != ExitCode.INCONCLUSIVE or result.outcome is not _INCONCLUSIVE or result.error:
        return None
    if len(result.blocking_causes) != len(result.blocking):
        return None
    expected = [check for check in result.checks if check.expected]
    if any(check.verdict is Verdict.FAIL and check.check not in result.must_fail for check in expected):
        return None
    if any(check.verdict is Verdict.PASS and check.check in result.must_fail for check in expected):
        return None
    reasons: list[tuple[BlockingCause, str]] = [*zip(result.blocking_causes, result.blocking, strict=True)]
    reasons += [(_cause(check, result), _sentence(check)) for check in expected if check.verdict is _INCONCLUSIVE]
    named = [Again(cause, sentence) for cause, sentence in reasons if cause]
    return named[0] if named and len(named) == len(reasons) else None


def _cause(check: CheckResult, result: RunResult) -> BlockingCause:
    """Return what of the machine explains that a check is inconclusive; empty when that is not known.

    Too little was examined for the machine's sake only when producers could not send for its sake.
    """
    starved = result.machine is not None and result.machine.starved_producers
    return "late ticks" if check.doubt == "late ticks" or (check.doubt == "few examined" and starved) else ""


def _sentence(check: CheckResult) -> str:
    return f"{check.check}: {check.reasons[0] if check.reasons else check.verdict}"

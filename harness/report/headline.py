"""What a run says as a whole, in words: the first sentence, what was violated, what weakens it, and what became of a
canary.

Pure text without markup or colour. Must never know on what medium it is shown, nor how a run is made.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from harness.errors import ExitCode
from harness.report.format import describe_limit, main_measures
from harness.report.phrases import blame
from harness.report.sanitize import clean, clean_lines
from harness.result import RunResult
from harness.verdict import CheckResult, Verdict

Tone = Literal["pass", "fail", "inconclusive", "error"]

NOT_COMPLETE: Final = "the run did not complete: "
_ERROR_WORDS: Final[dict[int, str]] = {
    ExitCode.INTERRUPTED: "INTERRUPTED",
    ExitCode.INTERNAL: "INTERNAL ERROR",
    ExitCode.USAGE: "USAGE ERROR",
    ExitCode.INCONCLUSIVE: "INCONCLUSIVE",
    ExitCode.ENVIRONMENT: "ENVIRONMENT ERROR",
}


@dataclass(frozen=True, slots=True)
class RunStatus:
    """The first thing that every report says.

    Attributes:
        word: In capitals (``FAIL``).
        tone: Decides the colour.
        sentence: What happened, without repeating the word.
    """

    word: str
    tone: Tone
    sentence: str


def status(result: RunResult) -> RunStatus:
    """Return what to say first: a proven violation, else why there is no verdict, else the verdict."""
    headline = re.sub(r"(?i)^(pass|fail|inconclusive|error)(ed)?\s*[:;,—–-]\s*", "", clean(result.headline))
    if result.outcome is Verdict.FAIL:
        return RunStatus("FAIL", "fail", canary(result) or headline)
    if result.error:
        word = _ERROR_WORDS.get(result.exit_code, "ERROR")
        return RunStatus(word, "error", why_incomplete(result))
    if result.outcome is Verdict.INCONCLUSIVE:
        return RunStatus("INCONCLUSIVE", "inconclusive", canary(result) or headline)
    return RunStatus("PASS", "pass", canary(result) or headline)


def why_incomplete(result: RunResult) -> str:
    """Return why there is no complete run, line breaks kept; of a bare interruption, when it came and
    what was judged.
    """
    error = clean_lines(result.error)
    if error.strip().lower() != "interrupted":
        return error
    bands = result.timeline.bands if result.timeline is not None else ()
    phases = [band for band in bands if band.kind == "phase"]
    when = f" during {clean(max(phases, key=lambda band: band.end_ns).label)}" if phases else ""
    judged = "the recorded part was judged" if result.checks else "nothing was judged"
    return f"stopped by a signal{when}; {judged}"


def canary(result: RunResult) -> str:
    """Return how a canary ended, as a sentence; empty when the run is none."""
    if not result.must_fail:
        return ""
    judged = {check.check: check for check in result.checks if check.expected}
    failed = {name for name, check in judged.items() if check.verdict is Verdict.FAIL}
    if result.outcome is Verdict.PASS:
        shown = "; ".join(_failure(judged[name]) for name in result.must_fail if name in judged)
        return f"canary: failed as expected: {shown or ', '.join(result.must_fail)}"
    must = ", ".join(result.must_fail)
    if result.outcome is Verdict.INCONCLUSIVE:
        return f"canary: inconclusive; expected to fail: {must}"
    wrong = [
        f"expected {name} to fail, but it {_describe_end(judged[name].verdict) if name in judged else 'was not judged'}"
        for name in result.must_fail
        if name not in failed
    ]
    wrong += [
        f"{_failure(judged[name])} failed unexpectedly (expected to fail: {must})"
        for name in sorted(failed - {*result.must_fail})
    ]
    return f"canary: did not fail as expected: {'; '.join(wrong) or must}"


def _describe_end(verdict: Verdict) -> str:
    return "passed" if verdict is Verdict.PASS else f"is {verdict.value}"


def _failure(check: CheckResult) -> str:
    broken = [describe_limit(limit) for limit in check.limits if limit.verdict is Verdict.FAIL]
    broken += [f"{word} {workers}" for word, workers in blame(check.findings)]
    return f"{clean(check.check)} ({'; '.join(broken)})" if broken else clean(check.check)


def violated(result: RunResult) -> tuple[CheckResult, ...]:
    """Return the judged checks that failed."""
    return tuple(check for check in result.checks if check.expected and check.verdict is Verdict.FAIL)


def check_word(result: RunResult, check: CheckResult) -> str:
    """Return the verdict in words.

    Of a canary's check, whether it ended as expected; of a check that the scenario does not name, what it would be,
    or that it only measured.
    """
    if not check.expected:
        if not check.limits:
            unjudged = any(reason.startswith("not judged") for reason in check.reasons)
            return "measured" if main_measures(check) else "not judged" if unjudged else "not measured"
        would = {Verdict.PASS: "would pass", Verdict.FAIL: "would fail", Verdict.INCONCLUSIVE: "not known"}
        return f"not judged: {would[check.verdict]}"
    if check.check in result.must_fail:
        return "fail, as expected" if check.verdict is Verdict.FAIL else f"{check.verdict.value}, expected to fail"
    return check.verdict.value


def weakening(result: RunResult) -> tuple[tuple[str, bool], ...]:
    """Return (sentence, blocking) of everything that weakens the result, blocking ones first, none twice."""
    # Why the run did not complete is the first sentence of every report already.
    blocking = dict.fromkeys(
        one for one in result.blocking if not result.error or not (one == result.error or one.startswith(NOT_COMPLETE))
    )
    other = dict.fromkeys(weakness for weakness in result.weaknesses if weakness not in result.blocking)
    for check in result.checks:
        if not check.expected:
            continue
        where = blocking if check.verdict is Verdict.INCONCLUSIVE else other
        said = [*blocking, *other]
        where |= {
            f"{check.check}: {reason}": None for reason in check.reasons if not any(reason in one for one in said)
        }
    return (*((clean(one), True) for one in blocking), *((clean(one), False) for one in other))

"""How results are put into words: verdicts, limits, times, operations. Shared by every report.

Pure text without markup or colour. Must never know on what medium it is shown, nor how a run is made.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from harness.errors import ExitCode
from harness.result import EvidenceItem, FaultResult, RunResult
from harness.scenario.quantity import exact
from harness.units import BYTES, DURATION, RATE, RATIO, format_ns
from harness.verdict import CheckResult, Finding, Limit, Operation, Verdict

Tone = Literal["pass", "fail", "inconclusive", "error"]

SEQ_BITS: Final = 40
"""A sequence number carries its producer's incarnation above these bits (docs/history.md); a test holds it in step."""

_TELLING: Final = ("p50_ns", "p99_ns", "longest_ns", "within_ns", "processed_per_s")
"""The measures that say most of a check that was not judged."""
_MEASURES_MAX: Final = 4

_BIDI_CONTROLS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ERROR_WORDS: Final[dict[int, str]] = {
    ExitCode.INTERRUPTED: "INTERRUPTED",
    ExitCode.INTERNAL: "INTERNAL ERROR",
    ExitCode.USAGE: "USAGE ERROR",
    ExitCode.ENVIRONMENT: "ENVIRONMENT ERROR",
}


@dataclass(frozen=True, slots=True)
class Status:
    """The first thing that every report says.

    Attributes:
        word: In capitals (``FAIL``).
        tone: Tells the colour.
        sentence: What happened, without repeating the word.
    """

    word: str
    tone: Tone
    sentence: str


def clean(text: str) -> str:
    """Return ``text`` on one line, with whatever could steer a terminal or reorder a page made visible as ``�``."""
    return "".join(" " if char.isspace() else "\ufffd" if _hostile(char) else char for char in text)


def clean_lines(text: str) -> str:
    """Return ``text`` like ``clean``, with its line breaks kept."""
    return "\n".join(clean(line) for line in text.splitlines())


def clip(text: str, limit: int) -> str:
    """Return ``text`` cut to ``limit`` characters; a cut is marked."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def status(result: RunResult) -> Status:
    """Return what to say first: a proven violation, else why there is no verdict, else the verdict."""
    headline = re.sub(r"(?i)^(pass|fail|inconclusive|error)(ed)?\s*[:;,—–-]\s*", "", clean(result.headline))
    if result.outcome is Verdict.FAIL:
        return Status("FAIL", "fail", canary(result) or headline)
    if result.error:
        word = _ERROR_WORDS.get(result.exit_code, "ERROR")
        return Status(word, "error", why_incomplete(result))
    if result.outcome is Verdict.INCONCLUSIVE:
        return Status("INCONCLUSIVE", "inconclusive", canary(result) or headline)
    return Status("PASS", "pass", canary(result) or headline)


def why_incomplete(result: RunResult) -> str:
    """Return why there is no complete run, line breaks kept; of a bare interruption, when it came and what was judged."""
    error = clean_lines(result.error)
    if error.strip().lower() != "interrupted":
        return error
    bands = result.timeline.bands if result.timeline is not None else ()
    phases = [band for band in bands if band.kind == "phase"]
    when = f" during {clean(max(phases, key=lambda band: band.end_ns).label)}" if phases else ""
    judged = "judged as far as it came" if result.checks else "nothing was judged"
    return f"stopped by a signal{when}; {judged}"


def canary(result: RunResult) -> str:
    """Return what became of a canary, as a sentence; empty when the run is none."""
    if not result.must_fail:
        return ""
    judged = {check.check: check for check in result.checks if check.expected}
    failed = {name for name, check in judged.items() if check.verdict is Verdict.FAIL}
    if result.outcome is Verdict.PASS:
        shown = "; ".join(_failure(judged[name]) for name in result.must_fail if name in judged)
        return f"canary: failed as it must: {shown or ', '.join(result.must_fail)}"
    must = ", ".join(result.must_fail)
    if result.outcome is Verdict.INCONCLUSIVE:
        return f"canary: it is not known whether it fails as it must ({must})"
    wrong = [
        f"{name} had to fail, but "
        + (f"its verdict is {judged[name].verdict.value}" if name in judged else "was not judged")
        for name in result.must_fail
        if name not in failed
    ]
    wrong += [f"{_failure(judged[name])} failed, but only {must} must" for name in sorted(failed - {*result.must_fail})]
    return f"canary: did not fail as it must: {'; '.join(wrong) or must}"


def _failure(check: CheckResult) -> str:
    broken = [describe_limit(limit) for limit in check.limits if limit.verdict is Verdict.FAIL]
    return f"{clean(check.check)} ({'; '.join(broken)})" if broken else clean(check.check)


def violated(result: RunResult) -> tuple[CheckResult, ...]:
    """Return the judged checks that failed."""
    return tuple(check for check in result.checks if check.expected and check.verdict is Verdict.FAIL)


def check_word(result: RunResult, check: CheckResult) -> str:
    """Return the verdict in words.

    Of a canary's check, whether that is what it must be; of a check that the scenario does not name, what it would be,
    or that it only measured.
    """
    if not check.expected:
        if not check.limits:
            return "measured" if main_measures(check) else "not measured"
        would = {Verdict.PASS: "would pass", Verdict.FAIL: "would fail", Verdict.INCONCLUSIVE: "not known"}
        return f"not judged: {would[check.verdict]}"
    if check.check in result.must_fail:
        return "fail, as it must" if check.verdict is Verdict.FAIL else f"{check.verdict.value}, had to fail"
    return check.verdict.value


def weakening(result: RunResult) -> tuple[tuple[str, bool], ...]:
    """Return (sentence, blocking) of everything that weakens the result, blocking ones first, none twice."""
    blocking = dict.fromkeys(result.blocking)
    other = dict.fromkeys(weakness for weakness in result.weaknesses if weakness not in blocking)
    for check in result.checks:
        if not check.expected:
            continue
        where = blocking if check.verdict is Verdict.INCONCLUSIVE else other
        said = [*blocking, *other]
        where |= {
            f"{check.check}: {reason}": None for reason in check.reasons if not any(reason in one for one in said)
        }
    return (*((clean(one), True) for one in blocking), *((clean(one), False) for one in other))


def relative(result: RunResult, t_ns: int) -> str:
    """Return a monotonic time as seconds after the start of the timeline (``+12.031s``); ``-`` without a start."""
    return "-" if result.zero_ns is None else offset_time(t_ns - result.zero_ns)


def offset_time(offset_ns: int) -> str:
    """Return a time after the start of the timeline (``+12.031s``; warm-up is negative)."""
    return f"{'-' if offset_ns < 0 else '+'}{abs(offset_ns) / 1e9:,.3f}s"


def span(result: RunResult, finding: Finding) -> str:
    """Return when a finding happened (``+12.031s to +26.200s, 14.169s long``); empty when it has no times."""
    if result.zero_ns is None or not (finding.start_ns or finding.end_ns):
        return ""
    if finding.end_ns <= finding.start_ns:
        return f"at {relative(result, finding.start_ns)}"
    length = format_ns(finding.end_ns - finding.start_ns)
    return f"{relative(result, finding.start_ns)} to {relative(result, finding.end_ns)}, {length} long"


def during(result: RunResult, finding: Finding) -> str:
    """Return the faults in force during a finding (``kill-1 (kill -9 of the leader)``); empty when there was none."""
    known = {fault.id: fault for fault in result.faults}
    return "; ".join(clean(f"{name} ({known[name].description})" if name in known else name) for name in finding.faults)


def format_value(value: float, unit: str) -> str:
    """Return a value of a limit or a series in its own unit (``ns``, ``count``, ``ratio``, ``/s``, ``bytes``…)."""
    if not math.isfinite(value):
        return "not measured" if math.isnan(value) else "never ends" if unit == "ns" else "unbounded"
    if unit == "ns":
        return format_ns(value)
    if unit == "ratio":
        return RATIO.brief(value)
    if unit == "bytes":
        return BYTES.brief(value)
    if unit in {"/s", "per_s"}:
        return RATE.brief(value) if abs(value) < 1000 else f"{value:,.0f}/s"
    number = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.3f}".rstrip("0").rstrip(".")
    return number if unit in {"", "count", "messages"} else f"{number} {clean(unit)}"


def unit_of(name: str) -> str:
    """Return the unit that the name of a measure, count or overhead tells (``pause_ns_max`` → ``ns``)."""
    words = re.split(r"[_.]", name)
    for word in ("ns", "ratio", "bytes"):
        if word in words:
            return word
    if "per_s" in name:
        return "/s"
    return "s" if "s" in words else "count"


def named_value(name: str, value: float) -> tuple[str, str]:
    """Return the label and the value of a measure, count or overhead: ``pause_ns_max`` → (``pause max``, ``7.9s``)."""
    unit = unit_of(name)
    hidden = {"per", "s"} if unit == "/s" else {unit}
    label = " ".join(word for word in re.split(r"[_.]", clean(name)) if word not in hidden)
    return clip(label or clean(name), 120), format_value(value, unit)


def counted(check: CheckResult) -> tuple[tuple[str, str], ...]:
    """Return (label, value) of everything a check counted that is not zero."""
    return tuple(named_value(name, value) for name, value in check.measures.items() if value)


def main_measures(check: CheckResult) -> str:
    """Return the measures that say most, on one line: ``p50 30ms, p99 226ms, longest 252ms``; may be empty."""
    telling = [(name, check.measures[name]) for name in _TELLING if check.measures.get(name)]
    pairs = [named_value(name, value) for name, value in telling] or [*counted(check)[:_MEASURES_MAX]]
    return clip(", ".join(f"{label} {value}" for label, value in pairs), 200)


def describe_limit(limit: Limit) -> str:
    """Return one limit as ``messages_max: measured 3, limit ≤ 0``."""
    return f"{clean(limit.metric)}: measured {measured(limit)}, limit {bound(limit)}"


def measured(limit: Limit) -> str:
    """Return the measured value, short, unless only its further digits tell it from the limit."""
    shown = format_value(limit.measured, limit.unit)
    alike = limit.measured != limit.limit and shown == format_value(limit.limit, limit.unit)
    return _exact_value(limit.measured, limit.unit) if alike else shown


def bound(limit: Limit) -> str:
    """Return the limit alone, with its direction (``≤ 10s``)."""
    sign = "≥ " if limit.metric.endswith("_min") else "≤ " if limit.metric.endswith("_max") else ""
    return sign + _exact_value(limit.limit, limit.unit)


def _exact_value(value: float, unit: str) -> str:
    """Return a value with all the digits that a person would write in a scenario, as far as there are any."""
    kind = {"ns": DURATION, "ratio": RATIO, "bytes": BYTES}.get(unit)
    if kind is None or not math.isfinite(value) or value < 0:
        return format_value(value, unit)
    return exact(kind, value)


def amount(check: CheckResult, finding: Finding) -> str:
    """Return the amount of a finding in the unit of the limit it belongs to; empty when it belongs to none."""
    units = {limit.metric: limit.unit for limit in check.limits}
    if finding.metric not in units:
        return ""
    return f"{clean(finding.metric)} {format_value(finding.amount, units[finding.metric])}"


def sequence(seq: int) -> str:
    """Return a sequence number; of a restarted producer with the number of the start before a colon (``1:204``)."""
    start, count = seq >> SEQ_BITS, seq & ((1 << SEQ_BITS) - 1)
    return f"{start}:{count}" if seq >= 0 and start else str(seq) if seq >= 0 else ""


def place(value: int) -> str:
    """Return a key, partition, offset or ordinal; empty for -1."""
    return "" if value < 0 else str(value)


def operation_cells(result: RunResult, operation: Operation) -> tuple[str, str, str, str, str, str, str, str]:
    """Return the columns of ``OPERATION_COLUMNS`` for one operation."""
    return (
        relative(result, operation.t_ns),
        clean(operation.kind),
        place(operation.key),
        sequence(operation.seq),
        place(operation.partition),
        place(operation.offset),
        clean(operation.journal),
        place(operation.ordinal),
    )


def operation_line(result: RunResult, operation: Operation) -> str:
    """Return one operation on a line: time and kind, then whatever else is known of it."""
    cells = operation_cells(result, operation)
    known = [f"{name} {clip(cell, 60)}" for name, cell in zip(OPERATION_COLUMNS[2:], cells[2:], strict=True) if cell]
    return "  ".join((f"{cells[0]:>9}", f"{clip(cells[1], 24):<9}", *known))


OPERATION_COLUMNS: Final = ("time", "operation", "key", "seq", "partition", "offset", "journal", "record")


def fault_span(fault: FaultResult) -> str:
    """Return when a fault acted (``+10.004s to +25.020s``), or what became of it."""
    if fault.applied_at_ns is None:
        return f"planned at {offset_time(fault.planned_at_ns)}, never applied"
    if fault.healed_at_ns is None:
        return f"{offset_time(fault.applied_at_ns)}, never healed"
    return f"{offset_time(fault.applied_at_ns)} to {offset_time(fault.healed_at_ns)}"


def evidence_by_target(fault: FaultResult) -> tuple[tuple[tuple[str, str], tuple[EvidenceItem, ...]], ...]:
    """Return ((stage, target), items) of the evidence, in order of first appearance."""
    groups: dict[tuple[str, str], tuple[EvidenceItem, ...]] = {}
    for item in fault.evidence:
        place = (item.stage, item.target)
        groups[place] = (*groups.get(place, ()), item)
    return tuple(groups.items())


def variant_text(result: RunResult) -> str:
    """Return the variant as ``broker=nats-2, replicas=3``; empty without a matrix."""
    return ", ".join(f"{clean(key)}={clean(value)}" for key, value in result.variant.items())


def wall_ns(result: RunResult) -> int:
    """Return how long the run took: ``total``, else the sum of what was timed."""
    timings = result.timings_ns
    return timings.get("total", sum(value for name, value in timings.items() if name != "beyond_declared"))


def _hostile(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cs"} or char in _BIDI_CONTROLS

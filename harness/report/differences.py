"""Where two judgements of one history disagree, in words: verdicts, limits, findings, reasons and measures.

Owns what a person reads of that. What must agree at all is ``serialize.comparable``'s. Must never know how a result is
made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from harness.report import format as values
from harness.report.derived import plain
from harness.report.sanitize import clean, clip
from harness.result import RunResult
from harness.verdict import CheckResult, Finding, Limit

_SHOWN_MAX: Final = 5
"""Of one kind and check; how many more there are is said."""
_TEXT_MAX: Final = 300


def differences(before: RunResult, after: RunResult) -> tuple[str, ...]:
    """Return where two judgements of one history disagree, a sentence each; empty where they agree."""
    return tuple(clean(line) for line in _differences(before, after))


def _differences(before: RunResult, after: RunResult) -> Iterator[str]:
    if before.digest != after.digest:
        yield f"the plan is another one: digest {clip(before.digest, 64)} → {clip(after.digest, 64)}"
    for name in ("verdict", "outcome"):
        old, new = getattr(before, name), getattr(after, name)
        if old is not new:
            yield f"{name}: {old} → {new}"
    then, now = ({check.check: check for check in result.checks} for result in (before, after))
    for name in dict.fromkeys([*then, *now]):
        if name not in now:
            yield f"{name}: judged before ({then[name].verdict}), and not any more"
        elif name not in then:
            yield f"{name}: not judged before, and now {now[name].verdict}"
        elif plain(then[name]) != plain(now[name]):
            yield from (f"{name}: {line}" for line in _check(then[name], now[name]))


def _check(before: CheckResult, after: CheckResult) -> Iterator[str]:
    """Yield where two results of one check differ."""
    if before.verdict is not after.verdict:
        yield f"verdict {before.verdict} → {after.verdict}"
    if before.expected != after.expected:
        yield "it counts now, and did not before" if after.expected else "it counted before, and does not any more"
    if (before.examined, before.examined_unit) != (after.examined, after.examined_unit):
        yield (
            f"examined {before.examined:,} {clip(before.examined_unit, _TEXT_MAX)} → "
            f"{after.examined:,} {clip(after.examined_unit, _TEXT_MAX)}"
        )
    if before.doubt != after.doubt:
        yield f"in doubt because of {before.doubt or 'nothing'} → {after.doubt or 'nothing'}"
    yield from _limits(before.limits, after.limits)
    yield from _findings(before.findings, after.findings)
    yield from _lists("reason", before.reasons, after.reasons)
    yield from _measures(before, after)


def _limits(before: Sequence[Limit], after: Sequence[Limit]) -> Iterator[str]:
    then, now = ({limit.metric: limit for limit in limits} for limits in (before, after))
    for metric in dict.fromkeys([*then, *now]):
        if metric not in now:
            yield f"limit on {metric} no longer there ({_limit(then[metric])})"
        elif metric not in then:
            yield f"new limit on {metric} ({_limit(now[metric])})"
        elif plain(then[metric]) != plain(now[metric]):
            yield f"{metric} {_limit(then[metric])} → {_limit(now[metric])}"
    if len(then) < len(before) or len(now) < len(after):
        yield f"{len(before)} limits → {len(after)}, some of them on the same metric"


def _limit(limit: Limit) -> str:
    return (
        f"measured {values.measured(limit)}, limit {values.bound(limit)}{values.untested(limit)}, {limit.verdict}, "
        f"from {clip(limit.origin, 100)}"
    )


def _findings(before: Sequence[Finding], after: Sequence[Finding]) -> Iterator[str]:
    """Yield findings that only one of the two has, and those that both have with other particulars."""
    then, now = _without(before, after), _without(after, before)
    altered = []
    for finding in list(then):
        twin = next((other for other in now if _place(other) == _place(finding)), None)
        if twin is not None:
            then.remove(finding)
            now.remove(twin)
            altered.append((finding, twin))
    yield from _some("no longer found", [_finding(finding) for finding in then])
    yield from _some("newly found", [_finding(finding) for finding in now])
    yield from _some("found otherwise", [_altered(*pair) for pair in altered])
    if not (then or now or altered) and plain(tuple(before)) != plain(tuple(after)):
        yield "the same findings in another order"


def _without(findings: Sequence[Finding], others: Sequence[Finding]) -> list[Finding]:
    """Return the findings that the others do not have as they are, each as often as it is missing there."""
    left = Counter(repr(plain(other)) for other in others)
    found = []
    for finding in findings:
        key = repr(plain(finding))
        left[key] -= 1
        if left[key] < 0:
            found.append(finding)
    return found


def _place(finding: Finding) -> tuple[str, int, int]:
    return finding.type, finding.partition, finding.start_ns


def _finding(finding: Finding) -> str:
    return f"{finding.type}: {clip(finding.message, _TEXT_MAX)}"


def _altered(before: Finding, after: Finding) -> str:
    if before.message != after.message:
        return f"{_finding(before)} → {clip(after.message, _TEXT_MAX)}"
    old, new = plain(before), plain(after)
    return f"{_finding(before)} (with other {', '.join(name for name in old if old[name] != new[name])})"


def _lists(noun: str, before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    then, now = Counter(before), Counter(after)
    yield from _some(f"{noun} no longer given", [clip(text, _TEXT_MAX) for text in (then - now).elements()])
    yield from _some(f"new {noun}", [clip(text, _TEXT_MAX) for text in (now - then).elements()])
    if then == now and tuple(before) != tuple(after):
        yield f"the same {noun}s in another order"


def _measures(before: CheckResult, after: CheckResult) -> Iterator[str]:
    told = []
    for name in dict.fromkeys([*before.measures, *after.measures]):
        sides = [check.measures.get(name) for check in (before, after)]
        if plain(sides) == plain(sides[::-1]):
            continue
        said = ["none" if value is None else values.named_value(name, value)[1] for value in sides]
        if said[0] == said[1]:  # they differ in digits that are not shown
            said = [str(value) for value in sides]
        told.append(f"{clip(name, 100)} {said[0]} → {said[1]}")
    yield from _some("measured", told)


def _some(what: str, told: Sequence[str]) -> Iterator[str]:
    yield from (f"{what}: {text}" for text in told[:_SHOWN_MAX])
    if len(told) > _SHOWN_MAX:
        yield f"{what}: {len(told) - _SHOWN_MAX} more"

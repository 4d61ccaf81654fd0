"""What a suite and each of its runs say, in words: shared by every report of a suite.

Pure text without markup or colour. Must never know the medium that shows it, nor how a suite is run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from harness.errors import ExitCode
from harness.report.baseline_text import baseline_headline
from harness.report.format import format_value
from harness.report.sanitize import clean, clip
from harness.suite_baseline import baseline_code
from harness.suite_result import SuiteEntry, SuiteResult, race_decided, race_of
from harness.units import format_ns

Tone = Literal["pass", "fail", "inconclusive", "error", "quiet"]

_WORDS: Final[dict[int, tuple[str, Tone]]] = {
    ExitCode.PASS: ("PASS", "pass"),
    ExitCode.VIOLATED: ("FAIL", "fail"),
    ExitCode.INTERRUPTED: ("INTERRUPTED", "error"),
    ExitCode.INTERNAL: ("INTERNAL ERROR", "error"),
    ExitCode.NOTHING_SELECTED: ("NOTHING SELECTED", "error"),
    ExitCode.INCONCLUSIVE: ("INCONCLUSIVE", "inconclusive"),
    ExitCode.ENVIRONMENT: ("ENVIRONMENT ERROR", "error"),
}
_TEXT_MAX: Final = 2_000
_MISSING: Final = "MISSING"
_NOT_SHOWN: Final = "NOT SHOWN"
_NOT_NEEDED: Final = "NOT NEEDED"
_ORDER: Final = {
    word: rank
    for rank, word in enumerate(
        (
            "FAIL",
            "INTERNAL ERROR",
            "ERROR",
            "NOTHING SELECTED",
            "ENVIRONMENT ERROR",
            "INCONCLUSIVE",
            "INTERRUPTED",
            _MISSING,
            "PASS",
            _NOT_SHOWN,
            _NOT_NEEDED,
        )
    )
}
"""Words of what a run came to, the most severe first."""
PARTS: Final = ("nodes", "services", "toxiproxy", "workers", "monitor", "harness")
"""Where the CPU time of a run goes, in the order shown; others come after them."""


@dataclass(frozen=True, slots=True)
class EntryStatus:
    """What every report says of one run.

    Attributes:
        word: In capitals (``FAIL``).
        tone: Decides the colour.
        sentence: What happened, without repeating the word.
        red: Whether it keeps the suite from passing.
    """

    word: str
    tone: Tone
    sentence: str
    red: bool


def statuses(entries: Sequence[SuiteEntry]) -> tuple[EntryStatus, ...]:
    """Return the status of each entry, in their order; a run of a race is seen together with the others of its race."""
    races: dict[str, list[SuiteEntry]] = {}
    for entry in entries:
        if entry.attempts is not None:
            races.setdefault(race_of(entry.key), []).append(entry)
    passed = {race for race, runs in races.items() if race_decided(runs) is ExitCode.PASS}
    return tuple(_status(entry, race_of(entry.key) in passed) for entry in entries)


def _status(entry: SuiteEntry, race_passed: bool) -> EntryStatus:
    headline = re.sub(r"(?i)^(pass|fail|inconclusive|error)(ed)?\s*[:;,—–-]\s*", "", _said(entry.headline))
    if entry.state == "missing":
        return EntryStatus(_MISSING, "error", _said(entry.reason), red=True)
    if entry.state == "not needed":
        return EntryStatus(_NOT_NEEDED, "quiet", _said(entry.reason), red=False)
    code = ExitCode.INTERNAL if entry.exit_code is None else entry.exit_code
    if code == ExitCode.VIOLATED and race_passed and entry.attempts is not None:
        runs, least = entry.attempts
        sentence = f"the race passed without this run ({least} of {runs} must show what is declared): {headline}"
        return EntryStatus(_NOT_SHOWN, "quiet", sentence, red=False)
    word, tone = _WORDS.get(code, ("ERROR", "error"))
    if entry.must_fail and not headline.startswith(("failed as expected", "expected ", "canary")):
        headline = f"canary: {headline}"
    return EntryStatus(word, tone, headline, red=code != ExitCode.PASS)


def labels(entries: Sequence[SuiteEntry]) -> dict[str, str]:
    """Return key → name of each entry (``latency [broker=nats-2] #2``): only what distinguishes it in this suite.

    The folder is named where two files have one stem, and the repetition where there are several.
    """
    files: dict[str, set[str]] = {}
    repeated = Counter(race_of(entry.key) for entry in entries)
    for entry in entries:
        files.setdefault(entry.scenario, set()).add(entry.file)
    return {entry.key: _label(entry, len(files[entry.scenario]) > 1, repeated) for entry in entries}


def _label(entry: SuiteEntry, shared: bool, repeated: Counter[str]) -> str:
    name = entry.file.removesuffix(".yaml").removesuffix(".yml") if shared else entry.scenario
    variant = variant_text(entry)
    number = f" #{entry.repetition}" if repeated[race_of(entry.key)] > 1 else ""
    return f"{clean(clip(name, 100))}{f' [{clip(variant, 160)}]' if variant else ''}{number}"


def variant_text(entry: SuiteEntry) -> str:
    """Return the variant as ``broker=nats-2, replicas=3``; empty without a matrix."""
    return ", ".join(f"{_said(key)}={_said(value)}" for key, value in entry.variant.items())


def _said(text: str) -> str:
    """Return a text of a run on one line, bounded before the work of making it safe."""
    return clean(clip(text, _TEXT_MAX))


def by_severity(entries: Sequence[SuiteEntry]) -> tuple[tuple[SuiteEntry, EntryStatus], ...]:
    """Return what keeps the suite from passing: the most severe first, of equal ones the one that ended first."""
    red = [(entry, status) for entry, status in zip(entries, statuses(entries), strict=True) if status.red]
    return tuple(sorted(red, key=lambda pair: (_ORDER[pair[1].word], _end_ns(pair[0]))))


def first_failure(entries: Sequence[SuiteEntry]) -> tuple[SuiteEntry, EntryStatus] | None:
    """Return the run that ended first without a pass; None when there is none."""
    pairs = zip(entries, statuses(entries), strict=True)
    ended = [(entry, status) for entry, status in pairs if status.red and entry.state == "ended"]
    return min(ended, key=lambda pair: _end_ns(pair[0]), default=None)


def _end_ns(entry: SuiteEntry) -> int:
    return (entry.began_ns or 0) + entry.wall_ns


def tally(entries: Sequence[SuiteEntry]) -> dict[str, int]:
    """Return status word → how many entries have it, the most severe first and passes last."""
    counted = Counter(status.word for status in statuses(entries))
    return {word: counted[word] for word in sorted(counted, key=lambda word: _ORDER[word])}


def tally_text(entries: Sequence[SuiteEntry]) -> str:
    """Return ``2 FAIL, 1 MISSING, 42 PASS``."""
    return ", ".join(f"{count} {word}" for word, count in tally(entries).items())


@dataclass(frozen=True, slots=True)
class SuiteStatus:
    """The first thing that every report says: ``word`` in capitals, its tone, and a sentence."""

    word: str
    tone: Tone
    sentence: str


def suite_status(result: SuiteResult) -> SuiteStatus:
    """Return what to say of the suite first."""
    word, tone = _WORDS.get(result.exit_code, ("ERROR", "error"))
    total = len(result.entries)
    missing = sum(entry.state == "missing" for entry in result.entries)
    red = by_severity(result.entries)
    if not total:
        return SuiteStatus(word, tone, "this shard has nothing to run" if result.shard else "no run was selected")
    if result.exit_code == ExitCode.INTERRUPTED and missing:
        word = "NOT COMPLETE"
    parts = [f"{count(len(red) - missing, 'run')} of {total} did not pass"] if len(red) > missing else []
    parts += [f"{count(missing, 'run')} of {total} {'is' if missing == 1 else 'are'} missing"] if missing else []
    if baseline_code(result.baseline) is not ExitCode.PASS and result.baseline is not None:
        parts.append(baseline_headline(result.baseline))
    if not parts and result.exit_code != ExitCode.PASS:
        parts = [f"{count(total, 'run')} passed, but the suite did not"]
    spared = sum(entry.state == "not needed" for entry in result.entries)
    passed = f"{'the run' if total == 1 else f'all {total:,} runs'} passed"
    if spared:
        passed = f"{count(total - spared, 'run')} passed, {spared} {'was' if spared == 1 else 'were'} not needed"
    return SuiteStatus(word, tone, ", ".join(parts) or passed)


def count(number: int, noun: str) -> str:
    """Return ``1 run`` or ``2 runs``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def made_again(entries: Iterable[SuiteEntry]) -> tuple[SuiteEntry, ...]:
    """Return the runs that were made again."""
    return tuple(entry for entry in entries if entry.made_again is not None)


def made_again_text(entry: SuiteEntry) -> str:
    """Return why a run was made again (``too few round trips: latency-1 not proven: …``); empty when it was not."""
    again = entry.made_again
    return "" if again is None else f"{again.cause}: {_said(again.detail)}"


def cpu_by_part(entries: Iterable[SuiteEntry]) -> tuple[tuple[str, int], ...]:
    """Return (part, CPU time in ns) over all runs that were measured, in the order of ``PARTS``."""
    total: Counter[str] = Counter()
    for entry in entries:
        if entry.usage is not None:
            total.update(entry.usage.cpu_ns)
    known = [(part, total[part]) for part in PARTS if part in total]
    return (*known, *((clean(part), total[part]) for part in sorted(set(total) - set(PARTS))))


def versions(entries: Iterable[SuiteEntry]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return (software, its exact versions) over all runs."""
    found: dict[str, dict[str, None]] = {}
    for entry in entries:
        for name, version in entry.versions.items():
            found.setdefault(clean(name), {})[clean(version)] = None
    return tuple((name, tuple(sorted(numbers))) for name, numbers in sorted(found.items()))


def budget_lines(result: SuiteResult) -> tuple[tuple[str, str], ...]:
    """Return (name, value) of how the machine was used."""
    runs = sum(entry.wall_ns for entry in result.entries)
    again = sum(entry.made_again.wall_ns for entry in result.entries if entry.made_again is not None)
    measured = [entry.usage for entry in result.entries if entry.usage is not None]
    planned = result.cores > 0  # runs of ``harness run`` have no budget
    lines = [
        ("budget", f"{cores_text(result.cores)}, {format_value(result.memory_bytes, 'bytes')}" if planned else ""),
        ("wall time", time_text(result.wall_ns)),
        ("runs one after another", time_text(runs + again) if runs else ""),
        ("processors in use", f"{result.cpu_busy:.0%} of the budget" if result.cpu_busy >= 0 else ""),
        ("waited for budget", time_text(result.waited_ns) if planned else ""),
    ]
    if measured:
        peak = max(usage.memory_peak_bytes for usage in measured)
        lines.append(("largest memory of a run", format_value(peak, "bytes")))
    return tuple((name, value) for name, value in lines if value)


def time_text(t_ns: int) -> str:
    """Return a length of time as people say it (``12.3s``, ``3m 04s``, ``1h 02m``)."""
    seconds = round(t_ns / 1e9)
    if seconds < 60:
        return format_ns(t_ns) if t_ns else "0s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m {rest:02}s" if minutes < 60 else f"{minutes // 60}h {minutes % 60:02}m"


def cores_text(cores: float) -> str:
    """Return ``1 core`` or ``1.8 cores``."""
    return "1 core" if cores == 1 else f"{cores:.3g} cores"


def missing_by_reason(entries: Iterable[SuiteEntry]) -> tuple[tuple[str, tuple[SuiteEntry, ...]], ...]:
    """Return (reason, the runs that are missing for it), the most frequent first."""
    groups: dict[str, tuple[SuiteEntry, ...]] = {}
    for entry in entries:
        if entry.state == "missing":
            groups[_said(entry.reason)] = (*groups.get(_said(entry.reason), ()), entry)
    return tuple(sorted(groups.items(), key=lambda item: -len(item[1])))


def failed_checks(entry: SuiteEntry) -> str:
    """Return the checks that failed, and of a canary which of them were expected to (``loss, stall``)."""
    return ", ".join(f"{clean(name)} (expected)" if name in entry.must_fail else clean(name) for name in entry.failed)


def cores_used(entry: SuiteEntry) -> float | None:
    """Return how many CPUs a run used on average; None when that was not measured."""
    usage = entry.usage
    if usage is None or usage.wall_ns <= 0 or not usage.cpu_ns:
        return None
    return sum(usage.cpu_ns.values()) / usage.wall_ns

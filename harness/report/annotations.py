"""Annotations for GitHub: what did not pass, shown at the line of the scenario that demands it.

Owns what is annotated, where, and how GitHub wants it written. Where a path of a scenario is written is asked for:
reports see results only. Source of the format: docs.github.com, "Workflow commands for GitHub Actions"; of the escapes:
``@actions/core``, ``command.ts``; of the bound: ten annotations of each level per step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from harness.errors import ExitCode, Location
from harness.report import format as values
from harness.report import headline
from harness.report import suite_words as words
from harness.report.baseline_text import change_sentence, plan_title
from harness.report.sanitize import clean, clip
from harness.report.suite_words import EntryStatus
from harness.result import RunResult
from harness.suite_result import SuiteEntry, SuiteResult
from harness.verdict import CheckResult, Verdict

Level = Literal["error", "warning", "notice"]
Locate = Callable[[str, str], Location]
"""(scenario file as in the result, dotted path) → where it is written: line 1 of the file when that is not known."""
ReadRun = Callable[[SuiteEntry], RunResult | str]
"""An entry that ended → its result, or a sentence that says why there is none."""

LEVEL_MAX: Final = 10
_MESSAGE_MAX: Final = 2_000
_TITLE_MAX: Final = 200
_READ_MAX: Final = 40
_LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "notice")


@dataclass(frozen=True, slots=True)
class Annotation:
    """One message at one place.

    Attributes:
        level: ``error`` (it failed, or nothing is known of it), ``warning`` (inconclusive), ``notice`` (made again).
        at: In the scenario; the file relative to the root of the repository.
        title, message: ``message`` may have several lines.
    """

    level: Level
    at: Location
    title: str
    message: str


def annotate(result: SuiteResult, read: ReadRun, locate: Locate) -> tuple[Annotation, ...]:
    """Return what GitHub is to show of a suite, the most severe first, at most ``LEVEL_MAX`` of each level.

    Where there are more, the last one says how many are left out.
    """
    names = words.labels(result.entries)
    found: list[Annotation] = []
    red = [pair for pair in words.by_severity(result.entries) if pair[0].state == "ended"]
    for index, (entry, status) in enumerate(red):
        run = read(entry) if index < _READ_MAX else ""
        at_run = _of_run(run, locate) if isinstance(run, RunResult) else []
        found += _titled(at_run or [_of_entry(entry, status, locate)], names[entry.key], entry)
    found += _missing(result, names, locate)
    found += _regressions(result, locate)
    found += [
        Annotation(
            "notice",
            locate(entry.file, ""),
            f"{names[entry.key]} was made again",
            f"because of {words.made_again_text(entry)}",
        )
        for entry in words.made_again(result.entries)
    ]
    return tuple(_bounded(found))


def github_commands(annotations: Iterable[Annotation]) -> tuple[str, ...]:
    """Return each annotation as a workflow command on one line."""
    return tuple(_command(one) for one in annotations)


def _of_run(run: RunResult, locate: Locate) -> list[Annotation]:
    """Return an annotation for each violated limit, else for what must fail, each unproven fault, or the run."""
    if run.outcome is Verdict.FAIL:
        failed = [check for check in headline.violated(run) if check.check not in run.must_fail]
        found = [one for check in failed for one in _of_check(run, check, locate)]
        return found or [Annotation("error", locate(run.file, "must_fail"), "failed", headline.status(run).sentence)]
    if run.error:
        return [Annotation("error", locate(run.file, ""), "did not run", headline.status(run).sentence)]
    said = headline.status(run).sentence
    unproven = [fault for fault in run.faults if not fault.proven]
    found = [
        Annotation(
            "warning",
            locate(run.file, f"faults.{fault.id}"),
            f"{fault.id} is not proven",
            "; ".join(
                f"{item.stage} on {item.target}: {item.probe} {item.observed}, required {item.required}"
                for item in fault.evidence
                if not item.proven
            )
            or said,
        )
        for fault in unproven
    ]
    found += [
        Annotation(
            "warning",
            locate(run.file, f"expect.{check.check}"),
            f"{check.check} is inconclusive",
            "; ".join(check.reasons) or said,
        )
        for check in run.checks
        if check.expected and check.verdict is Verdict.INCONCLUSIVE and not unproven
    ]
    return found or [Annotation("warning", locate(run.file, ""), "is inconclusive", said)]


def _of_check(run: RunResult, check: CheckResult, locate: Locate) -> Iterator[Annotation]:
    broken = [limit for limit in check.limits if limit.verdict is Verdict.FAIL]
    for limit in broken:
        finding = next((one for one in check.findings if one.metric in {limit.metric, ""}), None)
        message = values.describe_limit(limit) + (f"\n{clean(finding.message)}" if finding is not None else "")
        where = locate(run.file, f"expect.{check.check}.{limit.metric}")
        yield Annotation("error", where, f"{check.check} is violated", message)
    if not broken:
        found = "; ".join(clean(finding.message) for finding in check.findings[:3]) or "it failed"
        yield Annotation("error", locate(run.file, f"expect.{check.check}"), f"{check.check} is violated", found)


def _of_entry(entry: SuiteEntry, status: EntryStatus, locate: Locate) -> Annotation:
    """Return what the suite alone knows of a run whose result was not read."""
    level: Level = "warning" if entry.exit_code == ExitCode.INCONCLUSIVE else "error"
    path = f"expect.{entry.failed[0]}" if entry.failed and not entry.must_fail else ""
    return Annotation(level, locate(entry.file, path), status.word.lower(), status.sentence)


def _titled(found: Sequence[Annotation], name: str, entry: SuiteEntry) -> Iterator[Annotation]:
    """Add which run it was, and the command that makes it again."""
    for one in found:
        again = f"\nreproduce: {clean(entry.reproduce)}" if entry.reproduce else ""
        yield replace(one, title=f"{name}: {one.title}", message=f"{clip(one.message, _MESSAGE_MAX)}{again}")


def _missing(result: SuiteResult, names: dict[str, str], locate: Locate) -> Iterator[Annotation]:
    """Yield an annotation for each reason."""
    for reason, entries in words.missing_by_reason(result.entries):
        shown = ", ".join(names[entry.key] for entry in entries[:20])
        more = f" and {len(entries) - 20} more" if len(entries) > 20 else ""
        title = f"{words.count(len(entries), 'run')} {'is' if len(entries) == 1 else 'are'} missing"
        yield Annotation("error", locate(entries[0].file, ""), title, f"{reason}: {shown}{more}")


def _regressions(result: SuiteResult, locate: Locate) -> Iterator[Annotation]:
    """Yield an annotation for each measure that is worse than in earlier runs, at its check."""
    files = {entry.digest: entry.file for entry in result.entries}
    for plan in result.baseline.plans if result.baseline is not None else ():
        file = files.get(plan.digest, plan.scenario)
        for change in plan.changes:
            if change.change == "regressed":
                title = f"{plan_title(plan)}: {clean(change.check)} regressed"
                yield Annotation("error", locate(file, f"expect.{change.check}"), title, change_sentence(change))


def _bounded(found: Sequence[Annotation]) -> Iterator[Annotation]:
    for level in _LEVELS:
        mine = [one for one in found if one.level == level]
        if len(mine) <= LEVEL_MAX:
            yield from mine
            continue
        yield from mine[: LEVEL_MAX - 1]
        left = len(mine) - LEVEL_MAX + 1
        yield replace(mine[LEVEL_MAX - 1], title=f"{left} more", message=f"{left} more are in the job summary")


def _command(one: Annotation) -> str:
    properties = {
        "file": clean(one.at.file),
        "line": str(one.at.line),
        "col": str(one.at.column),
        "title": clean(clip(one.title, _TITLE_MAX)),
    }
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    text = "\n".join(clean(line) for line in one.message.splitlines()) or clean(one.title)
    return f"::{one.level} {written}::{_data(clip(text, 2 * _MESSAGE_MAX))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")

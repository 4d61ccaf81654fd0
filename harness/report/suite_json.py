"""``suite.json``: the result of a suite written, read back exactly, and described by a JSON Schema.

What is read is believed only when it agrees with itself: a run that was removed, a verdict or an exit code that was
changed is refused, so that no edited file makes a suite green. Must never know how a suite is run or shown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from harness.errors import ExitCode, UsageError, suite_exit_code
from harness.report import derived
from harness.report.sanitize import clean, clip
from harness.suite_baseline import baseline_code
from harness.suite_result import SUITE_VERSION, SuiteEntry, SuiteResult, plan_digest, race_decided, race_of, suite_code
from harness.verdict import Verdict

SUITE_FILE: Final = "suite.json"
_SHOWN: Final = 8
_CODES: Final = frozenset(
    {
        ExitCode.PASS,
        ExitCode.VIOLATED,
        ExitCode.INTERRUPTED,
        ExitCode.INTERNAL,
        ExitCode.INCONCLUSIVE,
        ExitCode.ENVIRONMENT,
    }
)
"""What a run can end with."""


def to_json(result: SuiteResult) -> str:
    """Return ``result`` as JSON (ASCII only, valid for strict parsers), each entry on a line of its own.

    It is written after every run of a suite, so it takes little time however many entries there are.
    """
    head = derived.to_text(replace(result, entries=()))
    before, empty, after = head.rpartition('"entries": []')
    assert empty, "entries are the last field"
    lines = ",\n".join(f"  {derived.to_line(entry)}" for entry in result.entries)
    return f'{before}"entries": [\n{lines}\n ]{after}' if lines else head


def from_json(text: str) -> SuiteResult:
    """Return the result that ``to_json`` wrote.

    Fields that are not known are ignored, so that a result with additions of a later release can be read.

    Raises:
        UsageError: The text is no JSON, names a field twice, is of another version, a value does not fit, or the
            result contradicts itself (``contradictions``); names the place.
    """
    result = derived.from_text(
        text, SuiteResult, noun="suite", version=SUITE_VERSION, hint="read it with the release that wrote it"
    )
    wrong = contradictions(result)
    if wrong:
        rest = f"\n{len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise UsageError(
            "the suite contradicts itself:\n" + "\n".join(wrong[:_SHOWN]) + rest,
            hint="the file was edited or damaged; its runs are in their run directories",
        )
    return result


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``suite.json``."""
    return derived.schema_of(SuiteResult, title=f"Result of a suite, version {SUITE_VERSION}", version=SUITE_VERSION)


def schema_text() -> str:
    """Return the schema as it is published in ``docs/schema/suite.schema.json``."""
    return derived.schema_text(schema())


def contradictions(result: SuiteResult) -> tuple[str, ...]:
    """Return where a result does not agree with itself, one sentence each; empty when it can be believed."""
    return tuple(clip(clean(sentence), 500) for sentence in _contradictions(result))


def _contradictions(result: SuiteResult) -> Iterator[str]:
    yield from _twice("key", [entry.key for entry in result.entries])
    executions = [(entry.run_id, entry.run_dir) for entry in result.entries]
    executions += [(one.run_id, one.run_dir) for entry in result.entries if (one := entry.made_again) is not None]
    yield from _twice("run", [run_id for run_id, _ in executions])
    yield from _twice("run directory", [run_dir for _, run_dir in executions])
    races: dict[str, list[SuiteEntry]] = {}
    for entry in result.entries:
        races.setdefault(race_of(entry.key), []).append(entry)
    for entry in result.entries:
        label = entry.key or "an entry without a key"
        for wrong in _of_entry(entry, races[race_of(entry.key)]):
            yield f"{label}: {wrong}"
    yield from _of_whole(result)


def _twice(what: str, names: Sequence[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if name and count > 1:
            yield f"{what} {name!r} occurs {count} times"


def _of_entry(entry: SuiteEntry, race: Sequence[SuiteEntry]) -> Iterator[str]:
    if not race_of(entry.key) or not entry.key.endswith(f"#{entry.repetition}") or entry.repetition < 1:
        yield f"the key does not end with the repetition, #{entry.repetition}"
    if not entry.digest:
        yield "the digest of its plan is not there"
    if (race[0].digest, race[0].attempts) != (entry.digest, entry.attempts):
        yield "another repetition of it has another plan or other attempts"
    if entry.attempts is not None and not 1 <= entry.attempts[1] <= entry.attempts[0]:
        yield f"{entry.attempts[1]} of {entry.attempts[0]} attempts cannot show what is declared"
    if entry.state == "ended":
        yield from _of_ended(entry)
    else:
        yield from _of_not_run(entry)
        if entry.state == "not needed" and (entry.attempts is None or race_decided(race) is None):
            yield "it is not needed, but no race is decided without it"


def _of_ended(entry: SuiteEntry) -> Iterator[str]:
    if entry.verdict is None or entry.outcome is None or entry.exit_code is None:
        yield "it ended, but its verdict, outcome or exit code is not there"
        return
    if not entry.run_id or not entry.run_dir or entry.began_ns is None:
        yield "it ended, but its run, run directory or start is not there"
    if entry.reason:
        yield "it ended, and has a reason for not having ended"
    if entry.exit_code not in _CODES:
        yield f"no run ends with exit code {entry.exit_code}"
    outcome, verdict, failed = entry.outcome, entry.verdict, set(entry.failed)
    if (entry.exit_code == ExitCode.VIOLATED) != (outcome is Verdict.FAIL) or (
        entry.exit_code == ExitCode.PASS and outcome is not Verdict.PASS
    ):
        yield f"exit code {entry.exit_code} does not belong to the outcome {outcome.value}"
    if (verdict is Verdict.FAIL) != bool(failed):
        yield f"the verdict is {verdict.value}, with {len(failed)} failed checks"
    if outcome is Verdict.PASS and entry.blocking:
        yield "it passed, in spite of what blocks the verdict"
    if not entry.must_fail and outcome is not verdict:
        yield f"the outcome is {outcome.value}, but the verdict is {verdict.value}, and it is no canary"
    if entry.must_fail and outcome is Verdict.PASS and failed != set(entry.must_fail):
        yield "a canary passed, but other checks failed than those that must"
    if entry.made_again is not None and not (entry.made_again.run_id and entry.made_again.detail):
        yield "it was made again, but the first run or its reason is not there"


def _of_not_run(entry: SuiteEntry) -> Iterator[str]:
    if not entry.reason:
        yield f"it is {entry.state}, without a reason"
    if entry.outcome is Verdict.PASS or entry.exit_code == ExitCode.PASS:
        yield f"it is {entry.state}, and passed"
    if entry.state == "not needed" and (entry.run_id or entry.verdict is not None or entry.exit_code is not None):
        yield "it is not needed, and was run"


def _of_whole(result: SuiteResult) -> Iterator[str]:
    complete = all(entry.state != "missing" for entry in result.entries)
    if result.complete != complete:
        missing = sum(entry.state == "missing" for entry in result.entries)
        yield f"complete is {'true' if result.complete else 'false'}, with {missing} missing runs"
    least, shown = suite_code(result.entries), result.exit_code
    if result.entries:
        fits = suite_exit_code([least, shown]) == shown
    else:
        fits = shown == least or bool(result.shard and shown == ExitCode.PASS)  # a shard may have nothing to do
    if not fits:
        yield f"exit code {shown} hides {int(least)}, which its runs give"
    of_parts = suite_exit_code([least, *(part.own_exit_code for part in result.parts)])
    if result.parts and of_parts != shown:
        yield f"exit code {shown} is not {int(of_parts)}, which its runs and the results that it was merged from give"
    compared = baseline_code(result.baseline)
    if suite_exit_code([compared, shown]) != shown:
        yield f"exit code {shown} hides {int(compared)}, which the comparison with its baseline gives"
    if result.baseline is not None and result.baseline.plans:
        worst = Verdict.worst(plan.verdict for plan in result.baseline.plans)
        if result.baseline.verdict is not worst:
            yield f"the baseline's verdict is {result.baseline.verdict.value}, but its plans give {worst.value}"
    if result.shard and not _is_shard(result.shard):
        yield f"{result.shard!r} is no shard such as 2/4"
    if result.shard and not result.cost_digest:
        yield "it is a shard, and does not say by which costs it was drawn"
    yield from _of_plans(result)


def _of_plans(result: SuiteResult) -> Iterator[str]:
    """Yield where the entries are not the runs that were planned, so that none can be left out unseen."""
    entries = {entry.key: entry.digest for entry in result.entries}
    planned = {run.key: run.digest for run in result.planned}
    yield from _twice("planned run", [run.key for run in result.planned])
    if result.shard and not planned:
        yield "it is a shard, and does not list the runs of the whole suite"
    if not result.shard and result.plan_digest != plan_digest(entries.items()):
        yield "its runs are not those of the plan digest: one was added, removed or changed"
    if planned and result.plan_digest != plan_digest(planned.items()):
        yield "the planned runs are not those of the plan digest: one was added, removed or changed"
    number = int(result.shard.partition("/")[0]) if _is_shard(result.shard) else 0
    mine = {run.key for run in result.planned if not number or run.shard == number}
    for key in sorted(mine - entries.keys()):
        yield f"planned run {key} has no entry"
    for key in sorted(entries.keys() & planned.keys()):
        if entries[key] != planned[key]:
            yield f"{key}: its plan is not the one that was planned"
    if number and planned:
        for key in sorted(entries.keys() - mine):
            yield f"{key}: it is no run of shard {result.shard}"


def _is_shard(text: str) -> bool:
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    return found is not None and 1 <= int(found[1]) <= int(found[2])

"""Runs that were made one after another, as a suite: so that both are shown by the same reports.

Must never know how runs are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import PurePath

from harness import __version__
from harness.report import phrases
from harness.result import RunResult
from harness.suite_result import Cost, SuiteEntry, SuiteResult, plan_digest
from harness.verdict import Verdict


def suite_of(
    results: Sequence[RunResult], exit_code: int, attempts: Mapping[str, tuple[int, int]] | None = None
) -> SuiteResult:
    """Return the results of ``harness run`` as a suite without a budget.

    Args:
        results: In the order in which they ran.
        exit_code: Of the command.
        attempts: Digest of each race → see ``SuiteEntry.attempts``.
    """
    repeated: Counter[str] = Counter()
    entries = []
    began = [_began_ns(result) for result in results]
    for result, began_ns in zip(results, began, strict=True):
        variant = ",".join(f"{path}={value}" for path, value in result.variant.items())
        race = f"{PurePath(result.file).as_posix()}{f'[{variant}]' if variant else ''}@{result.runtime}"
        repeated[race] += 1
        since = began_ns - began[0] if began_ns is not None and began[0] is not None else 0
        entry = _entry(result, race, repeated[race], max(0, since))
        entries.append(replace(entry, attempts=(attempts or {}).get(result.digest)))
    wall_ns = sum(map(phrases.wall_ns, results))
    return SuiteResult(
        suite_id=results[0].run_id if results else "",
        name=", ".join(dict.fromkeys(result.scenario for result in results)),
        harness=__version__,
        started_wall=results[0].started_wall if results else "",
        plan_digest=plan_digest((entry.key, entry.digest) for entry in entries),
        complete=all(result.error != "interrupted" for result in results),
        exit_code=exit_code,
        cores=0,
        memory_bytes=0,
        wall_ns=wall_ns,
        entries=tuple(entries),
    )


def _entry(result: RunResult, race: str, repetition: int, began_ns: int) -> SuiteEntry:
    wall_ns = phrases.wall_ns(result)
    return SuiteEntry(
        key=f"{race}#{repetition}",
        scenario=result.scenario,
        title=result.title,
        file=PurePath(result.file).as_posix(),
        tags=(),
        variant=result.variant,
        seed=result.seed,
        digest=result.digest,
        broker=result.broker,
        must_fail=result.must_fail,
        runtime=result.runtime,
        repetition=repetition,
        attempts=None,
        state="ended",
        run_id=result.run_id,
        run_dir=result.run_dir,
        verdict=result.verdict,
        outcome=result.outcome,
        exit_code=result.exit_code,
        headline=result.headline,
        blocking=result.blocking,
        reproduce=result.reproduce,
        versions=result.versions,
        failed=tuple(check.check for check in result.checks if check.expected and check.verdict is Verdict.FAIL),
        began_ns=began_ns,
        wall_ns=wall_ns,
        expected=Cost(
            cores=0,
            memory_bytes=0,
            wall_ns=wall_ns,
            disk_bytes=0,
            ports=0,
            measures_machine=False,
            source="formula",
        ),
        usage=result.usage,
    )


def _began_ns(result: RunResult) -> int | None:
    try:
        return round(datetime.fromisoformat(result.started_wall).timestamp() * 1e9)
    except (ValueError, OverflowError):
        return None

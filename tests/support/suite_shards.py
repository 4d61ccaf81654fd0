"""Splits a suite's result into shards on disk, as so many machines would have left it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.report.suite_json import to_json
from harness.suite_result import PlannedRun, SuiteEntry, SuiteResult, suite_code
from harness.suites.merge import Part
from harness.suites.shards import Share, shard_of, weight_of

COSTS = "c0" * 32


def shares(entries: Sequence[SuiteEntry]) -> list[Share]:
    """Return what drawing needs to know of entries."""
    return [
        Share(
            key=entry.key,
            digest=entry.digest,
            scenario=entry.scenario,
            must_fail=entry.must_fail,
            attempts=entry.attempts,
            repetition=entry.repetition,
            weight=weight_of(entry.expected),
        )
        for entry in entries
    ]


def split(whole: SuiteResult, total: int) -> list[SuiteResult]:
    """Return one result for each shard; paths of run directories stay as they are."""
    drawn = {key: index for index in range(1, total + 1) for key in shard_of(shares(whole.entries), index, total)}
    planned = tuple(PlannedRun(key=one.key, digest=one.digest, shard=drawn[one.key]) for one in whole.entries)
    results = []
    for index in range(1, total + 1):
        entries = tuple(one for one in whole.entries if drawn[one.key] == index)
        results.append(
            replace(
                whole,
                suite_id=f"{whole.suite_id}-{index}",
                shard=f"{index}/{total}",
                cost_digest=COSTS,
                planned=planned,
                complete=all(one.state != "missing" for one in entries),
                exit_code=int(suite_code(entries)) if entries else 0,
                entries=entries,
            )
        )
    return results


def write(suite: SuiteResult, folder: Path) -> Part:
    """Write a result's ``suite.json``, and return it as a part."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.json").write_text(to_json(suite), encoding="utf-8")
    return Part(folder=folder, suite=suite)


def placed(suite: SuiteResult, before: Path, after: Path) -> SuiteResult:
    """Return a result whose paths are relative to another folder."""

    def moved(run_dir: str) -> str:
        return os.path.relpath(before / run_dir, after) if run_dir else ""

    return replace(suite, entries=tuple(replace(one, run_dir=moved(one.run_dir)) for one in suite.entries))

"""Canaries next to their twins: the page of each canary is written again once the last run of its family has ended.

Only the results of one canary and its twins are read at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.regular import read_regular_text
from harness.report.files import RESULT_FILE, write_with_twins
from harness.report.serialize import from_json
from harness.report.twins import is_twin, twins_of
from harness.result import RunResult
from harness.suite_result import SuiteEntry
from harness.verdict import Verdict


def families_of(scenario: str, canaries: Iterable[str]) -> list[str]:
    """Return the canaries to whose families a scenario belongs."""
    return [canary for canary in canaries if scenario == canary or is_twin(scenario, canary)]


def members_of(canary: str, entries: Iterable[SuiteEntry]) -> list[SuiteEntry]:
    """Return the entries of a canary and of its twins."""
    return [entry for entry in entries if entry.scenario == canary or is_twin(entry.scenario, canary)]


def show_twins(members: Sequence[SuiteEntry], folder: Path) -> list[str]:
    """Write the page of each canary again with its twins; return why a page could not be written, one sentence each.

    Args:
        members: Entries of one family.
        folder: That of ``suite.json``.
    """
    ended = {entry.run_id: entry for entry in members if entry.run_dir and entry.state == "ended"}
    briefs = [_brief(entry) for entry in ended.values()]
    wrong = []
    for brief in briefs:
        twins = twins_of(brief, briefs)
        if not twins:
            continue
        try:
            canary, *others = (_read(folder, ended[one.run_id]) for one in (brief, *twins))
            places = [folder / ended[one.run_id].run_dir for one in twins]
            write_with_twins(canary, folder / ended[brief.run_id].run_dir, list(zip(others, places, strict=True)))
        except (HarnessError, OSError) as error:
            wrong.append(f"the report of {brief.scenario} could not be updated with its twins: {error}")
    return wrong


def _read(folder: Path, entry: SuiteEntry) -> RunResult:
    return from_json(read_regular_text(folder / entry.run_dir / RESULT_FILE))


def _brief(entry: SuiteEntry) -> RunResult:
    """Return as much of a run's result as says which twins belong to it."""
    return RunResult(
        run_id=entry.run_id,
        run_dir=entry.run_dir,
        scenario=entry.scenario,
        title=entry.title,
        why="",
        file=entry.file,
        variant=entry.variant,
        seed=entry.seed,
        digest=entry.digest,
        broker=entry.broker,
        versions={},
        runtime=entry.runtime,
        verdict=entry.verdict or Verdict.INCONCLUSIVE,
        must_fail=entry.must_fail,
        outcome=entry.outcome or Verdict.INCONCLUSIVE,
        exit_code=entry.exit_code or 0,
        headline="",
    )

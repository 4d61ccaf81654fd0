"""Run directories and suite directories into the store, after the fact: of shards, other machines, or a full disk.

Owns how a folder is recognised. Must never judge a run, nor change what lies in the folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from harness.errors import HarnessError, NothingSelectedError, UsageError, relative
from harness.regular import read_regular_text
from harness.report.serialize import from_json
from harness.report.suite_json import SUITE_FILE
from harness.report.suite_json import from_json as from_suite_json
from harness.result import RunResult
from harness.suite_result import SuiteEntry, SuiteResult
from harness.suites.rows import NO_SUITE, Packing, SuitePlace
from harness.suites.store import Store
from harness.verdict import Verdict

_RESULT: Final = "result.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingested:
    """What came of adding folders.

    Attributes:
        added: Runs that were not in the store before.
        known: Runs that were.
        refused: One sentence for each run or suite that could not be read.
    """

    added: int
    known: int
    refused: tuple[str, ...]


def ingest(store: Store, folders: Sequence[Path]) -> Ingested:
    """Add every run of these folders to the store; a run that cannot be read costs none of the others.

    Args:
        store: Open for writing.
        folders: Run directories, suite directories, or folders that hold such at any depth.

    Raises:
        UsageError: One of them is no folder.
        NothingSelectedError: They hold no run at all.
        StoreWriteError: The store cannot be written.
    """
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{relative(folder)} is not a folder", hint="name run directories or suite directories")
    added = known = 0
    refused: list[str] = []
    places: dict[Path, SuitePlace] = {}
    for suite in _below(folders, SUITE_FILE):
        try:
            places |= places_of(suite)
        except (HarnessError, OSError) as error:
            refused.append(f"{relative(suite)}: {error}")
    for path in _below(folders, _RESULT):
        try:
            result = read_result(path)
        except (HarnessError, OSError) as error:
            refused.append(f"{relative(path)}: {error}")
            continue
        if store.add(result, places.get(path.parent.resolve(), NO_SUITE)):
            added += 1
        else:
            known += 1
    if not added and not known and not refused:
        raise NothingSelectedError(
            f"no run lies in {', '.join(relative(folder) for folder in folders)}",
            hint=f"a run directory holds {_RESULT}; `harness check --write` makes it of a complete history",
        )
    return Ingested(added=added, known=known, refused=tuple(refused))


def read_result(path: Path) -> RunResult:
    """Return the result in a ``result.json``.

    Raises:
        UsageError: It is damaged, or another version's.
    """
    try:
        return from_json(read_regular_text(path))
    except UnicodeDecodeError as error:
        raise UsageError(f"{relative(path)} is not UTF-8 text") from error
    except OSError as error:
        raise UsageError(f"{relative(path)} cannot be read: {error.strerror}") from error


def read_suite(folder: Path) -> SuiteResult:
    """Return what the ``suite.json`` of a folder says.

    Raises:
        UsageError: There is none, or it is damaged or contradicts itself.
    """
    path = folder / SUITE_FILE
    try:
        return from_suite_json(read_regular_text(path))
    except FileNotFoundError as error:
        raise UsageError(f"{relative(folder)} holds no {SUITE_FILE}", hint="name the folder of a suite") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{relative(path)} is not UTF-8 text") from error
    except OSError as error:
        raise UsageError(f"{relative(path)} cannot be read: {error.strerror}") from error


def places_of(path: Path) -> dict[Path, SuitePlace]:
    """Return run directory → its place, of a ``suite.json``; executions that were made again are among them.

    Raises:
        UsageError: It is damaged or contradicts itself.
    """
    suite = read_suite(path.parent)
    found = {}
    for entry in suite.entries:
        if entry.state != "ended":
            continue
        first = entry.made_again
        if first is not None:
            found[(path.parent / first.run_dir).resolve()] = place_of(
                suite.suite_id, suite.name, entry, made_again=first.cause
            )
        found[(path.parent / entry.run_dir).resolve()] = place_in(suite, entry)
    return found


def place_in(suite: SuiteResult, entry: SuiteEntry) -> SuitePlace:
    """Return the place of the execution that counts, in a suite that has ended."""
    regressed = suite.baseline is not None and any(
        plan.verdict is Verdict.FAIL and (plan.digest, plan.runtime) == (entry.digest, entry.runtime)
        for plan in suite.baseline.plans
    )
    return replace(place_of(suite.suite_id, suite.name, entry), regressed=regressed)


def place_of(suite_id: str, suite: str, entry: SuiteEntry, *, made_again: str = "") -> SuitePlace:
    """Return the place of an entry's execution.

    Args:
        suite_id: Of the suite.
        suite: The suite's name.
        entry: The entry as it ended.
        made_again: Why this execution was made again; empty for the one that counts.
    """
    # What is made again is made alone; of the first execution it is not recorded what it ran next to.
    packing: Packing = (
        "unknown" if made_again or entry.neighbours_max < 0 else "packed" if entry.neighbours_max else "alone"
    )
    return SuitePlace(
        suite_id=suite_id,
        suite=suite,
        entry=entry.key,
        packing=packing,
        counts=not made_again,
        made_again=made_again,
        race=entry.attempts is not None,
    )


def _below(folders: Sequence[Path], name: str) -> Iterator[Path]:
    """Yield the files of a name in folders, each once, in order of their paths."""
    seen = set()
    for folder in folders:
        for path in sorted(folder.rglob(name)):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                yield path

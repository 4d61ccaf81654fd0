"""Merging on disk: which folders hold results, and copies of their run directories.

Must never know how results are joined, nor change a folder that it merges from.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import UnfitEnvironmentError, UsageError, nearest
from harness.regular import read_regular_text
from harness.report.atomic import write_atomic
from harness.report.suite_json import SUITE_FILE, from_json, to_json
from harness.suite_result import SuiteEntry, SuiteResult
from harness.suites.agreement import absent_text, require_agreeing
from harness.suites.merge import Merged, Part, merge

RUNS = "runs"
"""Folder of copied run directories, next to the merged ``suite.json``."""


def merge_folders(folders: Sequence[Path], out: Path | None, *, copy: bool) -> tuple[Merged, Path]:
    """Merge every result in or below folders, and write ``suite.json``; return the result, and the folder it lies in.

    Args:
        folders: At least one.
        out: Folder of the merged result; None = one below ``reports`` with its own id.
        copy: Copy run directories into ``out``; False = refer to them by relative paths.

    Raises:
        UsageError: The results do not belong together, or one cannot be believed; no result was written.
        UnfitEnvironmentError: The result cannot be written.
    """
    parts = read_parts(folders)
    for part in parts:  # what is left aside for another execution decides by its verdict, too
        require_agreeing(part.suite, part.folder)
    if out is None:
        out = Path("reports") / merge(parts, Path()).suite.suite_id
    merged = merge(parts, out)
    try:
        out.mkdir(parents=True, exist_ok=True)  # a path that leads out of a folder needs the folder
    except OSError as error:
        raise UnfitEnvironmentError(f"cannot make the folder {out}: {error.strerror}") from error
    absent = require_agreeing(merged.suite, out)
    suite = with_copies(merged.suite, out) if copy else merged.suite
    write_atomic(out / SUITE_FILE, to_json(suite))
    return replace(merged, suite=suite, notes=(*merged.notes, *absent_text(absent))), out


def read_parts(folders: Sequence[Path]) -> list[Part]:
    """Return every result in or below folders, in order of path.

    Raises:
        UsageError: A folder does not exist, has no ``suite.json`` in or below it, or one that cannot be believed.
    """
    files: dict[Path, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            siblings = [found.name for found in folder.parent.iterdir()] if folder.parent.is_dir() else []
            raise UsageError(f"no such folder: {folder}", hint=nearest(folder.name, siblings))
        found = sorted(folder.rglob(SUITE_FILE))  # below a result, too: it may have been merged before a shard came
        if not found:
            raise UsageError(f"{folder}: no {SUITE_FILE} in or below it", hint="was the shard's artifact uploaded?")
        files |= {file.resolve(): file for file in found}
    parts = []
    for file in files.values():
        try:
            parts.append(Part(folder=file.parent, suite=from_json(read_regular_text(file))))
        except (UsageError, UnicodeDecodeError) as error:
            raise UsageError(f"{file}: {error}") from error
        except OSError as error:
            raise UsageError(f"{file}: it cannot be read: {error.strerror}") from error
    return parts


def with_copies(suite: SuiteResult, folder: Path) -> SuiteResult:
    """Copy every run directory below ``folder``, and return the result with the paths of the copies.

    Copies that are there already are kept: a run directory never changes.

    Raises:
        UnfitEnvironmentError: One is not there or cannot be copied.
    """
    return replace(suite, entries=tuple(_copied(entry, folder) for entry in suite.entries))


def _copied(entry: SuiteEntry, folder: Path) -> SuiteEntry:
    again = entry.made_again
    if again is not None:
        again = replace(again, run_dir=_copy(folder, again.run_dir, again.run_id))
    return replace(entry, run_dir=_copy(folder, entry.run_dir, entry.run_id) if entry.run_dir else "", made_again=again)


def _copy(folder: Path, run_dir: str, run_id: str) -> str:
    if not run_id or Path(run_id).name != run_id:
        raise UsageError(f"{run_id!r} is no name of a run", hint=f"{SUITE_FILE} was edited or damaged")
    source = folder / run_dir
    target = folder / RUNS / run_id
    if target.exists():
        return f"{RUNS}/{target.name}"
    partial = target.with_name(f".{target.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, symlinks=True)
        partial.rename(target)
    except (OSError, shutil.Error) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise UnfitEnvironmentError(f"the run directory {source} cannot be copied: {error}") from error
    return f"{RUNS}/{target.name}"

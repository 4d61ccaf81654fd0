"""Merging on disk: which folders hold results, whether the run directories agree with them, and copies of these.

Must never know how results are joined, nor change a folder that it merges from.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from harness.errors import UnfitEnvironmentError, UsageError, nearest
from harness.report.atomic import write_atomic
from harness.report.suite_files import SuiteReports
from harness.report.suite_json import SUITE_FILE, from_json, to_json
from harness.suite_result import SuiteEntry, SuiteResult
from harness.suites.merge import Merged, Part, merge

RUNS = "runs"
"""Folder of copied run directories, next to the merged ``suite.json``."""


def merge_folders(
    folders: Sequence[Path], out: Path | None, *, copy: bool, junit: Path | None = None
) -> tuple[Merged, Path]:
    """Merge every result in or below folders, and write what comes of it; return that, and the folder where it lies.

    Args:
        folders: At least one.
        out: Folder of the merged result; None = one below ``reports`` with its own id.
        copy: Copy run directories into ``out``; False = refer to them by relative paths.
        junit: Also write a JUnit XML file there.

    Raises:
        UsageError: The results do not belong together, or one cannot be believed; no result was written.
        UnfitEnvironmentError: The result cannot be written.
    """
    parts = read_parts(folders)
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
    SuiteReports(out).finish(suite, junit)
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
        here = folder / SUITE_FILE
        found = [here] if here.is_file() else sorted(folder.rglob(SUITE_FILE))
        if not found:
            raise UsageError(f"{folder}: no {SUITE_FILE} in or below it", hint="was the shard's artifact uploaded?")
        files |= {file.resolve(): file for file in found}
    parts = []
    for file in files.values():
        try:
            parts.append(Part(folder=file.parent, suite=from_json(file.read_text(encoding="utf-8"))))
        except (UsageError, UnicodeDecodeError) as error:
            raise UsageError(f"{file}: {error}") from error
    return parts


def require_agreeing(suite: SuiteResult, folder: Path) -> list[str]:
    """Refuse a result that says other than its run directories; return the run directories that are not there.

    Args:
        suite: What is to be believed.
        folder: That its paths are relative to.

    Raises:
        UsageError: A run directory is of another run, or holds another verdict.
    """
    absent = []
    for entry in suite.entries:
        if entry.state != "ended":
            continue
        file = folder / entry.run_dir / "result.json"
        if not file.is_file():
            absent.append(entry.run_dir)
            continue
        said = _said(file)
        for name, value in (
            ("run_id", entry.run_id),
            ("digest", entry.digest),
            ("verdict", entry.verdict),
            ("outcome", entry.outcome),
            ("exit_code", entry.exit_code),
        ):
            if said.get(name) != value:
                raise UsageError(
                    f"{entry.key}: {name} is {value} in {SUITE_FILE} and {said.get(name)} in {file}",
                    hint="one of the two was edited or damaged",
                )
    return absent


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


def _said(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{file} must be a JSON object")
    return content


def absent_text(absent: Sequence[str]) -> Iterator[str]:
    """Yield a sentence about run directories that are not there, if there are any."""
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        named = ", ".join(absent[:3]) + more
        yield f"{len(absent)} run directories are not here, so their pages cannot be opened: {named}"

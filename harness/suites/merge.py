"""Several suites' results, most often the shards of one, made into one result.

Merging is a join: in any order, again, and of what was merged before, it gives the same. Must never know how a suite
is run, nor judge a run: an entry that is taken is taken as it is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from harness.clock import NS_PER_S
from harness.errors import ExitCode, UsageError, suite_exit_code
from harness.suite_result import Cost, PlannedRun, SuiteEntry, SuitePart, SuiteResult, plan_digest, race_of, suite_code

_RANK: Final = {
    ExitCode.INTERRUPTED: 2,
    ExitCode.ENVIRONMENT: 3,
    ExitCode.PASS: 4,
    ExitCode.INCONCLUSIVE: 5,
    ExitCode.INTERNAL: 6,
    ExitCode.VIOLATED: 7,
}
"""Of two executions of one run, the one with the higher rank counts: one that has a verdict before one that has none,
and of two verdicts the worse, so that no machine's second attempt hides what its first one found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A result that is to be merged.

    Attributes:
        folder: Of its ``suite.json``.
        suite: What that says.
    """

    folder: Path
    suite: SuiteResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What merging gives.

    Attributes:
        suite: Paths of run directories relative to the folder that was asked for.
        notes: Which executions of one run were left aside for another, one sentence each.
        lacks: What a complete result needs, one sentence for each shard, and each run of a shard that is there.
    """

    suite: SuiteResult
    notes: tuple[str, ...]
    lacks: tuple[str, ...]


def merge(parts: Sequence[Part], folder: Path) -> Merged:
    """Return one result of all parts.

    Args:
        parts: At least one; of one suite, at one version of the harness, drawn by equal costs.
        folder: Where the result's ``suite.json`` will be.

    Raises:
        UsageError: They do not belong together; names the field, the folders and their values.
    """
    for name in ("harness", "plan_digest", "cost_digest"):
        _require_equal(name, {part.folder: getattr(part.suite, name) for part in parts})
    _require_equal("number of shards", {part.folder: _total(part.suite) for part in parts})
    _require_equal("list of planned runs", {part.folder: _digest_of(_planned(part.suite)) for part in parts})
    planned = _planned(parts[0].suite)
    chosen, notes = _chosen(parts, folder)
    _require_planned(planned, chosen, parts)
    sources = _sources(parts)
    present = {_number(source) for source in sources}
    total = _total(parts[0].suite)
    attempts = {race_of(entry.key): entry.attempts for entry in chosen.values()}
    entries = tuple(
        chosen.get(run.key) or _missing(run, _why_missing(run, present, total), attempts.get(race_of(run.key)))
        for run in planned
    )
    suite = _whole(parts, planned, entries, sources)
    return Merged(suite=suite, notes=notes, lacks=tuple(_lacks(suite, present, total)))


def _whole(
    parts: Sequence[Part],
    planned: tuple[PlannedRun, ...],
    entries: tuple[SuiteEntry, ...],
    sources: tuple[SuitePart, ...],
) -> SuiteResult:
    suite = parts[0].suite
    began = min(_began_ns(source) for source in sources)
    ended = max(_began_ns(source) + source.wall_ns for source in sources)
    known = [source for source in sources if source.cpu_busy >= 0]
    area = sum(source.cores * source.wall_ns for source in known)
    largest: dict[str, SuitePart] = {}
    for source in sources:  # a shard that was attempted twice is one machine
        largest[source.shard] = max(largest.get(source.shard, source), source, key=lambda one: one.cores)
    return SuiteResult(
        suite_id=f"merged-{hashlib.sha256(' '.join(source.suite_id for source in sources).encode()).hexdigest()[:12]}",
        name=min(part.suite.name for part in parts),
        harness=suite.harness,
        started_wall=min(source.started_wall for source in sources),
        plan_digest=suite.plan_digest,
        cost_digest=suite.cost_digest,
        complete=all(entry.state != "missing" for entry in entries),
        exit_code=int(suite_exit_code([suite_code(entries), *(source.own_exit_code for source in sources)])),
        cores=sum(source.cores for source in largest.values()),
        memory_bytes=sum(source.memory_bytes for source in largest.values()),
        wall_ns=ended - began,
        cpu_busy=sum(source.cpu_busy * source.cores * source.wall_ns for source in known) / area if area else -1.0,
        waited_ns=sum(source.waited_ns for source in sources),
        planned=planned,
        parts=sources,
        entries=entries,
    )


def _require_equal(name: str, values: Mapping[Path, str | int]) -> None:
    """Refuse parts that do not agree in a field."""
    if len(set(values.values())) > 1:
        lines = "\n".join(f"  {folder}: {value or '(none)'}" for folder, value in values.items())
        raise UsageError(
            f"these are not parts of one suite: they differ in their {name}:\n{lines}",
            hint="run all shards from the same commit with the same selection, seed, costs and version",
        )


def _require_planned(planned: Sequence[PlannedRun], chosen: Mapping[str, SuiteEntry], parts: Sequence[Part]) -> None:
    """Refuse runs that the suite does not have, or that are of another plan."""
    digests = {run.key: run.digest for run in planned}
    if plan_digest(digests.items()) != parts[0].suite.plan_digest:
        raise UsageError(
            f"{parts[0].folder}: the runs listed there are not those of its plan digest",
            hint="suite.json was edited or damaged",
        )
    for key, entry in chosen.items():
        if digests.get(key) != entry.digest:
            raise UsageError(
                f"{key}: the suite has no such run" if key not in digests else f"{key}: its plan is not the suite's",
                hint="suite.json was edited or damaged",
            )


def _chosen(parts: Sequence[Part], folder: Path) -> tuple[dict[str, SuiteEntry], tuple[str, ...]]:
    """Return the execution that counts of each run, and a sentence for each one that does not."""
    found: dict[str, list[SuiteEntry]] = {}
    for part in parts:
        for entry in part.suite.entries:
            moved = _moved(entry, part.folder, folder)
            executions = found.setdefault(entry.key, [])
            same = next((one for one in executions if _placeless(one) == _placeless(moved)), None)
            if same is None:
                executions.append(moved)
            elif moved.run_dir < same.run_dir:
                executions[executions.index(same)] = moved
    chosen, notes = {}, []
    for key, executions in found.items():
        _require_one_story(key, executions)
        executions.sort(key=_rank, reverse=True)
        chosen[key] = executions[0]
        notes += [
            f"{key}: run {executions[0].run_id} counts (exit code {executions[0].exit_code}), not run {other.run_id} "
            f"(exit code {other.exit_code})"
            for other in executions[1:]
            if other.run_id
        ]
    return chosen, tuple(notes)


def _require_one_story(key: str, executions: Sequence[SuiteEntry]) -> None:
    runs = [entry.run_id for entry in executions if entry.run_id]
    if twice := next((run_id for run_id in runs if runs.count(run_id) > 1), None):
        raise UsageError(f"{key}: two results disagree about run {twice}", hint="suite.json was edited or damaged")


def _placeless(entry: SuiteEntry) -> SuiteEntry:
    """Return an entry without its paths: a copy of a shard lies elsewhere, and is the same."""
    again = entry.made_again
    return replace(entry, run_dir="", made_again=replace(again, run_dir="") if again is not None else None)


def _rank(entry: SuiteEntry) -> tuple[int, str, str]:
    if entry.state == "ended":
        return (_RANK.get(ExitCode(entry.exit_code or 0), max(_RANK.values())), entry.run_id, "")
    return (int(entry.state == "not needed"), entry.run_id, entry.reason)


def _moved(entry: SuiteEntry, before: Path, after: Path) -> SuiteEntry:
    """Return an entry whose paths are relative to another folder."""

    def moved(run_dir: str) -> str:
        return Path(os.path.relpath((before / run_dir).resolve(), after.resolve())).as_posix() if run_dir else ""

    again = entry.made_again
    return replace(
        entry,
        run_dir=moved(entry.run_dir),
        made_again=replace(again, run_dir=moved(again.run_dir)) if again is not None else None,
    )


def _planned(suite: SuiteResult) -> tuple[PlannedRun, ...]:
    """Return every run of the whole suite; one that was never split has them as its entries."""
    return suite.planned or tuple(PlannedRun(key=entry.key, digest=entry.digest, shard=1) for entry in suite.entries)


def _digest_of(planned: Iterable[PlannedRun]) -> str:
    return hashlib.sha256(repr([dataclasses.astuple(run) for run in planned]).encode()).hexdigest()


def _sources_of(suite: SuiteResult) -> tuple[SuitePart, ...]:
    """Return what a result was merged from; one that was not merged is its own source."""
    of_runs = suite_code(suite.entries) if suite.entries else ExitCode.PASS
    return suite.parts or (
        SuitePart(
            suite_id=suite.suite_id,
            shard=suite.shard,
            started_wall=suite.started_wall,
            cores=suite.cores,
            memory_bytes=suite.memory_bytes,
            wall_ns=suite.wall_ns,
            cpu_busy=suite.cpu_busy,
            waited_ns=suite.waited_ns,
            own_exit_code=suite.exit_code if suite.exit_code != of_runs else 0,
        ),
    )


def _sources(parts: Iterable[Part]) -> tuple[SuitePart, ...]:
    """Return what was merged, now and before, each once.

    Of a suite that was resumed, an earlier state may lie next to the last one, which took longer. Neither hides the
    other's own exit code.
    """
    found: dict[str, SuitePart] = {}
    for source in (source for part in parts for source in _sources_of(part.suite)):
        before = found.get(source.suite_id, source)
        later = max(before, source, key=lambda one: (one.wall_ns, dataclasses.astuple(one)))
        own = int(suite_exit_code([before.own_exit_code, source.own_exit_code]))
        found[source.suite_id] = replace(later, own_exit_code=own)
    return tuple(sorted(found.values(), key=lambda source: (source.shard, source.started_wall, source.suite_id)))


def _total(suite: SuiteResult) -> int:
    return int(_sources_of(suite)[0].shard.partition("/")[2] or 1)


def _number(source: SuitePart) -> int:
    return int(source.shard.partition("/")[0] or 1)


def _began_ns(source: SuitePart) -> int:
    return round(datetime.fromisoformat(source.started_wall).timestamp() * NS_PER_S)


def _why_missing(run: PlannedRun, present: set[int], total: int) -> str:
    return f"shard {run.shard}/{total} " + ("has no entry of it" if run.shard in present else "is missing")


def _missing(run: PlannedRun, reason: str, attempts: tuple[int, int] | None) -> SuiteEntry:
    """Return the entry of a run of which nothing but its key is known."""
    before, _, repetition = run.key.rpartition("#")
    before, _, runtime = before.rpartition("@")
    file = before.partition("[")[0]
    return SuiteEntry(
        key=run.key,
        scenario=Path(file).stem,
        title="",
        file=file,
        tags=(),
        variant={},
        seed=0,
        digest=run.digest,
        broker="",
        must_fail=(),
        runtime=runtime,
        repetition=int(repetition),
        attempts=attempts,
        state="missing",
        reason=reason,
        expected=Cost(
            cores=0.0, memory_bytes=0, wall_ns=0, disk_bytes=0, ports=0, measures_machine=False, source="formula"
        ),
    )


def _lacks(suite: SuiteResult, present: set[int], total: int) -> Iterable[str]:
    runs = {number: sum(run.shard == number for run in suite.planned) for number in range(1, total + 1)}
    for number in range(1, total + 1):
        if number not in present:
            yield f"shard {number}/{total} is missing ({runs[number]} of {len(suite.planned)} runs)"
    of = {run.key: run.shard for run in suite.planned}
    for entry in suite.entries:
        if entry.state == "missing" and of[entry.key] in present:
            yield f"{entry.key}: {entry.reason}"

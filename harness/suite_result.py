"""The result of a suite as data: what ``suite.json`` holds and what a suite's reports are made from.

Versioned and documented in docs/suites.md. It holds one bounded entry per run; the runs' own results stay in their run
directories. Knows nothing of how a suite is run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness import errors
from harness.errors import ExitCode, suite_exit_code
from harness.result import Usage
from harness.suite_baseline import BaselineResult
from harness.verdict import Verdict

SUITE_VERSION = 1

AgainCause = Literal["late ticks", "too few round trips", "no periods"]
"""Why an inconclusive run may be made again, once, alone: what its own record names, and nothing else."""

EntryState = Literal["ended", "not needed", "missing"]
"""``not needed``: its race was decided before. ``missing``: it was not run, or did not end; then no suite passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a run is expected to take of a machine.

    Attributes:
        cores: CPUs in use on average, from the start of its cluster until it is taken down.
        memory_bytes: Peak of resident memory over all its processes.
        wall_ns: From its start to its judged end.
        disk_bytes: The most that its run directory and disks can hold at one time.
        ports: TCP ports on which it listens.
        measures_machine: It measures the machine itself (a limit of CPU with burn, a limit of memory): only light runs
            may go on next to it.
        source: ``recorded`` (its last run on this machine), ``given`` (a file of costs) or ``formula``.
        start_ns: Of ``wall_ns``, how long until its cluster serves: no other cluster starts meanwhile.
    """

    cores: float
    memory_bytes: int
    wall_ns: int
    disk_bytes: int
    ports: int
    measures_machine: bool
    source: Literal["recorded", "given", "formula"]
    start_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeAgain:
    """The first execution of a run that was made again: kept, and shown.

    Attributes:
        cause: What its record named.
        detail: The sentence that names it.
        run_id, headline: Of that execution.
        run_dir: Its run directory, relative to the folder of ``suite.json``.
        began_ns: After the start of the suite, when it was started; None when that is not known.
        wall_ns: How long it took.
    """

    cause: AgainCause
    detail: str
    run_id: str
    run_dir: str
    headline: str
    began_ns: int | None = None
    wall_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteEntry:
    """One place of a suite: one execution of a plan that was to be made, and what came of it.

    Attributes:
        key: Unique in the suite and the same on every machine: file, variant, runtime and repetition.
        scenario, title, tags, variant, seed, digest, broker, must_fail: As in its plan.
        file: Of its plan, with ``/``; relative to the folder in which the suite was started where it lies below.
        runtime: ``process``, ``docker`` or ``auto`` as asked for; once it ended, where it ran.
        repetition: From 1: of ``--repeat``, or of the plan's ``attempts``.
        attempts: How many executions its race may take and how many of them must show what is declared; None when
            the plan is no race.
        state: See ``EntryState``.
        reason: Why it is not needed or missing; empty when it ended.
        run_id: Of the execution that counts.
        run_dir: Its run directory, relative to the folder of ``suite.json``.
        verdict, outcome, exit_code, headline, blocking, reproduce, versions: As in ``RunResult``.
        failed: Expected checks whose verdict is fail.
        began_ns: After the start of the suite, when it was started; None when it never was.
        wall_ns: How long the execution that counts took.
        expected: What the schedule reckoned with.
        usage: What it took.
        neighbours_max: How many other runs of the suite went on with it, at one time at most; -1 when not known.
        made_again: Its first execution, when that was made again.
    """

    key: str
    scenario: str
    title: str
    file: str
    tags: tuple[str, ...]
    variant: Mapping[str, str]
    seed: int
    digest: str
    broker: str
    must_fail: tuple[str, ...]
    runtime: str
    repetition: int
    attempts: tuple[int, int] | None
    state: EntryState
    reason: str = ""
    run_id: str = ""
    run_dir: str = ""
    verdict: Verdict | None = None
    outcome: Verdict | None = None
    exit_code: int | None = None
    headline: str = ""
    blocking: tuple[str, ...] = ()
    reproduce: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    began_ns: int | None = None
    wall_ns: int = 0
    expected: Cost
    usage: Usage | None = None
    neighbours_max: int = -1
    made_again: MadeAgain | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One run of a suite that was split, whichever shard makes it.

    Attributes:
        key, digest: As of its entry.
        shard: Which shard makes it, from 1.
    """

    key: str
    digest: str
    shard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SuitePart:
    """One result that was merged into another, and the machine that it was made on.

    Attributes:
        suite_id, shard, started_wall, cores, memory_bytes, wall_ns, cpu_busy, waited_ns: As of its own result.
        own_exit_code: Its exit code where that was more severe than its runs give (a regression); 0 where it was not.
    """

    suite_id: str
    shard: str
    started_wall: str
    cores: float
    memory_bytes: int
    wall_ns: int
    cpu_busy: float
    waited_ns: int
    own_exit_code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteResult:
    """A suite, or one shard of it.

    Attributes:
        version: Schema version of this structure.
        suite_id: Unique name of this execution.
        name: As given on the command line (``gate``), several joined by ``+``.
        harness: Version of this tool.
        started_wall: ISO 8601 UTC.
        plan_digest: SHA-256 over the keys and plan digests of the whole suite, every shard's included (function
            ``plan_digest``).
        cost_digest: SHA-256 over the costs by which shards were drawn; empty when it is no shard.
        shard: ``2/4``, counted from 1; empty when it is no shard.
        complete: Every entry has ended or was not needed.
        exit_code: Of the whole, as of several runs (function ``suite_code``), or a more severe one; a suite that is not
            complete never has 0.
        cores, memory_bytes: The budget.
        wall_ns: From its start to its end, over all its sessions when it was resumed.
        cpu_busy: Share of the budget's cores that was in use, 0 to 1; -1 when not known.
        waited_ns: How long no run could be started although some were waiting, for want of budget.
        planned: Every run of the whole suite, in the order of selection, when it was split; empty when it was not.
        parts: The results that this one was merged from; its budget and waits are their sum, and its time goes from the
            first start to the last end. Empty when it was not merged.
        entries: In the order of selection.
        baseline: How it compares with earlier runs; None when that was not asked for.
    """

    version: int = SUITE_VERSION
    suite_id: str
    name: str
    harness: str
    started_wall: str
    plan_digest: str
    cost_digest: str = ""
    shard: str = ""
    complete: bool
    exit_code: int
    cores: float
    memory_bytes: int
    wall_ns: int
    cpu_busy: float = -1.0
    waited_ns: int = 0
    planned: tuple[PlannedRun, ...] = ()
    parts: tuple[SuitePart, ...] = ()
    entries: tuple[SuiteEntry, ...]
    baseline: BaselineResult | None = None


def plan_digest(plans: Iterable[tuple[str, str]]) -> str:
    """Return the SHA-256 over (key, digest of the plan) of every run of a suite, in any order (hexadecimal)."""
    return hashlib.sha256(json.dumps(sorted(plans)).encode()).hexdigest()


def race_of(key: str) -> str:
    """Return what all repetitions of one run share: its key without ``#<repetition>``."""
    return key.rpartition("#")[0]


def race_decided(runs: Sequence[SuiteEntry]) -> ExitCode | None:
    """Return how a race ended: 0 when it showed often enough what is declared, 1 when it no longer can; None before.

    Args:
        runs: All entries of one race, those that have not ended included.
    """
    attempts = runs[0].attempts
    if attempts is None:
        raise ValueError(f"{runs[0].key} is no race")
    ended = [run.exit_code for run in runs if run.state == "ended"]
    return errors.race_decided(ended, runs=len(runs), at_least=attempts[1])


def suite_code(entries: Iterable[SuiteEntry]) -> ExitCode:
    """Return the exit code of a suite: the most severe of its runs; the runs of a race count together.

    In a race, a run that neither passed nor failed counts by itself, whatever the others show. A run that is missing
    counts as interrupted unless it has a code, so that no suite that is not complete gives 0.
    """
    codes: list[int] = []
    races: dict[str, list[SuiteEntry]] = {}
    for entry in entries:
        if entry.state == "missing":
            codes.append(entry.exit_code or ExitCode.INTERRUPTED)
        if entry.attempts is not None:
            races.setdefault(race_of(entry.key), []).append(entry)
        elif entry.state != "missing":
            codes.append(ExitCode.INTERNAL if entry.exit_code is None else entry.exit_code)
    for runs in races.values():
        others = [run.exit_code for run in runs if run.exit_code not in {None, ExitCode.PASS, ExitCode.VIOLATED}]
        codes += [code for code in others if code is not None]
        decided = race_decided(runs)
        if decided is not None and not others:
            codes.append(decided)
        elif not others and not any(run.state == "missing" for run in runs):
            codes.append(ExitCode.INTERNAL)  # undecided, and yet nothing is left to run
    return suite_exit_code(codes)

"""A session: several plans, one after the other, each run, judged and reported.

Owns signals, the order of cleaning up, and how results become one exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import shlex
import signal
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from harness.engine.engine import Engine, RunRecord
from harness.engine.parts import Parts
from harness.engine.rundir import RunDir, new_run_id
from harness.engine.runtimes import runtimes_of
from harness.errors import ExitCode, HarnessError, UnfitEnvironmentError, relative, suite_exit_code
from harness.judging.judge import judge, load_record
from harness.progress import Listener, Note, RunFinished, RunStarted
from harness.report.files import write_all, write_with_twins
from harness.report.serialize import differences, from_json, to_json
from harness.report.twins import is_twin, twins_of
from harness.result import RunResult
from harness.scenario.model import Plan
from harness.scenario.plan import variant_label
from harness.session.leftovers import sweep_notes
from harness.session.own_share import OwnShare
from harness.session.races import Race, codes_of, race_of, runs_of
from harness.session.selection import Selected, replan
from harness.session.stopper import Stopper

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_THREADS = 64


def run_all(
    selected: Sequence[Selected],
    *,
    repeat: int,
    runtime: str,
    reports: Path,
    listener: Listener,
    parts: Parts | None = None,
) -> list[RunResult]:
    """Run every plan ``repeat`` times (or as often as its ``attempts`` say, when that is more); return the results.

    A race ends once it is decided, yet not before ``repeat`` runs.

    ``runtime`` is ``process``, ``docker`` or ``auto`` (see ``engine/runtimes.py``); raises UnfitEnvironmentError when
    the one asked for is not to be had.
    An interruption ends the session after the run it hit was taken down and judged; results so far are returned.
    """
    for note in sweep_notes():
        listener(note)
    todo = [item for item in selected for _ in range(runs_of(item.plan, repeat))]
    # All of them before the first is run: a runtime that is not to be had refuses the session, it does not end one.
    where = runtimes_of([item.plan for item in todo], runtime, listener)
    return in_turn(
        [item.plan.scenario for item in todo],
        lambda index: run_one(todo[index], where[index], reports, listener, parts, position=index + 1, total=len(todo)),
        write_with_twins,
        listener,
        lambda index, results: _no_longer_needed([item.plan for item in todo], index, results, repeat, listener),
    )


def _no_longer_needed(
    plans: Sequence[Plan], index: int, results: Sequence[RunResult], repeat: int, listener: Listener
) -> frozenset[int]:
    """Return which plans need not be run once that at ``index`` was: those of its race, when that is decided."""
    race = race_of(plans[index], results, repeat)
    if race is None or race.code is None or race.made < repeat:
        return frozenset()
    left = frozenset(later for later in range(index + 1, len(plans)) if plans[later].digest == race.digest)
    if left:
        listener(Note(text=race.sentence))
    return left


def _none(_index: int, _results: Sequence[RunResult]) -> frozenset[int]:
    return frozenset()


def in_turn(
    scenarios: Sequence[str],
    run_one: Callable[[int], RunResult],
    show: Callable[[RunResult, Path, Sequence[tuple[RunResult, Path]]], None],
    listener: Listener,
    not_needed: Callable[[int, Sequence[RunResult]], frozenset[int]] = _none,
) -> list[RunResult]:
    """Run one plan after the other and show the twins of each canary once the last of them has ended; return the
    results.

    Args:
        scenarios: The scenario of each plan, in their order.
        run_one: Index of a plan → its result.
        show: Writes a canary's page again, in its run directory, with its twins and theirs.
        listener: Hears of every result.
        not_needed: (Index of the plan that has just ended, results so far) → plans that need not be run any longer.

    An interrupted run ends it; results so far are returned.
    """
    results: list[RunResult] = []
    left = list(range(len(scenarios)))
    while left:
        index = left.pop(0)
        result = run_one(index)
        results.append(result)
        listener(RunFinished(result=result))
        if result.error == "interrupted":
            break
        dropped = not_needed(index, results)
        left = [later for later in left if later not in dropped]
        _show_twins(results, result.scenario, [scenarios[later] for later in left], show, listener)
    else:
        return results
    for canary in {result.scenario for result in results if result.must_fail}:
        _show_twins(results, canary, [], show, listener)
    return results


def exit_code(results: Sequence[RunResult], selected: Sequence[Selected]) -> ExitCode:
    """Return the session's exit code; the runs of a race count together, by its ``attempts``."""
    races = races_of(results, selected)
    alone = {race.digest for race in races}
    codes = [result.exit_code for result in results if result.digest not in alone]
    for race in races:
        codes += codes_of(race, results)
    return suite_exit_code(codes)


def races_of(results: Sequence[RunResult], selected: Sequence[Selected]) -> list[Race]:
    """Return how each race of a session went; those of which no run was made are left out."""
    plans = {item.plan.digest: item.plan for item in selected}
    found = [race_of(plan, results) for plan in plans.values()]
    return [race for race in found if race is not None and race.made]


def check_again(path: Path) -> tuple[RunResult, tuple[str, ...]]:
    """Judge a run directory again.

    Returns:
        The result, and in which points it differs from the ``result.json`` that was there (empty: it agrees).

    Raises:
        UnfitEnvironmentError: It is not a complete run directory, or its plan cannot be made again.
    """
    run_dir = RunDir(path)
    saved = run_dir.read_json("plan.json", "file", "variant", "seed", "digest")
    record = load_record(run_dir)
    text = run_dir.read_text("scenario.yaml")
    plan = replan(text, saved["file"], saved["variant"], saved["seed"])
    if plan.digest != saved["digest"]:
        raise UnfitEnvironmentError(
            "scenario.yaml gives another plan than the one that was run",
            hint="scenario.yaml was edited, or another version of the harness made this run",
        )
    result = judge(plan, run_dir, record, reproduce_command(plan, record.runtime))
    previous = path / "result.json"
    if not previous.exists():
        return result, ()
    before = from_json(previous.read_text(encoding="utf-8"))
    return replace(result, usage=before.usage or result.usage), differences(before, result)


def reproduce_command(plan: Plan, runtime: str) -> str:
    """Return the command line that runs the same plan again."""
    words = ["harness", "run", plan.file, "--seed", str(plan.seed), "--runtime", runtime]
    for path, value in plan.variant.items():
        words += ["--variant", f"{path}={value}"]
    return shlex.join(words)


def run_one(
    item: Selected,
    runtime: str,
    reports: Path,
    listener: Listener,
    parts: Parts | None = None,
    *,
    position: int = 1,
    total: int = 1,
    stopper: Stopper | None = None,
) -> RunResult:
    """Run one plan, judge it and write its reports; whatever happens to it, there is a result.

    Args:
        item: The plan, with its text.
        runtime: ``process`` or ``docker``.
        reports: Where its run directory is made.
        listener: Hears of its progress.
        parts: What it is put together from; None = this machine's.
        position: In the session, from 1, for the listener.
        total: Runs of the session.
        stopper: Ends it from another thread, as SIGINT does.
    """
    plan = item.plan
    share = OwnShare()
    engine = Engine(plan, item.source, reports, new_run_id(), runtime, listener, parts)
    workload = plan.workload
    listener(
        RunStarted(
            run_id=engine.record.run_id,
            run_dir=relative(engine.run_dir.path),
            title=plan.title,
            variant=variant_label(plan),
            position=position,
            total=total,
            declared_ns=workload.warmup_ns + workload.duration_ns,
        )
    )
    try:
        asyncio.run(_interruptible(engine, stopper or Stopper()))
    except (HarnessError, asyncio.CancelledError, KeyboardInterrupt):
        pass  # the record tells
    except Exception as error:  # noqa: BLE001  whatever it is, what was recorded is judged, and the crash is kept with it
        with contextlib.suppress(OSError):  # the disk is full
            (engine.run_dir.logs / "crash.txt").write_text(traceback.format_exc(), encoding="utf-8")
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            engine.record.error = f"the run directory cannot be written: {error.strerror}"
            engine.record.exit_code = ExitCode.ENVIRONMENT
    share.engine_ended()
    return _judge(plan, engine.run_dir, engine.record, share, listener)


def _judge(plan: Plan, run_dir: RunDir, record: RunRecord, share: OwnShare, listener: Listener) -> RunResult:
    shown = RunDir(Path(relative(run_dir.path)))
    result = judge(plan, shown, record, reproduce_command(plan, record.runtime))
    result = replace(result, usage=share.in_full(result.usage))
    try:
        write_all(result, run_dir.path)
    except (HarnessError, OSError) as error:
        listener(Note(text=f"the report could not be written: {error}", warning=True))
        result = replace(result, exit_code=result.exit_code or int(ExitCode.ENVIRONMENT), error=str(error))
    return result


def _show_twins(
    results: Sequence[RunResult],
    ended: str,
    later: Sequence[str],
    show: Callable[[RunResult, Path, Sequence[tuple[RunResult, Path]]], None],
    listener: Listener,
) -> None:
    """Add the twins of each canary to its page once the last of them all has ended.

    Args:
        results: Of this session so far.
        ended: The scenario that has just ended.
        later: Scenarios that are still to run.
        show: See ``in_turn``.
        listener: Hears when a page cannot be written; the one that was there stays.
    """
    for result in results:
        family = [name for name in (ended, *later) if name == result.scenario or is_twin(name, result.scenario)]
        twins = twins_of(result, results) if family == [ended] else ()
        if not twins:
            continue
        try:
            show(result, Path(result.run_dir), [(twin, Path(twin.run_dir)) for twin in twins])
        except (HarnessError, OSError) as error:
            listener(
                Note(text=f"the report of {result.scenario} could not be updated with its twins: {error}", warning=True)
            )


async def _interruptible(engine: Engine, stopper: Stopper) -> None:
    """Run the engine; a signal or the stopper cancels it, and it then takes everything down before it returns."""
    loop = asyncio.get_running_loop()
    # Calls to a server that hangs hold their threads for seconds; the default's few (six on two cores) would then be
    # taken, and everything else that needs one would stop. ``asyncio.run`` shuts it down.
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="run"))
    running = asyncio.create_task(engine.run())
    for number in _SIGNALS:
        loop.add_signal_handler(number, running.cancel)

    def end() -> None:
        loop.call_soon_threadsafe(running.cancel)

    stopper.attach(end)
    try:
        await running
    finally:
        stopper.attach(None)
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def results_json(results: Sequence[RunResult], code: ExitCode, races: Sequence[Race] = ()) -> str:
    """Return all results of a session as one JSON document, and how its races went."""
    return json.dumps(
        {
            "exit_code": int(code),
            "races": [asdict(race) for race in races],
            "results": [json.loads(to_json(result)) for result in results],
        },
        indent=2,
    )

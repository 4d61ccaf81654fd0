"""A session: several plans, one after the other, each run, judged and reported.

Owns signals, the order of cleaning up, and how results become one exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from harness.engine.engine import Engine, RunRecord
from harness.engine.isolation import NEVER, Isolation, run_threads
from harness.engine.parts import Parts
from harness.engine.rundir import RunDir, new_run_id
from harness.engine.runtimes import runtimes_of
from harness.errors import ExitCode, HarnessError, is_machines, relative, suite_exit_code
from harness.judging.judge import judge, unjudged
from harness.progress import Listener, Note, RunFinished, RunStarted
from harness.report.files import write_all, write_with_twins
from harness.report.sanitize import clean
from harness.report.serialize import to_json
from harness.report.twins import is_twin, twins_of
from harness.result import AttemptCount, RunResult
from harness.scenario.application import application_of
from harness.scenario.plan import variant_label
from harness.session.last_runs import LastRun, other_runtime
from harness.session.leftovers import sweep_notes
from harness.session.own_share import OwnShare
from harness.session.own_thread import in_own_thread
from harness.session.preflight import require_fit
from harness.session.program import reproduce_command
from harness.session.races import Race, all_after_failure, codes_of, no_longer_needed, race_of, runs_of
from harness.session.selection import Selected
from harness.session.signals import Signals
from harness.session.stopper import Stopper
from harness.session.unfit import Unfit
from harness.session.versions import refuse_missing_versions

LastRuns = Mapping[str, LastRun]
"""Of each plan; see ``last_runs.key_of``."""
Written = Callable[[Sequence[RunResult]], None]
"""Called with the results so far, after every run."""


def run_all(
    selected: Sequence[Selected],
    *,
    repeat: int,
    runtime: str,
    reports: Path,
    listener: Listener,
    parts: Parts | None = None,
    first_failure_ends: bool = False,
    last: LastRuns | None = None,
    signals: Signals | None = None,
    written: Written = lambda _: None,
    isolation: Isolation = NEVER,
) -> list[RunResult]:
    """Run every plan ``repeat`` times (or as often as its ``attempts`` say, when that is more); return the results.

    A race ends once it is decided, yet not before ``repeat`` runs. With ``first_failure_ends`` nothing is begun after
    a run that did not pass, unless its race is not decided yet. ``last`` is how plans ran the last time, so that
    another choice of ``auto`` is reported.

    ``runtime`` is ``process``, ``docker`` or ``auto`` (see ``engine/runtimes.py``); raises UnfitEnvironmentError when
    the one asked for is not to be had, or this machine lacks what every run needs, and UsageError when a plan names a
    version that does not exist. ``isolation`` is as it was asked for.
    An interruption (of ``signals``, which the caller has entered) ends the session after the run it hit was taken down
    and judged; results so far are returned. ``written`` is called with them after every run.
    """
    if parts is None:
        refuse_missing_versions(item.plan for item in selected)
    require_fit(reports)
    heard = signals or Signals(lambda text: listener(Note(text=text, warning=True)))
    for note in sweep_notes():
        listener(note)
    todo = [item for item in selected for _ in range(runs_of(item.plan, repeat))]
    # All of them before the first is run: a runtime that is not to be had refuses the session, it does not end one.
    plans = [item.plan for item in todo]
    where = runtimes_of(plans, runtime, listener)
    if runtime == "auto" and (changed := other_runtime(plans, where, last or {})):
        listener(Note(text=changed, warning=True))
    ready = isolation.settled(where, listener).prepared(listener)
    codes: dict[str, list[int]] = {}

    def one(index: int) -> RunResult:
        earlier = codes.setdefault(plans[index].digest, [])
        result = run_one(
            todo[index],
            where[index],
            reports,
            listener,
            parts,
            position=index + 1,
            total=len(todo),
            signals=heard,
            earlier=earlier,
            isolation=ready,
        )
        earlier.append(result.exit_code)
        return result

    return in_turn(
        [item.plan.scenario for item in todo],
        one,
        write_with_twins,
        listener,
        lambda index, results: (
            all_after_failure(plans, index, results, repeat, listener)
            if first_failure_ends
            else no_longer_needed(plans, index, results, repeat, listener)
        ),
        lambda results: handed_over(heard, written, results),
    )


def handed_over(signals: Signals, written: Written, results: Sequence[RunResult]) -> bool:
    """Hand over the results so far; return whether the session is to end."""
    with signals.judging():
        written(results)
    return signals.asked


def _none(_index: int, _results: Sequence[RunResult]) -> frozenset[int]:
    return frozenset()


def in_turn(
    scenarios: Sequence[str],
    run_one: Callable[[int], RunResult],
    show: Callable[[RunResult, Path, Sequence[tuple[RunResult, Path]]], None],
    listener: Listener,
    not_needed: Callable[[int, Sequence[RunResult]], frozenset[int]] = _none,
    ended: Callable[[Sequence[RunResult]], bool] = lambda _: False,
) -> list[RunResult]:
    """Run one plan after the other and show the twins of each canary once the last of them has ended; return the
    results.

    Args:
        scenarios: The scenario of each plan, in their order.
        run_one: Index of a plan → its result.
        show: Writes a canary's page again, in its run directory, with its twins and theirs.
        listener: Hears of every result.
        not_needed: (Index of the plan that has just ended, results so far) → plans that need not be run any longer.
        ended: Results so far, after every run → whether no other is to begin.

    An interrupted run ends it; results so far are returned.
    """
    results: list[RunResult] = []
    left = list(range(len(scenarios)))
    while left:
        index = left.pop(0)
        result = run_one(index)
        results.append(result)
        listener(RunFinished(result=result))
        if ended(results) or result.error == "interrupted":
            break
        dropped = not_needed(index, results)
        left = [later for later in left if later not in dropped]
        _show_twins(results, result.scenario, [scenarios[later] for later in left], show, listener)
    else:
        return results
    for canary in {result.scenario for result in results if result.must_fail}:
        _show_twins(results, canary, [], show, listener)
    return results


def exit_code(results: Sequence[RunResult], selected: Sequence[Selected], *, interrupted: bool = False) -> ExitCode:
    """Return the session's exit code; the runs of a race count together, by its ``attempts``.

    ``interrupted``: it was ended before all that is selected was run; what was not run did not pass.
    """
    races = races_of(results, selected)
    alone = {race.digest for race in races if not (interrupted and race.code is None)}
    codes = [result.exit_code for result in results if result.digest not in {race.digest for race in races}]
    for race in races:
        codes += codes_of(race, results) if race.digest in alone else []
    unmade = {item.plan.digest for item in selected} - {result.digest for result in results}
    undecided = any(race.code is None for race in races)
    codes += [int(ExitCode.INTERRUPTED)] if interrupted and (unmade or undecided) else []
    return suite_exit_code(codes)


def races_of(results: Sequence[RunResult], selected: Sequence[Selected]) -> list[Race]:
    """Return how each race of a session went; those of which no run was made are left out."""
    plans = {item.plan.digest: item.plan for item in selected}
    found = [race_of(plan, results) for plan in plans.values()]
    return [race for race in found if race is not None and race.made]


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
    signals: Signals | None = None,
    earlier: Sequence[int] | None = None,
    isolation: Isolation = NEVER,
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
        signals: Of the session, entered by the caller; None = the run heeds them by itself.
        earlier: Exit codes of the runs of this plan that the session made before; None = not known.
        isolation: What it has come to for the session, prepared.
    """
    if signals is None:
        with Signals(lambda text: listener(Note(text=text, warning=True))) as own:
            return run_one(
                item,
                runtime,
                reports,
                listener,
                parts,
                position=position,
                total=total,
                stopper=stopper,
                signals=own,
                earlier=earlier,
                isolation=isolation,
            )
    plan = item.plan
    share = OwnShare()
    isolation = isolation.of(runtime, application=application_of(plan.workload.consumer) is not None)
    engine = Engine(plan, item.source, reports, new_run_id(), runtime, listener, parts, isolation)
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
        _carry_out(engine, stopper or Stopper(), signals, own_thread=isolation.needs_thread)
    except (HarnessError, asyncio.CancelledError, KeyboardInterrupt):
        pass  # the record tells
    except Exception as error:  # noqa: BLE001  whatever it is, what was recorded is judged, and the crash is kept with it
        with contextlib.suppress(OSError):  # the disk is full
            (engine.run_dir.logs / "crash.txt").write_text(traceback.format_exc(), encoding="utf-8")
        if isinstance(error, OSError) and is_machines(error):
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            what = "the run directory cannot be written" if full or not error.filename else clean(str(error.filename))
            engine.record.error = f"{what}: {error.strerror}"
            engine.record.exit_code = ExitCode.ENVIRONMENT
    share.engine_ended()
    with signals.judging():
        try:
            return _judge(item, engine.run_dir, engine.record, share, listener, earlier)
        except KeyboardInterrupt:
            command = reproduce_command(plan, engine.record.runtime, item.source)
            return unjudged(plan, engine.run_dir, engine.record, command)


def _judge(
    item: Selected,
    run_dir: RunDir,
    record: RunRecord,
    share: OwnShare,
    listener: Listener,
    earlier: Sequence[int] | None,
) -> RunResult:
    shown = RunDir(Path(relative(run_dir.path)))
    result = judge(item.plan, shown, record, reproduce_command(item.plan, record.runtime, item.source))
    result = replace(result, usage=share.in_full(result.usage), attempts=_counted(result, earlier))
    try:
        write_all(result, run_dir.path)
    except (HarnessError, OSError) as error:
        listener(Note(text=f"the report could not be written: {error}", warning=True))
        result = replace(result, exit_code=result.exit_code or int(ExitCode.ENVIRONMENT), error=str(error))
    return result


def _counted(result: RunResult, earlier: Sequence[int] | None) -> AttemptCount | None:
    """Return how far the race of a run has come with it; None when its plan is none."""
    if result.attempts is None or earlier is None:
        return result.attempts
    codes = [*earlier, result.exit_code]
    return replace(result.attempts, made=len(codes), shown=codes.count(ExitCode.PASS))


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


def _carry_out(engine: Engine, stopper: Stopper, signals: Signals, *, own_thread: bool) -> None:
    def work() -> None:
        asyncio.run(_interruptible(engine, stopper, signals))

    if own_thread:
        in_own_thread(work, stopper.ask)
    else:
        work()


async def _interruptible(engine: Engine, stopper: Stopper, signals: Signals) -> None:
    """Run the engine; a signal or the stopper cancels it, and it then takes everything down before it returns."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(run_threads())
    running = asyncio.create_task(engine.run())

    def end() -> None:
        loop.call_soon_threadsafe(running.cancel)

    def interrupt() -> str:
        end()
        faults = engine.in_force
        healing = f"{', '.join(faults)} {'is' if len(faults) == 1 else 'are'} healed, " if faults else ""
        return f"{healing}the cluster is taken down, then what was recorded is judged"

    def hasten() -> None:
        engine.hasten()
        end()

    stopper.attach(end)
    try:
        with signals.running(interrupt, hasten):
            await running
    finally:
        stopper.attach(None)


def results_json(
    results: Sequence[RunResult], code: ExitCode, races: Sequence[Race] = (), unfit: Sequence[Unfit] = ()
) -> str:
    """Return all results of a session as one JSON document, how its races went, and what this machine cannot run."""
    return json.dumps(
        {
            "exit_code": int(code),
            "races": [asdict(race) for race in races],
            "skipped": [asdict(item) for item in unfit],
            "results": [json.loads(to_json(result)) for result in results],
        },
        indent=2,
    )

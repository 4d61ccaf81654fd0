"""A run directory judged again, offline: its plan made again from its scenario, and the result next to the earlier one.

Owns what a run directory must hold for that. Starts nothing.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from harness.engine.engine import RunRecord
from harness.engine.rundir import PLACE, RunDir
from harness.errors import HarnessError, UnfitEnvironmentError, is_machines
from harness.history.read import History
from harness.judging.judge import judge_and_read
from harness.judging.saved_record import load_record
from harness.regular import read_regular_text
from harness.report.differences import differences
from harness.report.serialize import from_json, verdict_differs
from harness.result import RunResult
from harness.scenario.application import with_directory
from harness.scenario.model import Plan
from harness.scenario.plugins import Vocabulary
from harness.session.program import reproduce_command
from harness.session.selection import replan


class JudgedAgain(NamedTuple):
    """A run directory, judged again.

    Attributes:
        result: Of judging it now.
        differing: Where it differs from the ``result.json`` that was there.
        verdict_differs: Whether the verdict of the whole, or of an expected check, does.
        compared: Whether there was one.
        history: That it was judged by; None = it could not be read.
    """

    result: RunResult
    differing: tuple[str, ...] = ()
    verdict_differs: bool = False
    compared: bool = False
    history: History | None = None


def check_again(path: Path, words: Vocabulary | None = None) -> JudgedAgain:
    """Judge a run directory again.

    Args:
        path: Of the run directory.
        words: What its scenario may name; None = everything registered.

    Raises:
        UnfitEnvironmentError: It is not a complete run directory, or its plan cannot be made again; or this machine
            does not let its files be read.
    """
    run_dir = RunDir(path)
    plan, record = saved_run(run_dir, words)
    command = reproduce_command(plan, record.runtime, run_dir.read_text("scenario.yaml"))
    result, history = judge_and_read(plan, run_dir, record, command)
    previous = path / "result.json"
    if not previous.exists():
        return JudgedAgain(result, history=history)
    try:
        before = from_json(read_regular_text(previous))
    except (HarnessError, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and is_machines(error) and error.errno != errno.EFBIG:
            raise UnfitEnvironmentError(f"{previous.name} cannot be read: {error.strerror}") from error
        said = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        differing = (f"it cannot be read: {said}",)
        return JudgedAgain(result, differing, verdict_differs=True, compared=True, history=history)
    return JudgedAgain(
        replace(result, usage=before.usage or result.usage, attempts=before.attempts or result.attempts),
        differences(before, result),
        verdict_differs(before, result),
        compared=True,
        history=history,
    )


def saved_run(run_dir: RunDir, words: Vocabulary | None = None) -> tuple[Plan, RunRecord]:
    """Return the plan of a run, made again from its scenario, and the engine's record of it.

    Raises:
        UnfitEnvironmentError: It is not a complete run directory, or its plan cannot be made again.
    """
    saved = run_dir.read_json("plan.json", "file", "variant", "seed", "digest")
    record = load_record(run_dir)
    text = run_dir.read_text("scenario.yaml")
    try:
        plan = replan(text, saved["file"], saved["variant"], saved["seed"], words)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise run_dir.unfit("plan.json", f"no plan can be made of it ({error})") from error
    if plan.digest != saved["digest"]:
        raise UnfitEnvironmentError(
            "scenario.yaml gives another plan than the one that was run",
            hint="scenario.yaml was edited, or another version of the harness made this run",
        )
    place = saved.get(PLACE)
    if isinstance(place, str) and Path(place).is_absolute():
        # The scenario's path was given from where that run was started.
        consumer = with_directory(plan.workload.consumer, Path(place))
        plan = replace(plan, workload=replace(plan.workload, consumer=consumer))
    return plan, record

"""How the runs of a reports directory ended the last time: one small file next to the run directories.

Owns which plans ``--last-failed`` means, and what is said when ``auto`` has chosen another runtime than before. A file
that is damaged counts as none: it holds nothing that a run needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from harness.errors import ExitCode, NothingSelectedError
from harness.regular import read_regular_text
from harness.report.atomic import write_atomic
from harness.result import RunResult
from harness.scenario.model import Plan
from harness.session.races import Race
from harness.session.selection import Selected, replan

FILE: Final = ".last-runs.json"
_KEPT_MAX: Final = 5_000
_BYTES_MAX: Final = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """The last run of a plan.

    Attributes:
        exit_code: Of the run; of its race, when it counts with others.
        runtime: ``process`` or ``docker``.
        seed: The seed in force.
    """

    exit_code: int
    runtime: str
    seed: int


def read_last_runs(reports: Path) -> dict[str, LastRun]:
    """Return plan → its last run below a reports directory, in the order of the runs; see ``key_of``."""
    path = reports / FILE
    try:
        if not path.is_file() or path.stat().st_size > _BYTES_MAX:
            return {}
        runs = json.loads(read_regular_text(path))["runs"]
        return {
            str(key): LastRun(exit_code=int(run["exit_code"]), runtime=str(run["runtime"]), seed=int(run["seed"]))
            for key, run in runs.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def write_last_runs(reports: Path, results: Sequence[RunResult], races: Sequence[Race]) -> None:
    """Add the runs of a session; of what was there before, the newest are kept.

    Raises:
        UnfitEnvironmentError: The file cannot be written.
    """
    if not results:
        return
    last = read_last_runs(reports)
    decided = {race.digest: race.code for race in races}
    for result in results:
        code = decided.get(result.digest)
        key = _key(result.file, result.variant)
        last.pop(key, None)  # so that it comes last
        last[key] = LastRun(
            exit_code=result.exit_code if code is None else int(code), runtime=result.runtime, seed=result.seed
        )
    kept = dict(list(last.items())[-_KEPT_MAX:])
    content = {"version": 1, "runs": {key: asdict(run) for key, run in kept.items()}}
    write_atomic(reports / FILE, json.dumps(content, indent=1) + "\n")


def last_failed(selected: Sequence[Selected], last: Mapping[str, LastRun]) -> list[Selected]:
    """Return the plans whose last run did not pass; a seed that was drawn is that of this run.

    Raises:
        NothingSelectedError: There is none.
    """
    found = []
    for item in selected:
        run = last.get(key_of(item.plan))
        if run is not None and run.exit_code != ExitCode.PASS:
            found.append(_with_seed(item, run.seed) if item.seed_drawn else item)
    if not found:
        ran = sum(key_of(item.plan) in last for item in selected)
        raise NothingSelectedError(
            "no plan selected failed in its last run",
            hint=f"{ran} of {len(selected)} ran before, and all of these passed" if ran else "none of them ran before",
        )
    return found


def other_runtime(plans: Sequence[Plan], chosen: Sequence[str], last: Mapping[str, LastRun]) -> str:
    """Return a warning when plans run elsewhere than the last time; empty when none does."""
    changed = {
        plan.scenario: (last[key_of(plan)].runtime, runtime)
        for plan, runtime in zip(plans, chosen, strict=True)
        if key_of(plan) in last and last[key_of(plan)].runtime != runtime
    }
    if not changed:
        return ""
    before, now = next(iter(changed.values()))
    named = next(iter(changed))
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return (
        f"--runtime auto runs {named}{more} as {now}; the last time it was {before}. Figures of both do not compare: "
        f"ask for --runtime {before} or --runtime {now}"
    )


def key_of(plan: Plan) -> str:
    """Return what names a plan in the file: its scenario's absolute path and its variant."""
    return _key(plan.file, plan.variant)


def _key(file: str, variant: Mapping[str, str]) -> str:
    label = ", ".join(f"{path}={value}" for path, value in variant.items())
    return f"{Path(file).resolve()}[{label}]"


def _with_seed(item: Selected, seed: int) -> Selected:
    plan = item.plan
    return replace(item, plan=replan(item.source, plan.file, plan.variant, seed))

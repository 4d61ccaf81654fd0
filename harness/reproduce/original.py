"""What is replayed: the plan of a run, made again and compared by its digest, and everything it ran with.

Owns how a run directory and a bundle are read. Must never run anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.engine.rundir import RunDir
from harness.errors import HarnessError, UsageError
from harness.judging.saved_record import load_record
from harness.regular import read_regular_text
from harness.report.files import RESULT_FILE
from harness.report.headline import status, violated
from harness.report.serialize import from_json
from harness.result import RunResult
from harness.scenario.config_keys import TRUST_HINT
from harness.scenario.plugins import Vocabulary
from harness.session.check_again import saved_run
from harness.session.selection import Selected, needs_trust
from harness.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A run that is to be seen again.

    Attributes:
        run_id: Of the run.
        selected: Its plan, made again, with the text of its scenario.
        runtime: ``process`` or ``docker``.
        versions: Software → exact version, as in ``result.json``.
        harness: Version of this tool that made it; empty when it is not known.
        outcome: Of the run; None when it was never judged.
        violated: Checks that failed.
        said: Its first sentence.
    """

    run_id: str
    selected: Selected
    runtime: str
    versions: Mapping[str, str]
    harness: str
    outcome: Verdict | None
    violated: frozenset[str]
    said: str


def read_original(path: Path, words: Vocabulary | None = None, *, trusted: bool = False) -> Original:
    """Return the run of a run directory; see ``bundle.opened`` for bundles.

    Args:
        path: Of the run directory, complete or not: its plan and what it ran with are enough.
        words: What its scenario may name; None = everything registered.
        trusted: Its plan may reach outside the run, though another user may have made it.

    Raises:
        UsageError: There is no such directory, or its plan reaches outside the run and is not trusted.
        UnfitEnvironmentError: It is no run directory, or its scenario gives another plan than the one that was run.
    """
    if not path.exists():
        raise UsageError(f"no such run directory or bundle: {path}")
    run_dir = RunDir(path)
    plan, _ = saved_run(run_dir, words)
    if needs_trust(plan) and not trusted:
        raise UsageError(f"reaching outside the run: {plan.file}", hint=TRUST_HINT)
    record = load_record(run_dir)
    result = _result(path)
    said = status(result) if result is not None else None
    return Original(
        run_id=record.run_id,
        selected=Selected(plan=plan, source=run_dir.read_text("scenario.yaml")),
        runtime=record.runtime,
        versions=record.versions,
        harness=record.harness,
        outcome=result.outcome if result is not None else None,
        violated=frozenset(check.check for check in violated(result)) if result is not None else frozenset(),
        said=f"{said.word}  {said.sentence}" if said is not None else "it was never judged",
    )


def _result(path: Path) -> RunResult | None:
    try:
        return from_json(read_regular_text(path / RESULT_FILE))
    except (OSError, ValueError, HarnessError):
        return None

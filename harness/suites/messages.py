"""What a suite and the process of one run say to each other: JSON lines, bounded.

The suite writes one request, then at most two words: go, and stop. The run answers with events. The end of its stdin
means that the suite is gone.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness.report.sanitize import clean, clip
from harness.result import RunResult, Usage
from harness.suite_result import AgainCause
from harness.suites.again import Again
from harness.verdict import Verdict

GO: Final = b'{"say": "go"}\n'
STOP: Final = b'{"say": "stop"}\n'
LINE_MAX: Final = 1 << 20
"""Bytes of one line, at most."""

PROGRESS_MAX: Final = 4_096
"""Bytes of a line of progress, at most: a pipe takes it whole or not at all (POSIX: PIPE_BUF)."""

_BLOCKING_MAX: Final = 20
_SENTENCE_MAX: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What one run is to do.

    Attributes:
        text: The scenario as it was when it was selected.
        file, variant, seed: Of the plan.
        digest: Of the plan, which the run makes again from the text.
        runtime: ``process`` or ``docker``.
        reports: Where its run directory is made.
        isolate: What ``--isolate`` has come to on this machine.
    """

    text: str
    file: str
    variant: Mapping[str, str]
    seed: int
    digest: str
    runtime: str
    reports: str
    isolate: str = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What came of one run, bounded in size.

    Attributes:
        run_id, run_dir: Of the run; ``run_dir`` is its folder's name.
        verdict, outcome, exit_code, headline, blocking, reproduce, versions: As in ``RunResult``.
        failed: Expected checks whose verdict is fail.
        wall_ns: From the permission to start until its reports were written.
        usage: As in ``RunResult``.
        again, detail: Why it may be made again, as ``again.why_again`` says; empty when it may not.
        error: As in ``RunResult``.
        lost: There is no result: its process ended without one, or refused to begin.
    """

    run_id: str = ""
    run_dir: str = ""
    verdict: Verdict
    outcome: Verdict
    exit_code: int
    headline: str
    blocking: tuple[str, ...] = ()
    reproduce: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    failed: tuple[str, ...] = ()
    wall_ns: int = 0
    usage: Usage | None = None
    again: AgainCause | None = None
    detail: str = ""
    error: str = ""
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAnswer:
    """The last line of a run."""

    event: str = "ended"
    result: Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRefusal:
    """The last line of a run that could not begin."""

    event: str = "refused"
    message: str
    exit_code: int


def ended_of(result: RunResult, again: Again | None, wall_ns: int) -> Ended:
    """Return what a suite keeps of a result."""
    return Ended(
        run_id=result.run_id,
        run_dir=Path(result.run_dir).name,
        verdict=result.verdict,
        outcome=result.outcome,
        exit_code=result.exit_code,
        headline=_sentence(result.headline),
        blocking=tuple(_sentence(reason) for reason in result.blocking[:_BLOCKING_MAX]),
        reproduce=result.reproduce,
        versions=dict(result.versions),
        failed=tuple(check.check for check in result.checks if check.expected and check.verdict is Verdict.FAIL),
        wall_ns=wall_ns,
        usage=result.usage,
        again=again.cause if again is not None else None,
        detail=_sentence(again.detail) if again is not None else "",
        error=_sentence(result.error),
    )


def line(message: object) -> bytes:
    """Return a dataclass or a mapping as one line."""
    plain = dataclasses.asdict(message) if dataclasses.is_dataclass(message) else message  # type: ignore[arg-type]
    return json.dumps(plain).encode() + b"\n"


def request_of(content: bytes) -> RunRequest:
    """Return the request that ``line`` wrote."""
    return RunRequest(**json.loads(content))


def ended_from(content: Mapping[str, Any]) -> Ended:
    """Return what ``line`` wrote of an ``Ended``, decoded from JSON."""
    usage = content["usage"]
    return Ended(
        **{
            **content,
            "verdict": Verdict(content["verdict"]),
            "outcome": Verdict(content["outcome"]),
            "blocking": tuple(content["blocking"]),
            "failed": tuple(content["failed"]),
            "usage": Usage(**usage) if usage is not None else None,
        }
    )


def _sentence(text: str) -> str:
    return clip(clean(text), _SENTENCE_MAX)

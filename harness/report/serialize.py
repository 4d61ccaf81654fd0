"""The result of a run as JSON: written, read back exactly, compared, and described by a JSON Schema.

Everything is derived from the dataclasses of ``harness.result`` and ``harness.verdict``, so that nothing can drift
from them. Must never know how a result is made or shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report import derived
from harness.result import RESULT_VERSION, RunResult
from harness.verdict import Verdict


def to_json(result: RunResult) -> str:
    """Return ``result`` as indented JSON (ASCII only, valid for strict parsers), with a line break at its end."""
    return derived.to_text(result)


def from_json(text: str) -> RunResult:
    """Return the result that ``to_json`` wrote.

    Fields that are not known are ignored, so that a result with additions of a later release can be read.

    Raises:
        UsageError: The text is no JSON, names a field twice, is of another version, or a value does not fit; names the
            place.
    """
    return derived.from_text(
        text,
        RunResult,
        noun="result",
        version=RESULT_VERSION,
        hint="read it with the release that wrote it, or judge its run directory again with `harness check`",
    )


def comparable(result: RunResult) -> dict[str, Any]:
    """Return what two judgements of one history must agree on.

    That is the plan, the verdict, the outcome, and everything the checks said; not when or how fast they said it.
    """
    return {
        "digest": result.digest,
        "verdict": result.verdict.value,
        "outcome": result.outcome.value,
        "checks": {check.check: derived.plain(check) for check in result.checks},
    }


def verdict_differs(before: RunResult, after: RunResult) -> bool:
    """Return whether two judgements of one history end otherwise: as a whole, or in what one expected check says."""
    return _verdicts(before) != _verdicts(after)


def _verdicts(result: RunResult) -> tuple[Verdict, Verdict, Mapping[str, Verdict]]:
    return result.verdict, result.outcome, {check.check: check.verdict for check in result.checks if check.expected}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``result.json``."""
    return derived.schema_of(RunResult, title=f"Result of a run, version {RESULT_VERSION}", version=RESULT_VERSION)


def schema_text() -> str:
    """Return the schema as it is published in ``docs/schema/result.schema.json``."""
    return derived.schema_text(schema())

"""The part of a run's result that says why it did not pass: for the pages that show many runs.

Must never hold the result itself, nor know the medium that shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from harness.report import format as values
from harness.report import headline, phrases
from harness.report.plot_timeline import scale_of, story_svg
from harness.report.sanitize import clean, clip
from harness.result import RunResult
from harness.verdict import Finding, Verdict

_CHECKS_MAX: Final = 4
_FINDINGS_MAX: Final = 3
_LINES_MAX: Final = 6
_TEXT_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class BrokenLimit:
    """A limit that was violated: ``measured`` and ``limit`` in words."""

    check: str
    metric: str
    measured: str
    limit: str


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Why a run did not pass.

    Attributes:
        measures: The limits that were violated.
        findings: (type, message, when and during which faults) of the largest violations.
        weakening: What keeps it from a verdict, or weakens it.
        picture: Its timeline as SVG markup, escaped; empty when there is none or it was not asked for.
    """

    measures: tuple[BrokenLimit, ...]
    findings: tuple[tuple[str, str, str], ...]
    weakening: tuple[str, ...]
    picture: str


def excerpt(result: RunResult, *, picture: bool = False) -> Excerpt:
    """Return why a run did not pass, bounded in size; ``picture`` adds its timeline."""
    failed = headline.violated(result)[:_CHECKS_MAX]
    scale = scale_of([result]) if picture else None
    return Excerpt(
        measures=tuple(
            BrokenLimit(
                clip(clean(check.check), 100),
                clip(clean(limit.metric), 100),
                values.measured(limit),
                values.bound(limit),
            )
            for check in failed
            for limit in check.limits
            if limit.verdict is Verdict.FAIL
        )[: 2 * _CHECKS_MAX],
        findings=tuple(
            (
                clip(clean(finding.type), 100),
                clip(clean(finding.message), _TEXT_MAX),
                clip(_context(result, finding), _TEXT_MAX),
            )
            for check in failed
            for finding in check.findings[:_FINDINGS_MAX]
        )[: 2 * _FINDINGS_MAX],
        weakening=tuple(
            clip(sentence, _TEXT_MAX)
            for sentence, blocking in headline.weakening(result)
            if blocking or result.outcome is Verdict.INCONCLUSIVE
        )[:_LINES_MAX],
        picture=story_svg(result, scale) if scale is not None else "",
    )


def _context(result: RunResult, finding: Finding) -> str:
    during = phrases.during(result, finding)
    parts = [phrases.span(result, finding), f"during {during}" if during else ""]
    parts += [f"{word} {workers}" for word, workers in phrases.blame([finding])]
    return "; ".join(part for part in parts if part)

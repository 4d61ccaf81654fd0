"""The HTML report: one self-contained page that works offline, in light, dark and print.

Owns what the page says and in which order; how it looks is in ``templates/``. Must never read anything but a result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from harness import __version__
from harness.report import format as values
from harness.report import headline, phrases
from harness.report.atomic import write_atomic
from harness.report.badge import badge, replay_command
from harness.report.page_script import page_policy, template_text
from harness.report.plot import PATTERNS
from harness.report.plot_timeline import scale_of, story_svg, timeline_svg
from harness.report.sanitize import clean, clip
from harness.report.twins import TWINS_MAX, Comparison, compare
from harness.result import FaultResult, RunResult
from harness.verdict import CheckResult, Finding, Limit, Verdict

T = TypeVar("T")

_FINDINGS_MAX: Final = 20
_OPERATIONS_MAX: Final = 12
_ROWS_MAX: Final = 60
_TEXT_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding in words; ``cells`` are the rows of its operations, ``name`` is what ``--explain`` takes."""

    name: str
    type: str
    message: str
    when: str
    during: str
    blame: tuple[tuple[str, str], ...]
    amount: str
    cells: tuple[tuple[str, ...], ...]
    more: int


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check in words; ``more`` counts the findings that are only in ``result.json``."""

    name: str
    verdict: str
    word: str
    examined: str
    expected: bool
    must_fail: bool
    limits: tuple[Mapping[str, str], ...]
    findings: tuple[FindingView, ...]
    more: int
    reasons: tuple[str, ...]
    measures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TwinsView:
    """A canary and its twins: numbers above, one picture each under one scale; ``more`` counts the twins left out."""

    comparison: Comparison
    blame: tuple[tuple[str, str], ...]
    pictures: tuple[str, ...]
    more: int


def render_report(result: RunResult, twins: Sequence[RunResult] = ()) -> str:
    """Return the page; ``twins`` are the twins of a canary, shown next to it under the same scale."""
    checks = tuple(_check_view(result, check) for check in result.checks)
    script = template_text("report.js")
    return _template().render(
        result=result,
        status=headline.status(result),
        title=clip(clean(result.title), _TEXT_MAX),
        why=clip(clean(result.why), _TEXT_MAX),
        facts=_facts(result),
        error=clip(headline.why_incomplete(result), 4 * _TEXT_MAX),
        violated=[view for view in checks if view.expected and view.verdict == Verdict.FAIL.value],
        noticed=[view for view in checks if not view.expected and view.findings],
        weakening=headline.weakening(result)[:_ROWS_MAX],
        allowed=[clip(clean(sentence), _TEXT_MAX) for sentence in result.allowed[:_ROWS_MAX]],
        patterns=PATTERNS,
        twins=_twins_view(result, twins) if twins else None,
        timeline=timeline_svg(result),
        checks=checks,
        columns=phrases.OPERATION_COLUMNS,
        faults=[(fault, phrases.fault_span(fault), _evidence(fault)) for fault in result.faults[:_ROWS_MAX]],
        tables=_tables(result),
        run_dir=clean(result.run_dir),
        badge=badge(result),
        commands=[command for command in (replay_command(result), clean(result.reproduce)) if command],
        script=Markup(script),  # noqa: S704  our own file
        policy=page_policy(script),
        clean=lambda text: clip(clean(text), _TEXT_MAX),
        harness_version=__version__,
    )


def write_report(result: RunResult, path: Path, twins: Sequence[RunResult] = ()) -> None:
    """Write the page to ``path``, whole or not at all; raises UnfitEnvironmentError when it cannot."""
    write_atomic(path, render_report(result, twins))


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def _facts(result: RunResult) -> list[tuple[str, str]]:
    facts = [
        ("scenario", clean(result.scenario)),
        ("variant", phrases.variant_text(result)),
        ("broker", f"{clean(result.broker)} on {clean(result.runtime)}{', isolated' if result.isolated else ''}"),
        ("exact version", _exact_version(result)),
        ("seed", str(result.seed)),
        ("started", clean(result.started_wall)),
        ("took", values.format_value(phrases.wall_ns(result), "ns") if result.timings_ns else ""),
    ]
    return [(name, clip(value, 200)) for name, value in facts if value]


def _exact_version(result: RunResult) -> str:
    """Return software and version of the broker; empty when it never became known."""
    kinds = [name for name in result.versions if result.broker.startswith(f"{name}-")]
    kind = max(kinds, key=len, default="")
    return f"{clean(kind)} {clean(result.versions[kind])}" if kind else ""


def _check_view(result: RunResult, check: CheckResult) -> CheckView:
    return CheckView(
        name=clip(clean(check.check), 200),
        verdict=check.verdict.value,
        word=headline.check_word(result, check),
        examined=f"{check.examined:,} {clip(clean(check.examined_unit), 200)}",
        expected=check.expected,
        must_fail=check.check in result.must_fail,
        limits=tuple(_limit_view(limit) for limit in check.limits[:_ROWS_MAX]),
        findings=tuple(
            _finding_view(result, check, number, finding)
            for number, finding in enumerate(check.findings[:_FINDINGS_MAX], start=1)
        ),
        more=max(0, len(check.findings) - _FINDINGS_MAX),
        # Of a check that was only measured, the reason says no more than its word.
        reasons=tuple(clip(clean(reason), _TEXT_MAX) for reason in check.reasons[:_ROWS_MAX])
        if check.expected or check.limits or not check.examined
        else (),
        measures=values.counted(check)[:_ROWS_MAX],
    )


def _twins_view(result: RunResult, twins: Sequence[RunResult]) -> TwinsView:
    shown = (result, *twins[:TWINS_MAX])
    scale = scale_of(shown)
    return TwinsView(
        comparison=compare(result, twins[:TWINS_MAX]),
        blame=phrases.blame(finding for check in result.checks if check.expected for finding in check.findings),
        pictures=tuple(story_svg(run, scale) if scale is not None else "" for run in shown),
        more=max(0, len(twins) - TWINS_MAX),
    )


def _limit_view(limit: Limit) -> dict[str, str]:
    return {
        "metric": clean(limit.metric),
        "measured": values.measured(limit),
        "limit": values.bound(limit) + values.untested(limit),
        "origin": "" if limit.origin == "scenario" else clip(clean(limit.origin), _TEXT_MAX),
        "verdict": limit.verdict.value,
    }


def _finding_view(result: RunResult, check: CheckResult, number: int, finding: Finding) -> FindingView:
    return FindingView(
        name=f"{clip(clean(check.check), 60)}.{number}",
        type=clip(clean(finding.type), 200),
        message=clip(clean(finding.message), _TEXT_MAX),
        when=phrases.span(result, finding),
        during=clip(phrases.during(result, finding), _TEXT_MAX),
        blame=phrases.blame([finding]),
        amount=values.amount(check, finding),
        cells=tuple(
            tuple(clip(cell, 120) for cell in phrases.operation_cells(result, operation))
            for operation in finding.operations[:_OPERATIONS_MAX]
        ),
        more=max(0, len(finding.operations) - _OPERATIONS_MAX),
    )


def _evidence(fault: FaultResult) -> list[tuple[str, list[dict[str, str | bool]]]]:
    """Return (stage, rows) in the order the stages came."""
    rows: list[dict[str, str | bool]] = [
        {
            "stage": clip(clean(item.stage), 60),
            "target": clip(clean(item.target), 120),
            "probe": clip(clean(item.probe), 200),
            "observed": clip(clean(item.observed), _TEXT_MAX),
            "required": clip(clean(item.required), _TEXT_MAX),
            "proven": item.proven,
        }
        for item in fault.evidence[:_ROWS_MAX]
    ]
    return [(str(stage), list(items)) for stage, items in groupby(rows, key=lambda row: row["stage"])]


def _tables(result: RunResult) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    timings = tuple(
        (clean(name).replace("_", " "), values.format_value(value, "ns"))
        for name, value in _head(result.timings_ns.items())
    )
    versions = tuple((clean(name), clean(value)) for name, value in _head(result.versions.items()))
    tables: list[tuple[str, Sequence[tuple[str, str]]]] = [
        ("Counts", _rows(result.counts)),
        ("Timings", timings),
        ("Use of the machine", () if result.usage is None else _head(phrases.usage_rows(result.usage))),
        ("Cost of the harness", _rows(result.overhead)),
        ("Versions", (*versions, ("harness", __version__))),
    ]
    return [(name, tuple(rows)) for name, rows in tables if rows]


def _rows(amounts: Mapping[str, float]) -> tuple[tuple[str, str], ...]:
    return tuple(values.named_value(name, value) for name, value in _head(amounts.items()))


def _head(items: Iterable[tuple[str, T]]) -> list[tuple[str, T]]:
    return list(items)[:_ROWS_MAX]

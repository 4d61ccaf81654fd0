"""The summary page of a suite: one self-contained file that works offline and without scripts.

Owns what the page says and in which order; how it looks is in ``templates/``. The one script of the page only sorts and
filters the table, and the page's policy allows no other. Must never know how a suite is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from harness import __version__
from harness.report import suite_words as words
from harness.report.baseline_text import baseline_headline, change_sentence, plan_sentence, plan_title
from harness.report.format import format_value
from harness.report.page_script import page_policy, template_text
from harness.report.plot import PATTERNS
from harness.report.sanitize import clean, clip
from harness.report.suite_excerpt import Excerpt
from harness.report.suite_plot import report_link, suite_svg
from harness.report.suite_words import EntryStatus, SuiteStatus
from harness.suite_result import SuiteEntry, SuiteResult
from harness.verdict import Verdict

REFRESH_S: Final = 5
EXCERPTS_MAX: Final = 40
PICTURES_MAX: Final = 12
_RED_MAX: Final = 200
_OPEN_MAX: Final = 12
"""Of more runs that did not pass, the others are folded."""
_LISTED_MAX: Final = 200
_CHANGES_MAX: Final = 20
_TEXT_MAX: Final = 600
_HEADLINE_MAX: Final = 240

Excerpts = Callable[[SuiteEntry, bool], Excerpt | str | None]
"""(entry that ended, whether with a picture) → why it did not pass, or a sentence that says why that is not known."""


@dataclass(frozen=True, slots=True)
class RedView:
    """A run that did not pass; ``excerpt`` is None where only its headline is shown."""

    name: str
    title: str
    status: EntryStatus
    link: str
    facts: tuple[tuple[str, str], ...]
    excerpt: Excerpt | None
    trouble: str
    reproduce: str


@dataclass(frozen=True, slots=True)
class RowView:
    """A run in the table: ``cells`` are (text, sort key) of the columns between the outcome and the headline."""

    name: str
    link: str
    status: EntryStatus
    rank: int
    again: bool
    cells: tuple[tuple[str, str], ...]
    headline: str


@dataclass(frozen=True, slots=True)
class AgainView:
    """A run that was made again, with the link to its first execution."""

    name: str
    link: str
    cause: str
    first: str
    first_link: str
    now: EntryStatus


def render_suite_page(
    result: SuiteResult, excerpts: Excerpts | None = None, *, running: bool = False, written: str = ""
) -> str:
    """Return the page.

    Args:
        result: The suite.
        excerpts: Asked for the most severe runs only, ``EXCERPTS_MAX`` at most.
        running: The suite still goes on: the page says so and loads itself again.
        written: When the page was written, for people; shown while the suite goes on.
    """
    names = words.labels(result.entries)
    red = [pair for pair in words.by_severity(result.entries) if pair[0].state == "ended"]
    script = template_text("suite.js")
    return _template().render(
        result=result,
        status=_status(result, running, written),
        running=running,
        refresh_s=REFRESH_S,
        policy=page_policy(script),
        script=Markup(script),  # noqa: S704  our own file
        patterns=PATTERNS,
        name=clean(clip(result.name, 200)),
        facts=_facts(result),
        tally=_tally(result),
        red=list(_red_views(red[:_RED_MAX], names, excerpts)),
        open=_OPEN_MAX,
        red_more=max(0, len(red) - _RED_MAX),
        missing=_missing(result, names),
        again=_again_views(result, names)[:_LISTED_MAX],
        again_more=max(0, len(words.made_again(result.entries)) - _LISTED_MAX),
        baseline=baseline_headline(result.baseline) if result.baseline is not None else "",
        compared=_compared(result),
        picture=suite_svg(result),
        columns=COLUMNS,
        rows=_rows(result, names),
        budget=words.budget_lines(result),
        parts=_parts(result),
        versions=[(name, ", ".join(numbers)) for name, numbers in words.versions(result.entries)][:_LISTED_MAX],
        digests=[(word, clean(digest)) for word, digest in _digests(result) if digest],
        harness_version=__version__,
    )


COLUMNS: Final = ("runtime", "began", "took", "expected", "cores", "memory")


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("suite.html.j2")


def _status(result: SuiteResult, running: bool, written: str) -> SuiteStatus:
    said = words.suite_status(result)
    if not running:
        return said
    ended = sum(entry.state != "missing" for entry in result.entries)
    red = len([pair for pair in words.by_severity(result.entries) if pair[0].state == "ended"])
    so_far = f"{ended} of {words.count(len(result.entries), 'run')} ended so far, {red} without a pass"
    tone = said.tone if red else "quiet"
    return SuiteStatus("RUNNING", tone, f"{so_far}; written at {clean(written)}, loaded again every {REFRESH_S}s")


def _facts(result: SuiteResult) -> list[tuple[str, str]]:
    facts = [
        ("suite", result.suite_id),
        ("shard", result.shard),
        ("merged from", words.count(len(result.parts), "result") if result.parts else ""),
        ("started", result.started_wall),
        ("took", words.time_text(result.wall_ns)),
        ("exit code", str(result.exit_code)),
        ("harness", result.harness),
    ]
    return [(name, clean(clip(value, 200))) for name, value in facts if value]


def _tally(result: SuiteResult) -> list[tuple[str, str, int]]:
    """Return (word, tone, number of runs), the most severe first."""
    tones = {status.word: status.tone for status in words.statuses(result.entries)}
    return [(word, tones[word], number) for word, number in words.tally(result.entries).items()]


def _red_views(
    red: list[tuple[SuiteEntry, EntryStatus]], names: dict[str, str], excerpts: Excerpts | None
) -> Iterator[RedView]:
    for index, (entry, status) in enumerate(red):
        found = excerpts(entry, index < PICTURES_MAX) if excerpts is not None and index < EXCERPTS_MAX else None
        facts = [
            ("failed", words.failed_checks(entry)),
            ("seed", str(entry.seed)),
            ("runtime", entry.runtime),
            ("broker", entry.broker),
            ("tags", ", ".join(entry.tags)),
        ]
        yield RedView(
            name=names[entry.key],
            title=clean(clip(entry.title, _TEXT_MAX)),
            status=_clipped(status, _TEXT_MAX),
            link=report_link(entry.run_dir),
            facts=tuple((name, clean(clip(value, 200))) for name, value in facts if value),
            excerpt=found if isinstance(found, Excerpt) else None,
            trouble=clean(clip(found, _TEXT_MAX)) if isinstance(found, str) else "",
            reproduce=clean(clip(entry.reproduce, 2 * _TEXT_MAX)),
        )


def _clipped(status: EntryStatus, limit: int) -> EntryStatus:
    return EntryStatus(status.word, status.tone, clip(status.sentence, limit), status.red)


def _missing(result: SuiteResult, names: dict[str, str]) -> list[tuple[str, list[str], int]]:
    """Return (reason, names of runs, how many more)."""
    return [
        (
            clip(reason, _TEXT_MAX),
            [names[entry.key] for entry in entries[:_LISTED_MAX]],
            max(0, len(entries) - _LISTED_MAX),
        )
        for reason, entries in words.missing_by_reason(result.entries)[:_LISTED_MAX]
    ]


def _again_views(result: SuiteResult, names: dict[str, str]) -> list[AgainView]:
    return [
        AgainView(
            name=names[entry.key],
            link=report_link(entry.run_dir),
            cause=clip(words.made_again_text(entry), _TEXT_MAX),
            first=clean(clip(entry.made_again.headline, _TEXT_MAX)),
            first_link=report_link(entry.made_again.run_dir),
            now=status,
        )
        for entry, status in zip(result.entries, words.statuses(result.entries), strict=True)
        if entry.made_again is not None
    ]


def _compared(result: SuiteResult) -> list[tuple[str, str, str, list[str]]]:
    """Return (plan, tone, what came of it, changes) of each plan that has something to say."""
    plans = result.baseline.plans if result.baseline is not None else ()
    telling = [plan for plan in plans if plan.changes or plan.verdict is not Verdict.PASS]
    return [
        (
            clip(plan_title(plan), 300),
            plan.verdict.value,
            clip(plan_sentence(plan), _TEXT_MAX),
            [clip(change_sentence(change), _TEXT_MAX) for change in plan.changes[:_CHANGES_MAX]],
        )
        for plan in telling[:_LISTED_MAX]
    ]


def _rows(result: SuiteResult, names: dict[str, str]) -> list[RowView]:
    ranks = {word: rank for rank, word in enumerate(words.tally(result.entries))}
    return [
        RowView(
            name=names[entry.key],
            link=report_link(entry.run_dir),
            status=status,
            rank=ranks[status.word],
            again=entry.made_again is not None,
            cells=_cells(entry),
            headline=clip(status.sentence, _HEADLINE_MAX),
        )
        for entry, status in zip(result.entries, words.statuses(result.entries), strict=True)
    ]


def _cells(entry: SuiteEntry) -> tuple[tuple[str, str], ...]:
    """Return the columns of ``COLUMNS``: each as (text, what it is sorted by)."""
    cores = words.cores_used(entry)
    memory = entry.usage.memory_peak_bytes if entry.usage is not None else None
    began = entry.began_ns
    return (
        (clean(clip(entry.runtime, 20)), ""),
        ("", "-1") if began is None else (words.time_text(began), str(began)),
        (words.time_text(entry.wall_ns), str(entry.wall_ns)) if entry.wall_ns else ("", "-1"),
        (words.time_text(entry.expected.wall_ns), str(entry.expected.wall_ns)),
        ("", "-1") if cores is None else (f"{cores:.2f}", f"{cores:.4f}"),
        ("", "-1") if memory is None else (format_value(memory, "bytes"), str(memory)),
    )


def _parts(result: SuiteResult) -> list[tuple[str, str, str, float]]:
    """Return (part, CPU time, share in words, share in percent)."""
    parts = words.cpu_by_part(result.entries)
    total = sum(cpu_ns for _, cpu_ns in parts)
    return [
        (part, f"{cpu_ns / 1e9:,.1f}s", f"{cpu_ns / total:.0%}", round(100 * cpu_ns / total, 1))
        for part, cpu_ns in parts[:_LISTED_MAX]
        if total
    ]


def _digests(result: SuiteResult) -> list[tuple[str, str]]:
    return [("plans", result.plan_digest), ("costs", result.cost_digest)]

"""The summary of a suite, or of runs made one after another, in Markdown: for the summary page of a CI job.

GitHub shows at most 1 MiB per step; what does not fit is left out from the end, and counted. Texts of scenarios and
brokers are escaped, so that none of them can become markup. Must never know how a suite is run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from harness.errors import ExitCode
from harness.report import suite_words as words
from harness.report.annotations import ReadRun
from harness.report.badge import badge_line
from harness.report.baseline_text import baseline_lines
from harness.report.sanitize import clean, clip
from harness.report.suite_excerpt import Excerpt, excerpt
from harness.report.suite_words import EntryStatus
from harness.result import RunResult
from harness.suite_result import SuiteEntry, SuiteResult

BYTES_MAX: Final = 1_000_000
"""Below GitHub's limit of 1,048,576 bytes, with room for what other steps' tools add."""
_RESERVE: Final = 4_000
"""Bytes for what is never left out."""
_READ_MAX: Final = 40
_TEXT_MAX: Final = 600
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|~@:])")


def suite_markdown(result: SuiteResult, read: ReadRun, *, bytes_max: int = BYTES_MAX, missing: int = 0) -> str:
    """Return the summary.

    Args:
        result: The suite.
        read: Is asked for the results of the most severe runs only.
        bytes_max: Inclusive.
        missing: Runs that are not among the entries: the session goes on, or was broken off.
    """
    kept: list[str] = []
    size, left = 0, 0
    for part, optional in _parts(result, read, missing):
        length = len(part.encode("utf-8", "backslashreplace"))
        if optional and size + length > bytes_max - _RESERVE:
            left += 1
            continue
        kept.append(part)
        size += length
    if left:
        kept.append(f"\n{left} further parts did not fit; they are in the suite's `index.html`.\n")
    return "".join(kept)


def _parts(result: SuiteResult, read: ReadRun, missing: int) -> Iterator[tuple[str, bool]]:
    """Yield (Markdown, whether it may be left out), in the order of the page."""
    names = {key: _escaped(name) for key, name in words.labels(result.entries).items()}
    word, sentence = _head(result, missing)
    shard = f", shard {_escaped(result.shard)}" if result.shard else ""
    yield f"## {word}: {_escaped(clip(result.name, 200))}{shard}\n\n", False
    counted = words.tally_text(result.entries) or "no runs"
    took = words.time_text(result.wall_ns)
    yield f"{_escaped(sentence)}. {counted}; exit code {result.exit_code}, took {took}.\n", False
    red = [pair for pair in words.by_severity(result.entries) if pair[0].state == "ended"]
    if red:
        yield "\n### What did not pass\n", False
    for index, (entry, status) in enumerate(red):
        run = read(entry) if index < _READ_MAX else ""
        yield _failure(entry, status, names[entry.key], run), True
    groups = words.missing_by_reason(result.entries)
    if groups:
        yield "\n### What is missing\n\n", False
    for reason, entries in groups:
        yield f"- {_escaped(clip(reason, _TEXT_MAX))}: {', '.join(names[one.key] for one in entries)}\n", True
    yield from _made_again(result, names)
    if result.baseline is not None:
        yield "\n### Compared with earlier runs\n\n", False
        for line in baseline_lines(result.baseline):
            indent = len(line) - len(line.lstrip())
            yield f"{' ' * max(0, indent - 2)}- {_escaped(clip(line.strip(), _TEXT_MAX))}\n", True
    yield from _table(result, names)
    machine = ", ".join(f"{name} {value}" for name, value in words.budget_lines(result))
    if machine:
        yield f"\nMachine: {_escaped(machine)}.\n", True


def _head(result: SuiteResult, missing: int) -> tuple[str, str]:
    """Return the first word, and the sentence after it."""
    said = words.suite_status(result)
    if not missing:
        return said.word, said.sentence
    made = said.sentence if words.by_severity(result.entries) else f"{words.count(len(result.entries), 'run')} passed"
    word = "NOT COMPLETE" if result.exit_code in {ExitCode.PASS, ExitCode.INTERRUPTED} else said.word
    return word, f"{made}; {words.count(missing, 'run')} {'is' if missing == 1 else 'are'} not made"


def _failure(entry: SuiteEntry, status: EntryStatus, name: str, run: RunResult | str) -> str:
    """Return what broke, whether it is real, how to see it again, and the findings."""
    lines = [f"\n**{status.word}** {name}\n", f"{_escaped(clip(status.sentence, _TEXT_MAX))}\n"]
    if isinstance(run, RunResult):
        lines.append(f"Is it real: {_escaped(clip(badge_line(run), _TEXT_MAX))}\n")
    if entry.reproduce:
        lines.append(_code(entry.reproduce))
    if isinstance(run, RunResult):
        lines += _details(excerpt(run))
    elif run:
        lines.append(f"{_escaped(clip(run, _TEXT_MAX))}\n")
    return "\n".join(lines)


def _details(found: Excerpt) -> list[str]:
    lines = [
        f"- {_escaped(f'{one.check} {one.metric}')}: **{_escaped(one.measured)}** measured, limit {_escaped(one.limit)}"
        for one in found.measures
    ]
    for kind, message, context in found.findings:
        lines.append(f"- {_escaped(kind)}: {_escaped(message)}{f' ({_escaped(context)})' if context else ''}")
    lines += [f"- {_escaped(sentence)}" for sentence in found.weakening]
    return [*lines, ""] if lines else []


def _made_again(result: SuiteResult, names: dict[str, str]) -> Iterator[tuple[str, bool]]:
    if not words.made_again(result.entries):
        return
    yield "\n### What was made again\n\n| run | because of | first execution | now |\n|---|---|---|---|\n", False
    for entry, status in zip(result.entries, words.statuses(result.entries), strict=True):
        again = entry.made_again
        if again is not None:
            cause = _escaped(clip(words.made_again_text(entry), 300))
            first = _escaped(clip(again.headline, 300))
            yield f"| {names[entry.key]} | {cause} | {first} | {status.word} |\n", True


def _table(result: SuiteResult, names: dict[str, str]) -> Iterator[tuple[str, bool]]:
    if not result.entries:
        return
    title = f"All {words.count(len(result.entries), 'run')}"
    yield f"\n<details><summary>{title}</summary>\n\n| run | outcome | runtime | took | headline |\n", False
    yield "|---|---|---|---|---|\n", False
    for entry, status in zip(result.entries, words.statuses(result.entries), strict=True):
        took = words.time_text(entry.wall_ns) if entry.wall_ns else ""
        cells = [names[entry.key], status.word, _escaped(clean(clip(entry.runtime, 20))), took]
        yield f"| {' | '.join(cells)} | {_escaped(clip(status.sentence, 160))} |\n", True
    yield "\n</details>\n", False


def _escaped(text: str) -> str:
    """Return text that Markdown and HTML show as it is, on one line."""
    safe = _SPECIAL.sub(r"\\\1", clean(text))
    return safe.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(text: str) -> str:
    """Return a block of code that nothing in the text can end."""
    body = clean(clip(text, 4 * _TEXT_MAX))
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    return f"{fence}sh\n{body}\n{fence}\n"

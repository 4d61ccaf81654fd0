"""A suite as text for a terminal: what it came to, what did not pass and why, and how the machine was used.

Must never know where the console writes to, nor how a suite is run.
"""

from __future__ import annotations

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report import suite_words as words
from harness.report.baseline_text import baseline_lines
from harness.report.sanitize import clean, clip
from harness.report.suite_words import EntryStatus, Tone
from harness.suite_result import SuiteEntry, SuiteResult

STYLES: Final[dict[Tone, str]] = {
    "pass": "green",
    "fail": "red",
    "inconclusive": "yellow",
    "error": "magenta",
    "quiet": "dim",
}
_ROWS_MAX: Final = 100
"""From this many runs on, the table leaves out those that passed."""
_SHOWN_MAX: Final = 50
_NARROW: Final = 100
"""Below this width the table has no runtime and no cores."""
_HEADLINE_MIN: Final = 16
_PAGE: Final = "index.html"


def render_suite(result: SuiteResult, console: Console) -> None:
    """Print a suite: totals and exit code, the first failure, the others, what is missing, what was made again, the
    table of runs, and how the budget was used.
    """
    said = words.suite_status(result)
    names = words.labels(result.entries)
    shard = f" shard {clean(result.shard)}" if result.shard else ""
    console.print(
        Text.assemble(
            (said.word, f"bold {STYLES[said.tone]}"),
            (f"  {clean(clip(result.name, 100))}{shard}: {said.sentence}", "bold"),
        )
    )
    total = words.count(len(result.entries), "run")
    counted = words.tally_text(result.entries) or "nothing"
    console.print(
        Text(f"{total}: {counted}; exit code {result.exit_code}, took {words.time_text(result.wall_ns)}"),
        soft_wrap=True,
    )
    _print_failures(result, names, console)
    _print_missing(result, names, console)
    _print_made_again(result, names, console)
    if result.baseline is not None:
        console.print(Text("\nCompared with earlier runs", style="bold"))
        for line in baseline_lines(result.baseline):
            _print_indented(console, clip(line.strip(), 600), indent=2 + len(line) - len(line.lstrip()))
    if result.entries:
        console.print()
        _print_table(result, names, console)
    _print_budget(result, console)


def _print_failures(result: SuiteResult, names: dict[str, str], console: Console) -> None:
    first = words.first_failure(result.entries)
    if first is None:
        return
    when = (first[0].began_ns or 0) + first[0].wall_ns
    console.print(Text(f"\nFirst without a pass, after {words.time_text(when)}", style="bold"))
    _print_failure(*first, names, console)
    others = [pair for pair in words.by_severity(result.entries) if pair[0].state == "ended" and pair != first]
    if others:
        console.print(Text("\nNot passed either", style="bold"))
    for entry, status in others[:_SHOWN_MAX]:
        _print_failure(entry, status, names, console)
    _print_rest(len(others), console)


def _print_failure(entry: SuiteEntry, status: EntryStatus, names: dict[str, str], console: Console) -> None:
    heading = Text.assemble((f"  {status.word} ", STYLES[status.tone]), (names[entry.key], "bold"))
    if entry.failed:
        heading.append(f"  {words.failed_checks(entry)}")
    console.print(heading, soft_wrap=True)
    _print_indented(console, clip(status.sentence, 600))
    if entry.reproduce:
        console.print(Text(f"    {clean(entry.reproduce)}", style="cyan"), soft_wrap=True)
    if entry.run_dir:
        console.print(Text(f"    {clean(entry.run_dir)}", style="dim"), soft_wrap=True)


def _print_missing(result: SuiteResult, names: dict[str, str], console: Console) -> None:
    groups = words.missing_by_reason(result.entries)
    if groups:
        console.print(Text("\nMissing", style="bold"))
    for reason, entries in groups[:_SHOWN_MAX]:
        shown = ", ".join(names[entry.key] for entry in entries[:_SHOWN_MAX])
        more = f" and {len(entries) - _SHOWN_MAX} more" if len(entries) > _SHOWN_MAX else ""
        _print_indented(console, f"{clip(reason, 300)}: {shown}{more}", indent=2)
    _print_rest(len(groups), console)


def _print_made_again(result: SuiteResult, names: dict[str, str], console: Console) -> None:
    entries = words.made_again(result.entries)
    if entries:
        console.print(Text(f"\nMade again, once, alone: {words.count(len(entries), 'run')}", style="bold"))
    status = {entry.key: status for entry, status in zip(result.entries, words.statuses(result.entries), strict=True)}
    for entry in entries[:_SHOWN_MAX]:
        again, now = entry.made_again, status[entry.key]
        if again is None:
            continue
        ended = Text.assemble(f"  {names[entry.key]}, now ", (now.word, STYLES[now.tone]))
        console.print(ended, soft_wrap=True)
        _print_indented(console, f"because of {clip(words.made_again_text(entry), 400)}")
        _print_indented(console, f"first run: {clean(clip(again.headline, 400))}")
    _print_rest(len(entries), console)


def _print_table(result: SuiteResult, names: dict[str, str], console: Console) -> None:
    rows = list(zip(result.entries, words.statuses(result.entries), strict=True))
    shown = rows if len(rows) <= _ROWS_MAX else [(entry, status) for entry, status in rows if status.word != "PASS"]
    if shown:
        console.print(_table(shown[: 2 * _ROWS_MAX], names, console.width))
    left = len(rows) - len(shown[: 2 * _ROWS_MAX])
    if left:
        console.print(Text(f"{left:,} more {'run is' if left == 1 else 'runs are'} in {_PAGE}", style="dim"))


def _table(rows: list[tuple[SuiteEntry, EntryStatus]], names: dict[str, str], width: int) -> Table:
    """Return a line for each run; a long name may take several, and the headline is cut, for it is in full above."""
    columns = [
        ("run", [names[entry.key] for entry, _ in rows]),
        ("outcome", [status.word for _, status in rows]),
        ("runtime", [clean(entry.runtime) for entry, _ in rows]),
        ("wall", [words.time_text(entry.wall_ns) if entry.wall_ns else "" for entry, _ in rows]),
        ("cores", [_cores(entry) for entry, _ in rows]),
    ]
    if width < _NARROW:
        columns = [column for column in columns if column[0] not in {"runtime", "cores"}]
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    room = width
    for name, cells in columns:
        wanted = max(cell_len(text) for text in (name, *cells))
        taken = min(wanted, width * 2 // 5) if name == "run" else wanted
        right = name in {"wall", "cores"}
        table.add_column(name, width=taken, overflow="fold", justify="right" if right else "left")
        room -= taken + 3
    if room >= _HEADLINE_MIN:
        table.add_column("headline", no_wrap=True)
    for index, (entry, status) in enumerate(rows):
        styles = {"outcome": STYLES[status.tone]}
        row = [Text(texts[index], styles.get(name, "")) for name, texts in columns]
        if room >= _HEADLINE_MIN:
            headline = Text(f"{'made again; ' if entry.made_again is not None else ''}{clip(status.sentence, 600)}")
            headline.truncate(room, overflow="ellipsis")
            row.append(headline)
        table.add_row(*row)
    return table


def _cores(entry: SuiteEntry) -> str:
    used = words.cores_used(entry)
    return "" if used is None else f"{used:.2f}"


def _print_budget(result: SuiteResult, console: Console) -> None:
    lines = ", ".join(f"{name} {value}" for name, value in words.budget_lines(result))
    console.print(Text.assemble(("\nMachine  ", "bold"), lines))
    parts = words.cpu_by_part(result.entries)
    total = sum(cpu_ns for _, cpu_ns in parts)
    if total:
        shares = ", ".join(f"{part} {cpu_ns / 1e9:,.1f}s ({cpu_ns / total:.0%})" for part, cpu_ns in parts)
        console.print(Text.assemble(("CPU time ", "bold"), f"{total / 1e9:,.1f}s: {shares}"))


def _print_rest(total: int, console: Console) -> None:
    if total > _SHOWN_MAX:
        console.print(Text(f"  {total - _SHOWN_MAX} more are in {_PAGE}", style="dim"))


def _print_indented(console: Console, text: str, indent: int = 4) -> None:
    """Print wrapped text at an indent; no line ends in blanks."""
    for line in Text(text).wrap(console, max(20, console.width - indent)):
        line.rstrip()
        console.print(Text(" " * indent) + line, soft_wrap=True)

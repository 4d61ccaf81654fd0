"""Several runs at a glance: one table, how often which outcome occurred, and the exit code of the whole.

Must never know how runs are selected or made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.errors import ExitCode, suite_exit_code
from harness.report import format as values
from harness.report import headline, phrases
from harness.report.sanitize import clean, clip
from harness.report.text import STYLES
from harness.report.twins import comparison_lines
from harness.result import RunResult

NOT_SHOWN: Final = "NOT SHOWN"
"""Of a run that failed while its race passed."""


def tally(results: Iterable[RunResult], not_shown: Collection[str] = ()) -> dict[str, int]:
    """Return status word → how many results have it (``FAIL``: 2), the most frequent first."""
    words = (NOT_SHOWN if result.run_id in not_shown else headline.status(result).word for result in results)
    return dict(Counter(words).most_common())


def render_summary(
    results: Sequence[RunResult],
    console: Console,
    code: ExitCode | None = None,
    notes: Sequence[str] = (),
    not_shown: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Print the totals, how canaries compare with their twins, and a table of all runs; repeats are counted apart.

    Args:
        results: Of all runs.
        console: Where to.
        code: Exit code of the whole; None where each run counts by itself.
        notes: A sentence on each race, and on each plan that was skipped.
        not_shown: Run id → why a run that failed does not count: its race passed without it.
    """
    if code is None:
        code = suite_exit_code(result.exit_code for result in results)
    counted = ", ".join(f"{count} {word}" for word, count in tally(results, not_shown).items())
    took = values.format_value(sum(phrases.wall_ns(result) for result in results), "ns")
    tone = "green" if code is ExitCode.PASS else "yellow" if code is ExitCode.INCONCLUSIVE else "red"
    runs = "1 run" if len(results) == 1 else f"{len(results)} runs"
    console.print(Text.assemble((f"{runs}: {counted or 'nothing'}", f"bold {tone}"), f"  exit code {code}, {took}"))
    _print_repeats(results, console, not_shown)
    for line in (*map(clean, notes), *comparison_lines(results)):
        console.print(Text(line))
    if results:
        console.print(_table(results, not_shown, narrow=console.width < 90))


def _print_repeats(results: Sequence[RunResult], console: Console, not_shown: Mapping[str, str]) -> None:
    groups: dict[tuple[str, str], list[RunResult]] = {}
    for result in results:
        groups.setdefault((result.digest, clean(result.scenario)), []).append(result)
    for (_, scenario), runs in groups.items():
        if len(runs) < 2:
            continue
        variant = phrases.variant_text(runs[0])
        counted = ", ".join(f"{count} {word} of {len(runs)}" for word, count in tally(runs, not_shown).items())
        console.print(Text(f"{clip(scenario, 80)}{f' [{clip(variant, 80)}]' if variant else ''} repeated: {counted}"))


def _table(results: Sequence[RunResult], not_shown: Mapping[str, str], *, narrow: bool) -> Table:
    """Return the table; on a narrow console the variant moves below the scenario."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for name in ("scenario", "verdict") if narrow else ("scenario", "variant", "verdict", "outcome"):
        table.add_column(name, overflow="fold", min_width=8)
    table.add_column("wall", justify="right", no_wrap=True)
    table.add_column("headline", overflow="fold", ratio=1)
    for result in results:
        said = headline.status(result)
        scenario, variant = clip(clean(result.scenario), 60), clip(phrases.variant_text(result), 80)
        spared = not_shown.get(result.run_id)
        outcome = Text(said.word, STYLES[said.tone]) if spared is None else Text(NOT_SHOWN)
        if narrow:
            cells = [Text(f"{scenario}\n{variant}" if variant else scenario), outcome]
        else:
            cells = [Text(scenario), Text(variant), Text(result.verdict.value), outcome]
        wall = values.format_value(phrases.wall_ns(result), "ns") if result.timings_ns else ""
        table.add_row(*cells, Text(wall), Text(clip(clean(spared or said.sentence), 200)))
    return table

"""What a suite would do, as a table: in which order its runs would begin, what each is expected to take, how long all.

Must never know how a schedule is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.format import format_value
from harness.report.sanitize import clean
from harness.report.suite_words import count, time_text
from harness.suite_result import Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRow:
    """One run that would be made.

    Attributes:
        key: Of its entry.
        runtime: Where it would run.
        cost: What it is expected to take.
        start_ns: After the start of the suite.
    """

    key: str
    runtime: str
    cost: Cost
    start_ns: int


def render_forecast(rows: Sequence[ForecastRow], cores: float, memory_bytes: int, console: Console) -> None:
    """Print runs in the order in which they would begin, and how long all of them would take."""
    ends = max((row.start_ns + row.cost.wall_ns for row in rows), default=0)
    busy = sum(row.cost.cores * row.cost.wall_ns for row in rows) / (cores * ends) if ends else 0.0
    console.print(
        Text(
            f"{count(len(rows), 'run')}, about {time_text(ends)} within {cores:g} cores and "
            f"{format_value(memory_bytes, 'bytes')}; {busy:.0%} of the cores in use"
        )
    )
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for name in ("begins", "takes", "cores", "memory"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("cost", "runtime"):
        table.add_column(name, no_wrap=True)
    table.add_column("run", overflow="fold", ratio=1)
    for row in sorted(rows, key=lambda row: row.start_ns):
        cost = row.cost
        table.add_row(
            time_text(row.start_ns) if row.start_ns else "0s",
            time_text(cost.wall_ns),
            f"{cost.cores:.2f}",
            format_value(cost.memory_bytes, "bytes"),
            cost.source,
            row.runtime,
            Text(clean(row.key)),
        )
    console.print(table)

"""The allocators side by side, measured: what each did to a real pull group, from the run directories of its runs.

``python -m harness.brokers.rocketmq.allocator_runs RUN_DIR…`` prints it as Markdown, with one row for each allocator,
whatever the number of its runs. Skew, moves, redeliveries, order and ownership are as judged (``result.json``); how
long a queue that moved had no owner comes from the history.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError, UsageError
from harness.history.ownership_spans import OwnershipTenure
from harness.history.read import History
from harness.units import format_ns

_KEY = "workload.consumer.allocator"
_COLUMNS = (
    *("allocator", "runs", "skew", "moved per change", "at most", "a move's pause", "at most"),
    *("redelivered", "out of order", "two owners", "no owner"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredRow:
    """What one run came to.

    Attributes:
        name: Of the allocator.
        skew: Largest less smallest number of queues of a member, after any rebalance; None when none was ever over.
        moved: Queues that changed hands, per change of the members that the plan makes.
        moved_most: Queues that changed hands in one rebalance.
        pauses_ns: How long each queue that changed hands had no owner.
        redelivered: Deliveries of a message that had been delivered before.
        inversions: Messages that came after a later one of their key.
        dual_ns, unowned_ns: Longest time in which two members worked on a queue, and in which one had no owner.
    """

    name: str
    skew: int | None
    moved: float
    moved_most: int
    pauses_ns: tuple[int, ...]
    redelivered: int
    inversions: int
    dual_ns: int
    unowned_ns: int


def read_run(run_dir: Path, load: Callable[[Path], History] = History.load) -> MeasuredRow:
    """Return what a run came to; raises UsageError where its directory does not say so, HistoryError."""
    try:
        result: dict[str, Any] = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
        measures = {found["check"]: found["measures"] for found in result["checks"]}
        rebalances, ownership = measures["rebalances"], measures["ownership"]
        history = load(run_dir)
        name = result["variant"].get(_KEY, "") or _planned(run_dir)
        return MeasuredRow(
            name=name,
            skew=int(rebalances["skew"]) if rebalances["count"] > rebalances["unfinished"] else None,
            moved=rebalances["moves_total"] / max(1, history.facts.membership_changes),
            moved_most=int(rebalances["moves"]),
            pauses_ns=pauses(history),
            redelivered=int(measures["duplicates"]["redelivered"]),
            inversions=int(measures["order"]["inversions"]),
            dual_ns=int(ownership["dual_ns"]),
            unowned_ns=int(ownership["unowned_ns"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{run_dir} does not say what an allocator did: {error!r}") from error


def pauses(history: History) -> tuple[int, ...]:
    """Return how long each queue had no owner that changed hands in the timeline, ns; 0 where there always was one."""
    window = history.window("faults")
    start, end = window if window is not None else (history.span.start_ns, history.span.end_ns)
    by_partition: dict[int, list[OwnershipTenure]] = defaultdict(list)
    for tenure in history.ownership_spans:
        by_partition[tenure.partition].append(tenure)
    found = []
    for tenures in by_partition.values():
        tenures.sort(key=lambda tenure: tenure.start_ns)
        found += [
            max(0, after.start_ns - before.end_ns)
            for before, after in itertools.pairwise(tenures)
            if before.worker != after.worker and start <= after.start_ns < end
        ]
    return tuple(found)


def measured_table(rows: Iterable[MeasuredRow]) -> str:
    """Return the table as Markdown: a row for each allocator, in order of its first run."""
    by_name: dict[str, list[MeasuredRow]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    head = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    return "\n".join([*head, *(f"| `{name}` | {len(runs)} | {_cells(runs)} |" for name, runs in by_name.items())])


def _cells(runs: Sequence[MeasuredRow]) -> str:
    """Return what the runs of one allocator came to: medians of moves' pauses and of redeliveries, the mean of moves,
    and the worst of everything else. A run whose members never came to rest has no skew.
    """
    skews = [run.skew for run in runs if run.skew is not None]
    pauses_ns = [length for run in runs for length in run.pauses_ns]
    cells = (
        max(skews) if skews else "–",
        f"{statistics.mean(run.moved for run in runs):.1f}",
        max(run.moved_most for run in runs),
        _rounded(statistics.median(pauses_ns or (0,))),
        _rounded(max(pauses_ns, default=0)),
        round(statistics.median(run.redelivered for run in runs)),
        max(run.inversions for run in runs),
        _rounded(max(run.dual_ns for run in runs)),
        _rounded(max(run.unowned_ns for run in runs)),
    )
    return " | ".join(map(str, cells))


def _rounded(length_ns: float) -> str:
    """Return a time in whole milliseconds."""
    return format_ns(round(length_ns / 1e6) * 1_000_000) if length_ns >= 500_000 else "0"


def _planned(run_dir: Path) -> str:
    plan = json.loads((run_dir / "plan.json").read_text(encoding="utf-8"))
    return str(plan["workload"]["consumer"]["allocator"])


def main(arguments: Sequence[str], load: Callable[[Path], History] = History.load) -> int:
    """Print the table of these run directories, without those that have nothing to show; return the exit code."""
    rows, code = [], 0
    for argument in arguments:
        try:
            rows.append(read_run(Path(argument), load))
        except HarnessError as error:
            sys.stderr.write(f"{error}\n")
            code = int(error.exit_code)
    sys.stdout.write(measured_table(rows) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What ``harness suite`` does once its line is read: it lists, foretells, starts or resumes a suite.

Owns which of these a line asks for. Knows no options of click, and prints no result.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.suite_options import LAST, Doing, Kept, Machine
from harness.engine.isolation import Isolation
from harness.errors import UsageError
from harness.suites.budget import machine_budget
from harness.suites.choose import Choice, Wish, choose
from harness.suites.compared_suite import BaselineRequest
from harness.suites.cost import CostBook, book_path
from harness.suites.cost_file import GivenCosts, read_costs
from harness.suites.launch import Means, new_head, places_of, resume, start
from harness.suites.rules import UNTIL_FAIL_ROUNDS, Rules
from harness.suites.state import SuiteDir, incomplete, last_incomplete
from harness.suites.store import default_store

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.suite_progress import SuiteProgress
    from harness.suite_result import SuiteResult
    from harness.suites.draw import Drawn
    from harness.suites.place import Place


def make_suite(
    wish: Wish, doing: Doing, machine: Machine, kept: Kept, listener: SuiteProgress, out: Console
) -> tuple[SuiteResult, SuiteDir] | None:
    """Do what a line asks for; return what came of the suite, None when none was to be run.

    Args:
        wish: What is to be run; without names, a suite is resumed as it was chosen.
        doing: What is done with it.
        machine: What the line says of the machine.
        kept: Where runs are kept; its baseline is that of a suite that is resumed, for a new one the choice says it.
        listener: Hears of progress.
        out: Where a forecast is printed.
    """
    given = read_costs(machine.costs) if machine.costs is not None else None
    book = CostBook(book_path(), given)
    budget = machine_budget(machine.cores, machine.memory_bytes, doing.reports)
    listener.say(budget.notes)
    isolation = Isolation(machine.isolate)
    means = Means(budget=budget, costs=book, listener=listener, trusted=wish.trusted, isolation=isolation)
    if not wish.names:
        named = doing.resumed or LAST
        folder = last_incomplete(doing.reports) if named == LAST else SuiteDir(Path(named))
        result = resume(folder, _with_store(means, kept, kept.baseline_text))
    else:
        choice = choose(wish)
        means = _with_store(means, kept, choice.baseline)
        listener.say(choice.used)
        drawn = _draw(choice, doing.shard, given, listener) if doing.shard is not None else None
        if _only_shown(doing, choice, drawn, means, listener, out):
            return None
        result, folder = _begin(doing, choice, drawn, means, listener)
    listener.say(book.notes)
    return result, folder


def _with_store(means: Means, kept: Kept, baseline: str | None) -> Means:
    """Return the means of a suite whose runs are kept, and which is compared with a baseline if there is one."""
    path = kept.store_file or default_store()
    wanted = None
    if baseline:
        wanted = BaselineRequest(store=path, text=baseline, tolerance=kept.tolerance, optional=kept.optional)
    return replace(means, store=None if kept.no_store else path, baseline=wanted)


def _draw(choice: Choice, shard: str, given: GivenCosts | None, listener: SuiteProgress) -> Drawn:
    """Return one shard of what was chosen."""
    from harness.suites.draw import draw  # noqa: PLC0415  only shards are drawn
    from harness.suites.shards import parse_shard  # noqa: PLC0415

    if choice.until_fail:
        raise UsageError("--until-fail has no shards: how many runs there are is not known before")
    drawn = draw(choice.items, parse_shard(shard, os.environ), given)
    said = f"shard {drawn.shard}: {len(drawn.items)} of {len(choice.items)} runs"
    listener.say([said if drawn.items else f"{said}; `harness suite merge` of all shards gives the suite's result"])
    return drawn


def _only_shown(
    doing: Doing, choice: Choice, drawn: Drawn | None, means: Means, listener: SuiteProgress, out: Console
) -> bool:
    """Print or write what a line asks for that runs nothing; return whether it is one."""
    items = choice.items if drawn is None else drawn.items
    if doing.only_list:
        click.echo("".join(f"{item.key}\n" for item in items), nl=False)
    elif doing.costs_file is not None:
        _write_costs(doing.costs_file, places_of(choice.items, means.costs, listener))
    elif doing.dry_run:
        _forecast(places_of(items, means.costs, listener), means, out)
    else:
        return False
    return True


def _begin(
    doing: Doing, choice: Choice, drawn: Drawn | None, means: Means, listener: SuiteProgress
) -> tuple[SuiteResult, SuiteDir]:
    """Run what was chosen, or what the last incomplete suite of the same runs lacks where that is asked for."""
    items = choice.items if drawn is None else drawn.items
    if doing.resumed and items:
        seeds = {item.key: None if item.selected.seed_drawn else item.plan.seed for item in items}
        before = incomplete(doing.reports, seeds, "" if drawn is None else str(drawn.shard))
        if before is not None:
            return resume(before, means), before
    return _start(choice, places_of(items, means.costs, listener), drawn, doing.reports, means)


def _start(
    choice: Choice, places: Sequence[Place], drawn: Drawn | None, reports: Path, means: Means
) -> tuple[SuiteResult, SuiteDir]:
    rules = Rules(
        deadline_ns=choice.deadline_ns,
        fail_fast=choice.fail_fast,
        rounds=UNTIL_FAIL_ROUNDS if choice.until_fail else 1,
        repeat=choice.repeat,
    )
    folder = SuiteDir.create(reports, choice.name)
    head = new_head(folder, choice.name)
    if drawn is not None:
        from harness.suites.draw import head_of  # noqa: PLC0415  only shards are drawn

        head = head_of(head, drawn)
    return start(places, folder, head, rules, means), folder


def _write_costs(file: Path, places: Sequence[Place]) -> None:
    from harness.suites.cost import cost_key, write_costs  # noqa: PLC0415  only --write-costs does

    keyed = [(cost_key(place.needed_item.plan), place) for place in places]
    given = GivenCosts(
        costs={(key, place.runtime): place.cost for key, place in keyed},
        names={key: place.label for key, place in keyed},
    )
    write_costs(file, given)


def _forecast(places: Sequence[Place], means: Means, out: Console) -> None:
    from harness.report.suite_forecast import ForecastRow, render_forecast  # noqa: PLC0415  only --dry-run prints one
    from harness.suites.schedule import expected_slots  # noqa: PLC0415

    rows = [
        ForecastRow(
            key=places[slot.index].entry.key,
            runtime=places[slot.index].runtime,
            cost=places[slot.index].cost,
            start_ns=slot.start_ns,
        )
        for slot in expected_slots([place.cost for place in places], means.budget)
    ]
    render_forecast(rows, means.budget.cores, means.budget.memory_bytes, out)

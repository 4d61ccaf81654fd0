"""``harness suite``: many scenarios side by side, with one answer."""

from __future__ import annotations

import functools
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from harness.commands.options import (
    EXIT_CODES,
    annotations_option,
    baseline_option,
    baseline_optional_option,
    pairs,
    reports_option,
    seed_option,
    store_option,
    summary_option,
    tolerance_option,
)
from harness.errors import ExitCode, UnfitEnvironmentError, UsageError, suite_exit_code
from harness.runtime.contract import RUNTIMES
from harness.units import BYTES, DURATION, Unit

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.suite_progress import SuiteProgress
    from harness.suite_result import SuiteResult
    from harness.suites.choose import Choice, Wish
    from harness.suites.cost import CostBook
    from harness.suites.cost_file import GivenCosts
    from harness.suites.draw import Drawn
    from harness.suites.launch import Means
    from harness.suites.place import Place
    from harness.suites.state import SuiteDir

LAST: Final = "last"


class _SuiteCommand(click.Command):
    """``harness suite NAMES…``, and ``harness suite merge``, which is found by its first word."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context of the command that the first word names."""
        if args[:1] == ["merge"]:
            from harness.commands.suite_merge import merge  # noqa: PLC0415  commands load only what they need

            return merge.make_context(f"{info_name} merge", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(cls=_SuiteCommand, epilog=EXIT_CODES)
@click.argument("names", nargs=-1)
@seed_option
@click.option("--tag", "tags", multiple=True, help="Only scenarios with this tag (repeatable: any of them).")
@click.option("--where", default="", metavar="EXPRESSION", help="Only plans of which this is true (docs/suites.md).")
@click.option("--variant", "wanted", multiple=True, metavar="PATH=VALUE", help="Only these variants of a matrix.")
@click.option("--config", type=click.Path(path_type=Path), help="File of suites.  [default: suites.yaml, if it exists]")
@click.option(
    "--runtime",
    type=click.Choice(["auto", *RUNTIMES, "both"]),
    envvar="HARNESS_RUNTIME",
    show_envvar=True,
    help="Where nodes run; both: every plan in processes and in containers.  [default: auto]",
)
@click.option("--repeat", type=click.IntRange(1, 10_000), help="Run each plan N times.  [default: 1]")
@click.option("--until-fail", is_flag=True, help="Go on until a run fails or the deadline comes.")
@click.option("--fail-fast", is_flag=True, help="Begin no run after one that failed.")
@click.option("--deadline", metavar="DURATION", help="Begin no run that is expected to end later than this (30m).")
@click.option("--list", "only_list", is_flag=True, help="Print the runs that are selected, and run nothing.")
@click.option("--dry-run", is_flag=True, help="Print the order, costs and expected time, and run nothing.")
@click.option(
    "--resume",
    "resumed",
    is_flag=False,
    flag_value=LAST,
    metavar="[DIR]",
    help="Make what a suite lacks: of this directory, else the last incomplete one; with NAMES, the last incomplete "
    "one of the same runs, or a new one.",
)
@click.option(
    "--shard", metavar="I/N|auto", help="Only this part of the suite, from 1/N; auto: as the variables of CI say."
)
@click.option("--cores", type=float, help="CPUs that all runs together may use.  [default: what there is, less 5%]")
@click.option("--memory", metavar="SIZE", help="Memory that all runs together may use (4GiB).")
@click.option("--costs", type=click.Path(path_type=Path), help="File of costs, in place of those recorded here.")
@click.option(
    "--write-costs",
    "costs_file",
    type=click.Path(path_type=Path),
    help="Write what each run is expected to take to a file for --costs, and run nothing.",
)
@reports_option
@click.option("--junit", type=click.Path(path_type=Path), help="Also write one JUnit XML file of the suite.")
@annotations_option
@summary_option
@click.option("--json", "as_json", is_flag=True, help="Print suite.json on stdout instead of text.")
@baseline_option
@tolerance_option
@baseline_optional_option
@store_option
@click.option("--no-store", is_flag=True, help="Add the runs to no store.")
def suite(
    names: tuple[str, ...],
    *,
    seed: int | None,
    tags: tuple[str, ...],
    where: str,
    wanted: tuple[str, ...],
    config: Path | None,
    runtime: str | None,
    repeat: int | None,
    until_fail: bool,
    fail_fast: bool,
    deadline: str | None,
    only_list: bool,
    dry_run: bool,
    resumed: str | None,
    shard: str | None,
    cores: float | None,
    memory: str | None,
    costs: Path | None,
    costs_file: Path | None,
    reports: Path,
    junit: Path | None,
    annotations: str,
    summary: Path | None,
    as_json: bool,
    baseline_text: str | None,
    tolerance: float,
    optional: bool,
    store_file: Path | None,
    no_store: bool,
) -> int:
    """Run many scenarios side by side within this machine's budget.

    NAMES are suites of suites.yaml, folders below scenarios/, tags, or paths of scenarios and folders.

    `harness suite merge DIR…` makes one result of the shards of a suite (`harness suite merge --help`).
    """
    from harness.report.suite_progress import SuiteProgress  # noqa: PLC0415  commands load only what they need
    from harness.report.terminal import consoles  # noqa: PLC0415
    from harness.suites.choose import Wish, choose  # noqa: PLC0415
    from harness.suites.cost_file import read_costs  # noqa: PLC0415
    from harness.suites.launch import places_of, resume  # noqa: PLC0415
    from harness.suites.state import incomplete  # noqa: PLC0415

    wish = Wish(
        names=names,
        tags=tags,
        where=where,
        variant=pairs(wanted),
        seed=seed,
        runtime=runtime,
        repeat=repeat,
        until_fail=until_fail,
        fail_fast=fail_fast,
        deadline_ns=_quantity("deadline", deadline, DURATION),
        config=config,
        baseline=(baseline_text or "") if names else "",  # a suite that is resumed is compared, and not chosen again
    )
    _require_one(wish, resumed, shard)
    progress, out = consoles()
    with SuiteProgress(progress) as listener:
        given = read_costs(costs) if costs is not None else None
        book = _cost_book(given)
        means = _means(cores, _quantity("memory", memory, BYTES), book, reports, listener)
        store = _Kept(file=store_file, keep=not no_store, tolerance=tolerance, optional=optional)
        if not names:
            means = store.added(means, baseline_text)
            result, folder = _resume(resumed or LAST, reports, means)
        else:
            choice = choose(wish)
            means = store.added(means, choice.baseline)
            listener.say(choice.used)
            drawn = _draw(choice, shard, given, listener) if shard is not None else None
            items = choice.items if drawn is None else drawn.items
            if only_list:
                click.echo("".join(f"{item.key}\n" for item in items), nl=False)
                return ExitCode.PASS
            if costs_file is not None:
                _write_costs(costs_file, places_of(choice.items, means.costs, listener))
                return ExitCode.PASS
            if dry_run:
                _forecast(places_of(items, means.costs, listener), means, out)
                return ExitCode.PASS
            named = "" if drawn is None else str(drawn.shard)
            before = incomplete(reports, [item.key for item in items], named) if resumed and items else None
            if before is None:
                places = places_of(items, means.costs, listener)
                result, folder = _start(choice, places, drawn, reports, means)
            else:
                result, folder = resume(before, means), before
        listener.say(book.notes)
    _report(result, folder, None if as_json else out)
    return _write_reports(result, folder, junit, annotations, summary)


def _draw(choice: Choice, shard: str, given: GivenCosts | None, listener: SuiteProgress) -> Drawn:
    """Return one shard of what was chosen."""
    from harness.suites.draw import draw  # noqa: PLC0415
    from harness.suites.shards import parse_shard  # noqa: PLC0415

    if choice.until_fail:
        raise UsageError("--until-fail has no shards: how many runs there are is not known before")
    drawn = draw(choice.items, parse_shard(shard, os.environ), given)
    said = f"shard {drawn.shard}: {len(drawn.items)} of {len(choice.items)} runs"
    listener.say([said if drawn.items else f"{said}; `harness suite merge` of all shards gives the suite's result"])
    return drawn


def _require_one(wish: Wish, resumed: str | None, shard: str | None) -> None:
    """Refuse a line that names neither a suite nor one to resume, or both in a way that does not fit together."""
    from harness.suites.choose import Wish  # noqa: PLC0415

    if resumed is None and not wish.names:
        raise UsageError("name a suite, a folder, a tag or a path", hint="harness suite gate")
    source = click.get_current_context().get_parameter_source("runtime")
    unasked = wish.runtime if source is ParameterSource.ENVIRONMENT else None
    if not wish.names and (shard is not None or wish != Wish(names=(), runtime=unasked)):
        raise UsageError(
            "--resume makes what a suite lacks as it was chosen: without names it takes no options that choose",
            hint="--cores, --memory, --costs, --junit and --json may be given",
        )
    if wish.names and resumed not in {None, LAST}:
        raise UsageError(f"--resume {resumed} names a suite by its directory: leave {' '.join(wish.names)} out")


def _cost_book(given: GivenCosts | None) -> CostBook:
    from harness.suites.cost import CostBook, book_path  # noqa: PLC0415

    return CostBook(book_path(), given)


def _means(cores: float | None, memory: int | None, book: CostBook, reports: Path, listener: SuiteProgress) -> Means:
    from harness.suites.budget import machine_budget  # noqa: PLC0415
    from harness.suites.launch import Means  # noqa: PLC0415

    budget = machine_budget(cores, memory, reports)
    listener.say(budget.notes)
    return Means(budget=budget, costs=book, listener=listener)


def _write_costs(file: Path, places: Sequence[Place]) -> None:
    from harness.suites.cost import GivenCosts, cost_key, write_costs  # noqa: PLC0415

    keyed = [(cost_key(place.needed_item.plan), place) for place in places]
    given = GivenCosts(
        costs={(key, place.runtime): place.cost for key, place in keyed},
        names={key: place.label for key, place in keyed},
    )
    write_costs(file, given)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Where runs are kept, and how the suite is compared with stored ones."""

    file: Path | None
    keep: bool
    tolerance: float
    optional: bool

    def added(self, means: Means, baseline: str | None) -> Means:
        """Return the means of a suite that is compared with a baseline, if there is one."""
        from harness.suites.compared_suite import BaselineRequest  # noqa: PLC0415
        from harness.suites.store import default_store  # noqa: PLC0415

        path = self.file or default_store()
        wanted = None
        if baseline:
            wanted = BaselineRequest(store=path, text=baseline, tolerance=self.tolerance, optional=self.optional)
        return replace(means, store=path if self.keep else None, baseline=wanted)


def _forecast(places: Sequence[Place], means: Means, out: Console) -> None:
    from harness.report.suite_forecast import ForecastRow, render_forecast  # noqa: PLC0415
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


def _start(
    choice: Choice, places: Sequence[Place], drawn: Drawn | None, reports: Path, means: Means
) -> tuple[SuiteResult, SuiteDir]:
    from harness.suites.draw import head_of  # noqa: PLC0415
    from harness.suites.launch import new_head, start  # noqa: PLC0415
    from harness.suites.rules import UNTIL_FAIL_ROUNDS, Rules  # noqa: PLC0415
    from harness.suites.state import SuiteDir  # noqa: PLC0415

    rules = Rules(
        deadline_ns=choice.deadline_ns,
        fail_fast=choice.fail_fast,
        rounds=UNTIL_FAIL_ROUNDS if choice.until_fail else 1,
        repeat=choice.repeat,
    )
    folder = SuiteDir.create(reports, choice.name)
    head = new_head(folder, choice.name)
    if drawn is not None:
        head = head_of(head, drawn)
    return start(places, folder, head, rules, means), folder


def _resume(resumed: str, reports: Path, means: Means) -> tuple[SuiteResult, SuiteDir]:
    from harness.suites.launch import resume  # noqa: PLC0415
    from harness.suites.state import SuiteDir, last_incomplete  # noqa: PLC0415

    folder = last_incomplete(reports) if resumed == LAST else SuiteDir(Path(resumed))
    return resume(folder, means), folder


def _report(result: SuiteResult, folder: SuiteDir, out: Console | None) -> None:
    """Print what came of a suite; ``out`` is None when JSON is wanted."""
    from rich.text import Text  # noqa: PLC0415

    from harness.report.suite_files import PAGE_FILE  # noqa: PLC0415
    from harness.report.suite_json import to_json  # noqa: PLC0415
    from harness.report.suite_text import render_suite  # noqa: PLC0415

    if out is None:
        click.echo(to_json(result), nl=False)
        return
    render_suite(result, out)
    out.print(Text(f"Page     {folder.path / PAGE_FILE}"), soft_wrap=True)
    if not result.complete:
        out.print(f"to make what is missing: harness suite --resume {shlex.quote(str(folder.path))}")


def _write_reports(
    result: SuiteResult, folder: SuiteDir, junit: Path | None, annotations: str, summary: Path | None
) -> ExitCode:
    """Write what is read later; return the exit code: a report that cannot be written hides no failure."""
    from harness.report.suite_files import SuiteReports  # noqa: PLC0415
    from harness.report.suite_runs import read_run  # noqa: PLC0415
    from harness.session.ci import show_in_ci  # noqa: PLC0415

    try:
        SuiteReports(folder.path).finish(result, junit)
        show_in_ci(
            result,
            functools.partial(read_run, folder.path),
            annotations=annotations,
            summary=summary,
            echo=functools.partial(click.echo, err=True),
            environ=os.environ,
        )
    except UnfitEnvironmentError as error:
        click.echo(f"error: {error}", err=True)
        return suite_exit_code([result.exit_code, ExitCode.ENVIRONMENT])
    return ExitCode(result.exit_code)


def _quantity(option: str, text: str | None, unit: Unit) -> int | None:
    if text is None:
        return None
    try:
        value = round(unit.parse(text))
    except ValueError as error:
        raise UsageError(f"--{option}: {error}") from error
    if value < 1:
        raise UsageError(f"--{option} must be more than 0, not {text!r}")
    return value

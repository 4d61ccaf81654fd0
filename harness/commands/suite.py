"""``harness suite``: many scenarios side by side, with one answer."""

from __future__ import annotations

import functools
import os
import shlex
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from harness.commands.options import EXIT_CODES
from harness.commands.printing import printed, reported
from harness.commands.suite_options import (
    LAST,
    Choosing,
    Doing,
    Kept,
    Machine,
    Output,
    choosing_options,
    doing_options,
    kept_options,
    machine_options,
    output_options,
)
from harness.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from harness.report.summary_file import SummaryFile
    from harness.suite_result import SuiteResult
    from harness.suites.choose import Wish
    from harness.suites.state import SuiteDir


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
@choosing_options
@doing_options
@machine_options
@output_options
@kept_options
def suite(
    names: tuple[str, ...], *, choosing: Choosing, doing: Doing, machine: Machine, output: Output, kept: Kept
) -> int:
    """Run many scenarios side by side within this machine's budget.

    NAMES are suites of suites.yaml, folders below scenarios/, tags, or paths of scenarios and folders.

    `harness suite merge DIR…` makes one result of the shards of a suite (`harness suite merge --help`).
    """
    from harness.commands.suite_session import make_suite  # noqa: PLC0415  commands load only what they need
    from harness.report.atomic import require_writable  # noqa: PLC0415
    from harness.report.suite_progress import SuiteProgress  # noqa: PLC0415
    from harness.report.terminal import consoles  # noqa: PLC0415

    # A suite that is resumed is compared, and not chosen again.
    wish = choosing.wish(names, (kept.baseline_text or "") if names else "")
    _require_one(wish, doing)
    summary = None if doing.only_shown else summary_file(output)
    if output.junit is not None and not doing.only_shown:
        require_writable(output.junit)
    progress, out = consoles()
    with SuiteProgress(progress) as listener:
        made = make_suite(wish, doing, machine, kept, listener, out)
    if made is None:
        return ExitCode.PASS
    result, folder = made
    code = write_reports(result, folder.path, output, summary)
    return printed(code, lambda: _report(result, folder, None if output.as_json else out))


def _require_one(wish: Wish, doing: Doing) -> None:
    """Refuse a line that names neither a suite nor one to resume, or both in a way that does not fit together."""
    from harness.suites.choose import Wish  # noqa: PLC0415

    resumed = doing.resumed
    if resumed is None and not wish.names:
        raise UsageError("name a suite, a folder, a tag or a path", hint="harness suite gate")
    source = click.get_current_context().get_parameter_source("runtime")
    unasked = wish.runtime if source is ParameterSource.ENVIRONMENT else None
    if not wish.names and (doing.shard is not None or wish != Wish(names=(), runtime=unasked, trusted=wish.trusted)):
        raise UsageError(
            "--resume makes what a suite lacks as it was chosen: without names it takes no options that choose",
            hint="--trust, --cores, --memory, --costs, --junit and --json may be given",
        )
    if not wish.names and doing.only_shown:
        raise UsageError(
            "--list, --dry-run and --write-costs run nothing, and --resume without names runs what a suite lacks",
            hint="name what is to be shown, or leave --resume alone",
        )
    if wish.names and resumed not in {None, LAST}:
        raise UsageError(f"--resume {resumed} names a suite by its directory: leave {' '.join(wish.names)} out")


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


def summary_file(output: Output) -> SummaryFile | None:
    """Return the file that the summary becomes a part of, if one is wanted; raises UnfitEnvironmentError."""
    from harness.report.summary_file import SummaryFile  # noqa: PLC0415  commands load only what they need

    return SummaryFile(output.summary) if output.summary is not None else None


def write_reports(result: SuiteResult, folder: Path, output: Output, summary: SummaryFile | None = None) -> int:
    """Write what is read later of a suite, merged or run; return the exit code of the command.

    Args:
        result: Of the suite.
        folder: Its own.
        output: What is wanted.
        summary: Where parts of it were written before; None = nowhere yet.
    """
    from harness.report.suite_files import SuiteReports  # noqa: PLC0415
    from harness.report.suite_runs import read_run  # noqa: PLC0415
    from harness.session.ci import show_in_ci  # noqa: PLC0415

    def write() -> None:
        SuiteReports(folder).finish(result, output.junit)
        show_in_ci(
            result,
            functools.partial(read_run, folder),
            annotations=output.annotations,
            summary=summary or summary_file(output),
            echo=functools.partial(click.echo, err=True),
            environ=os.environ,
        )

    return reported(result.exit_code, write)

"""``harness check``: a run directory judged again, offline, or explained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import EXIT_CODES
from harness.commands.printing import printed, reported
from harness.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from harness.judging.life import Step
    from harness.session.check_again import JudgedAgain


def _sequence_number(context: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Return a sequence number as journals have it: of ``204``, or of ``1:204`` for a later start of its producer."""
    from harness.history.record import SEQ_BITS  # noqa: PLC0415

    if value is None:
        return None
    match = re.fullmatch(r"(?:(\d{1,6}):)?(\d{1,12})", value, re.ASCII)
    if match is None:
        said = f"{value!r} is not a sequence number: write 204, or 1:204 for a later start of its producer"
        raise click.BadParameter(said, context, parameter)
    return (int(match[1] or 0) << SEQ_BITS) + int(match[2])


@click.command(epilog=EXIT_CODES)
@click.argument("run_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; with --explain or --key, the steps.")
@click.option("--write", is_flag=True, help="Write result.json, report.html and junit.xml again.")
@click.option(
    "--explain",
    "finding",
    metavar="FINDING",
    help="Print the operations that prove a finding, in order, over all journals. FINDING is its name in the report "
    "(loss.1). Ends with 0.",
)
@click.option(
    "--key", type=click.IntRange(min=0), metavar="K", help="Print the life of one message: its key. Ends with 0."
)
@click.option("--seq", callback=_sequence_number, metavar="N", help="Its sequence number (204; after a restart 1:204).")
def check(run_dir: Path, *, as_json: bool, write: bool, finding: str | None, key: int | None, seq: int | None) -> int:
    """Judge a run directory again, offline, from its history; or explain what is in it.

    Ends with 8 when the verdict, or that of an expected check, differs from result.json.
    """
    from harness.report.files import write_all  # noqa: PLC0415
    from harness.report.serialize import to_json  # noqa: PLC0415
    from harness.report.terminal import consoles  # noqa: PLC0415
    from harness.report.text import render_result  # noqa: PLC0415
    from harness.session.check_again import check_again  # noqa: PLC0415

    _refuse_mixtures(write=write, finding=finding, key=key, seq=seq)
    again = check_again(run_dir)
    result = again.result
    if finding is not None or key is not None:
        return _explain(run_dir, again, finding, (key, seq), as_json=as_json)
    _, console = consoles()

    def show() -> None:
        if as_json:
            click.echo(to_json(result))
        else:
            render_result(result, console)

    code = printed(ExitCode.DIFFERS if again.verdict_differs else result.exit_code, show)
    if write:
        code = reported(code, lambda: write_all(result, run_dir))
    for line in again.differing:
        click.echo(f"differs from the earlier result.json: {line}", err=True)
    if again.compared and not again.differing:
        click.echo("agrees with the result.json of the run", err=True)
    return code


def _refuse_mixtures(*, write: bool, finding: str | None, key: int | None, seq: int | None) -> None:
    if (key is None) != (seq is None):
        given, lacking = ("--key", "--seq") if seq is None else ("--seq", "--key")
        raise UsageError(f"{given} needs {lacking}: a message is named by its key and its sequence number")
    if finding is not None and key is not None:
        raise UsageError("--explain and --key are two questions: ask one of them")
    if write and (finding is not None or key is not None):
        raise UsageError("--write writes the result, which --explain and --key do not print: leave it out")


def _explain(
    run_dir: Path, again: JudgedAgain, name: str | None, message: tuple[int | None, int | None], *, as_json: bool
) -> int:
    from harness.judging.whole import read_whole  # noqa: PLC0415
    from harness.judging.witness import as_json as steps_as_json  # noqa: PLC0415
    from harness.judging.witness import message_of, named, witness  # noqa: PLC0415

    # What could not be read is read again for the error that says why.
    history, result = again.history or read_whole(run_dir)[0], again.result
    key, seq = message
    steps: list[Step]
    if name is not None:
        found = named(result, name)
        steps, heading = witness(history, found), f"{name} {found.type}: {found.message}"
    elif key is not None and seq is not None:
        steps, heading = message_of(history, key, seq), ""
    if as_json:
        click.echo(json.dumps(steps_as_json(steps), indent=2))
        return ExitCode.PASS
    if heading:
        click.echo(f"{heading}\n")
    _show(steps, result.zero_ns)
    return ExitCode.PASS


def _show(steps: list[Step], zero_ns: int | None) -> None:
    """Print one line a step, with times after the start of the timeline; ``*`` marks what the finding names."""
    rows = [_row(step, zero_ns) for step in steps]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for step, (time, where, text) in zip(steps, rows, strict=True):
        click.echo(f"{'*' if step.named else ' '} {time:>{widths[0]}}  {where:<{widths[1]}}  {text}")


def _row(step: Step, zero_ns: int | None) -> tuple[str, str, str]:
    """Return when, where it is recorded, and what happened."""
    from harness.report.phrases import offset_time, place, sequence  # noqa: PLC0415

    start = zero_ns or 0
    where = step.source + (f" #{step.ordinal}" if step.ordinal >= 0 else "")
    known = {
        "key": place(step.key),
        "seq": sequence(step.seq) if step.key >= 0 else "",
        "partition": place(step.partition),
        "offset": place(step.offset),
        "owner": step.owner,
        "epoch": place(step.epoch),
    }
    told = ", ".join(f"{name} {value}" for name, value in known.items() if value)
    if step.since_ns >= 0:
        told += f" (since {offset_time(step.since_ns - start)})"
    return offset_time(step.t_ns - start), where, f"{step.what}  {told}".rstrip()

"""``harness new``: a first scenario for a program of one's own."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from harness.errors import ExitCode, ScenarioError, UnfitEnvironmentError, UsageError


@click.command()
@click.argument("to", type=click.Path(path_type=Path), default=Path("application.yaml"))
@click.option("--broker", metavar="NAME", help="A distribution, by its alias.")
@click.option("--command", metavar="TEXT", help="Your consumer and its arguments, as you would type them.")
@click.option("--shows", type=click.Choice(("commits", "lines")), help="What it shows of its work.  [default: commits]")
@click.option("--consumers", type=click.IntRange(1, 256), default=2, show_default=True, help="How many instances.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def new(*, to: Path, broker: str | None, command: str | None, shows: str | None, consumers: int, force: bool) -> int:
    """Write a first scenario for a consumer of yours, with comments.

    TO is the file, application.yaml when left out. What no option says is asked for at a terminal. The program runs in
    this directory, wherever the file is (docs/applications.md).
    """
    from harness.errors import nearest, relative  # noqa: PLC0415  commands load only what they need
    from harness.report.atomic import write_atomic  # noqa: PLC0415
    from harness.scenario.draft import Draft, draft, takes_applications  # noqa: PLC0415
    from harness.scenario.expand import variants  # noqa: PLC0415
    from harness.scenario.load import load_text  # noqa: PLC0415
    from harness.session.vocabulary import vocabulary  # noqa: PLC0415
    from harness.shipped import EDITOR_LINE, SCHEMA_FILE, schema_text  # noqa: PLC0415

    if to.exists() and not force:
        raise UsageError(f"{to} is there already", hint="--force replaces it; or name another file")
    if not to.parent.is_dir():
        raise UnfitEnvironmentError(f"cannot write {to}: there is no folder {to.parent}")
    words = vocabulary()
    known = {
        alias: spec for spec in words.brokers.values() if takes_applications(spec) for alias in sorted(spec.aliases)
    }
    broker = broker or _asked("Broker", "--broker", choices=", ".join(known))
    if broker not in known:
        raise UsageError(f"no application runs with {broker!r}", hint=nearest(broker, known))
    command = command or _asked("Command of your consumer", "--command")
    shows = shows or (_asked("Shows (commits, lines)", "--shows", default="commits") if at_a_terminal() else "commits")
    if shows not in known[broker].application_shows:
        raise UsageError(
            f"an application of {broker} cannot show {shows}", hint=", ".join(known[broker].application_shows)
        )
    try:
        argv = tuple(shlex.split(command))
    except ValueError as error:
        raise UsageError(
            f"--command {command!r} cannot be read: {error}", hint="quote it as a shell wants it"
        ) from error
    place = os.path.relpath(Path(), to.parent)
    text = draft(
        Draft(
            broker=broker,
            command=argv,
            shows=shows,
            consumers=consumers,
            directory="" if place == "." else place,
            editor_line=f"{EDITOR_LINE}{SCHEMA_FILE}",
        ),
        known[broker],
    )
    try:
        variants(load_text(text, str(to), words))
    except ScenarioError as error:
        told = "; ".join(f"{problem.message} ({problem.hint})" for problem in error.problems)
        raise UsageError(f"no scenario can be made of this: {told}") from error
    write_atomic(to, text)
    write_atomic(to.parent / SCHEMA_FILE, schema_text())
    name = shlex.quote(str(relative(to)))
    steps = (("is the program there", "doctor"), ("what will run", "explain"), ("run it", "run"))
    click.echo("\n".join([name, *(f"{what}: harness {verb} {name}" for what, verb in steps)]))
    return ExitCode.PASS


def at_a_terminal() -> bool:
    """Return whether questions are answered."""
    return sys.stdin.isatty()


def _asked(question: str, option: str, *, choices: str = "", default: str | None = None) -> str:
    """Return what is typed at the terminal; raises UsageError where there is none."""
    if not at_a_terminal():
        raise UsageError(
            f"{option} is needed, as there is no terminal to ask at", hint=f"known: {choices}" if choices else ""
        )
    found: str = click.prompt(f"{question} ({choices})" if choices else question, default=default)
    return found

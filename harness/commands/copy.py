"""``harness copy``: a shipped scenario as a file of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.completion import complete_scenarios
from harness.errors import ExitCode, UnfitEnvironmentError, UsageError


@click.command()
@click.argument("name", shell_complete=complete_scenarios)
@click.argument("to", type=click.Path(path_type=Path), default=Path())
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def copy(*, name: str, to: Path, force: bool) -> int:
    """Copy a scenario that comes with the harness, to be changed.

    NAME is as `harness list` prints it: gate/latency, or latency alone. TO is a folder or a file. The schema is put
    next to it, for editors; so is the program of an application that it names.
    """
    from harness.errors import nearest, relative  # noqa: PLC0415  commands load only what they need
    from harness.regular import read_regular_text  # noqa: PLC0415
    from harness.report.atomic import write_atomic  # noqa: PLC0415
    from harness.shipped import EDITOR_LINE, SCHEMA_FILE, scenario_names, schema_text, shipped  # noqa: PLC0415

    names = scenario_names()
    wanted = name.removesuffix(".yaml")
    found = [one for one in names if one == wanted or one.rpartition("/")[2] == wanted]
    if len(found) != 1:
        near = ", ".join(found) or nearest(wanted, [*names, *(one.rpartition("/")[2] for one in names)])
        near = "`harness list` shows all of them" if near.startswith("known") else near
        raise UsageError(f"{'no' if not found else 'several'} scenarios are called {name!r}", hint=near)
    source = shipped("scenarios") / f"{found[0]}.yaml"
    target = to / source.name if to.is_dir() else to
    if target.exists() and not force:
        raise UsageError(f"{target} is there already", hint="--force replaces it")
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines[0].startswith(EDITOR_LINE):
        lines[0] = f"{EDITOR_LINE}{SCHEMA_FILE}\n"
    if not target.parent.is_dir():
        raise UnfitEnvironmentError(f"cannot write {target}: there is no folder {target.parent}")
    programs = _programs(source)
    there = [program.name for program in programs if (target.parent / program.name).exists()]
    if there and not force:
        raise UsageError(f"{', '.join(there)} is there already", hint="--force replaces it")
    write_atomic(target, "".join(lines))
    for program in programs:
        write_atomic(target.parent / program.name, read_regular_text(program))
    write_atomic(target.parent / SCHEMA_FILE, schema_text())
    click.echo(f"{relative(target)}\nrun it: harness run {relative(target)}")
    return ExitCode.PASS


def _programs(source: Path) -> list[Path]:
    """Return the files next to a scenario that the command of its application names."""
    from harness.scenario.application import application_of  # noqa: PLC0415
    from harness.session.selection import select  # noqa: PLC0415

    applications = (application_of(item.plan.workload.consumer) for item in select([source]))
    words = {word for application in applications if application is not None for word in application.command}
    return [place for word in sorted(words) if (place := source.parent / Path(word).name).is_file()]

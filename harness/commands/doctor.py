"""``harness doctor``: what this machine can do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from harness.commands.completion import scenario_paths
from harness.commands.options import reports_option
from harness.errors import ExitCode, HarnessError

_APPLICATION = "application: "


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), shell_complete=scenario_paths)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@reports_option
def doctor(*, paths: tuple[Path, ...], as_json: bool, reports: Path) -> int:
    """Report what this machine can do, what it cannot do, and why.

    With PATHS of scenarios: also whether the programs of their applications are there.
    """
    from harness.doctor.examine import ItemStatus, examine  # noqa: PLC0415

    report = examine(_leftovers, reports=reports, programs=_programs(paths))
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else report.render())
    broken = any(
        item.status is ItemStatus.MISSING
        and (item.name in {"system", "process runtime"} or item.name.startswith(_APPLICATION))
        for item in report.items
    )
    return ExitCode.ENVIRONMENT if broken else ExitCode.PASS


def _programs(paths: tuple[Path, ...]) -> list[tuple[str, str, Path]]:
    """Return (name, program, directory) of each application in scenarios."""
    if not paths:
        return []
    from harness.scenario.application import application_of, directory_of, fill_in  # noqa: PLC0415
    from harness.session.selection import select  # noqa: PLC0415

    found = {}
    for item in select(paths):
        application = application_of(item.plan.workload.consumer)
        if application is not None:
            program = fill_in(application.command[0], {"python": sys.executable})
            found[_APPLICATION + item.plan.scenario] = (program, directory_of(application, item.plan.file))
    return [(name, *which) for name, which in found.items()]


def _leftovers() -> list[str]:
    from harness.runtime.ledger import sweep  # noqa: PLC0415

    try:
        found = sweep(remove=False)
    except HarnessError as error:
        return [error.message]
    return [
        f"{leftover.run_id}: {item}"
        for leftover in found
        for item in (*leftover.items, *leftover.left, *leftover.skipped)
    ]

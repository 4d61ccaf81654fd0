"""``harness doctor``: what this machine can do."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.commands.options import reports_option
from harness.errors import ExitCode, HarnessError


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@reports_option
def doctor(*, as_json: bool, reports: Path) -> int:
    """Report what this machine can do, what it cannot do, and why."""
    from harness.doctor.examine import ItemStatus, examine  # noqa: PLC0415

    report = examine(_leftovers, reports=reports)
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else report.render())
    broken = any(
        item.status is ItemStatus.MISSING and item.name in {"system", "process runtime"} for item in report.items
    )
    return ExitCode.ENVIRONMENT if broken else ExitCode.PASS


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

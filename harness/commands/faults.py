"""``harness faults``: every fault, with what it takes and needs."""

from __future__ import annotations

import click

from harness.commands.completion import complete_faults
from harness.errors import ExitCode


@click.command()
@click.argument("names", nargs=-1, shell_complete=complete_faults)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def faults(names: tuple[str, ...], *, as_json: bool) -> int:
    """List faults, their options and what they need.

    Options are listed with units and defaults, needs with whether this machine meets them. Without names: every fault.
    """
    from harness.commands.fault_list import list_faults, render, to_json  # noqa: PLC0415

    found = list_faults(names)
    click.echo(to_json(found) if as_json else render(found))
    return ExitCode.PASS

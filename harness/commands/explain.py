"""``harness explain``: the plan of a scenario, and what its configuration makes true."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import paths_argument, seed_option
from harness.errors import ExitCode

if TYPE_CHECKING:
    from harness.scenario.model import Plan


@click.command()
@paths_argument
@seed_option
@click.option("--json", "as_json", is_flag=True, help="Print the plans as JSON.")
def explain(paths: tuple[Path, ...], *, seed: int | None, as_json: bool) -> int:
    """Show the plan of each variant as a readable timeline."""
    from harness.scenario.explain import explain as explained  # noqa: PLC0415
    from harness.scenario.plan import canonical  # noqa: PLC0415
    from harness.session.selection import select  # noqa: PLC0415

    selected = select(paths, seed=seed)
    if as_json:
        click.echo(json.dumps([canonical(item.plan) for item in selected], indent=2))
    else:
        click.echo("\n\n".join(explained(item.plan) + _derived(item.plan) for item in selected))
    return ExitCode.PASS


def _derived(plan: Plan) -> str:
    """Return what the configuration of a plan makes true: the derived limit and what is allowed."""
    from harness.brokers.base import BROKERS  # noqa: PLC0415
    from harness.units import format_ns  # noqa: PLC0415

    facts = BROKERS.get(plan.broker_kind).bind(plan).facts
    lines = [f"stall pause_max, where no limit is given: {format_ns(facts.pause_ns_derived)} = {facts.pause_formula}"]
    wrapped = [
        textwrap.fill(line, 120, initial_indent="  ", subsequent_indent="    ") for line in (*lines, *facts.allowed)
    ]
    return "\nFrom the configuration\n" + "\n".join(wrapped)

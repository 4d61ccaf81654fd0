"""``harness schema``: the JSON Schema of scenario files."""

from __future__ import annotations

import json

import click

from harness.errors import ExitCode


@click.command()
def schema() -> int:
    """Print the JSON Schema of scenario files, for editors."""
    from harness.scenario.schema import json_schema  # noqa: PLC0415
    from harness.session.vocabulary import vocabulary  # noqa: PLC0415

    click.echo(json.dumps(json_schema(vocabulary()), indent=2))
    return ExitCode.PASS

"""``harness fetch``: distributions into the cache, ahead of time."""

from __future__ import annotations

import click

from harness.errors import ExitCode


@click.command()
@click.argument("names", nargs=-1)
def fetch(names: tuple[str, ...]) -> int:
    """Fetch and build distributions ahead of time.

    Without names: one of every registered package.

    Names are aliases (<kind>-<major>) or exact versions (<kind>-<version>).
    """
    from harness.distributions.fetch import fetch as fetch_all  # noqa: PLC0415

    for fetched in fetch_all(names, lambda text: click.echo(text, err=True)):
        how = f"built with {fetched.built_with} in {fetched.build_ns / 1e9:.0f} s" if fetched.built else "cached"
        click.echo(f"{fetched.distribution}  {how}  {fetched.path}")
    return ExitCode.PASS

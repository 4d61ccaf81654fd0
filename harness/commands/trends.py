"""``harness trends``: how plans fared over past nights."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import click

from harness.commands.options import EXIT_CODES, store_option
from harness.errors import ExitCode


@click.command(epilog=EXIT_CODES)
@click.argument("plans", nargs=-1, metavar="[PLAN]...")
@click.option(
    "--last", type=click.IntRange(1, 10_000), default=30, show_default=True, help="How many nights of each plan."
)
@click.option("--since", default="", metavar="DAY", help="Only runs from this day on: 2026-03-14, or 7d.")
@click.option("--measures", is_flag=True, help="Measures over time as well; always shown when plans are named.")
@click.option("--json", "as_json", is_flag=True, help="Print the trends as JSON, measures included.")
@store_option
def trends(
    plans: tuple[str, ...],
    *,
    last: int,
    since: str,
    measures: bool,
    as_json: bool,
    store_file: Path | None,
) -> int:
    """Show how often each plan failed, flipped or was inconclusive, the flakiest first, and its measures over time.

    PLANS are names of scenarios, patterns ('kafka-*') or scenario files. All runs of one suite are one night.
    """
    from datetime import datetime  # noqa: PLC0415  commands load only what they need

    from harness.report.terminal import consoles  # noqa: PLC0415
    from harness.suites.census import since_day  # noqa: PLC0415
    from harness.suites.store import Store, default_store  # noqa: PLC0415
    from harness.suites.trends import trends as find  # noqa: PLC0415
    from harness.suites.trends_text import trend_lines  # noqa: PLC0415

    day = since_day(since, today=datetime.now(UTC).date()) if since else ""
    with Store.read(store_file or default_store()) as store:
        wanted = measures or as_json or bool(plans)
        found = find(store, plans, last=last, since=day, measures=wanted)
    if as_json:
        import json  # noqa: PLC0415

        from harness.report.derived import plain  # noqa: PLC0415

        click.echo(json.dumps(plain(found), indent=2))
        return int(ExitCode.PASS)
    _, out = consoles()
    blocks = "utf" in (out.encoding or "").lower()
    for line in trend_lines(found, blocks=blocks):
        out.print(line, soft_wrap=True, style="bold" if line.startswith("plan ") else None)
    return int(ExitCode.PASS)

"""``harness baseline``: stored runs under a name, and a suite compared with stored runs."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import EXIT_CODES, baseline_optional_option, store_option, tolerance_option
from harness.errors import ExitCode


@click.group(epilog=EXIT_CODES)
def baseline() -> None:
    """Name stored runs as a baseline, and compare suites with it.

    `harness suite --baseline NAME` compares a suite when it ends.
    """


@baseline.command()
@click.argument("name")
@click.argument("scenarios", nargs=-1)
@click.option(
    "--last", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many nights of each plan."
)
@click.option("--suite", "suites", multiple=True, metavar="ID", help="Only runs of this suite (repeatable).")
@click.option("--replace", is_flag=True, help="Replace a baseline of this name.")
@store_option
def save(
    name: str,
    scenarios: tuple[str, ...],
    *,
    last: int,
    suites: tuple[str, ...],
    replace: bool,
    store_file: Path | None,
) -> int:
    """Name the passing runs of each plan's last nights; of SCENARIOS alone when some are given."""
    from harness.suites.named import save as save_runs  # noqa: PLC0415  commands load only what they need
    from harness.suites.store import Store, default_store  # noqa: PLC0415

    with Store.open(store_file or default_store()) as store:
        saved = save_runs(store, name, last=last, scenarios=scenarios, suites=suites, replace=replace)
    click.echo(f"{saved.name}: {saved.runs} runs of {saved.plans} plans, {saved.oldest[:10]} to {saved.newest[:10]}")
    return int(ExitCode.PASS)


@baseline.command(name="list")
@store_option
def list_names(*, store_file: Path | None) -> int:
    """List the named baselines."""
    from harness.suites.named import names  # noqa: PLC0415
    from harness.suites.store import Store, default_store  # noqa: PLC0415

    with Store.read(store_file or default_store()) as store:
        found = names(store)
    for item in found:
        click.echo(
            f"{item.name:<24} {item.runs:>5} runs of {item.plans} plans, {item.oldest[:10]} to {item.newest[:10]}, "
            f"saved {item.saved[:10]}"
        )
    if not found:
        click.echo("no baseline is named; --baseline last:10 needs none")
    return int(ExitCode.PASS)


@baseline.command()
@click.argument("name")
@store_option
def remove(name: str, *, store_file: Path | None) -> int:
    """Take a name away; its runs stay in the store."""
    from harness.suites.named import remove as remove_name  # noqa: PLC0415
    from harness.suites.store import Store, default_store  # noqa: PLC0415

    with Store.open(store_file or default_store()) as store:
        remove_name(store, name)
    return int(ExitCode.PASS)


@baseline.command()
@click.argument("scenarios", nargs=-1, required=True)
@store_option
def accept(scenarios: tuple[str, ...], *, store_file: Path | None) -> int:
    """Take the regressions of SCENARIOS as normal: later suites are compared with them as well."""
    from harness.suites.named import accept as accept_runs  # noqa: PLC0415
    from harness.suites.store import Store, default_store  # noqa: PLC0415

    with Store.open(store_file or default_store()) as store:
        click.echo(f"{accept_runs(store, scenarios)} runs are comparable from now on")
    return int(ExitCode.PASS)


@baseline.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("text", metavar="NAME|last:N")
@tolerance_option
@baseline_optional_option
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@store_option
def compare(
    folder: Path, text: str, *, tolerance: float, optional: bool, as_json: bool, store_file: Path | None
) -> int:
    """Compare a suite that has ended, for example merged shards, with stored runs.

    FOLDER holds its suite.json. Exit code 1 with a regression, 6 when something could not be compared.
    """
    from harness.report.baseline_text import baseline_lines  # noqa: PLC0415
    from harness.report.derived import plain  # noqa: PLC0415
    from harness.suite_baseline import baseline_code  # noqa: PLC0415
    from harness.suites.compared_suite import BaselineRequest, compare_suite  # noqa: PLC0415
    from harness.suites.ingest import read_suite  # noqa: PLC0415
    from harness.suites.store import default_store  # noqa: PLC0415

    request = BaselineRequest(store=store_file or default_store(), text=text, tolerance=tolerance, optional=optional)
    request.check()
    result = compare_suite(read_suite(folder), folder, request)
    if as_json:
        import json  # noqa: PLC0415

        click.echo(json.dumps(plain(result), indent=2))
    else:
        click.echo("\n".join(baseline_lines(result)))
    return int(baseline_code(result))

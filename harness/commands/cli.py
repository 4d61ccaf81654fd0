"""The command line: one command per journey, and one outer handler that maps every way out to its exit code."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness import __version__
from harness.errors import ExitCode, HarnessError, UsageError

if TYPE_CHECKING:
    from harness.scenario.model import Plan

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_EXIT_CODES = (
    "Exit codes: 0 pass, 1 expectation violated, 2 interrupted, 3 internal error, 4 usage or invalid scenario, "
    "5 nothing selected, 6 inconclusive, 7 environment. Of several runs, the first of 1 > 3 > 7 > 6 > 2 that occurred."
)
_reports = click.option(
    "--reports", type=click.Path(path_type=Path), default=Path("reports"), show_default=True, help="Where runs land."
)
_paths = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
_seed = click.option("--seed", type=int, help="Use this seed instead of each scenario's own.")


@click.group(context_settings=_CONTEXT, epilog=_EXIT_CODES)
@click.version_option(__version__, prog_name="harness")
def cli() -> None:
    """Chaos scenarios with evidence on real message brokers, and a verdict that can be trusted."""


@cli.command(epilog=_EXIT_CODES)
@_paths
@_seed
@click.option("--tag", "tags", multiple=True, help="Only scenarios with this tag (repeatable: any of them).")
@click.option("--variant", "wanted", multiple=True, metavar="PATH=VALUE", help="Only these variants of a matrix.")
@click.option("--repeat", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Run each plan N times.")
@click.option(
    "--runtime",
    type=click.Choice(["auto", "process", "docker"]),
    default="auto",
    show_default=True,
    envvar="HARNESS_RUNTIME",
    show_envvar=True,
    help="Where nodes run: supervised processes, or containers. auto: containers where a Docker engine has the images "
    "of the plan (see `harness images build`), else processes.",
)
@_reports
@click.option("--junit", type=click.Path(path_type=Path), help="Also write one JUnit XML file of all runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout instead of text.")
def run(
    paths: tuple[Path, ...],
    *,
    seed: int | None,
    tags: tuple[str, ...],
    wanted: tuple[str, ...],
    repeat: int,
    runtime: str,
    reports: Path,
    junit: Path | None,
    as_json: bool,
) -> int:
    """Run scenarios (files or folders) against real brokers and judge them."""
    from harness.report.junit import write_junit  # noqa: PLC0415  commands load only what they need
    from harness.report.summary import render_summary  # noqa: PLC0415
    from harness.report.terminal import TerminalListener, consoles  # noqa: PLC0415
    from harness.session import session  # noqa: PLC0415
    from harness.session.selection import select  # noqa: PLC0415

    selected = select(paths, tags=tags, wanted=_pairs(wanted), seed=seed)
    progress, verdict = consoles()
    with TerminalListener(progress, None if as_json else verdict) as listener:
        results = session.run_all(selected, repeat=repeat, runtime=runtime, reports=reports, listener=listener)
    code = session.exit_code(results, selected)
    if junit is not None:
        write_junit(results, junit)
    if as_json:
        click.echo(session.results_json(results, code))
    elif len(results) > 1:
        render_summary(results, verdict)
    return int(code)


@cli.command(epilog=_EXIT_CODES)
@click.argument("run_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.option("--write", is_flag=True, help="Write result.json, report.html and junit.xml anew.")
def check(run_dir: Path, *, as_json: bool, write: bool) -> int:
    """Judge a run directory again, offline, from its history."""
    from harness.report.files import write_all  # noqa: PLC0415
    from harness.report.serialize import to_json  # noqa: PLC0415
    from harness.report.terminal import consoles  # noqa: PLC0415
    from harness.report.text import render_result  # noqa: PLC0415
    from harness.session.session import check_again  # noqa: PLC0415

    result, differing = check_again(run_dir)
    _, console = consoles()
    if as_json:
        click.echo(to_json(result))
    else:
        render_result(result, console)
    if write:
        write_all(result, run_dir)
    for line in differing:
        click.echo(f"differs from the earlier result.json: {line}", err=True)
    if (run_dir / "result.json").exists() and not differing:
        click.echo("agrees with the result.json of the run", err=True)
    return result.exit_code


@cli.command()
@_paths
def validate(paths: tuple[Path, ...]) -> int:
    """Check scenario files without running them; every problem is listed with its file, line and column."""
    from harness.scenario.plan import variant_label  # noqa: PLC0415
    from harness.session.selection import select  # noqa: PLC0415

    for item in select(paths):
        variant = variant_label(item.plan)
        click.echo(f"ok  {item.plan.file}{f'  [{variant}]' if variant else ''}")
    return ExitCode.PASS


@cli.command()
@_paths
@_seed
@click.option("--json", "as_json", is_flag=True, help="Print the plans as JSON.")
def explain(paths: tuple[Path, ...], *, seed: int | None, as_json: bool) -> int:
    """Show the plan that a scenario expands to, as a readable timeline."""
    from harness.scenario.explain import explain as explained  # noqa: PLC0415
    from harness.scenario.plan import canonical  # noqa: PLC0415
    from harness.session.selection import select  # noqa: PLC0415

    selected = select(paths, seed=seed)
    if as_json:
        click.echo(json.dumps([canonical(item.plan) for item in selected], indent=2))
    else:
        click.echo("\n\n".join(explained(item.plan) + _derived(item.plan) for item in selected))
    return ExitCode.PASS


@cli.command()
def schema() -> int:
    """Print the JSON Schema of scenario files, for editors."""
    from harness.scenario.schema import json_schema  # noqa: PLC0415
    from harness.session.vocabulary import vocabulary  # noqa: PLC0415

    click.echo(json.dumps(json_schema(vocabulary()), indent=2))
    return ExitCode.PASS


@cli.command()
@click.argument("names", nargs=-1)
def fetch(names: tuple[str, ...]) -> int:
    """Fetch and build distributions ahead of time (default: all that the shipped scenarios need).

    Names are aliases or exact versions: nats-2, nats-2.12.1, toxiproxy-2.
    """
    from harness.distributions.fetch import fetch as fetch_all  # noqa: PLC0415

    for fetched in fetch_all(names, lambda text: click.echo(text, err=True)):
        how = f"built with {fetched.built_with} in {fetched.build_ns / 1e9:.0f} s" if fetched.built else "cached"
        click.echo(f"{fetched.distribution}  {how}  {fetched.path}")
    return ExitCode.PASS


@cli.group()
def images() -> None:
    """Build, list and remove the images that nodes in containers run.

    They hold the same bits as the distributions of `harness fetch`, and are cached by content.
    """


@images.command("build")
@click.argument("names", nargs=-1)
def images_build(names: tuple[str, ...]) -> int:
    """Build images ahead of time (default: all that the shipped scenarios need).

    Names are aliases or exact versions (nats-2, kafka-4.1.1), or base: the image that those of Java brokers are made on.
    """
    from harness.distributions.image_store import build_images  # noqa: PLC0415

    for name, tag in build_images(names, lambda text: click.echo(text, err=True)):
        click.echo(f"{name}  {tag}")
    return ExitCode.PASS


@images.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def images_list(*, as_json: bool) -> int:
    """List the images that this tool has built, with their sizes and ages."""
    from harness.distributions.image_store import held_images, images_json, images_text  # noqa: PLC0415

    found = held_images()
    click.echo(images_json(found) if as_json else images_text(found))
    return ExitCode.PASS


@images.command("remove")
@click.option("--all", "everything", is_flag=True, help="Remove all of them, not only those that are outdated.")
def images_remove(*, everything: bool) -> int:
    """Remove the images that this tool has built and would now build otherwise; no others are ever touched."""
    from harness.distributions.image_store import remove_images  # noqa: PLC0415

    told = remove_images(everything=everything)
    for image, why in told:
        click.echo(f"could not remove {image.tag}: {why}" if why else f"removed {image.tag}")
    if not told:
        click.echo("nothing to remove")
    return ExitCode.ENVIRONMENT if any(why for _, why in told) else ExitCode.PASS


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@_reports
def doctor(*, as_json: bool, reports: Path) -> int:
    """Tell what this machine can do, what it cannot, and why."""
    from harness.doctor.examine import ItemStatus, examine  # noqa: PLC0415

    report = examine(_leftovers, reports=reports)
    click.echo(json.dumps(report.to_json(), indent=2) if as_json else report.render())
    broken = any(
        item.status is ItemStatus.MISSING and item.name in {"system", "process runtime"} for item in report.items
    )
    return ExitCode.ENVIRONMENT if broken else ExitCode.PASS


@cli.command()
@click.option("--dry-run", is_flag=True, help="Only list what would be removed.")
def clean(*, dry_run: bool) -> int:
    """Remove what killed runs left behind; live runs are never touched. (Every run does this first by itself.)"""
    from harness.runtime.ledger import sweep  # noqa: PLC0415

    found = sweep(remove=not dry_run)
    for leftover in found:
        click.echo(f"run {leftover.run_id} (kept: {leftover.run_dir})")
        for item in leftover.items or ("nothing but its lease",):
            click.echo(f"  {'would remove' if dry_run else 'removed'} {item}")
        for item in leftover.left:
            click.echo(f"  could not remove {item}")
    if not found:
        click.echo("nothing left behind")
    return ExitCode.ENVIRONMENT if any(leftover.left for leftover in found) else ExitCode.PASS


@cli.command()
@click.argument("names", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON.")
def faults(names: tuple[str, ...], *, as_json: bool) -> int:
    """List every fault (or those named): options with units and defaults, what it needs, and whether this machine has it."""
    from harness.commands.fault_list import list_faults, render, to_json  # noqa: PLC0415

    found = list_faults(names)
    click.echo(to_json(found) if as_json else render(found))
    return ExitCode.PASS


@cli.command()
def checks() -> int:
    """List every check with its guarantee."""
    from harness.checks.base import CHECKS  # noqa: PLC0415

    for name, entry in CHECKS.items():
        click.echo(f"{name:<14}{entry.guarantee}")
    return ExitCode.PASS


def main() -> None:
    """Run the command line; the only place where exceptions become exit codes."""
    sys.exit(_guarded(lambda: cli.main(standalone_mode=False)))


def _guarded(command: Callable[[], Any]) -> int:
    try:
        return int(command() or 0)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except HarnessError as error:
        click.echo(f"error: {error}", err=True)
        return int(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader left; the interpreter must not complain at exit
        return ExitCode.PASS
    except Exception as error:  # noqa: BLE001  the last line of defence: a crash must not look like a violation
        click.echo(f"internal error: {error!r}", err=True)
        if os.environ.get("HARNESS_DEBUG"):
            traceback.print_exc()
        else:
            click.echo("  hint: set HARNESS_DEBUG=1 to see where it happened", err=True)
        return ExitCode.INTERNAL


def _pairs(words: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for word in words:
        path, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"--variant takes PATH=VALUE, not {word!r}")
        pairs[path] = value
    return pairs


def _derived(plan: Plan) -> str:
    """Return what the configuration of a plan makes true: the derived limit and what is allowed."""
    from harness.brokers.base import BROKERS  # noqa: PLC0415
    from harness.units import format_ns  # noqa: PLC0415

    facts = BROKERS.get(plan.broker_kind).facts(plan)
    lines = [f"stall pause_max, where no limit is given: {format_ns(facts.pause_ns_derived)} = {facts.pause_formula}"]
    wrapped = [
        textwrap.fill(line, 120, initial_indent="  ", subsequent_indent="    ") for line in (*lines, *facts.allowed)
    ]
    return "\n\nFrom the configuration\n" + "\n".join(wrapped)


def _leftovers() -> list[str]:
    from harness.runtime.ledger import sweep  # noqa: PLC0415

    return [
        f"{leftover.run_id}: {item}" for leftover in sweep(remove=False) for item in (*leftover.items, *leftover.left)
    ]


if __name__ == "__main__":
    main()

"""``harness replay``: the very same plan again, and how often it ends the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import EXIT_CODES, isolate_option, reports_option, trust_option
from harness.commands.printing import noted, printed, reported
from harness.progress import Note

if TYPE_CHECKING:
    from harness.result import RunResult


@click.command(epilog=EXIT_CODES)
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--times", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Run it N times.")
@isolate_option
@reports_option
@trust_option
@click.option("--junit", type=click.Path(path_type=Path), help="Also write one JUnit XML file of all runs.")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout instead of text.")
@click.option("-q", "--quiet", is_flag=True, help="Print one line a run, and the count; no progress.")
def replay(
    *,
    run_dir: Path,
    times: int,
    isolate: str,
    reports: Path,
    trust: bool,
    junit: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run the very same plan again, and say how often it ends as it did.

    RUN_DIR is a run directory, from anywhere, or a bundle (`harness bundle`). The plan is compared by its digest. The
    broker, Toxiproxy and the clients have the versions of the original run, and it runs in the same runtime.
    """
    from harness.engine.isolation import Isolation  # noqa: PLC0415  commands load only what they need
    from harness.report.atomic import require_writable  # noqa: PLC0415
    from harness.report.junit import write_junit  # noqa: PLC0415
    from harness.report.sanitize import clean  # noqa: PLC0415
    from harness.report.terminal import TerminalListener, consoles  # noqa: PLC0415
    from harness.reproduce.bundle import opened  # noqa: PLC0415
    from harness.reproduce.original import read_original  # noqa: PLC0415
    from harness.reproduce.replay import replay as made_again  # noqa: PLC0415
    from harness.reproduce.replay import words  # noqa: PLC0415
    from harness.session.session import results_json  # noqa: PLC0415
    from harness.session.signals import Signals  # noqa: PLC0415

    with opened(run_dir) as place:
        original = read_original(place, trusted=trust)
    if junit is not None:
        require_writable(junit)
    progress, verdict = consoles()
    in_junit = -1

    def written(results: Sequence[RunResult]) -> None:
        nonlocal in_junit
        if junit is not None and in_junit != len(results):
            write_junit(results, junit)
            in_junit = len(results)

    def warn(text: str) -> None:
        listener(Note(text=text, warning=True))

    with (
        TerminalListener(progress, None if as_json else verdict, quiet=quiet) as listener,
        Signals(warn) as signals,
    ):
        made = made_again(
            original,
            times,
            reports,
            listener,
            isolation=Isolation(isolate),
            signals=signals,
            written=lambda results: noted(lambda: written(results), warn),
        )
    code = reported(made.exit_code, lambda: written(made.results))

    def show() -> None:
        if as_json:
            content = json.loads(results_json(made.results, made.exit_code))
            told = {key: value for key, value in asdict(made).items() if key not in {"results", "exit_code"}}
            click.echo(json.dumps({**content, "replayed": told}, indent=2))
            return
        click.echo()
        for line in words(original, made):
            click.echo(clean(line))

    return printed(code, show)

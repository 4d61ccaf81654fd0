"""``harness bundle``: a run in one file, for `harness replay` elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from harness.errors import ExitCode


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The file.  [default: <run directory>.tar.gz here]"
)
@click.option("--history", is_flag=True, help="Also pack the journals, so that `harness check` can judge it elsewhere.")
def bundle(*, run_dir: Path, output: Path | None, history: bool) -> int:
    """Pack what `harness replay` needs of a run directory into one file."""
    import shlex  # noqa: PLC0415  commands load only what they need

    from harness.reproduce.bundle import write_bundle  # noqa: PLC0415
    from harness.session.program import program  # noqa: PLC0415

    to = output if output is not None else Path(f"{run_dir.resolve().name}.tar.gz")
    names = write_bundle(run_dir, to, history=history)
    click.echo(f"{to}: {', '.join(names)}, {to.stat().st_size:,} bytes")
    click.echo(f"to see it again: {shlex.join([*program(), 'replay', str(to)])}")
    return ExitCode.PASS

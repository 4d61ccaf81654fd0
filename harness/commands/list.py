"""``harness list``: the scenarios that come with the harness."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.commands.options import tag_option, where_option
from harness.errors import ExitCode


@click.command("list")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@tag_option
@where_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(paths: tuple[Path, ...], *, tags: tuple[str, ...], where: str, as_json: bool) -> int:
    """List scenarios with their tags and titles: those of PATHS, else those that come with the harness.

    `harness copy NAME` copies one of the latter, to be changed.
    """
    from harness.session.fields import tags_of  # noqa: PLC0415  commands load only what they need
    from harness.session.selection import select  # noqa: PLC0415
    from harness.shipped import shipped  # noqa: PLC0415

    own = shipped("scenarios")
    found = {}
    for item in select(paths or (own,), tags=tags, where=where):
        plan = item.plan
        path = Path(plan.file)
        name = path.relative_to(own).with_suffix("").as_posix() if not paths else plan.file
        found[name] = {"name": name, "broker": plan.broker_kind, "tags": sorted(tags_of(plan)), "title": plan.title}
    if as_json:
        click.echo(json.dumps(list(found.values()), indent=2))
        return ExitCode.PASS
    wide = max(map(len, found))
    for name, said in found.items():
        click.echo(f"{name:<{wide}}  {', '.join(said['tags'])}\n{'':<{wide}}  {said['title']}")
    return ExitCode.PASS

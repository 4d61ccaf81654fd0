"""What several commands share: options, arguments, and what they say of exit codes. Loads nothing but click."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.completion import complete_tags, scenario_paths
from harness.errors import UsageError

EXIT_CODES = (
    "Exit codes: 0 pass, 1 expectation violated, 2 interrupted, 3 internal error, 4 usage or invalid scenario, "
    "5 nothing selected, 6 inconclusive, 7 environment, 8 (`harness check`) the verdict differs from result.json. With "
    "several runs: the most severe, in the order 1, 3, 7, 6, 2."
)
trust_option = click.option(
    "--trust",
    is_flag=True,
    help="Let scenarios set keys of the brokers' configuration that reach outside the run: files, addresses, plug-ins "
    "(docs/security.md).",
)
isolate_option = click.option(
    "--isolate",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    envvar="HARNESS_ISOLATE",
    show_envvar=True,
    help="Give each run of processes a network of its own, which no other user of this machine can reach. auto: where "
    "the machine allows it. Containers are not isolated (docs/security.md).",
)
reports_option = click.option(
    "--reports",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Directory for the run directories.",
)
paths_argument = click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), shell_complete=scenario_paths
)
seed_option = click.option("--seed", type=int, help="Use this seed instead of each scenario's own.")
annotations_option = click.option(
    "--annotations",
    type=click.Choice(["auto", "github", "none"]),
    default="auto",
    show_default=True,
    help="Print what did not pass as annotations, at lines of the scenarios. auto: where GitHub Actions runs this.",
)
summary_option = click.option(
    "--summary",
    type=click.Path(path_type=Path),
    envvar="GITHUB_STEP_SUMMARY",
    show_envvar=True,
    help="Append a summary in Markdown to this file.",
)
store_option = click.option(
    "--store",
    "store_file",
    type=click.Path(path_type=Path),
    envvar="HARNESS_STORE",
    show_envvar=True,
    help="The store's file; by default store.sqlite in the user's state directory of this tool.",
)


tag_option = click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="EXPRESSION",
    help="Only scenarios of which this is true: a tag or a kind of broker, or 'gate and not slow' (repeatable: any of "
    "them).",
    shell_complete=complete_tags,
)
where_option = click.option(
    "--where", default="", metavar="EXPRESSION", help="Only plans of which this is true (docs/suites.md)."
)
variant_option = click.option(
    "--variant", "wanted", multiple=True, metavar="PATH=VALUE", help="Only these variants of a matrix."
)
set_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="PATH=VALUE",
    help="Put a value into every plan selected: workload.rate=50/s, cluster.nodes=3, faults.0.for=3s.",
)


def pairs(words: tuple[str, ...], option: str = "--variant") -> dict[str, str]:
    """Return path → value of ``--variant`` or ``--set``; raises UsageError."""
    found: dict[str, str] = {}
    for word in words:
        path, equals, value = word.partition("=")
        if not equals or not path:
            raise UsageError(f"{option} takes PATH=VALUE, not {word!r}")
        if path in found:
            raise UsageError(f"{option} gives {path!r} twice: {found[path]!r} and {value!r}")
        found[path] = value
    return found


def _share(context: click.Context, parameter: click.Parameter, value: str) -> float:
    """Return a share such as ``25%`` as a number."""
    from harness.units import RATIO  # noqa: PLC0415  commands load only what they need

    try:
        return float(RATIO.parse(value))
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


baseline_option = click.option(
    "--baseline",
    "baseline_text",
    metavar="NAME|last:N",
    help="Compare times and rates with stored runs of the same plans: a named baseline, or each plan's last N nights "
    "(at least 5). A regression fails; what cannot be compared is inconclusive.",
)
tolerance_option = click.option(
    "--tolerance",
    callback=_share,
    metavar="SHARE",
    default="25%",
    show_default=True,
    help="By how much of the baseline's median a measure may be worse.",
)
baseline_optional_option = click.option(
    "--baseline-optional", "optional", is_flag=True, help="What cannot be compared with the baseline does not count."
)

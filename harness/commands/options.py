"""What several commands share: options, arguments, and what they say of exit codes. Loads nothing but click."""

from __future__ import annotations

from pathlib import Path

import click

from harness.errors import UsageError

EXIT_CODES = (
    "Exit codes: 0 pass, 1 expectation violated, 2 interrupted, 3 internal error, 4 usage or invalid scenario, "
    "5 nothing selected, 6 inconclusive, 7 environment. With several runs: the most severe, in the order 1, 3, 7, 6, 2."
)
reports_option = click.option(
    "--reports",
    type=click.Path(path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Directory for the run directories.",
)
paths_argument = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
seed_option = click.option("--seed", type=int, help="Use this seed instead of each scenario's own.")
store_option = click.option(
    "--store",
    "store_file",
    type=click.Path(path_type=Path),
    envvar="HARNESS_STORE",
    show_envvar=True,
    help="The store's file; by default store.sqlite in the user's state directory of this tool.",
)


def pairs(words: tuple[str, ...]) -> dict[str, str]:
    """Return matrix path → value of ``--variant``; raises UsageError."""
    found = {}
    for word in words:
        path, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"--variant takes PATH=VALUE, not {word!r}")
        found[path] = value
    return found

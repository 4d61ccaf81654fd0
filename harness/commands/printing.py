"""Reports, and last of all the printed result: what cannot be written or is not read hides no failure.

Loads nothing but click.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import click

from harness.errors import ExitCode, UnfitEnvironmentError, suite_exit_code


def shown(error: object) -> str:
    """Return an error, or a name in it, without anything that steers a terminal: others may have written it."""
    from harness.report.sanitize import clean_lines  # noqa: PLC0415  only what goes wrong needs it

    return clean_lines(str(error))


def reported(code: int, write: Callable[[], None]) -> int:
    """Write reports, and return the exit code of the command: one that cannot be written adds ``ENVIRONMENT``.

    Args:
        code: Of what is reported.
        write: Writes them.
    """
    try:
        write()
    except UnfitEnvironmentError as error:
        click.echo(f"error: {shown(error)}", err=True)
        return _with_environment(code)
    return int(code)


def noted(write: Callable[[], None], warn: Callable[[str], None]) -> None:
    """Write reports between runs: one that cannot be written ends no session, and the end reports it again."""
    try:
        write()
    except UnfitEnvironmentError as error:
        warn(error.message)


def printed(code: int, show: Callable[[], None]) -> int:
    """Print a result on stdout, and return the exit code of the command.

    Args:
        code: Of what is shown. It stands when the reader left; a stdout that takes nothing more adds ``ENVIRONMENT``.
        show: Prints it.
    """
    try:
        show()
        sys.stdout.flush()
    except OSError as error:
        click.echo(f"error: the result cannot be printed: {error.strerror}", err=True)
        _discard()
        return _with_environment(code)
    return int(code)


def _with_environment(code: int) -> int:
    """Return the exit code of what ended with ``code`` and could not be written; a code of no run stands."""
    if code in {ExitCode.USAGE, ExitCode.NOTHING_SELECTED, ExitCode.DIFFERS}:
        return int(code)
    return suite_exit_code([code, ExitCode.ENVIRONMENT])


def _discard() -> None:
    """Let what is still to be written to stdout go nowhere, so that the interpreter does not complain at its end."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # a stdout without a file

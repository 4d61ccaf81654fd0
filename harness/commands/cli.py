"""The command line: one file per command, and one outer handler that maps every way out to its exit code.

Owns which commands there are. A command's module is loaded when that command is asked for, and loads only what it
needs.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from harness import __version__
from harness.commands.options import EXIT_CODES
from harness.commands.printing import printed, shown
from harness.environment import settle
from harness.errors import ExitCode, HarnessError, UnfitEnvironmentError, is_machines
from harness.streams import outlive_readers

COMMANDS = (
    "baseline",
    "bundle",
    "check",
    "checks",
    "clean",
    "copy",
    "doctor",
    "explain",
    "export",
    "faults",
    "fetch",
    "images",
    "list",
    "new",
    "replay",
    "run",
    "schema",
    "store",
    "suite",
    "trends",
    "validate",
)
"""Name of each command, and of the module of this package that defines it under the same name."""


_LINUX_ONLY = frozenset(("check", "clean", "fetch", "images", "run", "suite"))


class _Commands(click.Group):
    """The commands by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the name of every command."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loading its module alone; None when there is none of this name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(
            importlib.import_module(f"harness.commands.{cmd_name}"), "list_" if cmd_name == "list" else cmd_name
        )
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="harness")
def cli() -> None:
    """Run chaos scenarios with evidence on real message brokers, and give a verdict that can be trusted."""


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line (``words``, or those of this process); the only place where exceptions become exit codes."""
    # What loading modules makes never dies, and nothing here calculates with NumPy's threads: both cost a run 0.1 s.
    gc.set_threshold(50_000, 20, 20)
    outlive_readers()
    sys.exit(_run_guarded(lambda: _start(words)))


def _start(words: Sequence[str] | None) -> Any:
    """Check the system, clean the environment, and run the command."""
    given = sys.argv[1:] if words is None else words
    refused = unsupported(sys.platform, given[0] if given else "")
    if refused:
        raise UnfitEnvironmentError(refused, hint="run it in a Linux machine, a container, or WSL")
    try:
        settle(os.environ)
    except OSError as error:
        raise UnfitEnvironmentError(
            f"HOME is not set, and {error.filename} cannot take its place: {error.strerror}", hint="set HOME"
        ) from error
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return cli.main(words, standalone_mode=False)


def unsupported(platform: str, command: str) -> str:
    """Return why a command cannot work on a platform (of ``sys.platform``), in one sentence; empty where it can."""
    if platform.startswith("linux") or (platform != "win32" and command not in _LINUX_ONLY):
        return ""
    name = {"darwin": "macOS", "win32": "Windows"}.get(platform, platform)
    return f"the harness needs Linux, and this is {name}: it supervises processes by /proc, pidfds and control groups"


def _run_guarded(command: Callable[[], Any]) -> int:
    """Run a command and return its exit code; what is still in a buffer belongs to its result."""
    return printed(_outcome(command), lambda: None)


def _outcome(command: Callable[[], Any]) -> int:
    try:
        return int(command() or 0)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except HarnessError as error:
        click.echo(f"error: {shown(error)}", err=True)
        return int(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    except OSError as error:
        if error.errno == errno.ENOENT and not error.filename and _is_nowhere():
            click.echo("error: the working directory was removed\n  hint: change to one that exists", err=True)
            return ExitCode.ENVIRONMENT
        if not is_machines(error):
            return _crashed(error)
        what = f"{shown(error.filename)}: " if error.filename else ""
        click.echo(f"error: {what}{error.strerror or 'the machine refused it'}", err=True)
        return ExitCode.ENVIRONMENT
    except Exception as error:  # noqa: BLE001  the last line of defence: a crash must not look like a violation
        return _crashed(error)


def _is_nowhere() -> bool:
    """Return whether the working directory of this process is gone."""
    try:
        os.getcwd()  # noqa: PTH109  the call itself is asked
    except OSError:
        return True
    return False


def _crashed(error: Exception) -> int:
    click.echo(f"internal error: {error!r}", err=True)
    if os.environ.get("HARNESS_DEBUG"):
        import traceback  # noqa: PLC0415  costs as much as all the commands together

        traceback.print_exc()
    else:
        click.echo("  hint: set HARNESS_DEBUG=1 to see the traceback", err=True)
    return ExitCode.INTERNAL


if __name__ == "__main__":
    main()

"""``python -m harness``: the command line. No module of the working directory is imported, whatever its name."""

import os
import sys


def _forget_working_directory() -> None:
    """Take back that ``-m`` looks for modules in the working directory first: whoever wrote there is not us."""
    try:
        here = os.getcwd()  # noqa: PTH109 — pathlib is not loaded yet, and would be looked for there
    except OSError:
        return  # it is gone, and Python has put nothing there
    if not sys.flags.safe_path and sys.path[:1] in ([here], [""]):
        del sys.path[0]


if __name__ == "__main__":
    _forget_working_directory()
    from harness.commands.cli import main

    main()

"""pip: installs a Python package into a directory of its own, with the user's configuration of pip.

Owns the command line. Knows no concrete package.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import sys

from harness.clock import NS_PER_S
from harness.distributions.cache import BuildContext
from harness.distributions.tool import Tool, ToolFailure

INSTALL_NS_MAX = 5 * 60 * NS_PER_S
_ASK_NS = 60 * NS_PER_S


def pip_usable(tool: Tool) -> str:
    """Return why nothing can be installed with this Python, or an empty string."""
    try:
        tool.run([sys.executable, "-m", "pip", "--version"], deadline_ns=_ASK_NS)
    except ToolFailure:
        return f"{sys.executable} has no pip"
    return ""


def pip_install(context: BuildContext, requirement: str, *, dependencies: bool = False) -> None:
    """Install a package's wheel (and with ``dependencies`` those that it needs) into ``context.out``.

    Raises:
        ToolFailure: It could not be installed.
    """
    argv = [sys.executable, "-m", "pip", "install", "--target", str(context.out), "--only-binary", ":all:"]
    argv += [] if dependencies else ["--no-deps"]
    argv += ["--no-compile", "--no-input", "--progress-bar", "off", requirement]
    context.tool.run(argv, deadline_ns=INSTALL_NS_MAX)
    # pip leaves console scripts that point into the directory the package is about to be moved out of.
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(context.out / "bin")


def pip_versions(tool: Tool, package: str) -> tuple[str, ...]:
    """Return the versions of a package that the user's index has for this Python, in no certain order; empty when it is
    not known.
    """
    try:
        said = tool.run([sys.executable, "-m", "pip", "index", "versions", package], deadline_ns=_ASK_NS)
    except ToolFailure:
        return ()
    found = re.search(r"^Available versions: (.*)$", said, re.MULTILINE)
    return tuple(found[1].split(", ")) if found else ()

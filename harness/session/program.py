"""How a person starts this program, so that a command that is printed works when it is pasted."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from harness.errors import relative


def program(started: str | None = None) -> list[str]:
    """Return the words that start this program from the working directory: ``harness``, or its path where that is
    another program or none.

    Args:
        started: As what this process was started; None = ask the interpreter.
    """
    own = Path(sys.argv[0] if started is None else started)
    if own.name == "__main__.py" and own.parent.name == "harness":
        return ["python", "-m", "harness"]
    if own.name != "harness" or not own.is_file():
        return ["harness"]  # a test, or a process of a suite
    found = shutil.which("harness")
    if found is not None and Path(found).resolve() == own.resolve():
        return ["harness"]
    return [relative(own)]

"""How a person starts this program, so that a command that is printed works when it is pasted."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from harness.errors import relative
from harness.scenario.model import Plan
from harness.session.selection import needs_trust, settings_of


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


def reproduce_command(plan: Plan, runtime: str, source: str) -> str:
    """Return the command line that runs the same plan again, quoted for a shell.

    Args:
        plan: The plan.
        runtime: Where it ran.
        source: The text of its scenario, which says what its matrix varies; the rest was set.
    """
    file = plan.file if not plan.file.startswith("-") else f"./{plan.file}"
    words = [*program(), "run", file, "--seed", str(plan.seed), "--runtime", runtime]
    settings = settings_of(source, plan.file, plan.variant)
    for path, value in plan.variant.items():
        words += ["--set" if path in settings else "--variant", f"{path}={value}"]
    if needs_trust(plan):
        words.append("--trust")
    return shlex.join(words)

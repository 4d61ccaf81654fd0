"""Which modules a worker's process loads: asked of a process that does what a worker does first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping

BEYOND_A_WORKER = re.compile(
    r"(docker|testcontainers|toxiproxy|"
    r"harness\.(faults|checks|runtime|distributions|engine|session|report|judging|commands|brokers\.base))(\.|$)"
)
"""What no worker loads, of whichever broker."""


def modules_after(code: str, env: Mapping[str, str] | None = None) -> list[str]:
    """Return the modules that a new interpreter has loaded once it has run ``code``."""
    argv = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sorted(sys.modules))"]
    done = subprocess.run(argv, env=os.environ | dict(env or {}), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def modules_of_worker(kind: str, env: Mapping[str, str] | None = None) -> list[str]:
    """Return the modules that a worker of a broker has loaded once it has its client."""
    code = f"import harness.workload.worker\nfrom harness.clients.base import CLIENTS\nCLIENTS.get({kind!r})"
    return modules_after(code, env)

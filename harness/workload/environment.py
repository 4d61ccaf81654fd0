"""How the harness's own processes are started: command line and environment. Knows no worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_VARIABLE = "PYTHONPATH"
_ONE_THREAD: Mapping[str, str] = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy's library for linear algebra starts a thread for each CPU as it is loaded. Nothing here calculates with it."""


def command_line(module: str, specification: Path) -> tuple[str, ...]:
    """Return the command line of a process of ours (``worker``, ``monitor``) with the file that describes it."""
    return (sys.executable, "-m", "harness.workload.start", module, str(specification))


def own_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return ``env`` with what each process of ours has.

    This process's ``PYTHONPATH`` is behind the one of ``env``: a plug-in that is found here is found there.
    """
    places = [place for place in (env.get(_VARIABLE, ""), os.environ.get(_VARIABLE, "")) if place]
    return {**_ONE_THREAD, **env} | ({_VARIABLE: os.pathsep.join(places)} if places else {})

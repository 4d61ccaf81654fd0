"""How the harness's own processes are started: command line and environment. Knows no worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_VARIABLE = "PYTHONPATH"
_OWN: Mapping[str, str] = {"OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
"""NumPy's library for linear algebra starts a thread for each CPU as it is loaded, and nothing here calculates with it.
No module is looked for in the working directory, by what a worker starts either."""


def command_line(module: str, specification: Path) -> tuple[str, ...]:
    """Return the command line of a process of ours (``worker``, ``monitor``) with the file that describes it."""
    return (sys.executable, "-P", "-m", "harness.workload.start", module, str(specification))


def own_environment(env: Mapping[str, str]) -> dict[str, str]:
    """Return ``env`` with what each process of ours has.

    The absolute places of this process's ``PYTHONPATH`` are behind those of ``env``: a plug-in that is found here is
    found there, and no module of the working directory.
    """
    inherited = [place for place in os.environ.get(_VARIABLE, "").split(os.pathsep) if Path(place).is_absolute()]
    places = [place for place in (env.get(_VARIABLE, ""), *inherited) if place]
    return {**_OWN, **env} | ({_VARIABLE: os.pathsep.join(places)} if places else {})

"""The environment of the harness's own processes. Knows no worker."""

from __future__ import annotations

import os
from collections.abc import Mapping

_VARIABLE = "PYTHONPATH"


def with_import_path(env: Mapping[str, str]) -> dict[str, str]:
    """Return ``env`` with this process's ``PYTHONPATH`` behind its own: a plug-in that is found here is found there."""
    places = [place for place in (env.get(_VARIABLE, ""), os.environ.get(_VARIABLE, "")) if place]
    return {**env, _VARIABLE: os.pathsep.join(places)} if places else dict(env)

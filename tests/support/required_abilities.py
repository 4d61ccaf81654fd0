"""What a test cannot do without.

Where it is lacking, the test is skipped with the reason, or fails if ``HARNESS_REQUIRE`` names it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NoReturn

import pytest

from harness.faults.base import FAULTS
from harness.runtime.abilities import why_not
from harness.runtime.docker import engine as docker_engine


def skip_or_fail(name: str, reason: str) -> NoReturn:
    """Skip the running test, or let it fail where ``name`` (``docker``, ``power``) is required, as in CI."""
    if name in os.environ.get("HARNESS_REQUIRE", "").split(","):
        pytest.fail(f"{name} is required here: {reason}")
    pytest.skip(f"{name}: {reason}")


def require_for_faults(kinds: Iterable[str], runtime: str) -> None:
    """Skip or fail likewise where this machine has not what a runtime and these kinds of faults need."""
    if runtime == "docker" and (why := docker_engine.unusable()):
        skip_or_fail("docker", why)
    for kind in kinds:
        for ability in FAULTS.get(kind).machine:
            if why := why_not(ability, runtime):
                skip_or_fail({"disk": "power"}.get(ability, ability), why)

"""What a test cannot do without. Where it is lacking the test is skipped with the reason, or fails if ``HARNESS_REQUIRE`` names it."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacking(name: str, reason: str) -> NoReturn:
    """Skip the running test, or let it fail where ``name`` (``docker``, ``power``) is required, as in CI."""
    if name in os.environ.get("HARNESS_REQUIRE", "").split(","):
        pytest.fail(f"{name} is required here: {reason}")
    pytest.skip(f"{name}: {reason}")

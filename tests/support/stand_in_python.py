"""Another program in place of the Python that runs the tests, for code that starts ``sys.executable``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def python_is(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``program`` be what this process takes for its Python."""
    monkeypatch.setattr(sys, "executable", str(program))

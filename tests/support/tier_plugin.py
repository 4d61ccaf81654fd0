"""The option ``--tier``: leaves out what another tier proves, and prints which part of a rotation this run has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.rotation import RotationError, rotation_key
from support.tiers import TIERS, chosen, lines, tier_of

TESTS = Path(__file__).parents[1]
MARKS = (
    "tier(name): runs in this tier only: fast, ci or prove",
    "rotates(of): its cases are split into as many parts; one CI run has one part",
)
_OUTPUT = "rotation"


@dataclass(frozen=True, slots=True)
class _Case:
    tier: str
    test: str
    parts: int


def add_option(parser: pytest.Parser) -> None:
    """Add ``--tier``."""
    parser.addoption("--tier", choices=TIERS, default="", help="Run the tests of this tier only (docs/testing.md).")


class TierPlugin:
    """Deselects, and says so at the end, also when the tests ran in several processes.

    Args:
        config: Of this process.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._tier: str = config.getoption("--tier")
        self._said: list[str] = []
        try:
            # A tier without a rotation needs no repository.
            self._key = rotation_key(TESTS) if self._tier == "ci" else 0
        except RotationError as error:
            raise pytest.UsageError(str(error)) from error

    def pytest_report_header(self) -> str | None:
        if not self._tier:
            return None
        return f"tier: {self._tier}" + (f", rotation key {self._key}" if self._tier == "ci" else "")

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        try:
            cases = [_case(item) for item in items]
        except ValueError as error:
            raise pytest.UsageError(str(error)) from error
        kept, turns = chosen(cases, self._tier, self._key)
        gone = [item for index, item in enumerate(items) if index not in kept]
        items[:] = [item for index, item in enumerate(items) if index in kept]
        if gone:
            config.hook.pytest_deselected(items=gone)
        self._said = lines(turns, self._key)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[_OUTPUT] = self._said

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take over what a worker process said; all of them say the same."""
        self._said = getattr(node, "workeroutput", {}).get(_OUTPUT, self._said)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        write: Callable[[str], None] = terminalreporter.write_line
        for line in self._said:
            write(f"rotation: {line}")


def _case(item: pytest.Item) -> _Case:
    tier, rotates = item.get_closest_marker("tier"), item.get_closest_marker("rotates")
    return _Case(
        tier=tier_of(item.path, TESTS, tier.args[0] if tier else ""),
        test=f"{item.path.relative_to(TESTS).as_posix()}::{getattr(item, 'originalname', None) or item.name}",
        parts=rotates.args[0] if rotates else 0,
    )

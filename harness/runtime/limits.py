"""Limits that several holders have set on one node: the smallest is in force. Knows no runtime."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Generic, TypeVar

from harness.errors import HarnessError

T = TypeVar("T", int, float)


class Limits(Generic[T]):
    """The limits of one node, of its memory (bytes) or its CPU (cores).

    Args:
        carry_out: Sets what is in force, or lifts it with None; raises HarnessError or OSError when it cannot.
    """

    def __init__(self, carry_out: Callable[[T | None], None]) -> None:
        self._carry_out: Callable[[T | None], None] = carry_out
        self._of: dict[str, T] = {}

    @property
    def least(self) -> T | None:
        """What is in force; None without a limit."""
        return min(self._of.values(), default=None)

    def set(self, holder: str, limit: T | None) -> None:
        """Set a holder's limit, or lift it with None. One that is refused leaves the others in force; so does one that
        cannot be lifted, until it is lifted again.
        """
        if limit is None:
            others = {name: value for name, value in self._of.items() if name != holder}
            if others != self._of:
                self._carry_out(min(others.values(), default=None))
                self._of = others
            return
        before = self._of.get(holder)
        self._of[holder] = limit
        try:
            self._carry_out(self.least)
        except (HarnessError, OSError):
            self._of.pop(holder)
            if before is not None:
                self._of[holder] = before
            with contextlib.suppress(HarnessError, OSError):
                self._carry_out(self.least)
            raise

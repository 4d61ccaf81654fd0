"""Memory limits that several holders have set on one node: the smallest is in force. Knows no runtime."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from harness.errors import HarnessError


class MemoryLimits:
    """The limits of one node.

    Args:
        carry_out: Sets what is in force, or lifts it with None; raises HarnessError or OSError when it cannot.
    """

    def __init__(self, carry_out: Callable[[int | None], None]) -> None:
        self._carry_out = carry_out
        self._of: dict[str, int] = {}

    @property
    def least_bytes(self) -> int | None:
        """What is in force; None without a limit."""
        return min(self._of.values(), default=None)

    def set(self, holder: str, limit_bytes: int | None) -> None:
        """Set a holder's limit, or lift it with None. One that is refused leaves the others in force."""
        if limit_bytes is None:
            if self._of.pop(holder, None) is not None:
                self._carry_out(self.least_bytes)
            return
        before = self._of.get(holder)
        self._of[holder] = limit_bytes
        try:
            self._carry_out(self.least_bytes)
        except (HarnessError, OSError):
            self._of.pop(holder)
            if before is not None:
                self._of[holder] = before
            with contextlib.suppress(HarnessError, OSError):
                self._carry_out(self.least_bytes)
            raise

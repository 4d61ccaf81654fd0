"""What to send when: keys in turn on an absolute schedule. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.history.record import SEQ_BITS


class Generator:
    """Draws the values of one producer incarnation: its keys round-robin, each with its own increasing sequence.

    Args:
        keys: Keys this producer owns.
        incarnation: From 1; earlier incarnations' sequences lie below this one's.
        rate_per_s: Messages per second; 0 = everything is due at once.
    """

    def __init__(self, keys: tuple[int, ...], incarnation: int, rate_per_s: float) -> None:
        self._keys = keys
        self._table = np.array(keys, np.int64)
        self._base = (incarnation - 1) << SEQ_BITS
        self._rate = rate_per_s
        self._drawn = 0

    def due(self, elapsed_ns: int, most: int) -> int:
        """Return how many further messages are due ``elapsed_ns`` after the start, at most ``most``."""
        if not self._rate:
            return most
        if elapsed_ns < 0:
            return 0
        return min(most, int(elapsed_ns * self._rate / 1e9) + 1 - self._drawn)

    def next_due_ns(self) -> int:
        """Return when, after the start, the next message is due."""
        return int(self._drawn / self._rate * 1e9) if self._rate else 0

    def draw(self) -> tuple[int, int]:
        """Return the next (key, seq)."""
        turn, index = divmod(self._drawn, len(self._keys))
        self._drawn += 1
        return self._keys[index], self._base + turn

    def take(self, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the next ``count`` (keys, seqs)."""
        drawn = np.arange(self._drawn, self._drawn + count)
        self._drawn += count
        return self._table[drawn % len(self._keys)], self._base + drawn // len(self._keys)

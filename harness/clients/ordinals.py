"""How far each record of one kind in a journal has come: a byte of flags for each ordinal, forgotten once all is over.

Owns that a step is made in turn and once. Knows no journal, and not what the flags mean.
"""

from __future__ import annotations

import functools
from typing import Final

import numpy as np
from numpy.typing import NDArray

_KEPT: Final = 1 << 16
"""From so many ordinals on, those that are over are forgotten."""


@functools.cache
def _adding(adds: int) -> bytes:
    """Return the table by which flags are added to bytes."""
    return bytes(value | adds for value in range(256))


class RecordingError(RuntimeError):
    """A client makes a step out of turn: a mistake of the client, whose journal would not say what happened."""


class Ordinals:
    """The flags of the ordinals from 0 on.

    Args:
        first: Flag of an ordinal that is new.
        finals: Values after which nothing is asked of an ordinal any more.
        kept: See ``_KEPT``.
    """

    def __init__(self, first: int, finals: frozenset[int], kept: int = _KEPT) -> None:
        self._new = bytes([first])
        self._over = bytes(0 if value in finals else 1 for value in range(256))
        self._flags = bytearray()
        self._base = 0
        self._kept = self._full = kept

    @property
    def end(self) -> int:
        """Number of ordinals there are."""
        return self._base + len(self._flags)

    def extend(self, count: int) -> int:
        """Add so many; return the first of them."""
        if len(self._flags) > self._full:
            self._forget()
        first = self.end
        self._flags += self._new * count
        return first

    def advance(self, first: int, count: int, *, needs: int = 0, forbids: int, adds: int, step: str) -> None:
        """Add flags to [first, first + count).

        Raises:
            RecordingError: One of them does not exist, lacks a flag that it needs or has one that is forbidden; then
                none changed.
        """
        flags, start = self._flags, first - self._base
        if count == 1 and 0 <= start < len(flags):
            value = flags[start]
            if value & needs == needs and not value & forbids:
                flags[start] = value | adds
                return
        elif start >= 0 and start + count <= len(flags):
            part = flags[start : start + count]
            values = part[:1] if count and part.count(part[0]) == count else set(part)
            if all(value & needs == needs and not value & forbids for value in values):
                flags[start : start + count] = part.translate(_adding(adds))
                return
        raise self._refused(range(first, first + count), needs, forbids, step)

    def advance_each(self, ordinals: NDArray[np.int64], *, needs: int = 0, forbids: int, adds: int, step: str) -> None:
        """Add flags to each of many ordinals; raises as ``advance``, and when one is named twice."""
        if not ordinals.size:
            return
        places, ordered = ordinals - self._base, np.sort(ordinals)  # in order already, so this costs little
        if (
            ordered[0] < self._base
            or ordered[-1] >= self.end
            or (ordered[1:] == ordered[:-1]).any()
            or (((flags := self._view()[places]) & (needs | forbids)) != needs).any()
        ):
            raise self._refused(ordinals.tolist(), needs, forbids, step)
        self._view()[places] = flags | adds

    def of(self, first: int, count: int) -> NDArray[np.uint8]:
        """Return a copy of the flags of [first, first + count); all of them must still be kept."""
        return self._view()[first - self._base : first - self._base + count].copy()

    def _view(self) -> NDArray[np.uint8]:
        # Never kept: a bytearray that is being looked at cannot grow.
        return np.frombuffer(self._flags, np.uint8)

    def _forget(self) -> None:
        over = self._flags.translate(self._over).find(1)
        over = len(self._flags) if over < 0 else over
        del self._flags[:over]
        self._base += over
        self._full = max(self._kept, 2 * len(self._flags))

    def _refused(self, ordinals: range | list[int], needs: int, forbids: int, step: str) -> RecordingError:
        for ordinal in ordinals:
            if ordinal < 0 or ordinal >= self.end:
                return RecordingError(f"ordinal {ordinal} cannot be {step}: only {self.end} are recorded")
            value = self._flags[ordinal - self._base] if ordinal >= self._base else forbids
            if value & forbids:
                return RecordingError(
                    f"ordinal {ordinal} cannot be {step}: it has ended, or this step was recorded before"
                )
            if value & needs != needs:
                return RecordingError(f"ordinal {ordinal} cannot be {step}: what comes before it is not recorded")
        return RecordingError(f"an ordinal cannot be {step} twice")

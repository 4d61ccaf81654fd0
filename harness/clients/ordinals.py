"""How far each record of one kind in a journal has come: a byte of flags for each ordinal, forgotten once all is over.

Owns that a step is made in turn and once. Knows no journal, and not what the flags mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

_KEPT: Final = 1 << 16
"""From so many ordinals on, those that are over are forgotten."""


class RecordingError(RuntimeError):
    """A client makes a step out of turn: a mistake of the client, whose journal would not say what happened."""


class OrdinalStep:
    """One step that ordinals make.

    Args:
        name: What an ordinal is after it, for people.
        needs: Flags that it must have before, all of them.
        forbids: Flags of which it must have none.
        adds: Flags that it has after it.

    Attributes:
        after: Flags before → flags after; 0 = out of turn.
    """

    def __init__(self, name: str, *, needs: int = 0, forbids: int, adds: int) -> None:
        self.name, self.needs, self.forbids = name, needs, forbids
        self.after = bytes(
            value | adds if value & needs == needs and not value & forbids else 0 for value in range(256)
        )


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
        first = self._base + len(self._flags)
        self._flags += self._new * count
        return first

    def advance(self, step: OrdinalStep, first: int, count: int = 1) -> None:
        """Let [first, first + count) make a step.

        Raises:
            RecordingError: One of them does not exist, lacks a flag that it needs or has one that is forbidden; then
                none changed.
        """
        flags, start = self._flags, first - self._base
        if start >= 0 and start + count <= len(flags):
            if count == 1:
                if after := step.after[flags[start]]:
                    flags[start] = after
                    return
            elif 0 not in (part := flags[start : start + count].translate(step.after)):
                flags[start : start + count] = part
                return
        raise self._refused(step, range(first, first + count))

    def advance_each(self, step: OrdinalStep, ordinals: NDArray[np.int64]) -> None:
        """Let each of many ordinals make a step; raises as ``advance``, and when one is named twice."""
        if not ordinals.size:
            return
        ordered = np.sort(ordinals)  # in order already for the most part, so this costs little
        if ordered[0] < self._base or ordered[-1] >= self.end or np.count_nonzero(ordered[1:] == ordered[:-1]):
            raise self._refused(step, ordinals.tolist())
        # The view is never kept: a bytearray that is being looked at cannot grow.
        view, places = np.frombuffer(self._flags, np.uint8), ordinals - self._base
        after = view[places].tobytes().translate(step.after)
        if 0 in after:
            raise self._refused(step, ordinals.tolist())
        view[places] = np.frombuffer(after, np.uint8)

    def _forget(self) -> None:
        over = self._flags.translate(self._over).find(1)
        over = len(self._flags) if over < 0 else over
        del self._flags[:over]
        self._base += over
        self._full = max(self._kept, 2 * len(self._flags))

    def _refused(self, step: OrdinalStep, ordinals: Iterable[int]) -> RecordingError:
        for ordinal in ordinals:
            if ordinal < 0 or ordinal >= self.end:
                return RecordingError(f"ordinal {ordinal} cannot be {step.name}: only {self.end} are recorded")
            value = self._flags[ordinal - self._base] if ordinal >= self._base else step.forbids
            if value & step.forbids:
                return RecordingError(
                    f"ordinal {ordinal} cannot be {step.name}: it has ended, or this step was recorded before"
                )
            if value & step.needs != step.needs:
                return RecordingError(f"ordinal {ordinal} cannot be {step.name}: what comes before it is not recorded")
        return RecordingError(f"an ordinal cannot be {step.name} twice")

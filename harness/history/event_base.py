"""What every event has: a time and a writer. The kinds are in ``events``; import from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

UNSTAMPED: Final = -1
"""Time of an event that is not written yet: the log sets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One sparse event.

    Attributes:
        t: When it was so; the log sets it to the time of writing when it is ``UNSTAMPED``.
        source: Who wrote it; set by the log.
    """

    kind: ClassVar[str] = ""
    t: int = UNSTAMPED
    source: str = ""

"""The event of a part of a run that did not run, and what that is called wherever it is reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from harness.history.event_base import Event

How = Literal["stopped", "frozen", "starved", "silent", "killed"]

STANDSTILLS: Final[Mapping[str, str]] = {
    "stopped": "was stopped from outside (by a signal or a debugger)",
    "frozen": "was frozen from outside (its control group)",
    "starved": "was starved from outside (another limit, group or priority left it without CPU)",
    "silent": "hung (it ran and reported nothing)",
    "killed": "was killed from outside (SIGKILL)",
}
"""How a part did not run → what is said of it after its name, while it lasts and in the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandstillEvent(Event):
    """A part of the run did not run, and no fault of the plan did that; written as it begins, and once it is over.

    Attributes:
        part: A node, service, worker, gateway, ``monitor``, ``toxiproxy``… or ``harness``.
        how: See ``STANDSTILLS``.
        since_ns, until_ns: From when until when it was seen so.
        lasting: It is not over, as far as the writer knows. Another event of the same part and ``since_ns`` replaces
            it.
    """

    kind: ClassVar[str] = "standstill"
    part: str
    how: How
    since_ns: int
    until_ns: int
    lasting: bool

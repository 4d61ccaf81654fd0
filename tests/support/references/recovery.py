"""Recovery: what was acknowledged before the last fault was healed is processed within the limit."""

from __future__ import annotations

from support import checks_oracle as oracle
from support.references.values import Violations
from support.stories.story import name_of

from harness.history.events import FaultEvent
from harness.history.read import History

WITHIN_MAX = 20_000_000_000


def violations(history: History) -> Violations:
    """Return the value that was processed last, when that was too late; of several, the lowest."""
    run = oracle.plain(history)
    healed = max(
        (event.t for event in history.events if isinstance(event, FaultEvent) and event.action == "healed"), default=-1
    )
    done = oracle.first_processed(run)
    owed = [send.value for send in run.ok() if 0 <= send.t_done <= healed and send.due <= healed]
    late = {value: done[value] - healed for value in owed if value in done}
    last = max(sorted(late), key=lambda value: late[value], default=None)
    return {"slow-recovery": {name_of(*last)} if last is not None and late[last] > WITHIN_MAX else set()}

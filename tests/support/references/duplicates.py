"""Duplicates: values at two places, and places delivered again though the broker had settled them."""

from __future__ import annotations

from support import checks_oracle as oracle
from support.references.values import Violations, named

from harness.history.read import History


def violations(history: History) -> Violations:
    """Return the values."""
    run = oracle.plain(history)
    settling = history.facts.settling
    again = set()
    if settling.acknowledged is not None:
        again |= oracle.illegal_redeliveries(run)
    if settling.positions:
        again |= oracle.illegal_by_position(run)
    value_at = {(item.journal, item.when[2]): item.value for item in run.deliveries}
    return named(
        copy={value for value, _, _ in oracle.epoch_copies(run)},
        redelivered_after_ack={value_at[place] for place in again},
        redelivered_without_acks=_without_acks(run) if settling.on_delivery else set(),
    )


def _without_acks(run: oracle.Plain) -> set[oracle.Value]:
    """Return what came again to a consumer that had started before it came the first time."""
    started = {view.name: int(view.header["mono_ns"]) for view in run.history.journals}
    found = set()
    for mine in run.deliveries:
        place = mine.value, mine.partition, mine.offset
        earlier = [d for d in run.deliveries if (d.value, d.partition, d.offset) == place and d.when < mine.when]
        if earlier and mine.value in run.sends and started[mine.journal] <= max(d.when[0] for d in earlier):
            found.add(mine.value)
    return found

"""Order: values that came, or lie, behind a later one of their key; deliveries behind a higher offset in an epoch,
and places that an epoch passed over.
"""

from __future__ import annotations

from support import checks_oracle as oracle
from support.references.values import Violations, named

from harness.history.read import History


def violations(history: History) -> Violations:
    """Return the values that are late."""
    run = oracle.plain(history)
    value_at = {(item.journal, item.when[2]): item.value for item in run.deliveries}
    late = oracle.late_in_key(run)
    again = {value for value in late if (first := run.first(value)) and (first.redelivered or first.attempt > 1)}
    at = {(item.journal, item.when[2]): item.partition for item in run.deliveries}
    # A place is known by what was told, found or, where neither was, delivered there.
    told = {(item.partition, item.offset): item.value for item in run.deliveries}
    told |= {(send.partition, send.offset): send.value for send in run.ok()}
    told |= {(partition, offset): value for value, partition, offset in run.stored}
    passed, _ = oracle.skipped(run)
    return named(
        inversion=late - again,
        redelivered_late=again,
        skip={told[at[journal, ordinal], offset] for journal, ordinal, offset in passed},
        nonmonotonic={value_at[place] for place in oracle.late_in_epoch(run)},
        log_inversion=oracle.late_in_log(run),
    )

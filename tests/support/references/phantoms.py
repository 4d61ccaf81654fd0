"""Phantoms: what was delivered or stored and never sent, or whose send failed for certain."""

from __future__ import annotations

from support import checks_oracle as oracle
from support.references.values import Violations, named
from support.transactions_oracle import transactions

from harness.history.read import History
from harness.history.record import Outcome


def violations(history: History) -> Violations:
    """Return the values."""
    run = oracle.plain(history)
    torn = any(view.role == "producer" and view.name in history.torn for view in history.journals)
    seen = {item.value for item in run.deliveries} | {value for value, _, _ in run.stored} | run.dead
    failed = {value for value, send in run.sends.items() if send.outcome == Outcome.FAIL}
    # What was read of an aborted transaction is the matter of the transactions' check.
    failed -= {message.value for one in transactions(history) if one.aborted for message in one.members}
    # What was delivered before it was sent was sent by no producer then, whatever a torn journal lacks.
    early = {
        item.value for item in run.deliveries if item.value in run.sends and item.when[0] < run.sends[item.value].t
    }
    return named(phantom=early | (set() if torn else seen - run.sends.keys()), resurrected=seen & failed)

"""Transactions: messages of torn ones, of aborted ones that were read, and those read before their commit."""

from __future__ import annotations

from support import transactions_oracle as oracle
from support.references.values import Violations, named

from harness.history.read import History


def violations(history: History) -> Violations:
    """Return the values."""
    found = oracle.judge(history)
    torn = {
        message.value
        for one in oracle.transactions(history)
        if (one.journal, one.first) in found.torn
        for message in one.members
    }
    return named(torn_transaction=torn, aborted_read=found.aborted_reads, early_read=found.early_reads)

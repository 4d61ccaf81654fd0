"""Mutations of transactions: what a reader sees of them.

Each changes a run in place and returns what its finding must name, or None where it cannot be made.
"""

from __future__ import annotations

import dataclasses
import random

from support.stories.moves import deliver_last
from support.stories.story import Story, Transaction

from harness.history.events import Event, WorkerEvent
from harness.history.record import Outcome, TransactionStep


def _of(story: Story, *, aborted: bool) -> list[Transaction]:
    """Return the transactions that were aborted for certain, or those that are visible."""
    if aborted:
        return [one for one in story.transactions if one.outcome is Outcome.FAIL]
    return [one for one in story.transactions if any(item.stored for item in one.members)]


def tear(story: Story, rng: random.Random) -> str | None:
    """Hide one message of a transaction, and show the others."""
    found = [one for one in _of(story, aborted=False) if sum(bool(item.stored) for item in one.members) > 1]
    if not found:
        return None
    message = rng.choice([item for item in rng.choice(found).members if item.stored])
    message.stored = []
    story.deliveries = [item for item in story.deliveries if item.message is not message]
    return message.name


def show_aborted(story: Story, rng: random.Random) -> str | None:
    """Let a message of an aborted transaction be read, or lie in the log where the audit reads committed ones only."""
    found = _of(story, aborted=True)
    if not found:
        return None
    message = rng.choice(rng.choice(found).members)
    if rng.random() < 0.5:
        message.stored = [(message.partition, 6_000)]
        return message.name
    return message.name if deliver_last(story, message, 6_000) is not None else None


def hurry_commit(story: Story, rng: random.Random) -> str | None:
    """Let the commit be asked for just after a message of the transaction was read."""
    last = {one.journal: one for one in story.transactions}
    found = [
        (one, first)
        for one in _of(story, aborted=False)
        for item in one.members
        if (first := story.first(item)) is not None and last[one.journal] is one
    ]
    if not found:
        return None
    one, first = rng.choice(found)
    one.steps = [(TransactionStep.COMMITTING, first.t + 1)]
    one.ended = first.t + 2 if one.ended >= 0 else -1
    for item in one.members:
        item.done = first.t + 3 if item.done >= 0 else -1
    story.events = [_not_before(event, one.journal, first.t + 4) for event in story.events]
    return first.message.name


def never_ask(story: Story, rng: random.Random) -> str | None:
    """Let a transaction be read though its commit was never asked for."""
    found = _of(story, aborted=False)
    if not found:
        return None
    one = rng.choice(found)
    one.steps, one.ended, one.outcome = [], -1, Outcome.UNKNOWN
    for item in one.members:
        item.outcome, item.done, item.told = Outcome.UNKNOWN, -1, -1
    return rng.choice([item for item in one.members if item.stored]).name


def _not_before(event: Event, journal: str, t: int) -> Event:
    """Return the end of a producer at ``t`` if it came before; any other event as it is."""
    if isinstance(event, WorkerEvent) and f"{event.worker}.{event.incarnation}" == journal:
        return dataclasses.replace(event, t=max(event.t, t))
    return event

"""Mutations of the log: where messages lie, what their bodies are, what replicas hold, and what is gone.

Each changes a run in place and returns what its finding must name, or None where it cannot be made.
"""

from __future__ import annotations

import dataclasses
import random

from support.stories.story import Message, Story

from harness.history.facts import Removals


def _one(rng: random.Random, story: Story) -> Message | None:
    """Return an acknowledged message that was delivered and that the audit finds."""
    found = [item for item in story.messages if item.ok and item.stored and item.due < 0 and story.first(item)]
    return rng.choice(found) if found else None


def vanish(story: Story, rng: random.Random) -> str | None:
    """Let the audit miss a message that was processed."""
    message = _one(rng, story)
    if message is not None:
        message.stored = []
    return message.name if message is not None else None


def misplace(story: Story, rng: random.Random) -> str | None:
    """Acknowledge another offset than the one at which the message lies."""
    message = _one(rng, story)
    if message is None or message.told < 0:
        return None
    message.told += 5_000
    return message.name


def misroute(story: Story, rng: random.Random) -> str | None:
    """Store a message in another partition than the one that was acknowledged."""
    message = _one(rng, story)
    if message is None or message.told < 0 or story.facts.partitions == 1:
        return None
    message.stored = [((message.partition + 1) % story.facts.partitions, 8_000)]
    return message.name


def conflict(story: Story, rng: random.Random) -> str | None:
    """Tell two sends one place."""
    told = [item for item in story.messages if item.ok and item.stored and item.told >= 0 and item.due < 0]
    pairs = [(a, b) for a in told for b in told if a is not b and a.partition == b.partition]
    if not pairs:
        return None
    first, second = rng.choice(pairs)
    second.told = first.told
    return second.name


def corrupt(story: Story, rng: random.Random) -> str | None:
    """Alter a body in the log."""
    message = _one(rng, story)
    if message is None:
        return None
    message.corrupted = True
    return message.name


def diverge(story: Story, rng: random.Random) -> str | None:
    """Let the replica hold another message at an offset; or nothing, where a broker removes nothing by itself."""
    message = _one(rng, story)
    if message is None or not story.replicated:
        return None
    message.replica = "another"
    if not story.first_offset and rng.random() < 0.5:
        story.facts = dataclasses.replace(story.facts, removals=Removals())
        message.replica = "nothing"
    return message.name


def lose_log(story: Story, rng: random.Random) -> str:
    """Let the broker say that a log does not exist any more."""
    partition = rng.randrange(story.facts.partitions)
    story.logs_gone.add(partition)
    for message in story.messages:
        message.stored = [place for place in message.stored if place[0] != partition]
    return f"partition {partition}"


def lose_consumer(story: Story, rng: random.Random) -> str | None:
    """Let a durable consumer go before it was given a message."""
    message = _one(rng, story)
    if message is None:
        return None
    story.deliveries = [item for item in story.deliveries if item.message is not message]
    story.consumers_gone.add(message.partition)
    return message.name

"""Waits for the states at which faults are applied, and looks at nothing while no fault waits.

Owns how often is looked and what counts as seen. Knows no broker and no fault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from harness.clients.base import Counters
from harness.clock import NS_PER_S, monotonic_ns
from harness.errors import HarnessError
from harness.scenario.model import Trigger
from harness.scenario.trigger import MOVED, NO_LEADER, holds

POLL_S = 0.015
"""Between two looks: a rebalance may prepare for no longer than that."""

StateQuery = Callable[[], Awaitable[tuple[bool, str]]]
"""Returns whether the state holds, and what was seen, as a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerSources:
    """Where states are looked up.

    Attributes:
        group_state: The consumer group's state, according to its coordinator.
        leader: Partition → node that leads it; empty when there is none.
        counters: What all workers together have done so far, as they reported last.
        healed: Fault → set once it was applied and has been healed.
    """

    group_state: Callable[[], Awaitable[str]]
    leader: Callable[[int], Awaitable[str]]
    counters: Callable[[], Counters]
    healed: Mapping[str, asyncio.Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What became of a wait.

    Attributes:
        seen_ns: Monotonic time at which the state was known to hold; 0 = it was not seen in time.
        observed: What was seen last, as a sentence.
    """

    seen_ns: int
    observed: str


async def wait_for(trigger: Trigger, sources: TriggerSources, start_ns: int) -> Sighting:
    """Look until the state is seen or its time, counted from ``start_ns``, is over."""
    deadline_ns = start_ns + trigger.within_ns
    observed = "it was never examined"
    query = _query(trigger, sources)
    while (rest_ns := deadline_ns - monotonic_ns()) > 0:
        try:
            async with asyncio.timeout(rest_ns / NS_PER_S):
                held, observed = await query()
                if held:
                    return Sighting(seen_ns=monotonic_ns(), observed=observed)
                await asyncio.sleep(POLL_S)
        except TimeoutError:
            continue  # the time is over, or a query had a limit of its own
        except (HarnessError, OSError) as error:
            observed = f"it could not be examined: {error}"
            await asyncio.sleep(POLL_S)
    return Sighting(seen_ns=0, observed=observed)


def _query(trigger: Trigger, sources: TriggerSources) -> StateQuery:
    if trigger.group:
        return _group(trigger.group, sources)
    if trigger.leader_of is not None:
        return _leader(trigger.leader_of, trigger.is_, sources)
    if trigger.after:
        return _after(trigger.after, sources.healed[trigger.after])
    return _count(trigger, sources)


def _group(state: str, sources: TriggerSources) -> StateQuery:
    async def query() -> tuple[bool, str]:
        now = await sources.group_state()
        return now == state, f"the group was {now}"

    return query


def _leader(partition: int, wanted: str, sources: TriggerSources) -> StateQuery:
    first = ""

    async def query() -> tuple[bool, str]:
        nonlocal first
        now = await sources.leader(partition)
        first = first or now
        held = {MOVED: now not in ("", first), NO_LEADER: not now}.get(wanted, now == wanted)
        before = f" (first {first})" if wanted == MOVED else ""
        return held, f"partition {partition} was led by {now or 'no node'}{before}"

    return query


def _after(fault: str, healed: asyncio.Event) -> StateQuery:
    async def query() -> tuple[bool, str]:
        return healed.is_set(), f"{fault} was {'' if healed.is_set() else 'not yet '}healed"

    return query


def _count(trigger: Trigger, sources: TriggerSources) -> StateQuery:
    async def query() -> tuple[bool, str]:
        done = sources.counters()
        if trigger.backlog:
            backlog = max(0, done.acknowledged - done.processed)
            return holds(trigger.backlog, backlog), f"the backlog was {backlog}"
        return holds(trigger.processed, done.processed), f"{done.processed} messages were processed"

    return query

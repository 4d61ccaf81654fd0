"""The allocators side by side, simulated: what each does to a group of 5 members and 16 queues whose members come and
go, and whose loads differ.

``python -m harness.brokers.rocketmq.allocator_table`` prints the table as Markdown. Nothing here talks to a broker: it
shows what the deals alone cost, before a lock, a heartbeat or a pull takes its time.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.brokers.rocketmq.allocators import ALLOCATORS, Deal, Loads, agreed, moved, skew
from harness.brokers.rocketmq.places import Queue

MEMBERS, QUEUES, TRIALS, SEED = 5, 16, 300, 1
_LOAD_MAX = 4.0
_NOISE = 0.05
"""By how much a measured load is off the true one at most: two members measure at two moments."""
_QUEUES = tuple(Queue("n1", number) for number in range(QUEUES))
_COLUMNS = (
    *("allocator", "skew", "skew, 95 of 100", "moved by a join", "by a leave", "by nothing"),
    *("excess load", "two owners", "no owner"),
)

Owners = Mapping[Queue, frozenset[str]]
"""Queue → the members that take it for theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocatorRow:
    """What one allocator did in all trials.

    Attributes:
        name: Of the allocator.
        skew, skew_p95: Largest less smallest number of queues, among members of equal load: median, and what 95 of 100
            trials do not exceed.
        joined, left: How many queues get another owner when a member comes or goes; means.
        idle: How many do when loads are only measured again; mean.
        excess: By which part of the mean the most loaded member exceeds it, where loads are 1 to 4; mean.
        twice, unowned: Part of the trials in which some queue has two owners, or none.
    """

    name: str
    skew: int
    skew_p95: int
    joined: float
    left: float
    idle: float
    excess: float
    twice: float
    unowned: float


def simulate(name: str, trials: int = TRIALS, seed: int = SEED) -> AllocatorRow:
    """Return what an allocator does; the same for the same seed."""
    rng, allocate = random.Random(seed), ALLOCATORS[name]  # noqa: S311  it keeps no secret
    skews: list[int] = []
    joined = left = idle = twice = unowned = 0
    excess = 0.0
    for _ in range(trials):
        group = sorted(f"c{number}" for number in rng.sample(range(1_000_000), MEMBERS + 1))
        few = sorted(rng.sample(group, MEMBERS))
        small, large = allocate(few, _QUEUES, {}), allocate(group, _QUEUES, {})
        skews.append(skew(small))
        joined += moved(small, large)
        left += moved(large, small)
        loads = {member: _LOAD_MAX ** rng.random() for member in few}
        first, snapshot = _round(name, rng, loads, {})
        second, _ = _round(name, rng, loads, snapshot)
        idle += sum(first[queue] != second[queue] for queue in _QUEUES)
        excess += _excess(second, loads)
        twice += any(len(found) > 1 for found in second.values())
        unowned += not all(second.values())
    skews.sort()
    return AllocatorRow(
        name=name,
        skew=skews[len(skews) // 2],
        skew_p95=skews[math.ceil(len(skews) * 0.95) - 1],
        joined=joined / trials,
        left=left / trials,
        idle=idle / trials,
        excess=excess / trials,
        twice=twice / trials,
        unowned=unowned / trials,
    )


def markdown(rows: Iterable[AllocatorRow]) -> str:
    """Return the table."""
    lines = [f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    lines += [
        f"| `{row.name}` | {row.skew} | {row.skew_p95} | {row.joined:.1f} | {row.left:.1f} | {row.idle:.1f} "
        f"| {row.excess:.0%} | {row.twice:.0%} | {row.unowned:.0%} |"
        for row in rows
    ]
    return "\n".join(lines)


def _round(name: str, rng: random.Random, loads: Loads, snapshot: Loads) -> tuple[Owners, Loads]:
    """Let every member deal by what it believes; return who owns what then, and the snapshot that holds."""
    members, allocate = sorted(loads), ALLOCATORS[name]
    snapshot = agreed(snapshot, members, _measured(rng, loads))
    deals: dict[str, Deal] = {
        member: allocate(members, _QUEUES, _measured(rng, loads) if name == "load-aware" else snapshot)
        for member in members
    }
    owners = {queue: frozenset(member for member in members if queue in deals[member][member]) for queue in _QUEUES}
    return owners, snapshot


def _measured(rng: random.Random, loads: Loads) -> Loads:
    return {member: load * (1 + rng.uniform(-_NOISE, _NOISE)) for member, load in loads.items()}


def _excess(owners: Owners, loads: Loads) -> float:
    """Return by which part of the mean the most loaded member exceeds it; a queue of two owners loads both."""
    load = dict.fromkeys(loads, 0.0)
    for found in owners.values():
        for member in found:
            load[member] += loads[member]
    return max(load.values()) * len(load) / sum(load.values()) - 1


def main(arguments: Sequence[str]) -> None:
    """Print the table; the one argument is the number of trials."""
    trials = int(arguments[0]) if arguments else TRIALS
    sys.stdout.write(markdown(simulate(name, trials) for name in ALLOCATORS) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])

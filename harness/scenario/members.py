"""What follows from a plan's numbers: the names of its workers and of their zones, and when each worker is there."""

from __future__ import annotations

from harness.scenario.model import Plan, Workload


def worker_names(workload: Workload) -> tuple[str, ...]:
    """Return the worker names of a workload: ``p0``… for producers, then ``c0``… for consumers."""
    return (
        *(f"p{index}" for index in range(workload.producers)),
        *(f"c{index}" for index in range(workload.consumers)),
    )


def zones(workload: Workload) -> dict[str, tuple[str, ...]]:
    """Return zone → worker names, ``clients`` (everyone not named elsewhere) first when it is not empty."""
    placed = {name for names in workload.zones.values() for name in names}
    rest = tuple(name for name in worker_names(workload) if name not in placed)
    return ({"clients": rest} if rest else {}) | dict(workload.zones)


def owned_partitions(workload: Workload, index: int) -> tuple[int, ...]:
    """Return the partitions that a consumer owns where no group deals them out.

    More consumers than partitions share them; else every partition has one owner.
    """
    slots = range(max(workload.partitions, workload.consumers))
    return tuple(sorted({slot % workload.partitions for slot in slots if slot % workload.consumers == index}))


def absent_workers(plan: Plan) -> frozenset[str]:
    """Return the workers that are not there at first, because a fault of the plan starts them."""
    return frozenset(name for fault in plan.timeline if fault.joins for name in fault.targets)


def membership_changes(plan: Plan, role: str, *, session_ns: int = 0, poll_ns: int = 0) -> int:
    """Return how many departures and returns of workers the plan's faults make, or may make, each counted.

    Args:
        plan: Of the run.
        role: ``consumer`` or ``producer``.
        session_ns: The group expels who has been silent for longer than this.
        poll_ns: The group expels who has not polled for longer than this.
    """
    changes = 0
    for fault in plan.timeline:
        length = fault.until_ns - fault.at_ns
        expelled = (fault.silences and length > session_ns) or (fault.holds_handler and length > poll_ns)
        each = fault.departures or (2 if expelled else 0)
        changes += each * sum(name in worker_names(plan.workload) and name[0] == role[0] for name in fault.targets)
    return changes


def partitions_added(plan: Plan) -> int:
    """Return how many partitions the plan adds to the topic."""
    return sum(fault.partitions_added for fault in plan.timeline)

"""What the planned faults of a plan do, taken together: the lengths from which limits are derived.

Knows no kind of fault by name.
"""

from __future__ import annotations

import itertools

from harness.scenario.members import worker_names
from harness.scenario.model import Plan, PlannedFault
from harness.scenario.topology import Topology


def planned_end_ns(plan: Plan) -> int:
    """Return when the declared drain ends, from the start of the timeline."""
    return plan.workload.duration_ns + plan.workload.drain_ns


def first_fault_ns(plan: Plan) -> int:
    """Return when the first fault is applied at the latest, from the start of the timeline; without faults 0."""
    return min((fault.at_ns for fault in plan.timeline), default=0)


def down_ns(plan: Plan) -> int:
    """Return the longest time for which a fault takes nodes down."""
    return max((_length(fault) for fault in plan.timeline if fault.takes_node_down), default=0)


def out_ns(plan: Plan, tolerated: int) -> int:
    """Return the longest time for which more nodes may be down at once than a partition does without.

    Args:
        plan: Of the run.
        tolerated: How many nodes may be down while every partition goes on.
    """
    windows = [(fault.at_ns, fault.until_ns, _count_down(fault)) for fault in plan.timeline if fault.takes_node_down]
    edges = sorted({edge for at, until, _ in windows for edge in (at, until)})
    longest = lasted = 0
    for low, high in itertools.pairwise(edges):
        down = sum(count for at, until, count in windows if at <= low and high <= until)
        lasted = lasted + high - low if down > tolerated else 0
        longest = max(longest, lasted)
    return longest


def _count_down(fault: PlannedFault) -> int:
    """Return how many nodes a fault takes down at once; one that rolls over them takes them one by one."""
    return 1 if getattr(fault.options, "rolling", False) else max(1, len(fault.targets))


def cut_ns(plan: Plan) -> int:
    """Return the longest time for which a fault lets nothing pass its links."""
    return max((_length(fault) for fault in plan.timeline if fault.cuts_links), default=0)


def blocked_ns(plan: Plan) -> int:
    """Return the longest time for which a fault holds a handler."""
    return max((_length(fault) for fault in plan.timeline if fault.holds_handler), default=0)


def disturbs_nodes(plan: Plan) -> bool:
    """Return whether a fault acts on nodes, on links between them or on the topic, so that leaders may change."""
    return any(not fault.on.worker and not _client_link(fault, plan.topology) for fault in plan.timeline)


def silent_ns(plan: Plan, session_ns: int) -> int:
    """Return for how long a group may wait for a member whose heartbeats do not come; 0 when no fault keeps them.

    One that is killed is waited for until its session ends, and one that is only paused or cut off until it is back.

    Args:
        plan: Of the run.
        session_ns: The group expels who has been silent for longer than this.
    """
    consumers = {name for name in worker_names(plan.workload) if name.startswith("c")}
    waits = [0]
    for fault in plan.timeline:
        if fault.silences and not consumers.isdisjoint(fault.targets):
            waits.append(session_ns if fault.departures else min(session_ns, _length(fault)))
        elif fault.cuts_links and _client_link(fault, plan.topology):
            waits.append(min(session_ns, _length(fault)))
    return max(waits)


def leaves_silently(plan: Plan) -> bool:
    """Return whether a fault silences a consumer whose connections do not end."""
    consumers = {name for name in worker_names(plan.workload) if name.startswith("c")}
    return any(
        (fault.silences and not fault.departures and not consumers.isdisjoint(fault.targets))
        or (fault.cuts_links and _client_link(fault, plan.topology))
        for fault in plan.timeline
    )


def cuts_peers(plan: Plan) -> bool:
    """Return whether a fault lets nothing pass links between nodes."""
    return any(fault.cuts_links and not _client_link(fault, plan.topology) for fault in plan.timeline)


def _client_link(fault: PlannedFault, topology: Topology) -> bool:
    name = fault.on.link
    return name == "client-broker" or name in {link.name for link in topology.client_links()}


def _length(fault: PlannedFault) -> int:
    return fault.until_ns - fault.at_ns

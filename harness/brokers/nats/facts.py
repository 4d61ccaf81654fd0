"""What the configuration of a NATS run makes true: time-outs, what is allowed, and the pauses that follow from both.

Owns the formulas; docs/checks.md says them in words.
"""

from __future__ import annotations

from harness.history.facts import Acknowledged, Facts, Settling
from harness.scenario.members import zones
from harness.scenario.model import Plan
from harness.units import format_ns

_S = 1_000_000_000

ELECTION_NS_MAX = 9 * _S
"""Longest election time-out of JetStream's Raft (``maxElectionTimeoutDefault`` in server/raft.go)."""


def facts_of(plan: Plan) -> Facts:
    """Return the facts of a plan."""
    workload, cluster = plan.workload, plan.cluster
    consumer, producer, topic = workload.consumer, workload.producer, cluster.topic
    give_up = consumer.ping_interval_ns * (consumer.pings_unanswered_max + 1)
    # Time a client may need after its leader is reachable again: it notices a silent connection, connects again, its
    # outstanding pull expires, and a message that was on its way when the fault struck is sent again after ack_wait.
    redelivery = consumer.ack_wait_ns if consumer.ack == "explicit" else 0
    detection = give_up + 2 * consumer.reconnect_wait_ns + consumer.fetch_wait_ns + redelivery
    formula = (
        f"ping_interval × (pings_unanswered_max + 1) {format_ns(give_up)} + 2 × reconnect_wait "
        f"{format_ns(consumer.reconnect_wait_ns)} + fetch_wait {format_ns(consumer.fetch_wait_ns)}"
        + (f" + ack_wait {format_ns(redelivery)}" if redelivery else "")
    )
    election = ELECTION_NS_MAX if cluster.replicas > 1 else 0
    longest = max((fault.until_ns - fault.at_ns for fault in plan.timeline if fault.takes_node_down), default=0)
    down = longest if cluster.replicas == 1 else 0
    machine = 1 * _S
    pause_formula = (
        (f"longest outage of the only copy {format_ns(down)} + " if down else "")
        + (f"Raft election {format_ns(election)} + " if election else "")
        + f"{formula} + {format_ns(machine)} for scheduling"
    )
    return Facts(
        partitions=workload.partitions,
        nodes=plan.topology.node_names,
        worker_zones={worker: zone for zone, workers in zones(workload).items() for worker in workers},
        links={link.name: (link.source, link.target) for link in plan.topology.client_links()},
        settling=Settling(
            acknowledged=Acknowledged(confirmed=consumer.ack_confirm, wait_ns=consumer.ack_wait_ns)
            if consumer.ack == "explicit"
            else None,
            when=consumer.ack_when,
        ),
        message_ids=producer.message_ids,
        dedupe_window_ns=topic.duplicate_window_ns,
        shared_partitions=workload.consumers > workload.partitions,
        detection_bound_ns=detection + election,
        detection_formula=formula + (f" + Raft election {format_ns(election)}" if election else ""),
        pause_ns_derived=down + election + detection + machine,
        pause_formula=pause_formula,
        durable=topic.storage == "file",
        allowed=_allowed(plan),
    )


def _allowed(plan: Plan) -> tuple[str, ...]:
    consumer, producer, topic = plan.workload.consumer, plan.workload.producer, plan.cluster.topic
    allowed = []
    if topic.storage == "memory":
        allowed.append("storage memory: a stream with one replica is gone when its server restarts")
    if consumer.ack == "none":
        allowed.append("ack none: messages sent to a consumer that dies are not sent again")
    elif consumer.ack_when == "before":
        allowed.append(
            "ack before processing: messages acknowledged and not yet processed are lost with their consumer"
        )
    else:
        allowed.append("ack after processing: a message is delivered again when its acknowledgement is late or lost")
    if consumer.ack == "explicit" and consumer.max_ack_pending > 1:
        allowed.append("max_ack_pending above 1: a delivery that is lost on its way comes again after its successors")
    if not producer.message_ids:
        allowed.append("no message ids: a retried publish may be stored twice")
    elif topic.duplicate_window_ns < producer.timeout_ns * (producer.retries + 1):
        allowed.append("the duplicate window is shorter than the producer's retries: a late retry may be stored twice")
    sync = str(plan.cluster.config.get("jetstream", {}).get("sync_interval", "2m (default)"))
    if sync != "always":
        allowed.append(f"sync_interval {sync}: power loss of every replica may lose messages not yet synced")
    return tuple(allowed)

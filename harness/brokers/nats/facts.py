"""What the configuration of a NATS run makes true: time-outs, what is allowed, and the pauses that follow from both.

Owns the formulas; docs/checks.md says them in words.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.brokers.nats import retention
from harness.brokers.nats.options import ConsumerOptions, ProducerOptions
from harness.history.facts import Acknowledged, Facts, Settling
from harness.scenario.application import sentences, shown_by
from harness.scenario.effects import cut_ns, disturbs_nodes, out_ns
from harness.scenario.members import owned_partitions, zones
from harness.scenario.model import Plan
from harness.units import format_ns

_S = 1_000_000_000
_SYNC = "2m (default)"

ELECTION_NS_MAX = 9 * _S
"""Longest election time-out of JetStream's Raft (``maxElectionTimeoutDefault`` in server/raft.go)."""

COPY_NS_MAX = 22 * _S
"""A copy whose origin fell silent for 10 s is looked for every 10 s, and asks again after 2 s at the soonest
(``sourceHealthCheckInterval``, ``sourceConsumerRetryThreshold`` in server/stream.go)."""


def facts_of(plan: Plan) -> Facts:
    """Return the facts of a plan."""
    workload, cluster = plan.workload, plan.cluster
    consumer, producer, topic = workload.consumer, workload.producer, cluster.topic
    give_up = consumer.ping_interval_ns * (consumer.pings_unanswered_max + 1)
    # Time a client may need after its leader is reachable again: it notices a silent connection, connects again, its
    # outstanding pull expires, and a message that was on its way when the fault struck is sent again after ack_wait.
    soonest, latest = consumer.redelivered_ns
    redelivery = latest if consumer.ack == "explicit" else 0
    detection = give_up + 2 * consumer.reconnect_wait_ns + consumer.fetch_wait_ns + redelivery
    formula = (
        f"ping_interval × (pings_unanswered_max + 1) {format_ns(give_up)} + 2 × reconnect_wait "
        f"{format_ns(consumer.reconnect_wait_ns)} + fetch_wait {format_ns(consumer.fetch_wait_ns)}"
        + (f" + {'backoff' if consumer.backoff_ns else 'ack_wait'} {format_ns(redelivery)}" if redelivery else "")
    )
    if topic.copy is not None:
        detection += COPY_NS_MAX
        formula += f" + copy resumed {format_ns(COPY_NS_MAX)}"
    election = ELECTION_NS_MAX if cluster.replicas > 1 else 0
    # Without a fault on nodes there is nothing to elect.
    elected = election if disturbs_nodes(plan) else 0
    down = out_ns(plan, tolerated=(cluster.replicas - 1) // 2)
    machine = 1 * _S
    pause_formula = (
        (f"longest outage {format_ns(down)} + " if down else "")
        + (f"Raft election {format_ns(elected)} + " if elected else "")
        + f"{formula} + {format_ns(machine)} for scheduling"
    )
    accept, accept_formula = _accept(producer, down, cut_ns(plan), elected)
    return Facts(
        partitions=workload.partitions,
        nodes=plan.topology.node_names,
        worker_zones={worker: zone for zone, workers in zones(workload).items() for worker in workers},
        links={link.name: (link.source, link.target) for link in plan.topology.client_links()},
        settling=Settling(
            acknowledged=Acknowledged(
                confirmed=consumer.ack_confirm,
                wait_ns=soonest,
                pending_max=consumer.max_ack_pending,
                # What a request that is over was still sent may come with the next one.
                asked_max=2 * consumer.fetch,
            )
            if consumer.ack == "explicit"
            else None,
            when=consumer.ack_when,
        ),
        message_ids=producer.message_ids,
        dedupe_window_ns=topic.duplicate_window_ns,
        shared_partitions=workload.consumers > workload.partitions,
        detection_bound_ns=detection + election,
        detection_formula=formula + (f" + Raft election {format_ns(election)}" if election else ""),
        pause_ns_derived=down + elected + detection + machine,
        pause_formula=pause_formula,
        accept_ns_derived=accept,
        accept_formula=accept_formula,
        refusals=tuple(retention.refusals(cluster)),
        late_redelivery=_late_redelivery(consumer),
        removal="; ".join(retention.removal_sentences(topic)),
        durable=_durable(plan),
        removals=retention.removals(topic, workload.payload_bytes, message_ids=producer.message_ids),
        attempts_max=consumer.max_deliver,
        first_offset=max(1, topic.first_seq),
        reads_copy=topic.copy is not None,
        # A stream's sequence counts over all subjects.
        one_log=True,
        fixed_partitions=True,
        shows=shown_by(consumer),
        fixed_owners=_owners(plan),
        allowed=(*_allowed(plan), *sentences(consumer)),
    )


def _owners(plan: Plan) -> dict[int, str]:
    """Return who alone reads each partition, where an application shows commits alone."""
    workload = plan.workload
    if shown_by(workload.consumer) != "commits" or workload.consumers > workload.partitions:
        return {}
    return {
        partition: f"c{index}" for index in range(workload.consumers) for partition in owned_partitions(workload, index)
    }


def _durable(plan: Plan) -> bool:
    """Return whether stream, copy and consumers keep what they hold, whatever happens to their servers' processes."""
    topic, consumer = plan.cluster.topic, plan.workload.consumer
    streams = all(options.storage == "file" for options in (topic, topic.consumed))
    return streams and topic.persist_mode == "default" and not consumer.mem_storage


def _accept(producer: ProducerOptions, down: int, cut: int, elected: int) -> tuple[int, str]:
    """Return how long a partition may accept nothing of a producer, once it had accepted something.

    After an outage the producer notices a silent connection, connects again, the attempt that was under way times out,
    and it tries again.
    """
    give_up = producer.ping_interval_ns * (producer.pings_unanswered_max + 1)
    terms = [
        ("longest outage", down),
        ("longest cut of links", cut),
        ("Raft election", elected),
        ("ping_interval × (pings_unanswered_max + 1)", give_up),
        ("2 × reconnect_wait", 2 * producer.reconnect_wait_ns),
        ("timeout", producer.timeout_ns),
        ("retry_wait", producer.retry_wait_ns),
    ]
    formula = " + ".join(f"{name} {format_ns(took)}" for name, took in terms if took)
    return sum(took for _, took in terms) + _S, f"{formula} + 1s for scheduling"


def _late_redelivery(consumer: ConsumerOptions) -> str:
    """Return what lets a redelivery come after its successors; empty when nothing does."""
    if consumer.ack != "explicit" or consumer.max_ack_pending <= 1:
        return ""
    return "max_ack_pending above 1: a delivery that is lost on its way comes again after its successors"


def _allowed(plan: Plan) -> tuple[str, ...]:
    consumer, producer, cluster = plan.workload.consumer, plan.workload.producer, plan.cluster
    topic = cluster.topic
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
    if _late_redelivery(consumer):
        allowed.append(_late_redelivery(consumer))
    if plan.workload.consumers > plan.workload.partitions:
        allowed.append("more consumers than partitions: those that share one handle its messages in any order")
    if cluster.replicas == 1:
        allowed.append("one copy: while its node is away, a stream neither accepts nor delivers messages")
    if not producer.message_ids:
        allowed.append("no message ids: a retried publish may be stored twice")
    elif topic.duplicate_window_ns < producer.timeout_ns * (producer.retries + 1):
        allowed.append("the duplicate window is shorter than the producer's retries: a late retry may be stored twice")
    jetstream = plan.cluster.config.get("jetstream")
    sync = str(jetstream.get("sync_interval", _SYNC) if isinstance(jetstream, Mapping) else _SYNC)
    if sync != "always":
        allowed.append(f"sync_interval {sync}: power loss of every replica may lose messages not yet synced")
    return (*allowed, *retention.sentences(topic, consumer), *retention.refusals(plan.cluster))

"""What the configuration of a Kafka run makes true: time-outs, what is allowed, and the pauses that follow from both.

Owns the formulas; docs/checks.md says them in words.
"""

from __future__ import annotations

from harness.brokers.kafka.config import broker_session_ns
from harness.brokers.kafka.options import ConsumerOptions
from harness.brokers.kafka.spec import GROUP_STATES
from harness.history.facts import Facts, GroupFacts, Settling
from harness.scenario.members import membership_changes, partitions_added, zones
from harness.scenario.model import Plan
from harness.units import format_ns

_S = 1_000_000_000

QUORUM_NS_MAX = 4 * _S
"""A dead controller is noticed by its followers (``controller.quorum.fetch.timeout.ms`` 2 s) and replaced
(``controller.quorum.election.timeout.ms`` 1 s, and as long again at most for a second round)."""


def facts_of(plan: Plan) -> Facts:
    """Return the facts of a plan."""
    workload = plan.workload
    consumer = workload.consumer
    detection, detection_formula = _detection(consumer)
    failover, failover_formula = _failover(plan)
    group, group_formula = _group(plan)
    down, down_formula = _outage(plan)
    terms = [
        text for text in (down_formula, failover_formula, detection_formula, group_formula, "1s for scheduling") if text
    ]
    return Facts(
        partitions=workload.partitions,
        nodes=plan.topology.node_names,
        worker_zones={worker: zone for zone, workers in zones(workload).items() for worker in workers},
        links={link.name: (link.source, link.target) for link in plan.topology.client_links()},
        settling=Settling(positions=True, when="before" if consumer.commit == "auto-before" else "after"),
        group=GroupFacts(
            states=GROUP_STATES[consumer.protocol],
            # A cooperative assignor takes partitions in one rebalance and gives them in the next; with KIP-848 the
            # coordinator reconciles members within one.
            rounds_per_change=2 if consumer.protocol == "classic" and not consumer.eager else 1,
            eager=consumer.eager,
            session_timeout_ns=consumer.session_timeout_ns,
            rebalance_timeout_ns=consumer.max_poll_interval_ns,
        ),
        message_ids=workload.producer.idempotent,
        detection_bound_ns=detection + failover,
        detection_formula=" + ".join(text for text in (detection_formula, failover_formula) if text),
        pause_ns_derived=down + failover + detection + group + _S,
        pause_formula=" + ".join(terms),
        # What a rebalance may cost members that are well, whatever another one does.
        causes_ns_derived={"collateral": _rounds(consumer)[0] + _S},
        causes_formulas={"collateral": f"{_rounds(consumer)[1]} + 1s for scheduling"},
        durable=True,
        allowed=_allowed(plan),
        membership_changes=_changes(plan),
        topic_partitions_added=partitions_added(plan),
    )


def _changes(plan: Plan) -> int:
    """Return how often the plan makes consumers leave or come."""
    consumer = plan.workload.consumer
    return membership_changes(
        plan, "consumer", session_ns=consumer.session_timeout_ns, poll_ns=consumer.max_poll_interval_ns
    )


def _detection(consumer: ConsumerOptions) -> tuple[int, str]:
    """Return how long a client may take to be given messages once its leader can be reached again."""
    length = (
        10 * consumer.reconnect_wait_ns + consumer.request_timeout_ns + consumer.fetch_wait_ns + consumer.poll_wait_ns
    )
    formula = (
        f"reconnect backoff 10 × {format_ns(consumer.reconnect_wait_ns)} + request_timeout "
        f"{format_ns(consumer.request_timeout_ns)} + fetch_wait {format_ns(consumer.fetch_wait_ns)} + poll_wait "
        f"{format_ns(consumer.poll_wait_ns)}"
    )
    return length, formula


def _failover(plan: Plan) -> tuple[int, str]:
    """Return how long the cluster may take to make another node the leader, when a fault takes nodes away."""
    down = any(fault.takes_node_down for fault in plan.timeline)
    if not down:
        return 0, ""
    session = broker_session_ns(plan.cluster.config)
    if plan.cluster.nodes == 1:
        # A node that comes back registers only once the session of its earlier self is over.
        return session, f"broker session {format_ns(session)}"
    formula = f"broker session {format_ns(session)} + controller election {format_ns(QUORUM_NS_MAX)}"
    return session + QUORUM_NS_MAX, formula


def _outage(plan: Plan) -> tuple[int, str]:
    """Return the longest planned outage of a node that holds the only copy."""
    longest = max((fault.until_ns - fault.at_ns for fault in plan.timeline if fault.takes_node_down), default=0)
    if plan.cluster.replicas > 1 or not longest:
        return 0, ""
    return longest, f"longest outage of the only copy {format_ns(longest)}"


def _group(plan: Plan) -> tuple[int, str]:
    """Return how long a rebalance may keep a partition from all members, when the plan changes the group."""
    consumer, faults = plan.workload.consumer, plan.timeline
    changes = _changes(plan) + partitions_added(plan)
    blocked = max(
        (
            min(fault.until_ns - fault.at_ns, consumer.max_poll_interval_ns)
            for fault in faults
            if fault.holds_handler and consumer.handler_in == "loop"
        ),
        default=0,
    )
    if not changes and not blocked:
        return 0, ""
    silent = any(fault.silences for fault in faults)
    rounds, rounds_formula = _rounds(consumer)
    length = (consumer.session_timeout_ns if silent else 0) + rounds + blocked
    terms = [f"session_timeout {format_ns(consumer.session_timeout_ns)}"] if silent else []
    terms.append(rounds_formula)
    terms += [f"longest blocked handler {format_ns(blocked)}"] if blocked else []
    return length, " + ".join(terms)


def _rounds(consumer: ConsumerOptions) -> tuple[int, str]:
    """Return how long a rebalance takes in which every member answers: each hears of it by its next heartbeat and
    answers at its next poll; a cooperative one takes two rounds.
    """
    rounds = 1 if consumer.eager else 2
    handling = consumer.poll * consumer.handler_time_ns if consumer.handler_in == "loop" else consumer.revoke_wait_ns
    formula = (
        f"{rounds} × (heartbeat_interval {format_ns(consumer.heartbeat_interval_ns)} + handling of one poll's messages "
        f"{format_ns(handling)} + poll_wait {format_ns(consumer.poll_wait_ns)})"
    )
    return rounds * (consumer.heartbeat_interval_ns + handling + consumer.poll_wait_ns), formula


def _allowed(plan: Plan) -> tuple[str, ...]:
    consumer, producer, cluster = plan.workload.consumer, plan.workload.producer, plan.cluster
    min_insync = cluster.topic.min_insync or max(1, cluster.replicas - 1)
    allowed = []
    if producer.acks == "none":
        allowed.append("acks none: sends are never acknowledged, so no message counts as lost")
    elif producer.acks == "leader":
        allowed.append(
            "acks leader: messages that followers had not yet copied are lost when another node becomes the leader"
        )
    elif min_insync == 1 and cluster.replicas > 1:
        allowed.append("min_insync 1: with one replica in sync, acks all means the leader alone")
    if not producer.idempotent:
        allowed.append("not idempotent: a retried send may be stored twice, and with several in flight out of order")
    if consumer.commit == "auto-before":
        allowed.append("commit auto-before: messages committed and not yet processed are lost with their consumer")
    elif consumer.commit == "none":
        allowed.append("commit none: every new owner begins at the start of the log")
    else:
        allowed.append(
            "commit after processing: messages processed and not yet committed are delivered again to the next owner"
        )
    if consumer.handler_in == "worker":
        allowed.append(
            "handler in a worker: a message in the handler when its partition is revoked may be processed twice"
        )
    if consumer.eager:
        allowed.append(f"assignor {consumer.strategy}: every rebalance takes every partition from every member")
    if str(cluster.config.get("log.flush.interval.messages", "")) != "1":
        allowed.append("no flush per message: power loss of every replica may lose messages not yet written back")
    return tuple(allowed)

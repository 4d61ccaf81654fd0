"""What the configuration of a RocketMQ run makes true: time-outs, what is allowed, and the pauses that follow.

Owns the formulas; docs/checks.md says them in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from harness.brokers.rocketmq.config import REGISTER_MS
from harness.brokers.rocketmq.group_connections import TIMEOUT_S
from harness.brokers.rocketmq.options import CONNECT_NS, ConsumerOptions
from harness.brokers.rocketmq.spec import GROUP_STATES
from harness.history.facts import Acknowledged, Facts, GroupFacts, Removals, Settling
from harness.scenario.effects import cut_ns, down_ns, leaves_silently
from harness.scenario.members import membership_changes, partitions_added, zones
from harness.scenario.model import Cluster, Plan, Workload
from harness.units import format_ns

_S = 1_000_000_000
_MS = 1_000_000

_NEVER_NS: Final = 2**62

PULL_NS: Final = 30 * _S
"""A pull that is under way when its connection is cut keeps its time-out (``CONSUMER_TIMEOUT_MILLIS_WHEN_SUSPEND`` of
the client): only then does the queue's next pull follow."""
GROUP_PULL_NS: Final = 10 * _S
"""The same of a pull group, whose pulls wait for no message (``DefaultMQPullConsumerImpl::pullSyncImpl``)."""
ROUTE_NS: Final = 30 * _S
"""A client asks the name server so often where brokers are (``pollNameServerInterval``)."""
REBALANCE_NS: Final = 20 * _S
"""A client that misses the word that members have changed deals the queues out again by itself after so long."""
SESSION_NS: Final = 120 * _S
"""A broker drops a member whose connection has ended at once, and a silent one after so long
(``channelExpiredTimeout``)."""


def facts_of(plan: Plan) -> Facts:
    """Return the facts of a plan."""
    workload, consumer = plan.workload, plan.workload.consumer
    detection, detection_formula = _detection(plan)
    down, down_formula = _outage(plan)
    group, group_formula = _group(plan)
    accept, accept_formula = _accept(plan)
    derived = _derived(plan)
    terms = [text for text in (down_formula, detection_formula, group_formula, "1s for scheduling") if text]
    return Facts(
        partitions=workload.partitions,
        nodes=plan.topology.node_names,
        worker_zones={worker: zone for zone, workers in zones(workload).items() for worker in workers},
        links={link.name: (link.source, link.target) for link in plan.topology.client_links()},
        settling=_settling(consumer),
        group=GroupFacts(
            states=GROUP_STATES,
            session_timeout_ns=SESSION_NS,
            notice_ns=_notice(consumer)[0],
            lock_ns=plan.cluster.topic.lock_life_ns if consumer.locked else 0,
        ),
        threads_per_partition=consumer.threads if consumer.listener == "concurrent" else 1,
        # An orderly queue waits for the message whose handler fails.
        dead_letters=consumer.listener == "concurrent",
        delay_early_ns=_MS,
        # A file of the log is kept for 72 hours, longer than any run, unless the configuration says otherwise.
        removals=None if "fileReservedTime" in plan.cluster.config else Removals(),
        message_ids=False,
        detection_bound_ns=detection,
        detection_formula=detection_formula,
        limits_ns_derived={name: limit for name, (limit, _) in derived.items()},
        limits_formulas={name: formula for name, (_, formula) in derived.items()},
        accept_ns_derived=accept,
        accept_formula=accept_formula,
        pause_ns_derived=down + detection + group + _S,
        pause_formula=" + ".join(terms),
        durable=True,
        # A retry that goes to another queue is the producer's own doing.
        fixed_partitions=workload.producer.retry_at == "same" and workload.producer.queue_away == "wait",
        allowed=_allowed(plan),
        membership_changes=_changes(plan),
        topic_partitions_added=partitions_added(plan),
    )


def _changes(plan: Plan) -> int:
    """Return how often the plan makes consumers leave or come."""
    return membership_changes(plan, "consumer", session_ns=SESSION_NS, poll_ns=_NEVER_NS)


def _detection(plan: Plan) -> tuple[int, str]:
    """Return how long a client may take to be given messages once its broker can be reached again."""
    length = GROUP_PULL_NS if plan.workload.consumer.listener == "pull" else PULL_NS
    terms = [f"time-out of the pull under way {format_ns(length)}"]
    if any(fault.takes_node_down for fault in plan.timeline):
        # A broker that comes back registers, and then clients must hear of it.
        length += REGISTER_MS * 1_000_000 + ROUTE_NS
        terms.append(
            f"registration {format_ns(REGISTER_MS * 1_000_000)} + poll of the name server {format_ns(ROUTE_NS)}"
        )
    return length, " + ".join(terms)


def _outage(plan: Plan) -> tuple[int, str]:
    """Return the longest planned outage of a master: no other node serves its queues meanwhile."""
    longest = down_ns(plan)
    return (longest, f"longest outage of a master {format_ns(longest)}") if longest else (0, "")


def _accept(plan: Plan) -> tuple[int, str]:
    """Return how long a queue may accept nothing of a producer, once it had accepted something.

    The attempt that was under way times out, and the next one waits for a connection. A broker that comes back
    registers, and then producers must hear of it.
    """
    producer, (down, down_formula) = plan.workload.producer, _outage(plan)
    terms = [
        ("longest cut of links", cut_ns(plan)),
        ("registration", REGISTER_MS * _MS if down else 0),
        ("poll of the name server", ROUTE_NS if down else 0),
        ("timeout", producer.timeout_ns),
        ("retry_wait", producer.retry_wait_ns),
        ("connection", CONNECT_NS),
    ]
    words = ([down_formula] if down else []) + [f"{name} {format_ns(took)}" for name, took in terms if took]
    return down + sum(took for _, took in terms) + _S, f"{' + '.join(words)} + 1s for scheduling"


def _group(plan: Plan) -> tuple[int, str]:
    """Return how long a queue may have no owner when the plan changes the group."""
    if not _changes(plan):
        return 0, ""
    consumer = plan.workload.consumer
    notice, formula = _notice(consumer)
    # A member of a pull group gives its locks back when it leaves; the library forgets some.
    left = consumer.listener != "pull" or any(fault.silences for fault in plan.timeline)
    if not consumer.locked or not left:
        return notice, formula
    life = plan.cluster.topic.lock_life_ns
    return life + notice, f"lock_life {format_ns(life)} + {formula}"


def _derived(plan: Plan) -> dict[str, tuple[int, str]]:
    """Return how long a queue may have no owner in this plan's faults, by check and metric.

    A broker drops a member at once whose connection has ended, and only a silent one when its session is over.
    """
    consumer = plan.workload.consumer
    session = SESSION_NS if leaves_silently(plan) else 0
    (notice, notice_formula), (detection, detection_formula) = _notice(consumer), _detection(plan)
    lock = plan.cluster.topic.lock_life_ns if consumer.locked else 0
    terms = [(session, f"session {format_ns(session)}"), (lock, f"lock_life {format_ns(lock)}")]
    terms += [(notice, notice_formula), (detection, detection_formula)]
    formula = " + ".join(text for took, text in terms if took)
    return {"ownership.unowned_ns_max": (sum(took for took, _ in terms) + _S, f"{formula} + 1s for scheduling")}


def _notice(consumer: ConsumerOptions) -> tuple[int, str]:
    """Return how long after the members have changed each of them knows what is its own.

    In a pull group one member gives a queue up in a pass, when its handler has ended, and another one takes it in the
    next; a request without an answer holds a pass up for ``TIMEOUT_S``.
    """
    if consumer.listener != "pull":
        return REBALANCE_NS, f"interval of rebalances {format_ns(REBALANCE_NS)}"
    answer = int(TIMEOUT_S * _S)
    formula = (
        f"2 × rebalance_interval {format_ns(consumer.rebalance_interval_ns)} + handler_time "
        f"{format_ns(consumer.handler_time_ns)} + request {format_ns(answer)}"
    )
    return 2 * consumer.rebalance_interval_ns + consumer.handler_time_ns + answer, formula


def _settling(consumer: ConsumerOptions) -> Settling:
    """Return how consumers settle deliveries; the library passes positions of its own on, which no one sees."""
    if consumer.listener == "pull":
        return Settling(positions=True, when="after")
    return Settling(acknowledged=Acknowledged(confirmed=False, wait_ns=PULL_NS), when="after")


def _allowed(plan: Plan) -> tuple[str, ...]:
    return (*_cluster_allows(plan.cluster), *_clients_allow(plan.workload, plan.cluster))


def _cluster_allows(cluster: Cluster) -> Iterator[str]:
    if cluster.topic.flush == "async":
        yield "flush async: power loss of a broker may lose messages that it has not written back yet"
    if cluster.config.get("transientStorePoolEnable"):
        yield "transientStorePoolEnable: messages that a broker acknowledged are lost when it is killed"
    if cluster.replicas == 1:
        yield "one copy: while its broker is away, a queue neither accepts nor delivers messages"
    if cluster.replicas > 1 and cluster.topic.replication == "async":
        yield "replication async: messages that the slave had not yet copied are lost with their master"


def _clients_allow(workload: Workload, cluster: Cluster) -> Iterator[str]:
    producer, consumer = workload.producer, workload.consumer
    if producer.queue_by == "turn":
        yield "queue_by turn: messages of a key lie in all queues, so they are handled in any order"
    if producer.retry_at == "next":
        yield "retry_at next: a retried message changes its queue, so its successors may overtake it"
    if producer.queue_away == "other":
        yield "queue_away other: while a broker is away, its keys go to other queues, and may overtake what it holds"
    if producer.delay_level:
        yield f"delay_level {producer.delay_level}: messages come in the order in which they are due"
    if consumer.start_at == "end":
        yield "start_at end: what arrives in a queue before the group has a position there may be skipped"
    if consumer.early:
        yield f"on_failure {consumer.on_failure}: a message whose handler fails counts as consumed, so it is lost"
    if consumer.listener == "concurrent":
        if consumer.threads > 1:
            yield f"listener concurrent: {consumer.threads} threads handle the messages of a queue in any order"
        if consumer.sends_back:
            yield "on_failure later: a message whose handler fails comes again after its successors"
            yield "on_failure later: a message that was sent back 16 times is given up"
    if consumer.listener == "pull" and not consumer.locks:
        yield "locks false: while the members' deals differ, two of them may work on one queue"
    elif consumer.listener == "pull" and consumer.lock_trust_ns >= cluster.topic.lock_life_ns:
        yield "lock_trust not below lock_life: a member may work on a queue whose lock another one has by now"
    yield "a retried send may be stored twice: brokers drop no duplicates"
    yield "a message that was processed and not yet committed is delivered again to the next owner"

"""What the configuration of a Kafka run makes true: time-outs, what is allowed, and the pauses that follow from both.

Owns the formulas; docs/checks.md says them in words.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.brokers.kafka import retention
from harness.brokers.kafka.config import broker_session_ns, replica_lag_ns
from harness.brokers.kafka.options import RETRY_NS_MAX, TRANSACTION_NS_MAX, ConsumerOptions
from harness.brokers.kafka.spec import GROUP_STATES
from harness.history.facts import Facts, GroupFacts, Settling
from harness.scenario.application import sentences, shown_by
from harness.scenario.effects import blocked_ns, cut_ns, cuts_peers, down_ns, out_ns, silent_ns
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
    lag, lag_formula = _lag(consumer)
    down, down_formula = _outage(plan)
    terms = [
        text
        for text in (down_formula, failover_formula, detection_formula, group_formula, lag_formula, "1s for scheduling")
        if text
    ]
    accept, accept_formula = _accept(plan)
    derived = _derived(plan)
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
        pause_ns_derived=down + failover + detection + group + lag + _S,
        pause_formula=" + ".join(terms),
        sends_acknowledged=workload.producer.acks != "none",
        accept_ns_derived=accept,
        accept_formula=accept_formula,
        transaction_ns=TRANSACTION_NS_MAX if workload.producer.transaction else 0,
        aborts_on_purpose=bool(workload.producer.transaction and workload.producer.abort_every),
        limits_ns_derived={name: limit for name, (limit, _) in derived.items()},
        limits_formulas={name: formula for name, (_, formula) in derived.items()},
        # What a rebalance may cost members that are well, whatever another one does.
        causes_ns_derived={"collateral": _rounds(consumer)[0] + _S},
        causes_formulas={"collateral": f"{_rounds(consumer)[1]} + 1s for scheduling"},
        isolation="committed" if consumer.isolation == "read_committed" else "uncommitted",
        outputs=consumer.transactional,
        open_transaction_ns=_holding_transaction_ns(plan),
        durable=True,
        removal="; ".join(retention.removal_sentences(plan.cluster)),
        removals=retention.removals(
            plan.cluster, workload.payload_bytes, transactions=workload.producer.transaction > 0
        ),
        first_offset=0,
        starts_at=consumer.auto_offset_reset,
        fixed_partitions=True,
        shows=shown_by(consumer),
        allowed=(*_allowed(plan), *retention.sentences(plan.cluster, consumer), *sentences(consumer)),
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


def _lag(consumer: ConsumerOptions) -> tuple[int, str]:
    """Return how long after its delivery a message's position may be committed, where positions alone show progress."""
    if shown_by(consumer) != "commits":
        return 0, ""
    handling = consumer.poll * consumer.handler_time_ns
    terms = [("handling of one poll's messages", handling)] if handling else []
    if consumer.commit.startswith("auto"):
        terms.append(("auto_commit_interval", consumer.auto_commit_interval_ns))
    return sum(took for _, took in terms), " + ".join(f"{name} {format_ns(took)}" for name, took in terms)


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
    longest = down_ns(plan)
    if plan.cluster.replicas > 1 or not longest:
        return 0, ""
    return longest, f"longest outage of the only copy {format_ns(longest)}"


def _accept(plan: Plan) -> tuple[int, str]:
    """Return how long a partition may accept nothing of a producer, once it had accepted something.

    After an outage the producer connects again, the request that was under way times out, and it tries again. While
    nothing passes between nodes, a leader waits for a silent follower until it drops it from those in sync.
    """
    producer, cluster = plan.workload.producer, plan.cluster
    failover, failover_formula = _failover(plan)
    needed = min_insync(plan) if producer.acks == "all" else 1
    down = out_ns(plan, tolerated=min(cluster.replicas - needed, (cluster.nodes - 1) // 2))
    lag = replica_lag_ns(plan.cluster.config) if cuts_peers(plan) and plan.cluster.replicas > 1 else 0
    retry = max(RETRY_NS_MAX, producer.retry_wait_ns)
    terms = [
        ("longest outage of more nodes than a partition does without", down),
        ("longest cut of links", cut_ns(plan)),
        ("replica.lag.time.max.ms", lag),
        ("reconnect backoff 10 ×", 10 * producer.reconnect_wait_ns),
        ("request_timeout", producer.request_timeout_ns),
        ("longest retry backoff", retry),
        ("linger", producer.linger_ns),
    ]
    words = [failover_formula] if failover else []
    words += [f"{name} {format_ns(took)}" for name, took in terms if took]
    return failover + sum(took for _, took in terms) + _S, f"{' + '.join(words)} + 1s for scheduling"


def _derived(plan: Plan) -> dict[str, tuple[int, str]]:
    """Return what a member may keep its group waiting for in this plan's faults, by check and metric.

    The session counts where a fault silences members, and a blocked handler in place of the longest time between two
    polls. A group whose coordinator is away finds the next one first.
    """
    consumer = plan.workload.consumer
    rounds, rounds_formula = _rounds(consumer)
    detection, detection_formula = _detection(consumer)
    failover, failover_formula = _failover(plan)
    session, poll = consumer.session_timeout_ns, consumer.max_poll_interval_ns
    silent = silent_ns(plan, session)
    blocked = min(blocked_ns(plan), poll) if consumer.handler_in == "loop" else 0
    waits = [
        (silent, _silence(silent, session)),
        (blocked, f"longest blocked handler {format_ns(blocked)}"),
    ]
    waits += [(failover, failover_formula), (rounds, rounds_formula), (detection, detection_formula)]
    formula = " + ".join(text for took, text in waits if took)
    length = sum(took for took, _ in waits) + _S
    found = {
        "rebalances.length_ns_max": (length, f"{formula} + 1s for scheduling"),
        "ownership.unowned_ns_max": (length + rounds, f"{formula} + {rounds_formula} + 1s for scheduling"),
    }
    if silent < session and blocked < poll:
        # No member is expelled, so each hears of a change before another one begins.
        found["ownership.dual_ns_max"] = (rounds + _S, f"{rounds_formula} + 1s for scheduling")
    return found


def _group(plan: Plan) -> tuple[int, str]:
    """Return how long a rebalance may keep a partition from all members, when the plan changes the group."""
    consumer = plan.workload.consumer
    changes = _changes(plan) + partitions_added(plan)
    # In a worker the handler holds nobody up but its own partition, and the loop goes on polling.
    blocked = blocked_ns(plan)
    if consumer.handler_in == "loop":
        blocked = min(blocked, consumer.max_poll_interval_ns)
    if not changes and not blocked:
        return 0, ""
    silent = silent_ns(plan, consumer.session_timeout_ns)
    rounds, rounds_formula = _rounds(consumer)
    length = silent + rounds + blocked
    terms = [_silence(silent, consumer.session_timeout_ns)] if silent else []
    terms.append(rounds_formula)
    terms += [f"longest blocked handler {format_ns(blocked)}"] if blocked else []
    return length, " + ".join(terms)


def _silence(silent: int, session: int) -> str:
    return f"{'session_timeout' if silent == session else 'longest silence of a member'} {format_ns(silent)}"


def _rounds(consumer: ConsumerOptions) -> tuple[int, str]:
    """Return how long a rebalance takes in which every member answers: each hears of it by its next heartbeat and
    answers at its next poll; a cooperative one takes two rounds.
    """
    rounds = 1 if consumer.eager else 2
    handling = consumer.poll * consumer.handler_time_ns if consumer.handler_in == "loop" else consumer.revoke_wait_ns
    # A member that waits for the end of its transaction answers nothing meanwhile.
    ending = consumer.transaction_timeout_ns if consumer.transactional else 0
    formula = (
        f"{rounds} × (heartbeat_interval {format_ns(consumer.heartbeat_interval_ns)} + handling of one poll's messages "
        f"{format_ns(handling)}{f' + transaction_timeout {format_ns(ending)}' if ending else ''} + poll_wait "
        f"{format_ns(consumer.poll_wait_ns)})"
    )
    return rounds * (consumer.heartbeat_interval_ns + handling + ending + consumer.poll_wait_ns), formula


def min_insync(plan: Plan) -> int:
    """Return how many copies must be in sync for a send with acks all."""
    return int(plan.cluster.topic.min_insync or max(1, plan.cluster.replicas - 1))


def _holding_transaction_ns(plan: Plan) -> int:
    """Return how long an open transaction may hold consumers up, at most; 0 when none does.

    One of a producer holds up consumers of committed messages, one of a consumer the next owner of its positions.
    """
    producer, consumer = plan.workload.producer, plan.workload.consumer
    of_producer = producer.transaction > 0 and consumer.isolation == "read_committed"
    return max(
        producer.transaction_timeout_ns if of_producer else 0,
        consumer.transaction_timeout_ns if consumer.transactional else 0,
    )


def _single_copies(plan: Plan) -> Iterator[str]:
    """Yield what has one copy, and what that allows."""
    cluster = plan.cluster
    if cluster.replicas == 1:
        yield "one copy: while its node is away, a partition neither accepts nor delivers messages"
    if int(str(cluster.config.get("offsets.topic.replication.factor", cluster.nodes))) == 1:
        yield "one copy of the group's positions: while its node is away, members can neither join nor commit"


def _allowed(plan: Plan) -> tuple[str, ...]:
    consumer, producer, cluster = plan.workload.consumer, plan.workload.producer, plan.cluster
    needed = min_insync(plan)
    allowed = []
    if producer.acks == "none":
        allowed.append("acks none: sends are never acknowledged, so no message counts as lost")
    elif producer.acks == "leader":
        allowed.append(
            "acks leader: messages that followers had not yet copied are lost when another node becomes the leader"
        )
    elif needed == 1 and cluster.replicas > 1:
        allowed.append("min_insync 1: with one replica in sync, acks all means the leader alone")
    if not producer.idempotent:
        allowed.append("not idempotent: a retried send may be stored twice, and with several in flight out of order")
    if producer.transaction and consumer.isolation == "read_uncommitted":
        allowed.append("isolation read_uncommitted: messages of open and aborted transactions are delivered")
    if consumer.transactional:
        allowed.append("transactional: messages of a transaction that was aborted are processed again by its worker")
    if consumer.commit == "auto-before":
        allowed.append("commit auto-before: messages committed and not yet processed are lost with their consumer")
    elif consumer.commit == "none":
        allowed.append("commit none: every new owner begins at the start of the log")
    else:
        allowed.append(
            "commit after processing: messages processed and not yet committed are delivered again to the next owner"
        )
    allowed += _single_copies(plan)
    if producer.transaction and consumer.isolation == "read_committed":
        allowed.append("read_committed: what lies behind an open transaction is delivered once it ends")
    if consumer.handler_in == "worker":
        allowed.append(
            "handler in a worker: a message in the handler when its partition is revoked may be processed twice"
        )
    if consumer.eager:
        allowed.append(f"assignor {consumer.strategy}: every rebalance takes every partition from every member")
    if str(cluster.config.get("log.flush.interval.messages", "")) != "1":
        allowed.append("no flush per message: power loss of every replica may lose messages not yet written back")
    return tuple(allowed)

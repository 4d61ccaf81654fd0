"""The Kafka reference clients: configuration, connection, statistics. What they do is in ``producer`` and ``consumer``.

librdkafka works in threads of its own and its calls block: each client has one thread, and the event loop stays free
for control and reports.
"""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from harness.brokers.kafka.consumer import KafkaConsumer
from harness.brokers.kafka.errors import error_text
from harness.brokers.kafka.options import ClientOptions, ConsumerOptions, ProducerOptions
from harness.brokers.kafka.producer import KafkaProducer
from harness.clients.base import CLIENTS, Session
from harness.clients.threads import in_thread
from harness.history.events import StatsEvent

_STATISTICS_MS = 1_000
_THREAD = "kafka client"


class KafkaClient:
    """Reference clients of Kafka."""

    async def produce(self, session: Session) -> None:
        """Connect, wait for the word to go, produce."""
        options = ProducerOptions(**session.spec.options)
        producer = KafkaProducer(session, options, _common(session, options), _logger())
        await in_thread(producer.connect, _THREAD)
        session.ready.set()
        await session.control.go.wait()
        await in_thread(producer.run, _THREAD)

    async def consume(self, session: Session) -> None:
        """Connect, join the group at once, consume: the group is to be settled before the first message is sent."""
        options = ConsumerOptions(**session.spec.options)
        consumer = KafkaConsumer(session, options, _common(session, options), _logger())
        await in_thread(consumer.connect, _THREAD)
        session.ready.set()
        await in_thread(consumer.run, _THREAD)


def _common(session: Session, options: ClientOptions) -> dict[str, Any]:
    """Return what both clients are configured with; they know the links of their zone and no other address."""
    reconnect_ms = max(1, options.reconnect_wait_ns // 1_000_000)
    return {
        "bootstrap.servers": ",".join(session.spec.addresses),
        "client.id": session.spec.worker,
        "socket.timeout.ms": max(10, options.request_timeout_ns // 1_000_000),
        "reconnect.backoff.ms": reconnect_ms,
        "reconnect.backoff.max.ms": 10 * reconnect_ms,
        "topic.metadata.refresh.interval.ms": max(10, options.metadata_refresh_ns // 1_000_000),
        "statistics.interval.ms": _STATISTICS_MS,
        "stats_cb": lambda text: _journal_statistics(session, text),
        "error_cb": lambda error: session.errors.add(error_text(error)),
    }


def _journal_statistics(session: Session, text: str) -> None:
    """Journal what the client measures itself (STATISTICS.md of librdkafka): round trips and the state of its group."""
    told = json.loads(text)
    brokers = [broker for broker in told.get("brokers", {}).values() if broker.get("nodeid", -1) >= 0]
    group = told.get("cgrp", {})
    session.events.write(
        StatsEvent(
            worker=session.spec.worker,
            rtt_ns={
                f"n{broker['nodeid']}": int((broker.get("rtt") or {}).get("avg") or 0) * 1_000 for broker in brokers
            },
            state=str(group.get("state", "")),
            join_state=str(group.get("join_state", "")),
            rebalance_count=int(group.get("rebalance_cnt") or 0),
            rebalance_age_ns=int(group.get("rebalance_age") or 0) * 1_000_000,
        )
    )


def _logger() -> logging.Logger:
    """Return a logger to the worker's own log: without one, librdkafka writes to stderr by itself and at length."""
    logger = logging.getLogger("librdkafka")
    logger.setLevel(logging.WARNING)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logger.addHandler(handler)
    return logger


CLIENTS.register("kafka")(KafkaClient())

"""A Kafka consumer in the consumers' place: it knows nothing of the harness but one line to print for each event.

    kafka_consumer.py BOOTSTRAP TOPIC GROUP MEMBER REPORT

``--commit-first`` commits what a poll gave before it is processed: a common mistake, for which messages are lost when
the process is killed.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

commit_first, slow = "--commit-first" in sys.argv, "--slow" in sys.argv
bootstrap, topic, group, member, report = [word for word in sys.argv[1:] if not word.startswith("--")]

lines = socket.socket(socket.AF_UNIX)
lines.connect(report)


def tell(event: str, **fields: Any) -> None:
    """Report one event to the harness: a line, written at once."""
    lines.sendall(json.dumps({"event": event, "t": time.monotonic_ns(), **fields}).encode() + b"\n")


def handle(_: Message) -> None:
    """Do the work of the application."""
    time.sleep(0.04 if slow else 0.001)


def owning(event: str) -> Callable[[Consumer, list[TopicPartition]], None]:
    """Return a callback that reports what was given or taken."""
    return lambda _, partitions: tell(event, partitions=[item.partition for item in partitions])


def commit(consumer: Consumer, ends: dict[int, int]) -> None:
    """Commit positions, and report what became of each: partition → the offset behind the last message."""
    for partition, position in ends.items():
        tell("committed", partition=partition, position=position, outcome="unknown")  # should we be killed meanwhile
    offsets = [TopicPartition(topic, partition, position) for partition, position in ends.items()]
    try:
        done = {item.partition: not item.error for item in consumer.commit(offsets=offsets, asynchronous=False) or ()}
    except KafkaException:  # refused in a rebalance, say: the next owner begins where the group has committed
        done = {}
    for partition, position in ends.items():
        tell("committed", partition=partition, position=position, outcome="ok" if done.get(partition) else "failed")


def main() -> int:
    """Consume until asked to stop."""
    running = [True]
    signal.signal(signal.SIGTERM, lambda *_: running.clear())
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": member,  # the broker's word on who owns what is matched by it
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1000,
            "partition.assignment.strategy": "cooperative-sticky",
            "log_level": 4,
        }
    )
    consumer.subscribe([topic], on_assign=owning("assigned"), on_revoke=owning("revoked"), on_lost=owning("lost"))
    while running:
        messages = [message for message in consumer.consume(100, 0.1) if message.error() is None]
        ends = {message.partition(): message.offset() + 1 for message in messages}
        for message in messages:
            place = {"partition": message.partition(), "offset": message.offset()}
            tell("delivered", **place, body=message.value().decode())
        if messages and commit_first:
            commit(consumer, ends)
        for message in messages:
            handle(message)
            tell("processed", partition=message.partition(), offset=message.offset())
        if messages and not commit_first:
            commit(consumer, ends)
    consumer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

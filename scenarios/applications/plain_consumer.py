"""A Kafka consumer that knows nothing of the harness: what a team already has.

plain_consumer.py BOOTSTRAP TOPIC GROUP [CLIENT_ID]
"""

from __future__ import annotations

import signal
import sys
import time

from confluent_kafka import Consumer, KafkaException

bootstrap, topic, group, *client_id = sys.argv[1:]
running = [True]
signal.signal(signal.SIGTERM, lambda *_: running.clear())
consumer = Consumer(
    {
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "client.id": client_id[0] if client_id else "rdkafka",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 1000,
        "partition.assignment.strategy": "cooperative-sticky",
        "log_level": 4,
    }
)
consumer.subscribe([topic])
while running:
    messages = [message for message in consumer.consume(100, 0.1) if message.error() is None]
    for _ in messages:
        time.sleep(0.001)  # the work
    if messages:
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as error:  # a rebalance: the next owner begins where the group has committed
            sys.stderr.write(f"{error}\n")
consumer.close()

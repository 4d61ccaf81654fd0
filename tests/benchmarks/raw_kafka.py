"""A plain confluent-kafka program, for comparison: produce with a delivery callback, consume and read each message.

Prints the seconds it took, from the first message to the last.
"""

from __future__ import annotations

import sys
import time

from confluent_kafka import Consumer, KafkaError, Message, Producer


def produce(address: str, topic: str, count: int, size: int, partitions: int) -> float:
    """Produce ``count`` messages, idempotent, acks all, with a callback that reads error and offset."""
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 5})
    producer.list_topics(timeout=10)
    body = (b"%010d %019d " % (0, 0)).ljust(size, b"x")  # what the other side reads as one of its own
    done = 0

    def delivered(error: KafkaError | None, message: Message) -> None:
        nonlocal done
        if error is None and message.offset() is not None:
            done += 1

    start = time.monotonic()
    for index in range(count):
        while True:
            try:
                producer.produce(topic, body, partition=index % partitions, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.05)
        if index % 1000 == 0:
            producer.poll(0)
    while done < count:
        producer.poll(0.05)
    return time.monotonic() - start


def consume(address: str, topic: str, count: int, batch: int) -> float:
    """Consume ``count`` messages as a group of one, reading error, value, partition and offset of each."""
    settings = {"group.id": f"raw-{time.monotonic_ns()}", "auto.offset.reset": "earliest", "fetch.queue.backoff.ms": 10}
    consumer = Consumer({"bootstrap.servers": address, **settings})
    consumer.subscribe([topic])
    taken = 0
    start = 0.0
    while taken < count:
        for message in consumer.consume(batch, 1.0):
            if message.error() is None and message.value() and message.partition() is not None:
                taken += message.offset() is not None
            start = start or time.monotonic()
    took = time.monotonic() - start
    consumer.close()
    return took


def main() -> None:
    """``produce ADDRESS TOPIC COUNT SIZE PARTITIONS`` or ``consume ADDRESS TOPIC COUNT BATCH``."""
    what, address, topic, *numbers = sys.argv[1:]
    count, *rest = map(int, numbers)
    print(
        produce(address, topic, count, rest[0], rest[1])
        if what == "produce"
        else consume(address, topic, count, rest[0])
    )


if __name__ == "__main__":
    main()

"""A plain rocketmq-client-python program, for comparison: sends in threads, deliveries to an orderly listener.

Prints the seconds it took, from the first message to the last. The package cannot load its native library by itself, so
``library.load`` does that; nothing else of the harness is used.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from typing import Any

from harness.brokers.rocketmq.library import load

Library = tuple[Any, type[Exception]]
"""The package's client, and the base of what it raises."""

_NO_ROUTE_S = 0.01


def send(library: Library, address: str, topic: str, count: int, size: int, partitions: int, threads: int) -> float:
    """Send ``count`` messages, each thread to a queue of its own choice, and wait for the broker's word on each."""
    client, failure = library
    producer = client.Producer("raw", orderly=True, timeout=3000)
    producer.set_name_server_address(address)
    producer.start()
    body = b"%010d %019d " % (0, 0)

    def send_one(index: int) -> None:
        message = client.Message(topic)
        message.set_body(body.ljust(size, b"x"))
        message.set_keys(str(index))
        while True:
            try:
                producer.send_orderly_with_sharding_key(message, str(index % partitions))
                break
            except failure as error:
                # While one thread asks for the route, the library tells all others that there is none.
                if "No route info" not in str(error):
                    raise
                time.sleep(_NO_ROUTE_S)
        client.dll.DestroyMessage(message)  # the package never does

    def work(thread: int) -> None:
        try:
            for index in range(thread, count, threads):
                send_one(index)
        except Exception as error:  # noqa: BLE001  of a thread nobody else would hear
            failed.append(error)

    failed: list[Exception] = []
    began = time.monotonic()
    running = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    if failed:
        raise failed[0]
    took = time.monotonic() - began
    producer.shutdown()
    return took


def deliver(library: Library, address: str, topic: str, count: int, threads: int) -> float:
    """Take ``count`` messages as a group of one, reading body, queue and offset of each."""
    client, _ = library
    first, done, seen, guard = 0.0, threading.Event(), 0, threading.Lock()

    def take(message: Any) -> Any:
        nonlocal first, seen
        if message.body and message.queue_id >= 0 and message.queue_offset >= 0 and message.reconsume_times == 0:
            with guard:
                first = first or time.monotonic()
                seen += 1
                if seen == count:
                    done.set()
        return client.ConsumeStatus.CONSUME_SUCCESS

    consumer = client.PushConsumer("raw", orderly=True)
    consumer.set_name_server_address(address)
    consumer.set_instance_name("raw")  # the same member each time, to which its locks are granted at once
    consumer.set_thread_count(threads)
    consumer.set_message_batch_max_size(1)
    consumer.subscribe(topic, take)
    consumer.start()
    done.wait()
    took = time.monotonic() - first
    consumer.shutdown()
    return took


def main() -> None:
    """``send ADDRESS TOPIC COUNT SIZE PARTITIONS THREADS`` or ``deliver ADDRESS TOPIC COUNT THREADS``."""
    what, address, topic, *numbers = sys.argv[1:]
    library = load()
    count, *rest = map(int, numbers)
    took = (
        send(library, address, topic, count, *rest)
        if what == "send"
        else deliver(library, address, topic, count, *rest)
    )
    print(took, flush=True)


if __name__ == "__main__":
    try:
        main()
    except Exception:  # noqa: BLE001  threads of the library would keep the process
        traceback.print_exc()
        os._exit(1)

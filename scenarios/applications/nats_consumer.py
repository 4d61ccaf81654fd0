"""A JetStream consumer in the consumers' place: it knows nothing of the harness but one line for each event.

    nats_consumer.py BOOTSTRAP STREAM DURABLES REPORT

``--ack-first`` acknowledges a message before it is processed: a common mistake, for which messages are lost when the
process is killed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from typing import Any

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

ack_first, slow = "--ack-first" in sys.argv, "--slow" in sys.argv
bootstrap, stream, durables, report = [word for word in sys.argv[1:] if not word.startswith("--")]

lines = socket.socket(socket.AF_UNIX)
lines.connect(report)


def tell(event: str, **fields: Any) -> None:
    """Report one event to the harness: a line, written at once."""
    lines.sendall(json.dumps({"event": event, "t": time.monotonic_ns(), **fields}).encode() + b"\n")


def partition_of(durable: str) -> int:
    """Return the partition of a durable consumer (``partition-3``)."""
    return int(durable.rpartition("-")[2])


async def acknowledge(message: Msg, partition: int, offset: int) -> None:
    """Acknowledge a message, and report it."""
    try:
        await message.ack()
    except (nats.errors.Error, OSError):
        return  # nothing was sent, and the server sends the message again
    tell("committed", partition=partition, offset=offset)


async def consume(client: Client, durable: str, stop: asyncio.Event) -> None:
    """Consume one partition until asked to stop."""
    partition = partition_of(durable)
    subscription = await client.jetstream().pull_subscribe_bind(durable=durable, stream=stream)
    while not stop.is_set():
        try:
            messages = await subscription.fetch(16, timeout=0.5)
        except TimeoutError:
            continue
        except (nats.errors.Error, OSError):
            await asyncio.sleep(0.2)
            continue
        for message in messages:
            seen = message.metadata
            place = {"partition": partition, "offset": seen.sequence.stream}
            known = {"attempt": seen.num_delivered, "number": seen.sequence.consumer}
            tell("delivered", **place, **known, body=message.data.decode())
            if ack_first:
                await acknowledge(message, partition, seen.sequence.stream)
            await asyncio.sleep(0.03 if slow else 0.001)  # the work of the application
            tell("processed", **place)
            if not ack_first:
                await acknowledge(message, partition, seen.sequence.stream)


async def main() -> int:
    """Consume until asked to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    servers = [f"nats://{address}" for address in bootstrap.split(",")]
    client = await nats.connect(
        servers, ping_interval=1, max_outstanding_pings=2, reconnect_time_wait=0.25, max_reconnect_attempts=-1
    )
    named = [durable for durable in durables.split(",") if durable]
    tell("assigned", partitions=[partition_of(durable) for durable in named])
    await asyncio.gather(*(consume(client, durable, stop) for durable in named))
    await client.flush()
    await client.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))

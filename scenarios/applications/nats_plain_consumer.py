"""A JetStream consumer that knows nothing of the harness: what a team already has.

nats_plain_consumer.py BOOTSTRAP STREAM DURABLES
"""

from __future__ import annotations

import asyncio
import signal
import sys

import nats
import nats.errors
from nats.js import JetStreamContext

bootstrap, stream, durables = sys.argv[1:]


async def read(js: JetStreamContext, durable: str, stop: asyncio.Event) -> None:
    """Process and acknowledge the messages of one durable consumer."""
    subscription = await js.pull_subscribe_bind(durable, stream)
    while not stop.is_set():
        try:
            messages = await subscription.fetch(16, timeout=0.5)
        except (nats.errors.Error, TimeoutError):  # nothing came, or the connection is away: ask again
            continue
        for message in messages:
            await asyncio.sleep(0.001)  # the work
            await message.ack()


async def main() -> None:
    """Consume until asked to stop."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await nats.connect([f"nats://{address}" for address in bootstrap.split(",")], max_reconnect_attempts=-1)
    await asyncio.gather(*(read(client.jetstream(), durable, stop) for durable in durables.split(",")))
    await client.close()


asyncio.run(main())

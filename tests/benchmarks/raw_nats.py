"""What a plain nats-py program does, for comparison: publish with a window of acknowledgements, fetch and acknowledge.

Prints the seconds it took, from the first message to the last acknowledgement.
"""

from __future__ import annotations

import asyncio
import sys
import time

import nats


async def publish(address: str, subject: str, count: int, size: int, window: int) -> float:
    """Publish ``count`` messages with ids, ``window`` of them awaiting acknowledgement."""
    client = await nats.connect(f"nats://{address}")
    js = client.jetstream(publish_async_max_pending=window)
    body = b"x" * size
    start = time.monotonic()
    for index in range(count):
        await js.publish_async(subject, body, headers={"Nats-Msg-Id": f"raw-{start}-{index}"})
    await js.publish_async_completed()
    took = time.monotonic() - start
    await client.close()
    return took


async def consume(address: str, stream: str, durable: str, count: int, batch: int) -> float:
    """Fetch and acknowledge ``count`` messages."""
    client = await nats.connect(f"nats://{address}")
    subscription = await client.jetstream().pull_subscribe_bind(durable=durable, stream=stream)
    start = time.monotonic()
    taken = 0
    while taken < count:
        for message in await subscription.fetch(batch, timeout=5):
            await message.ack()
            taken += 1
    await client.flush()
    took = time.monotonic() - start
    await client.close()
    return took


def main() -> None:
    """``publish ADDRESS SUBJECT COUNT SIZE WINDOW`` or ``consume ADDRESS STREAM DURABLE COUNT BATCH``."""
    what, address, first, second, *numbers = sys.argv[1:]
    if what == "publish":
        print(asyncio.run(publish(address, first, int(second), int(numbers[0]), int(numbers[1]))))
    else:
        print(asyncio.run(consume(address, first, second, int(numbers[0]), int(numbers[1]))))


if __name__ == "__main__":
    main()

"""A gateway: one process for each client zone that has one, between the zone's clients and links of the zone.

Every connection of a client gets one of its own behind it, so that what happens to the link happens to the client: a
link that is cut ends the client's connection, and one that is slow slows it. What the client sends is passed on as it
is; what the target sends goes through the broker's rewriter. Nothing is kept, answered or tried again here. The process
ends when its stdin does: then the harness has gone. Knows no fault and no proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from harness.clients.gateway import GATEWAYS, GatewaySpec, Rewriter
from harness.workload.beat import beat

_READ_BYTES = 1 << 16
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with a time of 0: closing the socket then sends RST, as after a failure."""


def main() -> int:
    """Run until stdin ends; the specification stands in the file named by the first argument."""
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    content["paths"] = tuple((listen, target) for listen, target in content["paths"])
    content["addresses"] = {int(port): address for port, address in content["addresses"].items()}
    return asyncio.run(_gateway(GatewaySpec(**content)))


async def _gateway(spec: GatewaySpec) -> int:
    broker = GATEWAYS.get(spec.broker)
    gc.freeze()  # imported modules never die
    gc.enable()
    for listen, target in spec.paths:
        await serve(listen, target, lambda: broker.rewriter(spec.addresses))
    os.write(1, b'{"say": "ready"}\n')
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    beating = asyncio.create_task(beat())
    await reader.read()
    beating.cancel()
    return 0


async def serve(listen: str, target: str, rewriter: Callable[[], Rewriter]) -> asyncio.Server:
    """Listen, and pass each connection on.

    Args:
        listen: ``host:port``.
        target: ``host:port`` to which each client's connection is passed on.
        rewriter: Makes the rewriter of one connection.

    Raises:
        OSError: It cannot listen there.
    """
    host, port = _place(target)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, beyond = await asyncio.open_connection(host, port)
        except OSError:  # the link is cut
            _reset(writer)
            return
        both = (
            asyncio.create_task(_pass_on(reader, beyond, lambda data: data)),
            asyncio.create_task(_pass_on(behind, writer, rewriter().feed)),
        )
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
        errors = [error for task in done if (error := task.exception()) is not None]
        for error in errors:
            if not isinstance(error, OSError):
                sys.stderr.write(f"{target}: {error!r}\n")
        for end in (writer, beyond):
            if errors:
                _reset(end)
            else:
                end.close()  # what it still has to send is sent first

    return await asyncio.start_server(connected, *_place(listen))


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Callable[[bytes], bytes]
) -> None:
    """Pass on until the reader's end; raises OSError when a connection breaks, ValueError by ``change``."""
    while data := await reader.read(_READ_BYTES):
        writer.write(change(data))
        await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as one that has failed."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    sys.exit(main())

"""One connection to a Tinylog node: a request and its answer are one line each. Knows the protocol alone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

LINE_BYTES_MAX = 16 << 20


class RefusedRequestError(OSError):
    """The broker answered that it did not do what it was asked."""


class Connection:
    """Connects when needed; a connection that failed is dropped, and the next call makes a new one.

    Args:
        address: ``host:port``.
    """

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, op: str, timeout_s: float, **fields: Any) -> dict[str, Any]:
        """Return the answer to one request.

        Raises:
            RefusedRequestError: The broker refused it (definite).
            OSError: No connection (definite), or one that broke (indefinite).
            TimeoutError: No answer in time (indefinite).
        """
        try:
            async with asyncio.timeout(timeout_s):
                if self._streams is None:
                    self._streams = await asyncio.open_connection(self._host, self._port, limit=LINE_BYTES_MAX)
                reader, writer = self._streams
                writer.write(json.dumps({"op": op, **fields}).encode() + b"\n")
                line = await reader.readline()
        except BaseException:
            self.close()
            raise
        if not line.endswith(b"\n"):
            self.close()
            raise ConnectionResetError("the connection was closed")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RefusedRequestError(answer["error"])
        return answer

    def close(self) -> None:
        """Drop the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

"""Round trips by the remoting protocol, and by that in which a master hands its log to its slave."""

from __future__ import annotations

from typing import Final

from harness.brokers.probe import ConnectionProbe
from harness.brokers.rocketmq.remoting import Code, Frame, decode, encode

_UNKNOWN: Final = 9_999
"""Code of no request (``RequestCode.java``): it is answered with "not supported", by the threads that answer others."""
_PIECE_BYTES: Final = 1 << 20
"""Of a frame's body; servers take 16 MiB."""
_OFFSET_BYTES: Final = 8
_HEAD_BYTES: Final = 12


class RocketmqProbe(ConnectionProbe):
    """A request that no server knows: name servers and brokers alike answer it at once, and do nothing about it.

    Data goes up as the body of such requests. It comes down as answers that hold a broker's topics, some 3 KB each; a
    name server does not know that request either, and so gives as much in many small answers.
    """

    _opaque = 0
    _answer_bytes = 0

    async def prepare(self, down_bytes: int) -> None:
        """Learn how large an answer is."""
        if down_bytes:
            self._answer_bytes = await self._answers({self._ask(Code.GET_ALL_TOPIC_CONFIG)})

    async def exchange(self, up_bytes: int, down_bytes: int) -> None:
        """Ask with so much data, for so much."""
        pieces = [_PIECE_BYTES] * (up_bytes // _PIECE_BYTES) + [up_bytes % _PIECE_BYTES]
        asked = {self._ask(_UNKNOWN, size) for size in pieces if size}
        if down_bytes:
            asked |= {self._ask(Code.GET_ALL_TOPIC_CONFIG) for _ in range(-(-down_bytes // self._answer_bytes))}
        await self._answers(asked or {self._ask(_UNKNOWN)})

    async def answered(self) -> None:
        """Ask and wait for the answer."""
        await self._answers({self._ask(_UNKNOWN)})

    def _ask(self, code: int, size: int = 0) -> int:
        """Send a request with a body of ``size`` bytes; return its number."""
        self._opaque = (self._opaque + 1) & 0x7FFFFFFF
        self.line.write(encode(Frame(code=code, opaque=self._opaque, body=bytes(size))))
        return self._opaque

    async def _answers(self, asked: set[int]) -> int:
        """Read the answers to these requests, in whatever order the server's threads send them; return their bytes."""
        read = 0
        while asked:
            length = int.from_bytes(await self.line.exactly(4))
            try:
                frame = decode(await self.line.exactly(length))
            except (ValueError, KeyError) as error:
                raise ConnectionResetError("no answer by this protocol") from error
            if not frame.is_answer:
                continue
            if frame.opaque not in asked:
                raise ConnectionResetError("an answer to another request")
            asked.remove(frame.opaque)
            read += length + 4
        return read


class HaProbe(ConnectionProbe):
    """The beginning of a copy, as a slave asks for that has nothing yet (``DefaultHAConnection.java``).

    A slave reports its offset, 8 bytes, and the master sends pieces of its log from there, each behind a header of 12
    bytes. Offset 0 confirms nothing, and any 8 bytes of such reports are one, however they are cut. A master without
    a message answers only after 5 s.
    """

    async def exchange(self, up_bytes: int, down_bytes: int) -> None:
        """Report that nothing is there, and wait for the first piece's header; no more data can be asked for."""
        if up_bytes or down_bytes:
            raise ValueError("a master takes no data here")
        self.line.write(bytes(_OFFSET_BYTES))
        await self.line.exactly(_HEAD_BYTES)

    async def answered(self) -> None:
        """Wait for the first piece's header."""
        await self.exchange(0, 0)

"""The remoting protocol of RocketMQ over a plain socket: frames, headers, and one connection with a deadline a call.

Owns encoding and decoding of frames, and what a failure means: ``RefusedError`` says that the request had no effect,
``ControlError`` alone that it may have had. Written by hand because the servers' own tool takes a Java virtual machine
and seconds a call. A frame is ``length, header length, header, body`` with lengths of 4 bytes (big-endian); the first
byte of the second is how the header is serialised, and 0 means JSON (``RemotingCommand.java`` of apache/rocketmq, the
same from 4.x to 5.x). Requests are in ``questions`` and ``orders``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from harness.errors import ControlError, RefusedError

TIMEOUT_S: Final = 1.0
_FRAME_MAX: Final = 64 << 20
"""Bytes; servers refuse frames above 16 MiB (``com.rocketmq.remoting.frameMaxLength``), so a longer one is none."""
_ANSWER, _ONE_WAY = 1, 2
_LENGTHS: Final = struct.Struct(">II")
_VERSION: Final = 401
"""Of the protocol, as clients of 4.9 send it; servers read from it what a client can do."""


class Code(IntEnum):
    """Codes of requests (``RequestCode.java``)."""

    PULL_MESSAGE = 11
    QUERY_CONSUMER_OFFSET = 14
    UPDATE_CONSUMER_OFFSET = 15
    UPDATE_AND_CREATE_TOPIC = 17
    GET_ALL_TOPIC_CONFIG = 21
    UPDATE_BROKER_CONFIG = 25
    GET_BROKER_CONFIG = 26
    GET_BROKER_RUNTIME_INFO = 28
    GET_MAX_OFFSET = 30
    GET_MIN_OFFSET = 31
    HEART_BEAT = 34
    UNREGISTER_CLIENT = 35
    GET_CONSUMER_LIST_BY_GROUP = 38
    NOTIFY_CONSUMER_IDS_CHANGED = 40
    LOCK_BATCH_MQ = 41
    UNLOCK_BATCH_MQ = 42
    GET_ALL_DELAY_OFFSET = 45
    PUT_KV_CONFIG = 100
    GET_ROUTEINFO_BY_TOPIC = 105
    GET_BROKER_CLUSTER_INFO = 106
    UPDATE_AND_CREATE_SUBSCRIPTIONGROUP = 200
    GET_TOPIC_STATS_INFO = 202
    GET_CONSUME_STATS = 208
    GET_KVLIST_BY_NAMESPACE = 219
    EXCHANGE_BROKER_HA_INFO = 906
    GET_BROKER_HA_STATUS = 907


class AnswerCode(IntEnum):
    """Codes of answers (``ResponseCode.java``), of those that mean something to this package."""

    SUCCESS = 0
    SYSTEM_ERROR = 1
    SYSTEM_BUSY = 2
    FLUSH_DISK_TIMEOUT = 10
    SLAVE_NOT_AVAILABLE = 11
    FLUSH_SLAVE_TIMEOUT = 12
    TOPIC_NOT_EXIST = 17
    PULL_NOT_FOUND = 19
    PULL_RETRY_IMMEDIATELY = 20
    PULL_OFFSET_MOVED = 21
    QUERY_NOT_FOUND = 22


_INDEFINITE: Final = frozenset({
    AnswerCode.SYSTEM_ERROR,  # whatever was thrown, at whatever point
    AnswerCode.FLUSH_DISK_TIMEOUT,
    AnswerCode.SLAVE_NOT_AVAILABLE,
    AnswerCode.FLUSH_SLAVE_TIMEOUT,
})  # fmt: skip
"""Answers other than success to what may have been carried out; 10 to 12 come after the master stored a message.
SYSTEM_BUSY is none of them: the server gives it in place of beginning."""


class NotAskedError(RefusedError):
    """No connection could be made, so nothing was sent. Definite."""


class AnswerError(RefusedError):
    """The server answered that it did not do what was asked. Definite.

    Attributes:
        code: Of the answer.
    """

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class NoAnswerError(ControlError):
    """The request was sent, at least in part, and no answer came. Indefinite."""


class BadAnswerError(ControlError):
    """The answer says that the request failed somewhere, or cannot be read. Indefinite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A request or an answer.

    Attributes:
        code: Of a request, or of an answer.
        opaque: Number that an answer repeats.
        flag: Bit 0: an answer. Bit 1: a request that wants none.
        remark: What the server says of a failure.
        fields: Of the header, by name.
        body: Bytes as they are.
    """

    code: int
    opaque: int
    flag: int = 0
    remark: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_answer(self) -> bool:
        """Return whether it answers a request."""
        return bool(self.flag & _ANSWER)


Value = str | int | bool
"""Of a header field; written as text, a bool as ``true`` or ``false``."""


def encode(frame: Frame) -> bytes:
    """Return a frame as it is sent, its lengths included."""
    head = {
        "code": frame.code,
        "language": "PYTHON",
        "version": _VERSION,
        "opaque": frame.opaque,
        "flag": frame.flag,
        "serializeTypeCurrentRPC": "JSON",
        "extFields": dict(frame.fields),
    }
    if frame.remark:
        head["remark"] = frame.remark
    header = json.dumps(head, separators=(",", ":")).encode()
    return _LENGTHS.pack(4 + len(header) + len(frame.body), len(header)) + header + frame.body


def decode(data: bytes) -> Frame:
    """Return the frame that follows its first length; raises ValueError."""
    if len(data) < 4:
        raise ValueError(f"a frame of {len(data)} bytes")
    (word,) = struct.unpack_from(">I", data)
    kind, length = word >> 24, word & 0xFFFFFF
    if kind:
        raise ValueError(f"a header that is serialised as {kind}, not as JSON (0)")
    if 4 + length > len(data):
        raise ValueError(f"a header of {length} bytes in a frame of {len(data)}")
    head = json.loads(data[4 : 4 + length])
    return Frame(
        code=int(head["code"]),
        opaque=int(head["opaque"]),
        flag=int(head.get("flag") or 0),
        remark=str(head.get("remark") or ""),
        fields={str(name): str(value) for name, value in (head.get("extFields") or {}).items()},
        body=data[4 + length :],
    )


def header(fields: Mapping[str, Value]) -> dict[str, str]:
    """Return header fields as they are sent."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in fields.items()}


class Remoting:
    """One kept connection to one address, one call at a time; connects again when it broke.

    Args:
        address: ``host:port``.
        keep: Keep the connection between calls.
        timeout_s: How long a call may take, opening the connection and waiting for an earlier call included.
        on_request: Is given what the server asks of us meanwhile (such as NOTIFY_CONSUMER_IDS_CHANGED). It must not
            block. It is heard while a call waits for its answer, and no later.
    """

    def __init__(
        self,
        address: str,
        *,
        keep: bool = True,
        timeout_s: float = TIMEOUT_S,
        on_request: Callable[[Frame], None] | None = None,
    ) -> None:
        self.address = address
        self._keep, self._timeout_s, self._on_request = keep, timeout_s, on_request
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._opaque = 0
        self._lock = asyncio.Lock()

    async def call(
        self,
        code: int,
        fields: Mapping[str, Value] | None = None,
        body: bytes = b"",
        *,
        also: frozenset[int] = frozenset(),
        timeout_s: float | None = None,
    ) -> Frame:
        """Send one request and return its answer.

        Args:
            code: Of the request.
            fields: Of its header.
            body: Of the request.
            also: Codes of answers that count as an answer, besides success.
            timeout_s: In place of the connection's.

        Raises:
            NotAskedError: No connection. Definite.
            AnswerError: The server refused it. Definite.
            NoAnswerError: No answer in time, or the connection broke. Indefinite.
            BadAnswerError: An answer that cannot be read, or that says no more than "failed". Indefinite.
        """
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        sent = False
        try:
            async with asyncio.timeout(limit_s), self._lock:
                try:
                    reader, writer = await self.open()
                    sent = True
                    answer = await self._exchange(reader, writer, code, header(fields or {}), body)
                except BaseException:
                    self.close()  # what comes late must not be taken for the answer to another call
                    raise
                finally:
                    if not self._keep:
                        self.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            what = f"within {limit_s:g} s" if isinstance(error, TimeoutError) else f"({error!r})"
            if not sent:
                raise NotAskedError(f"{self.address} was not asked for {_name(code)}: no connection {what}") from error
            raise NoAnswerError(f"{self.address} did not answer {_name(code)} {what}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadAnswerError(f"{self.address} answered {_name(code)} with what is no answer: {error!r}") from error
        if answer.code == AnswerCode.SUCCESS or answer.code in also:
            return answer
        reason = " ".join(answer.remark.split()) or "no reason given"
        said = f"{self.address} answered {_name(code)} with code {answer.code}: {reason}"
        raise BadAnswerError(said) if answer.code in _INDEFINITE else AnswerError(said, answer.code)

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect unless connected; raises OSError."""
        if self._reader is None or self._writer is None or self._reader.at_eof():
            self.close()
            host, port = self.address.rsplit(":", 1)
            self._reader, self._writer = await asyncio.open_connection(host, int(port))
        return self._reader, self._writer

    def close(self) -> None:
        """Drop the connection."""
        if self._writer is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._writer.transport.abort()
        self._reader = self._writer = None

    async def _exchange(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        code: int,
        fields: Mapping[str, str],
        body: bytes,
    ) -> Frame:
        self._opaque = (self._opaque + 1) & 0x7FFFFFFF
        writer.write(encode(Frame(code=code, opaque=self._opaque, fields=fields, body=body)))
        await writer.drain()
        while True:
            (length,) = struct.unpack(">I", await reader.readexactly(4))
            if not 4 <= length <= _FRAME_MAX:
                raise ValueError(f"a frame of {length} bytes")
            frame = decode(await reader.readexactly(length))
            if not frame.is_answer:
                if self._on_request is not None:
                    self._on_request(frame)
            elif frame.opaque == self._opaque:
                return frame


def _name(code: int) -> str:
    """Return the name of a request, for messages."""
    return Code(code).name if code in Code._value2member_map_ else f"request {code}"

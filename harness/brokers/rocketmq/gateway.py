"""The gateway in front of the name server: in its answers, the links of a client zone take the place of broker
addresses.

A broker registers one address, ``brokerIP1:listenPort``, and the name server hands it to every client: in the route of
a topic (105), in the cluster's brokers (106) and in the members of a broker set (901); ``TopicRouteData``,
``ClusterInfo`` and ``BrokerMemberGroup`` of apache/rocketmq. There an address is a whole JSON string, so a body is
changed without being read as JSON, which old clients get in fastjson's own dialect. Headers hold no address, and are
passed on however they are serialised. Loaded by the gateway's process alone.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Final

from harness.clients.gateway import GATEWAYS

_FRAME_MAX: Final = 16 << 20
"""Bytes that clients and servers take (``com.rocketmq.remoting.frameMaxLength``); a longer frame is none."""

_LENGTH: Final = struct.Struct(">I")
_HEADER_LENGTH: Final = 0xFFFFFF
"""The other bits say how the header is serialised."""

_ADDRESS: Final = re.compile(rb'"[^"\\\s]{1,255}:(\d{1,5})"')


class AnswerRewriter:
    """What a name server sends on one connection, with other addresses in the bodies.

    Args:
        addresses: Port of a broker → ``host:port`` that takes the place of its address, whatever the host.
    """

    def __init__(self, addresses: Mapping[int, str]) -> None:
        self._addresses = {b"%d" % port: f'"{address}"'.encode() for port, address in addresses.items()}
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the frames that are complete by now; raises ValueError for what is no frame."""
        data = self._rest + data
        at, ready = 0, []
        while len(data) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data, at)
            if not _LENGTH.size <= length <= _FRAME_MAX:
                raise ValueError(f"a frame of {length} bytes")
            end = at + _LENGTH.size + length
            if end > len(data):
                break
            ready.append(self._changed(data[at:end]))
            at = end
        self._rest = data[at:]
        return b"".join(ready)

    def _changed(self, frame: bytes) -> bytes:
        """Return a frame with the zone's addresses; raises ValueError."""
        (word,) = _LENGTH.unpack_from(frame, _LENGTH.size)
        begin = 2 * _LENGTH.size + (word & _HEADER_LENGTH)
        if begin > len(frame):
            raise ValueError(f"a header of {word & _HEADER_LENGTH} bytes in a frame of {len(frame)}")
        body = _ADDRESS.sub(self._address, frame[begin:])
        length = begin - _LENGTH.size + len(body)
        return _LENGTH.pack(length) + frame[_LENGTH.size : begin] + body

    def _address(self, found: re.Match[bytes]) -> bytes:
        return self._addresses.get(found[1], found[0])


class NameServerGateway:
    """What RocketMQ brings to a gateway."""

    def rewriter(self, addresses: Mapping[int, str]) -> AnswerRewriter:
        """Return the rewriter of one connection's answers."""
        return AnswerRewriter(addresses)


GATEWAYS.register("rocketmq")(NameServerGateway())

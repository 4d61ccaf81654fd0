"""What a JetStream message says of its identity: in its body, and in the header by which the server drops copies.

Owns the form of the message id. Knows neither journals nor streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from nats.aio.msg import Msg

from harness.clients.payload import read

MESSAGE_ID: Final = "Nats-Msg-Id"


class StoredMessage(NamedTuple):
    """A message as it lies in a stream.

    Attributes:
        sequence: Its place.
        subject: That it was sent to.
        data: Its body.
        headers: None without any.
    """

    sequence: int
    subject: str
    data: bytes
    headers: Mapping[str, str] | None


def message_id(key: int, seq: int) -> str:
    """Return the id that a producer gives a message."""
    return f"{key}-{seq}"


def read_message(message: Msg | StoredMessage) -> tuple[int, int, bool]:
    """Return (key, seq, whether this is the message that was sent): its body, and its id where it has one, agree."""
    key, seq, intact = read(message.data)
    named = message.headers.get(MESSAGE_ID) if message.headers else None
    return key, seq, intact and (named is None or named == message_id(key, seq))

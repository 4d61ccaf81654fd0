"""The library's producer as the reference producer uses it: one message at a time, to a queue of its choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.brokers.rocketmq.library import asked, ends, load
from harness.brokers.rocketmq.options import MESSAGE_MAX
from harness.errors import StartError


@dataclass(frozen=True, slots=True)
class Sent:
    """What the broker said of a message.

    Attributes:
        offset: Of the message in its queue.
        queues: How many queues the client knew as it chose.
    """

    offset: int
    queues: int


class SendError(RuntimeError):
    """A send failed. It may have been stored all the same: the library has one error for refusals and silence."""


class Sender:
    """A producer of the library; any thread may send.

    Args:
        group: Of producers.
        address: ``host:port`` of name servers, separated by ``;``.
        timeout_ms: How long the broker may take to answer one send.
    """

    def __init__(self, group: str, address: str, timeout_ms: int) -> None:
        self._client, self._failure = load()
        # The library compresses what is larger than 4 KiB. A scenario's messages are to be as large as it says.
        self._producer = self._client.Producer(
            group, orderly=True, timeout=timeout_ms, compress_level=0, max_message_size=MESSAGE_MAX
        )
        self._producer.set_name_server_address(address)

    def start(self) -> None:
        """Start the library's threads; raises StartError."""
        try:
            self._producer.start()
        except self._failure as error:
            raise StartError(f"the producer cannot start: {error}") from error

    def send(
        self,
        topic: str,
        body: bytes,
        place: int,
        *,
        keys: str = "",
        properties: Mapping[str, str],
        delay_level: int = 0,
        queues: int = 0,
    ) -> Sent:
        """Send one message once, and wait for the broker's word.

        Args:
            topic: Where to.
            body: Without NUL, at which the library would end it.
            place: Index of the queue, in the client's order of queues.
            keys: By which tools find the message.
            properties: Of the message.
            delay_level: The broker holds it back by so much (``messageDelayLevel``); 0 = not.
            queues: How many queues the client must know, or it does not send.

        Raises:
            SendError: It is not known to be stored. Indefinite.
        """
        client = self._client
        message = client.Message(topic)
        try:
            message.set_body(body)
            message.set_keys(keys)
            for name, value in properties.items():
                message.set_property(name, value)
            if delay_level:
                message.set_delay_time_level(delay_level)
            asked.library, asked.queues, asked.needed = client.dll, queues, queues
            result = self._producer.send_orderly_with_sharding_key(message, str(place))
        except self._failure as error:
            if asked.queues < queues:
                raise SendError(f"the client knows {asked.queues} of {queues} queues") from error
            raise SendError(str(error).partition("\n")[0]) from error
        finally:
            client.dll.DestroyMessage(message)  # the package never does
        if result.status != client.SendStatus.OK:
            raise SendError(f"the broker answered {client.SendStatus(result.status).name}")
        return Sent(offset=int(result.offset), queues=int(asked.queues))

    def shutdown(self, timeout_s: float) -> bool:
        """End the library's threads; return whether it came back from that in time."""
        return ends(self._producer.shutdown, timeout_s)

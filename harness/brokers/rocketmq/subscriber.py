"""The library's push consumer as the reference consumer uses it: messages come in threads of the library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness.brokers.rocketmq.library import ends, load
from harness.errors import StartError


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it is handed over.

    Attributes:
        body: As far as its first NUL.
        queue: Number of its queue within its broker.
        offset: In that queue. Of one that the broker sends again after a failure, in the queue of retries.
        failures: How often the group has sent it back, be it for another message of its pull.
        message: The package's own object, valid while its handler runs.
    """

    body: bytes
    queue: int
    offset: int
    failures: int
    message: Any

    def text(self, name: str) -> str:
        """Return a property; empty when it has none of that name."""
        return bytes(self.message.get_property(name) or b"").decode("utf-8", "replace")


class Subscriber:
    """A push consumer of the library: it calls a listener in threads of its own.

    Args:
        group: Whose member it becomes.
        address: ``host:port`` of name servers, separated by ``;``.
        name: Of this client (its id is its address with this name).
        orderly: One thread at a time for a queue, and only while the broker grants a lock on it.
        threads: In which the listener is called.
        batch: With ``orderly``: messages of one call by the library. When the listener refuses one of them, all of them
            come again. Otherwise what was pulled together is one call (``ConsumeMessageConcurrentlyService.cpp``).
    """

    def __init__(self, group: str, address: str, name: str, *, orderly: bool, threads: int, batch: int) -> None:
        self._client, self._failure = load()
        self._consumer = self._client.PushConsumer(group, orderly=orderly)
        self._consumer.set_name_server_address(address)
        self._consumer.set_instance_name(name)
        self._consumer.set_thread_count(threads)
        self._consumer.set_message_batch_max_size(batch)

    def subscribe(self, topic: str, listener: Callable[[Received], bool]) -> None:
        """Let ``listener`` be given each message; it returns whether it is consumed.

        What a listener raises leaves the native callback, which then returns 0. That means consumed.
        """
        consumed, later = self._client.ConsumeStatus.CONSUME_SUCCESS, self._client.ConsumeStatus.RECONSUME_LATER

        def called(message: Any) -> Any:
            received = Received(message.body, message.queue_id, message.queue_offset, message.reconsume_times, message)
            return consumed if listener(received) else later

        self._consumer.subscribe(topic, called)

    def start(self) -> None:
        """Join the group; blocks. Raises StartError."""
        try:
            self._consumer.start()
        except self._failure as error:
            raise StartError(f"the consumer cannot start: {error}") from error

    def shutdown(self, timeout_s: float) -> bool:
        """Wait for the listener, commit, leave the group and end the library's threads; return whether the library came
        back from that in time.
        """
        return ends(self._consumer.shutdown, timeout_s)

"""The pull consumer of the native library, which the Python package does not wrap: its C functions, typed.

Owns their signatures (``CPullConsumer.h`` and ``CPullResult.h`` of rocketmq-client-cpp). A pull waits for no message to
come; it asks the broker once, and takes at most 10 s (``DefaultMQPullConsumerImpl::pullSyncImpl``). The library sends
heartbeats for a group of its own, so that the group whose queues are dealt out here hears of no second member.
"""

from __future__ import annotations

import ctypes
from typing import Any

from harness.brokers.rocketmq.library import ends, load
from harness.brokers.rocketmq.places import Queue
from harness.brokers.rocketmq.pulls import PullBatch, PullStatus
from harness.errors import StartError


class _PullAnswer(ctypes.Structure):
    _fields_ = (
        ("status", ctypes.c_int),
        ("next", ctypes.c_longlong),
        ("first", ctypes.c_longlong),
        ("end", ctypes.c_longlong),
        ("messages", ctypes.POINTER(ctypes.c_void_p)),
        ("size", ctypes.c_int),
        ("data", ctypes.c_void_p),
    )


class _QueueName(ctypes.Structure):
    _fields_ = (("topic", ctypes.c_char * 512), ("broker", ctypes.c_char * 256), ("queue", ctypes.c_int))


class LibraryPuller:
    """A pull consumer of the library; any thread may pull.

    Args:
        group: Of this consumer alone.
        address: ``host:port`` of name servers, separated by ``;``.

    Raises:
        StartError: The library has no such function, or made none.
    """

    def __init__(self, group: str, address: str) -> None:
        self._client, _ = load()
        try:
            self._pull = self._function(
                "Pull",
                _PullAnswer,
                ctypes.c_void_p,
                ctypes.POINTER(_QueueName),
                ctypes.c_char_p,
                ctypes.c_longlong,
                ctypes.c_int,
            )
            self._release = self._function("ReleasePullResult", ctypes.c_int, _PullAnswer)
            self._consumer = self._function("CreatePullConsumer", ctypes.c_void_p, ctypes.c_char_p)(group.encode())
            name = self._function("SetPullConsumerNameServerAddress", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
        except AttributeError as error:
            raise StartError(f"the native library lacks its pull consumer: {error}") from error
        if not self._consumer or name(self._consumer, address.encode()):
            raise StartError("the native library made no pull consumer")

    def start(self) -> None:
        """Start the library's threads; blocks. Raises StartError."""
        if self._function("StartPullConsumer", ctypes.c_int, ctypes.c_void_p)(self._consumer):
            raise StartError("the pull consumer cannot start")

    def pull(self, topic: str, queue: Queue, offset: int, most: int) -> PullBatch:
        """Read the messages of a queue from an offset on; blocks for 10 s at most."""
        place = _QueueName(topic=topic.encode(), broker=queue.broker.encode(), queue=queue.number)
        result = self._pull(self._consumer, ctypes.byref(place), b"*", offset, most)
        try:
            messages = [self._client.ReceivedMessage(result.messages[index]) for index in range(result.size)]
            return PullBatch(
                status=PullStatus(result.status),
                next=int(result.next),
                bodies=tuple(bytes(message.body) for message in messages),
                offsets=tuple(int(message.queue_offset) for message in messages),
            )
        finally:
            self._release(result)

    def shutdown(self, timeout_s: float) -> bool:
        """End the library's threads; return whether it came back from that in time."""
        shutdown = self._function("ShutdownPullConsumer", ctypes.c_int, ctypes.c_void_p)
        return ends(lambda: shutdown(self._consumer), timeout_s)

    def _function(self, name: str, returns: Any, *takes: Any) -> Any:
        function = getattr(self._client.dll, name)
        function.restype, function.argtypes = returns, list(takes)
        return function

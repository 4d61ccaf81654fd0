"""The client library in a worker: Python code of ``rocketmq-client-python`` on a native library that lacks some of it.

Owns how the two are brought together; ``sender`` and ``subscriber`` are the thin typed layer through which producers
and consumers use them. The package asks the library for four functions that it has not; two are supplied here through
``SendMessageOrderly``, and what is left, transactions, is refused. Must be imported by workers of RocketMQ alone: the
library starts threads of its own, writes below ``$HOME/logs``, and a process that has used it ends cleanly only after
``shutdown``.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import importlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

from harness.errors import StartError

_REFUSED: Final = frozenset({"CreateTransactionProducer", "SendMessageTransaction"})
_ATTEMPTS: Final = 0
"""Further attempts that the library makes by itself. It would make them at another queue, behind our back
(``DefaultMQProducer::sendAutoRetrySelectImpl`` of rocketmq-client-cpp).
"""

_SELECT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_NOWHERE: Final = b"a queue that is away"
"""A topic that no broker has."""
asked = threading.local()
"""Of the thread that sends: the ``library``, how many ``queues`` it knew, and how many are ``needed``."""


def _choose(queues: int, message: int | None, place: int | None) -> int:
    """Choose a queue for the library, in the thread that sends. A place is its index + 1, as a null pointer would be
    refused.

    Nothing can be raised through the library. Where it knows too few queues, the message gets a topic that the broker
    refuses.
    """
    asked.queues = queues
    if queues < getattr(asked, "needed", 0):
        # The package has no types for it.
        asked.library.SetMessageTopic(ctypes.c_void_p(message), ctypes.c_char_p(_NOWHERE))
    return ((place or 1) - 1) % max(1, queues)


_chosen = _SELECT(_choose)


class _Supplied:
    """A function in place of one that the library lacks; takes types as a function of ``ctypes`` does."""

    argtypes: Any = None
    restype: Any = None

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)


class _Native(ctypes.CDLL):
    """The native library, with what it lacks."""

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            supplied = self._supply(name)
            if supplied is None:
                raise
            setattr(self, name, supplied)
            return supplied

    def _supply(self, name: str) -> _Supplied | None:
        if name == "CreateOrderlyProducer":
            return _Supplied(lambda group: self.CreateProducer(group))  # noqa: PLW0108  its types are set later
        if name == "SendMessageOrderlyByShardingKey":
            send = self.SendMessageOrderly
            send.argtypes = [*(ctypes.c_void_p,) * 2, _SELECT, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
            send.restype = ctypes.c_int
            return _Supplied(functools.partial(_send_by_key, send))
        if name in _REFUSED:
            return _Supplied(functools.partial(_refuse, name))
        return None


def _send_by_key(send: Any, producer: int, message: Any, key: bytes, result: Any) -> int:
    """Send to the queue that a key names: by its number, or by Java's hash of its text."""
    handle = getattr(message, "_as_parameter_", message)
    number = int(key) if key.isdigit() else java_hash(key.decode()) & 0x7FFFFFFF
    status: int = send(producer, handle, _chosen, number + 1, _ATTEMPTS, ctypes.cast(result, ctypes.c_void_p))
    return status


def _refuse(name: str, *arguments: Any) -> int:
    del arguments
    raise NotImplementedError(f"the native library has no {name}")


def java_hash(text: str) -> int:
    """Return ``String.hashCode()`` of a text: how Java clients choose a queue for a key."""
    value = 0
    for code in memoryview(text.encode("utf-16-le")).cast("H"):
        value = (31 * value + code) & 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


@contextlib.contextmanager
def _loading() -> Iterator[None]:
    """Let the package load the native library that lies in its own directory, through ``_Native``."""
    loader: Any = ctypes.cdll
    find = ctypes.util.find_library
    loader.LoadLibrary = _Native
    ctypes.util.find_library = lambda name: None  # noqa: ARG005  it would start a compiler to look for another one
    try:
        yield
    finally:
        del loader.LoadLibrary  # that of the class is in force again
        ctypes.util.find_library = find


@functools.cache
def load() -> tuple[Any, type[Exception]]:
    """Return the package's module ``rocketmq.client``, and the base of what it raises; raises StartError when they
    cannot be loaded.
    """
    try:
        with _loading():
            client = importlib.import_module("rocketmq.client")
        return client, importlib.import_module("rocketmq.exceptions").RocketMQException
    except (ImportError, OSError, AttributeError, NotImplementedError) as error:
        raise StartError(f"the client library rocketmq-client-python cannot be loaded: {error!r}") from error


def ends(work: Callable[[], None], timeout_s: float) -> bool:
    """Do native work that may hang; return whether it has ended in time. What it raises is printed."""
    thread = threading.Thread(target=work, daemon=True, name="shutdown")
    thread.start()
    thread.join(timeout_s)
    return not thread.is_alive()

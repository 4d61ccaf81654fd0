"""What a Kafka client repeats until the cluster has started: requests that may succeed later."""

from __future__ import annotations

from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Producer

from harness.clients.base import Session
from harness.clock import NS_PER_S, monotonic_ns
from harness.errors import StartError

_CONNECT_NS = 120 * NS_PER_S
"""A worker starts next to the nodes; on a starved machine they take long."""
_WAIT_S = 0.05
_UNREACHABLE = frozenset(
    {KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN}  # noqa: SLF001  the documented names
)


def retry_until_accepted(session: Session, producer: Producer, request: Callable[[], object]) -> None:
    """Repeat a request that may succeed later until it does; raises StartError."""
    deadline_ns = monotonic_ns() + _CONNECT_NS
    while True:
        try:
            request()
            return
        except KafkaException as error:
            cause = error.args[0]
            if monotonic_ns() > deadline_ns or not (cause.retriable() or cause.code() in _UNREACHABLE):
                addresses = ", ".join(session.spec.addresses)
                raise StartError(f"{session.spec.worker} cannot connect to {addresses}: {error}") from error
        producer.poll(_WAIT_S)

"""Orders about who leads a partition: another order of its replicas, and the election of the first of them.

Owns two requests of the Kafka protocol (AlterPartitionReassignments, ElectLeaders); the client library has no first
one. Any node takes them and passes them on to the controller.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.brokers.kafka.wire import ProtocolError, Wire, WireReader, Writer

ALTER_PARTITION_REASSIGNMENTS, ELECT_LEADERS = 45, 43

_WITHIN_MS = 10_000
_PREFERRED = 0
_ELECTION_NOT_NEEDED = 84


async def prefer(wire: Wire, topic: str, partition: int, replicas: Sequence[int]) -> None:
    """Make the first of a partition's replicas its preferred leader (version 0); the same replicas: no data moves.

    Raises:
        OSError, TimeoutError: The node did not answer, or refused.
    """
    body = Writer().number("i", _WITHIN_MS).unsigned(2).compact(topic).unsigned(2).number("i", partition)
    body.unsigned(len(replicas) + 1)
    for replica in replicas:
        body.number("i", replica)
    body.unsigned(0).unsigned(0).unsigned(0)  # no tagged fields, at three levels
    answer = await wire.call(ALTER_PARTITION_REASSIGNMENTS, 0, body, flexible=True)
    answer.number("i")  # throttle time
    _require(answer.number("h"), answer.compact())

    def of_partition() -> None:
        answer.number("i")
        _require(answer.number("h"), answer.compact())
        answer.tags()

    def of_topic() -> None:
        answer.compact()
        answer.compact_array(of_partition)
        answer.tags()

    answer.compact_array(of_topic)


async def elect(wire: Wire, topic: str, partition: int) -> None:
    """Have the preferred leader elected (version 1); one that leads already is as good.

    Raises:
        OSError, TimeoutError: The node did not answer, or refused.
    """
    body = Writer().number("b", _PREFERRED).number("i", 1).text(topic).number("i", 1).number("i", partition)
    answer = await wire.call(ELECT_LEADERS, 1, body.number("i", _WITHIN_MS))
    answer.number("i")  # throttle time
    _require(answer.number("h"), "")
    answer.array(lambda: (answer.text(), answer.array(lambda: _elected(answer))))


def _elected(answer: WireReader) -> None:
    answer.number("i")
    error, message = answer.number("h"), answer.text()
    if error != _ELECTION_NOT_NEEDED:
        _require(error, message)


def _require(error: int, message: str) -> None:
    if error:
        raise ProtocolError(f"the controller answered error {error}" + (f": {message}" if message else ""))

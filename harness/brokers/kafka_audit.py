"""Reads whole logs of Kafka partitions: the authority on what is stored, and whether anything is left to see.

Blocking; to be called in a thread. Reads past every link, as the administration does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from harness.clients.kafka_options import TOPIC
from harness.clients.payload import decode_all
from harness.clock import monotonic_ns
from harness.history.record import RECORD_DTYPE, Journal, Kind

_IDLE_S = 5.0
_PEEK_S = 3.0
_BATCH = 5_000


def read_log(
    bootstrap: str, ends: Mapping[int, int], journal: Journal, *, committed_only: bool
) -> dict[int, tuple[int, int]]:
    """Journal every record of these partitions as STORED.

    Args:
        bootstrap: Addresses of the nodes' own listeners.
        ends: Partition → offset at which its log ends.
        journal: Where to.
        committed_only: Leave out what lies in aborted or open transactions.

    Returns:
        Partition → (position reached, records read); the position is the end's when all of it was read.
    """
    reached = dict.fromkeys(ends, (0, 0))
    left = {index for index, end in ends.items() if end > 0}
    reader = _reader(bootstrap, committed_only=committed_only)
    try:
        reader.assign([TopicPartition(TOPIC, index, OFFSET_BEGINNING) for index in sorted(left)])
        heard = time.monotonic()
        while left and time.monotonic() - heard < _IDLE_S:
            messages = reader.consume(_BATCH, 0.2)
            good = []
            for message in messages:
                error = message.error()
                if error is None:
                    good.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the name that the package documents
                    index = message.partition() or 0  # the stubs know messages without one; read ones have it
                    left.discard(index)
                    reached[index] = (max(ends[index], reached[index][0]), reached[index][1])
            if messages:
                heard = time.monotonic()
            if not good:
                continue
            records = np.zeros(len(good), RECORD_DTYPE)
            records["kind"], records["count"], records["ref"], records["t"] = Kind.STORED, 1, -1, monotonic_ns()
            records["key"], records["seq"] = decode_all([message.value() or b"" for message in good])
            records["partition"] = [message.partition() for message in good]
            records["offset"] = [message.offset() for message in good]
            journal.extend(records)
            journal.flush()
            for index in np.unique(records["partition"]).tolist():
                here = records["offset"][records["partition"] == index]
                # The end may have been reported already, behind control records that nobody is given.
                reached[index] = (max(reached[index][0], int(here[-1]) + 1), reached[index][1] + here.size)
    except KafkaException:
        return reached  # what was read stands; the rest counts as not read
    finally:
        reader.close()
    return reached


def nothing_visible(bootstrap: str, partition: int, position: int, *, committed_only: bool) -> bool:
    """Tell whether a consumer that goes on at ``position`` would get nothing more; False when that cannot be told."""
    reader = _reader(bootstrap, committed_only=committed_only)
    try:
        reader.assign([TopicPartition(TOPIC, partition, position)])
        deadline = time.monotonic() + _PEEK_S
        while time.monotonic() < deadline:
            message = reader.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is None:
                return False
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
                return True
    except KafkaException:
        return False
    finally:
        reader.close()
    return False


def _reader(bootstrap: str, *, committed_only: bool) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": "harness-audit",
            "group.id": "harness-audit",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed" if committed_only else "read_uncommitted",
            "fetch.wait.max.ms": 10,
            "fetch.error.backoff.ms": 50,
            "log_level": 0,
        }
    )

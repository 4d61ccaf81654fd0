"""Where a partition is, and how a worker is told how many broker sets there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.brokers.rocketmq.places import SETS_VARIABLE, Queue, QueuePlaces, set_names

SETS = st.integers(1, 3)
PARTITIONS = st.integers(1, 40)


@given(SETS, PARTITIONS)
def test_every_partition_is_one_queue_and_every_queue_one_partition(sets: int, partitions: int) -> None:
    places = QueuePlaces(set_names(sets))
    queues = [places.queue(partition) for partition in range(partitions)]
    assert len(set(queues)) == partitions
    assert [places.partition(queue.broker, queue.number) for queue in queues] == list(range(partitions))
    for broker, count in places.counts(partitions):
        assert [queue.number for queue in queues if queue.broker == broker] == list(range(count))
    assert sum(count for _, count in places.counts(partitions)) == partitions
    assert places.queues(partitions) == tuple(sorted(queues))


@given(SETS, PARTITIONS, st.integers(0, 10))
def test_partitions_that_are_added_move_none(sets: int, partitions: int, more: int) -> None:
    places = QueuePlaces(set_names(sets))
    before = [places.queue(partition) for partition in range(partitions)]
    assert [places.queue(partition) for partition in range(partitions + more)][:partitions] == before


def test_a_broker_set_that_there_is_not_has_no_partition() -> None:
    with pytest.raises(ValueError, match="not in"):
        QueuePlaces(("n1",)).partition("n2", 0)


def test_a_worker_is_told_how_many_broker_sets_there_are() -> None:
    assert QueuePlaces.of_environment({SETS_VARIABLE: "2"}).queue(3) == Queue("n2", 1)
    assert QueuePlaces.of_environment({}).sets == ("n1",)

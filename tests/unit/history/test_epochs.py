"""Epochs lie in order of journal, partition and record, however large the numbers of partitions are."""

from __future__ import annotations

import numpy as np
import pytest

from harness.history.epochs import Epochs


@pytest.mark.parametrize(
    "partitions",
    [
        (0, 1),
        (-1, 0),
        (16_383, 16_385),  # twice as much does not fit into 16 bits
        (0, 40_000),  # a label for each pair does not fit either
        (0, 32_766),
    ],
)
def test_rows_are_in_order_of_journal_partition_and_record(partitions: tuple[int, int]) -> None:
    low, high = partitions
    journal = np.array([1, 0, 1, 0, 1, 0], np.int16)
    partition = np.array([high, high, low, low, high, low], np.int32)
    epochs = Epochs(np.arange(6), journal, partition, [("c0", 1), ("c1", 1)], [])
    assert epochs.rows.tolist() == [3, 5, 1, 2, 0, 4]
    assert epochs.number.tolist() == [0, 0, 1, 2, 3, 3]
    assert epochs.of.tolist() == [3, 1, 2, 0, 3, 0]


def test_without_deliveries_there_are_no_epochs() -> None:
    epochs = Epochs(np.empty(0, np.int64), np.empty(0, np.int16), np.empty(0, np.int32), [], [])
    assert not epochs.rows.size
    assert not epochs.number.size

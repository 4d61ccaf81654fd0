"""What consumer groups leave in a history: commits, polls, ownership, epochs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.analysis import group
from harness.checks.analysis.impaired import impairments
from harness.history.commits import NOWHERE, InForce
from harness.history.epochs import UNKNOWN_NS
from harness.history.read import History
from harness.history.record import RECORD_DTYPE, Flag, Journal, Outcome, RecordKind


def _consumer(tmp_path: Path) -> Journal:
    (tmp_path / "history").mkdir()
    facts(settling={"positions": True}, group={"rounds_per_change": 2}, causes_ns_derived={"owner": 5}).save(
        tmp_path / "facts.json"
    )
    return Journal(tmp_path / "history" / "c0.1.journal", {"worker": "c0", "incarnation": 1, "role": "consumer"})


def test_commits_and_polls_are_read_as_written(tmp_path: Path) -> None:
    journal = _consumer(tmp_path)
    journal.commit(120, 100, 3, 42, Outcome.OK, Flag.CONFIRMED)
    journal.poll(130, 7, 900)
    journal.close()
    history = History.load(tmp_path)
    (commit, poll) = history.journals[0].records
    assert (commit["kind"], commit["t"], commit["seq"], commit["partition"], commit["offset"]) == (9, 120, 100, 3, 42)
    assert (commit["ref"], commit["count"], commit["key"]) == (-1, 1, -1)
    assert (poll["kind"], poll["t"], poll["count"], poll["offset"]) == (10, 130, 7, 900)
    commits = history.index.commits
    assert (commits.begun.tolist(), commits.t.tolist(), commits.position.tolist()) == ([100], [120], [42])
    assert commits.confirmed.tolist() == [True]
    assert history.facts.causes_ns_derived == {"owner": 5}


def test_an_array_of_records_is_appended_in_order(tmp_path: Path) -> None:
    journal = _consumer(tmp_path)
    records = np.zeros(3, RECORD_DTYPE)
    records["kind"], records["t"], records["offset"], records["ref"] = RecordKind.DELIVERED, 5, [7, 8, 9], -1
    journal.add(RecordKind.DELIVERED, t=4, key=0, seq=0, partition=0, offset=6)
    journal.extend(records)
    journal.extend(records[::2])
    journal.poll(6, 1, 0)
    journal.close()
    read = History.load(tmp_path).journals[0].records
    assert read["offset"].tolist() == [6, 7, 8, 9, 7, 9, 0]
    assert read["kind"].tolist() == [RecordKind.DELIVERED] * 6 + [RecordKind.POLL]


def test_records_of_another_type_are_refused(tmp_path: Path) -> None:
    journal = _consumer(tmp_path)
    with pytest.raises(TypeError, match="cannot be appended"):
        journal.extend(np.zeros(2, np.int64))
    journal.close()
    assert not History.load(tmp_path).journals[0].records.size


def test_the_last_record_of_a_commit_decides() -> None:
    lines = [
        "c0.1 10 commit p0 @1 unknown ~10",
        "c0.1 11 commit p0 @2 unknown ~11",
        "c0.1 12 commit p0 @1 ~10",
        "c1.1 13 commit p0 @2 fail ~11",
    ]
    commits = HistoryBuilder().lines(lines).history().index.commits
    assert commits.outcome.tolist() == [Outcome.UNKNOWN, Outcome.OK, Outcome.FAIL]
    assert commits.ordinal.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], (NOWHERE, NOWHERE)),
        (["c0.1 20 commit p0 @4 ~15"], (4, 4)),
        (["c0.1 60 commit p0 @4 ~15"], (NOWHERE, 4)),
        (["c0.1 20 commit p0 @4 ~15", "c0.1 21 commit p0 @6 unknown ~20"], (4, 6)),
        (["c0.1 20 commit p0 @4 unknown ~15", "c0.1 22 commit p0 @6 ~21"], (6, 6)),
        (["c1.1 20 commit p0 @4 unknown ~15", "c0.1 22 commit p0 @6 ~21"], (4, 6)),
        (["c1.1 20 commit p0 @4 ~15", "c0.1 22 commit p0 @6 ~21"], (6, 6)),
        (["c1.1 21.5 commit p0 @4 ~15", "c0.1 22 commit p0 @6 ~21"], (4, 6)),
        (["c1.1 20 commit p0 @4 fail ~15", "c0.1 22 commit p1 @6 ~21"], (NOWHERE, NOWHERE)),
    ],
)
def test_which_positions_may_have_been_in_force(lines: list[str], expected: tuple[int, int]) -> None:
    positions = HistoryBuilder().lines(lines).history().index.positions
    assert positions.in_force(0, 50 * MS, 70 * MS) == InForce(*expected)


def test_an_owner_owns_until_it_is_revoked_lost_dead_or_the_history_ends() -> None:
    lines = [
        "- 0 assign worker=c0 incarnation=1 partitions=[0,1,2]",
        "- 10 revoke worker=c0 incarnation=1 partitions=[1]",
        "- 20 lost worker=c0 incarnation=1 partitions=[2]",
        "- 30 assign worker=c1 incarnation=2 partitions=[1,2]",
        "- 40 worker worker=c0 incarnation=1 state=killed",
        "- 50 assign worker=c1 incarnation=2 partitions=[2]",
        "- 60 revoke worker=c1 incarnation=1 partitions=[2]",
    ]
    found = [
        (item.partition, item.journal, item.start_ns // MS, item.end_ns // MS, item.end)
        for item in HistoryBuilder().lines(lines).history().ownership_spans
    ]
    assert found == [
        (0, "c0.1", 0, 40, "dead"),
        (1, "c0.1", 0, 10, "revoke"),
        (2, "c0.1", 0, 20, "lost"),
        (1, "c1.2", 30, 60, "open"),
        (2, "c1.2", 30, 50, "assign"),
        (2, "c1.2", 50, 60, "open"),
    ]


def test_epochs_are_cut_by_what_lists_their_partition() -> None:
    lines = [
        "- 0 assign worker=c0 incarnation=1 partitions=[0]",
        "c0.1 5 got 0/0 p0 @0",
        "- 10 assign worker=c0 incarnation=1 partitions=[1]",
        "c0.1 15 got 0/1 p0 @1",
        "c0.1 16 got 1/0 p1 @0",
        "- 20 revoke worker=c0 incarnation=1 partitions=[0]",
        "c0.1 25 got 0/2 p0 @2",
        "c1.1 25 got 0/2 p0 @2",
    ]
    history = HistoryBuilder(facts(partitions=2)).lines(lines).history()
    epochs = history.epochs
    assert epochs.of.tolist() == [0, 0, 2, 1, 3]
    assert epochs.assigned_ns.tolist() == [0, UNKNOWN_NS, 10 * MS, UNKNOWN_NS]
    assert epochs.owned.tolist() == [True, False, True, True]  # c1 tells of no assignment: it owns what it is given


def test_a_fault_that_lets_a_member_join_does_not_impair_it() -> None:
    lines = [
        '- 10 fault fault=join-1 fault_kind=client_join action=apply targets=["c2"]',
        "- 11 worker worker=c2 incarnation=1 state=started",
        "- 15 worker worker=c2 incarnation=1 state=ready",
        '- 20 fault fault=slow-1 fault_kind=client_slow action=apply targets=["c2"]',
        '- 30 fault fault=slow-1 fault_kind=client_slow action=healed targets=["c2"]',
        "- 35 blocked worker=c2",
        "- 40 worker worker=c2 incarnation=1 state=killed",
        '- 50 fault fault=join-1 fault_kind=client_join action=healed targets=["c2"]',
    ]
    found = impairments(HistoryBuilder().lines(lines).history(), "c2")
    assert found["starting"] == [(11 * MS, 15 * MS)]
    assert found["targeted"] == [(20 * MS, 30 * MS)]
    assert found["blocked"] == [(35 * MS, 40 * MS)]
    assert found["dead"][0][0] == 40 * MS


def test_a_rebalance_is_known_from_either_source() -> None:
    lines = [
        "- 1 group state=stable",
        "- 10 revoke worker=c0 incarnation=1 partitions=[0] protocol=eager",
        "- 12 group state=preparing_rebalance",
        "- 14 group state=unknown",
        "- 20 assign worker=c0 incarnation=1 partitions=[0] protocol=eager",
        "- 22 group state=stable",
        "- 30 revoke worker=c0 incarnation=1 partitions=[0] protocol=cooperative",
        "- 40 group state=unknown",
        "- 50 group state=stable",
        "- 60 revoke worker=c1 incarnation=1 partitions=[0] protocol=eager",
        "- 61 worker worker=c1 incarnation=1 state=finished",
    ]
    history = HistoryBuilder(facts(group={})).lines(lines).history()
    assert group.rebalances(history) == [(10 * MS, 22 * MS), (60 * MS, 61 * MS)]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (['- 5 group state=stable members=[{"worker":"c0"},{"worker":"c1"}]'], [("c1", "join")]),
        (['- 5 group state=stable members=[{"worker":"c2"}]'], [("c2", "join"), ("c0", "expulsion")]),
        (
            ["- 3 worker worker=c0 state=finished", '- 5 group state=stable members=[{"worker":"c2"}]'],
            [("c2", "join"), ("c0", "leave")],
        ),
        (["- 2 worker worker=c1 state=killed role=consumer"], [("c1", "death")]),
        (["- 2 worker worker=p0 state=started role=producer"], []),
    ],
)
def test_what_began_a_rebalance(lines: list[str], expected: list[tuple[str, str]]) -> None:
    history = (
        HistoryBuilder(facts(group={})).lines(['- 1 group state=stable members=[{"worker":"c0"}]', *lines]).history()
    )
    assert group.beginnings(history, (4 * MS, 6 * MS)) == expected

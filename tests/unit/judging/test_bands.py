"""What the timeline shows of a history: owners, gaps between them, workers in trouble, the group, stalls by cause."""

from __future__ import annotations

import pytest
from support.history_builder import HistoryBuilder, facts

from harness.checks.stall import StallCheck, StallLimits
from harness.history.facts import Facts
from harness.history.read import History
from harness.judging.bands import bands_of
from harness.judging.owners import ownership
from harness.verdict import CheckResult

MS = 1_000_000
ZERO = 1_000

PHASES = (
    "- 0 phase phase=warmup",
    f"- {ZERO} phase phase=faults",
    "- 21000 phase phase=drain",
    "- 23000 phase phase=audit",
    "- 24000 phase phase=end",
)
"""Times of lines are absolute ms; the timeline starts at 1000."""

RANGE = (
    '- 100 assign worker=c0 incarnation=1 partitions=[0,1] protocol="eager"',
    '- 100 assign worker=c1 incarnation=1 partitions=[2,3] protocol="eager"',
    "- 110 group state=stable",
    "- 2000 blocked worker=c0",
    "- 3000 worker worker=c2 incarnation=1 role=consumer state=started",
    "- 3100 worker worker=c2 incarnation=1 role=consumer state=ready",
    "- 3200 group state=preparing_rebalance members=[]",
    '- 4000 group state=preparing_rebalance members=[{"worker":"c0","member":"a","partitions":[0]}]',
    "- 6000 revoke worker=c1 incarnation=1 partitions=[2,3]",
    "- 17000 polling worker=c0",
    "- 17000 revoke worker=c0 incarnation=1 partitions=[0,1]",
    "- 17010 group state=completing_rebalance",
    "- 17090 assign worker=c0 incarnation=1 partitions=[0]",
    "- 17090 assign worker=c1 incarnation=1 partitions=[1,2]",
    "- 17090 assign worker=c2 incarnation=1 partitions=[3]",
    "- 17100 group state=stable",
    "- 22000 worker worker=c0 incarnation=1 role=consumer state=finished",
    "- 22001 revoke worker=c0 incarnation=1 partitions=[0]",
)
DELIVERIES = (
    *(f"p0.1 {3_500 + n} send {n}/0 p{n}" for n in (0, 2)),
    *(f"p0.1 {3_510 + n} ok {n}/0 @0" for n in (0, 2)),
    "c0.1 3600 got 0/0 p0 @0",
    "c1.1 3600 got 2/0 p2 @0",
    *(f"p0.1 {6_100 + n} send {n}/1 p{n}" for n in (0, 2)),
    *(f"p0.1 {6_110 + n} ok {n}/1 @1" for n in (0, 2)),
    "c0.1 17200 got 0/1 p0 @1",
    "c1.1 17200 got 2/1 p2 @1",
)


def _history(*lines: str, given: Facts | None = None) -> History:
    return HistoryBuilder(given or facts(partitions=4, group={})).lines([*PHASES, *lines]).history()


def _drawn(history: History, kind: str, checks: tuple[CheckResult, ...] = ()) -> list[tuple[str, str, float, float]]:
    """Return (lane, label, from, to) of one kind of band, in ms on the clock of the lines."""
    bands = bands_of(history, checks, ZERO * MS)
    return [(b.lane, b.label, b.start_ns / MS + ZERO, b.end_ns / MS + ZERO) for b in bands if b.kind == kind]


def test_eager_revocation_leaves_a_gap_until_the_next_assignment() -> None:
    history = _history(*RANGE, *DELIVERIES)
    assert _drawn(history, "unowned") == [
        ("partition 0", "unowned", 17_000, 17_090),
        ("partition 1", "unowned", 17_000, 17_090),
        ("partition 2", "unowned", 6_000, 17_090),
        ("partition 3", "unowned", 6_000, 17_090),
    ]
    assert [owner for owner in _drawn(history, "owner") if owner[0] == "partition 3"] == [
        ("partition 3", "c1", 100, 6_000),
        ("partition 3", "c2", 17_090, 22_000),
    ]


def test_cooperative_revocation_takes_only_what_it_lists() -> None:
    history = _history(
        "- 100 assign worker=c0 partitions=[0,1,2,3] protocol=cooperative",
        "- 5000 revoke worker=c0 partitions=[3]",
        "- 5200 assign worker=c1 partitions=[3]",
        "- 5300 assign worker=c0 partitions=[]",
        "- 5400 revoke worker=c0 partitions=[]",
    )
    assert _drawn(history, "unowned") == [("partition 3", "unowned", 5_000, 5_200)]
    assert [label for _, label, *_ in _drawn(history, "owner")] == ["c0", "c0", "c0", "c0", "c1"]


@pytest.mark.parametrize("state", ["killed", "died", "finished"])
def test_an_ended_process_owns_nothing(state: str) -> None:
    history = _history(
        "- 100 assign worker=c0 partitions=[0]",
        f"- 5000 worker worker=c0 role=consumer state={state}",
        "- 9000 assign worker=c1 partitions=[0]",
    )
    assert _drawn(history, "unowned") == [("partition 0", "unowned", 5_000, 9_000)]


def test_two_owners_at_once_are_both_named() -> None:
    history = _history(
        "- 100 assign worker=c0 partitions=[0]",
        "- 5000 assign worker=c1 partitions=[0]",
        "- 6000 lost worker=c0 partitions=[0]",
    )
    assert [(label, start) for _, label, start, _ in _drawn(history, "owner")] == [
        ("c0", 100),
        ("c0+c1", 5_000),
        ("c1", 6_000),
    ]


def test_what_a_finished_run_gives_back_is_no_gap() -> None:
    history = _history(
        "- 100 assign worker=c0 partitions=[0]",
        "- 22000 worker worker=c1 role=consumer state=finished",
        "- 22500 revoke worker=c0 partitions=[0]",
    )
    assert _drawn(history, "unowned") == []
    assert _drawn(history, "owner") == [("partition 0", "c0", 100, 22_000)]
    early = _history("- 100 assign worker=c0 partitions=[0]", "- 21500 revoke worker=c0 partitions=[0]")
    assert _drawn(early, "unowned") == []
    lost = _history("- 100 assign worker=c0 partitions=[0]", "- 20500 revoke worker=c0 partitions=[0]")
    assert _drawn(lost, "unowned") == [("partition 0", "unowned", 20_500, 23_000)]


def test_a_revocation_without_a_list_means_everything() -> None:
    history = _history("- 100 assign worker=c0 partitions=[0,1]", "- 5000 lost worker=c0")
    spans = [(span.partition, span.owners, span.end_ns // MS) for span in ownership(history, 9_000 * MS)]
    assert spans == [(0, ("c0",), 5_000), (0, (), 9_000), (1, ("c0",), 5_000), (1, (), 9_000)]


def test_the_group_is_shown_by_state_not_by_observation() -> None:
    assert _drawn(_history(*RANGE), "group") == [
        ("group", "stable", 110, 3_200),
        ("group", "preparing_rebalance", 3_200, 17_010),
        ("group", "completing_rebalance", 17_010, 17_100),
        ("group", "stable", 17_100, 22_000),
    ]
    assert _drawn(_history(), "group") == []
    bands = [band for band in bands_of(_history(*RANGE), (), ZERO * MS) if band.kind == "group"]
    assert [band.meaning for band in bands] == ["settled", "rebalancing", "rebalancing", "settled"]


def test_workers_in_trouble_have_a_lane_and_others_none() -> None:
    assert _drawn(_history(*RANGE), "worker") == [
        ("c0", "blocked", 2_000, 17_000),
        ("c2", "absent", 0, 3_000),
        ("c2", "joining", 3_000, 17_090),
    ]


def test_death_pause_and_leave_are_told_apart() -> None:
    lines = (
        "- 2000 worker worker=c0 role=consumer state=paused",
        "- 4000 worker worker=c0 role=consumer state=resumed",
        "- 5000 worker worker=c1 role=consumer state=killed",
        "- 7000 worker worker=c1 role=consumer state=started",
        "- 7500 worker worker=c1 role=consumer state=ready",
        "- 8000 worker worker=c2 role=consumer state=finished",
        "- 9000 worker worker=c2 role=consumer state=started",
        "- 9400 assign worker=c2 partitions=[1]",
        "- 10000 worker worker=p0 role=producer state=died",
        "- 11000 worker worker=c3 role=consumer state=silent",
        "- 12000 worker worker=c3 role=consumer state=finished",
        "- 21500 worker worker=p1 role=producer state=finished",
        "- 22000 worker worker=c0 role=consumer state=finished",
    )
    started = [
        f"- -50 worker worker={name} role=consumer state=started" for name in ("c0", "c1", "c2", "c3", "p0", "p1")
    ]
    assert _drawn(_history(*started, *lines), "worker") == [
        ("c0", "paused", 2_000, 4_000),
        ("c1", "dead", 5_000, 7_500),
        ("c2", "left", 8_000, 9_000),
        ("c2", "joining", 9_000, 9_400),
        ("c3", "silent", 11_000, 12_000),
        ("c3", "left", 12_000, 22_000),
        ("p0", "dead", 10_000, 22_000),
    ]


def test_pauses_are_labelled_with_their_cause_and_those_beyond_a_limit_are_told_apart() -> None:
    history = _history(*RANGE, *DELIVERIES)
    stall = StallCheck().judge(history, StallLimits(collateral_ns_max=2_000 * MS))
    assert stall.findings
    assert [(lane, label, round(end - start)) for lane, label, start, end in _drawn(history, "stall", (stall,))] == [
        ("partition 2", "collateral", 10_988),
        ("partition 2", "unexplained", 100),
    ]
    allowed = _drawn(history, "still", (stall,))
    assert {(lane, label) for lane, label, *_ in allowed} >= {("partition 0", "owner")}
    assert {lane for lane, *_ in allowed} == {"partition 0"}
    assert {lane for lane, *_ in _drawn(history, "still")} == {"partition 0", "partition 2"}


def test_short_pauses_are_not_shown() -> None:
    history = _history(
        "- 100 assign worker=c0 partitions=[0]",
        *(
            line
            for n in range(40)
            for line in (
                f"p0.1 {2_000 + n * 400} send 0/{n} p0",
                f"p0.1 {2_001 + n * 400} ok 0/{n} @{n}",
                f"c0.1 {2_390 + n * 400} got 0/{n} p0 @{n}",
            )
        ),
    )
    assert _drawn(history, "still") == []


def test_a_partition_without_a_leader_is_named() -> None:
    history = _history(
        "- 0 leader partition=-1 leader=n1",
        "- 5000 leader partition=2 leader=",
        "- 6000 leader partition=2 leader=n2",
        "- 8000 leader partition=-1 leader=",
        "- 9000 leader partition=-1 leader=n1",
        "- 10000 leader partition=0 leader=",
        "- 10000 leader partition=1 leader=",
        "- 11000 leader partition=-1 leader=n1",
    )
    assert _drawn(history, "outage") == [
        ("leader", "none for partition 2", 5_000, 6_000),
        ("leader", "none", 8_000, 9_000),
        ("leader", "none for 2 partitions", 10_000, 11_000),
    ]


def test_bands_are_bounded_whatever_the_history() -> None:
    lines = [
        line
        for n in range(3_000)
        for line in (
            f"- {100 + n * 6} assign worker=c0 partitions=[0,1]",
            f"- {102 + n * 6} group state={'stable' if n % 2 else 'empty'}",
            f"- {103 + n * 6} revoke worker=c0 partitions=[0,1]",
            f"- {104 + n * 6} blocked worker=c0",
            f"- {105 + n * 6} polling worker=c0",
        )
    ]
    assert len(bands_of(_history(*lines), (), ZERO * MS)) < 4_000

"""Made-up but realistic results of consumer groups: a rebalance that makes the healthy stand still, and its twins.

Three consumers of six partitions: c0 blocks for 15 s in its handler at +2 s, c2 joins at +3 s.
"""

from __future__ import annotations

import random
from dataclasses import replace

from support import report_samples as samples

from harness.errors import ExitCode
from harness.result import Band, EvidenceItem, FaultResult, ReportTimeline, RunResult, Series
from harness.verdict import CheckResult, Finding, Limit, Operation, Verdict

S = samples.S
MS = samples.MS
ZERO = samples.ZERO
START, END = -5_000, 31_000
BIN_MS = 150

Spans = tuple[tuple[str, int, int], ...]
"""(who or what, from, to) in ms after the start of the timeline."""

MEANINGS = {
    "stable": "settled",
    "preparing_rebalance": "rebalancing",
    "completing_rebalance": "rebalancing",
    "assigning": "rebalancing",
    "reconciling": "rebalancing",
}
"""State of the group → what it means."""

RANGE_GROUP: Spans = (
    ("stable", START, 3_210),
    ("preparing_rebalance", 3_210, 17_020),
    ("completing_rebalance", 17_020, 17_090),
    ("stable", 17_090, 30_000),
)
RANGE_OWNERS: dict[int, Spans] = {
    0: (("c0", START, 17_010), ("", 17_010, 17_090), ("c0", 17_090, 30_000)),
    1: (("c0", START, 17_010), ("", 17_010, 17_090), ("c0", 17_090, 30_000)),
    2: (("c0", START, 17_010), ("", 17_010, 17_090), ("c1", 17_090, 30_000)),
    3: (("c1", START, 6_090), ("", 6_090, 17_090), ("c1", 17_090, 30_000)),
    4: (("c1", START, 6_090), ("", 6_090, 17_090), ("c2", 17_090, 30_000)),
    5: (("c1", START, 6_090), ("", 6_090, 17_090), ("c2", 17_090, 30_000)),
}
STICKY_GROUP: Spans = (
    ("stable", START, 3_210),
    ("preparing_rebalance", 3_210, 17_020),
    ("completing_rebalance", 17_020, 17_080),
    ("preparing_rebalance", 17_080, 17_310),
    ("completing_rebalance", 17_310, 17_370),
    ("stable", 17_370, 30_000),
)
STICKY_OWNERS: dict[int, Spans] = {
    0: (("c0", START, 30_000),),
    1: (("c0", START, 30_000),),
    2: (("c0", START, 17_080), ("", 17_080, 17_370), ("c2", 17_370, 30_000)),
    3: (("c1", START, 30_000),),
    4: (("c1", START, 30_000),),
    5: (("c1", START, 17_080), ("", 17_080, 17_370), ("c2", 17_370, 30_000)),
}
KIP848_GROUP: Spans = (
    ("stable", START, 3_150),
    ("assigning", 3_150, 3_250),
    ("reconciling", 3_250, 17_200),
    ("stable", 17_200, 30_000),
)
KIP848_OWNERS: dict[int, Spans] = {
    0: (("c0", START, 30_000),),
    1: (("c0", START, 30_000),),
    2: (("c0", START, 17_050), ("", 17_050, 17_200), ("c2", 17_200, 30_000)),
    3: (("c1", START, 30_000),),
    4: (("c1", START, 30_000),),
    5: (("c1", START, 3_310), ("", 3_310, 3_420), ("c2", 3_420, 30_000)),
}
WORKER_GROUP: Spans = (
    ("stable", START, 3_210),
    ("preparing_rebalance", 3_210, 6_110),
    ("completing_rebalance", 6_110, 6_180),
    ("stable", 6_180, 30_000),
)
WORKER_OWNERS: dict[int, Spans] = {
    0: (("c0", START, 6_090), ("", 6_090, 6_180), ("c0", 6_180, 30_000)),
    1: (("c0", START, 6_090), ("", 6_090, 6_180), ("c0", 6_180, 30_000)),
    2: (("c0", START, 6_090), ("", 6_090, 6_180), ("c1", 6_180, 30_000)),
    3: (("c1", START, 6_090), ("", 6_090, 6_180), ("c1", 6_180, 30_000)),
    4: (("c1", START, 6_090), ("", 6_090, 6_180), ("c2", 6_180, 30_000)),
    5: (("c1", START, 6_090), ("", 6_090, 6_180), ("c2", 6_180, 30_000)),
}


def collateral() -> RunResult:
    """Return the canary: with ``range`` the partitions of healthy c1 stand still for 11 s."""
    result = _run(
        "collateral-stall",
        "Canary: with range, one blocked consumer stops the partitions of the healthy ones",
        group=RANGE_GROUP,
        owners=RANGE_OWNERS,
        joined=17_090,
    )
    assert result.timeline is not None
    stalls = tuple(_band(f"partition {p}", "stall", "collateral", 6_090, 17_090) for p in (3, 4, 5))
    return replace(
        result,
        verdict=Verdict.FAIL,
        must_fail=("stall",),
        headline="failed as expected: stall: partition 3 of c1 stalled for 11s: the group waited for c0, blocked for "
        "15s",
        checks=(_stall(11_000, failed=(3, 4, 5)), *result.checks[1:]),
        timeline=replace(result.timeline, bands=(*result.timeline.bands, *stalls)),
    )


def cooperative() -> RunResult:
    """Return the twin with cooperative-sticky: c1 keeps what it owns."""
    return _run(
        "collateral-stall-twin-cooperative",
        "Twin: with cooperative-sticky, the healthy keep their partitions while the group waits",
        group=STICKY_GROUP,
        owners=STICKY_OWNERS,
        joined=17_370,
        collateral_ms=104,
    )


def kip848() -> RunResult:
    """Return the twin with the consumer protocol: each member is reconciled alone."""
    return _run(
        "collateral-stall-twin-kip848",
        "Twin: with the consumer protocol (KIP-848), c2 gets its share without waiting for c0",
        group=KIP848_GROUP,
        owners=KIP848_OWNERS,
        joined=3_420,
        collateral_ms=98,
    )


def worker_handler() -> RunResult:
    """Return the twin whose handler runs on a thread of its own: the poll loop answers the rebalance."""
    return _run(
        "collateral-stall-twin-worker-handler",
        "Twin: with the handler on a worker thread, the poll loop answers the rebalance",
        group=WORKER_GROUP,
        owners=WORKER_OWNERS,
        joined=6_180,
        collateral_ms=140,
        blocked=False,
    )


def twins() -> tuple[RunResult, ...]:
    """Return every twin of ``collateral``."""
    return (cooperative(), kip848(), worker_handler())


def _run(
    scenario: str,
    title: str,
    *,
    group: Spans,
    owners: dict[int, Spans],
    joined: int,
    collateral_ms: int = 0,
    blocked: bool = True,
) -> RunResult:
    base = samples.passing()
    return replace(
        base,
        run_id=f"20260314-031507-{scenario}",
        run_dir=f"reports/runs/20260314-031507-{scenario}",
        scenario=scenario,
        title=title,
        why="A member that does not come back to the join makes everybody wait who gave everything back for it.",
        file=f"scenarios/canary/{scenario}.yaml",
        variant={},
        digest=scenario,
        broker="kafka-4",
        versions={"kafka": "4.1.1", "java": "25.0.2", "toxiproxy": "2.12.0", "confluent-kafka": "2.16.1"},
        headline="pass: all 3 expectations hold",
        verdict=Verdict.PASS,
        outcome=Verdict.PASS,
        exit_code=ExitCode.PASS,
        checks=(_stall(collateral_ms), *base.checks[:2]),
        faults=(_block(), _join()),
        allowed=(),
        timeline=_timeline(group, owners, joined, blocked=blocked),
        reproduce=f"harness run scenarios/canary/{scenario}.yaml --seed 1729",
    )


def _stall(collateral_ms: int, failed: tuple[int, ...] = ()) -> CheckResult:
    verdict = Verdict.FAIL if failed else Verdict.PASS
    return CheckResult(
        check="stall",
        verdict=verdict,
        examined=7_412,
        examined_unit="deliveries",
        limits=(Limit(metric="collateral_max", limit=2 * S, measured=collateral_ms * MS, unit="ns", verdict=verdict),),
        findings=tuple(_pause(partition) for partition in failed),
        measures={"collateral_ns": collateral_ms * MS, "owner_ns": 15_040 * MS, "pauses": 3 + len(failed)},
    )


def _pause(partition: int) -> Finding:
    taker = "c1.1" if partition == 3 else "c2.1"
    return Finding(
        type="collateral-pause",
        message=f"partition {partition} of c1 had 184 messages waiting and none was delivered for 11s from +6.090s: "
        "the "
        "group waited for c0, which was blocked in its handler for 15s (collateral 11s)",
        operations=(
            _delivered("c1.1", 2_201 + partition, 6_081, partition, 1_840),
            _delivered(taker, 2_202 + partition, 17_094, partition, 1_841),
        ),
        start_ns=ZERO + 6_090 * MS,
        end_ns=ZERO + 17_090 * MS,
        partition=partition,
        metric="collateral_max",
        amount=11_000 * MS,
        faults=("block-1", "join-2"),
        at_fault=("c0",),
        paid=("c1",),
    )


def _delivered(journal: str, ordinal: int, t_ms: int, partition: int, offset: int) -> Operation:
    return Operation(
        journal=journal,
        ordinal=ordinal,
        kind="delivered",
        t_ns=ZERO + t_ms * MS,
        key=7,
        seq=offset,
        partition=partition,
        offset=offset,
    )


def _block() -> FaultResult:
    return FaultResult(
        id="block-1",
        kind="client_block",
        description="block the handler of c0 for 15s while it heartbeats",
        targets=("c0",),
        planned_at_ns=2 * S,
        planned_until_ns=17 * S,
        applied_at_ns=2_010 * MS,
        healed_at_ns=17_015 * MS,
        lateness_ns=10 * MS,
        evidence=(
            EvidenceItem(
                stage="effect",
                target="c0",
                probe="polls",
                proven=True,
                observed="before: 41 in 1s; during: 0 in 14.9s",
                required="none while its process runs",
            ),
            EvidenceItem(
                stage="healing", target="c0", probe="polls", proven=True, observed="38 in 1s", required="some again"
            ),
        ),
        proven=True,
    )


def _join() -> FaultResult:
    item = EvidenceItem(
        stage="effect",
        target="c2",
        probe="its process",
        proven=True,
        observed="pid 4711, ready after 0.2s",
        required="ready",
    )
    return replace(
        _block(),
        id="join-2",
        kind="client_join",
        description="c2 joins the group",
        targets=("c2",),
        planned_at_ns=3 * S,
        planned_until_ns=3 * S,
        applied_at_ns=3_004 * MS,
        healed_at_ns=3_200 * MS,
        evidence=(item, replace(item, stage="healing", observed="still there", required="still there")),
    )


def _timeline(group: Spans, owners: dict[int, Spans], joined: int, *, blocked: bool) -> ReportTimeline:
    draw = random.Random(11)
    starts = range(START, END, BIN_MS)
    deliveries = {str(p): tuple(_rate(draw, t, spans) for t in starts) for p, spans in owners.items()}
    times = tuple(t * MS for t in starts)
    processed = [sum(row[index] for row in deliveries.values()) * 1_000 / BIN_MS for index in range(len(times))]
    backlog, level = [], 0.0
    for t, rate in zip(starts, processed, strict=True):
        level = max(0.0, level + ((300 if t < 25_000 else 0) - rate) * BIN_MS / 1_000)
        backlog.append(round(level, 1))
    bands = [
        _band("phase", "phase", name, a, b)
        for name, a, b in (
            ("warmup", START, 0),
            ("faults", 0, 25_000),
            ("drain", 25_000, 30_000),
            ("audit", 30_000, END),
        )
    ]
    bands += [replace(_band("group", "group", state, a, b), meaning=MEANINGS[state]) for state, a, b in group]
    if blocked:
        bands.append(_band("c0", "worker", "blocked", 2_010, 17_015))
    bands += [_band("c2", "worker", "absent", START, 3_004), _band("c2", "worker", "joining", 3_004, joined)]
    for partition, spans in owners.items():
        lane = f"partition {partition}"
        if any(who == "c0" and a < 2_010 and b > 17_000 for who, a, b in spans):
            bands.append(_band(lane, "still", "owner", 2_010, 17_015))
        bands += [_band(lane, "owner" if who else "unowned", who or "unowned", a, b) for who, a, b in spans]
    return ReportTimeline(
        start_ns=START * MS,
        end_ns=END * MS,
        series=(
            Series(name="sent", unit="/s", t_ns=times, y=tuple(300.0 if t < 25_000 else 0.0 for t in starts)),
            Series(name="processed", unit="/s", t_ns=times, y=tuple(processed)),
            Series(name="backlog", unit="messages", t_ns=times, y=tuple(backlog)),
        ),
        bands=tuple(bands),
        bin_ns=BIN_MS * MS,
        deliveries=deliveries,
    )


def _rate(draw: random.Random, t: int, spans: Spans) -> int:
    """Return deliveries in the bin at ``t``: none without an owner or while c0 is blocked, more while it catches up."""
    owner = next((who for who, a, b in spans if a <= t < b), "")
    if not owner or t >= 26_500 or (owner == "c0" and 2_010 <= t < 17_015):
        return 0
    ends = [17_015] if any(who == "c0" for who, _, _ in spans) else []
    ends += [b for who, a, b in spans if not who and b - a > 1_000]
    catching = any(end <= t < end + 2_600 for end in ends)
    return max(1, round(draw.gauss(28 if catching else 7.5 if t < 25_000 else 2, 1.2)))


def _band(lane: str, kind: str, label: str, start: int, end: int) -> Band:
    return Band(lane=lane, kind=kind, label=label, start_ns=start * MS, end_ns=end * MS)

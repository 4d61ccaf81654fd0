"""Made-up but realistic results: what the reports are tested and looked at with."""

from __future__ import annotations

import random
from dataclasses import replace

from harness.errors import ExitCode
from harness.result import Band, EvidenceItem, FaultResult, ReportTimeline, RunResult, Series, Usage
from harness.verdict import CheckResult, Finding, Limit, Operation, Verdict

S = 1_000_000_000
MS = 1_000_000
ZERO = 918_273 * S + 645_000_000
"""Monotonic time of the start of the timeline."""

BIN = 250 * MS
PARTITIONS = 6
STALLED = (1, 4)


def failing() -> RunResult:
    """Return a run on three nodes in which killing the leader lost messages and stalled two partitions."""
    return RunResult(
        run_id="20260314-021507-leader-kill-7f3a",
        run_dir="reports/runs/20260314-021507-leader-kill-7f3a",
        scenario="leader-kill",
        title="Killing the leader loses nothing and stalls its partitions for at most 6 s",
        why="A node of the nightly fleet dies about once a week; consumers must not notice for longer than a session.",
        file="scenarios/nightly/leader-kill.yaml",
        variant={"broker": "nats-2", "replicas": "3"},
        seed=1729,
        digest="9c1f0e3ab6d2457ce1a8430b7d90aa51f2c6be7780e1d5a3b49f16c8d27e0b34",
        broker="nats-2",
        versions={"nats-server": "2.15.2", "toxiproxy": "2.12.0", "nats-py": "2.16.0"},
        runtime="process",
        verdict=Verdict.FAIL,
        must_fail=(),
        outcome=Verdict.FAIL,
        exit_code=ExitCode.VIOLATED,
        headline="fail: loss: 3 acknowledged messages were never processed; stall: partition 4 stalled for 7.9s",
        checks=(_loss(), _stall(), _order(), _duplicates(), _latency(), _recovery(inconclusive=False)),
        faults=(_kill(), _client_latency()),
        weaknesses=(
            "the machine stalled once for 0.412s at +31.2s; no limit was exceeded because of it",
            "jitter of latency-2 is native to the proxy and not replayable",
        ),
        allowed=("after a leader's death a redelivery of unacknowledged messages is legal (ack_wait 5s)",),
        counts={
            "sends": 52_500,
            "acknowledged": 52_431,
            "unknown": 69,
            "delivered": 52_619,
            "processed": 52_446,
            "stored": 52_449,
            "payload_bytes": 26_880_000,
        },
        timings_ns={
            "up": 1_870 * MS,
            "warmup": 5_004 * MS,
            "timeline": 30_012 * MS,
            "drain": 5_120 * MS,
            "judge": 641 * MS,
            "total": 43_310 * MS,
            "beyond_declared": 3_174 * MS,
        },
        overhead={
            "cpu_s.engine": 2.41,
            "cpu_s.workers": 11.9,
            "rss_bytes.engine": 71_303_168,
            "observer_polls": 318,
        },
        usage=Usage(
            cpu_ns={
                "nodes": 7_412 * MS,
                "toxiproxy": 3_031 * MS,
                "workers": 4_219 * MS,
                "monitor": 518 * MS,
                "harness": 1_804 * MS,
            },
            memory_peak_bytes=419_430_400,
            wall_ns=43_310 * MS,
            machine_cores=2.0,
            machine_busy=0.82,
        ),
        timeline=_timeline(),
        reproduce="harness run scenarios/nightly/leader-kill.yaml --only broker=nats-2.15.2,replicas=3 --seed 1729",
        started_wall="2026-03-14T02:15:07Z",
        zero_ns=ZERO,
    )


def _loss() -> CheckResult:
    lost = [(17, 204, 9_204), (17, 205, 9_205), (41, 88, 9_211)]
    findings = tuple(
        Finding(
            type="lost",
            message=f"key {key} seq {seq}, acknowledged at offset {offset}, is nowhere: not in the broker's log, "
            "never delivered",
            operations=(
                _operation("p0.0", 9_100 + index, "send", 11_702 + index, key=key, seq=seq, partition=4),
                _operation("p0.0", 9_150 + index, "sent", 11_719 + index, key=key, seq=seq, partition=4, offset=offset),
            ),
            start_ns=ZERO + (11_702 + index) * MS,
            end_ns=ZERO + (11_719 + index) * MS,
            partition=4,
            metric="messages_max",
            amount=1,
            faults=("kill-1",),
        )
        for index, (key, seq, offset) in enumerate(lost)
    )
    return CheckResult(
        check="loss",
        verdict=Verdict.FAIL,
        examined=52_431,
        examined_unit="acknowledged sends",
        limits=(Limit(metric="messages_max", limit=0, measured=3, unit="count", verdict=Verdict.FAIL),),
        findings=findings,
        measures={"lost": 3, "skipped": 0, "abandoned": 0},
    )


def _stall() -> CheckResult:
    return CheckResult(
        check="stall",
        verdict=Verdict.FAIL,
        examined=18_240,
        examined_unit="delivery gaps",
        limits=(
            Limit(metric="pause_max", limit=6 * S, measured=7_912 * MS, unit="ns", verdict=Verdict.FAIL),
            Limit(
                metric="collateral_max",
                limit=2 * S,
                measured=412 * MS,
                unit="ns",
                verdict=Verdict.PASS,
                origin="derived: heartbeat 1s x 2",
            ),
        ),
        findings=(
            Finding(
                type="unexplained-pause",
                message="partition 4 had backlog and no delivery for 7.912s, 3.7s of it after its new leader answered",
                operations=(
                    _operation("c1.0", 16_002, "delivered", 10_071, key=41, seq=80, partition=4, offset=9_190),
                    _operation("c1.0", 16_003, "delivered", 17_983, key=5, seq=131, partition=4, offset=9_191),
                ),
                start_ns=ZERO + 10_071 * MS,
                end_ns=ZERO + 17_983 * MS,
                partition=4,
                metric="pause_max",
                amount=7_912 * MS,
                faults=("kill-1",),
            ),
        ),
        measures={"pause_ns_max": 7_912 * MS, "pauses": 4},
    )


def _order() -> CheckResult:
    return CheckResult(
        check="order",
        verdict=Verdict.PASS,
        examined=52_619,
        examined_unit="deliveries",
        limits=(Limit(metric="inversions_max", limit=0, measured=0, unit="count", verdict=Verdict.PASS),),
    )


def _duplicates() -> CheckResult:
    return CheckResult(
        check="duplicates",
        verdict=Verdict.PASS,
        examined=52_619,
        examined_unit="deliveries",
        limits=(Limit(metric="ratio_max", limit=0.005, measured=0.0033, unit="ratio", verdict=Verdict.PASS),),
        measures={"redelivered": 173, "illegal": 0},
        reasons=("69 sends have an unknown outcome and are counted in neither direction",),
    )


def _latency() -> CheckResult:
    return CheckResult(
        check="latency",
        verdict=Verdict.PASS,
        examined=52_446,
        examined_unit="deliveries",
        limits=(Limit(metric="p99_max", limit=9 * S, measured=7_431 * MS, unit="ns", verdict=Verdict.PASS),),
    )


def _recovery(*, inconclusive: bool) -> CheckResult:
    return CheckResult(
        check="recovery",
        verdict=Verdict.INCONCLUSIVE if inconclusive else Verdict.PASS,
        examined=0 if inconclusive else 2,
        examined_unit="fault ends",
        limits=()
        if inconclusive
        else (Limit(metric="time_max", limit=10 * S, measured=1_312 * MS, unit="ns", verdict=Verdict.PASS),),
        reasons=("no fault was healed while there was backlog: nothing to recover from",) if inconclusive else (),
        expected=inconclusive,
    )


def _operation(journal: str, ordinal: int, kind: str, t_ms: int, **place: int) -> Operation:
    return Operation(journal=journal, ordinal=ordinal, kind=kind, t_ns=ZERO + t_ms * MS, **place)


def _kill() -> FaultResult:
    return FaultResult(
        id="kill-1",
        kind="kill",
        description="kill the leader with SIGKILL, start it again after 8s",
        targets=("n2",),
        planned_at_ns=10 * S,
        planned_until_ns=21 * S,
        applied_at_ns=10_006 * MS,
        healed_at_ns=19_470 * MS,
        lateness_ns=6 * MS,
        evidence=(
            EvidenceItem(
                stage="effect",
                target="n2",
                probe="protocol round trip",
                proven=True,
                observed="before: 0.4ms; during: refused, 38 of 38",
                required="no answer while it is down",
            ),
            EvidenceItem(
                stage="healing",
                target="n2",
                probe="process start time",
                proven=True,
                observed="pid 41177 started 8.1s after pid 40932 ended; 0.5ms round trip",
                required="a new process that answers",
            ),
        ),
        proven=True,
    )


def _client_latency() -> FaultResult:
    return FaultResult(
        id="latency-2",
        kind="latency",
        description="50ms ± 15ms in both directions on clients->n1",
        targets=("clients->n1",),
        planned_at_ns=22 * S,
        planned_until_ns=27 * S,
        applied_at_ns=22_003 * MS,
        healed_at_ns=27_009 * MS,
        lateness_ns=3 * MS,
        evidence=(
            EvidenceItem(
                stage="effect",
                target="clients->n1",
                probe="protocol round trip",
                proven=True,
                observed="before: 0.4ms; during: median 101.2ms of 24",
                required="median of at least 85ms",
            ),
            EvidenceItem(
                stage="healing",
                target="clients->n1",
                probe="protocol round trip",
                proven=True,
                observed="median 0.5ms of 20",
                required="median below 5ms",
            ),
        ),
        proven=True,
    )


def _timeline() -> ReportTimeline:
    draw = random.Random(7)
    bins = 45 * S // BIN
    times = tuple(-5 * S + index * BIN for index in range(bins))
    deliveries: dict[str, tuple[int, ...]] = {}
    for partition in range(PARTITIONS):
        row = []
        for t in times:
            rate = 62 if t < 30 * S else 0
            if partition in STALLED:
                rate = 0 if 10 * S <= t < (18 if partition == 4 else 14) * S else rate
                rate = 190 if (18 if partition == 4 else 14) * S <= t < 20 * S else rate
            elif 10 * S <= t < 10.5 * S:
                rate = 20
            row.append(max(0, round(draw.gauss(rate, 4))) if rate else 0)
        deliveries[str(partition)] = tuple(row)
    processed = [sum(row[index] for row in deliveries.values()) * 4.0 for index in range(bins)]
    sent = [1500 + draw.gauss(0, 12) if t < 30 * S else 0.0 for t in times]
    backlog, level = [], 40.0
    for t in times:
        level += 250 if 10 * S <= t < 14 * S else 125 if 14 * S <= t < 18 * S else 0
        level = max(30.0, level - (380 if t >= 18 * S else 0)) + draw.gauss(0, 3)
        backlog.append(max(0.0, round(level)) if t < 30 * S else 0.0)
    p50 = [2.1 * MS + draw.random() * MS + (52 * MS if 22 * S <= t < 27 * S else 0) for t in times]
    p99 = [
        9.0 * MS
        + draw.random() * 6 * MS
        + (94 * MS if 22 * S <= t < 27 * S else 0)
        + (7_300 * MS if 18 * S <= t < 19 * S else 0)
        for t in times
    ]
    return ReportTimeline(
        start_ns=-5 * S,
        end_ns=40 * S,
        series=(
            Series(name="sent", unit="/s", t_ns=times, y=tuple(sent)),
            Series(name="processed", unit="/s", t_ns=times, y=tuple(processed)),
            Series(name="backlog", unit="messages", t_ns=times, y=tuple(backlog)),
            Series(name="latency p50", unit="ns", t_ns=times, y=tuple(p50)),
            Series(name="latency p99", unit="ns", t_ns=times, y=tuple(p99)),
        ),
        bands=_bands(),
        bin_ns=BIN,
        deliveries=deliveries,
    )


def _bands() -> tuple[Band, ...]:
    phases = [("warmup", -5, 0), ("faults", 0, 30), ("drain", 30, 35), ("audit", 35, 40)]
    bands = [Band(lane="phase", kind="phase", label=n, start_ns=a * S, end_ns=b * S) for n, a, b in phases]
    bands.append(Band(lane="fault kill-1", kind="fault", label="kill-1", start_ns=10_006 * MS, end_ns=19_470 * MS))
    bands.append(
        Band(lane="fault latency-2", kind="fault", label="latency-2", start_ns=22_003 * MS, end_ns=27_009 * MS)
    )
    bands.append(
        Band(lane="n2 reachable", kind="outage", label="n2 unreachable", start_ns=10_010 * MS, end_ns=18_700 * MS)
    )
    for partition in STALLED:
        lane = f"partition {partition}"
        bands.append(Band(lane=lane, kind="stall", label="fault", start_ns=10_071 * MS, end_ns=14_200 * MS))
    bands.append(Band(lane="partition 4", kind="stall", label="unexplained", start_ns=14_200 * MS, end_ns=17_983 * MS))
    for partition in range(PARTITIONS):
        lane, owner = f"partition {partition}", f"c{partition % 3}"
        if partition in STALLED:
            bands.append(Band(lane=lane, kind="owner", label=owner, start_ns=-5 * S, end_ns=12 * S))
            bands.append(Band(lane=lane, kind="owner", label="c2", start_ns=13 * S, end_ns=40 * S))
        else:
            bands.append(Band(lane=lane, kind="owner", label=owner, start_ns=-5 * S, end_ns=40 * S))
    return tuple(bands)


def passing() -> RunResult:
    """Return a passing latency run without a stall."""
    result = failing()
    assert result.timeline is not None
    latency = replace(
        _client_latency(),
        id="latency-1",
        planned_at_ns=10 * S,
        planned_until_ns=20 * S,
        applied_at_ns=10_002 * MS,
        healed_at_ns=20_011 * MS,
    )
    steady = tuple(62 if index * BIN < 35 * S else 0 for index in range(180))
    bands = tuple(band for band in result.timeline.bands if band.kind == "phase")
    loss = replace(
        _loss(),
        verdict=Verdict.PASS,
        findings=(),
        limits=(replace(_loss().limits[0], measured=0, verdict=Verdict.PASS),),
    )
    return replace(
        result,
        scenario="client-latency",
        title="Consumers ride out 50 ms ± 15 ms of client latency",
        file="scenarios/gate/client-latency.yaml",
        variant={},
        verdict=Verdict.PASS,
        outcome=Verdict.PASS,
        exit_code=ExitCode.PASS,
        headline="pass: all 4 expectations hold; 52,431 acknowledged messages processed",
        checks=(loss, _order(), _duplicates(), _latency()),
        faults=(latency,),
        weaknesses=(),
        timeline=replace(
            result.timeline,
            bands=bands,
            deliveries={str(partition): steady for partition in range(PARTITIONS)},
            series=tuple(
                replace(line, y=tuple(min(value, 1500.0) for value in line.y)) for line in result.timeline.series[:2]
            ),
        ),
        reproduce="harness run scenarios/gate/client-latency.yaml --seed 1729",
    )


def inconclusive() -> RunResult:
    """Return a run that proves nothing: the fault left no evidence of its effect, and a check examined nothing."""
    result = passing()
    (latency,) = result.faults
    unproven = replace(latency.evidence[0], proven=False, observed="before: 0.4ms; during: median 0.4ms of 24")
    weakness = "latency-1 has no evidence of its effect on clients->n1: median 0.4ms of 24, at least 85ms required"
    return replace(
        result,
        verdict=Verdict.INCONCLUSIVE,
        outcome=Verdict.INCONCLUSIVE,
        exit_code=ExitCode.INCONCLUSIVE,
        headline="inconclusive: latency-1 was not proven to act",
        checks=(*result.checks, _recovery(inconclusive=True)),
        faults=(replace(latency, evidence=(unproven, latency.evidence[1]), proven=False),),
        weaknesses=("worker c1 logged 4 client errors", weakness),
        blocking=(weakness,),
    )


def canary() -> RunResult:
    """Return a canary that failed exactly as expected."""
    result = failing()
    return replace(
        result,
        scenario="ack-none-kill",
        title="Canary: consumers without acknowledgements lose messages when they are killed",
        file="scenarios/canary/ack-none-kill.yaml",
        must_fail=("loss",),
        outcome=Verdict.PASS,
        exit_code=ExitCode.PASS,
        headline="fail: loss: 3 acknowledged messages were never processed",
        checks=(_loss(), _order(), _duplicates()),
    )


def broken_canary() -> RunResult:
    """Return a canary in which another check failed than the one that must."""
    loss = replace(passing().checks[0])
    return replace(
        canary(),
        outcome=Verdict.FAIL,
        exit_code=ExitCode.VIOLATED,
        checks=(loss, _stall(), _order()),
        headline="fail: stall: partition 4 stalled for 7.9s",
    )


def unfit() -> RunResult:
    """Return a run that never began: a node did not start."""
    return replace(
        passing(),
        verdict=Verdict.INCONCLUSIVE,
        outcome=Verdict.INCONCLUSIVE,
        exit_code=ExitCode.ENVIRONMENT,
        headline="environment: n3 did not become ready",
        checks=(),
        faults=(),
        counts={},
        overhead={},
        usage=None,
        timings_ns={"total": 32_000 * MS},
        timeline=None,
        zero_ns=None,
        error="n3 did not become ready within 30s: its log ends with 'listen tcp 127.0.0.1:41999: address in use'\n"
        "  hint: see nodes/n3/stdout.log in the run directory",
    )


HOSTILE = "<script>alert('x')</script> & \"quoted\" ]]> \x1b[31mred\x00\x07\ud800\u202egnp " + "w" * 400


def hostile() -> RunResult:
    """Return a failing run whose every text tries to break out of its place."""
    result = failing()
    assert result.timeline is not None
    finding = replace(_loss().findings[0], message=HOSTILE, type=HOSTILE, faults=(HOSTILE, "kill-1"))
    operation = replace(finding.operations[0], journal=HOSTILE, kind=HOSTILE)
    check = replace(
        _loss(),
        check=HOSTILE,
        examined_unit=HOSTILE,
        reasons=(HOSTILE,),
        findings=(replace(finding, operations=(operation,)),),
        measures={HOSTILE: 1},
    )
    item = replace(
        _kill().evidence[0], observed=HOSTILE, probe=HOSTILE, target=HOSTILE, required=HOSTILE, stage=HOSTILE
    )
    band = replace(result.timeline.bands[0], label=HOSTILE)
    return replace(
        result,
        title=HOSTILE,
        why=HOSTILE,
        file=HOSTILE,
        scenario=HOSTILE,
        run_id=HOSTILE,
        run_dir=HOSTILE,
        headline=HOSTILE,
        variant={HOSTILE: HOSTILE},
        versions={HOSTILE: HOSTILE},
        reproduce=HOSTILE,
        started_wall=HOSTILE,
        checks=(check,),
        faults=(replace(_kill(), description=HOSTILE, id=HOSTILE, evidence=(item,)),),
        weaknesses=(HOSTILE,),
        allowed=(HOSTILE,),
        counts={HOSTILE: 1},
        timings_ns={HOSTILE: 1},
        overhead={HOSTILE: 1.0},
        usage=Usage(cpu_ns={HOSTILE: 1}, memory_peak_bytes=1, wall_ns=1, machine_cores=1.0),
        timeline=replace(
            result.timeline,
            bands=(band, *(replace(one, lane=HOSTILE, label=HOSTILE) for one in result.timeline.bands)),
            series=tuple(replace(line, name=HOSTILE, unit=HOSTILE) for line in result.timeline.series),
            deliveries={HOSTILE: result.timeline.deliveries["0"]},
        ),
    )


ALL = (failing, passing, inconclusive, canary, broken_canary, unfit, hostile)

"""Made-up but realistic suites: what their reports are tested and looked at with."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import ExitCode
from harness.report.serialize import to_json
from harness.result import RunResult, Usage
from harness.suite_baseline import BaselineResult, MeasureChange, PlanComparison
from harness.suite_result import Cost, MadeAgain, PlannedRun, SuiteEntry, SuiteResult, plan_digest, suite_code
from harness.verdict import Verdict

S = 1_000_000_000
MB = 1_000_000

_CODES = {
    Verdict.PASS: ExitCode.PASS,
    Verdict.FAIL: ExitCode.VIOLATED,
    Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
}
_LOST = "failed as expected: loss: 214 acknowledged messages are nowhere"


def cost(**given: Any) -> Cost:
    """Return what a run of one node is expected to take."""
    settings: dict[str, Any] = {
        "cores": 0.65,
        "memory_bytes": 240 * MB,
        "wall_ns": 21 * S,
        "disk_bytes": 80 * MB,
        "ports": 9,
        "measures_machine": False,
        "source": "formula",
    }
    return Cost(**settings | given)


def usage(**given: Any) -> Usage:
    """Return what a run of three nodes took."""
    settings: dict[str, Any] = {
        "cpu_ns": {
            "nodes": 7_400_000_000,
            "toxiproxy": 3_000_000_000,
            "workers": 4_200_000_000,
            "monitor": 500_000_000,
            "harness": 1_800_000_000,
        },
        "memory_peak_bytes": 310 * MB,
        "wall_ns": 19_400_000_000,
        "machine_cores": 2.0,
        "machine_busy": 0.81,
    }
    return Usage(**settings | given)


def entry(scenario: str, verdict: Verdict = Verdict.PASS, **given: Any) -> SuiteEntry:
    """Return a run that ended; ``given`` replaces fields."""
    repetition = given.get("repetition", 1)
    file = f"scenarios/gate/{scenario}.yaml"
    headlines = {
        Verdict.PASS: "pass: all 4 expectations hold: loss over 12,000 acknowledged sends; stall over 3,100 slices",
        Verdict.FAIL: "fail: stall: partition 4 made no progress for 7.9s although its owner c1 was healthy",
        Verdict.INCONCLUSIVE: "inconclusive: latency-1 not proven: 3 round trips in its window, 5 are required",
    }
    settings: dict[str, Any] = {
        "key": f"{file}@auto#{repetition}",
        "scenario": scenario,
        "title": f"What {scenario} does to consumers stays within its limits",
        "file": file,
        "tags": ("gate",),
        "variant": {},
        "seed": 1729,
        "digest": hashlib.sha256(scenario.encode("utf-8", "backslashreplace")).hexdigest(),
        "broker": "nats-2",
        "must_fail": (),
        "runtime": "process",
        "repetition": repetition,
        "attempts": None,
        "state": "ended",
        "run_id": f"20260314-021507-{scenario}-{repetition}",
        "run_dir": f"runs/20260314-021507-{scenario}-{repetition}",
        "verdict": verdict,
        "outcome": verdict,
        "exit_code": int(_CODES[verdict]),
        "headline": headlines[verdict],
        "blocking": ("latency-1 not proven: 3 round trips in its window, 5 are required",)
        if verdict is Verdict.INCONCLUSIVE
        else (),
        "reproduce": f"harness run {file} --seed 1729 --runtime process",
        "versions": {"nats-server": "2.15.2", "toxiproxy": "2.12.0"},
        "failed": ("stall",) if verdict is Verdict.FAIL else (),
        "began_ns": 2 * S,
        "wall_ns": 19_400_000_000,
        "expected": cost(),
        "usage": usage(),
    }
    return SuiteEntry(**settings | given)


def entry_of(run: RunResult, folder: Path, number: int = 1, **given: Any) -> SuiteEntry:
    """Return the entry of a run, whose result is written into ``folder`` / ``runs``; ``given`` replaces fields."""
    run_id = re.sub(r"[^\w-]", "", f"{run.run_id[-40:]}-{number}", flags=re.ASCII)
    place = folder / "runs" / run_id
    place.mkdir(parents=True, exist_ok=True)
    (place / "result.json").write_text(to_json(replace(run, run_id=run_id, run_dir=str(place))), encoding="utf-8")
    settings: dict[str, Any] = {
        "key": f"{run.file}@auto#{number}",
        "file": run.file,
        "variant": run.variant,
        "digest": run.digest,
        "run_id": run_id,
        "run_dir": f"runs/{run_id}",
        "verdict": run.verdict,
        "outcome": run.outcome,
        "exit_code": int(run.exit_code),
        "headline": run.headline,
        "blocking": run.blocking,
        "failed": tuple(check.check for check in run.checks if check.expected and check.verdict is Verdict.FAIL),
        "must_fail": run.must_fail,
        "reproduce": run.reproduce,
        "versions": run.versions,
        "repetition": number,
    }
    return replace(entry(run.scenario), **settings | given)


def not_run(scenario: str, reason: str, **given: Any) -> SuiteEntry:
    """Return a run that is missing; ``given`` replaces fields."""
    empty: dict[str, Any] = {
        "state": "missing",
        "reason": reason,
        "run_id": "",
        "run_dir": "",
        "verdict": None,
        "outcome": None,
        "exit_code": None,
        "headline": "",
        "reproduce": "",
        "versions": {},
        "began_ns": None,
        "wall_ns": 0,
        "usage": None,
    }
    return replace(entry(scenario, repetition=given.pop("repetition", 1)), **empty | given)


def again(scenario: str) -> MadeAgain:
    """Return the first run of one that was made again."""
    return MadeAgain(
        cause="too few round trips",
        detail="latency-1 not proven: 3 round trips in its window, 5 are required",
        run_id=f"20260314-021440-{scenario}-first",
        run_dir=f"runs/20260314-021440-{scenario}-first",
        headline="inconclusive: latency-1 not proven: 3 round trips in its window, 5 are required",
    )


def canary(scenario: str, **given: Any) -> SuiteEntry:
    """Return a canary that failed as expected."""
    settings: dict[str, Any] = {
        "file": f"scenarios/canary/{scenario}.yaml",
        "key": f"scenarios/canary/{scenario}.yaml@auto#1",
        "tags": ("canary",),
        "must_fail": ("loss",),
        "failed": ("loss",),
        "outcome": Verdict.PASS,
        "exit_code": 0,
        "headline": _LOST,
    }
    return entry(scenario, given.pop("verdict", Verdict.FAIL), **settings | given)


def suite(entries: Sequence[SuiteEntry], **given: Any) -> SuiteResult:
    """Return a suite of these runs that agrees with itself; ``given`` replaces fields."""
    settings: dict[str, Any] = {
        "suite_id": "20260314-021430-gate-5c1e",
        "name": "gate",
        "harness": "0.9.0",
        "started_wall": "2026-03-14T02:14:30Z",
        "plan_digest": plan_digest((one.key, one.digest) for one in entries),
        "complete": all(one.state != "missing" for one in entries),
        "exit_code": int(suite_code(entries)),
        "cores": 1.8,
        "memory_bytes": 3_400 * MB,
        "wall_ns": 184 * S,
        "cpu_busy": 0.83,
        "waited_ns": 41 * S,
        "entries": tuple(entries),
    }
    return SuiteResult(**settings | given)


def green() -> SuiteResult:
    """Return a suite that passed: a run, a canary, a run made again, a race decided before its last run."""
    race: dict[str, Any] = {"attempts": (3, 2), "must_fail": ("loss",), "failed": ("loss",)}
    shown: dict[str, Any] = {"outcome": Verdict.PASS, "exit_code": 0, "headline": _LOST} | race

    return suite(
        [
            entry("latency"),
            canary("acks-none", began_ns=4 * S),
            entry("leader-kill", began_ns=24 * S, made_again=again("leader-kill")),
            entry("late-commit", Verdict.FAIL, repetition=1, began_ns=44 * S, **shown),
            entry("late-commit", Verdict.FAIL, repetition=2, began_ns=46 * S, **shown),
            not_run(
                "late-commit",
                "its race was decided: 2 of 3 runs showed what is declared",
                repetition=3,
                state="not needed",
                attempts=(3, 2),
                must_fail=("loss",),
            ),
        ]
    )


def red() -> SuiteResult:
    """Return a suite with everything in it that is not a pass, and variants of one scenario."""
    return suite(
        [
            entry("latency", variant={"broker": "nats-2", "replicas": "3"}),
            entry("leader-kill", Verdict.FAIL, began_ns=22 * S),
            entry("partition", Verdict.INCONCLUSIVE, began_ns=24 * S, made_again=again("partition")),
            entry(
                "disk-full",
                Verdict.INCONCLUSIVE,
                began_ns=45 * S,
                exit_code=7,
                headline="inconclusive: node n1 did not become ready within 30s",
            ),
            canary(
                "fsync-never",
                outcome=Verdict.FAIL,
                verdict=Verdict.PASS,
                exit_code=1,
                failed=(),
                began_ns=70 * S,
                headline="expected loss to fail, but it passed",
            ),
            not_run("rolling", "the deadline of the suite, 3m, had passed before it could start"),
        ],
        waited_ns=12 * S,
    )


def empty() -> SuiteResult:
    """Return a shard that has nothing to do."""
    return suite((), exit_code=0, **_shard(4))


def shard() -> SuiteResult:
    """Return the second of four shards of a suite of two runs."""
    return suite([entry("latency")], **_shard(2))


def _shard(number: int) -> dict[str, Any]:
    runs = [(one.key, one.digest) for one in (entry("latency"), entry("leader-kill"))]
    return {
        "shard": f"{number}/4",
        "cost_digest": "ab" * 32,
        "planned": tuple(PlannedRun(key=key, digest=digest, shard=2 + at) for at, (key, digest) in enumerate(runs)),
        "plan_digest": plan_digest(runs),
    }


def regressed() -> SuiteResult:
    """Return a suite whose runs passed, and whose latency is worse than in earlier nights."""
    entries = [entry("latency"), entry("leader-kill")]
    change = MeasureChange(
        check="latency",
        measure="p99_ns",
        unit="ns",
        worse="more",
        change="regressed",
        value=720e6,
        median=310e6,
        lowest=290e6,
        highest=340e6,
        bound=430e6,
    )
    plans = [
        PlanComparison(
            scenario=one.scenario,
            variant=one.variant,
            runtime=one.runtime,
            digest=one.digest,
            verdict=Verdict.FAIL if number == 0 else Verdict.PASS,
            runs=1,
            nights=5,
            measures=14,
            changes=(change,) if number == 0 else (),
        )
        for number, one in enumerate(entries)
    ]
    baseline = BaselineResult(
        baseline="last:5", tolerance=0.2, false_alarm=0.01, verdict=Verdict.FAIL, plans=tuple(plans)
    )
    return suite(entries, baseline=baseline, exit_code=int(ExitCode.VIOLATED))


ALL = (green, red, empty, shard, regressed)


def generated(count: int, seed: int = 7) -> SuiteResult:
    """Return a suite of ``count`` runs with outcomes, times and long texts drawn from ``seed``."""
    draw = random.Random(seed)
    entries, now = [], 0
    for number in range(count):
        verdict = draw.choices(list(Verdict), weights=(90, 5, 5))[0]
        scenario = f"generated-{number:04d}"
        now += draw.randrange(1, 9 * S)
        wall = draw.randrange(9 * S, 40 * S)
        made = entry(
            scenario,
            verdict,
            variant={"broker": draw.choice(["nats-2", "kafka-4"]), "replicas": str(draw.randrange(1, 4))},
            title=f"{scenario} stays within its limits while " + "the network of every client zone is slow " * 3,
            began_ns=now,
            wall_ns=wall,
            usage=usage(wall_ns=wall),
            made_again=again(scenario) if draw.random() < 0.02 else None,
        )
        made = replace(made, headline=f"{made.headline}; " + "the longest pause was 7.9s on partition 4; " * 5)
        entries.append(made)
    return suite(entries, wall_ns=now + 40 * S)

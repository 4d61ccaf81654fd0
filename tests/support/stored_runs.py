"""Results for tests of the store: a real one of a recorded run, or small ones with the measures that a test wants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from support import report_samples

from harness import __version__
from harness.errors import ExitCode
from harness.result import RunResult, Usage
from harness.verdict import CheckResult, Verdict

_CODES = {Verdict.PASS: ExitCode.PASS, Verdict.FAIL: ExitCode.VIOLATED, Verdict.INCONCLUSIVE: ExitCode.INCONCLUSIVE}


def full(run_id: str = "20260314-021507-full") -> RunResult:
    """Return a result with findings, faults, evidence, counts and use of the machine."""
    sample = report_samples.failing()
    checks = tuple(
        replace(check, measures={"p99_ns": 41_000_000.0}) if check.check == "latency" else check
        for check in sample.checks
    )
    return replace(sample, run_id=run_id, checks=checks, harness=__version__, usage=usage(0.6))


def usage(busy: float, cores: float = 2.0) -> Usage:
    """Return what a run took of the machine."""
    return Usage(
        cpu_ns={"nodes": 7_400_000_000, "harness": 1_800_000_000},
        memory_peak_bytes=300_000_000,
        wall_ns=17_000_000_000,
        machine_cores=cores,
        machine_busy=busy,
    )


def small(
    night: int,
    measures: Mapping[str, Mapping[str, float]],
    *,
    run: int = 0,
    outcome: Verdict = Verdict.PASS,
    busy: float = 0.6,
    cores: float = 2.0,
    digest: str = "d" * 64,
    scenario: str = "latency",
    runtime: str = "process",
    versions: Mapping[str, str] | None = None,
    harness: str = __version__,
    must_fail: tuple[str, ...] = (),
) -> RunResult:
    """Return a run of the plan ``scenario`` in a night of March 2026 (from 1).

    ``measures`` are check → name → value; ``run`` counts the runs of one night from 0.
    """
    return RunResult(
        run_id=f"202603{night:02}-0215{run:02}-{scenario}-{runtime}",
        run_dir=f"reports/{scenario}",
        scenario=scenario,
        title=scenario,
        why="",
        file=f"scenarios/{scenario}.yaml",
        variant={},
        seed=1,
        digest=digest,
        broker="nats-2",
        versions={"nats": "2.15.2", "toxiproxy": "2.12.0"} if versions is None else versions,
        runtime=runtime,
        verdict=outcome,
        must_fail=must_fail,
        outcome=outcome,
        exit_code=int(_CODES[outcome]),
        headline=f"{outcome}: as made up",
        checks=tuple(
            CheckResult(
                check=check, verdict=Verdict.PASS, examined=100, examined_unit="messages", measures=dict(values)
            )
            for check, values in measures.items()
        ),
        usage=usage(busy, cores),
        started_wall=f"2026-03-{night:02}T02:15:{run:02}Z",
        harness=harness,
    )

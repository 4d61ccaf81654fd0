"""Judges a run directory: history and plan in, result out. The same for a fresh run and for ``harness check``.

Owns how checks, evidence and the run's own troubles become one verdict. Starts nothing and asks no broker.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from harness import __version__
from harness.checks.judge import judge_all
from harness.clock import monotonic_ns
from harness.engine.engine import RunRecord
from harness.engine.rundir import RunDir
from harness.errors import ExitCode, HarnessError, UnfitEnvironmentError
from harness.faults.base import FAULTS
from harness.history.events import EvidenceEvent, FaultEvent
from harness.history.read import History, HistoryError
from harness.history.record import Outcome
from harness.judging.outside import outside, weakened
from harness.judging.series import timeline_of
from harness.judging.weaknesses import Blocking, blocking_reasons, machine_trouble, planned_sends, weakening_reasons
from harness.judging.whole import DamagedError, read_whole, unsealed
from harness.result import AttemptCount, EvidenceItem, FaultResult, RunResult
from harness.scenario.model import Plan, PlannedFault
from harness.scenario.trigger import in_words
from harness.verdict import CheckResult, Verdict

_ACCEPTANCE = "acceptance"
_DECLARED = ("warmup", "faults", "drain")


def judge(plan: Plan, run_dir: RunDir, record: RunRecord, reproduce: str) -> RunResult:
    """Return the result of one run.

    A run that broke off is judged as far as it came: a violation that was proven before stands.
    """
    try:
        return judge_and_read(plan, run_dir, record, reproduce)[0]
    except UnfitEnvironmentError as error:
        return _without_history(_base(plan, run_dir, record, reproduce), record, error)


def judge_and_read(plan: Plan, run_dir: RunDir, record: RunRecord, reproduce: str) -> tuple[RunResult, History | None]:
    """Return the result of one run, and its history where it could be read.

    Raises:
        UnfitEnvironmentError: This machine does not let its files be read.
    """
    began = monotonic_ns()
    base = _base(plan, run_dir, record, reproduce)
    try:
        history, seen = read_whole(run_dir.path)
    except HistoryError as error:
        return _without_history(base, record, error), None
    if history.window("warmup") is None and record.error:
        return _without_history(base, record, None), history
    disturbed = outside(history)
    checks = judge_all(
        history,
        {item.check: item.limits for item in plan.expect if not item.off},
        off={item.check for item in plan.expect if item.off},
    )
    checks = weakened(checks, history, disturbed)
    window = history.window("faults")
    zero_ns = None if window is None else window[0]
    faults = tuple(_fault(fault, history, zero_ns or 0) for fault in plan.timeline)
    machine = machine_trouble(plan, history)
    refused = any(
        result.check == _ACCEPTANCE and result.expected and result.verdict is Verdict.FAIL for result in checks
    )
    reasons = (
        *map(Blocking, unsealed(seen, record)),
        *(Blocking(item.sentence) for item in disturbed),
        *blocking_reasons(plan, history, record, faults, machine, refused=refused),
    )
    blocking = tuple(reason.sentence for reason in reasons)
    weaknesses = (*blocking, *weakening_reasons(plan, history, faults, machine))
    verdict = Verdict.worst(
        [result.verdict for result in checks if result.expected] + [Verdict.INCONCLUSIVE] * bool(blocking)
    )
    outcome = _outcome(plan, checks, verdict, blocked=bool(blocking))
    timings = dict(record.timings_ns) | {"judge": monotonic_ns() - began}
    timings["beyond_declared"] = timings.get("total", 0) - sum(timings.get(phase, 0) for phase in _DECLARED)
    result = dataclasses.replace(
        base,
        verdict=verdict,
        outcome=outcome,
        exit_code=int(_exit_code(outcome, verdict, record, canary=bool(plan.must_fail))),
        headline=_headline(plan, checks, verdict, outcome, blocking, record),
        checks=checks,
        faults=faults,
        weaknesses=weaknesses,
        blocking=blocking,
        blocking_causes=tuple(reason.cause for reason in reasons),
        machine=machine,
        allowed=history.facts.allowed,
        counts=_counts(plan, history),
        timings_ns=timings,
        overhead=record.overhead,
        timeline=timeline_of(history, checks),
        zero_ns=zero_ns,
    )
    return result, history


def unjudged(plan: Plan, run_dir: RunDir, record: RunRecord, reproduce: str) -> RunResult:
    """Return the result of a run whose judging was broken off: its history stays, for ``harness check``."""
    trouble = "interrupted before it was judged; `harness check` judges it"
    code = record.exit_code or int(ExitCode.INTERRUPTED)
    broken_off = dataclasses.replace(record, error=record.error or trouble, exit_code=code)
    return _without_history(_base(plan, run_dir, broken_off, reproduce), broken_off, None)


def _base(plan: Plan, run_dir: RunDir, record: RunRecord, reproduce: str) -> RunResult:
    return RunResult(
        run_id=record.run_id,
        run_dir=str(run_dir.path),
        scenario=plan.scenario,
        title=plan.title,
        why=plan.why,
        file=plan.file,
        variant=dict(plan.variant),
        seed=plan.seed,
        digest=plan.digest,
        broker=plan.broker,
        versions=dict(record.versions),
        runtime=record.runtime,
        verdict=Verdict.INCONCLUSIVE,
        must_fail=plan.must_fail,
        outcome=Verdict.INCONCLUSIVE,
        exit_code=int(ExitCode.INCONCLUSIVE),
        headline="",
        usage=record.usage,
        attempts=None
        if plan.attempts is None
        else AttemptCount(runs=plan.attempts.runs, at_least=plan.attempts.at_least),
        isolated=record.isolated,
        reproduce=reproduce,
        started_wall=record.started_wall,
        harness=__version__,
        error=record.error,
    )


def _without_history(base: RunResult, record: RunRecord, trouble: HarnessError | None) -> RunResult:
    """Return the result of a run of which nothing can be judged: it broke off early, or its files are not whole."""
    outer = isinstance(trouble, DamagedError | UnfitEnvironmentError)
    error = record.error if record.error and not outer else "" if trouble is None else trouble.message
    code = record.exit_code or int(trouble.exit_code if outer and trouble is not None else ExitCode.INTERNAL)
    headline = "inconclusive: " + error.splitlines()[0]
    return dataclasses.replace(
        base,
        error=error,
        exit_code=code,
        headline=headline,
        timings_ns=dict(record.timings_ns),
        blocking=(error,),
        weaknesses=(error,),
    )


def _fault(planned: PlannedFault, history: History, zero_ns: int) -> FaultResult:
    """Return what became of one planned fault."""
    mine = [event for event in history.of_kind(FaultEvent) if event.fault == planned.id]
    times: dict[str, int] = {}
    for event in mine:
        times.setdefault(event.action, event.t)
    apply = next((event for event in mine if event.action == "apply"), None)
    at_ns, waited = planned.at_ns, "" if planned.when is None else f", {in_words(planned.when, deadline=False)}"
    if apply is not None and planned.when is not None:
        at_ns = apply.planned_ns - zero_ns  # known only since its state was seen
    targets = apply.targets if apply is not None else planned.targets
    items = tuple(_evidence(event) for event in history.of_kind(EvidenceEvent) if event.fault == planned.id)
    failed = tuple(
        EvidenceItem(
            stage="healing" if "heal" in times else "effect",
            target=", ".join(targets),
            probe="the act itself",
            proven=False,
            observed=event.detail,
            required="succeeds",
        )
        for event in mine
        if event.action == "failed"
    )
    every = items + failed
    stages = {item.stage for item in items}
    kind = FAULTS.get(planned.kind)
    # A fault that ends by itself is over once it is applied: it acts from its beginning.
    began = "apply" if kind.spec.ends_itself else "applied"
    return FaultResult(
        id=planned.id,
        kind=planned.kind,
        description=f"{planned.kind} {kind.describe(planned.options)}{waited}",
        targets=targets,
        planned_at_ns=at_ns,
        planned_until_ns=at_ns + planned.until_ns - planned.at_ns,
        applied_at_ns=times[began] - zero_ns if began in times and "applied" in times else None,
        healed_at_ns=times["healed"] - zero_ns if "healed" in times else None,
        lateness_ns=apply.t - apply.planned_ns if apply is not None else None,
        evidence=every,
        proven="healed" in times and stages == {"effect", "healing"} and all(item.proven for item in every),
    )


def _evidence(event: EvidenceEvent) -> EvidenceItem:
    return EvidenceItem(
        stage=event.stage,
        target=event.target,
        probe=event.probe,
        proven=event.proven,
        observed=event.observed,
        required=event.required,
        lacks="" if event.proven else event.lacks,
    )


def _outcome(plan: Plan, checks: Iterable[CheckResult], verdict: Verdict, *, blocked: bool) -> Verdict:
    """Return the verdict as the exit code says it: a canary passes when exactly its declared checks fail."""
    if not plan.must_fail:
        return verdict
    expected = [result for result in checks if result.expected]
    failed = {result.check for result in expected if result.verdict is Verdict.FAIL}
    if failed - set(plan.must_fail):
        return Verdict.FAIL
    doubtful = blocked or any(result.verdict is Verdict.INCONCLUSIVE for result in expected)
    if doubtful:
        return Verdict.INCONCLUSIVE
    return Verdict.PASS if failed == set(plan.must_fail) else Verdict.FAIL


def _exit_code(outcome: Verdict, verdict: Verdict, record: RunRecord, *, canary: bool) -> ExitCode:
    if outcome is Verdict.FAIL or (record.error and verdict is Verdict.FAIL and not canary):
        return ExitCode.VIOLATED
    if record.error:
        return ExitCode(record.exit_code or ExitCode.INTERNAL)
    return ExitCode.PASS if outcome is Verdict.PASS else ExitCode.INCONCLUSIVE


def _headline(
    plan: Plan,
    checks: Iterable[CheckResult],
    verdict: Verdict,
    outcome: Verdict,
    blocking: tuple[str, ...],
    record: RunRecord,
) -> str:
    """Return one sentence that says the verdict first."""
    expected = [result for result in checks if result.expected]
    failed = [result for result in expected if result.verdict is Verdict.FAIL]
    told = "; ".join(
        f"{result.check}: {result.findings[0].message}" if result.findings else result.check for result in failed
    )
    if record.error and not failed:
        return f"{verdict}: {record.error.splitlines()[0]}"
    if plan.must_fail and outcome is Verdict.PASS:
        return f"failed as expected: {told}"
    if plan.must_fail and not failed and verdict is Verdict.PASS:
        return f"expected {', '.join(plan.must_fail)} to fail, but it passed"
    if failed:
        return f"fail: {told}"
    if verdict is Verdict.INCONCLUSIVE:
        doubtful = [
            f"{result.check}: {result.reasons[0]}"
            for result in expected
            if result.verdict is Verdict.INCONCLUSIVE and result.reasons
        ]
        return "inconclusive: " + "; ".join([*blocking, *doubtful][:2])
    examined = "; ".join(f"{result.check} over {result.examined:,} {result.examined_unit}" for result in expected)
    holds = "the expectation holds" if len(expected) == 1 else f"all {len(expected)} expectations hold"
    return f"pass: {holds}: {examined}"


def _counts(plan: Plan, history: History) -> Mapping[str, int]:
    index = history.index
    sends, deliveries = index.sends, index.deliveries
    counts: dict[str, Any] = {
        "planned": planned_sends(plan),
        "sent": sends.t.size,
        "acknowledged": np.count_nonzero(sends.outcome == Outcome.OK),
        "failed": np.count_nonzero(sends.outcome == Outcome.FAIL),
        "unknown": np.count_nonzero(sends.outcome == Outcome.UNKNOWN),
        "delivered": deliveries.t.size,
        "redelivered": np.count_nonzero(deliveries.redelivered),
        "processed": np.count_nonzero(deliveries.t_processed >= 0),
        "stored": index.stored.offset.size,
        "records": sum(view.records.size for view in history.journals),
        "events": len(history.events),
    }
    unseen = {"delivered", "redelivered", "processed"} if history.facts.by_positions else set()
    return {name: int(count) for name, count in counts.items() if name not in unseen}

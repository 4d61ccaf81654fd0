"""What of the machine explains that a run is inconclusive, as the judge says it of a history."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.history_builder import HistoryBuilder
from support.in_memory import memory_plan

from harness.checks.base import Measure, ResultBuilder
from harness.checks.loss import LossLimits
from harness.checks.stall import StallLimits
from harness.engine.engine import RunRecord
from harness.history.read import History
from harness.judging.weaknesses import blocking_reasons, machine_trouble, planned_sends, weakening_reasons
from harness.result import EvidenceItem, FaultResult, Lack
from harness.verdict import Verdict

S = 1_000_000_000
PLAN = memory_plan().plan
"""100 messages a second, 300 ms of warm-up and 1,200 ms of timeline: 150 are due."""


def item(stage: str, *, proven: bool, lacks: Lack = "") -> EvidenceItem:
    """Return what one probe saw."""
    return EvidenceItem(
        stage=stage, target="n1", probe="round trip", proven=proven, observed="a", required="b", lacks=lacks
    )


def fault(*evidence: EvidenceItem, healed: bool = True) -> FaultResult:
    """Return an unproven fault with that evidence."""
    return FaultResult(
        id="f",
        kind="latency",
        description="",
        targets=("n1",),
        planned_at_ns=0,
        planned_until_ns=1,
        applied_at_ns=0,
        healed_at_ns=1 if healed else None,
        lateness_ns=0,
        evidence=evidence,
        proven=False,
    )


def history(*lines: str, sent: int = 150, outcome: str = "ok") -> History:
    """Return a history of warm-up (0 to 300 ms), timeline (to 1,500 ms) and drain."""
    sends = [
        (f"p0.1 {10 * number} send 0/{number} p0", f"p0.1 {10 * number + 1} {outcome} 0/{number}")
        for number in range(sent)
    ]
    builder = HistoryBuilder().lines(
        [
            "- 0 phase phase=warmup",
            "- 300 phase phase=faults",
            "- 1500 phase phase=drain",
            "- 1600 phase phase=audit",
            "- 1700 phase phase=end",
            *(line for pair in sends for line in pair),
            *lines,
        ]
    )
    return builder.history()


def causes(of: History, *faults: FaultResult, record: RunRecord | None = None) -> dict[str, str]:
    """Return sentence → cause, but for what such a small history always lacks."""
    record = record or RunRecord(run_id="r", runtime="process", drain="")
    found = blocking_reasons(PLAN, of, record, faults, machine_trouble(PLAN, of))
    always = ("no proof that all", "the monitor recorded")
    return {reason.sentence: reason.cause for reason in found if not reason.sentence.startswith(always)}


@pytest.mark.parametrize(
    ("evidence", "cause"),
    [
        ([item("effect", proven=False, lacks="round trips"), item("healing", proven=True)], "too few round trips"),
        ([item("effect", proven=True), item("healing", proven=False, lacks="round trips")], "too few round trips"),
        ([item("effect", proven=False, lacks="periods"), item("healing", proven=True)], "no periods"),
        (
            [item("effect", proven=False, lacks="periods"), item("healing", proven=False, lacks="round trips")],
            "too few round trips",
        ),
        ([item("effect", proven=False), item("healing", proven=True)], ""),
        ([item("effect", proven=False), item("healing", proven=False, lacks="round trips")], ""),
        ([item("effect", proven=False, lacks="round trips")], ""),  # nothing is known of its healing
        ([item("effect", proven=True), item("healing", proven=True)], ""),  # it is unproven for another reason
        ([], ""),
    ],
)
def test_an_unproven_fault_has_a_cause_when_all_that_is_unproven_lacks_something(
    evidence: list[EvidenceItem], cause: str
) -> None:
    assert list(causes(history(), fault(*evidence)).values()) == [cause]


def test_a_fault_that_was_not_healed_has_none() -> None:
    evidence = item("effect", proven=False, lacks="round trips"), item("healing", proven=False, lacks="round trips")
    assert list(causes(history(), fault(*evidence, healed=False)).values()) == [""]


def test_dead_workers_an_unproven_drain_and_errors_have_no_cause() -> None:
    record = RunRecord(run_id="r", runtime="process", problems=["worker c0 died"], drain="2 undelivered")
    assert causes(history(), record=record) == {"worker c0 died": "", "drain incomplete: 2 undelivered": ""}
    broken = replace(record, problems=[], drain="", error="interrupted")
    assert causes(history(), record=broken) == {"the run did not complete: interrupted": ""}


IDLE = "producers sent only 30 of 150 messages due (at least 25% needed)"


@pytest.mark.parametrize(
    ("late_ms", "cause"),
    [
        ([], ""),
        ([100, 180], ""),  # of 1.2 s without a message the machine stalled for 280 ms
        ([100, 200], "late ticks"),
    ],
)
def test_that_producers_sent_too_little_is_the_machines_doing_when_it_stalled_for_a_good_part(
    late_ms: list[int], cause: str
) -> None:
    ticks = [f"monitor.1 {600 + 300 * number} tick {100 + late}" for number, late in enumerate(late_ms)]
    assert causes(history(*ticks, sent=30)) == {IDLE: cause}


def test_stalls_before_the_workload_do_not_explain_what_was_not_sent_in_it() -> None:
    early = history("monitor.1 0 tick 2000", sent=30)
    assert machine_trouble(PLAN, early).late_ns == 1_900_000_000
    assert machine_trouble(PLAN, early).workload_late_ns == 0
    assert causes(early) == {IDLE: ""}


def test_the_machines_trouble_is_counted() -> None:
    seen = machine_trouble(PLAN, history("monitor.1 600 tick 400", "- 1650 machine short_ns=96 of_ns=100", sent=60))
    assert (seen.late_ticks, seen.late_ns, seen.cpu_short) == (1, 300_000_000, 0.96)
    assert seen.unsent_ns == 900_000_000
    assert seen.starved_producers
    whole = machine_trouble(PLAN, history("monitor.1 600 tick 400"))
    assert (whole.unsent_ns, whole.starved_producers, whole.cpu_short) == (0, False, -1.0)


@pytest.mark.parametrize(
    ("measure", "blocking", "examined", "doubt"),
    [
        (Measure(1 * S, 3 * S, late_ticks=True), [], 100, "late ticks"),
        (Measure(1 * S, 3 * S), [], 100, ""),
        (Measure(1 * S, 3 * S, late_ticks=True), ["baseline not met"], 100, ""),
        (Measure(1 * S, 3 * S, late_ticks=True), [], 9, "few examined"),
        (Measure(1 * S, 1 * S), [], 9, "few examined"),
        (Measure(1 * S, 3 * S), [], 9, ""),
        (Measure(1 * S, 1 * S), ["baseline not met"], 9, ""),
        (Measure(1 * S, 1 * S), [], 0, ""),
        (Measure(1 * S, 1 * S, late_ticks=True), [], 100, ""),  # it passes
        (Measure(3 * S, 4 * S, late_ticks=True), [], 9, ""),  # it fails
    ],
)
def test_a_check_says_when_one_kind_of_reason_makes_it_inconclusive(
    measure: Measure, blocking: list[str], examined: int, doubt: str
) -> None:
    builder = ResultBuilder(examined, "deliveries", measured={"pause_ns_max": measure}, blocking=blocking)
    result = builder.conclude("stall", StallLimits(pause_ns_max=2 * S, examined_min=10))
    assert result.doubt == doubt
    assert result.verdict is Verdict.INCONCLUSIVE or not doubt


def test_a_limit_without_a_measure_has_no_doubt() -> None:
    builder = ResultBuilder(100, "acknowledged sends")
    result = builder.conclude("loss", LossLimits(messages_max=0))
    assert (result.verdict, result.doubt) == (Verdict.INCONCLUSIVE, "")


@pytest.mark.parametrize("outcome", ["unknown", "fail"])
def test_sends_that_nobody_accepts_make_a_run_idle_unless_acceptance_fails(outcome: str) -> None:
    idle = history(outcome=outcome)
    said = "only 0 of 150 messages due were acknowledged (at least 25% needed)"
    assert causes(idle) == {said: ""}
    record = RunRecord(run_id="r", runtime="process", drain="")
    found = blocking_reasons(PLAN, idle, record, (), machine_trouble(PLAN, idle), refused=True)
    assert said not in [reason.sentence for reason in found]


def test_sends_without_answers_and_transactions_aborted_on_purpose_are_no_idleness() -> None:
    silent = history(outcome="unknown")
    silent.facts = replace(silent.facts, sends_acknowledged=False)
    aborted = history(outcome="fail")
    aborted.facts = replace(aborted.facts, aborts_on_purpose=True)
    assert causes(silent) == causes(aborted) == {}


def test_a_schedule_that_was_not_reached_is_reported_with_what_was_planned_sent_and_accepted() -> None:
    assert planned_sends(PLAN) == 150
    short = history(sent=100)
    said = list(weakening_reasons(PLAN, short, (), machine_trouble(PLAN, short)))
    assert said == [
        "the load was not reached: the producers sent 100 of 150 planned messages (66.7%), and 100 were accepted"
    ]
    refused = history(sent=100, outcome="fail")
    assert next(iter(weakening_reasons(PLAN, refused, (), machine_trouble(PLAN, refused)))).endswith(
        "and 0 were accepted"
    )
    for sent in (149, 150):
        reached = history(sent=sent)
        assert list(weakening_reasons(PLAN, reached, (), machine_trouble(PLAN, reached))) == []

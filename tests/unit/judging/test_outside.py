"""What reached into a run from outside, and what it explains; the histories and the results are made up."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from support.history_builder import MS, HistoryBuilder

from harness.judging.outside import Outside, outside, weakened
from harness.verdict import CheckResult, Finding, Limit, Verdict

PHASES = [
    "- 0 phase phase=warmup",
    "- 1000 phase phase=faults",
    "- 20000 phase phase=drain",
    "- 30000 phase phase=audit",
]


def probes(target: str, *, bad: Iterable[int] = (), how: str = "fail", good: bool = True) -> list[str]:
    """Return a round trip each 200 ms up to 20 s; those that begin at a time in ``bad`` fail."""
    bad = set(bad)
    return [
        f"monitor.1 {t + 5} probe {target} {how if t in bad else 'ok'} 5"
        for t in range(200, 20_000, 200)
        if good or t in bad
    ]


def seen(*lines: str) -> tuple[Outside, ...]:
    return outside(HistoryBuilder().lines([*PHASES, *lines]).history())


def standstill(part: str, how: str, since_ms: int, until_ms: int, *, lasting: bool = False) -> str:
    return (
        f"- {until_ms} standstill part={part} how={how} since_ns={since_ms * MS} until_ns={until_ms * MS} "
        f"lasting={'true' if lasting else 'false'}"
    )


def test_nothing_reaches_into_an_ordinary_run() -> None:
    assert seen(*probes("clients->n1"), *probes("n1")) == ()


@pytest.mark.parametrize(
    ("part", "how", "words"),
    [
        ("c0", "stopped", ("c0 was stopped from outside", "from 4s to 6s")),
        ("n1", "frozen", ("n1 was frozen", "2s")),
        ("harness", "stopped", ("the harness itself was stopped",)),
        ("toxiproxy", "starved", ("toxiproxy was starved",)),
        ("gateway-clients", "silent", ("gateway-clients hung",)),
    ],
)
def test_a_standstill_is_told_by_name_and_with_times(part: str, how: str, words: tuple[str, ...]) -> None:
    (found,) = seen(standstill(part, how, 5_000, 7_000))
    assert all(word in found.sentence for word in words), found.sentence


def test_what_lasts_to_the_end_and_what_was_killed_say_so() -> None:
    (found,) = seen(standstill("monitor", "stopped", 5_000, 29_000, lasting=True))
    assert "to the end" in found.sentence
    (found,) = seen(standstill("n1", "killed", 5_000, 5_000, lasting=True))
    assert "killed from outside (SIGKILL) at 4s" in found.sentence


def test_one_of_which_only_the_beginning_is_known_lasted_to_the_end_and_the_last_word_counts() -> None:
    begun = standstill("harness", "stopped", 5_000, 5_000, lasting=True)
    (found,) = seen(begun, "monitor.1 25000 tick 100")
    assert "from 4s to the end (25s)" in found.sentence
    (found,) = seen(begun, standstill("harness", "stopped", 5_000, 7_000))
    assert "from 4s to 6s (2s)" in found.sentence


def test_a_harness_that_is_stopped_in_the_audit_does_not_matter() -> None:
    assert seen(standstill("harness", "stopped", 30_500, 40_000, lasting=True)) == ()
    assert len(seen(standstill("harness", "stopped", 29_500, 40_000))) == 1
    assert len(seen(standstill("n1", "stopped", 30_500, 40_000))) == 1


def test_what_was_over_before_the_warm_up_does_not_matter() -> None:
    lines = ["- 0 phase phase=up", "- 9000 phase phase=warmup", "- 10000 phase phase=faults"]
    history = HistoryBuilder().lines([*lines, standstill("n1", "stopped", 1_000, 3_000)]).history()
    assert outside(history) == ()


def test_a_worker_of_ours_that_hangs_or_dies_is_told() -> None:
    (hung,) = seen("- 9000 worker worker=c0 incarnation=1 state=silent exit=null planned=false")
    assert "c0 hung" in hung.sentence
    (died,) = seen("- 9000 worker worker=c0 incarnation=1 state=died exit=-9 planned=false")
    assert "c0 died at 8s" in died.sentence
    (stopped,) = seen(
        standstill("c0", "stopped", 3_000, 12_000),
        "- 9000 worker worker=c0 incarnation=1 state=silent exit=null planned=false",
    )
    assert "was stopped" in stopped.sentence


def test_an_outage_of_a_link_that_no_fault_planned_is_told() -> None:
    (found,) = seen(*probes("clients->n1", bad=range(5_000, 7_000, 200)), *probes("n1"))
    assert "clients->n1 was out" in found.sentence
    assert found.start_ns < 5_500 * MS < found.end_ns


def test_silence_of_a_link_counts_once_it_is_longer_than_a_probe_waits_three_times() -> None:
    short = probes("clients->n1", bad=range(5_000, 7_000, 200), how="silent")
    assert seen(*short, *probes("n1")) == ()
    long = probes("clients->n1", bad=range(5_000, 9_000, 200), how="silent")
    assert len(seen(*long, *probes("n1"))) == 1


def test_a_broker_that_does_not_answer_by_itself_is_no_outage_of_a_link() -> None:
    bad = range(5_000, 9_000, 200)
    assert seen(*probes("clients->n1", bad=bad), *probes("n1", bad=bad)) == ()


def test_an_outage_that_a_fault_planned_or_has_left_is_none() -> None:
    fault = [
        '- 4900 fault fault=d fault_kind=disconnect action=apply targets=["clients->n1"] nodes=["n1"]',
        '- 5900 fault fault=d fault_kind=disconnect action=healed targets=["clients->n1"] nodes=["n1"]',
    ]
    assert seen(*fault, *probes("clients->n1", bad=range(5_000, 7_000, 200)), *probes("n1")) == ()
    later = probes("clients->n1", bad=range(15_000, 17_000, 200))
    assert len(seen(*fault, *later, *probes("n1"))) == 1


def test_a_fault_acts_on_what_its_evidence_names_besides_its_targets() -> None:
    fault = [
        '- 4900 fault fault=p fault_kind=partition action=apply targets=["n2"] nodes=["n2"]',
        "- 5100 evidence fault=p stage=effect target=clients->n1 probe=p proven=true observed=o required=r",
        '- 8900 fault fault=p fault_kind=partition action=healed targets=["n2"] nodes=["n2"]',
    ]
    out = probes("clients->n1", bad=range(5_000, 9_000, 200), how="silent")
    assert seen(*fault, *out, *probes("n1")) == ()
    assert len(seen(*(line for line in fault if "evidence" not in line), *out, *probes("n1"))) == 1


def test_an_outage_that_the_machine_itself_made_is_none() -> None:
    stalled = ["monitor.1 7000 tick 2000"]
    assert seen(*stalled, *probes("clients->n1", bad=range(5_000, 7_000, 200)), *probes("n1")) == ()


def test_proxies_that_differ_are_told_and_those_that_do_not_are_not() -> None:
    (found,) = seen("- 20000 proof proof=proxies proven=false detail=relay")
    assert found.sentence == "relay"
    assert seen("- 20000 proof proof=proxies proven=true detail=same") == ()


def failed(check: str, *findings: Finding) -> CheckResult:
    limit = Limit(metric="pause_max", limit=1, measured=2, unit="ns", verdict=Verdict.FAIL)
    return CheckResult(
        check=check, verdict=Verdict.FAIL, examined=1, examined_unit="slices", limits=(limit,), findings=findings
    )


def at(start_s: float, end_s: float) -> Finding:
    return Finding(type="pause", message="", start_ns=round(start_s * 1000) * MS, end_ns=round(end_s * 1000) * MS)


@pytest.mark.parametrize(
    ("check", "findings", "expected"),
    [
        ("stall", [at(5, 8)], Verdict.INCONCLUSIVE),
        ("stall", [at(8, 9)], Verdict.INCONCLUSIVE),  # what follows from it
        ("stall", [at(1, 2)], Verdict.FAIL),  # proven before
        ("stall", [at(60, 70)], Verdict.FAIL),  # long after
        ("stall", [at(1, 2), at(5, 8)], Verdict.FAIL),
        ("throughput", [], Verdict.INCONCLUSIVE),  # it does not say when
        ("loss", [at(5, 8)], Verdict.FAIL),
        ("log", [at(5, 8)], Verdict.FAIL),
    ],
)
def test_a_failure_is_inconclusive_where_it_may_come_from_outside(
    check: str, findings: list[Finding], expected: Verdict
) -> None:
    history = HistoryBuilder().lines([*PHASES, standstill("c0", "stopped", 5_000, 7_000)]).history()
    (result,) = weakened([failed(check, *findings)], history, outside(history))
    assert result.verdict is expected
    assert Verdict.worst(limit.verdict for limit in result.limits) is expected
    assert any("c0 was stopped" in reason for reason in result.reasons) is (expected is Verdict.INCONCLUSIVE)


def test_what_passed_stays_as_it_is() -> None:
    history = HistoryBuilder().lines([*PHASES, standstill("c0", "stopped", 5_000, 7_000)]).history()
    passed = CheckResult(check="stall", verdict=Verdict.PASS, examined=1, examined_unit="slices")
    assert weakened([passed], history, outside(history)) == (passed,)

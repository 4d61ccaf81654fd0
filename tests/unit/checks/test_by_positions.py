"""Judging by the broker's word on positions and members alone: what it proves, and what it does not."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.analysis import advances
from harness.checks.analysis.group import absences
from harness.checks.base import CHECKS, by_positions
from harness.checks.duplicates import DuplicatesLimits
from harness.checks.judge import judge_all
from harness.checks.levels import unjudged_checks
from harness.checks.loss import LossLimits
from harness.checks.ownership import OwnershipLimits
from harness.checks.recovery import RecoveryLimits
from harness.checks.stall import NAMELESS, OWNERLESS, StallLimits
from harness.checks.throughput import ThroughputLimits, _passed
from harness.history.read import History
from harness.units import Off
from harness.verdict import CheckResult, Verdict

GROUP = {"session_timeout_ns": 2000 * MS}
S = 1000


def builder(**changes: Any) -> HistoryBuilder:
    """Return a history without a record: one partition, two consumers, 20 s from the first fault to the drain's end."""
    given = {"shows": "commits", "settling": {"positions": True}, "group": GROUP, "planned_end_ns": 20_000 * MS}
    made = HistoryBuilder(facts(**given | changes))
    for consumer in ("c0.1", "c1.1"):
        made.lines([f"{consumer} 0 poll 0 0"])
        made.pages[consumer].records.clear()
    return made.lines(["- 0 phase phase=warmup", f"- {2 * S} phase phase=faults", f"- {12 * S} phase phase=drain"])


def sends(made: HistoryBuilder, times: Iterable[float], partition: int = 0) -> HistoryBuilder:
    """Add a message at each of these times, acknowledged 2 ms later, one offset after the other."""
    for offset, t in enumerate(times):
        made.lines(
            [f"p0.1 {t} send {partition}/{offset} p{partition}", f"p0.1 {t + 2} ok {partition}/{offset} @{offset}"]
        )
    return made


def answers(made: HistoryBuilder, told: Iterable[tuple[float, float, Mapping[int, int]]]) -> HistoryBuilder:
    """Add answers: (asked, answered, positions)."""
    for asked, t, committed in told:
        positions = {str(partition): position for partition, position in committed.items()}
        made.event(t, "positions", asked_ns=round(asked * MS), committed=positions)
    return made


def members(
    made: HistoryBuilder, t: float, owners: Mapping[str, Sequence[int]], state: str = "stable"
) -> HistoryBuilder:
    """Add an answer about the group; a member's id follows its client id: ``c0`` or ``rdkafka#1``."""
    listed = [
        {"worker": name.partition("#")[0], "member": f"{name}-id", "partitions": list(partitions)}
        for name, partitions in owners.items()
    ]
    return made.event(t, "group", state=state, members=listed, coordinator="n1")


def ended(made: HistoryBuilder) -> History:
    return made.lines([f"- {16 * S} phase phase=audit", f"- {17 * S} phase phase=end"]).history()


def healthy(stop: float = 16 * S, **changes: Any) -> HistoryBuilder:
    """Return a run in which a message is sent every 100 ms, and its position committed 50 ms later, until ``stop``."""
    made = builder(**changes)
    times = [100.0 * each for each in range(1, 120)]
    sends(made, times)
    members(made, 50, {"c0": [0], "c1": []})
    polls = [100.0 * each for each in range(1, 165)]
    answers(made, [(t, t + 5, {0: sum(1 for sent in times if sent + 50 <= min(t, stop))}) for t in polls])
    return made


def judged(history: History, **limits: Any) -> Mapping[str, CheckResult]:
    return {result.check: result for result in judge_all(history, limits)}


def test_a_group_that_keeps_up_passes_and_its_messages_are_counted() -> None:
    found = judged(
        ended(healthy()),
        stall=StallLimits(pause_ns_max=500 * MS),
        throughput=ThroughputLimits(processed_per_s_min=5.0),
        ownership=OwnershipLimits(unowned_ns_max=500 * MS),
    )
    assert {name: found[name].verdict for name in ("stall", "throughput", "ownership")} == dict.fromkeys(
        ("stall", "throughput", "ownership"), Verdict.PASS
    )
    assert (found["stall"].examined, found["stall"].examined_unit) == (119, "messages that positions passed")


def test_a_position_that_stands_still_is_a_stall_with_bounds() -> None:
    (pause,) = judged(ended(healthy(stop=6 * S)), stall=StallLimits(pause_ns_max=3 * S * MS))["stall"].findings[:1]
    assert pause.type == "pause"
    assert "the group's position did not move" in pause.message
    # The last advance was seen at 6.005 s, the oldest message behind it came at 5.902 s, and the drain ended at 16 s.
    assert pause.amount == (16 * S - 6_005) * MS


def test_a_group_that_never_commits_fails() -> None:
    found = judged(ended(healthy(stop=0)), stall=StallLimits(pause_ns_max=3 * S * MS), throughput=ThroughputLimits())
    assert found["stall"].verdict is Verdict.FAIL
    assert found["stall"].examined == 0
    assert found["throughput"].measures["processed_per_s"] == 0


def test_where_the_broker_says_nothing_of_positions_nothing_is_proven() -> None:
    made = builder()
    sends(made, [100.0 * each for each in range(1, 120)])
    members(made, 50, {"c0": [0], "c1": []})
    found = judged(
        ended(made),
        stall=StallLimits(pause_ns_max=3 * S * MS),
        ownership=OwnershipLimits(),
        throughput=ThroughputLimits(processed_per_s_min=5.0),
    )
    assert found["stall"].verdict is Verdict.INCONCLUSIVE
    assert found["ownership"].verdict is Verdict.INCONCLUSIVE
    assert any("never answered" in reason for reason in found["ownership"].reasons)


@pytest.mark.parametrize("missing", ["middle", "end"])
def test_answers_that_are_missing_make_a_pass_inconclusive_and_no_failure(missing: str) -> None:
    made = healthy()
    low, high = (5 * S, 10 * S) if missing == "middle" else (9 * S, 20 * S)
    made.events = [event for event in made.events if event.kind != "positions" or not low * MS < event.t < high * MS]
    result = judged(ended(made), stall=StallLimits(pause_ns_max=2 * S * MS))["stall"]
    assert result.verdict is Verdict.INCONCLUSIVE
    assert any("are proven by the broker's answers" in reason for reason in result.reasons)
    assert result.findings == ()


def test_the_longest_pause_lies_between_what_is_proven_and_what_is_possible() -> None:
    """Draw when a group really commits and when the broker is asked, and compare."""
    for seed in range(150):
        draw = random.Random(seed)
        made = builder()
        times = sorted(draw.uniform(100, 11_000) for _ in range(draw.randint(1, 30)))
        sends(made, times)
        commits: list[tuple[float, int]] = []
        t, position = 0.0, 0
        while t < 15_500 and draw.random() < 0.97:
            t += draw.choice([10, 80, 300, 2500]) * draw.random()
            read = sum(1 for sent in times if sent + 2 <= t)
            position = max(position, draw.randint(position, read))
            commits.append((t, position))
        asked = draw.uniform(0, 300)
        told = []
        while asked < 17_000:
            answered = asked + draw.choice([1, 20, 700]) * draw.random()
            at = draw.uniform(asked, answered)
            told.append((asked, answered, {0: max([place for when, place in commits if when <= at], default=-1)}))
            asked = answered + draw.choice([50, 100, 3000]) * draw.random()
        answers(made, told)
        history = ended(made)
        result = judged(history, stall=StallLimits(pause_ns_max=1))["stall"]
        proven = next(limit for limit in result.limits if limit.metric == "pause_max")
        true = longest_pause([sent + 2 for sent in times], commits, 16_000)
        least, most = bounds(result)
        assert least <= true * MS + 1, f"seed {seed}: {proven} {true}"
        assert true * MS <= most + 1, f"seed {seed}: {proven} {true}"
        passed = sum(
            2_000 <= next((t for t, place in commits if place > offset), -1) < 12_000 for offset in range(len(times))
        )
        known = advances.owed(history, advances.advances(history))
        assert _passed(known, 2_000 * MS, 12_000 * MS)[0] <= passed <= _passed(known, 2_000 * MS, 12_000 * MS)[1]


def bounds(result: CheckResult) -> tuple[float, float]:
    """Return the longest pause that is proven, and the longest that is possible."""
    return result.measures["pause_ns"], result.measures["longest_ns"]


def longest_pause(waits: Sequence[float], commits: Sequence[tuple[float, int]], end: float) -> float:
    """Return for how long a position stood still while a message waited behind it, in ms."""
    longest, position, since = 0.0, 0, 0.0
    steps = [(t, place) for t, place in commits if t < end]
    for t, place in [*steps, (end, len(waits))]:
        if place > position or t == end:
            if position < len(waits):
                longest = max(longest, t - max(since, waits[position]))
            position, since = max(place, position), t
    return longest


def test_a_message_that_the_log_no_longer_holds_is_not_waited_for() -> None:
    made = healthy()
    made.lines([f"p0.1 {11_950} send 0/500 p0", f"p0.1 {11_952} ok 0/500 @300"])
    made.event(16 * S + 10, "authority", partition=0, last_offset=118, first_offset=0, audit="complete", detail="")
    found = judged(ended(made), stall=StallLimits(pause_ns_max=500 * MS))
    assert found["stall"].verdict is Verdict.PASS


def test_a_position_that_passes_messages_before_they_are_sent_was_committed_without_reading() -> None:
    made = healthy(stop=6 * S)
    answers(made, [(6_500, 6_505, {0: 1_000_000})])
    found = judged(ended(made), ownership=OwnershipLimits(), stall=StallLimits(pause_ns_max=3 * S * MS))
    assert found["stall"].verdict is Verdict.PASS, "no message waits any more: another check sees why"
    assert {each.type for each in found["ownership"].findings} == {"skip", "commit-regression"}
    (finding,) = [each for each in found["ownership"].findings if each.type == "skip"]
    assert (finding.type, finding.metric, finding.amount) == ("skip", "skips_max", 54)
    assert "before they were sent" in finding.message
    assert found["ownership"].verdict is Verdict.FAIL


@pytest.mark.parametrize(("back", "words"), [(20, "from 58 to 20"), (-1, "from 58 to none at all")])
def test_a_position_that_goes_back_is_a_regression(back: int, words: str) -> None:
    made = healthy(stop=6 * S)
    answers(made, [(5_930, 5_950, {0: back})])
    result = judged(ended(made), ownership=OwnershipLimits())["ownership"]
    assert result.verdict is Verdict.FAIL
    (finding,) = result.findings
    assert (finding.type, finding.amount) == ("commit-regression", 1)
    assert words in finding.message


def test_recovery_and_throughput_rest_on_bounds_too() -> None:
    made = healthy(stop=6 * S)
    fault = {"fault": "f1", "fault_kind": "client_pause", "targets": ["c0"], "workers": ["c0"]}
    made.event(3 * S, "fault", **fault, action="apply").event(3 * S, "fault", **fault, action="applied")
    made.event(7 * S, "fault", **fault, action="heal").event(7 * S, "fault", **fault, action="healed")
    answers(made, [(9 * S, 9_100, {0: 59}), (9_200, 9_300, {0: 70})])
    made.events = [event for event in made.events if event.kind != "positions" or event.t < 9_400 * MS]

    def within(limit_ms: int) -> CheckResult:
        return judged(ended(made), recovery=RecoveryLimits(within_ns_max=limit_ms * MS))["recovery"]

    assert within(2_500).verdict is Verdict.PASS
    assert within(2_250).verdict is Verdict.INCONCLUSIVE, "it was passed between 9.0 s and 9.3 s"
    assert within(1_900).verdict is Verdict.FAIL
    assert within(1_900).findings[0].type == "slow-recovery"
    slow = judged(ended(made), throughput=ThroughputLimits(processed_per_s_min=9.0))["throughput"]
    assert slow.verdict is Verdict.FAIL
    assert slow.findings[0].type == "slow-processing"


def test_a_check_that_needs_single_messages_is_inconclusive_by_name_and_never_passes() -> None:
    history = ended(healthy())
    found = judged(history, loss=LossLimits(messages_max=0), duplicates=DuplicatesLimits(copies_max=0))
    for name in ("loss", "duplicates"):
        assert found[name].verdict is Verdict.INCONCLUSIVE
        assert found[name].expected
        assert found[name].reasons[0].startswith("not judged: the application shows commits alone")
    assert set(unjudged_checks(history.facts)) == {name for name, check in CHECKS.items() if not by_positions(check)}
    assert {result.check for result in found.values() if result.verdict is Verdict.PASS} <= {
        name for name, check in CHECKS.items() if by_positions(check)
    }


def test_a_limit_that_needs_single_messages_is_inconclusive_by_name() -> None:
    result = judged(ended(healthy()), ownership=OwnershipLimits(outside_max=0, unowned_ns_max=500 * MS))["ownership"]
    assert {
        limit.metric: limit.verdict for limit in result.limits if limit.metric in {"outside_max", "unowned_max"}
    } == {
        "outside_max": Verdict.INCONCLUSIVE,
        "unowned_max": Verdict.PASS,
    }
    assert result.verdict is Verdict.INCONCLUSIVE
    assert any("not judged" in reason and "outside_max" in reason for reason in result.reasons)
    off = judged(ended(healthy()), ownership=CHECKS.get("ownership").limits(outside_max=Off.of("outside_max")))[
        "ownership"
    ]
    assert off.verdict is Verdict.PASS


def test_causes_rest_on_the_broker_s_word_on_owners() -> None:
    made = healthy(stop=6 * S)
    made.event(6 * S, "worker", worker="c0", state="started", incarnation=1)
    made.event(6_100, "worker", worker="c0", state="killed", incarnation=1)
    result = judged(ended(made), stall=StallLimits(owner_ns_max=3 * S * MS))["stall"]
    (finding,) = [each for each in result.findings if each.type == "owner-pause"]
    assert finding.at_fault == ("c0",)


def test_without_names_causes_are_not_judged_and_pauses_are() -> None:
    def of(stop: float, **limits: Any) -> CheckResult:
        made = healthy(stop=stop)
        made.events = [event for event in made.events if event.kind != "group"]
        members(made, 50, {"rdkafka#1": [0], "rdkafka#2": []})
        return judged(ended(made), stall=StallLimits(**limits))["stall"]

    assert of(16 * S, pause_ns_max=500 * MS).verdict is Verdict.PASS
    assert NAMELESS in of(16 * S, pause_ns_max=500 * MS).reasons
    assert of(6 * S, pause_ns_max=3 * S * MS).verdict is Verdict.FAIL
    caused = of(16 * S, pause_ns_max=500 * MS, owner_ns_max=500 * MS)
    assert caused.verdict is Verdict.INCONCLUSIVE
    assert [limit.metric for limit in caused.limits if limit.verdict is Verdict.INCONCLUSIVE] == ["owner_max"]


def test_members_without_names_are_no_absent_workers() -> None:
    made = members(members(builder(), 50, {"rdkafka#1": [0]}), 500, {"rdkafka#1": [0]})
    assert absences(made.history()) == {}


def test_owners_are_those_that_the_broker_names_and_stay_while_partitions_are_dealt_out() -> None:
    made = builder(partitions=2)
    members(made, 100, {"c0": [0], "c1": [1]})
    members(made, 200, {"c0": [], "c1": []}, state="preparing_rebalance")
    members(made, 300, {"c1": []}, state="preparing_rebalance")
    members(made, 400, {"c1": [0, 1]})
    spans = [
        (item.partition, item.worker, item.start_ns // MS, item.end_ns // MS) for item in made.history().ownership_spans
    ]
    assert spans[:2] == [(0, "c0", 100, 300), (1, "c1", 100, 12_000)]
    assert spans[2][:3] == (0, "c1", 400)


def test_a_member_whose_process_is_dead_owns_nothing_though_the_broker_still_names_it() -> None:
    made = healthy(stop=6 * S)
    made.event(40, "worker", worker="c0", state="started", incarnation=1)
    made.event(6_100, "worker", worker="c0", state="killed", incarnation=1)
    members(made, 6_200, {"c0": [0], "c1": []})
    made.event(7 * S, "worker", worker="c0", state="started", incarnation=2)
    made.event(7_050, "worker", worker="c0", state="ready", incarnation=2)
    members(made, 7_100, {"c0": [], "c0#again": [], "c1": []}, state="preparing_rebalance")
    members(made, 11 * S, {"c0#again": [0], "c1": []})
    history = ended(made)
    spans = [(item.incarnation, item.start_ns // MS, item.end) for item in history.ownership_spans]
    assert spans == [(1, 50, "dead"), (2, 11 * S, "open")]
    result = judged(history, stall=StallLimits(collateral_ns_max=1 * S * MS, owner_ns_max=4 * S * MS))["stall"]
    assert {finding.type for finding in result.findings if finding.type != "pause"} == {"owner-pause"}, (
        "it waits for the dead member, and not for what is well"
    )


def test_a_partition_that_no_member_owns_is_found() -> None:
    made = healthy()
    members(made, 5 * S, {"c0": [], "c1": []})
    members(made, 9 * S, {"c0": [], "c1": [0]})
    result = judged(ended(made), ownership=OwnershipLimits(unowned_ns_max=3 * S * MS))["ownership"]
    assert [(finding.type, finding.amount) for finding in result.findings] == [("unowned", 4 * S * MS)]


def test_an_advance_lies_between_a_question_and_an_answer() -> None:
    made = answers(builder(), [(10, 15, {0: -1}), (20, 29, {0: 4}), (30, 31, {}), (40, 41, {0: 4}), (50, 55, {0: 9})])
    found = advances.advances(made.history())[0]
    assert [each // MS for each in found.after_ns.tolist()] == [10, 40]
    assert [each // MS for each in found.by_ns.tolist()] == [29, 55]
    assert (found.position.tolist(), found.asked_ns // MS) == ([4, 9], 50)


def test_without_a_group_positions_are_judged_and_owners_are_not() -> None:
    made = healthy(stop=6 * S, group=None)
    made.events = [event for event in made.events if event.kind != "group"]
    found = judged(ended(made), ownership=OwnershipLimits(), stall=StallLimits(pause_ns_max=3 * S * MS))
    assert found["stall"].verdict is Verdict.FAIL
    assert OWNERLESS in found["stall"].reasons
    assert found["ownership"].verdict is Verdict.PASS
    assert [limit.metric for limit in found["ownership"].limits] == ["regressions_max", "skips_max"]
    owned = healthy(stop=6 * S, group=None, fixed_owners={"0": "c1"})
    owned.event(6_100, "worker", worker="c1", state="killed", incarnation=1)
    stall = judged(ended(owned), stall=StallLimits(owner_ns_max=3 * S * MS))["stall"]
    assert [(finding.type, finding.at_fault) for finding in stall.findings] == [("owner-pause", ("c1",))]
    back = answers(healthy(group=None), [(5_930, 5_950, {0: 3})])
    assert judged(ended(back), ownership=OwnershipLimits())["ownership"].verdict is Verdict.FAIL
    wanted = judged(ended(made), ownership=OwnershipLimits(unowned_ns_max=3 * S * MS))["ownership"]
    assert wanted.verdict is Verdict.INCONCLUSIVE, "who owns a partition is not known"

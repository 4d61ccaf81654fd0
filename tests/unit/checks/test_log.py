"""The check ``log`` where the corpus does not reach: numbers of places, counts, caps and limits."""

from __future__ import annotations

import numpy as np
import pytest
from support.history_builder import HistoryBuilder, facts

from harness.checks.analysis.conflicts import find_conflicts
from harness.checks.analysis.log_order import _first_after
from harness.checks.base import FINDINGS_MAX
from harness.checks.log import LogCheck, LogLimits
from harness.history.read import History
from harness.verdict import Verdict

FAR = 10**13


def history(*lines: str, **changes: object) -> History:
    return HistoryBuilder(facts(**changes)).lines(lines).history()


def told(value: str, offset: int, at: int, partition: int = 0) -> tuple[str, str]:
    producer = f"p{value[0]}.1"
    return f"{producer} {at} send {value} p{partition}", f"{producer} {at + 1} ok {value} @{offset}"


@pytest.mark.parametrize("one_log", [False, True])
def test_offsets_that_lie_far_apart_are_places_all_the_same(*, one_log: bool) -> None:
    lines = (
        *told("0/0", 3, 10),
        *told("1/0", FAR, 20, 1),
        *told("2/0", FAR, 30, 1),
        *told("3/0", 3, 40, 1),
    )
    found = find_conflicts(history(*lines, partitions=2, one_log=one_log))
    places = set(zip(found.partition.tolist(), found.offset.tolist(), strict=True))
    assert places == ({(0, 3), (0, FAR)} if one_log else {(1, FAR)})
    assert found.places == len(places)


def test_a_message_too_many_at_a_place_counts_once() -> None:
    """Of three messages at one offset the log has the third: two vanished, and nothing is too many beside them."""
    lines = (*told("0/0", 5, 10), *told("1/0", 5, 20), *told("2/0", 5, 30), "audit.1 90 stored 2/0 p0 @5")
    audited = "- 91 authority partition=-1 exists=true audit=complete first_offset=0 last_offset=5"
    limit = LogCheck().judge(history(*lines, audited), LogLimits()).limits[0]
    assert (limit.metric, limit.measured) == ("messages_max", 2)
    limit = LogCheck().judge(history(*lines[:-1]), LogLimits()).limits[0]
    assert (limit.measured, limit.verdict) == (2, Verdict.FAIL), "one of three may lie there"


def test_what_is_gone_stands_first_and_is_never_cut_off() -> None:
    partitions = FINDINGS_MAX + 5
    lines = [line for p in range(partitions) for line in told(f"{p % 9}/{p // 9}", 1, 10 + p, p)]
    gone = "- 90 authority partition=-1 exists=false audit=complete first_offset=-1 last_offset=-1"
    found = LogCheck().judge(history(*lines, gone, partitions=partitions), LogLimits()).findings
    assert len(found) == FINDINGS_MAX
    assert [finding.type for finding in found[:2]] == ["gone", "vanished"]
    assert f"{partitions} acknowledged messages went with it" in found[0].message


@pytest.mark.parametrize(
    ("limits", "in_force"),
    [
        (LogLimits(), {"messages_max": 0, "gone_max": 0, "corrupted_max": 0, "diverged_max": 0}),
        (LogLimits(messages_max=4), {"messages_max": 4, "gone_max": 0, "corrupted_max": 0, "diverged_max": 0}),
        (LogLimits(gone_max=1), {"messages_max": 0, "gone_max": 1, "corrupted_max": 0, "diverged_max": 0}),
    ],
)
def test_a_limit_replaces_its_own_default_alone(limits: LogLimits, in_force: dict[str, int]) -> None:
    result = LogCheck().judge(history(*told("0/0", 1, 10)), limits)
    assert {limit.metric: limit.limit for limit in result.limits} == in_force


def test_fewer_than_a_scenario_asks_for_are_inconclusive() -> None:
    lines = (*told("0/0", 1, 10), "c0.1 20 got 0/0 p0 @1")
    assert LogCheck().judge(history(*lines), LogLimits(examined_min=2)).verdict is Verdict.PASS
    assert LogCheck().judge(history(*lines), LogLimits(examined_min=3)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("unit", [1, 10**17], ids=["nanoseconds", "years"])
def test_the_first_send_after_an_acknowledgement_is_found_over_any_span(unit: int) -> None:
    """Times so far apart that they cannot be numbered group by group are compared all the same."""
    rng = np.random.default_rng(unit % 97)
    number = np.sort(rng.integers(0, 9, 60))
    number = np.unique(number, return_inverse=True)[1]
    begun = np.concatenate([np.sort(rng.integers(0, 40, np.count_nonzero(number == n))) for n in range(9)]) * unit
    known = np.where(rng.random(60) < 0.2, -1, begun + rng.integers(0, 20, 60) * unit)
    ends = np.searchsorted(number, number, side="right")
    for at, after in enumerate(_first_after(number, begun, known).tolist()):
        if known[at] < 0:
            continue
        later = [i for i in range(60) if number[i] == number[at] and begun[i] > known[at]]
        assert after == (later[0] if later else ends[at])

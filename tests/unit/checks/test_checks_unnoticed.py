"""What once went unnoticed when the checks were changed, where no corpus file shows it (``survivors.yaml``)."""

from __future__ import annotations

import numpy as np
import pytest
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.analysis import group, operations
from harness.checks.duplicates import DuplicatesLimits
from harness.checks.judge import judge_all
from harness.checks.stall import StallLimits
from harness.history.read import RECORD_DTYPE, History, HistoryError, JournalView
from harness.history.record import SEQ_BITS, Outcome, RecordKind
from harness.verdict import Verdict

SECOND = 1_000
MEMBERS = 'members=[{"worker":"c0"},{"worker":"c1"}]'


def test_a_death_is_named_up_to_a_session_timeout_before_the_rebalance() -> None:
    lines = [
        f"- 1 group state=stable {MEMBERS}",
        f"- {10 * SECOND} worker worker=c1 incarnation=1 role=consumer state=killed",
        f"- {40 * SECOND} group state=preparing_rebalance",
    ]
    history = HistoryBuilder(facts(group={"session_timeout_ns": 45_000 * MS})).lines(lines).history()
    assert group.beginnings(history, (40_000 * MS, 41_000 * MS)) == [("c1", "death")]
    short = HistoryBuilder(facts(group={"session_timeout_ns": 6_000 * MS})).lines(lines).history()
    assert group.beginnings(short, (40_000 * MS, 41_000 * MS)) == []


def test_members_of_a_later_time_are_not_those_after_a_rebalance() -> None:
    lines = [
        f"- 1 group state=stable {MEMBERS}",
        f"- 4000 group state=preparing_rebalance {MEMBERS}",
        '- 6000 group state=stable members=[{"worker":"c0"}]',
        '- 60000 group state=stable members=[{"worker":"c0"},{"worker":"c1"},{"worker":"c2"}]',
    ]
    history = HistoryBuilder(facts(group={})).lines(lines).history()
    assert group.beginnings(history, (4_000 * MS, 6_000 * MS)) == [("c1", "expulsion")]


@pytest.mark.parametrize(
    ("seq", "name"),
    [
        (0, "key 3 seq 0"),
        (2, "key 3 seq 2"),
        (5, "key 3 seq 5"),
        ((1 << SEQ_BITS) + 6, "key 3 seq 6 of the producer's incarnation 2"),
    ],
)
def test_a_message_is_named_by_its_own_sequence(seq: int, name: str) -> None:
    assert operations.message_name(3, seq) == name


def test_each_copy_is_named_with_the_original_of_its_own_value() -> None:
    lines = []
    for n in range(3):
        lines += [f"p0.1 {10 + n} send 0/{n} p0", f"p0.1 {20 + n} ok 0/{n} @{n}", f"audit.1 90 stored 0/{n} p0 @{n}"]
    lines += [f"audit.1 90 stored 0/{n} p0 @{7 - n}" for n in range(3)]
    lines += ["c0.1 50 got 0/0 p0 @0"]
    history = HistoryBuilder().lines(sorted(lines, key=lambda line: float(line.split()[1]))).history()
    (finding,) = judge_all(history, {"duplicates": DuplicatesLimits()})[0].findings
    pairs = list(zip(finding.operations[::2], finding.operations[1::2], strict=True))
    assert len(pairs) == 3
    for original, copy in pairs:
        assert (original.key, original.seq) == (copy.key, copy.seq)
        assert (original.offset, copy.offset) == (original.seq, 7 - original.seq)


def test_of_very_many_pauses_the_longest_is_judged_wherever_it_is() -> None:
    """20,100 pauses of 150 ms are within the limit; one of 5 s, which comes last, is not."""
    count, step = 20_100, 300 * MS
    sent = np.arange(count) * step
    got = sent + 152 * MS
    got[-1] += 5_000 * MS
    producer, consumer = np.zeros(2 * count, RECORD_DTYPE), np.zeros(count, RECORD_DTYPE)
    for rows, kind, t in ((producer[::2], RecordKind.SEND, sent), (consumer, RecordKind.DELIVERED, got)):
        rows["kind"], rows["t"], rows["seq"], rows["offset"], rows["count"] = kind, t, np.arange(count), -1, 1
    answers = producer[1::2]
    answers["kind"], answers["t"], answers["outcome"], answers["count"] = RecordKind.SENT, sent + MS, Outcome.OK, 1
    answers["ref"], answers["offset"], answers["key"] = np.arange(count), np.arange(count), -1
    consumer["offset"] = np.arange(count)
    views = [JournalView.of("p0.1", "producer", producer, {}), JournalView.of("c0.1", "consumer", consumer, {})]
    events = HistoryBuilder().lines(["- 0 phase phase=faults", f"- {int(got[-1]) // MS + 1} phase phase=end"]).events
    (result, *_) = judge_all(History.of(views, events, facts()), {"stall": StallLimits(pause_ns_max=1_000 * MS)})
    assert result.verdict is Verdict.FAIL, result.reasons
    assert result.findings[0].operations[-1].seq == count - 1


@pytest.mark.parametrize("operation", ["ok 0/0", "done 0/0", "ack 0/0"])
def test_a_completion_beyond_the_operations_of_a_later_journal_is_refused(operation: str) -> None:
    """The first journal has more operations than the second one, whose completion names the ninth of its one."""
    lines = [f"p0.1 {n} send 0/{n} p0" for n in range(9)] + ["p1.1 10 send 1/0 p0"]
    lines += [f"c0.1 {20 + n} got 0/{n} p0 @{n}" for n in range(9)] + ["c1.1 40 got 1/0 p0 @9"]
    who = "p1.1" if operation.startswith("ok") else "c1.1"
    builder = HistoryBuilder().lines([*lines, f"{who} 50 {operation.replace('0/0', '1/0')}"])
    assert builder.history().index.values
    page = builder.pages[who]
    page.records[-1] = (*page.records[-1][:9], 8)
    with pytest.raises(HistoryError, match="beyond the 1 recorded"):
        _ = builder.history().index


def test_a_journal_with_a_record_of_every_kind_is_read() -> None:
    kinds = sorted(set(RecordKind) - {RecordKind.END})
    records = np.zeros(len(kinds), RECORD_DTYPE)
    records["kind"] = kinds
    view = JournalView.of("monitor.1", "monitor", records)
    assert [view.select(kind).size for kind in kinds] == [1] * len(kinds)
    for kind in (0, max(RecordKind) + 1):
        records["kind"][1] = kind
        with pytest.raises(HistoryError, match=f"record 1 of {len(records)} is of unknown kind {kind}"):
            JournalView.of("monitor.1", "monitor", records)

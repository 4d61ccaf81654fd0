"""Transactions: the vectorized check against plain loops, and mutations of histories that are as they should be."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import transactions_oracle as oracle
from support.history_builder import HistoryBuilder, facts

from harness.checks.analysis.outputs import judge_outputs
from harness.checks.analysis.transactions import seen
from harness.checks.base import CHECKS
from harness.checks.judge import judge_all
from harness.history.read import History
from harness.verdict import CheckResult, Verdict

EXAMPLES = settings(max_examples=60, deadline=None)


def messy(rng: random.Random) -> History:
    """Return a small history of transactions in which anything may have happened."""
    partitions, producers = rng.randint(1, 2), rng.randint(1, 3)
    isolation = rng.choice(["committed"] * 4 + ["uncommitted", ""])
    builder = HistoryBuilder(facts(partitions=partitions, isolation=isolation))
    lines: list[str] = []
    seen_lines: list[tuple[int, str]] = []
    offset = 0
    for producer in range(producers):
        at, n, name = 0, 0, f"p{producer}.1"
        if rng.random() < 0.2:
            lines.append(f"{name} 0 send {producer}/0 p0")
            n = 1
        for _ in range(rng.randint(0, 4)):
            begun = at
            size = rng.randint(0, 4)
            ask = rng.choice(["commit"] * 5 + ["abort", "both", "none"])
            end = rng.choice(["committed", "committed", "aborted", "ended", ""]) if ask != "none" else ""
            values = [(f"{producer}/{n + index}", rng.randrange(partitions)) for index in range(size)]
            n += size
            asked = begun + rng.randint(1, 40)
            lines.append(f"{name} {begun} begin")
            lines += [f"{name} {begun} send {value} p{partition}" for value, partition in values]
            lines += [f"{name} {asked} commit-asked"] * (ask in {"commit", "both"}) * rng.randint(1, 2)
            lines += [f"{name} {asked + 1} abort-asked"] * (ask in {"abort", "both"})
            lines += [f"{name} {asked + 2} {end}"] * bool(end)
            visible = rng.choice([0.0, 0.5, 1.0, 1.0])
            for value, partition in values:
                offset += 1
                outcome = {"committed": "ok", "aborted": "fail", "ended": "unknown", "": ""}[end]
                outcome = "fail" if rng.random() < 0.1 else outcome
                told = f" @{offset}" if outcome == "ok" and rng.random() < 0.8 else ""
                lines += [f"{name} {asked + 3} {outcome} {value}{told}"] * bool(outcome)
                if rng.random() < visible:
                    got = asked + rng.choice([-1, 0, 1, 5, 50])
                    if rng.random() < 0.8:
                        seen_lines.append((got, f"c0.1 {got} got {value} p{partition} @{offset}"))
                    if rng.random() < 0.8:
                        seen_lines.append((900, f"audit.1 900 stored {value} p{partition} @{offset}"))
            at = asked + 5
    lines += [line for _, line in sorted(seen_lines)]
    builder.lines(lines)
    for partition in range(partitions):
        audit, exists = rng.choice(["complete"] * 4 + ["partial", "none"]), rng.random() < 0.9
        first = rng.choice([0, 0, 0, -1, 3])
        builder.event(
            950, "authority", partition=partition, exists=exists, audit=audit, first_offset=first, last_offset=99
        )
    torn = [f"p{producer}.1" for producer in range(producers) if rng.random() < 0.2]
    return builder.history(torn=[name for name in torn if name in builder.pages])


def messy_outputs(rng: random.Random) -> History:
    """Return a small history of read-process-write workers in which anything may have happened."""
    partitions = rng.randint(1, 2)
    facts_ = facts(partitions=partitions, isolation="committed", outputs=True, settling={"positions": True})
    builder = HistoryBuilder(facts_)
    lines = []
    values = [(f"0/{n}", rng.randrange(partitions)) for n in range(rng.randint(1, 8))]
    for n, (value, partition) in enumerate(values):
        lines.append(f"p0.1 0 send {value} p{partition}")
        lines.append(f"p0.1 1 {rng.choice(['ok', 'ok', 'ok', 'unknown', 'fail'])} {value} @{n}")
    for consumer in range(rng.randint(1, 2)):
        name, at = f"c{consumer}.1", 10
        for _ in range(rng.randint(0, 4)):
            inside = rng.random() < 0.9
            lines += [f"{name} {at} begin"] * inside
            for value, partition in rng.sample(values, rng.randint(0, min(3, len(values)))):
                place = int(value[2:]) if rng.random() < 0.9 else 50
                lines.append(f"{name} {at + 1} got {value} p{partition} @{place}")
            ask = rng.choice(["commit"] * 5 + ["abort", "both", "none"])
            lines += [f"{name} {at + 2} commit-asked"] * (inside and ask in {"commit", "both"})
            lines += [f"{name} {at + 3} abort-asked"] * (inside and ask in {"abort", "both"})
            end = rng.choice(["committed", "committed", "aborted", "ended", ""]) if ask != "none" else ""
            lines += [f"{name} {at + 4} {end}"] * (inside and bool(end))
            at += 10
    written = 0
    for value, partition in values:
        for _ in range(rng.choice([0, 0, 1, 1, 1, 1, 2, 3])):
            lines.append(f"audit.1 900 output {value} p{partition} @{written}")
            written += 1
    builder.lines(lines)
    if rng.random() < 0.9:
        read, more = rng.choice(["complete"] * 5 + ["partial"]), rng.choice([0, 0, 0, 0, 1])
        builder.event(950, "outputs", read=read, messages=written + more, detail="")
    for partition in range(partitions):
        if rng.random() < 0.7:
            builder.event(800, "drain", partition=partition, proven=rng.random() < 0.6, ack_pending=0)
    return builder.history(torn=[name for name in ("c0.1", "c1.1") if name in builder.pages and rng.random() < 0.2])


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_outputs_agree_with_plain_loops(rng: random.Random) -> None:
    history = messy_outputs(rng)
    expected, index = oracle.judge_outputs(history), history.index
    found = judge_outputs(history)
    names = {
        int(value): (int(key), int(seq))
        for value, key, seq in zip(index.sends.value, index.sends.key, index.sends.seq, strict=True)
    }
    assert {names[value] for value in found.missing.tolist()} == expected.missing
    assert {names[value] for value in found.perhaps_missing.tolist()} == expected.perhaps_missing
    assert found.copies.size == expected.copies
    written = index.outputs
    for kind in ("uncommitted", "unfounded", "perhaps_unfounded"):
        assert {
            (names[int(written.value[row])], int(written.partition[row]), int(written.offset[row]))
            for row in getattr(found, kind).tolist()
        } == getattr(expected, kind)
    if index.transactions.t.size:
        wrong = expected.missing or expected.copies or expected.uncommitted or expected.unfounded
        sure = expected.whole and not expected.perhaps_unfounded
        verdict = Verdict.FAIL if wrong else Verdict.PASS if sure else Verdict.INCONCLUSIVE
        assert _judge(history).verdict is verdict


def test_messy_outputs_are_messy() -> None:
    reached: set[str] = set()
    for seed in range(300):
        found = oracle.judge_outputs(messy_outputs(random.Random(seed)))
        reached |= {name for name in oracle.OutputVerdicts.__dataclass_fields__ if getattr(found, name)}
        reached |= set() if found.whole else {"in part"}
    assert reached == {*oracle.OutputVerdicts.__dataclass_fields__, "in part"}


def _judge(history: History, check: str = "transactions") -> CheckResult:
    return judge_all(history, {check: CHECKS.get(check).limits()})[0]


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_what_was_seen_agrees_with_plain_loops(rng: random.Random) -> None:
    history = messy(rng)
    expected, index = oracle.judge(history), history.index
    if not index.transactions.t.size:
        assert expected == oracle.Verdicts()
        return
    found = seen(history)
    sends, transactions = index.sends, index.transactions

    def values(rows: list[int]) -> set[oracle.Value]:
        return {(int(sends.key[row]), int(sends.seq[row])) for row in rows}

    def names(rows: list[int]) -> set[tuple[str, int]]:
        views = history.journals
        return {
            (
                views[transactions.journal[row]].name,
                int(views[transactions.journal[row]].records["ref"][transactions.ordinal[row]]),
            )
            for row in rows
        }

    assert values(found.aborted.tolist()) == expected.aborted_reads
    assert values(found.early.tolist()) == expected.early_reads
    assert values(found.perhaps_early.tolist()) == expected.perhaps_early
    assert names(found.torn.tolist()) == expected.torn
    assert names(found.perhaps_torn.tolist()) == expected.perhaps_torn
    result = _judge(history)
    proven = expected.torn or expected.aborted_reads or expected.early_reads
    doubtful = proven or expected.perhaps_torn or expected.perhaps_early
    if history.facts.isolation == "committed":
        assert result.verdict is (Verdict.FAIL if proven else Verdict.INCONCLUSIVE if doubtful else Verdict.PASS)
    elif history.facts.isolation == "":
        assert result.verdict is (Verdict.INCONCLUSIVE if doubtful else Verdict.PASS)
    else:
        assert result.verdict is Verdict.INCONCLUSIVE


def test_messy_histories_are_messy() -> None:
    """The generator reaches every kind of disorder, so that agreement means something."""
    reached: set[str] = set()
    for seed in range(300):
        found = oracle.judge(messy(random.Random(seed)))
        reached |= {name for name in oracle.Verdicts.__dataclass_fields__ if getattr(found, name)}
    assert reached == set(oracle.Verdicts.__dataclass_fields__)


def valid(rng: random.Random) -> tuple[list[str], tuple[list[list[str]], list[list[str]]]]:
    """Return the lines of a history that is as it should be, with the values of its committed and aborted ones."""
    lines: list[str] = []
    read: list[str] = []
    committed: list[list[str]] = []
    aborted: list[list[str]] = []
    at, n, offset = 0, 0, 0
    for _ in range(rng.randint(2, 6)):
        size = rng.randint(2, 5)
        values = [f"0/{n + index}" for index in range(size)]
        n, ends = n + size, at + rng.randint(5, 30)
        abort = rng.random() < 0.3
        unknown = not abort and rng.random() < 0.3
        lines.append(f"p0.1 {at} begin")
        lines += [f"p0.1 {at} send {value} p0" for value in values]
        lines.append(f"p0.1 {ends} {'abort' if abort else 'commit'}-asked")
        lines.append(f"p0.1 {ends + 2} {'aborted' if abort else 'ended' if unknown else 'committed'}")
        for value in values:
            told = "" if abort or unknown else f" @{offset}"
            lines.append(f"p0.1 {ends + 2} {'fail' if abort else 'unknown' if unknown else 'ok'} {value}{told}")
            if not abort and not (unknown and size % 2):
                read.append(f"c0.1 {ends + 1} got {value} p0 @{offset}")
                read.append(f"c0.1 {ends + 1} done {value}")
                read.append(f"audit.1 9000 stored {value} p0 @{offset}")
            offset += 1
        offset += 1  # the control record
        if abort:
            aborted.append(values)
        elif not (unknown and size % 2):
            committed.append(values)
        at = ends + 5
    read.sort(key=lambda line: line.startswith("audit"))
    return [*lines, *read], (committed, aborted)


def _history(lines: list[str]) -> History:
    last = "- 9001 authority partition=-1 exists=true audit=complete first_offset=0 last_offset=100"
    return HistoryBuilder(facts(isolation="committed")).lines([*lines, last]).history()


def _value(name: str) -> tuple[int, int]:
    key, seq = name.split("/")
    return int(key), int(seq)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_a_valid_history_passes(rng: random.Random) -> None:
    history = _history(valid(rng)[0])
    for name in ("transactions", "phantoms", "loss", "duplicates", "order"):
        result = _judge(history, name)
        assert not result.findings, result
        assert result.verdict is Verdict.PASS or (name != "transactions" and not result.examined), result


@pytest.mark.parametrize("mutation", ["hide", "show", "hurry"])
@EXAMPLES
@given(rng=st.randoms(use_true_random=False))
def test_a_mutation_is_found_and_named(mutation: str, rng: random.Random) -> None:
    lines, (committed, aborted) = valid(rng)
    kind = {"hide": "torn-transaction", "show": "aborted-read", "hurry": "early-read"}[mutation]
    chosen = aborted if mutation == "show" else committed
    if not chosen:
        return
    value = rng.choice(rng.choice(chosen))
    mine = [line for line in lines if f" {value}" in f"{line} " and line.split()[3] == value]
    if mutation == "hide":
        lines = [line for line in lines if line not in mine or line.startswith("p0.1")]
    elif mutation == "show":
        lines.append(f"c0.1 {rng.randint(0, 500)} got {value} p0 @77")
    else:
        sent = next(line for line in mine if " send " in line).split()[1]
        lines = [
            line if not (line in mine and " got " in line) else f"c0.1 {sent} {line.split(' ', 2)[2]}" for line in lines
        ]
    result = _judge(_history(lines))
    assert result.verdict is Verdict.FAIL
    assert [finding.type for finding in result.findings] == [kind]
    assert _value(value) in {(operation.key, operation.seq) for operation in result.findings[0].operations}
    assert result.findings[0].amount == 1


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_no_prefix_of_a_valid_history_fails(rng: random.Random) -> None:
    """Cut at any moment, over all journals at once, what passed does not fail."""
    lines, _ = valid(rng)
    lines.sort(key=lambda line: float(line.split()[1]))
    cut = rng.randint(0, len(lines))
    history = HistoryBuilder(facts(isolation="committed")).lines(_whole(lines[:cut])).history()
    assert not _judge(history).findings


def _whole(lines: list[str]) -> list[str]:
    """Leave out what happened at the last, half recorded moment."""
    last = lines[-1].split()[1] if lines else ""
    return [line for line in lines if line.split()[1] != last]

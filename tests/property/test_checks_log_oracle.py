"""The check ``log`` and the places of missing messages against plain loops, on random histories of logs that did
everything wrong: told one place and stored at another, used offsets again, lost their heads, ends and all of it.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from support import checks_oracle as oracle
from support import log_oracle
from support.history_builder import MS, HistoryBuilder, facts

from harness.checks.analysis.conflicts import find_conflicts
from harness.checks.analysis.missing import MissingAt, classify
from harness.checks.analysis.promises import Promise, broken_promises
from harness.checks.log import LogCheck, LogLimits
from harness.checks.loss import LossCheck, LossLimits
from harness.history.read import History, JournalView
from harness.history.record import RecordKind
from harness.verdict import Verdict

EXAMPLES = settings(max_examples=80, deadline=None)

_OUTCOMES = ("ok", "ok", "ok", "ok", "unknown", "fail", "")


def disordered(rng: random.Random, *, calm_words: bool = False) -> History:
    """Return a small history whose logs may have done anything with what they hold.

    Args:
        rng: Draws it.
        calm_words: The broker's words come after all deliveries, and none is taken back.
    """
    partitions, consumers = rng.randint(1, 3), rng.randint(1, 2)
    builder = HistoryBuilder(facts(partitions=partitions, **_facts(rng)))
    calm = rng.random() < 0.4
    sends: list[tuple[float, str]] = []
    given: list[tuple[float, str]] = []
    found: list[str] = []
    ends = dict.fromkeys(range(partitions), 0)
    for key in range(rng.randint(1, 4)):
        home = key % partitions
        for n in range(rng.randint(0, 4)):
            at, value = rng.randint(0, 120), f"{key}/{n}"
            delay = f" +{rng.choice([20, 300, 600])}" if rng.random() < 0.1 else ""
            sends.append((at, f"p{key}.1 {at} send {value} p{home}{delay}"))
            ends[home] = offset = ends[home] + rng.choice([0, 1, 1, 1, 1, 2])
            done, outcome = at + rng.choice([1, 5, 40, 480]), rng.choice(_OUTCOMES)
            told = offset if calm or rng.random() < 0.8 else rng.randint(0, 6)
            if outcome:
                place = f" @{told}" if rng.random() < 0.75 else ""
                sends.append((done, f"p{key}.1 {done} {outcome} {value}{place}"))
            where = home if calm or rng.random() < 0.9 else rng.randrange(partitions)
            for _ in range(rng.choice([0, 1, 1, 1, 2] if not calm else [1, 1, 1, 0])):
                lies = offset if calm or rng.random() < 0.8 else rng.randint(0, 6)
                found.append(f"audit.1 590 stored {value} p{where} @{lies}")
            given += _deliveries(rng, value, where, offset, at, consumers)
    if rng.random() < 0.1:
        given.append((90, f"c0.1 90 got 77/0 p0 @{rng.randint(0, 4)}"))
    sends.sort(key=lambda line: (line[0], " send " not in line[1]))
    given.sort(key=lambda line: (line[0], " got " not in line[1]))
    read = found if rng.random() < 0.8 else []
    builder.lines([*(text for _, text in [*sends, *given]), *read])
    _words(rng, builder, partitions, ends, calm=calm_words)
    return builder.history(torn=[name for name in builder.pages if name[0] in "ca" and rng.random() < 0.08])


def _facts(rng: random.Random) -> dict[str, object]:
    settling = rng.choice(
        [{"acknowledged": {}}] * 3 + [{}, {"positions": True}, {"acknowledged": {}, "when": "before"}]
    )
    return {
        "settling": settling,
        "removals": rng.choice([None, {}]),
        "one_log": rng.random() < 0.3,
        "fixed_partitions": rng.random() < 0.5,
        "dead_letters": rng.random() < 0.2,
        "detection_bound_ns": rng.choice([0, 50 * MS]),
    }


def _deliveries(
    rng: random.Random, value: str, partition: int, offset: int, at: int, consumers: int
) -> list[tuple[float, str]]:
    lines: list[tuple[float, str]] = []
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        consumer, got = f"c{rng.randrange(consumers)}.1", at + rng.randint(0, 200)
        where = partition if rng.random() < 0.95 else 0
        place = offset if rng.random() < 0.8 else rng.randint(0, 6)
        heard = f" @{place}" if rng.random() < 0.95 else ""
        lines.append((got, f"{consumer} {got} got {value} p{where}{heard}"))
        if rng.random() < 0.7:
            lines.append((got + 1, f"{consumer} {got + 1} {rng.choice(['done', 'done', 'done', 'failed'])} {value}"))
        if rng.random() < 0.5:
            lines.append((got + 2, f"{consumer} {got + 2} ack {value}{rng.choice([' confirmed', ''])}"))
        if rng.random() < 0.4:
            begun = f" ~{got + 2}" if rng.random() < 0.9 else ""
            outcome = rng.choice(["", "", " unknown", " fail"])
            lines.append(
                (got + 3, f"{consumer} {got + 3} commit p{where} @{place + rng.choice([-1, 1, 1])}{outcome}{begun}")
            )
    return lines


def _words(rng: random.Random, builder: HistoryBuilder, partitions: int, ends: dict[int, int], *, calm: bool) -> None:
    audited = rng.random() < 0.75
    if calm:
        builder.event(0, "phase", phase="warmup")
    for partition in range(partitions):
        if rng.random() < 0.7:
            at = 550 if calm else rng.choice([100, 550])
            pending = rng.choice([0, 0, 0, 2])
            builder.event(at, "drain", partition=partition, proven=rng.random() < 0.8, ack_pending=pending)
        if rng.random() < 0.1 and not calm:
            what = rng.choice(["log", "consumer"])
            builder.event(rng.choice([80, 560]), "gone", what=what, partition=rng.choice([partition, -1]))
        if audited and rng.random() < 0.9:
            audit = rng.choice(["complete"] * 5 + ["partial", "none"])
            last = rng.choice([-1, ends[partition], ends[partition], ends[partition] // 2])
            builder.event(
                *(600, "authority"),
                partition=partition if rng.random() < 0.9 else -1,
                exists=rng.random() < 0.93,
                audit=audit,
                first_offset=rng.choice([0, 0, 0, 1, 2]),
                last_offset=last,
            )
    if rng.random() < 0.3:
        builder.event(rng.choice([200, 580]), "phase", phase="audit")
    if rng.random() < 0.3:
        builder.event(
            rng.choice([100, 610]), "worker", worker="c0", incarnation=1, state=rng.choice(["killed", "paused"])
        )


def _names(history: History) -> list[tuple[int, int]]:
    sends = history.index.sends
    names = [(-1, -1)] * (history.index.values + 1)
    for key, seq, value in zip(sends.key.tolist(), sends.seq.tolist(), sends.value.tolist(), strict=True):
        names[value] = (key, seq)
    return names


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_broken_promises_agree_with_plain_loops(rng: random.Random) -> None:
    history = disordered(rng)
    names, found = _names(history), broken_promises(history)
    words = {names[v]: Promise(k).name.lower() for v, k in zip(found.value.tolist(), found.kept.tolist(), strict=True)}
    assert words == log_oracle.broken(oracle.plain(history))


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_conflicts_agree_with_plain_loops(rng: random.Random) -> None:
    history = disordered(rng)
    names, found = _names(history), find_conflicts(history)
    places: dict[tuple[int, int], set[tuple[int, int]]] = {}
    rows = zip(found.partition.tolist(), found.offset.tolist(), found.value.tolist(), strict=True)
    for partition, offset, value in rows:
        places.setdefault((partition, offset), set()).add(names[value])
    assert places == log_oracle.conflicts(oracle.plain(history))
    assert found.places == len(places)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_the_count_and_the_findings_agree_with_plain_loops(rng: random.Random) -> None:
    history = disordered(rng)
    run, result = oracle.plain(history), LogCheck().judge(history, LogLimits())
    words, places = log_oracle.broken(run), log_oracle.conflicts(run)
    expected = Counter({word: count for word, count in Counter(words.values()).items() if word != "unproven"})
    expected |= {"conflict": len(places)} if places else {}
    amounts: Counter[str] = Counter()
    for finding in result.findings:
        amounts[finding.type] += int(finding.amount)
    del amounts["gone"]
    assert amounts == expected
    proven, possible = log_oracle.broken_count(run)
    (limit,) = (limit for limit in result.limits if limit.metric == "messages_max")
    assert limit.measured == (proven if proven or proven == possible else possible)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_places_of_missing_messages_agree_with_plain_loops(rng: random.Random) -> None:
    history = disordered(rng)
    names, missing = _names(history), classify(history)
    found = {names[v]: MissingAt(p).name.lower() for v, p in zip(missing.values.tolist(), missing.place, strict=True)}
    assert found == oracle.missing(oracle.plain(history))


def _moved(history: History, by_ns: int = 0, until_ns: int | None = None) -> History:
    """Return a history with all times later by so much, or the part of it up to a time."""
    views = []
    for view in history.journals:
        records = view.records[view.records["t"] <= until_ns] if until_ns is not None else view.records.copy()
        records["t"] += by_ns
        later = (records["kind"] == RecordKind.COMMIT) & (records["seq"] >= 0)
        records["seq"][later] += by_ns
        due = (records["kind"] == RecordKind.SEND) & (records["offset"] >= 0)
        records["offset"][due] += by_ns
        header = {**view.header, "mono_ns": view.header["mono_ns"] + by_ns}
        views.append(JournalView.of(view.name, view.role, records, header))
    events = [
        dataclasses.replace(event, t=event.t + by_ns)
        for event in history.events
        if until_ns is None or event.t <= until_ns
    ]
    torn = history.torn if until_ns is None else ()
    return History.of(views, events, history.facts, torn=torn)


def _verdicts(history: History) -> list[tuple[str, Verdict, dict[str, float], list[str]]]:
    results = (LogCheck().judge(history, LogLimits()), LossCheck().judge(history, LossLimits()))
    return [(r.check, r.verdict, dict(r.measures), sorted(f.type for f in r.findings)) for r in results]


@EXAMPLES
@given(st.randoms(use_true_random=False), st.integers(0, 620))
def test_no_prefix_of_a_history_that_passes_fails(rng: random.Random, until_ms: int) -> None:
    """An engine's history says that an audit is to come. (A copy of what was given up may be delivered later.)"""
    history = disordered(rng, calm_words=True)
    before = {check: verdict for check, verdict, _, _ in _verdicts(history)}
    for check, verdict, _, found in _verdicts(_moved(history, until_ns=until_ms * MS)):
        fails = verdict is Verdict.FAIL and set(found) != {"abandoned"}
        assert before[check] is not Verdict.PASS or not fails, (check, found)


@EXAMPLES
@given(st.randoms(use_true_random=False))
def test_other_times_of_day_change_nothing(rng: random.Random) -> None:
    history = disordered(rng)
    assert _verdicts(_moved(history, by_ns=10**15)) == _verdicts(history)


def test_disordered_histories_are_disordered() -> None:
    """The generator reaches every word, so that agreement means something."""
    seen: Counter[str] = Counter()
    for seed in range(400):
        history = disordered(random.Random(seed))
        run = oracle.plain(history)
        seen.update(set(log_oracle.broken(run).values()))
        seen.update({f"place {place}" for place in oracle.missing(run).values()})
        seen.update({"conflict"} if log_oracle.conflicts(run) else set())
        missing = classify(history)
        seen.update(name for name in ("running", "torn", "aside") if getattr(missing, name).any())
        if not log_oracle.broken(run) and not log_oracle.conflicts(run) and run.ok():
            seen["clean"] += 1
    words = ("vanished", "misplaced", "misrouted", "unproven", "conflict", "running", "torn", "aside", "clean")
    places = ("lost", "skipped", "missing", "abandoned", "consumer_gone", "unproven")
    assert {word for word, count in seen.items() if count >= 3} >= {*words, *(f"place {place}" for place in places)}, (
        seen
    )

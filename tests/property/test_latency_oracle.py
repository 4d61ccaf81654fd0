"""How late producers sent, as the check works it out and as plain loops do, over drawn schedules and hindrances."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.history_builder import MS, HistoryBuilder, facts
from support.references import latency as reference

from harness.checks.analysis.latencies import arrived
from harness.checks.analysis.sending import sending
from harness.history.index import Int32, Int64
from harness.history.read import History
from harness.history.record import SEQ_BITS

KEYS = (4, 2, 7)
END = 2_000
ROUNDED_NS = 2
"""Sums of spans are rounded once for each send."""


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Draw one producer that sends some of what its schedule names, late, held up by this and that."""
    incarnation = draw(st.integers(1, 2))
    rate = draw(st.sampled_from([10.0, 40.0, 64.0, 300.0]))
    start = draw(st.integers(10, 300))
    begun = max(start + draw(st.integers(-9, 400)), 1)
    builder = HistoryBuilder(facts())
    name = f"p0.{incarnation}"
    count = draw(st.integers(1, 30))
    numbers = [number for number in range(count) if draw(st.integers(0, 9)) > 0]
    at, lines = float(begun), []
    for number in numbers:
        due = start + number * 1000 / rate
        at = max(at, due) + draw(st.sampled_from([0, 0.5, 3, 9, 40, 200]))
        lines.append((at, number))
    # Keys do not wait for each other.
    for place in draw(st.lists(st.integers(0, max(len(lines) - 2, 0)), max_size=3)):
        if place + 1 < len(lines) and lines[place + 1][1] % 3 != lines[place][1] % 3:
            (a, m), (b, n) = lines[place : place + 2]
            lines[place : place + 2] = [(a, n), (b, m)] if start + n * 1000 / rate <= a else [(a, m), (b, n)]
    for t, number in lines:
        turn, key = divmod(number, 3)
        builder.lines([f"{name} {t} send {KEYS[key]}/{turn}'{incarnation} p0"])
        if draw(st.booleans()):
            builder.lines([f"c0.1 {t + draw(st.integers(0, 300))} got {KEYS[key]}/{turn}'{incarnation} p0 @{number}"])
    schedule = {"start_ns": start * MS, "rate_per_s": rate, "keys": list(KEYS)}
    most = draw(st.sampled_from([0, 0, count, count + 2]))
    builder.event(begun, "schedule", worker="p0", incarnation=incarnation, messages_max=most, **schedule)
    _hinder(draw, builder, incarnation)
    builder.event(0.5, "phase", phase="faults")
    if draw(st.booleans()):
        builder.event(draw(st.integers(begun + 1, END)), "phase", phase="drain")
    if not builder.pages:
        builder.lines([f"{name} {begun} send {KEYS[0]}/0'{incarnation} p0"])
    return builder.history(torn=[name] if name in builder.pages and draw(st.integers(0, 9)) == 0 else [])


def _hinder(draw: st.DrawFn, builder: HistoryBuilder, incarnation: int) -> None:
    worker = {"worker": "p0", "incarnation": incarnation, "role": "producer"}
    spans = st.tuples(st.integers(1, END), st.integers(1, 300))
    for since, length in draw(st.lists(spans, max_size=2)):
        builder.event(since, "worker", state="paused", **worker)
        builder.event(since + length, "worker", state="resumed", **worker)
    for since, length in draw(st.lists(spans, max_size=1)):
        span = {"since_ns": since * MS, "until_ns": (since + length) * MS}
        builder.event(
            since, "standstill", part=draw(st.sampled_from(["p0", "n1"])), how="stopped", lasting=False, **span
        )
    t = 0
    # Most ticks are in time, as the reference takes the usual distance for theirs.
    for late in [*draw(st.lists(st.sampled_from([0, 20, 60, 500]), max_size=8)), *[0] * 9]:
        t += 100 + late
        builder.lines([f"monitor.1 {t} tick {100 + late}"])
    if draw(st.integers(0, 4)) == 0:
        state = draw(st.sampled_from(["killed", "died", "finished"]))
        builder.event(draw(st.integers(1, END)), "worker", state=state, **worker)
    if draw(st.integers(0, 4)) == 0:
        gone = {"fault": "leave-1", "fault_kind": "client_leave", "workers": ["p0"]}
        builder.event(draw(st.integers(1, END)), "fault", action="apply", **gone)


def _values(key: Int32, seq: Int64) -> list[tuple[int, int]]:
    return list(zip(key.tolist(), seq.tolist(), strict=True))


@settings(max_examples=120, deadline=None)
@given(histories())
def test_proven_latencies_are_those_of_the_reference(history: History) -> None:
    sends = history.index.sends
    came = arrived(history, sending(history), "all")
    ours = dict(zip(_values(sends.key[came.rows], sends.seq[came.rows]), came.proven.tolist(), strict=True))
    theirs = reference.proven(history)
    assert ours.keys() == theirs.keys()
    assert all(abs(ours[value] - theirs[value]) <= ROUNDED_NS for value in ours), (ours, theirs)
    assert (came.proven <= came.possible + ROUNDED_NS).all()
    assert (came.proven >= 0).all()


@settings(max_examples=120, deadline=None)
@given(histories())
def test_what_was_never_sent_is_that_of_the_reference(history: History) -> None:
    left = sending(history).unsent
    ours = {}
    for number, waited in zip(left.number.tolist(), left.proven.tolist(), strict=True):
        (schedule,) = history.schedules.values()
        ours[schedule.value(number)] = waited
    theirs = reference.unsent(history)
    assert ours.keys() == theirs.keys()
    assert all(abs(ours[value] - theirs[value]) <= ROUNDED_NS for value in ours), (ours, theirs)
    assert ((left.possible < 0) | (left.possible + ROUNDED_NS >= left.proven)).all()


def test_a_schedule_names_each_message_once() -> None:
    builder = HistoryBuilder(facts()).lines(["p0.2 5 send 4/0'2 p0"])
    event = {"start_ns": MS, "rate_per_s": 100.0, "keys": list(KEYS), "messages_max": 0}
    history = builder.event(1, "schedule", worker="p0", incarnation=2, **event).history()
    (schedule,) = history.schedules.values()
    values = [schedule.value(number) for number in range(10)]
    assert values[:4] == [(4, 1 << SEQ_BITS), (2, 1 << SEQ_BITS), (7, 1 << SEQ_BITS), (4, (1 << SEQ_BITS) + 1)]
    assert len(set(values)) == 10
    for (key, seq), (number, _) in itertools.product(values, enumerate(values)):
        if values[number] == (key, seq):
            assert schedule.numbers(np.array([key], np.int32), np.array([seq])).tolist() == [number]

"""The handler that all reference consumers share: how long it takes, what a fault adds, and what ends it early."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.worker_session import made

from harness.clients.base import Session
from harness.clients.handler import Handler
from harness.workload.worker import _Pulse

MS = 1_000_000


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return made(tmp_path)


class Script(threading.Condition):
    """The condition that a handler waits on: before each wait it runs the next command, as another thread would."""

    def __init__(self, *orders: Callable[[], object]) -> None:
        super().__init__()
        self._orders = list(orders)
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        if not self._orders:
            return super().wait(timeout)
        self._orders.pop(0)()
        return True


def _ended(handler: Handler, session: Session, order: Callable[[], object]) -> bool:
    """Run a handler in a thread, command it while it waits, and return whether it ended long before its block would."""
    thread = threading.Thread(target=handler.run, daemon=True)
    thread.start()
    _wait_until(lambda: session.control.handling == 1)
    order()
    thread.join(30)
    return not thread.is_alive()


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _kinds(folder: Path) -> list[str]:
    return [json.loads(line)["kind"] for line in (folder / "c0.1.events.jsonl").read_text().splitlines()]


def test_it_takes_its_time_and_what_a_fault_adds(session: Session) -> None:
    handler = Handler(session, 10 * MS)
    assert handler.due_ns() == pytest.approx(10 * MS, abs=1)
    handler.run()
    assert session.counters.handler_ns >= 10 * MS
    session.control.set_handler(extra_ns=40 * MS)
    assert handler.due_ns() == pytest.approx(50 * MS, abs=1)
    handler.run()
    assert session.counters.handler_ns >= 60 * MS
    session.control.set_handler(extra_ns=0)
    assert handler.due_ns() == pytest.approx(10 * MS, abs=1)
    assert session.counters.handled == 2


def test_what_was_waited_for_by_order_is_counted_apart_from_what_is_late(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000 * MS]
    monkeypatch.setattr("harness.clients.handler.monotonic_ns", lambda: now[0])
    control, counters = session.control, session.counters
    monkeypatch.setattr("harness.clients.base.monotonic_ns", lambda: now[0])

    def passes(ms: int, order: Callable[[], object] = lambda: None) -> Callable[[], object]:
        def pass_and_order() -> None:
            now[0] += ms * MS
            order()

        return pass_and_order

    def takes(*orders: Callable[[], object]) -> tuple[int, int, int]:
        before = counters.handler_ns, counters.slowed_ns, counters.held
        control.changed = Script(*orders)
        Handler(session, 10 * MS).run()
        after = counters.handler_ns, counters.slowed_ns, counters.held
        taken = [new - old for new, old in zip(after, before, strict=True)]
        return taken[0] // MS, taken[1] // MS, taken[2]

    assert takes(passes(500)) == (500, 0, 0), "a machine that is late slows nothing by order"
    control.set_handler(extra_ns=40 * MS)
    assert takes(passes(50)) == (50, 40, 0)
    assert takes(passes(700)) == (700, 40, 0)
    assert takes(passes(30, lambda: control.set_handler(extra_ns=0))) == (30, 20, 0), "lifted in between"
    assert takes(passes(10)) == (10, 0, 0)
    assert takes(passes(5, lambda: control.set_handler(block_ns=95 * MS)), passes(95)) == (100, 0, 1)
    control.set_handler(extra_ns=40 * MS, block_ns=20 * MS)
    assert takes(passes(50)) == (50, 40, 0), "it held nothing for longer than that"
    control.set_handler(block_ns=60_000 * MS)
    assert takes(passes(10, control.leave)) == (10, 0, 1)


def test_a_handler_that_waits_by_order_is_counted_at_once(session: Session) -> None:
    session.control.set_handler(block_ns=60_000 * MS)
    assert _ended(Handler(session, 0), session, lambda: _lift_held(session))
    assert session.counters.held == 1


def _lift_held(session: Session) -> None:
    _wait_until(lambda: session.counters.held == 1)
    session.control.set_handler(block_ns=0)


def test_without_a_fault_a_handler_that_takes_no_time_owes_none(session: Session) -> None:
    assert Handler(session, 0).due_ns() == 0


def test_one_order_leaves_the_other_in_force(session: Session) -> None:
    session.control.set_handler(block_ns=1_000 * MS)
    until = session.control.block_until_ns
    session.control.set_handler(extra_ns=5 * MS)
    assert session.control.block_until_ns == until


@pytest.mark.parametrize("lift", ["lift", "leave", "abandon"])
def test_a_block_ends_when_it_is_lifted_or_the_worker_leaves(session: Session, lift: str, tmp_path: Path) -> None:
    handler = Handler(session, 0)
    session.control.set_handler(block_ns=60_000 * MS)
    assert handler.due_ns() > 59_000 * MS
    acts = {
        "lift": lambda: session.control.set_handler(block_ns=0),
        "leave": session.control.leave,
        "abandon": lambda: session.control.leave(abandoned=True),
    }
    assert _ended(handler, session, acts[lift])
    assert handler.due_ns() == 0
    assert _kinds(tmp_path) == ["blocked", "polling"]


def test_a_block_reaches_the_handler_that_runs(session: Session) -> None:
    control = session.control
    block, end = (lambda: control.set_handler(block_ns=60_000 * MS)), (lambda: control.leave(abandoned=True))
    control.changed = script = Script(block, end)
    Handler(session, 20_000 * MS).run()
    own, blocked = script.waits
    assert own <= 20
    assert blocked > 20


def test_a_worker_that_leaves_takes_its_own_time_for_the_message_in_hand(session: Session) -> None:
    handler = Handler(session, 30 * MS)
    session.control.set_handler(extra_ns=60_000 * MS, block_ns=60_000 * MS)
    session.control.leave()
    session.control.changed = script = Script()
    handler.run()
    assert session.counters.handler_ns >= 30 * MS
    assert all(wait <= 0.03 for wait in script.waits)


def test_beside_the_loop_it_keeps_nobody_from_polling(tmp_path: Path) -> None:
    session = made(tmp_path, handler_in="worker")
    session.control.set_handler(block_ns=60_000 * MS)
    session.control.changed = script = Script(lambda: session.control.set_handler(block_ns=0))
    Handler(session, 0).run()
    assert len(script.waits) == 1
    assert _kinds(tmp_path) == []


@pytest.mark.parametrize("handling", [0, 1])
def test_a_loop_that_does_not_go_round_is_told_by_silence_unless_a_handler_holds_it(
    session: Session, handling: int
) -> None:
    pulse = _Pulse(session.control)
    assert pulse.felt()
    session.control.handling = handling
    time.sleep(1.1)
    assert pulse.felt() is bool(handling)

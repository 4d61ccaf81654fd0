"""How one part is followed: what the kernel shows is made up here."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from harness.history.events import StandstillEvent
from harness.runtime.kernel.standstill import Kernel
from harness.workload.standing import Standing

PID = 4711


class Part(Kernel):
    """One part that is followed, and what the kernel says of it."""

    def __init__(self) -> None:
        self.now, self.is_stopped, self.is_frozen = 0, False, False
        self.is_in, self.used_ns = "S", 0
        self.events: list[StandstillEvent] = []
        self.told: list[tuple[str, str]] = []
        self.standing = Standing("c0", self.events.append, lambda *said: self.told.append(said), kernel=self)

    def now_ns(self) -> int:
        return self.now

    def stopped(self, pid: int) -> bool:
        return self.is_stopped

    def frozen(self, pid: int) -> bool:
        return self.is_frozen

    def state(self, pid: int) -> str:
        return self.is_in

    def cpu_ns(self, pid: int) -> int:
        return self.used_ns

    def waited_ns(self, pid: int) -> Mapping[str, int]:
        return {}

    def terms(self, pid: int) -> tuple[str, ...]:
        return ()

    def look(self, times: int = 1, *, held: bool = False, heard: int | None = None, pid: int = PID) -> None:
        for _ in range(times):
            self.now += 100_000_000
            self.standing.look(pid, held=held, heard=heard)

    @property
    def seen(self) -> list[tuple[str, int, bool]]:
        """How, for how many tenths of a second, and whether it lasts; of each the last word."""
        last = {item.since_ns: item for item in self.events}
        return [(item.how, (item.until_ns - item.since_ns) // 100_000_000, item.lasting) for item in last.values()]


@pytest.fixture
def part() -> Part:
    return Part()


def test_a_stop_is_journaled_as_it_begins_and_once_it_is_over(part: Part) -> None:
    part.look(3)
    part.is_stopped = True
    part.look(1)
    assert part.told == [("c0", "stopped")]
    assert part.seen == [("stopped", 0, True)], "whoever follows it may be stopped next"
    part.look(4)
    part.is_stopped = False
    part.look(2)
    assert part.seen == [("stopped", 5, False)]
    assert len(part.told) == 1


def test_what_lasts_to_the_end_says_so(part: Part) -> None:
    part.is_stopped = True
    part.look(3)
    part.standing.end()
    assert part.seen == [("stopped", 2, True)]


def test_a_pause_of_the_plan_is_none(part: Part) -> None:
    part.is_stopped = True
    part.look(100, held=True, heard=1)
    part.is_stopped = False
    part.look(10, heard=2)
    part.standing.end()
    assert not part.events


def test_a_frozen_group_is_seen_also_where_a_fault_holds_another(part: Part) -> None:
    part.is_frozen = True
    part.look(10)
    part.is_frozen = False
    part.look(1)
    ((how, length, lasting),) = part.seen
    assert (how, lasting) == ("frozen", False)
    assert length >= 5


def test_what_reports_no_more_hangs_after_five_seconds_of_looks(part: Part) -> None:
    part.look(1, heard=7)
    part.look(49, heard=7)
    assert not part.told
    part.now += 60_000_000_000  # this process itself did not run meanwhile: that is not the part's silence
    part.look(1, heard=7)
    assert part.told == [("c0", "silent")]
    part.look(1, heard=8)
    assert [how for how, _, _ in part.seen] == ["silent"]


def test_what_never_reports_or_does_not_run_is_not_silent(part: Part) -> None:
    part.look(200, heard=None)
    part.look(200, heard=3, pid=0)
    part.look(30, heard=3)  # a new process begins at nothing
    part.standing.end()
    assert not part.events


def test_what_is_ready_and_gets_no_cpu_is_late_and_what_uses_it_up_hangs(part: Part) -> None:
    part.is_in = "R"
    part.look(200, heard=7)
    assert not part.told
    for _ in range(60):
        part.used_ns += 10_000_000
        part.look(1, heard=7)
    assert part.told == [("c0", "silent")]

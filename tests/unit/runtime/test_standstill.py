"""What the kernel shows of a process that is kept from running: on real processes, and on made-up control groups."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from harness.clock import NS_PER_S
from harness.runtime.kernel import procfs
from harness.runtime.kernel.standstill import Kernel, Starvation, frozen, stopped, terms


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def _becomes(process: subprocess.Popen[bytes], state: bool) -> bool:
    deadline = time.monotonic() + 30
    while stopped(process.pid) is not state:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_stop_signal_is_seen_until_the_process_goes_on(sleeper: subprocess.Popen[bytes]) -> None:
    assert not stopped(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGSTOP)
    assert _becomes(sleeper, state=True)
    os.kill(sleeper.pid, signal.SIGCONT)
    assert _becomes(sleeper, state=False)
    sleeper.kill()
    sleeper.wait()
    assert not stopped(sleeper.pid)


@pytest.mark.parametrize(
    ("line", "file", "content", "expected"),
    [
        ("7:freezer:/a/b", "v1/a/b/freezer.state", "FROZEN\n", True),
        ("7:freezer:/a/b", "v1/a/b/freezer.state", "THAWED\n", False),
        ("0::/a", "v2/a/cgroup.events", "populated 1\nfrozen 1\n", True),
        ("0::/a", "v2/a/cgroup.events", "populated 1\nfrozen 0\n", False),
        ("0::/a", "v2/elsewhere", "", False),
    ],
)
def test_a_frozen_group_is_seen(line: str, file: str, content: str, expected: bool, tmp_path: Path) -> None:
    (tmp_path / "proc" / "5").mkdir(parents=True)
    (tmp_path / "proc" / "5" / "cgroup").write_text(f"2:cpu:/x\n{line}\n", encoding="ascii")
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(content, encoding="ascii")
    places = {"proc": tmp_path / "proc", "freezer": tmp_path / "v1", "unified": (tmp_path / "v2",)}
    assert frozen(5, **places) is expected  # type: ignore[arg-type]
    assert not frozen(6, **places)  # type: ignore[arg-type]


def test_this_process_is_not_frozen() -> None:
    assert not frozen(os.getpid())


@pytest.mark.parametrize(
    ("used", "waited", "changed", "starved"),
    [
        (0.0, 0.95, True, True),
        (0.0, 0.95, False, False),  # nothing was done to it: the machine has too much work
        (0.03, 0.95, True, False),  # it gets its turn, if seldom
        (0.0, 0.5, True, False),
        (0.0, 0.0, True, False),  # it wants none
    ],
)
def test_what_wants_a_cpu_and_gets_none_on_other_terms_is_starved(
    used: float, waited: float, changed: bool, starved: bool
) -> None:
    class Told(Kernel):
        now = 0

        def now_ns(self) -> int:
            return self.now

        def cpu_ns(self, pid: int) -> int:
            return round(self.now * used)

        def waited_ns(self, pid: int) -> Mapping[str, int]:
            return {"5": round(self.now * waited), "6": 0}

        def terms(self, pid: int) -> tuple[str, ...]:
            return ("moved",) if changed and self.now > NS_PER_S else ("as ever",)

    kernel = Told()
    starvation = Starvation(kernel)
    since = 0
    for second in range(1, 6):
        kernel.now = second * NS_PER_S
        since = starvation.since(5)
    assert bool(since) is starved


def test_the_kernel_says_how_long_this_process_waited_for_a_cpu() -> None:
    if not Path("/proc/self/schedstat").exists():
        pytest.skip("this kernel keeps no account of waits")
    assert str(os.getpid()) in procfs.waited_ns(os.getpid())
    assert procfs.waited_ns(0) == {}


def test_the_terms_of_a_process_change_with_its_priority_group_and_limit(tmp_path: Path) -> None:
    def given(nice: int, group: str, quota: str, policy: int = 0) -> tuple[str, ...]:
        fields = ["S", *map(str, range(1, 50))]
        fields[16], fields[38] = str(nice), str(policy)
        (tmp_path / "proc" / "5").mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc" / "5" / "stat").write_text(f"5 (a) b) {' '.join(fields)}\n", encoding="ascii")
        (tmp_path / "proc" / "5" / "cgroup").write_text(f"7:freezer:/x\n1:cpu:{group}\n", encoding="ascii")
        (tmp_path / "groups" / "cpu" / group.lstrip("/")).mkdir(parents=True, exist_ok=True)
        file = tmp_path / "groups" / "cpu" / group.lstrip("/") / "cpu.cfs_quota_us"
        file.write_text(quota, encoding="ascii")
        return terms(5, proc=tmp_path / "proc", groups=tmp_path / "groups")

    usual = given(0, "/calm", "-1")
    assert given(0, "/calm", "-1") == usual
    assert len({usual, given(19, "/calm", "-1"), given(0, "/other", "-1"), given(0, "/calm", "1000")}) == 4
    assert given(0, "/calm", "-1", policy=5) != usual
    assert terms(6, proc=tmp_path / "proc") == ()


def test_the_terms_of_this_process_are_read(sleeper: subprocess.Popen[bytes]) -> None:
    before = terms(sleeper.pid)
    assert before == terms(sleeper.pid) != ()
    os.setpriority(os.PRIO_PROCESS, sleeper.pid, 19)
    assert terms(sleeper.pid) != before

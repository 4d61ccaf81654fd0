"""How CPU time is counted: of processes over all their starts, of control groups, of the machine."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.clock import NS_PER_S
from harness.errors import StartError
from harness.runtime.kernel.cgroup_cpu import used_ns
from harness.runtime.kernel.cpus import CpuTimes, cpu_times
from harness.runtime.ledger import Ledger
from harness.runtime.process.child import Child
from harness.runtime.process.supervised import SupervisedProcess

_SPENT_S = 0.2
_SPEND = f"import time\nwhile time.process_time() < {_SPENT_S}: pass\n"


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    ledger = Ledger(f"accounts-{tmp_path.name}", tmp_path)
    yield ledger
    ledger.close()


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-E", "-c", code)


def test_all_incarnations_of_a_process_count_however_they_end(ledger: Ledger, tmp_path: Path) -> None:
    async def run() -> None:
        process = SupervisedProcess("p", ledger, tmp_path / "p.log")
        before = Child.reaped_cpu_ns
        assert process.cpu_ns == 0
        await process.launch(python(_SPEND), {})
        assert await process.wait() == 0
        first = process.cpu_ns
        assert first >= _SPENT_S * NS_PER_S
        with pytest.raises(StartError):
            await process.launch(("/nowhere/at/all",), {})
        assert process.cpu_ns == first, "a start that failed costs nothing and takes nothing away"
        await process.launch(python(_SPEND + "print('spent', flush=True)\nwhile True: pass"), {}, pipes=True)
        assert process.process.stdout is not None
        assert await process.process.stdout.readline() == b"spent\n"
        assert process.cpu_ns >= first + (_SPENT_S - 0.03) * NS_PER_S, "it still runs: counted in ticks"
        assert not await process.end(signal.SIGSTOP, 0.01)
        assert process.returncode == -signal.SIGKILL
        assert process.cpu_ns >= first + _SPENT_S * NS_PER_S
        assert Child.reaped_cpu_ns - before == process.cpu_ns

    asyncio.run(run())


def test_the_children_of_a_process_count_once_it_has_waited_for_them(ledger: Ledger, tmp_path: Path) -> None:
    async def run() -> None:
        process = SupervisedProcess("p", ledger, tmp_path / "p.log")
        code = f"import subprocess, sys\nsubprocess.run([sys.executable, '-S', '-E', '-c', {_SPEND!r}])"
        await process.launch(python(code), {})
        assert await process.wait() == 0
        assert process.cpu_ns >= _SPENT_S * NS_PER_S

    asyncio.run(run())


def test_a_child_talks_through_its_pipes_and_ends_by_a_signal(tmp_path: Path) -> None:
    async def run() -> None:
        code = "import sys\nfor line in sys.stdin: print(line.strip().upper(), flush=True)\nsys.exit(3)"
        with (tmp_path / "log").open("ab") as log:
            child, other = (Child(python(code), dict(os.environ), log, pipes=True) for _ in range(2))
            await asyncio.gather(child.connect(), other.connect())
        assert child.stdin is not None
        assert child.stdout is not None
        assert other.stdout is not None
        child.stdin.write(b"go\n")
        assert await child.stdout.readline() == b"GO\n"
        child.stdin.close()
        assert await child.wait() == 3
        assert await child.stdout.read() == b""
        other.send(signal.SIGTERM)
        assert await other.wait() == -signal.SIGTERM
        other.send(signal.SIGTERM)  # it has ended: no other process gets it
        assert await other.stdout.read() == b""

    asyncio.run(run())


def test_a_control_group_says_what_it_has_used(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    for group in (first, second):
        group.mkdir()
    (first / "cpuacct.usage").write_text("2120836123\n")
    (second / "cpu.stat").write_text("usage_usec 41\nuser_usec 40\nsystem_usec 1\n")
    assert used_ns(first) == 2_120_836_123
    assert used_ns(second) == 41_000
    with pytest.raises(OSError, match=r"cpu\.stat"):
        used_ns(tmp_path / "gone")


def test_the_machine_is_as_busy_as_its_cpus_were_not_idle(tmp_path: Path) -> None:
    (number, *_) = sorted(os.sched_getaffinity(0))
    stat = tmp_path / "stat"
    stat.write_text(f"cpu  9 9 9 9\ncpu{number} 100 0 50 800 50 0 0 10 7 0\ncpu99999 5 5 5 5 5 5 5 5 5 5\nintr 12\n")
    before = cpu_times(stat)
    assert before == CpuTimes(busy=160, total=1010)
    stat.write_text(f"cpu{number} 130 0 60 850 60 0 0 10 7 0\n")
    assert cpu_times(stat).share_since(before) == 0.4
    assert before.share_since(before) == -1.0, "no time has passed"
    assert cpu_times(tmp_path / "none").share_since(cpu_times(tmp_path / "none")) == -1.0
    assert 0.0 <= cpu_times().share_since(CpuTimes(0, 0)) <= 1.0

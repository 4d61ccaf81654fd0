"""Control groups, ports, the process table and the ledger."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.engine.rundir import new_run_id
from harness.errors import AbilityError
from harness.runtime.kernel import cgroup, procfs
from harness.runtime.kernel.cgroup_cpu import CpuController, CpuGroup, find_controller
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger, sweep


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


def _version_2(root: Path, handed_down: str) -> Path:
    """A folder that looks like a version-2 hierarchy (a fake: nothing is limited by it)."""
    root.mkdir()
    (root / "cgroup.controllers").write_text("cpu memory")
    (root / "cgroup.subtree_control").write_text(handed_down)
    return root


def test_a_version_2_hierarchy_that_hands_the_cpu_controller_down_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = _version_2(tmp_path / "cgroup", "cpu memory")
    make, remove = Path.mkdir, Path.rmdir

    def kernel_fills_it(self: Path, *words: Any, **named: Any) -> None:
        make(self, *words, **named)
        if self.name.startswith(cgroup.PREFIX):
            (self / "cpu.max").write_text("max 100000")

    def kernel_empties_it(self: Path) -> None:
        (self / "cpu.max").unlink(missing_ok=True)
        remove(self)

    monkeypatch.setattr(Path, "mkdir", kernel_fills_it)
    monkeypatch.setattr(Path, "rmdir", kernel_empties_it)
    assert find_controller(root) == CpuController(root, 2)


def test_a_version_2_hierarchy_without_the_cpu_controller_is_refused_and_left_alone(tmp_path: Path) -> None:
    root = _version_2(tmp_path / "cgroup", "memory")
    with pytest.raises(AbilityError, match="CPU limits are not possible"):
        find_controller(root)
    assert (root / "cgroup.subtree_control").read_text() == "memory"


def test_version_2_files_are_written_and_read(tmp_path: Path) -> None:
    group = CpuGroup(CpuController(tmp_path, 2), "r-n1")
    group.create()
    assert group.path.name == "broker-chaos-r-n1"
    assert (group.path / "cpu.weight").read_text() == "300", "three tasks next to what is in no group"
    (group.path / "cpu.stat").write_text(
        "usage_usec 9\nnr_periods 50\nnr_throttled 12\nthrottled_usec 340\nnr_bursts 0\nburst_usec 0\n"
    )
    group.limit(0.2)
    assert (group.path / "cpu.max").read_text() == "20000 100000"
    assert (group.path / "cpu.weight").read_text() == "10000", "neighbours do not take what it may use"
    use = group.use()
    assert use.weight == 100
    assert (use.quota_cores, use.periods, use.throttled, use.throttled_ns) == (0.2, 50, 12, 340_000)
    group.limit(1.0)
    assert group.use().weight == 3, "with a core and more it could starve others"
    group.limit(0.999)
    assert group.use().weight == 100
    group.limit(None)
    assert group.use().quota_cores is None
    assert group.use().weight == 3
    (group.path / "cpu.weight").unlink()
    assert group.use().weight == 0, "not known"


def test_version_1_files_are_written_and_read(tmp_path: Path) -> None:
    group = CpuGroup(CpuController(tmp_path, 1), "r-n1")
    group.create()
    assert (group.path / "cpu.shares").read_text() == "3072"
    (group.path / "cpu.stat").write_text("nr_periods 5\nnr_throttled 2\nthrottled_time 77\n")
    group.limit(1.5)
    assert (group.use().quota_cores, group.use().weight) == (1.5, 3)
    group.limit(0.0001)
    assert (group.path / "cpu.shares").read_text() == "102400"
    assert (group.path / "cpu.cfs_quota_us").read_text() == "1000", "the kernel's least quota"
    group.limit(None)
    use = group.use()
    assert (use.quota_cores, use.periods, use.throttled, use.throttled_ns, use.weight) == (None, 5, 2, 77, 3)


class Orders(CpuGroup):
    """Notes in which order its files are written."""

    def __init__(self, controller: CpuController, name: str) -> None:
        super().__init__(controller, name)
        self.written: list[str] = []

    def _write(self, name: str, text: str) -> None:
        self.written.append(f"{name} {text}")


def test_a_group_is_never_heavy_without_its_quota(tmp_path: Path) -> None:
    group = Orders(CpuController(tmp_path, 2), "r-n1")
    group.limit(0.5)
    assert group.written == ["cpu.max 50000 100000", "cpu.weight 10000"]
    group.written.clear()
    group.limit(None)
    assert group.written[:2] == ["cpu.weight 300", "cpu.max max 100000"]


def test_ports_are_free_below_the_ephemeral_range_and_never_shared() -> None:
    first, second = Ports(), Ports()
    drawn = {first.draw() for _ in range(50)} | {second.draw() for _ in range(50)}
    assert len(drawn) == 100
    assert max(drawn) < int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    first.release()
    second.release()


def test_a_port_is_held_against_other_processes_until_its_holder_is_dead() -> None:
    code = "from harness.runtime.kernel.ports import Ports; ports = Ports(); print(ports.draw(), flush=True); input()"
    ports = Ports()
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        assert not ports._hold(port)
        holder.kill()
    assert ports._hold(port)
    ports.release()


def test_a_port_that_somebody_listens_on_is_not_drawn() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        ports = Ports()
        offered = iter([taken, taken, 10_123])

        class Offers:
            """A fake source of randomness that offers the taken port first."""

            def randrange(self, *_: int) -> int:
                port: int = next(offered)
                return port

        ports._random = Offers()  # type: ignore[assignment]
        assert ports.draw() == 10_123
        ports.release()


def test_ports_that_must_lie_apart_are_drawn_and_held_together_or_not_at_all() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = listener.getsockname()[1]
        ports, others = Ports(), Ports()
        offered = iter([taken + 2, taken - 1, 10_200])

        class Offers:
            """A fake source of randomness that offers ports whose neighbours are taken."""

            def randrange(self, *_: int) -> int:
                port: int = next(offered)
                return port

        ports._random = Offers()  # type: ignore[assignment]
        assert ports.draw((-2, 1)) == 10_200
        assert set(ports._held) == {10_198, 10_200, 10_201}
        assert not any(others._hold(port) for port in ports._held)
        ports.release()


def _sleeper(run_id: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"],
        env=os.environ | {procfs.MARK: run_id},
        stdout=subprocess.PIPE,
    )


def _begun(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()


def test_a_live_run_is_never_swept_and_a_dead_one_is(tmp_path: Path) -> None:
    ledger = Ledger(new_run_id(), tmp_path)
    process = _sleeper(ledger.run_id)
    _begun(process)
    assert sweep() == ()
    assert process.poll() is None
    # The lease goes with its holder: here the descriptor is closed as the kernel would.
    fcntl.flock(ledger._lease, fcntl.LOCK_UN)
    (listed,) = sweep(remove=False)
    assert process.poll() is None
    assert any(f"process {process.pid} " in item for item in listed.items)
    (swept,) = sweep()
    assert swept.run_id == ledger.run_id
    assert process.wait(5) == -9
    assert sweep() == ()


def test_closing_a_ledger_ends_what_is_left_of_its_run_only(tmp_path: Path) -> None:
    mine, other = Ledger(new_run_id(), tmp_path), Ledger(new_run_id(), tmp_path)
    left, foreign = _sleeper(mine.run_id), _sleeper(other.run_id)
    _begun(left)
    _begun(foreign)
    assert len(mine.close()) == 1
    assert left.wait(5) == -9
    assert foreign.poll() is None
    other.close()
    assert foreign.wait(5) == -9


def test_a_process_without_the_mark_is_never_killed() -> None:
    own = new_run_id()
    process = _sleeper(own)
    _begun(process)
    assert not procfs.kill_marked(new_run_id(), process.pid)
    assert process.poll() is None
    assert procfs.identity(process.pid) is not None
    assert procfs.kill_marked(own, process.pid)
    process.wait(5)
    assert procfs.identity(process.pid) is None


def test_sockets_of_a_process_are_seen() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert ("127.0.0.1", listener.getsockname()[1]) in procfs.local_sockets(os.getpid())

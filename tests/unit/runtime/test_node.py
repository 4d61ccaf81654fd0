"""What a node is in both runtimes: its files, which of its ends are reported, its limits and its CPU load."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.runtime.base import MemoryUse, NodeSpec
from harness.runtime.kernel.cgroup_cpu import CpuGroup
from harness.runtime.node import BrokerNode
from harness.runtime.process.node import ProcessNode


class FakeLoad:
    """The CPU load of a node, as calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    async def start(self, holder: str, count: int, group: Any) -> None:
        self.calls.append(("start", holder, count, group))

    def stop(self, holder: str) -> None:
        self.calls.append(("stop", holder))


class FakeNode(BrokerNode):
    """A node without a process; the kernel says why it has ended."""

    def __init__(self, spec: NodeSpec, load: FakeLoad, *, short_of_memory: bool = False) -> None:
        self.deaths: list[int] = []
        self.ends: list[tuple[int, float]] = []
        self.limits: list[tuple[str, float | None]] = []
        self._short_of_memory = short_of_memory
        super().__init__(spec, None, self.deaths.append, cast("Any", load))

    def begin(self) -> None:
        """Start it, as far as there is anything to start."""
        self._write_files()

    def die(self, code: int = 1) -> None:
        """End it by itself."""
        self._report_end(code)

    def memory_use(self) -> MemoryUse:
        raise NotImplementedError

    async def end(self, number: signal.Signals, timeout_s: float) -> bool:
        self.ends.append((number, timeout_s))
        return True

    def _ended_for_memory(self, code: int) -> bool:
        del code
        return self._short_of_memory

    def _cpu_group(self) -> CpuGroup:
        return cast("CpuGroup", "its group")

    def _set_cpu_limit(self, cores: float | None) -> None:
        self.limits.append(("cpu", cores))

    def _set_memory_limit(self, limit_bytes: int | None) -> None:
        self.limits.append(("memory", limit_bytes))


def spec_in(folder: Path) -> NodeSpec:
    return NodeSpec(
        name="n1",
        argv=("/nowhere",),
        files={folder / "conf" / "n1.conf": "port: 1"},
        data_dir=folder / "data",
        seeds={folder / "data" / "seed": b"first"},
        stop_timeout_s=7.0,
    )


def test_its_configuration_is_written_at_each_start_and_its_seeds_at_the_first(tmp_path: Path) -> None:
    node = FakeNode(spec_in(tmp_path), FakeLoad())
    node.begin()
    for path, text in ((tmp_path / "conf" / "n1.conf", "port: 1"), (tmp_path / "data" / "seed", "first")):
        assert path.read_text(encoding="utf-8") == text
        path.write_text("of its own", encoding="utf-8")
    node.begin()
    assert (tmp_path / "conf" / "n1.conf").read_text(encoding="utf-8") == "port: 1"
    assert (tmp_path / "data" / "seed").read_text(encoding="utf-8") == "of its own"


def test_an_end_that_a_fault_expects_is_not_reported(tmp_path: Path) -> None:
    node = FakeNode(spec_in(tmp_path), FakeLoad())
    node.die(1)
    for holder in ("disk_full-1", "power_loss-1"):
        node.expect_end_by(holder, expected=True)
    node.die(2)
    node.expect_end_by("disk_full-1", expected=False)
    node.die(3)
    node.expect_end_by("power_loss-1", expected=False)
    node.die(4)
    assert node.deaths == [1, 4]


@pytest.mark.parametrize(
    ("limited", "short_of_memory", "reported"),
    [(True, True, False), (True, False, True), (False, True, True)],
)
def test_an_end_for_lack_of_memory_is_the_limit_s(
    limited: bool, short_of_memory: bool, reported: bool, tmp_path: Path
) -> None:
    node = FakeNode(spec_in(tmp_path), FakeLoad(), short_of_memory=short_of_memory)
    node.limit_memory("memory-1", 1 << 20)
    if not limited:
        node.limit_memory("memory-1", None)
    node.die(-9)
    assert bool(node.deaths) is reported


def test_a_holder_s_load_ends_with_its_limit(tmp_path: Path) -> None:
    load = FakeLoad()
    node = FakeNode(spec_in(tmp_path), load)
    for holder, cores in (("cpu-1", 0.5), ("cpu-2", 0.2)):
        node.limit_cpu(holder, cores)
        asyncio.run(node.burn(holder, 1))
    node.limit_cpu("cpu-2", None)
    assert node.limits == [("cpu", 0.5), ("cpu", 0.2), ("cpu", 0.5)]
    assert load.calls == [("start", "cpu-1", 1, "its group"), ("start", "cpu-2", 1, "its group"), ("stop", "cpu-2")]


def test_it_is_stopped_by_sigterm_and_killed_by_sigkill(tmp_path: Path) -> None:
    node = FakeNode(spec_in(tmp_path), FakeLoad())
    asyncio.run(node.stop())
    asyncio.run(node.kill())
    assert node.ends == [(signal.SIGTERM, 7.0), (signal.SIGKILL, 7.0)]


@pytest.mark.parametrize(
    ("code", "killed", "for_memory"), [(-9, 3, True), (-9, 2, False), (-15, 3, False)], ids=["killed", "not", "ended"]
)
def test_a_process_ended_for_lack_of_memory_when_the_kernel_has_counted_one_more(
    code: int, killed: int, for_memory: bool, tmp_path: Path
) -> None:
    nothing: Any = None
    log = tmp_path / "n1.log"
    node = ProcessNode(spec_in(tmp_path), nothing, log, lambda _: None, cpu=None, memory=None, disk=None)
    use = MemoryUse(limit_bytes=1, used_bytes=0, most_bytes=0, at_limit=0, killed=killed)
    node._memory, node._killed_before = cast("Any", SimpleNamespace(use=lambda: use)), 2
    assert node._ended_for_memory(code) is for_memory

"""The cluster and the runtime of the fake in memory (see ``in_memory``): a node is a flag, a link is a name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from support.in_memory_clients import MemoryLog

from harness.runtime.base import CpuUse, Disk, Identity, Link, MemoryUse, NodeSpec
from harness.runtime.contract import ProxyControl, SourceAddresses


@dataclass(slots=True)
class MemoryCluster:
    """The one node and its logs, and how it misbehaves.

    Attributes:
        logs: Of each partition.
        serves: The node runs and is not frozen.
        loses: Sequence numbers of messages that it acknowledges and throws away.
        lie: What a client of it lies about once (``in_memory_liars``); empty for honest ones.
        blind: The monitor's round trips succeed whatever becomes of the node.
        node: As the runtime has made it.
        strangers: How its proxies differ from what the run has asked for.
    """

    logs: list[MemoryLog] = field(default_factory=list)
    serves: bool = False
    loses: frozenset[int] = frozenset()
    lie: str = ""
    blind: bool = False
    node: MemoryNode | None = None
    strangers: tuple[str, ...] = ()


class MemoryNode:
    """A node that is a flag."""

    disk: Disk | None = None
    cpu_ns = 0

    def __init__(self, spec: NodeSpec, cluster: MemoryCluster, on_death: Callable[[int], None]) -> None:
        self.spec = spec
        self.returncode: int | None = None
        self._cluster, self._on_death = cluster, on_death
        self._starts, self._runs = 0, False
        self._pauses: set[str] = set()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int:
        return os.getpid() if self._runs else 0

    @property
    def held(self) -> bool:
        return bool(self._pauses)

    async def start(self) -> None:
        self._starts, self._runs, self.returncode = self._starts + 1, True, None
        self._changed()

    async def stop(self) -> None:
        self._end(0)

    async def kill(self) -> None:
        self._end(-9)

    def die(self, code: int = 139) -> None:
        """End by itself."""
        self._end(code)
        self._on_death(code)

    def alive(self) -> bool:
        return self._runs

    def identity(self) -> Identity | None:
        return Identity(pid=1, start_ticks=self._starts) if self._runs else None

    def logs(self, lines: int = 20) -> str:
        return ""

    def expect_end_by(self, holder: str, *, expected: bool) -> None:
        return

    def pause(self, holder: str) -> None:
        self._pauses.add(holder)
        self._changed()

    def resume(self, holder: str) -> None:
        self._pauses.discard(holder)
        self._changed()

    def state(self) -> str:
        return "" if not self._runs else "T" if self._pauses else "S"

    def limit_cpu(self, holder: str, cores: float | None) -> None:
        raise NotImplementedError

    async def burn(self, holder: str, count: int) -> None:
        raise NotImplementedError

    def cpu_use(self) -> CpuUse:
        raise NotImplementedError

    def limit_memory(self, holder: str, limit_bytes: int | None) -> None:
        raise NotImplementedError

    def memory_use(self) -> MemoryUse:
        raise NotImplementedError

    def release(self) -> None:
        return

    def _end(self, code: int) -> None:
        if self._runs:
            self._runs, self.returncode = False, code
            self._changed()

    def _changed(self) -> None:
        self._cluster.serves = self._runs and not self._pauses


class NoProxies:
    """Links of the fake are names: nothing can be done to them.

    Args:
        differences: What the fake server has that the run has not asked for.
    """

    def __init__(self, differences: Sequence[str] = ()) -> None:
        self._differences = differences

    def differences(self) -> Sequence[str]:
        return self._differences

    def add_toxic(self, link: str, name: str, kind: str, stream: str, attributes: Mapping[str, int]) -> None:
        raise NotImplementedError

    def update_toxic(self, link: str, name: str, attributes: Mapping[str, int]) -> None:
        raise NotImplementedError

    def let_pass(self, link: str, name: str) -> None:
        raise NotImplementedError

    def remove_toxic(self, link: str, name: str) -> None:
        raise NotImplementedError

    def switch_off(self, link: str, holder: str) -> None:
        raise NotImplementedError

    def switch_on(self, link: str, holder: str) -> None:
        raise NotImplementedError


class MemoryRuntime:
    """Where the fake node lives; links are names."""

    kind = "process"
    bind = "127.0.0.1"
    proxies_cpu_ns = 0

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster
        self.stopped = False

    @property
    def control(self) -> ProxyControl:
        return NoProxies(self._cluster.strangers)

    def peer_host(self, node: str) -> str:
        return self.bind

    def node(self, spec: NodeSpec, log: Path, on_death: Callable[[int], None], disk: Disk | None) -> MemoryNode:
        self._cluster.node = MemoryNode(spec, self._cluster, on_death)
        return self._cluster.node

    async def start_proxies(
        self, links: Iterable[Link], logs: Path, on_death: Callable[[int], None], trouble: Callable[[str], None]
    ) -> None:
        return

    async def stop(self) -> None:
        self.stopped = True

    def proxy_pids(self) -> Mapping[str, int]:
        return {}

    def sources(self, node: str, own: tuple[int, ...]) -> SourceAddresses:
        return SourceAddresses(proxies=frozenset(), harness=frozenset(), gateways=frozenset())

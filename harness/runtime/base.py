"""The launch contract: what a broker module asks for, and what every runtime can do with a node.

A broker yields a ``NodeSpec``; each runtime carries it out, so that a scenario means the same in all of them. Knows no
broker and no fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

UNKNOWN_STATUS = -1
"""Exit status of what a container engine does not say more of than that it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSpec:
    """How one node is started.

    Attributes:
        name: ``n1``…
        argv: Command line; the first word is an absolute path.
        files: Configuration files to write before each start, path → content.
        data_dir: Where the node keeps its data; survives restarts of the node within a run.
        seeds: Files to put there before the first start, and never again: from then on they are the node's own.
        env: Environment variables in addition to a minimal one.
        ports: Role (``client``, ``cluster``, ``monitor``) → loopback port.
        stop_timeout_s: How long SIGTERM may take before SIGKILL follows.
    """

    name: str
    argv: tuple[str, ...]
    files: Mapping[Path, str]
    data_dir: Path
    seeds: Mapping[Path, bytes] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    stop_timeout_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One proxy of a link: the path to one of a node's ports.

    Attributes:
        name: The link's name; that of a further port adds the port's role (``n1->n2.controller``).
        host, port: Where the proxy listens: what the source dials.
        upstream: Address of the node's own listener.
        protocol: What is spoken on it, see ``ChannelSpec``.
    """

    name: str
    host: str
    port: int
    upstream: str
    protocol: str = ""

    @property
    def address(self) -> str:
        """``host:port`` to dial."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A TCP path through Toxiproxy, to one or several ports of a node; what acts on a link acts on all its channels.

    Attributes:
        name: ``clients->n1`` (client zone → node) or ``n1->n2`` (node → node).
        source: Zone or node it starts from.
        node: Node or service it leads to.
        role: ``client`` (from a client zone), ``peer`` (from node to node), ``service`` (from a node to a service) or
            ``control`` (the monitor's own, which no fault touches).
        channels: At least one; the first bears the link's name.
        keeps: A probe may keep a connection through it.
        gateway: Of a client link: where the gateway in front of it listens; empty without one.
    """

    name: str
    source: str
    node: str
    role: str
    channels: tuple[Channel, ...]
    keeps: bool = True
    gateway: str = ""

    @property
    def address(self) -> str:
        """``host:port`` of the first channel's proxy."""
        return self.channels[0].address

    @property
    def dialled(self) -> str:
        """``host:port`` of what the source dials first: the gateway where there is one, else the first channel's
        proxy.
        """
        return self.gateway or self.address

    @property
    def upstream(self) -> str:
        """Address of the node's own listener behind the first channel."""
        return self.channels[0].upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuUse:
    """CPU accounting of a node: cumulative counters of its control group.

    Attributes:
        quota_cores: Limit in force as the kernel reports it; None without one.
        periods: Enforcement periods that passed while it had something to run.
        throttled: Of these, how many it was throttled in.
        throttled_ns: Total time its threads were throttled.
        weight: As how many tasks it counts when CPUs are short, as the kernel reports it; 0 where that is not known.
    """

    quota_cores: float | None
    periods: int
    throttled: int
    throttled_ns: int
    weight: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Memory accounting of a node: what the kernel says of its control group.

    Attributes:
        limit_bytes: In force; None without one.
        used_bytes: Just now.
        most_bytes: Most that was in use since the limit was last set; 0 where the kernel cannot say.
        at_limit: How often the limit was hit so far. A container's counters begin again with each of its starts.
        killed: How many of its processes the kernel has ended for lack of memory so far.
    """

    limit_bytes: int | None
    used_bytes: int
    most_bytes: int
    at_limit: int
    killed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Which incarnation of a node's process this is: the pid and its start time in clock ticks since boot."""

    pid: int
    start_ticks: int


class Node(Protocol):
    """One broker process with its data directory, under a runtime's supervision."""

    spec: NodeSpec

    @property
    def name(self) -> str:
        """The node's name."""
        ...

    async def start(self) -> None:
        """Start the process; returns when it runs, not when it is ready. Raises StartError (definite)."""
        ...

    async def stop(self) -> None:
        """Send SIGTERM, then SIGKILL after ``stop_timeout_s``; returns when it is gone."""
        ...

    async def kill(self) -> None:
        """Send SIGKILL; returns when it is gone."""
        ...

    def alive(self) -> bool:
        """Return whether the process exists (a paused one does)."""
        ...

    def identity(self) -> Identity | None:
        """Return the identity of the running process, read from the operating system; None when it is gone."""
        ...

    def logs(self, lines: int = 20) -> str:
        """Return the last lines of the node's output."""
        ...

    def expect_end_by(self, holder: str, *, expected: bool) -> None:
        """Note that a holder expects the end of the process: until it no longer does, the end is no surprise."""
        ...


@runtime_checkable
class Pausable(Protocol):
    """A node (or worker) that can be frozen; pauses of several holders nest."""

    def pause(self, holder: str) -> None:
        """Send SIGSTOP; it stays paused until every holder has resumed, also when it is started again meanwhile."""
        ...

    def resume(self, holder: str) -> None:
        """Send SIGCONT when ``holder`` was the last one."""
        ...

    def state(self) -> str:
        """Return the scheduler state as the operating system reports it (``T`` = stopped; empty when gone)."""
        ...


@runtime_checkable
class CpuLimited(Protocol):
    """A node whose CPU time can be limited."""

    def limit_cpu(self, holder: str, cores: float | None) -> None:
        """Limit to ``cores`` (the smallest of all holders' limits counts), or lift this holder's limit with None."""
        ...

    async def burn(self, holder: str, count: int) -> None:
        """Run ``count`` spinning processes inside the same limit until ``holder``'s limit is lifted."""
        ...

    def cpu_use(self) -> CpuUse:
        """Return the kernel's own accounting."""
        ...


@runtime_checkable
class MemoryLimited(Protocol):
    """A node whose memory can be limited."""

    def limit_memory(self, holder: str, limit_bytes: int | None) -> None:
        """Limit to so many bytes (the smallest of all holders' limits counts), or lift this holder's
        limit with None.
        """
        ...

    def memory_use(self) -> MemoryUse:
        """Return the kernel's own accounting."""
        ...


class Disk(Protocol):
    """A node's own file system; blocking calls that raise StartError (definite) where they cannot.

    Attributes:
        filesystem: ``xfs`` or ``ext4``.
        generation: Grows with each mount.
    """

    filesystem: str
    generation: int

    def create(self) -> None:
        """Make the file system and mount it."""
        ...

    def mount(self) -> None:
        """Mount it; the kernel recovers its log."""
        ...

    def mark(self) -> None:
        """Write a file and sync nothing: a power cut right after this must lose it."""
        ...

    def marked(self) -> bool:
        """Return whether that file is there."""
        ...

    def cut(self) -> None:
        """Shut the file system down without a flush of its log: nothing is written to it from now on."""
        ...

    def refuses(self) -> str:
        """Return the error with which it refuses to take a new file (``EIO``); empty when it takes one."""
        ...

    def unmount(self) -> None:
        """Unmount it and wait until its loop device has gone."""
        ...

    def sync(self) -> None:
        """Write everything of this file system to its device."""
        ...

    def free_bytes(self) -> int:
        """Return what an ordinary user could still write."""
        ...

    def fill(self, holder: str, leave_bytes: int) -> None:
        """Take all free room but ``leave_bytes`` with a file of the holder's."""
        ...

    def free(self, holder: str) -> None:
        """Give the holder's room back; harmless when it took none."""
        ...

    def takes(self, size_bytes: int) -> bool:
        """Return whether it would take a file of this size just now."""
        ...

    def destroy(self) -> None:
        """Unmount it and remove what held it."""
        ...

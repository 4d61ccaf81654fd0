"""What the engine and the faults need of a runtime: the place where the nodes and proxies of one run live.

Two fulfil it: supervised processes and containers. Both carry out the same ``NodeSpec`` and ``Link``, so that a
scenario means the same in both. Knows no broker, no fault and not the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.runtime.base import CpuLimited, Disk, Link, MemoryLimited, Node, NodeSpec, Pausable
from harness.runtime.kernel.procfs import Address

RUNTIMES = ("process", "docker")
"""Every kind of runtime, by its name on the command line."""


class ProxyControl(Protocol):
    """Toxiproxy, whichever server a link runs through; blocking calls with deadlines, raising ControlError."""

    def differences(self) -> Sequence[str]:
        """Return how the servers' proxies and toxics differ from what the run has asked for, one sentence each."""
        ...

    def add_toxic(self, link: str, name: str, kind: str, stream: str, attributes: Mapping[str, int]) -> None:
        """Add a toxic and read it back."""
        ...

    def update_toxic(self, link: str, name: str, attributes: Mapping[str, int]) -> None:
        """Change a toxic and check the answer."""
        ...

    def let_pass(self, link: str, name: str) -> None:
        """Have a toxic hold nothing back any more, and check the answer."""
        ...

    def remove_toxic(self, link: str, name: str) -> None:
        """Remove a toxic and check that it is gone."""
        ...

    def switch_off(self, link: str, holder: str) -> None:
        """Close a link's proxies, and every connection through them, for as long as any holder wants it."""
        ...

    def switch_on(self, link: str, holder: str) -> None:
        """Open them again if ``holder`` was the last one to have closed them."""
        ...


class RunNode(Node, Pausable, CpuLimited, MemoryLimited, Protocol):
    """A node as a runtime makes it."""

    disk: Disk | None

    @property
    def pid(self) -> int:
        """Process id on this machine; 0 when it does not run."""
        ...

    @property
    def cpu_ns(self) -> int:
        """CPU time of all its incarnations so far, and of what loads its CPU on purpose."""
        ...

    @property
    def held(self) -> bool:
        """Whether a fault of the plan keeps it stopped."""
        ...

    @property
    def returncode(self) -> int | None:
        """Exit status of its last process; negative, or above 128, = by a signal; None while it runs."""
        ...

    def release(self) -> None:
        """Give back what is left of it once its process has gone (its control group)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAddresses:
    """Where connections that a node has accepted may come from, in the node's own network namespace.

    Attributes:
        proxies: Sockets of the run's Toxiproxy servers.
        harness: Sockets of the harness and its monitor, as far as they are seen from there.
        gateways: Addresses that stand for this machine, whatever the port; only the harness asks nodes directly.
    """

    proxies: frozenset[Address]
    harness: frozenset[Address]
    gateways: frozenset[str]

    def are_harness(self, remote: Address) -> bool:
        """Return whether a remote address may be the harness."""
        return remote in self.harness or remote[0] in self.gateways


class Runtime(Protocol):
    """Where the nodes and proxies of one run live.

    Attributes:
        kind: ``process`` or ``docker``.
        bind: Address on which nodes listen.
    """

    kind: str
    bind: str

    @property
    def control(self) -> ProxyControl:
        """Toxiproxy of this run."""
        ...

    def peer_host(self, node: str) -> str:
        """Return where the proxies of links from other nodes reach this one; clients' proxies reach it on 127.0.0.1."""
        ...

    def node(self, spec: NodeSpec, log: Path, on_death: Callable[[int], None], disk: Disk | None) -> RunNode:
        """Return a node that is not started yet.

        Args:
            spec: From the broker.
            log: Output file.
            on_death: Called with the exit status when it ends unexpectedly.
            disk: Its own file system, or None.
        """
        ...

    async def start_proxies(
        self, links: Iterable[Link], logs: Path, on_death: Callable[[int], None], trouble: Callable[[str], None]
    ) -> None:
        """Start Toxiproxy and create every link; raises StartError (definite).

        ``on_death`` is called when a server ends unexpectedly, ``trouble`` with a sentence when one hung.
        """
        ...

    async def stop(self) -> None:
        """End the proxies and whatever else is not a node."""
        ...

    def proxy_pids(self) -> Mapping[str, int]:
        """Return name → pid of the Toxiproxy servers."""
        ...

    @property
    def proxies_cpu_ns(self) -> int:
        """CPU time of all Toxiproxy servers so far, over all their starts."""
        ...

    def sources(self, node: str, own: tuple[int, ...]) -> SourceAddresses:
        """Return where a node's accepted connections may come from; ``own``: pids of the harness and its monitor."""
        ...

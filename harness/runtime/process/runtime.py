"""The process runtime: nodes and one Toxiproxy as supervised processes on loopback."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from harness.errors import StartError
from harness.runtime.base import Disk, Link, NodeSpec
from harness.runtime.contract import SourceAddresses
from harness.runtime.kernel import procfs
from harness.runtime.kernel.capacity import Capacity
from harness.runtime.kernel.cgroup_cpu import CpuController
from harness.runtime.kernel.cgroup_memory import MemoryController
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger
from harness.runtime.process.node import ProcessNode
from harness.runtime.process.supervised import ProcessProgram
from harness.runtime.toxiproxy.control import ToxiproxyControl
from harness.runtime.toxiproxy.server import ToxiproxyServer, environment

_LOOPBACK = "127.0.0.1"


class ProcessRuntime:
    """Processes of one run.

    Args:
        toxiproxy: First words of Toxiproxy's command line.
        ledger, ports: Of the run.
        cpu, memory: Where control groups can be made; None when this run needs none.
    """

    kind = "process"
    bind = _LOOPBACK

    def __init__(
        self,
        toxiproxy: tuple[str, ...],
        ledger: Ledger,
        ports: Ports,
        *,
        cpu: CpuController | None,
        memory: MemoryController | None,
    ) -> None:
        self._toxiproxy = toxiproxy
        self._ledger = ledger
        self._port = ports.draw()
        self._cpu, self._memory = cpu, memory
        self._server: ToxiproxyServer | None = None

    @property
    def control(self) -> ToxiproxyControl:
        """The one server's."""
        if self._server is None:
            raise StartError("Toxiproxy was never started")
        return self._server.control

    def peer_host(self, node: str) -> str:
        """Return loopback: nodes are distinguished by their ports."""
        del node
        return _LOOPBACK

    def node(self, spec: NodeSpec, log: Path, on_death: Callable[[int], None], disk: Disk | None) -> ProcessNode:
        """Return a node, in control groups of its own where this run needs them."""
        return ProcessNode(spec, self._ledger, log, on_death, cpu=self._cpu, memory=self._memory, disk=disk)

    async def start_proxies(
        self, links: Iterable[Link], logs: Path, on_death: Callable[[int], None], trouble: Callable[[str], None]
    ) -> None:
        """Start the server and create every link; raises StartError (definite)."""
        program = toxiproxy_program(self._toxiproxy, self._port, self._ledger, logs / "toxiproxy.log", on_death)
        self._server = ToxiproxyServer(program, self._port)
        self._server.may_restart(trouble)
        await self._server.start(links)

    async def stop(self) -> None:
        """End the server."""
        if self._server is not None:
            await self._server.stop()

    def proxy_pids(self) -> Mapping[str, int]:
        """Return the one server's."""
        return {"toxiproxy": 0 if self._server is None else self._server.pid}

    @property
    def proxies_cpu_ns(self) -> int:
        """The one server's."""
        return 0 if self._server is None else self._server.cpu_ns

    def sources(self, node: str, own: tuple[int, ...]) -> SourceAddresses:
        """Return the server's sockets and the harness's own: all are in one network namespace."""
        del node
        return SourceAddresses(
            proxies=frozenset(procfs.local_sockets(self.proxy_pids()["toxiproxy"])),
            harness=frozenset(socket for pid in own for socket in procfs.local_sockets(pid)),
            gateways=frozenset(),
        )


def toxiproxy_program(
    command: tuple[str, ...], port: int, ledger: Ledger, log: Path, on_death: Callable[[int], None]
) -> ProcessProgram:
    """Return Toxiproxy's server as a process whose control port is ``port`` on 127.0.0.1."""
    argv = (*command, "-host", _LOOPBACK, "-port", str(port))
    env = environment(Capacity().cores())
    return ProcessProgram(argv, env, name="toxiproxy", ledger=ledger, log=log, on_death=on_death)

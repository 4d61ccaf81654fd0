"""The Docker runtime: each node is a *pod*, two containers that share one network namespace.

Toxiproxy's container owns the namespace, the node's name on the run's network and every published port; the broker's
container joins it. So a node that is killed and started again finds its addresses, its configuration is the one of the
process runtime but for the address it listens on, and what it dials on loopback addresses is its own pod's Toxiproxy.
Pod ``n1`` carries the links ``clients->n1``, ``n1->n2``, ``n1->n3``. Ports are published on loopback addresses of this
machine alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import StartError
from harness.runtime.base import Disk, Link, NodeSpec
from harness.runtime.contract import SourceAddresses
from harness.runtime.docker.container import Container, ContainerSpec
from harness.runtime.docker.engine import LABEL, TIMEOUT_S, engine
from harness.runtime.docker.node import ContainerNode
from harness.runtime.kernel import procfs
from harness.runtime.kernel.capacity import Capacity
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger
from harness.runtime.toxiproxy.router import ProxyRouter
from harness.runtime.toxiproxy.server import ToxiproxyServer, environment

_ANY = "[::]"
"""Every address of a pod, IPv4 as well, as Toxiproxy reads it back."""

_LOOPBACK = "127.0.0.1"


class DockerRuntime:
    """Pods of one run.

    Args:
        images: ``broker`` and ``toxiproxy`` → image.
        toxiproxy: First words of Toxiproxy's command line inside its image.
        published: Node → ports of it that the harness asks directly.
        ledger, ports: Of the run.
    """

    kind = "docker"
    bind = "0.0.0.0"  # noqa: S104  inside the pod's own network namespace

    def __init__(
        self,
        images: Mapping[str, str],
        toxiproxy: tuple[str, ...],
        published: Mapping[str, tuple[int, ...]],
        ledger: Ledger,
        ports: Ports,
    ) -> None:
        self._images = images
        self._toxiproxy = toxiproxy
        self._published = published
        self._ledger = ledger
        self._ports = ports
        self._network: Any = None
        self._gateways: frozenset[str] = frozenset()
        self._pods: dict[str, Container] = {}
        self._servers: dict[str, ToxiproxyServer] = {}
        self._nodes: list[ContainerNode] = []
        self.control = ProxyRouter()
        ledger.intend("docker")

    def peer_host(self, node: str) -> str:
        """Return the node's name on the run's network; its clients' links are in its own pod."""
        return node

    def node(self, spec: NodeSpec, log: Path, on_death: Callable[[int], None], disk: Disk | None) -> ContainerNode:
        """Return a node; it can be started once the proxies run."""
        joined = {"network_mode": f"container:chaos-{self._ledger.run_id}-{_pod(spec.name)}"}
        node = ContainerNode(spec, self._images["broker"], self._ledger, log, on_death, disk, joined)
        self._nodes.append(node)
        return node

    async def start_proxies(
        self, links: Iterable[Link], logs: Path, on_death: Callable[[int], None], trouble: Callable[[str], None]
    ) -> None:
        """Make the network, start a Toxiproxy for each node, create every link; raises StartError (definite)."""
        try:
            self._network, self._gateways = await asyncio.to_thread(_network, self._ledger.run_id)
        except Exception as error:
            raise StartError(f"cannot make the run's network: {error}") from error
        of_pod: dict[str, list[Link]] = {name: [] for name in self._published}
        for link in links:
            of_pod.setdefault(_home(link), []).append(link)
        await asyncio.gather(
            *(self._start_pod(name, tuple(carried), logs, on_death, trouble) for name, carried in of_pod.items())
        )

    async def _start_pod(
        self,
        node: str,
        links: tuple[Link, ...],
        logs: Path,
        on_death: Callable[[int], None],
        trouble: Callable[[str], None],
    ) -> None:
        channels = [channel for link in links for channel in link.channels]
        control = self._ports.draw()
        published = [(_LOOPBACK, control)]
        published += [(_LOOPBACK, port) for port in self._published.get(node, ())]
        published += [(channel.host, channel.port) for channel in channels]
        pod = Container(
            ContainerSpec(
                name=_pod(node),
                image=self._images["toxiproxy"],
                argv=(*self._toxiproxy, "-host", "0.0.0.0", "-port", str(control)),  # noqa: S104  as above
                env=environment(Capacity().cores()),
                published=published,
                settings={
                    "network": self._network.name,
                    "networking_config": _aliases(self._network.name, node),
                    "hostname": node,
                },
            ),
            self._ledger,
            logs / f"{_pod(node)}.log",
            on_death,
        )
        self._pods[node] = pod
        server = ToxiproxyServer(pod, control)
        self._servers[node] = server
        server.may_restart(trouble)
        inside = [
            dataclasses.replace(
                link, channels=tuple(dataclasses.replace(channel, host=_ANY) for channel in link.channels)
            )
            for link in links
        ]
        await server.start(tuple(inside))
        self.control.add(server.control, (link.name for link in links))

    async def stop(self) -> None:
        """Remove every container and the network."""
        await asyncio.gather(*(box.remove() for box in (*self._nodes, *self._pods.values())))
        if self._network is not None:
            await asyncio.to_thread(_remove_network, self._network)

    def proxy_pids(self) -> Mapping[str, int]:
        """Return ``toxiproxy-n1``… → pid."""
        return {_pod(name): pod.pid for name, pod in self._pods.items()}

    @property
    def proxies_cpu_ns(self) -> int:
        """That of all pods' servers, kernel's share included."""
        return sum(pod.cpu_ns for pod in self._pods.values())

    def sources(self, node: str, own: tuple[int, ...]) -> SourceAddresses:
        """Return the sockets of the pod's own Toxiproxy, and what of the others' leaves their pods."""
        del own  # seen from a pod, this machine is the network's gateway
        proxies = procfs.local_sockets(self._pods[node].pid)
        for other, pod in self._pods.items():
            if other != node:
                proxies |= {item for item in procfs.local_sockets(pod.pid) if not item[0].startswith("127.")}
        return SourceAddresses(proxies=frozenset(proxies), harness=frozenset(), gateways=self._gateways)


def _home(link: Link) -> str:
    """Return which pod carries a link: that of the node it starts from, or of the node that clients, or the monitor by
    a control path, reach by it.

    A client link that listens at the node's own port cannot be in the node's pod; its client zone then has one.
    """
    own = any(channel.upstream.endswith(f":{channel.port}") for channel in link.channels)
    return link.node if link.role not in {"peer", "service"} and not own else link.source


def _pod(node: str) -> str:
    return f"toxiproxy-{node}"


def _network(run_id: str) -> tuple[Any, frozenset[str]]:
    """Make the run's network; return it and the addresses at which its containers see this machine."""
    from testcontainers.core.config import testcontainers_config  # noqa: PLC0415  only runs with containers load it
    from testcontainers.core.network import Network  # noqa: PLC0415

    with engine() as client:
        # The reaper removes what a dead session left, too; without its image the sweep by label does it alone.
        if not client.images.list(name=testcontainers_config.ryuk_image):
            testcontainers_config.ryuk_disabled = True
        network = Network(
            docker_client_kw={"timeout": TIMEOUT_S}, docker_network_kw={"labels": {LABEL: run_id}}
        ).create()
        found = client.networks.get(network.id).attrs["IPAM"]["Config"] or []
        return network, frozenset(item["Gateway"] for item in found if "Gateway" in item)


def _aliases(network: str, alias: str) -> Mapping[str, Any]:
    from docker.constants import DEFAULT_DOCKER_API_VERSION  # noqa: PLC0415
    from docker.types import EndpointConfig  # noqa: PLC0415

    return {network: EndpointConfig(DEFAULT_DOCKER_API_VERSION, aliases=[alias])}


def _remove_network(network: Any) -> None:
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        # What is still there then, the ledger removes when the run ends. (OSError: requests' time-outs.)
        with contextlib.suppress(DockerException, OSError):
            network.remove()
    finally:
        network._docker.client.close()  # noqa: SLF001  the package never closes it

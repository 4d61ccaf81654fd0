"""What a run is put together from: a broker, its software, a runtime, workers, gateways, a monitor, and the look for
ways around links.

The engine takes these from outside, so that it can be tested without processes. Here are the parts that real runs have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from harness.applications.instance import Instance, Setup
from harness.brokers.base import BROKERS, Addresses, BoundBroker, Broker, NodePorts
from harness.clients.base import Counters, WorkerSpec
from harness.distributions.base import Distribution, Installation, resolve
from harness.distributions.toxiproxy.aliases import DEFAULT as TOXIPROXY
from harness.engine.bypass import Processes, bypasses
from harness.engine.fetching import fetch_images, fetch_installations
from harness.faults.base import FaultWorker
from harness.progress import Listener
from harness.runtime.abilities import MachineAbility
from harness.runtime.contract import Runtime
from harness.runtime.docker.runtime import DockerRuntime
from harness.runtime.kernel.cgroup_cpu import find_controller
from harness.runtime.kernel.cgroup_memory import find_memory_controller
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger
from harness.runtime.process.runtime import ProcessRuntime
from harness.scenario.topology import Topology
from harness.workload.helper_launcher import HelperProcess
from harness.workload.launcher import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """Software of one run: the broker, Toxiproxy's server (both on this machine, or both in images), and role → client
    library to use in place of the installed one.
    """

    broker: Installation
    toxiproxy: Installation
    libraries: Mapping[str, Installation]


class RunWorker(FaultWorker, Protocol):
    """A worker as the engine sees it, over all its incarnations."""

    @property
    def spec(self) -> WorkerSpec:
        """Of its current incarnation."""
        ...

    @property
    def name(self) -> str:
        """``p0``, ``c0``…"""
        ...

    @property
    def pid(self) -> int:
        """Process id, 0 when none runs."""
        ...

    @property
    def pids(self) -> tuple[int, ...]:
        """Pids of all its processes: of an application, those of its children, too."""
        ...

    @property
    def companions(self) -> Mapping[str, int]:
        """Processes of ours that serve it alone → pid, 0 when one does not run."""
        ...

    @property
    def held(self) -> bool:
        """Whether a fault of the plan keeps it stopped."""
        ...

    @property
    def cpu_ns(self) -> int:
        """CPU time of all its incarnations so far."""
        ...

    @property
    def counters(self) -> Counters:
        """Cumulative over all incarnations, as last reported."""
        ...

    async def start(self) -> None:
        """Start the current incarnation; returns when it runs."""
        ...

    async def wait_ready(self) -> None:
        """Wait until it is connected; raises StartError."""
        ...

    def send_command(self, command: str, **fields: int) -> None:
        """Send one command (see ``workload/worker.py``)."""
        ...

    def expect_end(self) -> None:
        """Take its end, from now on, as no surprise."""
        ...

    async def finish(self, timeout_s: float) -> bool:
        """Wait for it to finish by itself; SIGKILL after ``timeout_s`` and some more. Return False if it ran and did
        not.
        """
        ...

    def logs(self) -> str:
        """Return the end of its log."""
        ...


class RunHelper(Protocol):
    """The monitor or a gateway as the engine sees it."""

    @property
    def name(self) -> str:
        """``monitor``, ``gateway-clients``…"""
        ...

    @property
    def pid(self) -> int:
        """Process id; 0 when it does not run."""
        ...

    @property
    def heard(self) -> int:
        """How often it has said that it goes on; grows several times a second."""
        ...

    @property
    def cpu_ns(self) -> int:
        """CPU time so far."""
        ...

    async def start(self, spec: Mapping[str, Any]) -> None:
        """Start it with its task; raises StartError."""
        ...

    async def end(self) -> None:
        """Let it finish what it writes; returns when it is gone."""
        ...


WorkerChange = Callable[[RunWorker, str, int | None], None]
"""Called with a worker, its state (see ``WorkerEvent``) and its exit status, None while it has none."""


class Parts(Protocol):
    """What a run is put together from.

    Attributes:
        proof_s: How long the proof that nothing bypasses a link may take.
        healing_s: How long a control port may take to heal a fault, and after healing the probes to see it.
    """

    proof_s: float
    healing_s: float

    def broker(self, kind: str) -> Broker:
        """Return the broker of a kind."""
        ...

    async def software(
        self, bound: BoundBroker, runtime: str, listener: Listener, versions: dict[str, str]
    ) -> Binaries:
        """Return everything to run, building what is missing; raises DownloadError, UnfitEnvironmentError.

        ``versions`` receives software → exact version, of everything that takes part, as it becomes known.
        """
        ...

    def runtime(
        self,
        kind: str,
        binaries: Binaries,
        site: Site,
        ledger: Ledger,
        ports: Ports,
        abilities: frozenset[MachineAbility],
    ) -> Runtime:
        """Return where nodes and proxies will live; ``kind`` is ``process`` or ``docker``."""
        ...

    def worker(self, spec: WorkerSpec, run_dir: Path, ledger: Ledger, on_change: WorkerChange) -> RunWorker:
        """Return a worker that is not started yet."""
        ...

    def application(
        self,
        spec: WorkerSpec,
        setup: Setup,
        run_dir: Path,
        ledger: Ledger,
        on_change: WorkerChange,
        on_trouble: Callable[[str], None],
    ) -> RunWorker:
        """Return an instance of an application in the place of a consumer, not started yet; ``on_trouble`` is called
        with a sentence for what leaves the run without proof.
        """
        ...

    def monitor(self, run_dir: Path, ledger: Ledger, on_death: Callable[[int], None]) -> RunHelper:
        """Return the monitor, not started yet; ``on_death`` is called with its exit status when it ends
        unexpectedly.
        """
        ...

    def gateway(self, zone: str, run_dir: Path, ledger: Ledger, on_death: Callable[[int], None]) -> RunHelper:
        """Return the gateway of a client zone, likewise; its task is a ``GatewaySpec``."""
        ...

    def bypasses(self, topology: Topology, addresses: Addresses, processes: Processes) -> tuple[list[str], set[str]]:
        """Return which connections bypass a link, one sentence each, and which workers have a connection."""
        ...


def installed_clients(bound: BoundBroker) -> dict[str, str]:
    """Return ``<package> (<role>)`` → version of each installed client library that workers use.

    A role whose library the plan chose itself is left out. ``unknown`` is a package without metadata. No library is
    imported.
    """
    return {
        f"{package} ({role})": _installed_version(package)
        for role, package in bound.client_packages.items()
        if role not in bound.client_libraries
    }


def pinned(distribution: Distribution, versions: Mapping[str, str]) -> Distribution:
    """Return a distribution at the version that an earlier run had; as it is when none is known."""
    return replace(distribution, version=versions.get(distribution.kind, distribution.version))


def pinned_clients(bound: BoundBroker, versions: Mapping[str, str]) -> dict[str, Distribution]:
    """Return role → client library, where an earlier run had another version than is installed."""
    found = {}
    for role, package in bound.client_packages.items():
        name = f"{package} ({role})"
        version = versions.get(name)
        if version and role not in bound.client_libraries and version != _installed_version(package):
            found[role] = resolve(f"{package}-{version}")
    return found


def _installed_version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


@dataclass(frozen=True, slots=True)
class Site:
    """What is laid out, and at which ports.

    Attributes:
        topology: Of the run.
        ports: Of its nodes and services.
    """

    topology: Topology
    ports: NodePorts


class MachineParts:
    """The parts of real runs: registered brokers, processes or containers of this machine, and its kernel's table of
    sockets.

    Args:
        proof_s, healing_s: See ``Parts``.
        pinned: Software → exact version, as an earlier run had it: the broker, Toxiproxy and the clients are of these
            versions, whatever their aliases stand for and whatever is installed by now.
    """

    def __init__(self, proof_s: float = 20.0, healing_s: float = 15.0, pinned: Mapping[str, str] | None = None) -> None:
        self._pinned = pinned or {}
        self.proof_s = proof_s
        self.healing_s = healing_s

    def broker(self, kind: str) -> Broker:
        """Return a registered broker."""
        return BROKERS.get(kind)

    async def software(
        self, bound: BoundBroker, runtime: str, listener: Listener, versions: dict[str, str]
    ) -> Binaries:
        """Return distributions from the cache, or their images."""
        broker, toxiproxy = (pinned(resolve(name), self._pinned) for name in (bound.plan.broker, TOXIPROXY))
        libraries = {role: resolve(name) for role, name in bound.client_libraries.items()}
        libraries |= pinned_clients(bound, self._pinned)
        versions |= {broker.kind: broker.version, toxiproxy.kind: toxiproxy.version}
        wanted = list(dict.fromkeys((broker, toxiproxy, *libraries.values())))
        had = dict(zip(wanted, await fetch_installations(wanted, listener), strict=True))
        if runtime == "docker":
            official = {broker: bound.plan.cluster.image, toxiproxy: ""}
            had |= await fetch_images(official, listener)
        versions |= {**had[broker].versions, **had[toxiproxy].versions}
        versions |= {f"{library.kind} ({role})": library.version for role, library in libraries.items()}
        versions |= {name: version for name, version in installed_clients(bound).items() if name not in versions}
        return Binaries(
            broker=had[broker],
            toxiproxy=had[toxiproxy],
            libraries={role: had[library] for role, library in libraries.items()},
        )

    def runtime(
        self,
        kind: str,
        binaries: Binaries,
        site: Site,
        ledger: Ledger,
        ports: Ports,
        abilities: frozenset[MachineAbility],
    ) -> Runtime:
        """Return supervised processes, or containers."""
        if kind == "docker":
            images = {"broker": binaries.broker.image, "toxiproxy": binaries.toxiproxy.image}
            asked = {
                member.name: tuple(site.ports[member.name][role] for role in member.asked)
                for member in site.topology.members
            }
            return DockerRuntime(images, binaries.toxiproxy.command, asked, ledger, ports)
        return ProcessRuntime(
            binaries.toxiproxy.command,
            ledger,
            ports,
            cpu=find_controller() if MachineAbility.CPU_LIMITS in abilities else None,
            memory=find_memory_controller() if MachineAbility.MEMORY_LIMITS in abilities else None,
        )

    def worker(self, spec: WorkerSpec, run_dir: Path, ledger: Ledger, on_change: WorkerChange) -> RunWorker:
        """Return an OS process."""
        return Worker(spec, run_dir, ledger, on_change)

    def application(
        self,
        spec: WorkerSpec,
        setup: Setup,
        run_dir: Path,
        ledger: Ledger,
        on_change: WorkerChange,
        on_trouble: Callable[[str], None],
    ) -> RunWorker:
        """Return an OS process with all its children, and its recorder."""
        return Instance(spec, setup, run_dir, ledger, on_change, on_trouble)

    def monitor(self, run_dir: Path, ledger: Ledger, on_death: Callable[[int], None]) -> RunHelper:
        """Return an OS process."""
        return HelperProcess("monitor", "monitor", run_dir, ledger, on_death)

    def gateway(self, zone: str, run_dir: Path, ledger: Ledger, on_death: Callable[[int], None]) -> RunHelper:
        """Return an OS process of this machine, in both runtimes, as the zone's workers are."""
        return HelperProcess("gateway", f"gateway-{zone}", run_dir, ledger, on_death)

    def bypasses(self, topology: Topology, addresses: Addresses, processes: Processes) -> tuple[list[str], set[str]]:
        """Ask the kernel."""
        return bypasses(topology, addresses, processes)

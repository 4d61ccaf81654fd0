"""Everything of a run that lives outside the engine's process: nodes, Toxiproxy, gateways, workers and the monitor.

Owns bringing them up, what becomes of those that die, and taking everything down again.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace

from harness.brokers.base import Addresses, Admin, BoundBroker
from harness.clients.base import WorkerSpec
from harness.clock import monotonic_ns
from harness.distributions.base import Installation
from harness.engine.applications import setup_of
from harness.engine.bypass import Processes
from harness.engine.deaths import Deaths
from harness.engine.disks import Disks, disk_spec
from harness.engine.gateways import Gateways
from harness.engine.no_bypass import NoBypass
from harness.engine.parts import Binaries, Parts, RunWorker, Site
from harness.engine.probes import JournalProbes
from harness.engine.rundir import RunDir
from harness.engine.topology import (
    draw_controls,
    draw_links,
    draw_ports,
    gateway_specs,
    monitor_targets,
    worker_specs,
)
from harness.engine.watch import Watch, Watched
from harness.errors import StartError
from harness.history.events import NodeEvent, ProofEvent, StandstillEvent, WorkerEvent
from harness.history.record import EventLog
from harness.progress import Note
from harness.runtime.abilities import MachineAbility
from harness.runtime.base import NodeSpec
from harness.runtime.contract import RunNode
from harness.runtime.kernel import procfs
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger
from harness.scenario.application import shown_by
from harness.scenario.members import absent_workers, zones
from harness.workload.launcher import SILENT_S

READY_S = 60.0
_HINTS = {
    "": "",
    "lines": "the client id of each application must be its {member}",
    "commits": "each application must join the group {group} by the protocol that the scenario names; "
    "each client id must be {member}, or none of them",
}
"""What an application shows → what to do when its members are not those that are waited for."""
_KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""Exit status of a process, and of a container, that SIGKILL has ended."""


class Deployment:
    """The processes of one run.

    Attributes:
        problems: Sentences on what went wrong so far.
        fatal: Set when the run cannot go on.
        died: Nodes and services that ended unexpectedly.
        watch: Of every part.

    Args:
        bound, binaries: What to run.
        parts: Makes the runtime, workers and monitor.
        runtime: ``process`` or ``docker``.
        run_dir, ledger, ports, events: Of the run.
        abilities: What the plan's faults need of the machine.
        listener: For notes to the user.
    """

    def __init__(
        self,
        *,
        bound: BoundBroker,
        binaries: Binaries,
        parts: Parts,
        runtime: str,
        run_dir: RunDir,
        ledger: Ledger,
        ports: Ports,
        events: EventLog,
        abilities: frozenset[MachineAbility],
        listener: Callable[[Note], None],
    ) -> None:
        plan, self._run_dir, self._parts = bound.plan, run_dir, parts
        self._plan, self.topology = plan, plan.topology
        self._ledger, self._events, self._listener = ledger, events, listener
        self._libraries = binaries.libraries
        self._deaths = Deaths(run_dir.history, events)
        self.problems: list[str] = []
        self.fatal: asyncio.Event = asyncio.Event()
        self.died: list[str] = []
        self._oom_kills = procfs.oom_kills()
        self._closing = False
        self._late = absent_workers(plan)
        self._shows = shown_by(plan.workload.consumer)
        members = self.topology.members
        drawn = {member.name: draw_ports(member, ports) for member in members}
        site = Site(self.topology, drawn)
        self.runtime = parts.runtime(runtime, binaries, site, ledger, ports, abilities)
        peer_hosts = {member.name: self.runtime.peer_host(member.name) for member in members}
        self.links = draw_links(self.topology, drawn, ports, peer_hosts)
        self.controls = draw_controls(plan, self.links, ports)
        self._addresses = Addresses(ports=drawn, links=self.links, bind=self.runtime.bind)
        self._bound = bound.at(self._addresses)
        self.disks = Disks(disk_spec(plan.cluster, abilities), ledger)
        self.nodes = {spec.name: self._node(spec) for spec in self._node_specs(binaries.broker)}
        specs = worker_specs(plan, self.links, run_dir.history.resolve())
        self.workers = {spec.worker: self._worker(self._with_environment(spec), ports) for spec in specs}
        gateways = gateway_specs(plan, self._addresses)
        self._gateways = Gateways(gateways, parts, run_dir.path, ledger, self._links_died)
        self._no_bypass = NoBypass(self._bypasses, self._gateways.of_zones, events, parts.proof_s)
        self._monitor = parts.monitor(run_dir.path, ledger, self._monitor_died)
        self._monitor_targets = monitor_targets(plan, self._addresses, self.controls)
        names_of_targets = [str(target["name"]) for target in self._monitor_targets]
        self.probes = JournalProbes(run_dir.history / "monitor.1.journal", names_of_targets)
        self.admin: Admin = self._bound.admin()
        starves = {MachineAbility.CPU_LIMITS, MachineAbility.MEMORY_LIMITS} & abilities
        self.watch = Watch(self._watched, events.write, self._note, may_starve=bool(starves))

    async def up(self) -> None:
        """Start everything and wait until it is ready; raises StartError (definite)."""
        await self.disks.create()
        paths = (*self.links.values(), *self.controls.values())
        proxies = self.runtime.start_proxies(paths, self._run_dir.logs, self._toxiproxy_died, self._trouble)
        await asyncio.gather(proxies, self._gateways.start())
        *services, nodes = self.topology.waves()
        for wave in services:
            await asyncio.gather(*(self._start_node(self.nodes[name]) for name in wave))
            await asyncio.gather(*(self._node_up(name) for name in wave))
        await asyncio.gather(*(self._start_node(self.nodes[name]) for name in nodes))
        first = [worker for name, worker in self.workers.items() if name not in self._late]
        starting = [asyncio.create_task(worker.start()) for worker in first]
        await asyncio.gather(*(self._node_up(name) for name in nodes))
        await asyncio.gather(*starting)
        await self._monitor.start(self._monitor_spec())
        await self.admin.create_topic(self._plan)
        await asyncio.gather(*(worker.wait_ready() for worker in first))
        await self._wait_settled()
        await self._no_bypass.prove(set(self.workers) - self._late)

    async def recheck_bypass(self) -> None:
        """Look again after the faults; what bypasses a link is a problem."""
        if wrong := await self._no_bypass.again():
            self._trouble("a connection bypasses its link: " + wrong)

    async def compare_proxies(self) -> None:
        """Compare Toxiproxy's proxies and toxics with what the run has asked for; a difference is a problem."""
        found = await asyncio.to_thread(self.runtime.control.differences)
        detail = "; ".join(found) or "Toxiproxy has the proxies and toxics of this run and no others"
        self._events.write(ProofEvent(proof="proxies", proven=not found, detail=detail))
        if found:
            self._note(detail)

    async def down(self) -> None:
        """End every process; returns when they are gone."""
        self._closing = True
        await self.admin.close()
        for worker in self.workers.values():
            worker.expect_end()
        left = [worker for worker in self.workers.values() if worker.pid or any(worker.companions.values())]
        await asyncio.gather(*(worker.kill() for worker in left))
        await asyncio.gather(self._monitor.end(), self._gateways.end())
        await asyncio.gather(*(node.kill() for node in self.nodes.values()))
        self._deaths.sweep()
        await self.runtime.stop()
        for node in self.nodes.values():
            node.release()
        for why in await self.disks.destroy():
            self.problems.append(f"a disk could not be removed: {why}")

    def node_state(self, name: str, state: str) -> None:
        """Journal a node's state."""
        self._events.write(NodeEvent(node=name, state=state, pid=self.nodes[name].pid))

    @property
    def leave_ns(self) -> int:
        """How long a worker may take to finish what it holds and leave."""
        return max(self._bound.leave_ns, self._bound.settle_ns)

    def pids(self) -> dict[str, int]:
        """Return name → pid of everything that was started by now; 0 of what does not run."""
        pids = {"monitor": self._monitor.pid, **self.runtime.proxy_pids(), **self._gateways.pids}
        pids |= {name: worker.pid for name, worker in self.workers.items()}
        pids |= {name: pid for worker in self.workers.values() for name, pid in worker.companions.items()}
        return pids | {name: node.pid for name, node in self.nodes.items()}

    def _watched(self) -> list[Watched]:
        """Return every part that is watched for silence, as it is just now."""
        helpers = [Watched(helper.name, helper.pid, heard=helper.heard) for helper in (self._monitor, *self._gateways)]
        proxies = [Watched(name, pid) for name, pid in self.runtime.proxy_pids().items()]
        workers = [Watched(name, worker.pid, worker.held) for name, worker in self.workers.items()]
        workers += [Watched(*each) for worker in self.workers.values() for each in worker.companions.items()]
        nodes = [Watched(name, node.pid, node.held, to_the_end=True) for name, node in self.nodes.items()]
        return [*helpers, *proxies, *workers, *nodes]

    def cpu_ns(self) -> dict[str, int]:
        """Return part → CPU time of all its processes so far, ended ones included."""
        services = self.topology.service_names
        used = {"nodes": sum(node.cpu_ns for name, node in self.nodes.items() if name not in services)}
        if services or self._gateways.pids:
            used["services"] = sum(self.nodes[name].cpu_ns for name in services) + self._gateways.cpu_ns
        return used | {
            "toxiproxy": self.runtime.proxies_cpu_ns,
            "workers": sum(worker.cpu_ns for worker in self.workers.values()),
            "monitor": self._monitor.cpu_ns,
        }

    def overhead(self) -> dict[str, float]:
        """Return what each process of the harness and of the cluster has cost so far: CPU seconds and memory."""
        pids = {"harness": os.getpid(), **self.pids()}
        found = {f"cpu_s.{name}": round(procfs.cpu_seconds(pid), 3) for name, pid in pids.items() if pid}
        return found | {f"rss_bytes.{name}": float(procfs.rss_bytes(pid)) for name, pid in pids.items() if pid}

    def _with_environment(self, spec: WorkerSpec) -> WorkerSpec:
        folder = self._run_dir.path.resolve() / "workers" / spec.worker
        own = self._bound.broker.worker_environment(self._libraries.get(spec.role), folder)
        return replace(spec, env={**self._bound.client_environment, **own})

    def _worker(self, spec: WorkerSpec, ports: Ports) -> RunWorker:
        """Return a worker, or an instance of the plan's application in its place."""
        setup = setup_of(self._bound, spec, ports) if spec.role == "consumer" else None
        if setup is None:
            return self._parts.worker(spec, self._run_dir.path, self._ledger, self._worker_changed)
        return self._parts.application(
            spec, setup, self._run_dir.path, self._ledger, self._worker_changed, self._trouble
        )

    def _node_specs(self, installation: Installation) -> tuple[NodeSpec, ...]:
        """Return how each node and service is started, in order of the topology."""
        specs = {spec.name: spec for spec in self._bound.node_specs(installation, self._run_dir.path.resolve())}
        return tuple(specs[member.name] for member in self.topology.members)

    def _node(self, spec: NodeSpec) -> RunNode:
        log = self._run_dir.logs / f"{spec.name}.log"
        return self.runtime.node(spec, log, lambda code: self._node_died(spec.name, code), self.disks.of(spec))

    async def _start_node(self, node: RunNode) -> None:
        await node.start()
        self.node_state(node.name, "started")

    async def _node_up(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_S
        while missing := await self.admin.node_ready(name):
            node = self.nodes[name]
            if not node.alive() or loop.time() > deadline:
                raise StartError(f"{name} did not become ready: {missing}\n{node.logs()}")
            await asyncio.sleep(0.03)
        self.node_state(name, "ready")

    def _monitor_spec(self) -> Mapping[str, object]:
        return {
            "history_dir": str(self._run_dir.history.resolve()),
            "broker": self._bound.broker.kind,
            "ports": self._addresses.ports,
            "options": dict(self._bound.admin_options),
            "targets": self._monitor_targets,
        }

    def _bypasses(self) -> tuple[list[str], set[str]]:
        """Return what is wrong, and which workers have a connection."""
        zone_of = {worker: zone for zone, members in zones(self._plan.workload).items() for worker in members}
        processes = Processes(
            workers={name: (worker.pids, zone_of[name]) for name, worker in self.workers.items()},
            gateways=self._gateways.of_zones,
            nodes={name: node.pid for name, node in self.nodes.items()},
            sources={name: self.runtime.sources(name, (os.getpid(), self._monitor.pid)) for name in self.nodes},
        )
        return self._parts.bypasses(self.topology, self._addresses, processes)

    async def _wait_settled(self) -> None:
        """Wait until the broker says that consumers own what they should; raises StartError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_S
        while missing := await self.admin.settled():
            ended = [worker for name, worker in self.workers.items() if name not in self._late and not worker.pid]
            if ended:
                text = f"worker {ended[0].name} has ended before consumers had settled: {missing}"
                raise StartError(f"{text}\n{ended[0].logs()}")
            if loop.time() > deadline:
                hint = _HINTS[self._shows] if missing.startswith(("members", "0 members")) else ""
                raise StartError(f"consumers did not settle within {READY_S:g} s: {missing}", hint=hint)
            await asyncio.sleep(0.05)

    def _node_died(self, name: str, code: int) -> None:
        """Report it; what was killed from outside, or for lack of memory, ends the run: nothing will be proven."""
        self.node_state(name, "died")
        self.died.append(name)
        what = "service" if name in self.topology.service_names else "node"
        killed = code in _KILLED and not self._closing
        why = f": {self._killer()}" if killed else ""
        self._trouble(f"{what} {name} exited unexpectedly (exit status {code}){why}")
        if killed:
            now = monotonic_ns()
            self._events.write(StandstillEvent(part=name, how="killed", since_ns=now, until_ns=now, lasting=True))
            self.fatal.set()

    def _killer(self) -> str:
        memory = procfs.oom_kills() - self._oom_kills
        return "the kernel ended it for lack of memory" if memory > 0 else "something outside the run killed it"

    def _toxiproxy_died(self, code: int) -> None:
        self._links_died(f"Toxiproxy died (exit status {code})")

    def _links_died(self, text: str) -> None:
        self._trouble(text)
        self.fatal.set()

    def _monitor_died(self, code: int) -> None:
        self._trouble(f"the monitor died (exit status {code}): stalls and faults cannot be attributed")

    def _worker_changed(self, worker: RunWorker, state: str, code: int | None) -> None:
        self._events.write(
            WorkerEvent(
                worker=worker.name,
                incarnation=worker.spec.incarnation,
                role=worker.spec.role,
                state=state,
                exit=code,
                planned=state not in {"died", "silent"},
            )
        )
        if state in {"killed", "died"}:
            self._deaths.record(worker.name, worker.spec.incarnation)
        if state == "died":
            last = worker.logs().strip().splitlines()[-1:] or ["no message"]
            self._trouble(f"worker {worker.name} exited unexpectedly (exit status {code}): {last[0]}")
        elif state == "silent":
            self._trouble(f"worker {worker.name} hangs: its process runs, but has reported nothing for {SILENT_S:g} s")

    def _trouble(self, text: str) -> None:
        if not self._closing:
            self.problems.append(text)
            self._note(text)

    def _note(self, text: str) -> None:
        self._listener(Note(text=text, warning=True))

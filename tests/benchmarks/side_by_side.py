"""What the client benchmarks share: a bare broker node, our workers without links, another program, and their turns."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.brokers.base import BROKERS, Addresses, Admin
from harness.clients.base import WorkerSpec
from harness.clock import monotonic_ns
from harness.distributions.base import Installation, ensure, resolve
from harness.engine.topology import draw_ports
from harness.history.facts import Facts
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger
from harness.runtime.process.node import ProcessNode
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.session.vocabulary import vocabulary
from harness.workload.launcher import Worker

_SCENARIO = """
version: 1
title: A benchmark
broker: {broker}
cluster: {cluster}
workload: {{partitions: {partitions}}}
expect: {{loss: {{messages_max: 0}}}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One bare node with the services that it needs, without proxies.

    Attributes:
        folder: Scratch.
        plan: One node, as many partitions as asked for.
        installation: The broker's software.
        services, node, admin: Not started yet.
        ports: Node or service → role → port.
        address: What clients dial first: the node itself, or a service.
        ledger: Of everything that is started.
    """

    folder: Path
    plan: Plan
    installation: Installation
    services: tuple[ProcessNode, ...]
    node: ProcessNode
    admin: Admin
    ports: Mapping[str, Mapping[str, int]]
    address: str
    ledger: Ledger

    def run_dir(self, name: str) -> Path:
        """Make a run directory for a few workers."""
        directory = self.folder / name
        for part in ("history", "logs", "workers"):
            (directory / part).mkdir(parents=True)
        Facts(partitions=self.plan.workload.partitions, nodes=("n1",), worker_zones={}).save(directory / "facts.json")
        return directory

    async def up(self) -> float:
        """Start services and node; return the seconds until the last one said that it is ready."""
        began = monotonic_ns()
        for node in (*self.services, self.node):
            await node.start()
            while await self.admin.node_ready(node.spec.name):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return (monotonic_ns() - began) / 1e9

    def worker_environment(self, library: Installation, worker: str) -> Mapping[str, str]:
        """Return the environment of a worker that uses a library from the cache; makes its folder."""
        home = self.folder / "homes" / worker
        home.mkdir(parents=True, exist_ok=True)
        return BROKERS.get(self.plan.broker_kind).worker_environment(library, home)


def plan_of(broker: str, partitions: int, cluster: str = "{}", config: Mapping[str, str] | None = None) -> Plan:
    """Return the plan of one node.

    Args:
        broker: Its alias.
        partitions: Of the topic.
        cluster: Its options, as YAML.
        config: Keys of the broker's configuration that are the harness's own in a scenario.
    """
    text = _SCENARIO.format(broker=broker, partitions=partitions, cluster=cluster)
    plan = make_plan(variants(load_text(text, "bench.yaml", vocabulary()))[0])
    return replace(plan, cluster=replace(plan.cluster, config={**plan.cluster.config, **(config or {})}))


@contextlib.asynccontextmanager
async def bench(
    broker: str, partitions: int, cluster: str = "{}", config: Mapping[str, str] | None = None
) -> AsyncIterator[Bench]:
    """Lay out a node as ``plan_of`` says, and take everything down in the end."""
    distribution = resolve(broker)
    installation = ensure(distribution, lambda text: print(text, file=sys.stderr))
    plan = plan_of(broker, partitions, cluster, config)
    kind = BROKERS.get(distribution.kind)
    with tempfile.TemporaryDirectory() as folder:
        ledger, ports = Ledger(f"bench-{monotonic_ns()}", Path(folder)), Ports()
        drawn = {member.name: draw_ports(member, ports) for member in plan.topology.members}
        (entry,) = (link for link in plan.topology.links if link.role == "client" and link.entry)
        bound = kind.bind(plan).at(Addresses(ports=drawn))
        specs = {spec.name: spec for spec in bound.node_specs(installation, Path(folder))}
        *services, node = (
            ProcessNode(
                specs[name], ledger, Path(folder) / f"{name}.log", lambda _: None, cpu=None, memory=None, disk=None
            )
            for wave in plan.topology.waves()
            for name in wave
        )
        made = Bench(
            folder=Path(folder),
            plan=plan,
            installation=installation,
            services=tuple(services),
            node=node,
            admin=bound.admin(),
            ports=drawn,
            address=f"127.0.0.1:{drawn[entry.target][entry.channels[0].role]}",
            ledger=ledger,
        )
        try:
            yield made
        finally:
            await made.admin.close()
            for started in (made.node, *made.services):
                await started.kill()
            ledger.close()
            ports.release()


async def in_turn(
    raw: Callable[[], Awaitable[float]], ours: Callable[[], Awaitable[float]], turn: int
) -> tuple[float, float]:
    """Measure both, the other one first at every second turn; return (raw, ours)."""
    if turn % 2:
        return await raw(), await ours()
    second = await ours()
    return await raw(), second


async def work(spec: WorkerSpec, run_dir: Path, ledger: Ledger, count: int) -> None:
    """Run one worker until it has settled or processed ``count`` messages."""
    worker = Worker(spec, run_dir, ledger, lambda *_: None)
    await worker.start()
    await worker.wait_ready()
    worker.send_command("go", start_ns=monotonic_ns())
    async with asyncio.timeout(120):
        while worker.pid and max(worker.counters.acknowledged, worker.counters.processed) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    worker.send_command("stop")
    await worker.finish(20)


async def program(*argv: str | Path, env: Mapping[str, str] | None = None) -> str:
    """Run another program to its end and return what it printed; ``env``: its environment, else this process's."""
    process = await asyncio.create_subprocess_exec(*map(str, argv), stdout=subprocess.PIPE, env=env)
    out, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{argv[1]} failed (exit status {process.returncode})")
    return out.decode()


def ratio_row(name: str, pairs: Sequence[tuple[float, float]], count: int, other: str, aim: str) -> tuple[str, str]:
    """Return a row: the median of the pairs' ratios other / ours (seconds), and both rates."""
    raw, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(raw_s / ours_s for raw_s, ours_s in pairs)
    text = f"{ratio:.2f}x  ({other} {count / raw:,.0f}/s, instrumented {count / ours:,.0f}/s; aim {aim})"
    return f"{name}: instrumented / {other}", text

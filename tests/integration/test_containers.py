"""Nodes in containers, on a real engine: what they publish, what they bear, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.required_abilities import skip_or_fail

from harness.clock import NS_PER_S
from harness.distributions.base import resolve
from harness.distributions.images import ensure_image
from harness.errors import StartError
from harness.runtime.base import Channel, Link, NodeSpec
from harness.runtime.docker import engine as docker_engine
from harness.runtime.docker.container import Container, ContainerSpec
from harness.runtime.docker.engine import LABEL
from harness.runtime.docker.node import ContainerNode
from harness.runtime.docker.runtime import DockerRuntime
from harness.runtime.kernel import procfs
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger, sweep


class Pod:
    """One NATS node in its pod, with the run it belongs to."""

    def __init__(self, folder: Path) -> None:
        self.ledger, self.ports = Ledger(f"run-{os.getpid()}-{folder.name}"[-40:], folder), Ports()
        self.client, self.front = self.ports.draw(), self.ports.draw()
        nats, toxiproxy = (ensure_image(resolve(name), lambda _: None) for name in ("nats-2", "toxiproxy-2"))
        self.runtime = DockerRuntime(
            {"broker": nats.image, "toxiproxy": toxiproxy.image},
            toxiproxy.command,
            {"n1": (self.client,)},
            self.ledger,
            self.ports,
        )
        directory = folder / "nodes" / "n1"
        spec = NodeSpec(
            name="n1",
            argv=(*nats.command, "-a", "0.0.0.0", "-p", str(self.client)),
            files={directory / "unused.conf": "x"},
            data_dir=directory / "data",
        )
        self.deaths: list[int] = []
        self.troubles: list[str] = []
        self.log = folder / "n1.log"
        self.node: ContainerNode = self.runtime.node(spec, self.log, self.deaths.append, None)
        channel = Channel(name="clients->n1", host="127.0.0.1", port=self.front, upstream=f"127.0.0.1:{self.client}")
        self.link = Link(name="clients->n1", source="clients", node="n1", role="client", channels=(channel,))

    async def up(self, folder: Path) -> None:
        """Start it."""
        await self.runtime.start_proxies([self.link], folder, self.deaths.append, self.troubles.append)
        await self.node.start()


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Runner]:
    if why := docker_engine.unusable():
        skip_or_fail("docker", why)
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def pod(tmp_path: Path, runner: asyncio.Runner) -> Iterator[Pod]:
    pod = Pod(tmp_path)
    try:
        runner.run(pod.up(tmp_path))
        yield pod
    finally:
        runner.run(pod.runtime.stop())
        pod.ledger.close()  # also removes what a slow engine would not remove at first
        pod.ports.release()
        assert docker_engine.leftovers(pod.ledger.run_id) == ()


async def _greeting(port: int) -> bytes:
    reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 5)
    try:
        return await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.close()


async def _serves(port: int) -> bool:
    deadline = asyncio.get_running_loop().time() + 10
    while asyncio.get_running_loop().time() < deadline:
        try:
            if (await _greeting(port)).startswith(b"INFO"):
                return True
        except (OSError, TimeoutError):
            pass
        await asyncio.sleep(0.05)
    return False


async def _logged(log: Path, words: str, *, times: int) -> bool:
    """Wait until a log has some words so many times: the engine hands them over when it gets to it."""
    deadline = asyncio.get_running_loop().time() + 10
    while (found := (await asyncio.to_thread(log.read_text, encoding="utf-8")).count(words)) < times:
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.05)
    return found == times


def test_everything_is_published_on_loopback_and_bears_the_runs_label(pod: Pod, runner: asyncio.Runner) -> None:
    assert runner.run(_serves(pod.client))
    assert runner.run(_serves(pod.front))
    with docker_engine.engine() as client:
        containers = docker_engine.containers_of(client, pod.ledger.run_id)
        networks = client.networks.list(filters={"label": f"{LABEL}={pod.ledger.run_id}"})
        assert len(containers) == 2
        assert len(networks) == 1
        bindings = [
            binding
            for container in containers
            for bound in (container.attrs["HostConfig"]["PortBindings"] or {}).values()
            for binding in bound
        ]
    assert {int(binding["HostPort"]) for binding in bindings} >= {pod.client, pod.front}
    assert all(binding["HostIp"].startswith("127.") for binding in bindings)


def test_a_killed_node_comes_back_at_its_addresses_as_another_process(pod: Pod, runner: asyncio.Runner) -> None:
    assert runner.run(_serves(pod.front))
    before = pod.node.identity()
    runner.run(pod.node.kill())
    assert pod.node.identity() is None
    assert not pod.node.alive()
    assert pod.node.returncode == 137
    assert not runner.run(_still_greets(pod.front))
    runner.run(pod.node.start())
    assert runner.run(_serves(pod.front))
    assert pod.node.identity() not in {None, before}
    assert pod.deaths == []
    assert runner.run(_logged(pod.log, "Server is ready", times=2))


async def _still_greets(port: int) -> bool:
    """Tell whether a server speaks behind a port; the engine's own proxy accepts connections all the same."""
    try:
        return (await _greeting(port)) != b""
    except (OSError, TimeoutError):
        return False


def test_a_graceful_stop_ends_by_itself(pod: Pod, runner: asyncio.Runner) -> None:
    assert runner.run(_serves(pod.client))
    runner.run(pod.node.stop())
    assert pod.node.returncode in {0, 1}, "SIGKILL was needed"
    assert "Initiating Shutdown" in pod.node.logs()


def test_pauses_have_holders(pod: Pod, runner: asyncio.Runner) -> None:
    async def stopped(wanted: bool) -> bool:
        """Wait until the kernel tells that it is stopped, or that it is not: a signal waits for its process's turn."""
        deadline = asyncio.get_running_loop().time() + 10
        while (pod.node.state() == "T") != wanted and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return pod.node.state() == "T"

    async def pauses() -> list[bool]:
        seen = []
        for act, holder in ((pod.node.pause, "a"), (pod.node.pause, "b"), (pod.node.resume, "a")):
            act(holder)
            seen.append(await stopped(True))
        await asyncio.sleep(0.1)  # b still holds it
        seen.append(pod.node.state() == "T")
        pod.node.resume("b")
        return [*seen, not await stopped(False)]

    assert runner.run(pauses()) == [True] * 5


def test_a_cpu_limit_outlives_a_restart_and_is_lifted_whole(pod: Pod, runner: asyncio.Runner) -> None:
    weight = pod.node.cpu_use().weight
    pod.node.limit_cpu("cpu-1", 0.5)
    pod.node.limit_cpu("cpu-2", 0.2)
    raised = pod.node.cpu_use().weight
    assert raised > 20 * weight > 0
    assert pod.node.cpu_use().quota_cores == 0.2
    runner.run(pod.node.kill())
    runner.run(pod.node.start())
    assert pod.node.cpu_use().quota_cores == 0.2
    assert pod.node.cpu_use().weight == raised
    runner.run(pod.node.burn("cpu-2", 1))
    pod.node.limit_cpu("cpu-2", None)
    assert pod.node.cpu_use().quota_cores == 0.5
    pod.node.limit_cpu("cpu-1", None)
    assert pod.node.cpu_use().quota_cores is None
    assert pod.node.cpu_use().weight == weight


def test_what_a_container_used_is_counted_over_all_its_starts(pod: Pod, runner: asyncio.Runner) -> None:
    async def used(at_least_ns: int) -> int:
        for _ in range(1000):
            if pod.node.cpu_ns >= at_least_ns:
                break
            await asyncio.sleep(0.02)
        return pod.node.cpu_ns

    async def live() -> list[int]:
        await pod.node.burn("cpu-1", 1)
        first = await used(300_000_000)
        await pod.node.kill()
        ended = pod.node.cpu_ns
        await pod.node.start()  # its load comes with it
        again = await used(first + 300_000_000)
        os.kill(pod.node.pid, signal.SIGKILL)  # it ends by itself
        await _gone(pod.node)
        return [first, ended, again, pod.node.cpu_ns]

    seen = runner.run(live())
    assert seen == sorted(seen)
    assert seen[0] >= 300_000_000
    assert seen[2] >= seen[0] + 300_000_000
    assert 0 < pod.runtime.proxies_cpu_ns < NS_PER_S


async def _gone(node: ContainerNode) -> None:
    for _ in range(1000):
        if node.returncode is not None:
            return
        await asyncio.sleep(0.02)


def test_a_node_that_dies_by_itself_is_told_with_its_exit_status(pod: Pod, runner: asyncio.Runner) -> None:
    async def die() -> None:
        os.kill(pod.node.pid, signal.SIGKILL)
        deadline = asyncio.get_running_loop().time() + 45
        while not pod.deaths and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110  told by a call
            await asyncio.sleep(0.02)

    runner.run(die())
    assert pod.deaths == [137]


def test_every_word_of_every_start_is_kept_once(pod: Pod, tmp_path: Path, runner: asyncio.Runner) -> None:
    log = tmp_path / "hasty.log"
    nats = ensure_image(resolve("nats-2"), lambda _: None)
    hasty = Container(ContainerSpec(name="hasty", image=nats.image, argv=(*nats.command, "--version")), pod.ledger, log)
    lines = []

    async def live() -> None:
        """Start it, and see it end by itself: it says its only line long before anybody can listen."""
        hasty.expect_end()
        await hasty.run()
        await asyncio.wait_for(hasty._ended.wait(), 30)
        lines.append(log.read_text(encoding="utf-8").splitlines())

    try:
        for _ in range(3):
            runner.run(live())
    finally:
        runner.run(hasty.remove())
    (first, *_), *_ = lines
    assert first.startswith("nats-server: v2")
    assert lines == [[first], [first] * 2, [first] * 3]


def test_an_image_that_is_not_there_is_said(tmp_path: Path, runner: asyncio.Runner) -> None:
    pod = Pod(tmp_path)
    pod.runtime._images = {**pod.runtime._images, "toxiproxy": "broker-chaos-harness/nothing:0"}
    try:
        with pytest.raises(StartError, match="nothing"):
            runner.run(pod.up(tmp_path))
    finally:
        runner.run(pod.runtime.stop())
        assert pod.ledger.close() == ()
        pod.ports.release()


def test_what_a_dead_run_left_is_found_by_label_and_removed(tmp_path: Path, runner: asyncio.Runner) -> None:
    pod = Pod(tmp_path)
    try:
        runner.run(pod.up(tmp_path))
        process = pod.node.pid
        pod.node.expect_end()
        os.close(pod.ledger._lease)  # as if it had been killed
        (left,) = sweep(remove=False)
        assert sum(item.startswith("container") for item in left.items) == 2
        assert sum(item.startswith("network") for item in left.items) == 1
        (removed,) = sweep()
        assert removed.left == ()
        assert docker_engine.leftovers(pod.ledger.run_id) == ()
        assert procfs.identity(process) is None
        assert sweep() == ()
    finally:
        runner.run(pod.runtime.stop())
        pod.ports.release()

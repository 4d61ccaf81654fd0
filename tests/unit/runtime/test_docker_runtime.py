"""The parts of the Docker runtime that need no engine; where one is needed, a fake stands for it (and says so)."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import docker.errors
import pytest
import requests

from harness.engine import runtimes
from harness.errors import UnfitEnvironmentError
from harness.progress import Event
from harness.runtime.base import Channel, Link, NodeSpec
from harness.runtime.contract import SourceAddresses
from harness.runtime.docker import container
from harness.runtime.docker import engine as docker_engine
from harness.runtime.docker.container import Container, ContainerSpec
from harness.runtime.docker.node import ContainerNode
from harness.runtime.docker.runtime import _home
from harness.runtime.kernel.cgroup import groups_of
from harness.runtime.kernel.cgroup_cpu import CpuGroup
from harness.runtime.ledger import Ledger, sweep
from harness.runtime.toxiproxy.control import ToxiproxyControl
from harness.runtime.toxiproxy.router import ProxyRouter
from harness.scenario.model import Plan
from harness.session.selection import select

SCENARIO = Path(__file__).parents[3] / "scenarios" / "gate" / "latency.yaml"


def _plan(image: str = "") -> Plan:
    (item,) = select([SCENARIO])
    return dataclasses.replace(item.plan, cluster=dataclasses.replace(item.plan.cluster, image=image))


def _link(name: str, source: str, node: str, role: str) -> Link:
    return Link(
        name=name, source=source, node=node, role=role, channels=(Channel(name=name, host="h", port=1, upstream="u"),)
    )


def test_a_pod_carries_what_starts_from_its_node_and_its_clients_links() -> None:
    assert _home(_link("n1->n2", "n1", "n2", "peer")) == "n1"
    assert _home(_link("clients->n2", "clients", "n2", "client")) == "n2"
    assert _home(_link("n1->names", "n1", "names", "service")) == "n1"
    own = (Channel(name="clients->n2", host="127.200.2.1", port=4222, upstream="n2:4222"),)
    assert _home(dataclasses.replace(_link("clients->n2", "clients", "n2", "client"), channels=own)) == "clients"


def test_only_the_gateway_stands_for_this_machine() -> None:
    sources = SourceAddresses(
        proxies=frozenset(), harness=frozenset({("127.0.0.1", 7)}), gateways=frozenset({"172.18.0.1"})
    )
    assert sources.are_harness(("172.18.0.1", 51_000))
    assert sources.are_harness(("127.0.0.1", 7))
    assert not sources.are_harness(("127.0.0.1", 8))
    assert not sources.are_harness(("172.18.0.2", 51_000))


def test_the_fleet_asks_the_server_that_carries_the_link() -> None:
    asked: list[tuple[str, str]] = []

    class FakeControl(ToxiproxyControl):
        def remove_toxic(self, link: str, name: str) -> None:
            asked.append((self.address, f"{link} {name}"))

    fleet = ProxyRouter()
    fleet.add(FakeControl("127.0.0.1", 1), ["clients->n1", "n1->n2"])
    fleet.add(FakeControl("127.0.0.1", 2), ["clients->n2"])
    fleet.remove_toxic("clients->n2", "latency-1")
    fleet.remove_toxic("n1->n2", "latency-1")
    assert asked == [("127.0.0.1:2", "clients->n2 latency-1"), ("127.0.0.1:1", "n1->n2 latency-1")]


def test_the_cpu_load_of_a_container_leaves_its_group_before_it_ends(tmp_path: Path) -> None:
    """Nothing runs here: the engine can end no container while other processes are in its group."""
    spec = NodeSpec(name="n1", argv=("/nowhere",), files={}, data_dir=tmp_path / "n1" / "data")
    nothing: Any = None
    node = ContainerNode(spec, "image", nothing, tmp_path / "n1.log", lambda _: None, None, {})
    suspended: list[str] = []
    for how, end in (("stop", node.stop), ("kill", node.kill)):
        node._cpu_load = cast("Any", SimpleNamespace(suspend=lambda how=how: suspended.append(how)))
        asyncio.run(end())
    assert suspended == ["stop", "kill"]


def test_the_groups_of_a_process_are_where_the_kernel_has_it() -> None:
    found = groups_of(os.getpid())
    assert {"cpu", "memory"} <= set(found)
    assert (found["cpu"] / "cgroup.procs").exists()
    assert str(os.getpid()) in (found["cpu"] / "cgroup.procs").read_text(encoding="ascii").split()


def test_a_group_of_version_2_that_an_engine_made_is_read(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("20000 100000\n", encoding="ascii")
    (tmp_path / "cpu.stat").write_text("nr_periods 9\nnr_throttled 4\nthrottled_usec 7\n", encoding="ascii")
    use = CpuGroup.at(tmp_path).use()
    assert (use.quota_cores, use.periods, use.throttled, use.throttled_ns) == (0.2, 9, 4, 7_000)


def test_an_image_cannot_run_as_a_process() -> None:
    with pytest.raises(UnfitEnvironmentError, match=r"names the image nats:2\.12"):
        runtimes.runtime_of(_plan("nats:2.12"), "process", lambda _: None)


def _engine(*, unusable: str = "", images: bool = True) -> runtimes.ContainerEngine:
    """Return a fake engine."""
    return runtimes.ContainerEngine(unusable=lambda: unusable, has_image=lambda _: images)


def test_containers_without_an_engine_are_refused_with_the_reason() -> None:
    engine = _engine(unusable="no Docker engine answers here")
    for wanted, image in (("docker", ""), ("auto", "nats:2.12")):
        with pytest.raises(UnfitEnvironmentError, match="no Docker engine answers here") as caught:
            runtimes.runtime_of(_plan(image), wanted, lambda _: None, engine)
        assert caught.value.exit_code == 7


def test_auto_says_what_it_takes_and_why() -> None:
    told: list[Event] = []
    engine = _engine(unusable="no Docker engine answers here")
    assert runtimes.runtime_of(_plan(), "auto", told.append, engine) == "process"
    assert "process (no Docker engine answers here)" in str(told)


def test_auto_builds_nothing_unasked() -> None:
    told: list[Event] = []
    assert runtimes.runtime_of(_plan(), "auto", told.append, _engine(images=False)) == "process"
    assert "harness images build" in str(told)
    assert runtimes.runtime_of(_plan(), "auto", told.append, _engine()) == "docker"


def test_what_cannot_be_looked_at_is_kept_for_the_next_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is down when the next run starts, and back at the one after it. (A fake engine.)"""
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    there = ["container chaos-run-a-n1 (0123)"]

    def down(_: str) -> Any:
        raise UnfitEnvironmentError("no Docker engine answers")

    def removed(_: str, *, quiet_s: float) -> tuple[str, ...]:
        assert quiet_s > 0, "the engine may still be creating what a dead run asked for"
        there.clear()
        return ("network late",)

    ledger = Ledger(f"run-{os.getpid()}-engine-down", tmp_path)
    ledger.intend("docker")
    os.close(ledger._lease)  # it died
    monkeypatch.setattr(docker_engine, "leftovers", down)
    (found,) = sweep()
    assert found.items == ()
    assert found.left == ("containers, if any: no Docker engine answers",)
    monkeypatch.setattr(docker_engine, "leftovers", lambda _: tuple(there))
    monkeypatch.setattr(docker_engine, "remove", removed)
    (found,) = sweep()
    assert found.items == ("container chaos-run-a-n1 (0123)", "network late"), "and what appeared while it was removed"
    assert found.left == ()
    assert sweep() == ()


class FakeEngine:
    """A client of an engine that accepts connections and then answers nothing in time, or refuses."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.closed = 0
        self.containers = self.networks = self

    def list(self, **_: Any) -> Any:
        """Fail."""
        raise self.error

    def info(self) -> Any:
        """Fail."""
        raise self.error

    def close(self) -> None:
        """Count."""
        self.closed += 1


@pytest.mark.parametrize(
    "error", [requests.ReadTimeout("60 s"), docker.errors.APIError("500"), docker.errors.NotFound("no")]
)
def test_an_engine_that_fails_is_an_unfit_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    fake = FakeEngine(error)
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr("docker.from_env", lambda **_: fake)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")  # so that it is worth asking
    assert "a request to the Docker engine failed" in docker_engine.unusable()
    ledger = Ledger(f"run-{os.getpid()}-engine-slow", tmp_path)
    ledger.intend("docker")
    assert ledger.close() == ()
    (found,) = sweep(remove=False)
    assert "a request to the Docker engine failed" in found.left[0]
    assert fake.closed == 4


def test_an_engine_is_not_blamed_for_what_it_did_not_do(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeEngine(OSError())
    monkeypatch.setattr("docker.from_env", lambda **_: fake)
    with pytest.raises(FileNotFoundError), docker_engine.engine():
        raise FileNotFoundError
    assert fake.closed == 1


def test_a_container_whose_end_the_engine_does_not_notice_is_removed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "_GONE_S", 0.01)
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))

    class FakeBox:
        """testcontainers' container, of an engine that answers nothing in time."""

        closed = False

        def stop(self, **_: Any) -> None:
            """Fail."""
            raise requests.ReadTimeout("60 s")

        def get_docker_client(self) -> Any:
            """Return something with a client."""
            return SimpleNamespace(client=SimpleNamespace(close=lambda: setattr(self, "closed", True)))

    async def run() -> None:
        box = FakeBox()
        held = Container(ContainerSpec(name="n1", image="i", argv=("a",)), ledger, tmp_path / "log")
        held._box, held._pid = box, 1
        assert not await held.end(signal.SIGTERM, 0.01)
        await held.remove()
        assert box.closed

    ledger = Ledger(f"run-{os.getpid()}-engine-late", tmp_path)
    asyncio.run(run())
    ledger.close()

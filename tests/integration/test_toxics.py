"""Faults on links through a real Toxiproxy: what is held, lost, cut and refused, and how faults compose."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.fault_context import fault_context

from harness.clock import monotonic_ns
from harness.distributions.base import ensure, resolve
from harness.errors import ControlError
from harness.faults.base import FAULTS, Fault
from harness.runtime.base import Channel, Link
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger
from harness.runtime.process.runtime import toxiproxy_program
from harness.runtime.toxiproxy.server import ToxiproxyServer
from harness.scenario.model import PlannedFault, Target

pytestmark = pytest.mark.tier("fast")

LINK = "clients->n1"


class Place:
    """A Toxiproxy in front of a server that sends everything back."""

    def __init__(self, server: ToxiproxyServer, link: Link) -> None:
        self.server, self.link = server, link

    def fault(self, kind: str, number: int = 1, **options: Any) -> Fault:
        """Return a fault on the link."""
        planned = PlannedFault(
            id=f"{kind}-{number}",
            kind=kind,
            options=FAULTS.get(kind).spec.options(**options),
            on=Target(link=LINK),
            targets=(LINK,),
            at_ns=0,
            until_ns=1,
            seed=1,
        )
        context = fault_context(planned, links={LINK: self.link}, control=self.server.control, now_ns=monotonic_ns)
        return FAULTS.get(kind).make(context)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection that has been answered once."""
        channel = self.link.channels[0]
        reader, writer = await asyncio.open_connection(channel.host, channel.port)
        writer.write(b"hello")
        assert await asyncio.wait_for(reader.readexactly(5), 2) == b"hello"
        return reader, writer

    def toxics(self) -> list[str]:
        """Return the names that the server gives."""
        return sorted(str(toxic["name"]) for toxic in self.server.control.toxics(LINK))


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
    writer.close()


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Runner]:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def place(tmp_path: Path, runner: asyncio.Runner) -> Iterator[Place]:
    ledger, ports = Ledger(f"run-{os.getpid()}", tmp_path), Ports()
    upstream = runner.run(asyncio.start_server(_echo, "127.0.0.1", 0))
    address = "{}:{}".format(*upstream.sockets[0].getsockname())
    channel = Channel(name=LINK, host="127.0.0.1", port=ports.draw(), upstream=address)
    link = Link(name=LINK, source="clients", node="n1", role="client", channels=(channel,))
    binary = ensure(resolve("toxiproxy-2"), lambda _: None).executable
    port = ports.draw()
    program = toxiproxy_program((str(binary),), port, ledger, tmp_path / "log", lambda _: None)
    server = ToxiproxyServer(program, port)
    runner.run(server.start((link,)))
    yield Place(server, link)
    runner.run(server.stop())
    upstream.close()
    assert ledger.close() == ()
    ports.release()


@pytest.mark.parametrize("direction", ["up", "down", "both"])
def test_a_stall_holds_everything_and_loses_nothing(place: Place, runner: asyncio.Runner, direction: str) -> None:
    async def run() -> None:
        reader, writer = await place.connect()
        fault = place.fault("stall", direction=direction)
        await fault.apply()
        sent = [f"line {number}\n".encode() for number in range(50)]
        for line in sent:
            writer.write(line)
            await asyncio.sleep(0.005)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.5)
        await fault.heal()
        assert await asyncio.wait_for(reader.readexactly(len(b"".join(sent))), 3) == b"".join(sent)
        writer.close()

    runner.run(run())
    assert place.toxics() == []


def test_a_stall_ends_at_once_though_clients_that_waited_have_gone(place: Place, runner: asyncio.Runner) -> None:
    """Toxiproxy waits 5 s for each piece held for a client that has gone, if its toxic is just removed."""

    async def run() -> float:
        clients = [await place.connect() for _ in range(10)]
        fault = place.fault("stall", direction="down")
        await fault.apply()
        for _, writer in clients:
            for _ in range(5):
                writer.write(b"x" * 1000)
                await asyncio.sleep(0.01)
        for _, writer in clients[:8]:
            writer.transport.abort()
        await asyncio.sleep(0.3)
        began = time.monotonic()
        await fault.heal()
        took = time.monotonic() - began
        for reader, writer in clients[8:]:
            assert await asyncio.wait_for(reader.readexactly(5000), 3) == b"x" * 5000
            writer.close()
        return took

    assert runner.run(run()) < 4
    assert place.toxics() == []


def test_a_blackhole_loses_everything_and_reports_nothing_until_it_ends(place: Place, runner: asyncio.Runner) -> None:
    async def run() -> None:
        reader, writer = await place.connect()
        fault = place.fault("blackhole")
        await fault.apply()
        writer.write(b"lost")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.7)
        await fault.heal()
        assert await asyncio.wait_for(reader.read(1), 2) == b""
        writer.close()
        _, again = await place.connect()
        again.close()

    runner.run(run())


def test_a_link_that_two_faults_shut_opens_with_the_last(place: Place, runner: asyncio.Runner) -> None:
    async def run() -> None:
        reader, writer = await place.connect()
        first, second = place.fault("disconnect"), place.fault("disconnect", 2)
        await first.apply()
        await second.apply()
        assert await asyncio.wait_for(reader.read(1), 2) == b""
        writer.close()
        await first.heal()
        with pytest.raises(OSError, match=r"refused|Connect call failed"):
            await place.connect()
        await second.heal()
        await second.heal()
        _, again = await place.connect()
        again.close()

    runner.run(run())


def test_faults_on_one_link_heal_independently(place: Place, runner: asyncio.Runner) -> None:
    async def run() -> None:
        latency = place.fault("latency", delay_ns=30_000_000)
        stall, hole = place.fault("stall", direction="up"), place.fault("blackhole", direction="down")
        for fault in (latency, stall, hole):
            await fault.apply()
        names = ["blackhole-1-downstream", "latency-1-downstream", "latency-1-upstream", "stall-1-upstream"]
        assert place.toxics() == names
        await stall.heal()
        assert place.toxics() == [name for name in names if not name.startswith("stall")]
        await latency.heal()
        assert place.toxics() == ["blackhole-1-downstream"]
        await hole.heal()
        assert place.toxics() == []
        _, writer = await place.connect()
        writer.close()

    runner.run(run())


@pytest.mark.parametrize(
    "kind", ["stall", "blackhole", "bandwidth", "slicer", "slow_close", "limit_data", "disconnect"]
)
def test_healing_what_was_never_applied_and_healing_twice_are_harmless(
    place: Place, runner: asyncio.Runner, kind: str
) -> None:
    options: dict[str, dict[str, Any]] = {
        "bandwidth": {"rate_bytes_per_s": 50_000},
        "slicer": {"size_bytes": 512},
        "slow_close": {"delay_ns": 100_000_000},
        "limit_data": {"bytes_": 20_480},
    }

    async def run() -> None:
        fault = place.fault(kind, **options.get(kind, {}))
        await fault.heal()
        await fault.apply()
        await fault.heal()
        await fault.heal()
        _, writer = await place.connect()
        writer.close()

    runner.run(run())
    assert place.toxics() == []


def test_latency_ends_at_once_though_clients_that_waited_have_gone(place: Place, runner: asyncio.Runner) -> None:
    async def run() -> float:
        clients = [await place.connect() for _ in range(8)]
        fault = place.fault("latency", delay_ns=2_000_000_000, direction="down")
        await fault.apply()
        for _, writer in clients:
            for _ in range(5):
                writer.write(b"x" * 1000)
                await asyncio.sleep(0.01)
        for _, writer in clients:
            writer.transport.abort()
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await fault.heal()
        return time.monotonic() - began

    assert runner.run(run()) < 4
    assert place.toxics() == []


def test_a_toxic_that_is_not_there_cannot_be_changed(place: Place) -> None:
    with pytest.raises(ControlError, match="does not exist, so it cannot be changed"):
        place.server.control.update_toxic(LINK, "nobody", {"latency": 1})


def test_a_fault_whose_toxics_vanished_heals_all_the_same(place: Place, runner: asyncio.Runner) -> None:
    async def run() -> None:
        fault = place.fault("stall")
        await fault.apply()
        for name in place.toxics():
            place.server.control.remove_toxic(LINK, name)
        await fault.heal()

    runner.run(run())
    assert place.toxics() == []

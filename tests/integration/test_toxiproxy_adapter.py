"""The Toxiproxy adapter against a real server, and against a control port that hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.stopping import stop_whole

from harness.distributions.base import ensure, resolve
from harness.errors import ControlError
from harness.runtime.base import Channel, Link
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger
from harness.runtime.process.runtime import toxiproxy_program
from harness.runtime.toxiproxy.control import ToxiproxyControl
from harness.runtime.toxiproxy.server import ToxiproxyServer

pytestmark = pytest.mark.tier("fast")


def _channel(name: str, port: int, upstream: int) -> Channel:
    return Channel(name=name, host="127.0.0.1", port=port, upstream=f"127.0.0.1:{upstream}")


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Runner]:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def server(tmp_path: Path, runner: asyncio.Runner) -> Iterator[ToxiproxyServer]:
    ledger, ports = Ledger(f"run-{os.getpid()}", tmp_path), Ports()
    link = Link(
        name="clients->n1",
        source="clients",
        node="n1",
        role="client",
        channels=(_channel("clients->n1", ports.draw(), ports.draw()),),
    )
    binary = ensure(resolve("toxiproxy-2"), lambda _: None).executable
    port = ports.draw()
    program = toxiproxy_program((str(binary),), port, ledger, tmp_path / "log", lambda _: None)
    server = ToxiproxyServer(program, port)
    runner.run(server.start((link,)))
    yield server
    runner.run(server.stop())
    assert ledger.close() == ()
    ports.release()


def test_the_version_is_the_one_asked_for(server: ToxiproxyServer) -> None:
    assert server.control.version() == resolve("toxiproxy-2").version


def test_toxics_are_added_changed_and_removed(server: ToxiproxyServer) -> None:
    control = server.control
    control.add_toxic("clients->n1", "t", "latency", "upstream", {"latency": 50, "jitter": 5})
    (toxic,) = control.toxics("clients->n1")
    assert toxic["stream"] == "upstream"
    assert toxic["toxicity"] == 1
    control.update_toxic("clients->n1", "t", {"latency": 70})
    assert control.toxics("clients->n1")[0]["attributes"]["latency"] == 70
    control.let_pass("clients->n1", "t")
    (toxic,) = control.toxics("clients->n1")
    assert toxic["toxicity"] == 0
    assert toxic["attributes"] == {"latency": 70, "jitter": 5}, "what living connections read is not touched"
    control.remove_toxic("clients->n1", "t")
    control.remove_toxic("clients->n1", "t")
    assert control.toxics("clients->n1") == []
    with pytest.raises(ControlError, match="does not exist, so it cannot be changed"):
        control.let_pass("clients->n1", "t")


@pytest.mark.parametrize("attributes", [{"latencey": 50}, {"latency": 50, "jiter": 5}])
def test_a_misspelled_attribute_is_refused(server: ToxiproxyServer, attributes: dict[str, int]) -> None:
    with pytest.raises(ControlError, match="reads back"):
        server.control.add_toxic("clients->n1", "t", "latency", "upstream", attributes)


def test_a_misspelled_kind_and_a_name_taken_are_refused(server: ToxiproxyServer) -> None:
    with pytest.raises(ControlError, match="refused"):
        server.control.add_toxic("clients->n1", "t", "latencey", "upstream", {})
    server.control.add_toxic("clients->n1", "t", "latency", "upstream", {"latency": 1})
    with pytest.raises(ControlError, match="refused"):
        server.control.add_toxic("clients->n1", "t", "latency", "upstream", {"latency": 1})


def test_a_port_that_is_taken_is_noticed(server: ToxiproxyServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        link = Link(
            name="other",
            source="clients",
            node="n1",
            role="client",
            channels=(_channel("other", taken.getsockname()[1], 1),),
        )
        with pytest.raises(ControlError):
            server.control.create(link)


def test_switching_a_proxy_off_and_on(server: ToxiproxyServer) -> None:
    link = server.links["clients->n1"]
    address = (link.channels[0].host, link.channels[0].port)
    server.control.switch_off(link.name, "disconnect-1")
    server.control.switch_off(link.name, "disconnect-2")
    server.control.switch_on(link.name, "disconnect-1")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 1)
    server.control.switch_on(link.name, "disconnect-2")
    socket.create_connection(address, 1).close()


def test_a_server_that_hangs_is_started_again_with_all_that_was_in_force(
    server: ToxiproxyServer, runner: asyncio.Runner
) -> None:
    """It is stopped by SIGSTOP: connections to its control port are accepted and nothing is answered."""
    server.control.deadline_s = 0.3
    troubles: list[str] = []

    async def hang() -> None:
        server.may_restart(troubles.append)
        control = server.control
        await asyncio.to_thread(control.add_toxic, "clients->n1", "kept", "latency", "upstream", {"latency": 50})
        await asyncio.to_thread(control.add_toxic, "clients->n1", "going", "latency", "upstream", {"latency": 60})
        before = server.pid
        stop_whole(before)
        await asyncio.gather(
            asyncio.to_thread(control.remove_toxic, "clients->n1", "going"),
            asyncio.to_thread(control.add_toxic, "clients->n1", "new", "latency", "downstream", {"latency": 70}),
        )
        assert server.pid not in {0, before}
        await asyncio.sleep(0)  # what was told from threads arrives

    runner.run(hang())
    assert {toxic["name"] for toxic in server.control.toxics("clients->n1")} == {"kept", "new"}
    assert len(troubles) == 1
    assert "was restarted with" in troubles[0]


def test_a_server_that_hangs_for_a_moment_is_asked_again(server: ToxiproxyServer) -> None:
    server.control.deadline_s = 0.3
    stop_whole(server.pid)
    waking = threading.Timer(0.5, os.kill, (server.pid, signal.SIGCONT))
    waking.start()
    server.control.add_toxic("clients->n1", "t", "latency", "upstream", {"latency": 50})
    waking.join()
    assert len(server.control.toxics("clients->n1")) == 1


def test_a_server_that_cannot_be_started_again_is_reported(server: ToxiproxyServer) -> None:
    server.control.deadline_s = 0.1
    troubles: list[str] = []
    server.control.trouble = troubles.append
    stop_whole(server.pid)
    try:
        with pytest.raises(ControlError, match="did not answer"):
            server.control.remove_toxic("clients->n1", "t")
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert "hangs" in troubles[0]


def test_a_control_port_that_hangs_is_given_up() -> None:
    with socket.socket() as hangs:
        hangs.bind(("127.0.0.1", 0))
        hangs.listen()
        control = ToxiproxyControl("127.0.0.1", hangs.getsockname()[1])
        control.deadline_s = 0.2
        with pytest.raises(ControlError, match="did not answer"):
            control.version()


def test_two_servers_do_not_share_an_address() -> None:
    """The package keeps host and port in its class; two adapters must not see each other's."""
    first, second = ToxiproxyControl("127.0.0.1", 1), ToxiproxyControl("127.0.0.1", 2)
    assert (first._api.port, second._api.port) == (1, 2)

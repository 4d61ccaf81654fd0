"""Which connections bypass their links. A process of this test's own stands for what is at the other end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.topologies import SERVICE, topology

from harness.brokers.base import Addresses
from harness.engine.bypass import Processes, bypasses
from harness.runtime.base import Channel, Link
from harness.runtime.contract import SourceAddresses
from harness.runtime.kernel import procfs
from harness.scenario.model import Cluster, Workload

OTHER_END = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
sys.stdin.read()
"""
NOTHING = SourceAddresses(proxies=frozenset(), harness=frozenset(), gateways=frozenset())


@pytest.fixture
def dialled() -> Iterator[int]:
    """Return the port that this process is connected to."""
    words = [sys.executable, "-S", "-c", OTHER_END]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)):
            yield port


def _wrong(link: Link, port: int) -> list[str]:
    """Return what is said of the connection to a port when ``left`` is this process and there is one link."""
    addresses = Addresses(ports={"left": {"admin": 1, "data": 2}}, links={link.name: link})
    processes = Processes(
        workers={"c0": ((os.getpid(),), "far")}, nodes={"left": os.getpid()}, sources={"left": NOTHING}
    )
    found, seen = bypasses(topology(Cluster(nodes=2), Workload(duration_ns=1)), addresses, processes)
    assert seen == {"c0"}
    return [sentence for sentence in found if sentence.endswith(f":{port}")]


def test_a_node_may_dial_a_link_of_its_own_and_a_worker_one_of_its_zone(dialled: int) -> None:
    channel = Channel(name="left->right", host="127.0.0.1", port=dialled, upstream="127.0.0.1:2")
    peer = Link(name="left->right", source="left", node="right", role="peer", channels=(channel,))
    node, worker = f"left to 127.0.0.1:{dialled}", f"c0 to 127.0.0.1:{dialled}"
    assert _wrong(peer, dialled) == [worker]
    assert _wrong(replace(peer, node=SERVICE, role="service"), dialled) == [worker]
    assert _wrong(replace(peer, source="right"), dialled) == [worker, node]
    assert _wrong(replace(peer, source="far", role="client"), dialled) == [node]
    assert _wrong(replace(peer, source="clients", role="client"), dialled) == [worker, node]


def test_a_worker_may_dial_a_gateway_of_its_zone_and_that_one_the_link_behind_it(dialled: int) -> None:
    def wrong(channel: int, gateway: int, zone: str = "far") -> list[str]:
        behind = Channel(name=f"{zone}->{SERVICE}", host="127.0.0.1", port=channel, upstream="127.0.0.1:2")
        link = Link(
            name=behind.name,
            source=zone,
            node=SERVICE,
            role="client",
            channels=(behind,),
            gateway=f"127.0.0.1:{gateway}",
        )
        processes = Processes(
            workers={"c0": ((os.getpid(),), "far")}, nodes={}, sources={}, gateways={"far": os.getpid(), "clients": 0}
        )
        addresses = Addresses(links={link.name: link})
        found, _ = bypasses(topology(Cluster(nodes=2), Workload(duration_ns=1)), addresses, processes)
        return [sentence for sentence in found if sentence.endswith(f":{dialled}")]

    worker, gateway = f"c0 to 127.0.0.1:{dialled}", f"the gateway of zone far to 127.0.0.1:{dialled}"
    assert wrong(channel=dialled, gateway=1) == [worker]
    assert wrong(channel=1, gateway=dialled) == [gateway]
    assert wrong(channel=1, gateway=2) == [worker, gateway]
    assert wrong(channel=dialled, gateway=dialled, zone="clients") == [worker, gateway]


def test_what_a_gateway_has_accepted_is_not_what_it_dialled(dialled: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        with accepted:
            behind = Channel(name=f"far->{SERVICE}", host="127.0.0.1", port=dialled, upstream="127.0.0.1:2")
            host, port = listener.getsockname()
            link = Link(
                name=behind.name,
                source="far",
                node=SERVICE,
                role="client",
                channels=(behind,),
                gateway=f"{host}:{port}",
            )
            addresses = Addresses(links={link.name: link})
            processes = Processes(workers={}, nodes={}, sources={}, gateways={"far": os.getpid()})
            found, _ = bypasses(topology(Cluster(nodes=2), Workload(duration_ns=1)), addresses, processes)
            # This process is both ends of the connection: the client's end alone is one that it has dialled.
            assert [sentence for sentence in found if sentence.endswith(f":{port}")] == [
                f"the gateway of zone far to {host}:{port}"
            ]
            assert not [sentence for sentence in found if sentence.endswith(f":{client.getsockname()[1]}")]


CHILD_THAT_DIALS = """
import os, socket, subprocess, sys, time
code = "import socket, sys, time; end = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); "
code += "print('dialled', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-S", "-c", code, sys.argv[1]])
time.sleep(600)
"""
"""A program that dials nothing itself: a child of its does."""
SERVES_ITSELF = """
import socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
own = socket.create_connection(listener.getsockname()); taken, _ = listener.accept()
print(listener.getsockname()[1], flush=True)
other, _ = listener.accept()
print("taken", flush=True)
time.sleep(600)
"""
"""A program that is connected to itself, and to which somebody connects."""


def _told(pids: tuple[int, ...]) -> tuple[list[str], set[str]]:
    """Return what is said of an application with these processes, none of whose connections is a link."""
    processes = Processes(workers={"c0": (pids, "clients")}, nodes={}, sources={})
    return bypasses(topology(Cluster(nodes=2), Workload(duration_ns=1)), Addresses(ports={}), processes)


def test_a_child_that_dials_around_its_links_is_told_with_the_address(dialled: int) -> None:
    words = [sys.executable, "-S", "-c", CHILD_THAT_DIALS, str(dialled)]
    mark = f"TEST_OF_BYPASS={os.getpid()}"
    with subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "TEST_OF_BYPASS": str(os.getpid())}) as one:
        assert one.stdout is not None
        assert one.stdout.readline() == b"dialled\n"
        pids = tuple(procfs.of_session(0, mark))
        try:
            assert len(pids) == 2
            assert _told((one.pid,)) == ([], set()), "the program itself has dialled nothing"
            assert _told(pids) == ([f"c0 to 127.0.0.1:{dialled}"], {"c0"})
        finally:
            for pid in pids:
                os.kill(pid, 9)


def test_what_comes_to_a_program_s_own_door_was_not_dialled_by_it() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", SERVES_ITSELF], stdout=subprocess.PIPE) as one:
        assert one.stdout is not None
        port = int(one.stdout.readline())
        try:
            with socket.create_connection(("127.0.0.1", port)):
                assert one.stdout.readline() == b"taken\n"
                assert _told((one.pid,)) == ([], set())
        finally:
            one.kill()

"""Kafka nodes started by hand, without the harness's engine: for what must be shown of the distribution itself."""

from __future__ import annotations

import base64
import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from support.in_process import scenario
from support.slots import cost_of, slot

from harness.brokers.kafka.startup import _free_ports, serves
from harness.distributions.base import Installation

_READY_S = 60.0  # aim: 2 s; this machine may be busy


def new_id() -> str:
    """Return a random id as Kafka writes it; the first hundred are reserved, and none may begin with a dash."""
    return "K" + base64.urlsafe_b64encode(os.urandom(16)).decode("ascii")[1:22]


@contextlib.contextmanager
def nodes(
    installation: Installation,
    root: Path,
    count: int,
    *,
    flags: tuple[str, ...] = (),
    settings: str = "",
    relays: tuple[int, ...] = (),
) -> Iterator[tuple[list[subprocess.Popen[bytes]], list[int]]]:
    """Start nodes with hand-written ``meta.properties``, and yield them with the ports that clients dial; whatever
    happens, they are ended.

    Args:
        installation: The distribution.
        root: Folder for their data and output.
        count: How many.
        flags: Of Java.
        settings: Further lines of ``node.properties``.
        relays: Port of a relay to each of the first nodes. Such a node has a further listener, whose port follows those
            of all nodes; who dials it is given the relay's port as the node's own.
    """
    ports = _free_ports(2 * count + len(relays))
    controllers, clients, relayed = ports[:count], ports[count : 2 * count], ports[2 * count :]
    voters = ",".join(f"{index + 1}@127.0.0.1:{port}" for index, port in enumerate(controllers))
    cluster = new_id()
    taken = cost_of(scenario("kill: {}", "{node: n1}", broker="kafka", cluster=f"{{nodes: {count}}}"), "process")
    with slot(taken), contextlib.ExitStack() as started:
        processes = []
        for index in range(count):
            node = root / f"n{index + 1}"
            (node / "data").mkdir(parents=True)
            (node / "data" / "bootstrap.checkpoint").write_bytes(installation.parts["bootstrap"].read_bytes())
            (node / "data" / "meta.properties").write_text(
                f"version=1\ncluster.id={cluster}\nnode.id={index + 1}\ndirectory.id={new_id()}\n", encoding="ascii"
            )
            listeners = advertised = f"CLIENT://127.0.0.1:{clients[index]}"
            if index < len(relays):
                listeners += f",RELAYED://127.0.0.1:{relayed[index]}"
                advertised += f",RELAYED://127.0.0.1:{relays[index]}"
            (node / "node.properties").write_text(
                f"process.roles=broker,controller\nnode.id={index + 1}\n"
                f"listeners={listeners},CONTROLLER://127.0.0.1:{controllers[index]}\n"
                f"advertised.listeners={advertised}\n"
                "listener.security.protocol.map=CLIENT:PLAINTEXT,RELAYED:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
                "inter.broker.listener.name=CLIENT\ncontroller.listener.names=CONTROLLER\n"
                f"controller.quorum.voters={voters}\nlog.dirs={node / 'data'}\n{settings}\n",
                encoding="utf-8",
            )
            out, err = (started.enter_context((node / name).open("wb")) for name in ("out", "err"))
            argv = [*installation.command, "-Xmx400m", *flags, "kafka.Kafka", str(node / "node.properties")]
            process = subprocess.Popen(argv, stdout=out, stderr=err, start_new_session=True)
            started.callback(_end, process)
            processes.append(process)
        yield processes, clients + relayed


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def await_all(processes: list[subprocess.Popen[bytes]], ports: list[int], root: Path) -> float:
    began = time.monotonic()
    while not all(serves(port) for port in ports):
        assert all(process.poll() is None for process in processes), (root / "n1" / "err").read_text()[-3000:]
        assert time.monotonic() - began < _READY_S, (root / "n1" / "err").read_text()[-3000:]
        time.sleep(0.01)
    return time.monotonic() - began

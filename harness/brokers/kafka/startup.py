"""A node of Kafka that is started once: its formatting tool, how it is laid out, and when it serves.

Owns what is Kafka's own about a start-up archive; the archive itself is machinery of distributions.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from harness.clock import NS_PER_S
from harness.distributions.cache import BuildContext
from harness.distributions.startup_archive import Training, TrainingRun
from harness.errors import DownloadError

CHECKPOINT = "bootstrap.checkpoint"
_FORMAT_NS = 60 * NS_PER_S
_CLUSTER_ID = "aGFybmVzcy10cmFpbmluZw"


def format_directory(command: tuple[str, ...], context: BuildContext) -> None:
    """Format a log directory with the version's own tool; keep the checkpoint that it writes. It holds the features of
    a new cluster and depends on neither cluster nor node.

    Raises:
        ToolFailure: It could not be formatted.
        DownloadError: It wrote something else than one checkpoint.
    """
    node = context.tool.directory / "format"
    config = _configure(node, *_free_ports(2))
    argv = [*command, "kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", str(config)]
    context.tool.run(argv, deadline_ns=_FORMAT_NS)
    # 4.4 writes it into the metadata log's directory, earlier versions next to it as bootstrap.checkpoint. There every
    # version reads it (measured to 4.4.0), as it does when a cluster was upgraded.
    written = list((node / "data").rglob("*.checkpoint"))
    if len(written) != 1:
        raise DownloadError(f"Kafka's formatting tool wrote {len(written)} checkpoints, not one")
    shutil.copyfile(written[0], context.out / CHECKPOINT)


def lay_out_training(scratch: Path, parts: Mapping[str, Path]) -> TrainingRun:
    """Lay out a formatted node below ``scratch``, which serves at a loopback port that is free."""
    client, controller = _free_ports(2)
    config = _configure(scratch / "node", client, controller)
    shutil.copyfile(parts["bootstrap"], config.parent / "data" / CHECKPOINT)
    (config.parent / "data" / "meta.properties").write_text(
        f"version=1\ncluster.id={_CLUSTER_ID}\nnode.id=1\ndirectory.id=dHJhaW5pbmctZGlyZWN0bw\n", encoding="ascii"
    )
    return TrainingRun(words=("kafka.Kafka", str(config)), serves=partial(serves, client))


def serves(port: int) -> bool:
    """Return whether a Kafka node answers a request for the versions of its API (ApiVersions 0) at a loopback port."""
    request = struct.pack(">hhih", 18, 0, 1, 7) + b"harness"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = connection.recv(10)
    except OSError:
        return False
    # Length, our correlation, no error.
    return len(answer) == 10 and answer[4:] == b"\x00\x00\x00\x01\x00\x00"


def _configure(node: Path, client: int, controller: int) -> Path:
    """Lay out one KRaft node below ``node``; return its configuration file."""
    (node / "data").mkdir(parents=True)
    config = node / "node.properties"
    config.write_text(
        "process.roles=broker,controller\nnode.id=1\n"
        f"listeners=CLIENT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}\n"
        f"advertised.listeners=CLIENT://127.0.0.1:{client}\n"
        "listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
        "inter.broker.listener.name=CLIENT\ncontroller.listener.names=CONTROLLER\n"
        f"controller.quorum.voters=1@127.0.0.1:{controller}\n"
        f"log.dirs={node / 'data'}\noffsets.topic.replication.factor=1\n",
        encoding="utf-8",
    )
    return config


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as sockets:
        held = [sockets.enter_context(socket.socket()) for _ in range(count)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in held]


TRAINING = Training(lay_out=lay_out_training)

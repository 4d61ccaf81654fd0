"""What RocketMQ is started with, and a broker that is started once: how it is laid out, and when it serves.

Owns what is RocketMQ's own about a start-up archive. A broker loads nearly all that a name server loads, so one archive
serves both; it needs no name server to start.
"""

from __future__ import annotations

import json
import platform
import socket
import struct
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from harness.distributions.cache import BuildContext
from harness.distributions.startup_archive import Training, TrainingRun

BROKER_CLASS: Final = "org.apache.rocketmq.broker.BrokerStartup"

LOGBACK: Final = """\
<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{yyyy-MM-dd'T'HH:mm:ss.SSS} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <logger name="RocketmqPop" level="ERROR"/>
  <logger name="RocketmqRebalanceLock" level="ERROR"/>
  <logger name="RocketmqTransaction" level="ERROR"/>
  <root level="WARN"><appender-ref ref="console"/></root>
</configuration>
"""
"""Logging: what matters, on standard output. The one that RocketMQ brings writes dozens of files, and takes a good part
of a start. What is cut down warns of what is usual (m: a million bytes a minute of a lock that another member has).
"""

NATIVE: Final = "native"
"""Part of an installation: a folder with native libraries."""

_MACHINES: Final = {"x86_64": "linux64", "aarch64": "linux-aarch64"}
_RUNTIME_INFO = 28
_FAST = 2
"""A broker also listens so far below its port."""


def lay_out_training(scratch: Path, parts: Mapping[str, Path]) -> TrainingRun:
    """Lay out a broker below ``scratch``, which serves at a loopback port that is free."""
    port = _free_port()
    config = scratch / "broker.conf"
    (scratch / "logback.xml").write_text(LOGBACK, encoding="utf-8")
    config.write_text(
        f"brokerClusterName=n1\nbrokerName=n1\nbrokerId=0\nbrokerIP1=127.0.0.1\nbrokerIP2=127.0.0.1\n"
        f"bindAddress=127.0.0.1\nlistenPort={port}\nstorePathRootDir={scratch / 'store'}\n"
        "mappedFileSizeCommitLog=16777216\nmappedFileSizeConsumeQueue=600000\ntimerWheelEnable=false\n",
        encoding="utf-8",
    )
    words = (*own_flags(scratch), *native_flags(parts), BROKER_CLASS, "-c", str(config))
    return TrainingRun(words=words, serves=partial(serves, port))


def own_flags(directory: Path) -> tuple[str, ...]:
    """Return Java's flags by which a process finds its home, ``logback.xml`` there, where to write, and what to leave
    out.
    """
    return (
        f"-Drocketmq.home.dir={directory}",
        f"-Duser.home={directory}",
        f"-Drmq.logback.configurationFile={directory / 'logback.xml'}",
        f"-Djava.io.tmpdir={directory}",
        # No client here speaks TLS; a start would make two certificates for it.
        "-Dtls.server.mode=disabled",
    )


def unpack_native(command: tuple[str, ...], context: BuildContext, machine: str = "") -> None:
    """Unpack the native library of the brokers' store for this machine, where there is one: without it each start
    unpacks a copy of 12 MB, and a broker that is killed leaves it behind. ``machine``: another one than this.
    """
    del command
    folder = context.out / NATIVE
    folder.mkdir()
    machine = machine or platform.machine()
    wanted = f"librocksdbjni-{_MACHINES.get(machine, machine)}.so"
    for jar in sorted((context.out / "jars").glob("*rocksdb*.jar")):
        with zipfile.ZipFile(jar) as packed:
            if wanted in packed.namelist():
                packed.extract(wanted, folder)


def native_flags(parts: Mapping[str, Path]) -> tuple[str, ...]:
    """Return Java's flag by which it finds what ``unpack_native`` has unpacked."""
    return (f"-Djava.library.path={parts[NATIVE]}",) if NATIVE in parts else ()


def serves(port: int) -> bool:
    """Return whether a broker answers a request for its runtime information (code 28) at a loopback port."""
    header = json.dumps({"code": _RUNTIME_INFO, "language": "OTHER", "version": 0, "opaque": 1, "flag": 0}).encode()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(struct.pack(">II", 4 + len(header), len(header)) + header)
            answer = connection.recv(8)
    except OSError:
        return False
    return len(answer) == 8


def _free_port() -> int:
    """Return a port that is free, as is the one at which a broker listens besides."""
    while True:
        with socket.socket() as upper, socket.socket() as lower:
            upper.bind(("127.0.0.1", 0))
            port = int(upper.getsockname()[1])
            try:
                lower.bind(("127.0.0.1", port - _FAST))
            except OSError:
                continue
            return port


TRAINING = Training(lay_out=lay_out_training)

"""Fast starts of Kafka: an archive of classes that Java has loaded once, made by starting one node, kept in the cache.

Owns Java's flags, which must be the same in training and in use, the training, and when an archive is valid: for the same
jars at the same paths, the same Java and the same flags, all of which its name in the cache stands for. An archive that
cannot be made costs time at each start and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

from harness.clock import NS_PER_S
from harness.distributions.cache import BuildContext, BuildResult, Cache, CachedEntry, CacheEntry
from harness.distributions.java import Java
from harness.distributions.tool import Tool, ToolFailure
from harness.errors import DownloadError

READY_NS_MAX = 60 * NS_PER_S
_STOP_NS = 60 * NS_PER_S
_DUMP_NS = 180 * NS_PER_S
_FORMAT_NS = 60 * NS_PER_S
_RETRY_S = 3600.0  # a training that failed is not tried again at every start
_AOT = 24  # from this Java on an ahead-of-time cache (JEP 483), before class data sharing
_HEAP = "-Xmx512m"
_CLUSTER_ID = "aGFybmVzcy10cmFpbmluZw"
_RECIPE = 1  # counts what changes about the training

_ARCHIVE = "archive"


def flags_for(java: Java) -> tuple[str, ...]:
    """Return Java's flags for a node of a test: started often, on few cores, never for long."""
    flags = [
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        # Java's own warnings (of an archive that does not fit) go to standard output and would look like Kafka's.
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    ]
    if java.feature >= _AOT:
        # Kafka's compression libraries and buffers do what Java warns of.
        flags += ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
    return tuple(flags)


def class_path(directory: Path) -> str:
    """Return the class path of a Kafka that lies in ``directory``."""
    return f"{directory / 'jars'}/*"


def format_directory(directory: Path, java: Java, tool: Tool, checkpoint: Path) -> None:
    """Format a log directory with the version's own tool; keep the checkpoint that it writes. It holds the features of a new
    cluster and depends on neither cluster nor node.

    Raises:
        ToolFailure: It could not be formatted.
        DownloadError: It wrote something else than one checkpoint.
    """
    node = tool.directory / "format"
    config = _configure(node, *_free_ports(2))
    argv = [str(java.path), *flags_for(java), "-cp", class_path(directory), "kafka.tools.StorageTool"]
    tool.run([*argv, "format", "-t", _CLUSTER_ID, "-c", str(config)], deadline_ns=_FORMAT_NS)
    # 4.4 writes it into the metadata log's directory, earlier versions beside that as bootstrap.checkpoint. There every
    # version reads it (measured to 4.4.0), as it does when a cluster was upgraded.
    written = list((node / "data").rglob("*.checkpoint"))
    if len(written) != 1:
        raise DownloadError(f"{directory.name}: its formatting tool wrote {len(written)} checkpoints, not one")
    shutil.copyfile(written[0], checkpoint)


def obtain_startup(held: CachedEntry, java: Java, cache: Cache, progress: Callable[[str], None]) -> tuple[str, ...]:
    """Return Java's flags, with the archive among them; trains it first when needed. Without one if that fails."""
    flags = flags_for(java)
    entry = _entry(held, java)
    found, _ = cache.look(entry)
    if found is None:
        failed = cache.failure_log(entry)
        with contextlib.suppress(OSError):
            if time.time() - failed.stat().st_mtime < _RETRY_S:
                progress(
                    f"{held.manifest.name} starts slowly: its start-up archive could not be made (full output: {failed})"
                )
                return flags
        try:
            found = cache.obtain(
                entry,
                lambda workshop: _train(held, java, workshop),
                title=f"start-up archive of {held.manifest.name}",
                progress=progress,
            )
        except DownloadError as error:
            progress(f"{held.manifest.name} starts slowly: {error.message}")
            return flags
    return (*flags, *use_flags(java, found.directory / _ARCHIVE))


def _entry(held: CachedEntry, java: Java) -> CacheEntry:
    """Return the place of the archive that fits these jars, this Java and these flags, and nothing else."""
    digest = hashlib.sha256()
    # In the order of the directory: that is the order in which Java expands the class path.
    for name in [*os.listdir(held.directory / "jars")]:  # noqa: PTH208 - same
        status = (held.directory / "jars" / name).stat()
        digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    modules = java.path.resolve().parent.parent / "lib" / "modules"
    with contextlib.suppress(OSError):
        status = modules.stat()
        digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    digest.update(f"{held.directory} {java.path} {java.version} {flags_for(java)} {_RECIPE}\n".encode())
    return CacheEntry(shelf="startups", name=f"{held.manifest.name}-java-{java.version}-{digest.hexdigest()[:12]}")


def record_flags(java: Java, scratch: Path) -> list[str]:
    """Return the flags that make a running Java write down what it loads."""
    if java.feature >= _AOT:
        return ["-XX:AOTMode=record", f"-XX:AOTConfiguration={scratch / 'recorded'}"]
    return ["-Xshare:off", f"-XX:DumpLoadedClassList={scratch / 'recorded'}"]


def dump_flags(java: Java, scratch: Path, archive: Path) -> list[str]:
    """Return the flags that make Java write the archive from what was recorded, without running anything."""
    if java.feature >= _AOT:
        return ["-XX:AOTMode=create", f"-XX:AOTConfiguration={scratch / 'recorded'}", f"-XX:AOTCache={archive}"]
    return ["-Xshare:dump", f"-XX:SharedClassListFile={scratch / 'recorded'}", f"-XX:SharedArchiveFile={archive}"]


def use_flags(java: Java, archive: Path) -> list[str]:
    """Return the flags with which Java starts from an archive."""
    if java.feature >= _AOT:
        return [f"-XX:AOTCache={archive}"]
    return [f"-XX:SharedArchiveFile={archive}"]


def _train(held: CachedEntry, java: Java, workshop: BuildContext) -> BuildResult:
    """Start one node until it serves, then write the archive; raises DownloadError."""
    name = held.manifest.name
    workshop.progress(f"training the start-up of {name} with Java {java.version} (once, then cached)…")
    start = [str(java.path), *flags_for(java), _HEAP]
    jars = ["-cp", class_path(held.directory)]
    client, config = lay_out_training(workshop.scratch, held.directory / "bootstrap.checkpoint")
    began_ns = time.monotonic_ns()
    try:
        workshop.tool.serve(
            [*start, *record_flags(java, workshop.scratch), *jars, "kafka.Kafka", str(config)],
            ready=lambda: serves(client),
            deadline_ns=READY_NS_MAX,
            stop_ns=_STOP_NS,
        )
        archive = workshop.out / _ARCHIVE
        workshop.tool.run([*start, *dump_flags(java, workshop.scratch, archive), *jars], deadline_ns=_DUMP_NS)
        if not archive.is_file():
            raise DownloadError("its start-up archive could not be made: Java wrote none")
    except ToolFailure as failure:
        raise DownloadError(
            f"its start-up archive could not be made: {failure.command.split(' ')[0]} {failure.reason}\n{failure.tail()}"
        ) from failure
    workshop.progress(f"trained the start-up of {name} in {(time.monotonic_ns() - began_ns) // NS_PER_S} s")
    return BuildResult(version=java.version, built_with=f"java {java.version}")


def lay_out_training(scratch: Path, checkpoint: Path) -> tuple[int, Path]:
    """Lay out a formatted node below ``scratch``; return the loopback port it will serve at, and its configuration."""
    client, controller = _free_ports(2)
    config = _configure(scratch / "node", client, controller)
    shutil.copyfile(checkpoint, config.parent / "data" / "bootstrap.checkpoint")
    (config.parent / "data" / "meta.properties").write_text(
        f"version=1\ncluster.id={_CLUSTER_ID}\nnode.id=1\ndirectory.id=dHJhaW5pbmctZGlyZWN0bw\n", encoding="ascii"
    )
    return client, config


def serves(port: int) -> bool:
    """Tell whether a Kafka node answers a request for the versions of its API (ApiVersions 0) at a loopback port."""
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

"""Images of Kafka: its jars, the Java it runs on, and the archive of classes that makes it start fast.

The archive fits the image alone: Java compares paths, sizes and times of the jars. So a node is started once inside the
image, what it loads is recorded, and the archive becomes a layer more.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.brokers.kafka.distribution import java_for
from harness.brokers.kafka.startup import (
    READY_NS_MAX,
    dump_flags,
    flags_for,
    lay_out_training,
    record_flags,
    serves,
    use_flags,
)
from harness.distributions.base import Installation, Progress
from harness.distributions.cache import Cache, CachedEntry
from harness.distributions.image_base import recipes
from harness.distributions.image_official import require_version
from harness.distributions.images import IMAGES, Build, Content, has_tag
from harness.distributions.java import Java, find_java
from harness.distributions.tool import Tool, check_stop
from harness.errors import UnfitEnvironmentError
from harness.runtime.docker.engine import Client
from harness.runtime.kernel.procfs import identity

_JAVA, _JARS, _ARCHIVE = "/opt/java/bin/java", "/opt/kafka/jars", "/opt/kafka/archive"
_OFFICIAL_JAVA, _OFFICIAL_JARS = "/opt/java/openjdk/bin/java", "/opt/kafka/libs"
_PLAIN = ("-XX:+UseSerialGC", "-XX:-UsePerfData")
"""Of an official image's Java nothing is known that our own flags could rely on."""

_TRAINING = "broker-chaos-harness.training"
"""Label of the containers of a training; its value is pid and start time of the harness that makes them."""

_SCRATCH = "broker-chaos-training-"
_STOP_S = 60
_DUMP_S = 180
_RECIPE = "2"  # counts what changes about the training


class KafkaImage:
    """The image kind ``kafka``."""

    def content(self, held: CachedEntry, cache: Cache, progress: Progress) -> Content:
        """Return the jars and the Java; raises DownloadError without a Java."""
        java = _java(held.manifest.version, cache, progress)
        digest = hashlib.sha256(f"{java.version} {flags_for(java)} {_RECIPE}\n".encode())
        for name, file in held.manifest.files.items():
            digest.update(f"{name} {file.sha256}\n".encode())
        return Content(
            recipe=recipes() / "kafka",
            files={"java": java.path.resolve().parent.parent, "jars": held.directory / "jars"},
            command=(_JAVA, *flags_for(java)),
            versions={"kafka": held.manifest.version, "java": java.version},
            based=True,
            parts={"bootstrap": held.directory / "bootstrap.checkpoint"},
            digest=digest.hexdigest(),
        )

    def finish(self, client: Client, image: str, content: Content, build: Build, progress: Progress) -> Installation:
        """Return the image with the archive in it; without one, and slower, where that cannot be made."""
        java = Java(path=Path(_JAVA), version=content.versions["java"])
        trained = f"{image}-startup"
        flags: tuple[str, ...] = content.command
        if not has_tag(client, trained):
            progress(f"training the start-up of {image} (once, then cached)…")
            try:
                _train(client, image, java, content, build, trained)
            except UnfitEnvironmentError as error:
                progress(f"{image} starts slowly: {error.message}")
                trained = image
        if trained != image:
            flags += tuple(use_flags(java, Path(_ARCHIVE)))
        return _installation(content, trained, (*flags, "-cp", f"{_JARS}/*"))

    def official(self, client: Client, content: Content, image: str) -> Installation:
        """Return ``apache/kafka`` as it is laid out since 3.7, once it has told its version; raises UnfitEnvironmentError."""
        command = (_OFFICIAL_JAVA, *_PLAIN, "-cp", f"{_OFFICIAL_JARS}/*")
        require_version(
            client, image, "kafka", content.versions["kafka"], [command], ("kafka.Kafka", "--version"), head=r"^"
        )
        # Its Java is its own, and not that of the distribution.
        return _installation(
            dataclasses.replace(content, versions={"kafka": content.versions["kafka"]}), image, command
        )


def _installation(content: Content, image: str, command: tuple[str, ...]) -> Installation:
    return Installation(
        command=command,
        directory=Path("/opt/kafka"),
        versions=content.versions,
        parts=content.parts,
        image=image,
    )


def _java(version: str, cache: Cache, progress: Progress) -> Java:
    with tempfile.TemporaryDirectory(prefix="broker-chaos-java-") as scratch:
        return find_java(java_for(version), Tool(directory=Path(scratch), log=Path(scratch) / "log"), cache, progress)


def _train(client: Client, image: str, java: Java, content: Content, build: Build, trained: str) -> None:
    """Start a node in the image until it serves, write the archive, add it as a layer; raises UnfitEnvironmentError."""
    _sweep(client)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH) as name:
        scratch = Path(name)
        client_port, config = lay_out_training(scratch, content.parts["bootstrap"])
        jars = ["-cp", f"{_JARS}/*"]
        start = [*content.command, "-Xmx512m"]
        node = _run(client, image, [*start, *record_flags(java, scratch), *jars, "kafka.Kafka", str(config)], scratch)
        try:
            _await(client_port, node)
            node.stop(timeout=_STOP_S)
        finally:
            node.remove(force=True, v=True)
        archive = scratch / "archive"
        dump = _run(client, image, [*start, *dump_flags(java, scratch, archive), *jars], scratch)
        try:
            dump.wait(timeout=_DUMP_S)
            if not archive.is_file():
                raise UnfitEnvironmentError(f"its start-up archive could not be made:\n{_words(dump)}")
        finally:
            dump.remove(force=True, v=True)
        build(recipes() / "kafka" / "Dockerfile.startup", {"archive": archive}, trained, base=image)
        shutil.rmtree(scratch, ignore_errors=True)


def _sweep(client: Client) -> None:
    """Remove what a killed training has left running: its label names the harness that is no more."""
    from docker.errors import APIError  # noqa: PLC0415  only with an engine

    for node in client.containers.list(all=True, filters={"label": _TRAINING}, ignore_removed=True):
        pid, _, start = node.labels[_TRAINING].partition(" ")
        found = identity(int(pid)) if pid.isdigit() else None
        if found is None or str(found.start_ticks) != start:
            with contextlib.suppress(APIError):
                node.remove(force=True, v=True)
            for mount in node.attrs.get("Mounts", ()):
                if Path(mount["Source"]).name.startswith(_SCRATCH):
                    shutil.rmtree(mount["Source"], ignore_errors=True)


def _run(client: Client, image: str, argv: list[str], scratch: Path) -> Any:
    """Start a container that shares the machine's network and one directory with the harness."""
    mine = identity(os.getpid())
    assert mine is not None
    return client.containers.run(
        image,
        entrypoint=[argv[0]],
        command=argv[1:],
        detach=True,
        network_mode="host",
        volumes={str(scratch): {"bind": str(scratch), "mode": "rw"}},
        labels={_TRAINING: f"{os.getpid()} {mine.start_ticks}"},
    )


def _await(port: int, node: Any) -> None:
    deadline_ns = time.monotonic_ns() + READY_NS_MAX
    while not serves(port):
        check_stop()
        node.reload()
        if node.status == "exited" or time.monotonic_ns() > deadline_ns:
            raise UnfitEnvironmentError(f"its training did not serve:\n{_words(node)}")
        time.sleep(0.1)


def _words(container: Any) -> str:
    return "\n".join(container.logs().decode(errors="replace").splitlines()[-8:])


KAFKA = IMAGES.register("kafka")(KafkaImage())

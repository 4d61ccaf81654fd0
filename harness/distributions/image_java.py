"""Images of Java software: its jars, the Java it runs on, and the archive of classes that makes it start fast.

The archive fits the image alone: Java compares paths, sizes and times of the jars. So the software is started once
inside the image, what it loads is recorded, and the archive becomes a layer more. Knows no concrete software.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.distributions.base import Installation, Progress
from harness.distributions.cache import Cache, CachedEntry
from harness.distributions.image_official import require_version
from harness.distributions.images import Build, Content, has_tag
from harness.distributions.java import Java
from harness.distributions.java_software import JavaSoftware
from harness.distributions.startup_archive import READY_NS_MAX, TrainingRun, dump_flags, record_flags, use_flags
from harness.distributions.tool import check_stop
from harness.errors import UnfitEnvironmentError
from harness.runtime.docker.engine import Client
from harness.runtime.kernel.procfs import identity

_JAVA = "/opt/java/bin/java"
_PLAIN = ("-XX:+UseSerialGC", "-XX:-UsePerfData")
"""Of an official image's Java nothing is known that our own flags could rely on."""

_TRAINING = "broker-chaos-harness.training"
"""Label of the containers of a training; its value is pid and start time of the harness that makes them."""

_SCRATCH = "broker-chaos-training-"
_STOP_S = 60
_DUMP_S = 180
_RECIPE = 2  # counts what changes about every training


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialJavaImage:
    """How an official image of the same software is laid out.

    Attributes:
        java: Its ``java`` program.
        jars: Directory of its jars.
        head: Regular expression that stands before the version in what the software reports.
    """

    java: str
    jars: str
    head: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaImage:
    """Java software in an image of its own.

    Attributes:
        software: Which.
        recipe: Folder of its ``Dockerfile`` (which copies ``java`` to ``/opt/java`` and ``jars`` to ``<home>/jars``)
            and its ``Dockerfile.startup`` (which copies ``archive`` to ``<home>/archive``).
        home: Its directory in the image.
        official_layout: Of the project's official images; None = none is known.
    """

    software: JavaSoftware
    recipe: Path
    home: str
    official_layout: OfficialJavaImage | None = None

    @property
    def based(self) -> bool:
        """True: Java needs a C library."""
        return True

    def content(self, held: CachedEntry, cache: Cache, progress: Progress) -> Content:
        """Return the jars and the Java; raises DownloadError without a Java."""
        software, version = self.software, held.manifest.version
        java = software.java(version, cache, progress)
        flags = software.java_flags(java)
        digest = hashlib.sha256(f"{java.version} {flags} {_RECIPE + software.training.recipe}\n".encode())
        for name, file in held.manifest.files.items():
            digest.update(f"{name} {file.sha256}\n".encode())
        return Content(
            recipe=self.recipe,
            files={"java": java.path.resolve().parent.parent, "jars": held.directory / "jars"},
            command=(_JAVA, *flags),
            versions={software.kind: version, "java": java.version},
            parts=software.parts_of(held),
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
                self._train(client, image, java, content, build, trained)
            except UnfitEnvironmentError as error:
                progress(f"{image} starts slowly: {error.message}")
                trained = image
        if trained != image:
            flags += tuple(use_flags(java, Path(self.home, "archive")))
        return self._installation(content, trained, (*flags, *self._class_path()))

    def official(self, client: Client, content: Content, image: str) -> Installation:
        """Return an official image, once it has reported its version; raises UnfitEnvironmentError."""
        layout, kind = self.official_layout, self.software.kind
        if layout is None:
            raise UnfitEnvironmentError(
                f"the harness does not know the layout of official images of {kind}: {image}",
                hint="leave cluster.image out, and the harness builds its own image",
            )
        command = (layout.java, *_PLAIN, "-cp", f"{layout.jars}/*")
        version = content.versions[kind]
        require_version(client, image, kind, version, [command], self.software.tells_version, head=layout.head)
        # Its Java is its own, and not that of the distribution.
        return self._installation(dataclasses.replace(content, versions={kind: version}), image, command)

    def _class_path(self) -> tuple[str, str]:
        return ("-cp", f"{self.home}/jars/*")

    def _installation(self, content: Content, image: str, command: tuple[str, ...]) -> Installation:
        return Installation(
            command=command,
            directory=Path(self.home),
            versions=content.versions,
            parts=content.parts,
            image=image,
        )

    def _train(self, client: Client, image: str, java: Java, content: Content, build: Build, trained: str) -> None:
        """Start the software in the image until it serves, write the archive, add it as a layer; raises
        UnfitEnvironmentError.
        """
        _sweep(client)
        training = self.software.training
        with tempfile.TemporaryDirectory(prefix=_SCRATCH) as name:
            scratch = Path(name)
            run = training.lay_out(scratch, content.parts)
            jars = self._class_path()
            start = [*content.command, training.heap]
            node = _start(client, image, [*start, *record_flags(java, scratch), *jars, *run.words], scratch)
            try:
                _await(run, node)
                node.stop(timeout=_STOP_S)
            finally:
                node.remove(force=True, v=True)
            archive = scratch / "archive"
            dump = _start(client, image, [*start, *dump_flags(java, scratch, archive), *jars], scratch)
            try:
                dump.wait(timeout=_DUMP_S)
                if not archive.is_file():
                    raise UnfitEnvironmentError(f"its start-up archive could not be made:\n{_words(dump)}")
            finally:
                dump.remove(force=True, v=True)
            build(self.recipe / "Dockerfile.startup", {"archive": archive}, trained, base=image)
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


def _start(client: Client, image: str, argv: list[str], scratch: Path) -> Any:
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


def _await(run: TrainingRun, node: Any) -> None:
    deadline_ns = time.monotonic_ns() + READY_NS_MAX
    while not run.serves():
        check_stop()
        node.reload()
        if node.status == "exited" or time.monotonic_ns() > deadline_ns:
            raise UnfitEnvironmentError(f"the node that trains it did not become ready:\n{_words(node)}")
        time.sleep(0.1)


def _words(container: Any) -> str:
    return "\n".join(container.logs().decode(errors="replace").splitlines()[-8:])

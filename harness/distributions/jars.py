"""Jars by Maven coordinates: with the ``mvn`` on PATH, else with the Python package ``jgo``.

Owns how the two clients are called and what they say of a version that does not exist. Each is used as the user
configured it. jgo is installed into the cache like a toolchain, not with the harness: only a first fetch on a machine
without Maven needs it, and it would bring a dozen packages along. Knows no concrete artifact.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from harness.clock import NS_PER_S
from harness.distributions.cache import BuildContext, BuildResult, Cache, CacheEntry
from harness.distributions.fetch_errors import DISK_FULL, OFFLINE
from harness.distributions.pip import pip_install, pip_usable
from harness.distributions.tool import Tool, ToolFailure
from harness.environment import inherited
from harness.errors import DownloadError

JGO_VERSION = "3.2.0"
JGO = CacheEntry(area="toolchains", name=f"jgo-{JGO_VERSION}", variant=f"{sys.implementation.cache_tag}")

FETCH_NS_MAX = 15 * 60 * NS_PER_S
_ASK_NS = 60 * NS_PER_S
_PLUGIN = (
    "org.apache.maven.plugins:maven-dependency-plugin:2.8"  # the version that Maven 3.8 takes by itself; any serves
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinate:
    """An artifact at one version, by the names that Maven repositories use."""

    group: str
    artifact: str
    version: str

    def __str__(self) -> str:
        return f"{self.group}:{self.artifact}:{self.version}"


class MissingArtifactError(Exception):
    """The repositories do not have an artifact that was asked for.

    Attributes:
        failure: What the client said.
    """

    def __init__(self, failure: ToolFailure) -> None:
        super().__init__(str(failure))
        self.failure = failure


def fetch_jars(coordinates: Sequence[Coordinate], without: Sequence[str], out: Path, context: BuildContext) -> str:
    """Put the jars of ``coordinates``, and of all that they need at run time, into ``out``; return what fetched them.

    Args:
        coordinates: What is wanted.
        without: Names of artifacts whose jars are left out.
        out: Directory to make.
        context: Of the making that needs them.

    Raises:
        MissingArtifactError: One of ``coordinates`` itself does not exist.
        ToolFailure: It failed for another reason.
        DownloadError: There is nothing to fetch with.
    """
    out.mkdir()
    mvn, reason = mvn_on_path(context.tool)
    if mvn is not None:
        try:
            mvn.fetch(coordinates, without, out, context)
        except ToolFailure as failure:
            if _missing(failure, coordinates):
                raise MissingArtifactError(failure) from failure
            if OFFLINE.search(failure.output) or DISK_FULL.search(failure.output):
                raise
            # A Maven that is misconfigured or lacks its own plugins: try without it.
            reason = f"{mvn.path} {failure.reason}"
            try:
                jgo = private_jgo(context, reason)
            except DownloadError:
                raise failure from None
            shutil.rmtree(out)
            out.mkdir()
        else:
            return f"mvn {mvn.version}"
    else:
        jgo = private_jgo(context, reason)
    try:
        jgo.fetch(coordinates, without, out, context)
    except ToolFailure as failure:
        if _missing(failure, coordinates):
            raise MissingArtifactError(failure) from failure
        raise
    return f"jgo {JGO_VERSION}"


def jar_versions(group: str, artifact: str, tool: Tool, cache: Cache) -> tuple[str, ...]:
    """Return every version that the repositories list, in no certain order; asks only a client that is
    there already.
    """
    mvn, _ = mvn_on_path(tool)
    if mvn is not None:
        return mvn.versions(group, artifact, tool)
    held, _ = cache.get(JGO)
    return Jgo(packages=held.directory).versions(group, artifact, tool) if held is not None else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mvn:
    """A Maven that answered."""

    path: Path
    version: str

    def fetch(
        self, coordinates: Sequence[Coordinate], without: Sequence[str], out: Path, context: BuildContext
    ) -> None:
        """Copy the jars into ``out``; raises ToolFailure."""
        pom = _pom(coordinates, context.scratch / "pom.xml")
        # -U: a failure that Maven remembers is no answer.
        argv = [str(self.path), "-B", "-q", "-U", "-f", str(pom), f"{_PLUGIN}:copy-dependencies"]
        argv += ["-DincludeScope=runtime", f"-DexcludeArtifactIds={','.join(without)}", f"-DoutputDirectory={out}"]
        context.tool.run(argv, deadline_ns=FETCH_NS_MAX)

    def versions(self, group: str, artifact: str, tool: Tool) -> tuple[str, ...]:
        """Return the versions that the repositories list."""
        # A range that no version is in makes Maven fetch the list, and nothing else. It has no command that prints it.
        pom = _pom([Coordinate(group=group, artifact=artifact, version="[99999,)")], tool.directory / "range.xml")
        try:
            said = tool.run([str(self.path), "-B", "-X", "-U", "-f", str(pom), f"{_PLUGIN}:list"], deadline_ns=_ASK_NS)
        except ToolFailure as failure:
            said = failure.output
        local = re.search(r"Using local repository at (.+)", said)
        if local is None:
            return ()
        directory = Path(local[1].strip(), *group.split("."), artifact)
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in directory.glob("maven-metadata-*.xml")]
        return tuple(version for text in texts for version in re.findall(r"<version>([^<]+)</version>", text))


def mvn_on_path(tool: Tool) -> tuple[Mvn | None, str]:
    """Return the Maven on PATH if it answers, else None and why not."""
    found = shutil.which("mvn")
    if found is None:
        return None, "no mvn on PATH"
    path = Path(found).absolute()
    try:
        said = tool.run([str(path), "-B", "-v"], deadline_ns=_ASK_NS)
    except ToolFailure as failure:
        return None, f"{path} does not work: it {failure.reason}"
    match = re.search(r"Apache Maven (\S+)", re.sub(r"\x1b\[[\d;]*m", "", said))
    return (Mvn(path=path, version=match[1]), "") if match else (None, f"{path} does not report its version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Jgo:
    """The package jgo in the cache: the directory that its packages lie in."""

    packages: Path

    def fetch(
        self, coordinates: Sequence[Coordinate], without: Sequence[str], out: Path, context: BuildContext
    ) -> None:
        """Copy the jars into ``out``; raises ToolFailure."""
        argv = self._argv(context.scratch, "fetch", str(out), ",".join(without), *map(str, coordinates))
        context.tool.run(argv, deadline_ns=FETCH_NS_MAX, env=_quiet_environment())

    def versions(self, group: str, artifact: str, tool: Tool) -> tuple[str, ...]:
        """Return the versions that the repositories list."""
        try:
            argv = self._argv(tool.directory, "versions", group, artifact)
            return tuple(tool.run(argv, deadline_ns=_ASK_NS, env=_quiet_environment()).split())
        except ToolFailure:
            return ()

    def _argv(self, scratch: Path, *words: str) -> list[str]:
        script = Path(__file__).with_name("jgo_run.py")
        return [sys.executable, "-I", str(script), str(self.packages), str(scratch / "repository"), *words]


def private_jgo(context: BuildContext, reason: str) -> Jgo:
    """Return the package jgo, installing it into the cache first when needed; raises DownloadError.

    Args:
        context: Of the making that needs it.
        reason: Why Maven is not used, for the messages.
    """
    held, _ = context.cache.get(JGO)
    if held is None:
        context.progress(f"{reason}: installing the Python package jgo {JGO_VERSION} (once, then cached)…")
        held = context.cache.ensure(
            JGO, lambda own: _install(own, reason), title=f"jgo {JGO_VERSION}", progress=context.progress
        )
    return Jgo(packages=held.directory)


def _install(context: BuildContext, reason: str) -> BuildResult:
    problem = pip_usable(context.tool)
    if problem:
        raise DownloadError(
            f"nothing to fetch jars with: {reason}, and {problem}",
            hint=f"install Maven, or pip ({sys.executable} -m ensurepip)",
        )
    try:
        pip_install(context, f"jgo=={JGO_VERSION}", dependencies=True)
    except ToolFailure as failure:
        raise DownloadError(
            f"{reason}, and jgo {JGO_VERSION} could not be installed: {failure.command} "
            f"{failure.reason}\n{failure.tail()}",
            hint="is this machine offline? Install Maven, or copy the cache from another machine",
        ) from failure
    return BuildResult(version=JGO_VERSION, built_with=f"pip, jgo {JGO_VERSION}")


def _missing(failure: ToolFailure, coordinates: Sequence[Coordinate]) -> bool:
    """Return whether a client says of one of ``coordinates`` itself, not of what it needs, that it does not exist."""
    output = re.sub(r"\s+", " ", failure.output)
    for wanted in coordinates:
        name = rf"{re.escape(f'{wanted.group}:{wanted.artifact}')}:(jar|pom):{re.escape(wanted.version)}"
        # Maven's words, also for what it remembers and for mirrors that answer 403 instead of 404; jgo's words.
        said = (
            rf"Could not find artifact {name}\b|{name} was not found in|{name} from/to .{{0,300}}?\b40[34]\b|{name} "
            rf"not found"
        )
        if re.search(said, output):
            return True
    return False


def _pom(coordinates: Sequence[Coordinate], path: Path) -> Path:
    dependencies = "".join(
        f"<dependency><groupId>{escape(wanted.group)}</groupId><artifactId>{escape(wanted.artifact)}</artifactId>"
        f"<version>{escape(wanted.version)}</version></dependency>"
        for wanted in coordinates
    )
    path.write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>harness</groupId><artifactId>jars</artifactId>"
        f"<version>1</version><packaging>pom</packaging><dependencies>{dependencies}</dependencies></project>\n",
        encoding="utf-8",
    )
    return path


def _quiet_environment() -> dict[str, str]:
    """Return a tool's environment without what would make Python write bytecode into the cache."""
    return inherited() | {"PYTHONDONTWRITEBYTECODE": "1"}

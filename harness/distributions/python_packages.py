"""Distributions that are Python packages: a client library at any released version, in a directory of its own.

Owns the installation, the proof that the package is the version asked for, and the words for what can go wrong. Knows
no concrete package. What a package depends on is not installed: it is what the harness itself runs with.
"""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.clock import NS_PER_S
from harness.distributions.aliases import aliases_of
from harness.distributions.base import Installation, Progress
from harness.distributions.cache import BuildContext, BuildResult, Cache, CachedEntry
from harness.distributions.fetch_errors import OFFLINE, no_such_version, refusal, released_only
from harness.distributions.pip import pip_install, pip_usable, pip_versions
from harness.distributions.tool import Tool, ToolFailure
from harness.distributions.toolchains import Need, Toolchain
from harness.environment import inherited
from harness.errors import DownloadError

_ASK_NS = 60 * NS_PER_S
_SOURCE = "the package index"


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonPackage:
    """A kind of distribution that is a Python package.

    Attributes:
        kind: Registered name, which is also the package's.
        title: Name for people.
        tells_version: Python program that prints the version of the installed package.
        lock: File of the digests of the wheels of versions that aliases stand for; None = the first use is recorded.
    """

    kind: str
    title: str
    tells_version: str
    lock: Path | None = None

    def variant(self) -> str:
        """Return this Python's tag (``cpython-311``): a compiled package fits no other."""
        return str(sys.implementation.cache_tag)

    def make(self, version: str, context: BuildContext) -> BuildResult:
        """Install ``version`` into ``context.out``; raises DownloadError."""
        title = f"{self.title} {version}"
        problem = pip_usable(context.tool)
        if problem:
            raise DownloadError(
                f"{title} cannot be installed: {problem}", hint=f"install pip ({sys.executable} -m ensurepip)"
            )
        context.progress(f"installing {title} (once, then cached)…")
        try:
            pip_install(context, f"{self.kind}=={version}", lock=self.lock)
            environment = inherited() | {"PYTHONPATH": str(context.out), "PYTHONDONTWRITEBYTECODE": "1"}
            said = context.tool.run(
                [sys.executable, "-P", "-c", self.tells_version], deadline_ns=_ASK_NS, env=environment
            )
        except ToolFailure as failure:
            missing = re.search(rf"No matching distribution found for {re.escape(self.kind)}==", failure.output)
            if missing and not OFFLINE.search(failure.output):
                released = self._list_released(context.tool)
                raise no_such_version(self.title, version, failure, released, source=_SOURCE) from failure
            raise refusal(title, failure, context.cache, source=_SOURCE) from failure
        if said.strip() != version:
            raise DownloadError(f"{title} was installed, but it reports the version {said.strip()!r}")
        return BuildResult(version=version, built_with=f"pip, {self.kind} {version}")

    def install(self, held: CachedEntry, cache: Cache, progress: Progress) -> Installation:
        """Return the directory to put on ``PYTHONPATH``."""
        del cache, progress
        return Installation(command=(), directory=held.directory, versions={self.kind: held.manifest.version})

    def needs(self) -> tuple[Need, ...]:
        """Return pip."""
        return (Need(toolchain=Toolchain.PIP, whose=self.title),)

    def released(self) -> tuple[str, ...]:
        """Return the released versions that the index has for this Python and the aliases stand for, oldest first."""
        with tempfile.TemporaryDirectory(prefix="broker-chaos-pip-") as scratch:
            return self._list_released(Tool(directory=Path(scratch), log=Path(scratch) / "log"))

    def _list_released(self, tool: Tool) -> tuple[str, ...]:
        aliases = [exact.removeprefix(f"{self.kind}-") for exact in aliases_of(self.kind).values()]
        return released_only([*pip_versions(tool, self.kind), *aliases])

"""Distributions that are Go modules: any released version, built once with ``go install <module>@v<version>``.

Owns the build, the proof that the binary is the version asked for, and the words for what can go wrong. Knows no
concrete module.
"""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from harness.clock import NS_PER_S
from harness.distributions.aliases import aliases_of
from harness.distributions.base import Installation, Progress
from harness.distributions.cache import BuildContext, BuildResult, Cache, CachedEntry
from harness.distributions.fetch_errors import DISK_FULL, OFFLINE, no_such_version, refusal, released_only
from harness.distributions.go_toolchain import Go, go_on_path, private_go
from harness.distributions.tool import Tool, ToolFailure
from harness.distributions.toolchains import Need, Toolchain
from harness.errors import DownloadError

BUILD_NS_MAX = 15 * 60 * NS_PER_S
_ASK_NS = 20 * NS_PER_S
_SOURCE = "the Go module proxy"
_REPORT_EVERY_NS = 10 * NS_PER_S

# What go prints. A missing version is recognised only when it is said of the module itself, not of a dependency; 403 is
# what some mirrors answer instead of 404.
_TOO_OLD = re.compile(r"requires go ?>= ?[\d.]+|invalid go version|unknown directive: toolchain")
_NO_VERSION = r": (reading .*: (403|404|410) |.*(unknown revision|no matching versions|invalid version))"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoModule:
    """A kind of distribution that is built from a Go module.

    Attributes:
        kind: Registered name.
        title: Name for people.
        module: Module path.
        package: Of the program, below the module; empty for its root.
        installs: Name of the binary that ``go install`` makes.
        executable: Its name in the cache.
        version_arguments: With these the binary prints its version.
        version_variable: String variable that the linker sets to the version; empty when the source knows it.
    """

    kind: str
    title: str
    module: str
    package: str = ""
    installs: str
    executable: str
    version_arguments: tuple[str, ...]
    version_variable: str = ""

    def variant(self) -> str:
        """Return an empty string: a static binary depends on nothing else."""
        return ""

    def make(self, version: str, context: BuildContext) -> BuildResult:
        """Build ``version`` into ``context.out``; raises DownloadError."""
        go, reason = go_on_path(context.tool)
        if go is not None:
            try:
                return self._build(version, context, go)
            except ToolFailure as failure:
                needed = _TOO_OLD.search(failure.output)
                if needed is None:
                    raise self._refusal(version, context, go, failure) from failure
                reason = f"go {go.version} on PATH is too old ({needed[0]})"
        go = private_go(context, reason)
        try:
            return self._build(version, context, go)
        except ToolFailure as failure:
            raise self._refusal(version, context, go, failure) from failure

    def install(self, held: CachedEntry, cache: Cache, progress: Progress) -> Installation:
        """Return the static binary, which needs nothing besides."""
        del cache, progress
        return Installation(
            command=(str(held.path),), directory=held.directory, versions={self.kind: held.manifest.version}
        )

    def needs(self) -> tuple[Need, ...]:
        """Return Go."""
        return (Need(toolchain=Toolchain.GO, whose=self.title),)

    def released(self) -> tuple[str, ...]:
        """Return the released versions that can be found out, oldest first.

        The list is the module proxy's, which may know more than it lists; the versions that aliases stand for are
        added. Pre-releases are left out. Only a Go that is there already is asked.
        """
        with tempfile.TemporaryDirectory(prefix="broker-chaos-go-") as scratch:
            tool = Tool(directory=Path(scratch), log=Path(scratch) / "log")
            go, _ = go_on_path(tool)
            return self._list_released(tool, go, Cache()) if go is not None else ()

    def _build(self, version: str, context: BuildContext, go: Go) -> BuildResult:
        title = f"{self.title} {version}"
        line = f"building {title} with go {go.version} (once, then cached)…"
        context.progress(line)
        reported_ns = 0
        elapsed_ns = 0

        def tick(now_ns: int) -> None:
            nonlocal reported_ns, elapsed_ns
            elapsed_ns = now_ns
            if now_ns - reported_ns >= _REPORT_EVERY_NS:
                reported_ns = now_ns
                context.progress(f"{line} {now_ns // NS_PER_S} s")

        linker = "-s -w"
        if self.version_variable:
            linker += f" -X {self.version_variable}={version}"
        argv = [str(go.path), "install", "-trimpath", f"-ldflags={linker}"]
        if go.private:
            argv.append("-modcacherw")  # so that the whole cache can be removed by anybody's `rm -r`
        environment = go.environment(context.cache, context.scratch) | {"GOBIN": str(context.out)}
        argv.append(f"{self.module}{self.package}@v{version}")
        context.tool.run(argv, deadline_ns=BUILD_NS_MAX, env=environment, tick=tick)
        executable = context.out / self.executable
        try:
            (context.out / self.installs).replace(executable)
        except FileNotFoundError as error:
            raise DownloadError(f"{title} could not be built: go install made no {self.installs}") from error
        self._prove(version, context, go, executable)
        context.progress(f"built {title} in {elapsed_ns // NS_PER_S} s")
        return BuildResult(executable=executable, version=version, built_with=f"go {go.version}")

    def _prove(self, version: str, context: BuildContext, go: Go, executable: Path) -> None:
        """Refuse a binary that does not say, by itself and by its build record, that it is ``version``."""
        argv = [str(executable), *self.version_arguments]
        said = context.tool.run(argv, deadline_ns=_ASK_NS)
        found = re.search(r"\bv?(\d+\.\d+\.\d+[0-9A-Za-z.+-]*)", said)
        if found is None or found[1] != version:
            raise DownloadError(f"{self.title} {version} was built, but {' '.join(argv[1:])} says {said.strip()!r}")
        record = context.tool.run([str(go.path), "version", "-m", str(executable)], deadline_ns=_ASK_NS)
        built = re.search(rf"^\tmod\t{re.escape(self.module)}\t(\S+)", record, re.MULTILINE)
        if built is None or built[1] != f"v{version}":
            what = built[1] if built else "no module of that name"
            raise DownloadError(f"{self.title} {version} was built, but its build record names {what}")

    def _refusal(self, version: str, context: BuildContext, go: Go, failure: ToolFailure) -> DownloadError:
        """Return the error for a build that failed, with the hint that its output calls for."""
        title = f"{self.title} {version}"
        if not (DISK_FULL.search(failure.output) or OFFLINE.search(failure.output)):
            if re.search(rf"{re.escape(self.module)}\S*@v{re.escape(version)}{_NO_VERSION}", failure.output):
                released = self._list_released(context.tool, go, context.cache)
                return no_such_version(self.title, version, failure, released, source=_SOURCE)
            if _TOO_OLD.search(failure.output):
                message = f"{title} could not be built: {failure.command} {failure.reason}\n{failure.tail()}".rstrip()
                return DownloadError(message, hint="GOTOOLCHAIN=auto lets go fetch the version that this module wants")
        return refusal(title, failure, context.cache, source=_SOURCE)

    def _list_released(self, tool: Tool, go: Go, cache: Cache) -> tuple[str, ...]:
        try:
            environment = go.environment(cache, tool.directory)
            output = tool.run(
                [str(go.path), "list", "-m", "-versions", self.module], deadline_ns=_ASK_NS, env=environment
            )
        except ToolFailure:
            output = ""
        lines = [line for line in output.splitlines() if line.startswith(f"{self.module} ")]
        words = [word.removeprefix("v") for line in lines for word in line.split()[1:]]
        words += [exact.removeprefix(f"{self.kind}-") for exact in aliases_of(self.kind).values()]
        return released_only(words)

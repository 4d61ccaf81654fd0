"""rocketmq-client-python: the Python client of RocketMQ, together with the native library that it needs and lacks.

The package comes as source and without its library (a build of Apache's C++ client); a wheel of another package,
``rocketmq``, carries one that fits it (its C interface; ``library`` supplies what it has not). Both own the same import
name, so neither is installed where the harness is: they are laid together in the cache, and only workers of RocketMQ
have that on their path. Every file is known by its checksum, what builds the package included.
"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from typing import Final

from harness.clock import NS_PER_S
from harness.distributions.base import DISTRIBUTIONS, Installation, Progress
from harness.distributions.cache import BuildContext, BuildResult, Cache, CachedEntry, platform_name
from harness.distributions.fetch_errors import refusal
from harness.distributions.pip import Pin, pip_install_source, pip_install_wheels, pip_usable
from harness.distributions.tool import ToolFailure
from harness.distributions.toolchains import Need, Toolchain
from harness.environment import inherited
from harness.errors import DownloadError

PACKAGE: Final = "rocketmq-client-python"

_CLIENTS: Final = {
    "2.0.0": Pin(PACKAGE, "2.0.0", "692324adaa8107eebd0369117043871d90035ddb1562f9999c5681136f16f738"),
}
"""Version → its source."""

_LIBRARY: Final = Pin("rocketmq", "0.4.4", "19a10219f5074d1050e88cdbdfed3903a374b3f83c0dd2c8773e1e93e33ad02d")
"""The wheel whose library is used (x86_64, Linux, glibc); its Python code is not."""

_BUILDER: Final = Pin("setuptools", "80.9.0", "062d34222ad13e0cc312a4c02d73f059e86a4acbfbdea8f8f76b28c99f306922")

_PLATFORM: Final = "linux-amd64"
_ASK_NS: Final = 60 * NS_PER_S
_ASK: Final = (
    "import ctypes, importlib.metadata as m, sys\n"
    "ctypes.CDLL(sys.argv[1] + '/rocketmq/librocketmq.so').CreatePushConsumer\n"
    f"print(*{{d.version for d in m.distributions(path=[sys.argv[1]]) if d.name == {PACKAGE!r}}})"
)
"""Program that loads the library below a directory, and prints the version of the package there."""


def lacking(machine: str = "", libc: str | None = None) -> str:
    """Return why the library cannot be used; empty when it can.

    Args:
        machine: Operating system and processor, as paths in the cache have them; empty = this one's.
        libc: Name of the C library that Python runs with; None = this one's.
    """
    machine = machine or platform_name()
    if machine != _PLATFORM:
        return f"its native library is for {_PLATFORM}, and this machine is {machine}"
    if (platform.libc_ver()[0] if libc is None else libc) != "glibc":
        return "its native library needs the GNU C library, and this Python runs with another one"
    return ""


class ClientPackage:
    """The kind of distribution.

    Args:
        refuses: Says why a machine cannot have it; empty when it can.
    """

    title = PACKAGE

    def __init__(self, refuses: Callable[[], str] = lacking) -> None:
        self._lacking = refuses

    def variant(self) -> str:
        """Return an empty string: neither part depends on the version of Python."""
        return ""

    def make(self, version: str, context: BuildContext) -> BuildResult:
        """Lay package and library together in ``context.out``; raises DownloadError."""
        title = f"{self.title} {version}"
        if version not in _CLIENTS:
            raise DownloadError(
                f"{title} is not among the versions that the harness knows", hint=f"take {', '.join(_CLIENTS)}"
            )
        if reason := self._lacking():
            raise DownloadError(f"{title} cannot be used: {reason}", hint=f"run such scenarios on {_PLATFORM}")
        if problem := pip_usable(context.tool):
            raise DownloadError(
                f"{title} cannot be installed: {problem}", hint=f"install pip ({sys.executable} -m ensurepip)"
            )
        context.progress(f"installing {title} and its native library (once, then cached)…")
        try:
            said = self._lay_together(version, context)
        except ToolFailure as failure:
            raise refusal(title, failure, context.cache, source="the package index") from failure
        if said != version:
            raise DownloadError(f"{title} was installed, but it reports the version {said!r}")
        return BuildResult(version=version, built_with=f"pip, library of {_LIBRARY.package} {_LIBRARY.version}")

    def _lay_together(self, version: str, context: BuildContext) -> str:
        """Install both; return the version that the package reports of itself, once its library has been loaded."""
        wheels = context.scratch / "wheels"
        pip_install_wheels(context, (_BUILDER, _LIBRARY), wheels)
        pip_install_source(context, _CLIENTS[version], wheels)
        for name in ("librocketmq.so", ".libs"):  # the library looks for what it links below its own directory
            shutil.move(wheels / "rocketmq" / name, context.out / "rocketmq" / name)
        shutil.rmtree(context.out / "samples", ignore_errors=True)  # of the package, under a name that anyone may have
        env = inherited() | {"PYTHONDONTWRITEBYTECODE": "1"}
        return context.tool.run(
            [sys.executable, "-P", "-c", _ASK, str(context.out)], deadline_ns=_ASK_NS, env=env
        ).strip()

    def install(self, held: CachedEntry, cache: Cache, progress: Progress) -> Installation:
        """Return the directory to put on ``PYTHONPATH``."""
        del cache, progress
        versions = {PACKAGE: held.manifest.version, f"{PACKAGE}: library": _LIBRARY.version}
        return Installation(command=(), directory=held.directory, versions=versions)

    def released(self) -> tuple[str, ...]:
        """Return the versions whose files are known, oldest first."""
        return tuple(_CLIENTS)

    def needs(self) -> tuple[Need, ...]:
        """Return pip, and the platform of the library."""
        return (
            Need(toolchain=Toolchain.PIP, whose=PACKAGE),
            Need(toolchain=Toolchain.PLATFORM, whose=PACKAGE, lacking=self._lacking()),
        )


DISTRIBUTIONS.register(PACKAGE)(ClientPackage())

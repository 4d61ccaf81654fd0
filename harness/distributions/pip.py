"""pip: installs a Python package into a directory of its own, with the user's configuration of pip.

Owns the command line. Knows no concrete package.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.clock import NS_PER_S
from harness.distributions.cache import BuildContext
from harness.distributions.digests import FetchedFile, read_lock, verify
from harness.distributions.tool import Tool, ToolFailure
from harness.environment import inherited
from harness.errors import DownloadError

INSTALL_NS_MAX = 5 * 60 * NS_PER_S
_ASK_NS = 60 * NS_PER_S


def pip_usable(tool: Tool) -> str:
    """Return why nothing can be installed with this Python, or an empty string."""
    try:
        tool.run([sys.executable, "-P", "-m", "pip", "--version"], deadline_ns=_ASK_NS)
    except ToolFailure:
        return f"{sys.executable} has no pip"
    return ""


def pip_install(
    context: BuildContext, requirement: str, *, dependencies: bool = False, lock: Path | None = None
) -> None:
    """Install a package's wheel (and with ``dependencies`` those that it needs) into ``context.out``.

    Args:
        context: Where it is made.
        requirement: ``package==version``.
        dependencies: What it needs, too.
        lock: File of digests, by ``package-version``; those that it does not name are recorded at their first use.

    Raises:
        ToolFailure: It could not be installed.
        DownloadError: A wheel is another file than is known.
    """
    argv = [sys.executable, "-P", "-m", "pip", "install", "--target", str(context.out), "--only-binary", ":all:"]
    argv += [] if dependencies else ["--no-deps"]
    argv += ["--no-compile", "--no-input", "--no-user", "--progress-bar", "off", requirement]
    report = context.scratch / "pip-report.json"
    context.tool.run(argv, deadline_ns=INSTALL_NS_MAX, env=inherited() | {"PIP_REPORT": str(report)})
    known = {} if lock is None else read_lock(lock)
    for wheel in _installed(report, requirement):
        # A wheel runs no code while it is installed: what is refused here has never run.
        verify(wheel.locked_as, [wheel], known, locked=wheel.locked_as in known)
    # pip leaves console scripts that point into the directory the package is about to be moved out of.
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(context.out / "bin")


def _installed(report: Path, requirement: str) -> list[FetchedFile]:
    """Return the wheels that pip says that it installed; raises DownloadError when it does not say so."""
    try:
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
        if not items:
            raise ValueError("none")
        return [
            FetchedFile(
                file=item["download_info"]["url"].rpartition("/")[2],
                sha256=_sha256(item["download_info"]["archive_info"]),
                locked_as=f"{item['metadata']['name']}-{item['metadata']['version']}",
            )
            for item in items
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DownloadError(
            f"pip does not say which files it installed for {requirement}", hint="pip 22.2 or newer says it"
        ) from error


def _sha256(archive: Mapping[str, Any]) -> str:
    """Return the digest of an archive as pip reports it: from pip 23 on by algorithm, before that as one word."""
    found = archive["hashes"]["sha256"] if "hashes" in archive else archive["hash"].removeprefix("sha256=")
    if not re.fullmatch(r"[0-9a-f]{64}", found, re.ASCII):
        raise ValueError(f"{found!r} is no SHA-256")
    return str(found)


@dataclass(frozen=True, slots=True)
class Pin:
    """A package at one version, whose file is known.

    Attributes:
        package: Its name, as pip knows it.
        version: Exact.
        sha256: Of its file, in hexadecimal.
    """

    package: str
    version: str
    sha256: str


def pip_install_wheels(context: BuildContext, pins: tuple[Pin, ...], into: Path) -> None:
    """Install the wheels of packages into a directory, and none whose checksum differs.

    Raises:
        ToolFailure: One could not be installed, or is another file.
    """
    _install_pinned(context, pins, into, ["--only-binary", ":all:"], {})


def pip_install_source(context: BuildContext, pin: Pin, tools: Path) -> None:
    """Install a package that comes as source alone into ``context.out``, unless its checksum differs.

    Args:
        context: Where it is made.
        pin: The package.
        tools: Directory that holds what builds it: pip would else fetch that by itself, in whichever version is new.

    Raises:
        ToolFailure: It could not be built, or is another file.
    """
    words = ["--no-binary", pin.package, "--use-pep517", "--no-build-isolation"]
    _install_pinned(context, (pin,), context.out, words, {"PYTHONPATH": str(tools)})


def _install_pinned(
    context: BuildContext, pins: tuple[Pin, ...], into: Path, words: list[str], env: Mapping[str, str]
) -> None:
    listed = context.scratch / f"{pins[0].package}.txt"
    lines = [f"{pin.package}=={pin.version} --hash=sha256:{pin.sha256}\n" for pin in pins]
    listed.write_text("".join(lines), encoding="ascii")
    argv = [
        sys.executable,
        "-P",
        "-m",
        "pip",
        "install",
        "--target",
        str(into),
        "--no-deps",
        "--require-hashes",
        *words,
    ]
    argv += ["--no-compile", "--no-input", "--no-user", "--progress-bar", "off", "-r", str(listed)]
    context.tool.run(argv, deadline_ns=INSTALL_NS_MAX, env=inherited() | dict(env))


def pip_versions(tool: Tool, package: str) -> tuple[str, ...]:
    """Return the versions of a package that the user's index has for this Python, in no certain order; empty when it is
    not known.
    """
    try:
        said = tool.run([sys.executable, "-P", "-m", "pip", "index", "versions", package], deadline_ns=_ASK_NS)
    except ToolFailure:
        return ()
    found = re.search(r"^Available versions: (.*)$", said, re.MULTILINE)
    return tuple(found[1].split(", ")) if found else ()

"""The bases of images that are not from scratch: one that is named, one that can be pulled, or one made from Debian's
packages.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.distributions.base import Progress
from harness.errors import UnfitEnvironmentError
from harness.runtime.docker.engine import Client

BASE_VARIABLE = "HARNESS_BASE_IMAGE"
PULLED = "debian:bookworm-slim"
REPOSITORY = "broker-chaos-harness/base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A base, and how it is had.

    Attributes:
        variable: Of the environment, which names an image to use.
        pulled: Image to use where the engine has it or can pull it.
        repository: Name of those that the harness makes.
        script: Below the folder of the recipes; makes one: ``TAG SUITE``.
        suite: Of Debian, which it is made of; empty where none has what is needed.
        has: What it has, for messages.
    """

    variable: str = BASE_VARIABLE
    pulled: str = PULLED
    repository: str = REPOSITORY
    script: str = "base/make.sh"
    suite: str = "bookworm"
    has: str = "the GNU C library"

    @property
    def path(self) -> Path:
        """Its script."""
        return recipes() / self.script


C_LIBRARY = Base()
"""What Java software runs on."""


def recipes() -> Path:
    """Return the folder of the Dockerfiles: ``docker`` of the repository, or the copy in the installed package."""
    inside_repository = Path(__file__).parents[2] / "docker"
    return inside_repository if (inside_repository / "base").is_dir() else Path(__file__).parents[1] / "docker_files"


def known_base(client: Client, base: Base = C_LIBRARY) -> str:
    """Return the base that would be used now without fetching or making one; empty when there is none."""
    named = os.environ.get(base.variable, "")
    return next((name for name in ([named] if named else [base.pulled, own_tag(base)]) if _has(client, name)), "")


def ensure_base(
    client: Client,
    progress: Progress,
    lacks: Callable[[], Sequence[str]] | None = None,
    *,
    base: Base = C_LIBRARY,
) -> str:
    """Return the base image's name, pulling or making it when needed.

    Args:
        client: Of the engine.
        progress: Receives one line at a time, for people.
        lacks: Says what this machine lacks for making one; None = ``why_not_made``.
        base: Which one.

    Raises:
        UnfitEnvironmentError: There is none and none can be made; says why, and what would help.
    """
    from docker.errors import APIError  # noqa: PLC0415  only with an engine

    named = os.environ.get(base.variable, "")
    found = known_base(client, base)
    if found:
        return found
    name = named or base.pulled
    progress(f"pulling the base image {name}…")
    try:
        client.images.pull(name)
        return name
    except APIError as error:
        why = f"{name} cannot be pulled: {error.explanation or error}"
    if named:
        raise UnfitEnvironmentError(f"{base.variable}: {why}")
    return _made(progress, base, [why], (lacks or why_not_made)())


def own_tag(base: Base = C_LIBRARY) -> str:
    """Return the tag of the base that our own script makes."""
    return tag_of_script(base.path, base)


def tag_of_script(script: Path, base: Base = C_LIBRARY) -> str:
    """Return the tag of the base that a script makes; another script makes another tag."""
    return f"{base.repository}:{base.suite}-{hashlib.sha256(script.read_bytes()).hexdigest()[:12]}"


def why_not_made() -> list[str]:
    """Return what this machine lacks for making a base itself, one reason each; empty when it can."""
    reasons = []
    if os.geteuid() != 0:
        reasons.append("making one needs root")
    if shutil.which("debootstrap") is None:
        reasons.append("making one needs debootstrap (a Debian package)")
    if shutil.which("docker") is None:
        reasons.append("making one needs the docker command")
    return reasons


def _made(progress: Progress, base: Base, tried: list[str], lacking: Sequence[str]) -> str:
    missing = [*lacking, *([] if base.suite else [f"no release of Debian has {base.has}"])]
    if missing:
        raise UnfitEnvironmentError(
            "there is no base image: " + "; ".join([*tried, *missing]),
            hint=f"set {base.variable} to an image of the engine that has {base.has}",
        )
    progress("making a Debian base image from Debian's packages (once; about half a minute)…")
    try:
        done = subprocess.run(
            ["/bin/sh", str(base.path), own_tag(base), base.suite],
            capture_output=True,
            text=True,
            check=False,
            timeout=1200,
        )
    except subprocess.TimeoutExpired as error:
        raise UnfitEnvironmentError("making the Debian base image took more than 20 minutes") from error
    if done.returncode != 0:
        raise UnfitEnvironmentError(
            "the Debian base image could not be made:\n" + "\n".join(done.stderr.splitlines()[-8:])
        )
    return own_tag(base)


def _has(client: Client, name: str) -> bool:
    from docker.errors import ImageNotFound  # noqa: PLC0415  only with an engine

    with contextlib.suppress(ImageNotFound):
        client.images.get(name)
        return True
    return False

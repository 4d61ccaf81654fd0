"""The base of images that need a C library: one that is named, one that can be pulled, or one made from Debian's
packages.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.distributions.base import Progress
from harness.errors import UnfitEnvironmentError
from harness.runtime.docker.engine import Client

BASE_VARIABLE = "HARNESS_BASE_IMAGE"
PULLED = "debian:bookworm-slim"
REPOSITORY = "broker-chaos-harness/base"


def recipes() -> Path:
    """Return the folder of the Dockerfiles: ``docker`` of the repository, or the copy in the installed package."""
    inside_repository = Path(__file__).parents[2] / "docker"
    return inside_repository if (inside_repository / "base").is_dir() else Path(__file__).parents[1] / "docker_files"


def known_base(client: Client) -> str:
    """Return the base that would be used now without fetching or making one; empty when there is none."""
    named = os.environ.get(BASE_VARIABLE, "")
    return next((name for name in ([named] if named else [PULLED, own_tag()]) if _has(client, name)), "")


def ensure_base(client: Client, progress: Progress, lacks: Callable[[], Sequence[str]] | None = None) -> str:
    """Return the base image's name, pulling or making it when needed.

    Args:
        client: Of the engine.
        progress: Receives one line at a time, for people.
        lacks: Says what this machine lacks for making one; None = ``why_not_made``.

    Raises:
        UnfitEnvironmentError: There is none and none can be made; says why, and what would help.
    """
    from docker.errors import APIError  # noqa: PLC0415  only with an engine

    named = os.environ.get(BASE_VARIABLE, "")
    found = known_base(client)
    if found:
        return found
    name = named or PULLED
    progress(f"pulling the base image {name}…")
    try:
        client.images.pull(name)
        return name
    except APIError as error:
        why = f"{name} cannot be pulled: {error.explanation or error}"
    if named:
        raise UnfitEnvironmentError(f"{BASE_VARIABLE}: {why}")
    return _made(progress, [why], (lacks or why_not_made)())


def own_tag() -> str:
    """Return the tag of the base that our own script makes."""
    return tag_of_script(_script())


def tag_of_script(script: Path) -> str:
    """Return the tag of the base that a script makes; another script makes another tag."""
    return f"{REPOSITORY}:bookworm-{hashlib.sha256(script.read_bytes()).hexdigest()[:12]}"


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


def _made(progress: Progress, tried: list[str], lacking: Sequence[str]) -> str:
    if lacking:
        raise UnfitEnvironmentError(
            "there is no base image: " + "; ".join([*tried, *lacking]),
            hint=f"set {BASE_VARIABLE} to an image of the engine that has the GNU C library",
        )
    progress("making a Debian base image from Debian's packages (once; about half a minute)…")
    try:
        done = subprocess.run(
            ["/bin/sh", str(_script()), own_tag()], capture_output=True, text=True, check=False, timeout=1200
        )
    except subprocess.TimeoutExpired as error:
        raise UnfitEnvironmentError("making the Debian base image took more than 20 minutes") from error
    if done.returncode != 0:
        raise UnfitEnvironmentError(
            "the Debian base image could not be made:\n" + "\n".join(done.stderr.splitlines()[-8:])
        )
    return own_tag()


def _script() -> Path:
    return recipes() / "base" / "make.sh"


def _has(client: Client, name: str) -> bool:
    from docker.errors import ImageNotFound  # noqa: PLC0415  only with an engine

    with contextlib.suppress(ImageNotFound):
        client.images.get(name)
        return True
    return False

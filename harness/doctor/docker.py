"""The doctor's examinations of the Docker engine: whether it answers and can serve, its images, and its reaper.

They ask, and never build, pull or start anything.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Sequence
from typing import Any

from harness.doctor.report import Item, ItemStatus
from harness.errors import UnfitEnvironmentError
from harness.runtime.docker import engine as docker_engine

_DEADLINE_S = 3.0
_NO_ENGINE = "no Docker engine answers here"
_AFFECTS = "runs with --runtime docker, and scenarios that name an image"


def runtime(deadline_s: float = _DEADLINE_S) -> Item:
    """Return whether a Docker engine answers within ``deadline_s``, and whether its containers can serve as nodes."""

    def limited(detail: str) -> Item:
        return Item(
            name="docker runtime",
            status=ItemStatus.LIMITED,
            detail=detail,
            remedy="not needed for the process runtime; for containers start a Docker engine that this user may use",
            affects=_AFFECTS,
        )

    info, why = _answer(deadline_s)
    why = why or docker_engine.unusable()
    if why:
        return limited(why)
    root = "" if not any("rootless" in option for option in info.get("SecurityOptions") or ()) else ", rootless"
    groups = f"control groups version {info.get('CgroupVersion', '1')} by {info.get('CgroupDriver', '?')}"
    detail = f"engine {info.get('ServerVersion', '?')} answers ({info.get('Driver', '?')}, {groups}{root})"
    lacking = [name for name, key in (("CPU", "CpuCfsQuota"), ("memory", "MemoryLimit")) if info.get(key) is False]
    if lacking:
        return limited(f"{detail}; it cannot limit {' and '.join(lacking)}")
    return Item(name="docker runtime", status=ItemStatus.OK, detail=detail)


def images() -> Item:
    """Return which default images are built; what is missing is built by the first run that needs it."""

    def look(client: docker_engine.Client) -> Item:
        from harness.distributions.base import resolve  # noqa: PLC0415  only with an engine
        from harness.distributions.image_store import default_images  # noqa: PLC0415
        from harness.distributions.images import has_tag, tag_of  # noqa: PLC0415

        built: list[str] = []
        missing: list[str] = []
        for name in default_images():
            tag = tag_of(client, resolve(name))
            (built if tag and has_tag(client, tag) else missing).append(name)
        detail = [f"built: {', '.join(built)}"] if built else []
        detail += [f"not built yet: {', '.join(missing)}"] if missing else []
        return Item(
            name="images",
            status=ItemStatus.LIMITED if missing else ItemStatus.OK,
            detail="; ".join(detail),
            remedy="harness images build",
            affects="--runtime auto, which uses processes until they are built",
        )

    return _ask("images", look)


def base_image() -> Item:
    """Report on which the images are made that need a C library."""

    def look(client: docker_engine.Client) -> Item:
        from harness.distributions.image_base import known_base, why_not_made  # noqa: PLC0415  only with an engine
        from harness.distributions.images import IMAGES  # noqa: PLC0415

        based = [name for name, kind in IMAGES.items() if kind.based]
        return base_image_item(known_base(client), why_not_made(), based)

    return _ask("base image", look)


def base_image_item(known: str, lacking: Sequence[str], based: Sequence[str]) -> Item:
    """Report on which the images are made that need a C library.

    Args:
        known: The base that the engine has; empty = none.
        lacking: What this machine lacks for making one.
        based: Kinds of images that are made on one.
    """
    from harness.distributions.image_base import BASE_VARIABLE, PULLED  # noqa: PLC0415  only with an engine

    if known:
        return Item(name="base image", status=ItemStatus.OK, detail=known)
    if not lacking:
        detail = f"none yet: {PULLED} will be pulled, or a base made from Debian's packages, when it is needed"
        return Item(name="base image", status=ItemStatus.OK, detail=detail)
    return Item(
        name="base image",
        status=ItemStatus.LIMITED,
        detail=f"no base image: {PULLED} is not present, and one cannot be built here: {'; '.join(lacking)}",
        remedy=f"set {BASE_VARIABLE} to an image of the engine that has the GNU C library",
        affects=f"{' and '.join(based)} in containers",
    )


def reaper() -> Item:
    """Return whether testcontainers' reaper would run in addition."""

    def look(client: docker_engine.Client) -> Item:
        from testcontainers.core.config import testcontainers_config  # noqa: PLC0415  only with an engine

        name = testcontainers_config.ryuk_image
        there = bool(client.images.list(name=name))
        detail = f"{name} is present, and runs in addition" if there else f"{name} is not present, and not needed"
        return Item(name="reaper", status=ItemStatus.OK, detail=f"{detail}: leftovers of a dead run are found by label")

    return _ask("reaper", look)


def _answer(deadline_s: float = _DEADLINE_S) -> tuple[dict[str, Any], str]:
    """Return what the engine says of itself, or why it says nothing."""
    if not docker_engine._may_answer():  # noqa: SLF001  whether loading the package is worth it
        return {}, _NO_ENGINE
    docker: Any = importlib.import_module("docker")
    try:
        client = docker.from_env(timeout=deadline_s)
        try:
            return dict(client.info()), ""
        finally:
            client.close()
    except (docker.errors.DockerException, OSError) as error:  # requests' time-outs are OSErrors
        if "timed out" in str(error).lower():
            return {}, f"the engine did not answer within {deadline_s:g} s"
        return {}, f"no Docker engine answers: {error}"


def _ask(name: str, look: Callable[[docker_engine.Client], Item]) -> Item:
    """Return what ``look`` finds; where no engine answers that is said once, by the item of the runtime."""
    _, why = _answer()
    if not why:
        with contextlib.suppress(UnfitEnvironmentError), docker_engine.engine() as client:
            return look(client)
    return Item(
        name=name,
        status=ItemStatus.LIMITED,
        detail="no Docker engine to ask",
        remedy="see docker runtime",
        affects=_AFFECTS,
    )

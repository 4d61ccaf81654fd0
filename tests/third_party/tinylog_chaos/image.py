"""Tinylog as an image, from a Dockerfile of its own: the interpreter that runs the harness, and the script."""

from __future__ import annotations

import platform
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from harness.plugin_api.broker import (
    IMAGES,
    Build,
    Cache,
    CachedEntry,
    Client,
    Content,
    Installation,
    Progress,
    UnfitEnvironmentError,
)
from tinylog_chaos.distribution import SCRIPT, Tinylog

_LEFT_OUT = {"site-packages", "dist-packages", "test", "idlelib", "tkinter", "ensurepip", "lib2to3", "__pycache__"}


class TinylogImage:
    """The image kind ``tinylog``."""

    based = True

    def content(self, held: CachedEntry, cache: Cache, progress: Progress) -> Content:
        """Return the interpreter and the script."""
        del cache, progress
        version = platform.python_version()
        return Content(
            recipe=Path(__file__).parent / "docker",
            files={**_interpreter(), SCRIPT.name: held.directory / SCRIPT.name},
            command=("/opt/python/bin/python3", "-I", "-S", f"/opt/tinylog/{SCRIPT.name}"),
            versions={"tinylog": held.manifest.version, "python": version},
            digest=f"{version} {Tinylog().variant()}",
        )

    def finish(self, client: Client, image: str, content: Content, build: Build, progress: Progress) -> Installation:
        """Return the image as it is."""
        del client, build, progress
        return Installation(
            command=content.command, directory=Path("/opt/tinylog"), versions=content.versions, image=image
        )

    def official(self, client: Client, content: Content, image: str) -> Installation:
        """Refuse: no other publisher makes images of it."""
        del client, content
        raise UnfitEnvironmentError(f"{image} is no image of tinylog: there are no official ones")


def _interpreter() -> Mapping[str, Path]:
    """Return path in the image's context → what the running interpreter needs besides the C library."""
    library = Path(sysconfig.get_path("stdlib"))
    folder = f"python/lib/{library.name}"
    files = {f"{folder}/{item.name}": item for item in sorted(library.iterdir()) if item.name not in _LEFT_OUT}
    shared = Path(str(sysconfig.get_config_var("LIBDIR"))) / str(sysconfig.get_config_var("INSTSONAME"))
    if shared.suffix != ".a" and shared.is_file():
        files[f"python/lib/{shared.name}"] = shared
    return {"python/bin/python3": Path(sys.executable).resolve(), **files}


IMAGES.register("tinylog")(TinylogImage())

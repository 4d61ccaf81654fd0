"""Tinylog's software: one script of this package, run by the Python that runs the harness. Nothing is downloaded."""

from __future__ import annotations

import hashlib
import platform
import shutil
import sys
from pathlib import Path

from harness.plugin_api.broker import (
    DISTRIBUTIONS,
    BuildContext,
    BuildResult,
    Cache,
    CachedEntry,
    DownloadError,
    Installation,
    Need,
    Progress,
)
from tinylog_chaos import server

SCRIPT = Path(server.__file__)


class Tinylog:
    """The distribution kind ``tinylog``."""

    title = "Tinylog"

    def variant(self) -> str:
        """Return a digest of the script: another one is another entry in the cache."""
        return hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:12]

    def make(self, version: str, context: BuildContext) -> BuildResult:
        """Copy the script; raises DownloadError for a version that this package does not bring."""
        if version != server.VERSION:
            raise DownloadError(f"tinylog {version} is not known", hint=f"this package brings {server.VERSION}")
        shutil.copy(SCRIPT, context.out / SCRIPT.name)
        return BuildResult(version=version, built_with=f"python {platform.python_version()}")

    def install(self, held: CachedEntry, cache: Cache, progress: Progress) -> Installation:
        """Return how it is started."""
        del cache, progress
        return Installation(
            command=(sys.executable, "-I", "-S", str(held.directory / SCRIPT.name)),
            directory=held.directory,
            versions={"tinylog": held.manifest.version, "python": platform.python_version()},
        )

    def released(self) -> tuple[str, ...]:
        """Return the one version there is."""
        return (server.VERSION,)

    def needs(self) -> tuple[Need, ...]:
        """Return nothing: the Python is there."""
        return ()


DISTRIBUTIONS.register("tinylog")(Tinylog())

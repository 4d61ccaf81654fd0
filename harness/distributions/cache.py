"""The cache: what was built once, kept per user, checked when used, safe under concurrent use.

Owns the layout (docs/distributions.md) and the temporary directories. Knows nothing of how
an entry is made: that is the ``make`` it is handed.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import platformdirs

from harness.distributions.build_lock import locked
from harness.distributions.manifest import Manifest
from harness.distributions.tool import Tool
from harness.errors import DownloadError

CacheArea = Literal["distributions", "toolchains", "startups"]

CACHE_VARIABLE = "HARNESS_CACHE_DIR"
_AREAS: tuple[CacheArea, ...] = ("distributions", "toolchains", "startups")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def cache_dir() -> Path:
    """Return the root of the cache: ``HARNESS_CACHE_DIR``, else the user's cache directory."""
    chosen = os.environ.get(CACHE_VARIABLE, "")
    return Path(chosen).absolute() if chosen else platformdirs.user_cache_path("broker-chaos-harness")


def platform_name() -> str:
    """Return ``<os>-<architecture>`` of this machine in Go's words (``linux-amd64``)."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{_ARCHITECTURES.get(machine, machine)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """The place of one thing in the cache, on this machine's platform.

    Attributes:
        area: What it is: software under test, a toolchain to build or run it with, or what makes it start faster.
        name: ``nats-2.15.2``.
        variant: What it depends on besides the platform (``cp311``); empty for most.
    """

    area: CacheArea
    name: str
    variant: str = ""

    @property
    def platform(self) -> str:
        """Name of its directory below that of all its platforms."""
        return f"{platform_name()}-{self.variant}" if self.variant else platform_name()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContext:
    """Where an entry is made; all of it is removed afterwards, except that ``out`` becomes the entry.

    Attributes:
        out: Empty directory for the result.
        scratch: Empty directory for anything else.
        tool: Runs programs, with the log that is kept when the making fails.
        cache: For what the making itself needs from the cache.
        progress: Receives one line at a time, for people.
    """

    out: Path
    scratch: Path
    tool: Tool
    cache: Cache
    progress: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What a making yields: the version that the software reports of itself, what built it, and its program (below
    ``out``) when it is one.
    """

    version: str
    built_with: str
    executable: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedEntry:
    """An entry that is sound: its directory, its manifest, and whether this call made it."""

    directory: Path
    manifest: Manifest
    made: bool = False

    @property
    def path(self) -> Path:
        """Its program; its directory when it is not a program."""
        return self.directory / self.manifest.executable


class Cache:
    """The cache below one root directory; nothing is created before something is made.

    Args:
        root: None = ``cache_dir()``.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = cache_dir() if root is None else root

    def place(self, entry: CacheEntry) -> Path:
        """Return the directory of an entry, whether it exists or not."""
        return self.root / entry.area / entry.name / entry.platform

    def get(self, entry: CacheEntry, *, thorough: bool = False) -> tuple[CachedEntry | None, str]:
        """Return the entry if it is there and sound, else None and what is wrong (empty when it is not there).

        Size and time are compared always; the content with its checksum when ``thorough`` or when only the time
        differs, as after copying the cache to another machine.
        """
        place = self.place(entry)
        try:
            manifest = Manifest.read(place)
        except FileNotFoundError:
            return None, "it has no manifest" if place.exists() else ""
        except (OSError, ValueError, TypeError) as error:
            return None, f"its manifest cannot be read: {error}"
        damage = manifest.damage(place, thorough=thorough)
        return (None, damage) if damage else (CachedEntry(directory=place, manifest=manifest), "")

    def ensure(
        self,
        entry: CacheEntry,
        make: Callable[[BuildContext], BuildResult],
        *,
        title: str,
        progress: Callable[[str], None],
        thorough: bool = False,
    ) -> CachedEntry:
        """Return the entry, making it first when it is not there or is damaged; of many callers one makes it.

        Args:
            entry: What is wanted.
            make: Makes it; raises DownloadError.
            title: Its name for people.
            progress: Receives one line at a time, for people.
            thorough: See ``get``.

        Raises:
            DownloadError: It could not be made, or the cache cannot be written.
        """
        held, _ = self.get(entry, thorough=thorough)
        if held is not None:
            return held
        with self._writing(title), locked(self.root / "locks" / f"{_slug(entry)}.lock", title, progress):
            # Whoever held the lock before may have made it.
            held, damage = self.get(entry, thorough=thorough)
            if held is not None:
                return held
            if damage:
                progress(f"the cached {title} is damaged ({damage}): making it again")
            return self._make(entry, make, progress)

    def held(self, *, thorough: bool = False) -> list[tuple[CacheEntry, CachedEntry | None, str]]:
        """Return every entry for this platform, by name: what ``get`` says of each."""
        found: list[tuple[CacheEntry, CachedEntry | None, str]] = []
        for area in _AREAS:
            for place in sorted((self.root / area).glob(f"*/{platform_name()}*")):
                entry = CacheEntry(
                    area=area,
                    name=place.parent.name,
                    variant=place.name.removeprefix(platform_name()).removeprefix("-"),
                )
                found.append((entry, *self.get(entry, thorough=thorough)))
        return found

    def _make(
        self, entry: CacheEntry, make: Callable[[BuildContext], BuildResult], progress: Callable[[str], None]
    ) -> CachedEntry:
        """Make an entry under its lock, in a directory of its own that a killed predecessor may have left behind."""
        work = self.root / "building" / _slug(entry)
        _remove_tree(work)
        try:
            context = BuildContext(
                out=work / "out",
                scratch=work / "scratch",
                tool=Tool(directory=work / "scratch", log=work / "log"),
                cache=self,
                progress=progress,
            )
            context.out.mkdir(parents=True)
            context.scratch.mkdir()
            started_ns = time.monotonic_ns()
            try:
                made = make(context)
            except DownloadError as error:
                log = self._keep_log(entry, work / "log")
                raise DownloadError(f"{error.message}{log}", hint=error.hint) from error
            manifest = Manifest.of(
                context.out,
                made.executable,
                name=entry.name,
                version=made.version,
                built_with=made.built_with,
                build_ns=time.monotonic_ns() - started_ns,
            )
            manifest.write(context.out)
            place = self.place(entry)
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.exists():
                place.replace(work / "damaged")  # a directory cannot be replaced while it has content
            context.out.replace(place)
        finally:
            _remove_tree(work)
        self.failure_log(entry).unlink(missing_ok=True)
        return CachedEntry(directory=place, manifest=manifest, made=True)

    def failure_log(self, entry: CacheEntry) -> Path:
        """Return where the output of the last making of an entry is, if that failed."""
        return self.root / "logs" / f"{_slug(entry)}.log"

    def _keep_log(self, entry: CacheEntry, log: Path) -> str:
        """Move the log of a failed making to where it stays; return what the message says of it."""
        kept = self.failure_log(entry)
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            log.replace(kept)
        except OSError:
            return ""
        return f"\n  full output: {kept}"

    @contextlib.contextmanager
    def _writing(self, title: str) -> Iterator[None]:
        """Turn a cache that cannot be written into an error that says where it is and what to do."""
        try:
            yield
        except OSError as error:
            raise DownloadError(
                f"cannot write to the cache {self.root}: {error.strerror or error}; {title} is not in it",
                hint=self.write_hint(error.errno),
            ) from error

    def write_hint(self, code: int | None) -> str:
        """Return what to do about an operating-system error while writing to the cache."""
        if code in {errno.ENOSPC, errno.EDQUOT}:
            free = _free_bytes(self.root)
            room = f" ({free // 2**20} MiB are free)" if free is not None else ""
            return (
                f"a first build needs about 1 GiB: free space there{room}, or set {CACHE_VARIABLE} to another file "
                "system"
            )
        return f"set {CACHE_VARIABLE} to a directory that can be written"


def _slug(entry: CacheEntry) -> str:
    return f"{entry.name}-{entry.platform}"


def _free_bytes(path: Path) -> int | None:
    """Return what is free where ``path`` is or would be created; None when that cannot be determined."""
    for place in (path, *path.parents):
        if place.exists():
            return shutil.disk_usage(place).free
    return None


def _remove_tree(path: Path) -> None:
    """Remove a directory tree; a compiler orphaned a moment ago may still be writing into it."""
    for _ in range(50):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.02)
    shutil.rmtree(path)

"""Distributions: software (a broker, a tool, a client library) at one exact version, named ``<kind>-<version>``.

Owns the naming, the registry of kinds and the one entrance ``ensure``. Knows no concrete kind and nothing of what a
distribution is used for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.distributions.aliases import aliases, example
from harness.distributions.cache import BuildContext, BuildResult, Cache, CachedEntry, CacheEntry
from harness.distributions.toolchains import Need
from harness.errors import UsageError, nearest
from harness.registry import PackageRegistry, software_modules

Progress = Callable[[str], None]
_NAME = re.compile(
    r"(?P<kind>[a-z][a-z0-9]*(?:-[a-z][a-z0-9]*)*)-(?P<version>\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.-]+)?)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Software of one kind at one exact version.

    Attributes:
        kind: Registered name (``nats``).
        version: Exact, without a leading ``v`` (``2.15.2``, ``2.14.0-RC.1``).
    """

    kind: str
    version: str

    @property
    def name(self) -> str:
        """Its one spelling: ``nats-2.15.2``."""
        return f"{self.kind}-{self.version}"

    @staticmethod
    def parse(name: str) -> Distribution:
        """Return the distribution with this exact name; raises UsageError for anything else, aliases included."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise UsageError(f"{name!r} is not a distribution", hint=f"write <kind>-<version>, e.g. {example()}")
        return Distribution(match["kind"], match["version"])

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A distribution that is ready for use.

    Attributes:
        command: First words of a command line that runs it, to which the caller adds its own; empty for a library.
        directory: Where it lies; of a Python package: what goes on ``PYTHONPATH``.
        versions: Software → exact version, of everything that takes part (``{"kafka": "4.1.1", "java": "25.0.2"}``).
        parts: Further files, by a name that its kind defines.
        image: Of an installation in an image: its tag; ``command`` and ``directory`` are then inside it, and ``parts``
            on this machine. Empty for one on this machine.
    """

    command: tuple[str, ...]
    directory: Path
    versions: Mapping[str, str]
    parts: Mapping[str, Path] = field(default_factory=dict)
    image: str = ""

    @property
    def executable(self) -> Path:
        """The program, of software that is one; raises IndexError for a library."""
        return Path(self.command[0])


class DistributionKind(Protocol):
    """What must be known to obtain any version of one kind of software."""

    @property
    def title(self) -> str:
        """Its name for people (``nats-server``)."""

    def variant(self) -> str:
        """Return what a cached version depends on besides the platform (``cp311``); empty for most."""

    def make(self, version: str, context: BuildContext) -> BuildResult:
        """Build ``version`` into ``context.out``; raises DownloadError."""

    def install(self, held: CachedEntry, cache: Cache, progress: Progress) -> Installation:
        """Return how a cached version is used, preparing what that takes besides; raises DownloadError."""

    def released(self) -> tuple[str, ...]:
        """Return the released versions that can be found out, oldest first; empty when the list cannot be had."""

    def needs(self) -> tuple[Need, ...]:
        """Return the toolchains that its versions are made and run with, for the doctor."""


DISTRIBUTIONS: PackageRegistry[DistributionKind] = PackageRegistry(
    "distribution kind", software_modules("DISTRIBUTIONS")
)


def resolve(name: str) -> Distribution:
    """Return the exact distribution that an alias or an exact name stands for.

    Whether an exact version exists is not looked up here: that needs the network, see ``ensure``.

    Raises:
        UsageError: No such alias or kind, or a version that is not exact; names the nearest known word.
    """
    if name in aliases():
        return Distribution.parse(aliases()[name])
    match = _NAME.fullmatch(name)
    if match is None:
        raise UsageError(f"unknown distribution {name!r}", hint=_suggest(name))
    if match["kind"] not in DISTRIBUTIONS.names():
        raise UsageError(
            f"unknown distribution kind {match['kind']!r} in {name!r}",
            hint=nearest(match["kind"], DISTRIBUTIONS.names()),
        )
    return Distribution(match["kind"], match["version"])


def _suggest(name: str) -> str:
    """Return a hint for a name that is neither an alias nor an exact version."""
    plain = re.sub(r"-v(?=\d)", "-", name)
    if plain != name and (plain in aliases() or _NAME.fullmatch(plain)):
        return f"did you mean {plain!r}?"
    return f"{nearest(name, aliases())} Any released version can be named exactly, e.g. {example()}."


def entry_of(distribution: Distribution) -> CacheEntry:
    """Return where a distribution lies in the cache."""
    variant = DISTRIBUTIONS.get(distribution.kind).variant()
    return CacheEntry(area="distributions", name=distribution.name, variant=variant)


def ensure_cached(
    distribution: Distribution, progress: Progress, *, cache: Cache | None = None, thorough: bool = False
) -> CachedEntry:
    """Return the cached distribution, building it first when it is not there or is damaged.

    Args:
        distribution: What is wanted.
        progress: Receives one line at a time, for people.
        cache: Where it is kept; None = the user's cache.
        thorough: Compare the whole content with its checksum, not only size and time.

    Raises:
        DownloadError: It cannot be had; says why and what to do.
    """
    kind = DISTRIBUTIONS.get(distribution.kind)
    title = f"{kind.title} {distribution.version}"
    return (cache or Cache()).ensure(
        entry_of(distribution),
        lambda context: kind.make(distribution.version, context),
        title=title,
        progress=progress,
        thorough=thorough,
    )


def ensure(distribution: Distribution, progress: Progress, *, cache: Cache | None = None) -> Installation:
    """Return a distribution that is ready for use, building it first when needed; raises DownloadError."""
    cache = cache or Cache()
    held = ensure_cached(distribution, progress, cache=cache)
    return DISTRIBUTIONS.get(distribution.kind).install(held, cache, progress)

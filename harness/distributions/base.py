"""Distributions: a broker's (or tool's) software at one exact version, named ``<kind>-<version>``.

Owns the naming, the registry of kinds and the one entrance ``ensure``. Knows no concrete kind and nothing of what a
distribution is used for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.distributions.aliases import ALIASES
from harness.distributions.cache import Cache, Entry, Held, Made, Workshop
from harness.errors import UsageError, nearest
from harness.registry import Registry

Progress = Callable[[str], None]
_NAME = re.compile(r"(?P<kind>[a-z][a-z0-9]*)-(?P<version>\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.-]+)?)")


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
            raise UsageError(f"{name!r} is not a distribution", hint="write <kind>-<version>, e.g. nats-2.15.2")
        return Distribution(match["kind"], match["version"])

    def __str__(self) -> str:
        return self.name


class Kind(Protocol):
    """What must be known to obtain any version of one kind of software."""

    @property
    def title(self) -> str:
        """Its name for people (``nats-server``)."""

    def make(self, version: str, workshop: Workshop) -> Made:
        """Build ``version`` into ``workshop.out``; raises DownloadError."""

    def released(self) -> tuple[str, ...]:
        """Return the released versions that can be found out, oldest first; empty when the list cannot be had."""


DISTRIBUTIONS: Registry[Kind] = Registry(
    "distribution kind", "harness.distributions", "broker_chaos_harness.distributions"
)


def resolve(name: str) -> Distribution:
    """Return the exact distribution that an alias or an exact name stands for.

    Whether an exact version exists is not looked up here: that needs the network, see ``ensure``.

    Raises:
        UsageError: No such alias or kind, or a version that is not exact; names the nearest known word.
    """
    if name in ALIASES:
        return Distribution.parse(ALIASES[name])
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
    if plain != name and (plain in ALIASES or _NAME.fullmatch(plain)):
        return f"did you mean {plain!r}?"
    return f"{nearest(name, ALIASES)} Any released version can be named exactly, e.g. nats-2.12.1."


def entry_of(distribution: Distribution) -> Entry:
    """Return where a distribution lies in the cache."""
    return Entry(shelf="distributions", name=distribution.name)


def provide(
    distribution: Distribution, progress: Progress, *, cache: Cache | None = None, thorough: bool = False
) -> Held:
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
    return (cache or Cache()).obtain(
        entry_of(distribution),
        lambda workshop: kind.make(distribution.version, workshop),
        title=title,
        progress=progress,
        thorough=thorough,
    )


def ensure(distribution: Distribution, progress: Progress) -> Path:
    """Return the path of a distribution's executable, building it first when needed; raises DownloadError."""
    return provide(distribution, progress).path

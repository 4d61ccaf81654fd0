"""Which version of a broker a scenario names, and that it is a supported one: pure, without a look at any file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from harness.scenario.plugins import Refusal

_NAMED: Final = re.compile(r"[a-z-]+-(\d+)\.(\d+)\.(\d+)", re.ASCII)


def version_of(broker: str, aliases: Mapping[str, str]) -> tuple[int, int, int] | None:
    """Return the numbers of an alias' or an exact name's version; None for what is neither."""
    named = _NAMED.match(aliases.get(broker, broker))
    return (int(named[1]), int(named[2]), int(named[3])) if named else None


def too_old(broker: str, aliases: Mapping[str, str], oldest: tuple[int, int, int], why: str) -> Iterator[Refusal]:
    """Yield that a version is older than the oldest one that is supported, and why that is so."""
    version = version_of(broker, aliases)
    if version is not None and version < oldest:
        least = ".".join(map(str, oldest))
        yield Refusal(f"{broker} is not supported: {least} is the oldest, as {why}", "broker")

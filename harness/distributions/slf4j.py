"""The logging of Java software: exactly one slf4j binding among its jars.

Software often brings the API of slf4j without anything that logs, or with a binding that needs a configuration file: a
failed start then says nothing. slf4j-simple writes to standard error without a file. Its version must be that of the
API.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.distributions.cache import BuildContext
from harness.distributions.jars import Coordinate, fetch_jars

SLF4J_FLAGS = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)
"""Java's flags for it: each line with its time."""

_FIRST_GUESS = "1.7.36"
_OTHERS = ("slf4j-reload4j", "slf4j-log4j12", "log4j-slf4j-impl", "log4j-slf4j2-impl", "logback-classic")


def fetch_with_binding(
    coordinates: Sequence[Coordinate], without: Sequence[str], out: Path, context: BuildContext
) -> str:
    """Fetch jars as ``fetch_jars`` does, with slf4j-simple as their only binding; return what fetched them."""
    binding = _FIRST_GUESS
    while True:
        wanted = [*coordinates, Coordinate(group="org.slf4j", artifact="slf4j-simple", version=binding)]
        fetched_with = fetch_jars(wanted, [*without, *_OTHERS], out, context)
        api = next(iter(sorted(out.glob("slf4j-api-*.jar"))), None)
        needed = binding if api is None else api.stem.removeprefix("slf4j-api-")
        if needed == binding:
            return fetched_with
        binding = needed
        shutil.rmtree(out)

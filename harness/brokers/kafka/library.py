"""Versions of librdkafka that workers run with: older ones know fewer words.

Owns what is left to the library where it does not know a word that only refines what it does by itself. What decides
over a guarantee is never left out; such words are refused before a run, by the version that the scenario names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import confluent_kafka

_SINCE: Final[Mapping[str, tuple[int, ...]]] = {
    # Before it, the pause between attempts does not grow.
    "retry.backoff.max.ms": (2, 3),
    # Before it, a full queue always stops fetching for a second.
    "fetch.queue.backoff.ms": (2, 2),
}
"""Word → first version of librdkafka that knows it."""


def known(configuration: Mapping[str, Any], version: str | None = None) -> dict[str, Any]:
    """Return a configuration without the refinements that a version of the library does not know.

    Args:
        configuration: Words of librdkafka.
        version: Of librdkafka; None = of the one that is loaded.
    """
    numbers = tuple(int(part) for part in (version or confluent_kafka.libversion()[0]).split(".")[:2])
    return {word: value for word, value in configuration.items() if numbers >= _SINCE.get(word, (0,))}

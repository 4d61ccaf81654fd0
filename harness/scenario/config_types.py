"""Types of keys in ``cluster.config``: a value that a broker would refuse, or that the harness cannot read, is refused
before a run, where it is written.

Owns what each type takes. Never knows a key by name: each broker's package has a table of those whose type is known,
and a key that stands in none is passed through as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness.scenario.plugins import Refusal

_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class ConfigType:
    """What a key takes.

    Attributes:
        words: In words, with an article.
        takes: Whether it takes a value as YAML has it.
    """

    words: str
    takes: Callable[[Any], bool]


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value.strip()) is not None


WHOLE: Final = ConfigType("a whole number", _whole)
TRUTH: Final = ConfigType("true or false", lambda value: isinstance(value, bool))
MAP: Final = ConfigType("a mapping", lambda value: isinstance(value, Mapping))
TEXT: Final = ConfigType("text", lambda value: isinstance(value, str))
SIZE: Final = ConfigType("a whole number, or text such as 1GB", lambda value: _whole(value) or isinstance(value, str))
SPAN: Final = ConfigType("a whole number of seconds, or text such as 2m", SIZE.takes)
WRITTEN_WHOLE: Final = ConfigType(
    "a whole number",
    lambda value: _whole(value) or (isinstance(value, str) and bool(_INTEGER.fullmatch(value.strip()))),
)
"""In a properties file, where all is text."""
WRITTEN_NUMBER: Final = ConfigType(
    "a number",
    lambda value: (
        (isinstance(value, int | float) and not isinstance(value, bool))
        or (isinstance(value, str) and bool(_DECIMAL.fullmatch(value.strip())))
    ),
)
WRITTEN_TRUTH: Final = ConfigType(
    "true or false",
    lambda value: isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in {"true", "false"}),
)

ConfigTypes = Mapping[str, ConfigType]
"""Dotted path below ``cluster.config`` → type."""


def wrong_types(config: Mapping[str, Any], types: ConfigTypes) -> Iterator[Refusal]:
    """Yield a refusal for each key of a configuration whose value has another type than it takes.

    Args:
        config: As the scenario gives it; keys may have dots, and values may be mappings.
        types: Of the broker's keys.
    """
    yield from _wrong(config, types, ())


def _wrong(config: Mapping[str, Any], types: ConfigTypes, above: tuple[str, ...]) -> Iterator[Refusal]:
    for key, value in config.items():
        path = (*above, str(key))
        known = types.get(".".join(path))
        if known is not None and not known.takes(value):
            shown = repr(value)
            shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
            message = f"cluster.config.{'.'.join(path)} takes {known.words}, not {shown}"
            yield Refusal(message, path=("cluster", "config", *path))
        elif isinstance(value, Mapping):
            yield from _wrong(value, types, path)

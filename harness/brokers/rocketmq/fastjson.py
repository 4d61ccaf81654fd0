"""JSON as RocketMQ's servers write it: fastjson lets any value be a key, and writes maps of objects and of numbers so.

Owns the reading of such bodies; what we send is plain JSON. ``{0:"a"}`` and ``{{"queueId":0}:1}`` are what
``com.alibaba.fastjson.JSON.toJSONString`` makes of ``Map<Long, …>`` and of ``Map<MessageQueue, …>``.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # documented as of no module, and in all of them
from typing import Any, Final

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_WORDS: Final = {"true": True, "false": False, "null": None}
_DEPTH_MAX: Final = 64

ObjectKey = tuple[tuple[str, Any], ...]
"""An object that is a key: its fields, sorted by name."""


def loads(data: bytes | str) -> Any:
    """Return the value of a body; a key is a str, an int, or an ``ObjectKey``.

    Raises:
        ValueError: It is no such JSON.
    """
    text = data if isinstance(data, str) else data.decode()
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        reader = _TextReader(text)
        value = reader.value(0)
        reader.end()
        return value


class _TextReader:
    """Reads one text from its start."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def value(self, depth: int) -> Any:
        """Read the next value."""
        if depth > _DEPTH_MAX:
            raise ValueError(f"the body nests deeper than {_DEPTH_MAX} levels")
        found = self._peek()
        if found == "{":
            return self._object(depth)
        if found == "[":
            return self._array(depth)
        if found == '"':
            value, self._at = scanstring(self._text, self._at + 1, True)
            return value
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        number = _NUMBER.match(self._text, self._at)
        if number is None:
            raise ValueError(f"no value at character {self._at}: {self._text[self._at : self._at + 20]!r}")
        self._at = number.end()
        return int(number[0]) if number[0].lstrip("-").isdigit() else float(number[0])

    def end(self) -> None:
        """Require that nothing follows."""
        if self._peek():
            raise ValueError(f"more than one value: {self._text[self._at : self._at + 20]!r} follows")

    def _object(self, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        self._take("{")
        while self._peek() != "}":
            key = self.value(depth + 1)
            self._take(":")
            found[_hashable(key)] = self.value(depth + 1)
            if self._peek() != "}":
                self._take(",")
        self._take("}")
        return found

    def _array(self, depth: int) -> list[Any]:
        found: list[Any] = []
        self._take("[")
        while self._peek() != "]":
            found.append(self.value(depth + 1))
            if self._peek() != "]":
                self._take(",")
        self._take("]")
        return found

    def _peek(self) -> str:
        """Return the next character that is no space; empty at the end."""
        space = _SPACE.match(self._text, self._at)
        assert space is not None
        self._at = space.end()
        return self._text[self._at : self._at + 1]

    def _take(self, wanted: str) -> None:
        found = self._peek()
        if found != wanted:
            raise ValueError(f"{found or 'the end'!r} at character {self._at}, where {wanted!r} belongs")
        self._at += 1


def _hashable(key: Any) -> Any:
    """Return a key as something that a dict can hold."""
    if isinstance(key, dict):
        return tuple(sorted((name, _hashable(value)) for name, value in key.items()))
    return tuple(map(_hashable, key)) if isinstance(key, list) else key

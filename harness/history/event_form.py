"""How an event lies in its file: one JSON object a line, with the version of its form.

Owns what is refused: a kind or a field that this harness does not know may say what a verdict rests on, so it is never
skipped. Must never know what an event means.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from harness.history import old_events
from harness.history.events import EVENTS, Event

VERSION: Final = 2
"""Of the form that is written. Version 1 named no version, and did not say what a fault does."""

_Reader = Callable[[Any], Any]


def to_line(event: Event) -> bytes:
    """Return the line of an event, its end included."""
    content: dict[str, Any] = {"t": event.t, "version": VERSION, "kind": event.kind}
    content |= {field.name: getattr(event, field.name) for field in dataclasses.fields(event) if field.name != "t"}
    return json.dumps(content, separators=(",", ":"), default=dataclasses.asdict).encode() + b"\n"


def from_json(content: object, source: str = "") -> Event:
    """Return the event that a line holds, of this version or an older one.

    Args:
        content: The line, parsed.
        source: Who wrote it, where an older form does not say so.

    Raises:
        ValueError: It is not an event: another type, an unknown version, kind or field, or a field that is missing.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{type(content).__name__} in place of an object")  # noqa: TRY004  one error for every reason
    version = content.get("version", old_events.VERSION)
    if type(version) is not int or not old_events.VERSION <= version <= VERSION:
        raise ValueError(f"its version is {version!r}; this harness reads {old_events.VERSION} to {VERSION}")
    given = {name: value for name, value in content.items() if name not in {"version", "kind"}}
    kind = EVENTS.get(str(content.get("kind")))
    if kind is None:
        raise ValueError(f"its kind {content.get('kind')!r} is unknown")
    readers = _readers(kind)  # type: ignore[arg-type]  # mypy takes a class for one of its instances here
    if version == old_events.VERSION:
        given = old_events.translated(kind, {"source": source} | given)
    return kind(**_fields(given, readers))


def _fields(given: Mapping[str, Any], readers: Mapping[str, _Reader]) -> dict[str, Any]:
    if given.keys() != readers.keys():
        missing, unknown = sorted(readers.keys() - given.keys()), sorted(given.keys() - readers.keys())
        raise ValueError(f"without {', '.join(missing)}" if missing else f"unknown field {', '.join(unknown)}")
    found = {}
    for name, reader in readers.items():
        try:
            found[name] = reader(given[name])
        except (ValueError, TypeError) as error:
            raise ValueError(f"{name}: {error}") from error
    return found


@functools.cache
def _readers(kind: Callable[..., Any]) -> Mapping[str, _Reader]:
    """Return field → how its JSON value is read, of a dataclass."""
    hints = get_type_hints(kind)
    return {field.name: _reader(hints[field.name]) for field in dataclasses.fields(kind)}  # type: ignore[arg-type]


def _reader(hint: Any) -> _Reader:
    """Return how a JSON value becomes one of a field's type; it raises ValueError for any other value."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        (inner,) = (_reader(item) for item in arguments if item is not NoneType)
        return lambda value: None if value is None else inner(value)
    if origin is tuple:
        item_of = _reader(arguments[0])
        return lambda value: tuple(item_of(item) for item in _of_type(list, value))
    if origin is not None:  # a mapping; the keys of JSON are strings
        key_of, value_of = arguments[0], _reader(arguments[1])
        return lambda value: {key_of(key): value_of(item) for key, item in _of_type(dict, value).items()}
    if dataclasses.is_dataclass(hint):
        part: type = hint  # type: ignore[assignment]
        return lambda value: part(**_fields(_of_type(dict, value), _readers(part)))
    return functools.partial(_of_type, hint)


def _of_type(wanted: type, value: Any) -> Any:
    if type(value) is not wanted:  # exactly: a bool is no number here
        raise ValueError(f"{value!r} is no {wanted.__name__}")
    return value

"""How an event lies in its file: one JSON object a line, with the version of its form.

Owns what is refused: a kind or a field that this harness does not know may say what a verdict rests on, so it is never
skipped. Must never know what an event means.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Final

from harness.history import old_events, typed
from harness.history.events import EVENTS, Event

VERSION: Final = 3
"""Of the form that is written. Version 1 named no version, and did not say what a fault does; until version 2 evidence
did not say what it lacks.
"""


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
    if version == old_events.VERSION:
        given = old_events.translated(kind, {"source": source} | given)
    elif version < VERSION:
        given = old_events.translated_2(kind, given)
    return typed.read(kind, given)

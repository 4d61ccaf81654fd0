"""The lines by which an application reports what it does: one JSON object a line, checked key by key.

Owns the form of a line (docs/applications.md) and nothing of what follows from it. Knows no broker, socket or journal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from harness.clients.payload import BODY_BYTES_MIN, decode, read
from harness.errors import nearest
from harness.history.facts import PARTITIONS_MAX
from harness.history.record import Outcome

LINE_BYTES_MAX: Final = 1 << 20
"""A longer line is rejected: of a large body, send its beginning (``head``)."""

_OFFSET_MAX: Final = (1 << 62) - 1
_ATTEMPT_MAX: Final = (1 << 32) - 1
_SHOWN: Final = 80
_ASSIGNMENTS: Final = ("assigned", "revoked", "lost")
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    "delivered": frozenset({"partition", "offset", "body", "head", "attempt", "number"}),
    "processed": frozenset({"partition", "offset", "outcome"}),
    "returned": frozenset({"partition", "offset"}),
    "committed": frozenset({"partition", "offset", "position", "outcome", "confirmed"}),
    **dict.fromkeys(_ASSIGNMENTS, frozenset({"partitions"})),
}
_ANY: Final = frozenset({"event", "t"})
_OUTCOMES: Final[Mapping[str, Mapping[str, Outcome]]] = {
    "processed": {"ok": Outcome.OK, "failed": Outcome.FAIL},
    "committed": {"ok": Outcome.OK, "failed": Outcome.FAIL, "unknown": Outcome.UNKNOWN},
}


class LineError(ValueError):
    """A line that says nothing that could be recorded; its text says why."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A message was handed to the application.

    Attributes:
        partition, offset: Its place.
        key, seq: What its body says; -1 for a body not of our form.
        intact: Whether the body was the one that was sent; None when the application sent no whole body.
        attempt: Of the delivery, from 1; 0 = not said.
        number: The broker's own of the delivery; -1 = not said.
        sent_ns: When the line was written, by the application's own monotonic clock; 0 = not said. So below.
    """

    partition: int
    offset: int
    key: int
    seq: int
    intact: bool | None
    attempt: int
    number: int
    sent_ns: int = 0


@dataclass(frozen=True, slots=True)
class Processed:
    """The handler of a message has ended; ``FAIL``: without success."""

    partition: int
    offset: int
    outcome: Outcome
    sent_ns: int = 0


@dataclass(frozen=True, slots=True)
class Returned:
    """The handler of a message that was delivered never begins."""

    partition: int
    offset: int
    sent_ns: int = 0


@dataclass(frozen=True, slots=True)
class Committed:
    """A message was acknowledged (``offset``), or a position committed (``position``); the other one is -1.

    Attributes:
        outcome: ``OK`` and ``FAIL`` are definite, ``UNKNOWN`` is not: it was asked for.
        confirmed: The broker confirmed the acknowledgement of a message.
    """

    partition: int
    offset: int
    position: int
    outcome: Outcome
    confirmed: bool
    sent_ns: int = 0


@dataclass(frozen=True, slots=True)
class Assigned:
    """What the application owns changed: ``assigned``, ``revoked`` or ``lost``."""

    event: str
    partitions: tuple[int, ...]
    sent_ns: int = 0


Line = Delivered | Processed | Returned | Committed | Assigned


def parse(text: bytes) -> Line:
    """Return what a line says.

    Args:
        text: Without its end.

    Raises:
        LineError: It is malformed; nothing of it counts.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LineError(f"is no JSON: {_shown(text)}") from error
    if not isinstance(found, dict):
        raise LineError(f"is no JSON object: {_shown(text)}")
    event = found.get("event")
    if not isinstance(event, str) or event not in _KEYS:
        hint = nearest(event, _KEYS) if isinstance(event, str) else f"known: {', '.join(sorted(_KEYS))}"
        raise LineError(f"names no event that is known: {_shown(text)} ({hint})")
    for key in found:
        if key not in _KEYS[event] and key not in _ANY:
            raise LineError(f"{event} has no key {key[:_SHOWN]!r} ({nearest(key, _KEYS[event] | _ANY)})")
    sent_ns = _number(found, "t", _OFFSET_MAX, 0)
    if event in _ASSIGNMENTS:
        return Assigned(event, _partitions(found, event), sent_ns)
    partition = _number(found, "partition", PARTITIONS_MAX - 1)
    if event == "committed":
        return _committed(found, partition, sent_ns)
    offset = _number(found, "offset", _OFFSET_MAX)
    if event == "delivered":
        return _delivered(found, partition, offset, sent_ns)
    if event == "returned":
        return Returned(partition, offset, sent_ns)
    return Processed(partition, offset, _outcome(found, event), sent_ns)


def _delivered(found: Mapping[str, Any], partition: int, offset: int, sent_ns: int) -> Delivered:
    if ("body" in found) == ("head" in found):
        raise LineError("delivered needs the body of the message, or its head: one of the two")
    name = "body" if "body" in found else "head"
    if not isinstance(found[name], str):
        raise LineError(f"{name} must be text, not {_shown(found[name])}")
    body = found[name].encode("utf-8", errors="surrogatepass")
    intact: bool | None = None
    if name == "body":
        key, seq, intact = read(body)
    elif len(body) < BODY_BYTES_MIN:
        raise LineError(f"head must hold the first {BODY_BYTES_MIN} bytes of the body, not {len(body)}")
    else:
        key, seq = decode(body)
    attempt, number = _number(found, "attempt", _ATTEMPT_MAX, 0), _number(found, "number", _OFFSET_MAX, -1)
    return Delivered(partition, offset, key, seq, intact, attempt, number, sent_ns)


def _committed(found: Mapping[str, Any], partition: int, sent_ns: int) -> Committed:
    if ("offset" in found) == ("position" in found):
        raise LineError("committed needs the offset of one message, or a position: one of the two")
    confirmed = found.get("confirmed", False)
    if not isinstance(confirmed, bool):
        raise LineError(f"confirmed must be true or false, not {_shown(confirmed)}")
    return Committed(
        partition,
        _number(found, "offset", _OFFSET_MAX, -1),
        _number(found, "position", _OFFSET_MAX, -1),
        _outcome(found, "committed"),
        confirmed,
        sent_ns,
    )


def _number(found: Mapping[str, Any], key: str, most: int, default: int | None = None) -> int:
    """Return a whole number from 0 to ``most``; raises LineError."""
    if key not in found:
        if default is None:
            raise LineError(f"{found['event']} needs {key!r}")
        return default
    value = found[key]
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise LineError(f"{key} must be a whole number from 0 to {most}, not {_shown(value)}")
    return value


def _partitions(found: Mapping[str, Any], event: str) -> tuple[int, ...]:
    value = found.get("partitions")
    if not isinstance(value, list):
        raise LineError(f"{event} needs 'partitions', a list of numbers")
    wrong = [
        each for each in value if isinstance(each, bool) or not isinstance(each, int) or not 0 <= each < PARTITIONS_MAX
    ]
    if wrong:
        raise LineError(f"partitions must be whole numbers from 0 to {PARTITIONS_MAX - 1}, not {_shown(wrong[0])}")
    return tuple(sorted(set(value)))


def _outcome(found: Mapping[str, Any], event: str) -> Outcome:
    value, known = found.get("outcome", "ok"), _OUTCOMES[event]
    if not isinstance(value, str) or value not in known:
        raise LineError(f"outcome of {event} must be one of {', '.join(known)}, not {_shown(value)}")
    return known[value]


def _shown(value: object) -> str:
    text = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

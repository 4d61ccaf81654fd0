"""Results as JSON: written, read back exactly, compared, and described by a JSON Schema.

Everything is derived from the dataclasses of ``harness.result`` and ``harness.verdict``, so that nothing can drift
from them. Must never know how a result is made or shown.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import numbers
import re
import types
import typing
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from harness.errors import UsageError
from harness.result import RESULT_VERSION, RunResult

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""JSON has no such numbers: they are written as strings, and only where a float is expected."""


def to_json(result: RunResult) -> str:
    """Return ``result`` as indented JSON (ASCII only, valid for strict parsers), with a line break at its end."""
    return json.dumps(_plain(result), indent=1, allow_nan=False) + "\n"


def from_json(text: str) -> RunResult:
    """Return the result that ``to_json`` wrote.

    Fields that are not known are ignored, so that a result with additions of a later release can be read.

    Raises:
        UsageError: The text is no JSON, of another version, or a value does not fit; names the place.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UsageError(f"the result is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"the result must be a JSON object, not {_kind(content)}")
    version = content.get("version")
    if version != RESULT_VERSION or isinstance(version, bool):
        raise UsageError(
            f"the result has version {version!r}; this release reads version {RESULT_VERSION}",
            hint="read it with the release that wrote it, or judge its run directory again with `harness check`",
        )
    decoded: RunResult = _decode(RunResult, content, "result")
    return decoded


def comparable(result: RunResult) -> dict[str, Any]:
    """Return what two judgements of one history must agree on.

    That is the plan, the verdict, the outcome, and everything the checks said; not when or how fast they said it.
    """
    return {
        "digest": result.digest,
        "verdict": result.verdict.value,
        "outcome": result.outcome.value,
        "checks": {check.check: _plain(check) for check in result.checks},
    }


def differences(before: RunResult, after: RunResult) -> tuple[str, ...]:
    """Return where two judgements of one history disagree, one line each (``checks.loss.verdict: "pass" → "fail"``)."""
    return tuple(_differ("", comparable(before), comparable(after)))


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of ``result.json``."""
    definitions: dict[str, Any] = {}
    root = _schema_of(RunResult, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Result of a run, version {RESULT_VERSION}",
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """Return the schema as it is published in ``docs/schema/result.schema.json``."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def descriptions(cls: type) -> dict[str, str]:
    """Return field → description from the ``Attributes`` section of a dataclass's docstring.

    ``a, b: text`` describes both; lines that are indented deeper continue an entry.
    """
    section = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")[2]
    entries: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        opened = re.match(r"^    (\w+(?:, \w+)*): (.*)$", line)
        if opened:
            names = opened[1].split(", ")
            entries |= dict.fromkeys(names, opened[2].strip())
        elif line.startswith("     "):
            entries |= {name: f"{entries[name]} {line.strip()}" for name in names}
        else:
            break
    return entries


def _plain(value: Any) -> Any:
    """Return ``value`` in JSON's own types."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)  # checks count with NumPy, whose integers json does not know
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _decode(kind: Any, value: Any, place: str) -> Any:
    """Return ``value`` as an instance of the annotation ``kind``; raises UsageError naming ``place``."""
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        (member,) = (member for member in typing.get_args(kind) if member is not types.NoneType)
        return None if value is None else _decode(member, value, place)
    if origin is tuple:
        items = _expect(value, list, place)
        return tuple(_decode(typing.get_args(kind)[0], item, f"{place}[{index}]") for index, item in enumerate(items))
    if origin is not None and issubclass(origin, Mapping):
        entries = _expect(value, dict, place)
        return {name: _decode(typing.get_args(kind)[1], item, f"{place}.{name}") for name, item in entries.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_fields(kind, _expect(value, dict, place), place)
    if isinstance(kind, type) and issubclass(kind, Enum):
        if value not in [member.value for member in kind]:
            known = ", ".join(str(member.value) for member in kind)
            raise UsageError(f"{place}: {value!r} is not one of {known}")
        return kind(value)
    if kind is float:
        return _NON_FINITE[value] if isinstance(value, str) and value in _NON_FINITE else _number(value, place)
    return _expect(value, kind, place)


def _decode_fields(cls: type, value: dict[str, Any], place: str) -> Any:
    hints = typing.get_type_hints(cls)
    fields = [field for field in dataclasses.fields(cls) if field.init]
    missing = [field.name for field in fields if field.name not in value and _required(field)]
    if missing:
        raise UsageError(f"{place} lacks {', '.join(missing)}")
    return cls(
        **{
            field.name: _decode(hints[field.name], value[field.name], f"{place}.{field.name}")
            for field in fields
            if field.name in value
        }
    )


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{place} must be a number, not {_kind(value)}")
    return value


def _expect(value: Any, kind: type, place: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UsageError(f"{place} must be {_NAMES[kind]}, not {_kind(value)}")
    return value


_NAMES = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    types.NoneType: "null",
}


def _kind(value: Any) -> str:
    return _NAMES[type(value)]


def _differ(place: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            inner = f"{place}.{name}" if place else name
            yield from _differ(inner, before.get(name), after.get(name))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (left, right) in enumerate(zip(before, after, strict=True)):
            yield from _differ(f"{place}[{index}]", left, right)
    elif isinstance(before, list) and isinstance(after, list):
        yield f"{place}: {len(before)} entries → {len(after)}"
    elif before != after:
        yield f"{place}: {json.dumps(before)} → {json.dumps(after)}"


def _schema_of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one annotation; shapes of dataclasses and enums go to ``definitions``."""
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return {"anyOf": [_schema_of(member, definitions) for member in typing.get_args(kind)]}
    if origin is tuple:
        return {"type": "array", "items": _schema_of(typing.get_args(kind)[0], definitions)}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema_of(typing.get_args(kind)[1], definitions)}
    if kind is float:
        return {"anyOf": [{"type": "number"}, {"enum": sorted(_NON_FINITE)}]}
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    if kind.__name__ not in definitions:
        definitions[kind.__name__] = {}  # taken before its fields are visited
        definitions[kind.__name__] = _definition(kind, definitions)
    return {"$ref": f"#/$defs/{kind.__name__}"}


_SCALARS = {str: "string", int: "integer", bool: "boolean", types.NoneType: "null"}


def _definition(cls: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    summary = " ".join(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].split())
    if issubclass(cls, Enum):
        return {"description": summary, "enum": [member.value for member in cls]}
    hints = typing.get_type_hints(cls)
    described = descriptions(cls)
    properties = {
        field.name: {"description": described[field.name]} | _schema_of(hints[field.name], definitions)
        for field in dataclasses.fields(cls)
    }
    if cls is RunResult:
        properties["version"] |= {"const": RESULT_VERSION}
    return {
        "description": summary,
        "type": "object",
        "properties": properties,
        "required": [field.name for field in dataclasses.fields(cls) if _required(field)],
    }

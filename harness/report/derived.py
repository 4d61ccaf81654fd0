"""Dataclasses as JSON: written, read back exactly, and described by a JSON Schema that is derived from them.

Owns what a field's type means in JSON, so that no published form can drift from its dataclasses. Must never know which
documents there are, how they are made or shown.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import math
import numbers
import re
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, NoReturn, TypeVar

from harness.errors import UsageError

T = TypeVar("T")

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""JSON has no such numbers: they are written as strings, and only where a float is expected."""
_UNIONS = (types.UnionType, typing.Union)
"""A union that holds a ``Literal`` is of the second form."""


def to_text(document: Any) -> str:
    """Return a dataclass as indented JSON (ASCII only, valid for strict parsers), with a line break at its end."""
    return json.dumps(plain(document), indent=1, allow_nan=False) + "\n"


def from_text(text: str, cls: type[T], *, noun: str, version: int, hint: str) -> T:
    """Return the instance of ``cls`` that ``to_text`` wrote.

    Fields that are not known are ignored, so that a document with additions of a later release can be read.

    Args:
        text: The document.
        cls: A dataclass with a field ``version``.
        noun: What the document is, for messages (``result``).
        version: The version that this release reads.
        hint: What to do about another version.

    Raises:
        UsageError: The text is no JSON, names a field twice, is of another version, or a value does not fit; names the
            place.
    """
    try:
        content = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the {noun} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"the {noun} must be a JSON object, not {_kind(content)}")
    found = content.get("version")
    if found != version or isinstance(found, bool):
        raise UsageError(f"the {noun} has version {found!r}; this release reads version {version}", hint=hint)
    decoded: T = _decode(cls, content, noun)
    return decoded


def to_line(document: Any) -> str:
    """Return a dataclass as JSON on one line (ASCII only, valid for strict parsers)."""
    return json.dumps(plain(document), allow_nan=False)


def schema_of(cls: type, *, title: str, version: int) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the documents whose root is ``cls``."""
    definitions: dict[str, Any] = {}
    root = _schema_of(cls, definitions)
    definitions[cls.__name__]["properties"]["version"] |= {"const": version}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        **root,
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text(schema: Mapping[str, Any]) -> str:
    """Return a schema as it is published in ``docs/schema``."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


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


def plain(value: Any) -> Any:
    """Return ``value`` in JSON's own types."""
    if value is None or type(value) in {str, int, bool}:
        return value
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {name: plain(getattr(value, name)) for name in _field_names(value.__class__)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)  # checks count with NumPy, whose integers json does not know
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; a name that it holds twice would be read differently by other readers."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object names {twice!r} twice")
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number in JSON")


def _decode(kind: Any, value: Any, place: str) -> Any:
    """Return ``value`` as an instance of the annotation ``kind``; raises UsageError naming ``place``."""
    origin = typing.get_origin(kind)
    if origin in _UNIONS:
        (member,) = (member for member in typing.get_args(kind) if member is not types.NoneType)
        return None if value is None else _decode(member, value, place)
    if origin is typing.Literal:
        return _one_of(value, typing.get_args(kind), place)
    if origin is tuple:
        items = _expect(value, list, place)
        members = _members(kind)
        if members is not None and len(items) != len(members):
            raise UsageError(f"{place} must hold {len(members)} values, not {len(items)}")
        kinds = members or typing.get_args(kind)[:1] * len(items)
        return tuple(
            _decode(kind, item, f"{place}[{index}]")
            for index, (kind, item) in enumerate(zip(kinds, items, strict=True))
        )
    if origin is not None and issubclass(origin, Mapping):
        entries = _expect(value, dict, place)
        return {name: _decode(typing.get_args(kind)[1], item, f"{place}.{name}") for name, item in entries.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_fields(kind, _expect(value, dict, place), place)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(_one_of(value, tuple(member.value for member in kind), place))
    if kind is float:
        return _NON_FINITE[value] if isinstance(value, str) and value in _NON_FINITE else _number(value, place)
    return _expect(value, kind, place)


def _members(kind: Any) -> tuple[Any, ...] | None:
    """Return the types of a tuple of fixed length; None of one of any length."""
    members = typing.get_args(kind)
    return None if members[-1] is Ellipsis else members


def _one_of(value: Any, known: tuple[Any, ...], place: str) -> Any:
    if value not in known:
        raise UsageError(f"{place}: {value!r} is not one of {', '.join(map(str, known))}")
    return value


_hints = functools.cache(typing.get_type_hints)


@functools.cache
def _field_names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


@functools.cache
def _init_fields(cls: type) -> tuple[dataclasses.Field[Any], ...]:
    return tuple(field for field in dataclasses.fields(cls) if field.init)


def _decode_fields(cls: type, value: dict[str, Any], place: str) -> Any:
    hints = _hints(cls)
    fields = _init_fields(cls)
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


def _schema_of(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of one annotation; shapes of dataclasses and enums go to ``definitions``."""
    origin = typing.get_origin(kind)
    if origin in _UNIONS:
        return {"anyOf": [_schema_of(member, definitions) for member in typing.get_args(kind)]}
    if origin is typing.Literal:
        return {"enum": list(typing.get_args(kind))}
    if origin is tuple and (members := _members(kind)) is not None:
        items = [_schema_of(member, definitions) for member in members]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
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
    hints = _hints(cls)
    described = descriptions(cls)
    properties = {
        field.name: {"description": described[field.name]} | _schema_of(hints[field.name], definitions)
        for field in dataclasses.fields(cls)
    }
    return {
        "description": summary,
        "type": "object",
        "properties": properties,
        "required": [field.name for field in dataclasses.fields(cls) if _required(field)],
    }

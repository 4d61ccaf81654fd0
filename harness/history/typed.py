"""Dataclasses from parsed JSON, each value of exactly the type that its field has.

Owns what is refused: a field that is missing, unknown or of another type may say what a verdict rests on, so it is
never skipped or converted. Must never know what the fields mean.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

_Reader = Callable[[Any], Any]

_INT_END = 1 << 63


def read(cls: type[T], content: Mapping[str, Any], *, defaults: bool = False) -> T:
    """Return an instance of a dataclass from the JSON value of each of its fields.

    Args:
        cls: A dataclass of numbers, words, tuples, mappings and other such dataclasses.
        content: Field → value.
        defaults: A field that is absent keeps its default, in parts too; otherwise it is refused.

    Raises:
        ValueError: A field is missing, unknown or of another type; the message names it.
    """
    known: Any = cls  # mypy takes a class for one of its instances where it is to be hashable
    readers = _readers(known, defaults)
    unknown = sorted(content.keys() - readers.keys())
    missing = sorted(readers.keys() - content.keys() - (_optional(known) if defaults else frozenset()))
    if missing or unknown:
        said = [f"unknown field {', '.join(unknown)}"] if unknown else []
        raise ValueError("; ".join([*said, f"without {', '.join(missing)}"] if missing else said))
    found = {}
    for name, value in content.items():
        try:
            found[name] = readers[name](value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return cls(**found)


@functools.cache
def _readers(cls: Callable[..., Any], defaults: bool) -> Mapping[str, _Reader]:
    """Return field → how its JSON value is read, of a dataclass."""
    hints = get_type_hints(cls)
    return {field.name: _reader(hints[field.name], defaults) for field in _fields(cls)}


@functools.cache
def _optional(cls: Callable[..., Any]) -> frozenset[str]:
    """Return the fields of a dataclass that have defaults."""
    missing = dataclasses.MISSING
    return frozenset(
        field.name for field in _fields(cls) if field.default is not missing or field.default_factory is not missing
    )


def _fields(cls: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


def _reader(hint: Any, defaults: bool) -> _Reader:
    """Return how a JSON value becomes one of a field's type; it raises ValueError for any other value."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        (inner,) = (_reader(item, defaults) for item in arguments if item is not NoneType)
        return lambda value: None if value is None else inner(value)
    if origin is Literal:
        return functools.partial(_one_of, arguments)
    if origin is tuple:
        return functools.partial(_tuple, tuple(item if item is ... else _reader(item, defaults) for item in arguments))
    if origin is not None:  # a mapping; the keys of JSON are strings
        key_of, value_of = arguments[0], _reader(arguments[1], defaults)
        return lambda value: {key_of(key): value_of(item) for key, item in _of_type(dict, value).items()}
    if dataclasses.is_dataclass(hint):
        part: Any = hint
        return lambda value: read(part, _of_type(dict, value), defaults=defaults)
    return functools.partial(_of_type, hint)


def _tuple(readers: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    """Return a tuple of any length when ``readers`` ends in an ellipsis, else one of theirs."""
    items = _of_type(list, value)
    each = [readers[0]] * len(items) if readers[-1] is ... else readers
    if len(each) != len(items):
        raise ValueError(f"{value!r} has {len(items)} items in place of {len(each)}")
    return tuple(reader(item) for reader, item in zip(each, items, strict=True))


def _one_of(words: tuple[str, ...], value: Any) -> Any:
    if value not in words:
        raise ValueError(f"{value!r} is none of {', '.join(words)}")
    return value


def _of_type(wanted: type, value: Any) -> Any:
    if type(value) is not wanted:  # exactly: a bool is no number here
        raise ValueError(f"{value!r} is no {wanted.__name__}")
    if isinstance(value, int) and not -_INT_END <= value < _INT_END:
        raise ValueError(f"{value} does not fit into 64 bits")
    return value

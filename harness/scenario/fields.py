"""What a frozen dataclass says about its YAML form: names, types, bounds and words of documentation.

The one place that knows how a field becomes a key. The loader, the JSON Schema and the explanation read from here, so
that they cannot disagree.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import types
from collections import abc
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from harness.units import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """One key of a mapping.

    Attributes:
        name: Field name (``pause_ns_max``).
        yaml: Key (``pause_max``).
        annotation: Type without ``| None``, with its unit.
        nullable: Whether the type allows None.
        required: Whether the field has no default.
        minimum, maximum: Inclusive bounds in the base unit, or None.
        doc: One sentence or more; empty when nothing is said.
    """

    name: str
    yaml: str
    annotation: Any
    nullable: bool
    required: bool
    minimum: float | None
    maximum: float | None
    doc: str
    _default: dataclasses.Field[Any]

    def default(self) -> Any:
        """Return the default value; only for fields that are not required."""
        if self._default.default is not dataclasses.MISSING:
            return self._default.default
        assert self._default.default_factory is not dataclasses.MISSING
        return self._default.default_factory()


@functools.cache
def field_specs(cls: type) -> tuple[FieldSpec, ...]:
    """Return the keys of a dataclass in order of its fields.

    Raises:
        TypeError: When ``cls`` is not a dataclass or a field's type has no YAML form: a mistake of its author.
    """
    hints = get_type_hints(cls, include_extras=True)
    docs = attribute_docs(cls)
    specs = []
    for field in dataclasses.fields(cls):
        if not field.init:
            continue
        annotation, nullable = without_none(hints[field.name])
        check_supported(annotation, f"{cls.__name__}.{field.name}")
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        specs.append(
            FieldSpec(
                name=field.name,
                yaml=field.metadata.get("yaml") or yaml_name(field.name, unit_of(_innermost(annotation))),
                annotation=annotation,
                nullable=nullable,
                required=required,
                minimum=field.metadata.get("minimum"),
                maximum=field.metadata.get("maximum"),
                doc=field.metadata.get("doc", docs.get(field.name, "")),
                _default=field,
            )
        )
    return tuple(specs)


def yaml_name(name: str, unit: Unit | None) -> str:
    """Return the key of a field: its name without the unit's suffix, which need not be at the end.

    A last ``_`` keeps a name apart from a word of Python, and is no part of the key.
    """
    if unit is None or not unit.suffix:
        return name.rstrip("_")
    return re.sub(rf"{re.escape(unit.suffix)}(?=_|$)", "", name).rstrip("_")


def _innermost(annotation: Any) -> Any:
    """Return the type of a collection's items, however deep; any other type as it is."""
    inner, _ = without_none(annotation)
    nested = item_type(inner) or value_type(inner)
    return inner if nested is None else _innermost(nested)


def without_none(annotation: Any) -> tuple[Any, bool]:
    """Return (type, whether None is allowed) of ``T`` or ``T | None``."""
    if get_origin(annotation) in (Union, types.UnionType):
        rest = [choice for choice in get_args(annotation) if choice is not types.NoneType]
        if len(rest) == 1:
            return rest[0], len(rest) < len(get_args(annotation))
    return annotation, False


def unit_of(annotation: Any) -> Unit | None:
    """Return the unit of a quantity's type, or None."""
    if get_origin(annotation) is Annotated:
        return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, Unit)), None)
    return None


def literals(annotation: Any) -> tuple[Any, ...] | None:
    """Return the words of a ``Literal``, or None."""
    return get_args(annotation) if get_origin(annotation) is Literal else None


def item_type(annotation: Any) -> Any:
    """Return ``T`` of ``tuple[T, ...]``, or None for any other type."""
    arguments = get_args(annotation)
    return arguments[0] if get_origin(annotation) is tuple and arguments[1:] == (Ellipsis,) else None


def value_type(annotation: Any) -> Any:
    """Return ``T`` of ``Mapping[str, T]``, or None for any other type."""
    arguments = get_args(annotation)
    if get_origin(annotation) in (abc.Mapping, dict) and arguments[0] is str:
        return arguments[1]
    return None


def check_supported(annotation: Any, where: str) -> None:
    """Raise TypeError unless the type has a YAML form."""
    inner, _ = without_none(annotation)
    nested = item_type(inner) or value_type(inner)
    if nested is not None:
        check_supported(nested, where)
        return
    simple = inner in (int, float, bool, str, Any)
    if not (
        simple or unit_of(inner) or literals(inner) or (isinstance(inner, type) and dataclasses.is_dataclass(inner))
    ):
        raise TypeError(f"{where}: type {inner} has no YAML form")


def attribute_docs(cls: type) -> dict[str, str]:
    """Return field name → text of the ``Attributes:`` sections of a class and its bases, on one line each."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        docs |= _own_attribute_docs(base)
    return docs


@functools.cache
def _own_attribute_docs(cls: type) -> dict[str, str]:
    docs: dict[str, str] = {}
    _, found, section = inspect.cleandoc(cls.__doc__ or "").partition("Attributes:\n")
    if not found:
        return docs
    names: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith(" "):
            break
        start = re.match(r" {4}(\w+(?:, \w+)*): (.*)$", line)
        if start is not None:
            names = start[1].split(", ")
            docs |= dict.fromkeys(names, start[2].strip())
        elif line.strip():
            docs |= {name: f"{docs[name]} {line.strip()}" for name in names}
    return {name: text.replace("``", "`") for name, text in docs.items()}


def summary(cls: type) -> str:
    """Return the first paragraph of a class docstring on one line; empty for a generated or missing one."""
    text = inspect.cleandoc(cls.__doc__ or "")
    if text.startswith(f"{cls.__name__}("):
        return ""
    return " ".join(text.partition("\n\n")[0].split()).replace("``", "`")

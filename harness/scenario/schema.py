"""The JSON Schema of the scenario language, for editors: made from the same dataclasses that the loader reads.

Says what a key may hold by its type. What depends on several keys at once (timelines, targets that exist, replicas and
nodes) is left to the loader.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from harness.scenario.expectations import metric_specs
from harness.scenario.fields import (
    FieldSpec,
    field_specs,
    item_type,
    literals,
    summary,
    unit_of,
    value_type,
    without_none,
)
from harness.scenario.head import (
    ID_PATTERN,
    NODE_PATTERN,
    SEED_DEFAULT,
    SEED_MAX,
    TAG_PATTERN,
    VERSION_PATTERN,
    ZONE_PATTERN,
    FaultWords,
    Head,
)
from harness.scenario.matrix import VARIED
from harness.scenario.model import LOOKED_UP, Cluster, Target, Trigger, Workload
from harness.scenario.plugins import BrokerSpec, FaultSpec, Vocabulary
from harness.scenario.quantity import exact
from harness.scenario.target import GROUPS, KEY, WORKERS
from harness.scenario.trigger import BOUND_PATTERN, KINDS, MOVED, NO_LEADER
from harness.units import OFF, Unit

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_SIMPLE: Final = {int: "integer", float: "number", bool: "boolean", str: "string"}


def json_schema(vocabulary: Vocabulary) -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of scenarios that use the given words."""
    head = _object(Head)
    keys: Schema = head["properties"]
    keys["title"]["pattern"] = r"\S"
    keys["tags"]["items"] = {"type": "string", "pattern": TAG_PATTERN}
    keys["broker"] |= _broker_names(vocabulary)
    keys["seed"] |= {
        "anyOf": [{"type": "integer", "minimum": 0, "maximum": SEED_MAX}, {"enum": ["random", None]}],
        "default": SEED_DEFAULT,
    }
    heads = "|".join(VARIED)
    keys["matrix"] |= {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": rf"^({heads})(\.[^.]+)*$"},
        "additionalProperties": {"type": "array", "minItems": 1},
    }
    keys["cluster"] |= _section(Cluster, {"topic": [spec.topic for spec in vocabulary.brokers.values()]})
    keys["workload"] |= _workload(vocabulary)
    states = tuple(sorted({state for spec in vocabulary.brokers.values() for state in spec.group_states}))
    faults = [_fault(kind, spec, states) for kind, spec in sorted(vocabulary.faults.items())]
    keys["faults"] |= {"type": ["array", "null"], "items": {"oneOf": faults} if faults else False}
    keys["expect"] |= {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": False,
        "properties": {
            name: _limits(cls, standing=name in vocabulary.standing) for name, cls in sorted(vocabulary.checks.items())
        },
    }
    keys["must_fail"] |= {
        "type": ["array", "null"],
        "items": {"enum": sorted(vocabulary.checks)},
        "uniqueItems": True,
    }
    varied = {"required": ["matrix"], "properties": {"matrix": {"required": ["broker"]}}}
    return {
        "$schema": DIALECT,
        "title": "Scenario of the broker chaos harness",
        **head,
        "anyOf": [{"required": ["broker"]}, varied],
        "allOf": [_of_kind(kind, spec) for kind, spec in sorted(vocabulary.brokers.items())],
    }


def _broker_names(vocabulary: Vocabulary) -> Schema:
    aliases = sorted(alias for spec in vocabulary.brokers.values() for alias in spec.aliases)
    exact_versions = [
        {"type": "string", "pattern": f"^{kind}-{VERSION_PATTERN.removeprefix('^')}"}
        for kind in sorted(vocabulary.brokers)
    ]
    return {"anyOf": [{"enum": aliases}, *exact_versions]}


def _workload(vocabulary: Vocabulary) -> Schema:
    brokers = vocabulary.brokers.values()
    choices = {"producer": [spec.producer for spec in brokers], "consumer": [spec.consumer for spec in brokers]}
    schema = _section(Workload, choices)
    zones = schema["properties"]["zones"]
    worker = {"type": "string", "pattern": "^[cp](0|[1-9][0-9]*)$"}
    zones["propertyNames"] = {
        "pattern": ZONE_PATTERN,
        "not": {"anyOf": [{"const": "clients"}, {"pattern": NODE_PATTERN}]},
    }
    zones["additionalProperties"] = {"type": "array", "items": worker, "minItems": 1, "uniqueItems": True}
    return schema


def _section(cls: type, choices: dict[str, list[type]]) -> Schema:
    schema = _object(cls, empty=True)
    for name, types in choices.items():
        schema["properties"][name] |= {"anyOf": [_object(choice, empty=True) for choice in types]}
    return schema


def _of_kind(kind: str, spec: BrokerSpec) -> Schema:
    """Return the rule that holds once the scenario names a broker of this kind (and does not vary it)."""
    return {
        "if": {
            "required": ["broker"],
            "properties": {
                "broker": {"type": "string", "pattern": f"^{kind}-"},
                "matrix": {"not": {"required": ["broker"]}},
            },
        },
        "then": {
            "properties": {
                "cluster": {
                    "properties": {
                        "nodes": {"enum": list(spec.node_counts)},
                        "topic": _object(spec.topic, empty=True),
                    }
                },
                "workload": {
                    "properties": {
                        "producer": _object(spec.producer, empty=True),
                        "consumer": _object(spec.consumer, empty=True),
                    }
                },
            }
        },
    }


def _fault(kind: str, spec: FaultSpec, states: tuple[str, ...]) -> Schema:
    options = _object(spec.options, empty=True)
    words = _object(FaultWords)
    properties: Schema = {kind: options, **words["properties"]}
    properties["at"] |= {"type": "string"}
    properties["id"] |= {"pattern": ID_PATTERN}
    properties["when"] |= _when(states)
    required = [kind, "on", *words["required"]]
    if spec.acts_on == "topic":
        del properties["on"]
        required.remove("on")
    else:
        properties["on"] = _target(spec)
    if spec.ends_itself:
        del properties["for"]
    else:
        properties["for"] = properties["for"] | {"type": "string"}
        required.append("for")
    return {
        "type": "object",
        "title": kind,
        "properties": properties,
        "required": required,
        # A key left empty is as good as none: either a time or a state is written.
        "oneOf": [{"required": ["at"]}, {"required": ["when"]}],
        "additionalProperties": False,
    }


def _when(states: tuple[str, ...]) -> Schema:
    schema = _object(Trigger)
    schema["properties"]["group"] |= {"enum": list(states)} if states else {}
    for kind in ("backlog", "processed"):
        schema["properties"][kind] |= {"pattern": BOUND_PATTERN, "examples": ["> 1000"]}
    schema["properties"]["is"]["examples"] = [MOVED, NO_LEADER, "n1"]
    schema["dependentRequired"] = {"is": ["leader_of"]}
    return schema | {"oneOf": [{"required": [kind]} for kind in KINDS]}


def _target(spec: FaultSpec) -> Schema:
    target, key, workers = _object(Target), KEY[spec.acts_on], spec.acts_on in WORKERS
    kept = {name: target["properties"][name] for name in (key, "mode")}
    if workers:
        kept["mode"] = kept["mode"] | {"enum": [mode for mode in kept["mode"]["enum"] if mode not in LOOKED_UP]}
    else:
        kept["partition"] = target["properties"]["partition"]
    if spec.acts_on == "link":
        kept["zone"] = target["properties"]["zone"]
    kept[key] = kept[key] | {"minLength": 1, "examples": list(GROUPS[spec.acts_on])}
    return {**target, "properties": kept, "required": [key]}


def _limits(cls: type, *, standing: bool) -> Schema:
    """Return the schema of a check's limits, each of which can be switched off; so can a check that always counts."""
    schema = _object(cls, empty=True)
    for spec in metric_specs(cls):
        limit = schema["properties"][spec.yaml]
        text = {"description": limit.pop("description")} if "description" in limit else {}
        schema["properties"][spec.yaml] = text | {"anyOf": [limit, {"const": OFF}]}
    return {"anyOf": [schema, {"const": OFF}]} if standing else schema


def _object(cls: type, *, empty: bool = False) -> Schema:
    """Return the schema of a dataclass; with ``empty`` a null stands for no keys at all."""
    specs = field_specs(cls)
    required = [spec.yaml for spec in specs if spec.required]
    schema: Schema = {
        "type": ["object", "null"] if empty and not required else "object",
        "properties": {spec.yaml: _field(spec) for spec in specs},
        "required": required,
        "additionalProperties": False,
    }
    text = summary(cls)
    return {"description": text} | schema if text else schema


def _field(spec: FieldSpec) -> Schema:
    schema = _type(spec.annotation)
    unit = unit_of(spec.annotation)
    text = spec.doc
    if unit is not None:
        lower = f"at least {exact(unit, spec.minimum)}" if spec.minimum and spec.minimum > 1 else ""
        upper = f"at most {exact(unit, spec.maximum)}" if spec.maximum is not None else ""
        bounds = ", ".join(part for part in (lower, upper) if part)
        text = f"{text} ({bounds})".strip() if bounds else text
        if spec.minimum is not None and spec.minimum > 0:
            schema["not"] = {"pattern": r"^0+(\.0+)?\s?[^0-9.]"}
    else:
        schema |= {
            name: bound for name, bound in (("minimum", spec.minimum), ("maximum", spec.maximum)) if bound is not None
        }
    if text:
        schema = {"description": text} | schema
    if not spec.required:
        schema |= _default(spec.default(), unit)
    return _nullable(schema) if spec.nullable else schema


def _default(value: Any, unit: Unit | None) -> Schema:
    if unit is not None and isinstance(value, int | float):
        return {"default": exact(unit, value)}
    return {"default": value} if isinstance(value, str | bool | int | float) and value != "" else {}


def _nullable(schema: Schema) -> Schema:
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], None]}
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return schema | {"type": [*kinds, "null"] if "null" not in kinds else kinds}
    return schema


def _type(annotation: Any) -> Schema:
    annotation, nullable = without_none(annotation)
    unit, words = unit_of(annotation), literals(annotation)
    schema: Schema
    if annotation is Any:
        schema = {}
    elif unit is not None:
        schema = {"type": "string", "pattern": unit.pattern, "examples": [unit.example]}
    elif words is not None:
        schema = {"enum": list(words)}
    elif item_type(annotation) is not None:
        schema = {"type": "array", "items": _type(item_type(annotation))}
    elif value_type(annotation) is not None:
        schema = {"type": ["object", "null"], "additionalProperties": _type(value_type(annotation))}
    elif dataclasses.is_dataclass(annotation):
        assert isinstance(annotation, type)
        schema = _object(annotation, empty=True)
    else:
        schema = {"type": _SIMPLE[annotation]}
    return _nullable(schema) if nullable else schema

"""Results survive JSON exactly, and whatever is not a result is refused with its place."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any, Literal, cast

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import report_samples as samples

from harness.errors import UsageError
from harness.report import serialize
from harness.report.differences import differences
from harness.report.serialize import comparable, from_json, schema, to_json
from harness.result import RESULT_VERSION, RunResult


def _strategy(kind: Any) -> st.SearchStrategy[Any]:
    origin = typing.get_origin(kind)
    if origin is types.UnionType:
        return st.one_of(*(_strategy(member) for member in typing.get_args(kind)))
    if origin is tuple:
        return st.lists(_strategy(typing.get_args(kind)[0]), max_size=2).map(tuple)
    if origin is Literal:
        return st.sampled_from(typing.get_args(kind))
    if origin is not None and issubclass(origin, Mapping):
        return st.dictionaries(st.text(max_size=4), _strategy(typing.get_args(kind)[1]), max_size=2)
    if dataclasses.is_dataclass(kind):
        assert isinstance(kind, type)
        hints = typing.get_type_hints(kind)
        return st.builds(kind, **{name: _strategy(hint) for name, hint in hints.items() if name != "version"})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: st.text(max_size=8),
        int: st.integers(-(2**63), 2**63),
        float: st.one_of(st.floats(), st.integers(-9, 9)),
        bool: st.booleans(),
        types.NoneType: st.none(),
    }
    return plain[kind]


@given(result=_strategy(RunResult))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_result_survives_json(result: RunResult) -> None:
    text = to_json(result)
    assert repr(from_json(text)) == repr(result)  # repr, since NaN does not equal itself
    jsonschema.validate(json.loads(text), schema())


@pytest.mark.parametrize("make", samples.ALL, ids=lambda make: make.__name__)
def test_samples_survive_json_and_match_the_schema(make: Callable[[], RunResult]) -> None:
    text = to_json(make())
    assert from_json(text) == make()
    jsonschema.validate(json.loads(text), schema())
    assert text.isascii()


def test_the_schema_is_valid_and_demands_what_has_no_default() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    content = json.loads(to_json(samples.failing()))
    del content["checks"][0]["verdict"]
    with pytest.raises(jsonschema.ValidationError, match="'verdict' is a required property"):
        jsonschema.validate(content, schema())


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    check = replace(
        samples.failing().checks[0], measures={"lost": cast("float", np.int64(3)), "ratio": np.float64(0.5)}
    )
    assert from_json(to_json(replace(samples.failing(), checks=(check,)))).checks[0].measures == {
        "lost": 3,
        "ratio": 0.5,
    }


@pytest.mark.parametrize("version", [RESULT_VERSION + 1, None, "1", True, 0])
def test_an_unknown_version_is_refused_before_anything_else(version: object) -> None:
    with pytest.raises(UsageError, match=rf"version {version!r}; this release reads version {RESULT_VERSION}"):
        from_json(json.dumps({"version": version}))


def test_a_field_of_a_later_release_is_ignored() -> None:
    content = json.loads(to_json(samples.failing())) | {"novelty": {"a": 1}}
    assert from_json(json.dumps(content)) == samples.failing()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content.pop("seed"), r"^result lacks seed$"),
        (lambda content: content.update(seed="7"), r"^result\.seed must be an integer, not a string$"),
        (lambda content: content.update(seed=True), r"^result\.seed must be an integer, not true or false$"),
        (lambda content: content.update(verdict="green"), r"^result\.verdict: 'green' is not one of pass, incon"),
        (lambda content: content.update(verdict=[]), r"^result\.verdict: \[\] is not one of"),
        (lambda content: content.update(checks={}), r"^result\.checks must be a list, not an object$"),
        (
            lambda content: content["checks"][1].update(limits=[3]),
            r"^result\.checks\[1\]\.limits\[0\] must be an object",
        ),
        (lambda content: content["checks"][0]["limits"][0].update(limit="far"), r"limits\[0\]\.limit must be a number"),
        (lambda content: content.update(variant={"broker": 2}), r"^result\.variant\.broker must be a string"),
        (lambda content: content.update(zero_ns=1.5), r"^result\.zero_ns must be an integer, not a number$"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(change: Callable[[dict[str, Any]], object], message: str) -> None:
    content = json.loads(to_json(samples.failing()))
    change(content)
    with pytest.raises(UsageError, match=message):
        from_json(json.dumps(content))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null"])
def test_other_documents_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"not valid JSON|must be a JSON object"):
        from_json(text)


def test_judgements_are_compared_without_times_of_judging() -> None:
    before = samples.failing()
    after = replace(before, timings_ns={"judge": 1}, overhead={}, run_dir="elsewhere", reproduce="", timeline=None)
    assert comparable(before) == comparable(after)
    assert differences(before, after) == ()


def test_the_published_name_of_every_shape_is_described() -> None:
    for definition in schema()["$defs"].values():
        assert definition["description"]
        for described in definition.get("properties", {}).values():
            assert described["description"]
    assert serialize.schema_text().endswith("}\n")

"""Limits that are switched off: read, told apart from those that are not given, and written down."""

from __future__ import annotations

import json
import math

import jsonschema
import pytest
from ruamel.yaml import YAML
from support.scenario_mistakes import BASE
from support.scenario_vocabulary import StallLimits

from harness.scenario.expand import variants
from harness.scenario.explain import explain
from harness.scenario.load import load_text
from harness.scenario.model import Plan
from harness.scenario.plan import as_json, canonical, make_plan
from harness.scenario.plugins import Vocabulary
from harness.scenario.schema import json_schema
from harness.units import Off


def plan(expect: str, vocabulary: Vocabulary) -> Plan:
    text = BASE.replace("  loss: {messages_max: 0}\n", f"  loss: {{}}\n  {expect}\n")
    (variant,) = variants(load_text(text, "case.yaml", vocabulary))
    return make_plan(variant)


def limits(expect: str, vocabulary: Vocabulary) -> StallLimits:
    found: StallLimits = plan(expect, vocabulary).expect[1].limits
    return found


def test_a_metric_that_is_off_is_none_that_is_not_given(vocabulary: Vocabulary) -> None:
    off, left_out = limits("stall: {pause_max: off}", vocabulary), limits("stall: {}", vocabulary)
    assert isinstance(off.pause_ns_max, Off)
    assert left_out.pause_ns_max is off.collateral_ns_max is None


def test_nothing_lies_beyond_a_metric_that_is_off() -> None:
    assert not math.inf > Off.of("pause_ns_max")
    assert not -math.inf < Off.of("processed_per_s_min")
    assert str(Off.of("pause_ns_max")) == "off"


def test_off_not_given_and_a_number_make_three_digests(vocabulary: Vocabulary) -> None:
    written = ["stall: {pause_max: off, collateral_max: 1s}", "stall: {collateral_max: 1s}"]
    written += ["stall: {pause_max: 5s, collateral_max: 1s}", "stall: off"]
    assert len({plan(expect, vocabulary).digest for expect in written}) == 4


def test_a_check_that_counts_by_itself_can_be_off(vocabulary: Vocabulary) -> None:
    entry = plan("stall: off", vocabulary).expect[1]
    assert (entry.check, entry.off) == ("stall", True)
    assert not plan("stall: {}", vocabulary).expect[1].off


def test_off_is_a_word_wherever_a_plan_is_written_down(vocabulary: Vocabulary) -> None:
    found = plan("stall: {pause_max: off}", vocabulary)
    for content in (canonical(found), as_json(found)):
        assert content["expect"][1]["limits"]["pause_ns_max"] == "off"
        json.dumps(content, allow_nan=False)
    assert "stall  pause_max off" in " ".join(explain(found).split()).replace("stall pause_max", "stall  pause_max")
    assert "stall  off: it would count" in " ".join(explain(plan("stall: off", vocabulary)).split()).replace(
        "stall off", "stall  off"
    )


@pytest.mark.parametrize(
    ("expect", "valid"),
    [
        ("stall: {pause_max: off}", True),
        ("stall: off", True),
        ("stall: {pause_max: on}", False),
        ("loss: off", False),
        ("order: {scope: off}", False),
    ],
)
def test_the_schema_knows_where_off_may_stand(expect: str, vocabulary: Vocabulary, *, valid: bool) -> None:
    text = BASE.replace("  loss: {messages_max: 0}\n", f"  {expect}\n")
    schema = json_schema(vocabulary)
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(YAML(typ="safe").load(text)))
    assert (not errors) is valid

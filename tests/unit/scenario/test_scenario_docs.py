"""docs/scenarios.md is true: its examples load with the words of the tests and with those that are registered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from support import scenario_vocabulary as words

from harness.errors import ScenarioError
from harness.scenario.document import read_document
from harness.scenario.expand import variants
from harness.scenario.explain import explain
from harness.scenario.fields import field_specs
from harness.scenario.head import FaultWords, Head
from harness.scenario.load import load_text
from harness.scenario.model import Attempts, Cluster, Target, Trigger, Workload
from harness.scenario.plan import make_plan
from harness.scenario.plugins import Vocabulary
from harness.scenario.schema import json_schema
from harness.scenario.tree import plain
from harness.session.vocabulary import vocabulary as registered

PAGE = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text(encoding="utf-8")


def blocks(info: str) -> list[str]:
    return re.findall(rf"^```{info}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


VALID = blocks("yaml scenario")
VOCABULARIES = {"tests": words.vocabulary, "registered": registered}


@pytest.mark.parametrize("source", sorted(VOCABULARIES))
@pytest.mark.parametrize("index", range(len(VALID)))
def test_example_loads_and_fits_the_schema(source: str, index: int) -> None:
    known = VOCABULARIES[source]()
    found = variants(load_text(VALID[index], "example.yaml", known))
    assert all(explain(make_plan(variant)) for variant in found)
    assert len(found) == (12 if "matrix:" in VALID[index] else 1)
    instance = plain(read_document(VALID[index], "example.yaml").root)
    Draft202012Validator(json_schema(known)).validate(instance)


def test_there_are_examples() -> None:
    assert len(VALID) == 5


@pytest.mark.parametrize("source", sorted(VOCABULARIES))
def test_mistakes_are_answered_as_shown(source: str) -> None:
    (text,), (answer,) = blocks("yaml scenario invalid"), blocks("text errors")
    with pytest.raises(ScenarioError) as caught:
        variants(load_text(text, "slow.yaml", VOCABULARIES[source]()))
    assert str(caught.value) == answer.rstrip()


@pytest.mark.parametrize("cls", [Head, Cluster, Workload, FaultWords, Target, Trigger, Attempts])
def test_every_key_is_documented(cls: type) -> None:
    assert [spec.yaml for spec in field_specs(cls) if f"`{spec.yaml}`" not in PAGE] == []


def test_defaults_are_as_documented(vocabulary: Vocabulary) -> None:
    (variant,) = variants(
        load_text("{version: 1, title: T, broker: nats-2, expect: {loss: {}}}", "example.yaml", vocabulary)
    )
    assert (variant.seed, variant.workload, variant.cluster) == (
        1,
        Workload(producer=words.StreamProducer(), consumer=words.StreamConsumer()),
        Cluster(topic=words.StreamOptions()),
    )
    spoken = dict(re.findall(r"^\| `(\w+)` \| ([^ |]+) \|", PAGE, re.MULTILINE))
    shown = explain(make_plan(variant))
    for key in ("rate", "payload", "warmup", "duration", "drain"):
        assert spoken[key] in shown
    counts = {key: str(getattr(variant.workload, key)) for key in ("producers", "consumers", "partitions", "keys")}
    assert {key: spoken[key] for key in counts} == counts

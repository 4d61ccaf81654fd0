"""What a broker does not do is refused where it is written, with the reason and with the brokers that do it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from support.scenario_mistakes import BASE, KAFKA_UNTIL, TO_AT
from support.scenario_vocabulary import vocabulary

from harness.errors import ScenarioError
from harness.scenario.abilities import BrokerAbility
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.plugins import BROKER_SPECS, FaultPlace, Refusal, Vocabulary

GROUPS_ALONE = BASE.replace(TO_AT, KAFKA_UNTIL + "    AT\n")
"""The scenario on the broker whose abilities the tests change."""


def words(*abilities: BrokerAbility, **changes: Any) -> Vocabulary:
    """Return the vocabulary in which the broker ``kafka`` has these abilities alone."""
    whole = vocabulary()
    spec = dataclasses.replace(whole.brokers["kafka"], abilities=frozenset(abilities), **changes)
    return dataclasses.replace(whole, brokers={**whole.brokers, "kafka": spec})


def refused(marked: str, known: Vocabulary) -> str:
    """Return what is said of the one problem, which lies where ``«`` is."""
    line, column = next((n, text.index("«") + 1) for n, text in enumerate(marked.splitlines(), 1) if "«" in text)
    with pytest.raises(ScenarioError) as caught:
        variants(load_text(marked.replace("«", ""), "scenario.yaml", known))
    (problem,) = caught.value.problems
    assert (problem.location.line, problem.location.column) == (line, column), str(problem)
    return f"{problem.message} ({problem.hint})"


def accepted(text: str, known: Vocabulary) -> bool:
    return bool(variants(load_text(text, "scenario.yaml", known)))


def test_groups_without_a_coordinator_have_no_node_that_leads_them() -> None:
    text = GROUPS_ALONE.replace("AT", "at: 10s").replace("client-broker}", "client-broker, mode: «coordinator}")
    said = refused(text, words(BrokerAbility.GROUPS))
    assert said == "mode coordinator: kafka-4 does not have consumer groups with a coordinator (known: no broker here)"
    assert accepted(text.replace("«", ""), words(BrokerAbility.COORDINATOR))


def test_a_group_may_be_waited_for_where_there_are_groups() -> None:
    text = GROUPS_ALONE.replace("AT", "when: {group: «stable, within: 5s}")
    assert refused(text, words(BrokerAbility.COORDINATOR)).startswith(
        "when group: kafka-4 does not have consumer groups ("
    )
    assert accepted(text.replace("«", ""), words(BrokerAbility.GROUPS))


def test_a_broker_names_the_states_of_its_groups() -> None:
    known = words(BrokerAbility.GROUPS, group_states=("calm", "shuffling"), group_states_of=None)
    assert accepted(GROUPS_ALONE.replace("AT", "when: {group: shuffling, within: 5s}"), known)
    said = refused(GROUPS_ALONE.replace("AT", "when: {group: «shuffle, within: 5s}"), known)
    assert said == "faults.0.when.group must be one of calm, shuffling, not shuffle (did you mean 'shuffling'?)"
    assert "known: calm, shuffling" in refused(GROUPS_ALONE.replace("AT", "when: {group: «stable, within: 5s}"), known)


@pytest.mark.parametrize("kind", BROKER_SPECS.names())
def test_a_registered_broker_names_states_where_it_has_groups_and_only_there(kind: str) -> None:
    spec = BROKER_SPECS.get(kind)
    assert (BrokerAbility.GROUPS in spec.abilities) is bool(spec.group_states)
    assert BrokerAbility.GROUPS in spec.abilities or BrokerAbility.COORDINATOR not in spec.abilities
    assert spec.group_states_of is None or spec.group_states


def test_zones_are_refused_where_a_broker_does_not_tell_clients_apart() -> None:
    text = GROUPS_ALONE.replace("AT", "at: 10s").replace("partitions: 4", "partitions: 4, zones: «{far: [c0]}")
    said = refused(text, words())
    assert said.startswith("workload.zones: kafka-4 does not distinguish clients by zone")
    assert said.endswith("(known: nats)")
    assert accepted(text.replace("«", ""), words(BrokerAbility.ZONES))


def test_a_plug_in_refuses_at_the_key_that_it_names() -> None:
    def broker(name: str, *_: object) -> Iterator[Refusal]:
        yield Refusal(f"{name} wants fewer keys", "workload.partitions", "partitions: 1")

    known = words(validate=broker)
    text = GROUPS_ALONE.replace("AT", "at: 10s")
    said = refused(text.replace("partitions: 4", "partitions: «4"), known)
    assert said == "kafka-4 wants fewer keys (partitions: 1)"
    without = text.replace("partitions: 4, ", "").replace("workload: {", "workload: «{")
    assert refused(without, known).startswith("kafka-4 wants fewer keys"), "where the key is not written, what holds it"

    def fault(options: Any, place: FaultPlace | None) -> Iterator[Refusal]:
        assert place is not None
        if place.cluster.nodes == 3:
            yield Refusal("three nodes are too slow", "delay")
        yield from filter(None, [place.lacks(BrokerAbility.MOVE_LEADER)])

    latency = dataclasses.replace(known.faults["latency"], validate=fault)
    whole = dataclasses.replace(words(BrokerAbility.MOVE_LEADER), faults={"latency": latency})
    said = refused(text.replace("delay: 50ms", "delay: «50ms"), whole)
    assert said == "faults.0.latency: three nodes are too slow ()"


def test_every_need_of_a_fault_is_looked_at() -> None:
    latency = dataclasses.replace(
        vocabulary().faults["latency"], needs=(BrokerAbility.ZONES, BrokerAbility.MOVE_LEADER)
    )
    known = dataclasses.replace(words(BrokerAbility.ZONES), faults={"latency": latency})
    text = GROUPS_ALONE.replace("AT", "at: 10s").replace("- latency", "- «latency")
    assert refused(text, known).startswith("latency: kafka-4 does not hand leadership to another replica when asked")

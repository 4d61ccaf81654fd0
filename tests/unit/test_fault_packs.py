"""Runs of many faults: each case is in one of them, and none acts where another one could lend it evidence."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from support.broker_profiles import profiles
from support.fault_cases import CLIENT_LINK, cases, fault_id
from support.fault_packs import CLIENTS, KINDS, LINKS, Pack, packs

from harness.faults.base import FAULTS
from harness.scenario.abilities import BrokerAbility
from harness.scenario.model import Plan
from harness.scenario.plugins import BROKER_SPECS
from harness.session.selection import replan

QUICK = pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])


@pytest.fixture(params=profiles())
def broker(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def plan_of(pack: Pack) -> Plan:
    return replan(pack.text(), "scenario.yaml", {}, 3)


@QUICK
def test_every_case_that_a_broker_can_do_is_in_one_run(broker: str, quick: bool) -> None:
    made = packs(broker, quick=quick)
    assert [pack.name for pack in made] == [kind for kind in KINDS if kind in {pack.name for pack in made}]
    found = Counter(act.name for pack in made for act in pack.acts)
    assert found == {name: 1 for name, case in cases().items() if case.fits(broker) and not case.alone}
    for pack in made:
        assert [fault.id for fault in plan_of(pack).timeline] == [act.id for act in pack.acts]


@QUICK
def test_what_acts_at_the_same_time_shares_no_target(broker: str, quick: bool) -> None:
    for pack in packs(broker, quick=quick):
        timeline = plan_of(pack).timeline
        for number, fault in enumerate(timeline):
            for other in timeline[:number]:
                if other.until_ns <= fault.at_ns:
                    continue
                places = [set(item.targets) or {str(item.on)} for item in (fault, other)]
                assert not places[0] & places[1], (fault.id, other.id)
                # What takes a node from everybody acts next to nothing.
                assert {FAULTS.get(item.kind).spec.acts_on for item in (fault, other)} <= {
                    "link",
                    "client",
                    "consumer",
                    "topic",
                }


@QUICK
def test_what_changes_of_members_disturb_acts_before_them(broker: str, quick: bool) -> None:
    (pack,) = [pack for pack in packs(broker, quick=quick) if pack.name == CLIENTS]
    calm = {act.id for act in pack.acts if cases()[act.name].calm}
    faults = {fault.id: fault for fault in plan_of(pack).timeline}
    assert calm
    last = max(faults[name].until_ns for name in calm)
    assert all(fault.at_ns > last for name, fault in faults.items() if name not in calm)


def test_without_zones_links_take_turns(broker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = BROKER_SPECS.get(broker)
    monkeypatch.setitem(BROKER_SPECS._entries, broker, replace(spec, abilities=spec.abilities - {BrokerAbility.ZONES}))
    (pack,) = [pack for pack in packs(broker) if pack.name == LINKS]
    text = pack.text()
    assert "zone" not in text
    times = sorted(act.at_ms for act in pack.acts)
    assert len(set(times)) == len(times)
    expected = {name for name, case in cases().items() if case.on == CLIENT_LINK and case.lacks(broker) is None}
    assert {act.name for act in pack.acts} >= expected


def test_a_machine_that_cannot_do_all_runs_the_rest() -> None:
    broker = next(iter(profiles()))
    possible = set(cases()) - {"cpu", "cpu as a fraction"}
    acts = {act.name for pack in packs(broker, possible=possible) for act in pack.acts}
    assert acts == {act.name for pack in packs(broker) for act in pack.acts} - {"cpu", "cpu as a fraction"}


def test_ids_of_cases_are_unique() -> None:
    assert len({fault_id(name) for name in cases()}) == len(cases())

"""`harness faults`: what it says of options, abilities and brokers, from the registries and the machine."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from harness.commands.cli import cli
from harness.commands.fault_list import list_faults, render
from harness.errors import UsageError
from harness.faults.base import FAULTS
from harness.scenario.abilities import BrokerAbility
from harness.scenario.plugins import BROKER_SPECS


def _usable() -> str:
    return ""


def _able(ability: BrokerAbility) -> tuple[str, ...]:
    return tuple(kind for kind, spec in BROKER_SPECS.items() if ability in spec.abilities)


def test_every_fault_is_listed_with_all_of_its_options() -> None:
    found = list_faults(engine_unusable=_usable)
    assert [entry.name for entry in found] == list(FAULTS.names())
    text = render(found)
    for entry in found:
        assert entry.acts_on
        assert entry.brokers, f"{entry.name} acts on no broker at all"
        for option in entry.options:
            assert option.meaning, f"{entry.name}.{option.name}"
            assert option.takes != "mapping"
            assert option.name in text
    assert all(len(line) <= 110 for line in text.splitlines())


def test_quantities_have_their_units_defaults_and_bounds() -> None:
    (latency,) = list_faults(["latency"], _usable)
    options = {option.name: option for option in latency.options}
    assert options["delay"].required
    assert options["delay"].minimum == "1ms"
    assert options["delay"].takes == "duration in ns, us, ms, s, m, h"
    assert (options["jitter"].default, options["direction"].default) == ("0s", "both")
    assert options["direction"].takes == "up, down or both"
    (text,) = [line for line in render([latency]).splitlines() if line.startswith("  delay")]
    assert text.split() == [
        "delay",
        "duration",
        "in",
        "ns,",
        "us,",
        "ms,",
        "s,",
        "m,",
        "h;",
        "needed;",
        "at",
        "least",
        "1ms",
    ]


def test_abilities_are_told_for_each_runtime_with_the_reason() -> None:
    asked: list[tuple[str, str]] = []

    def lacks(ability: str, runtime: str) -> str:
        asked.append((ability, runtime))
        return "no control group can be made here" if runtime == "process" else ""

    (cpu,) = list_faults(["cpu"], _usable, lacks)
    assert cpu.machine[0].lacking == {"process": "no control group can be made here", "docker": ""}
    assert "needs cpu_limits: process: no, no control group can be made here; docker: yes" in render([cpu])
    (cpu,) = list_faults(["cpu"], lambda: "no Docker engine answers here", lacks)
    assert cpu.machine[0].lacking["docker"] == "no Docker engine answers here"
    assert asked == [("cpu_limits", "process"), ("cpu_limits", "docker"), ("cpu_limits", "process")]


def test_what_is_lacking_everywhere_for_one_reason_is_told_once() -> None:
    text = render(list_faults(["cpu"], _usable, lambda *_: "not root"))
    assert "needs cpu_limits: not on this machine: not root" in text
    assert text.count("not root") == 1


def test_an_ability_of_brokers_names_those_that_have_it() -> None:
    (added,) = list_faults(["add_partitions"], _usable)
    assert "kafka" in added.brokers
    assert added.brokers == _able(BrokerAbility.ADD_PARTITIONS)
    assert f"brokers: {', '.join(added.brokers)}" in render([added])
    assert "ends by itself" in render([added])


def test_the_engine_is_asked_only_where_that_matters_and_once() -> None:
    asked = []

    def unusable() -> str:
        asked.append(1)
        return "none"

    list_faults(["kill", "latency"], unusable)
    assert asked == []
    list_faults(engine_unusable=unusable)
    assert asked == [1]


def test_the_command_speaks_json_and_knows_the_nearest_word() -> None:
    data = json.loads(CliRunner().invoke(cli, ["faults", "restart", "--json"]).output)
    assert [entry["name"] for entry in data] == ["restart"]
    assert data[0]["ends_itself"] is True
    assert {option["name"]: option["default"] for option in data[0]["options"]}["signal"] == "TERM"
    with pytest.raises(UsageError, match="did you mean 'pause'"):
        list_faults(["pase"], _usable)


def test_what_links_between_nodes_need_of_the_broker_is_listed() -> None:
    (limited,) = list_faults(["bandwidth"], _usable)
    assert (limited.broker, limited.brokers) == ((), BROKER_SPECS.names())
    assert {"kafka", "nats"} - set(limited.brokers_on_peers) == {"nats"}
    assert (limited.broker_on_peers, limited.brokers_on_peers) == (("peer_bulk",), _able(BrokerAbility.PEER_BULK))
    able = ", ".join(limited.brokers_on_peers)
    assert f"brokers, on links between nodes: {able} (it needs the broker's ability peer_bulk)" in render([limited])
    (cut,) = list_faults(["limit_data"], _usable)
    assert cut.brokers_on_peers == ()

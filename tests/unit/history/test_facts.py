"""``facts.json``: written and read again, in the present form and in the one before it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from support.history_builder import facts

from harness.history.facts import VERSION, Acknowledged, Facts, GroupFacts, Removals, Settling
from harness.history.old_facts import (
    _LATER_OF_REMOVALS,
    _LATER_THAN_3,
    _LATER_THAN_3_OF_ACKNOWLEDGED,
    _LATER_THAN_5,
)
from harness.history.read import History, HistoryError
from harness.history.record import Journal

OLD: dict[str, Any] = {
    "partitions": 2,
    "nodes": ["n1"],
    "worker_zones": {"c0": "clients"},
    "links": {"clients->n1": ["clients", "n1"]},
    "ack_policy": "explicit",
    "ack_when": "after",
    "acks_confirmed": True,
    "ack_wait_ns": 7,
    "group_protocol": "",
    "eager": False,
    "session_timeout_ns": 0,
    "rebalance_timeout_ns": 0,
    "commits": False,
    "membership_changes": 3,
    "allowed": ["this"],
}
"""As the version before wrote them."""

"""What version 3 had not."""


def _load(tmp_path: Path, content: object) -> Facts:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return Facts.load(path)


def test_facts_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    forms: list[dict[str, Any]] = [
        {},
        {"settling": {"positions": True, "when": "before"}, "group": {"eager": True, "session_timeout_ns": 6}},
        {"settling": {"acknowledged": {"wait_ns": 5}, "positions": True}, "causes_ns_derived": {"owner": 5}},
        {"settling": {}},
    ]
    for changes in forms:
        written = facts(**changes)
        written.save(path)
        assert Facts.load(path) == written
    assert json.loads(path.read_text(encoding="utf-8"))["version"] == VERSION


def test_a_broker_names_states_of_its_own() -> None:
    known = facts(group={"states": {"shuffling": "rebalancing", "calm": "settled"}})
    assert [known.meaning(state) for state in ("shuffling", "calm", "stable")] == ["rebalancing", "settled", None]
    assert facts().meaning("stable") is None


def test_the_form_before_is_translated(tmp_path: Path) -> None:
    known = _load(tmp_path, OLD)
    assert known.settling == Settling(acknowledged=Acknowledged(confirmed=True, wait_ns=7))
    assert known.group is None
    assert (known.membership_changes, known.allowed, known.nodes) == (3, ("this",), ("n1",))
    without = _load(tmp_path, OLD | {"ack_policy": "none", "ack_when": "before"})
    assert without.settling == Settling(when="before")
    assert without.settling.on_delivery


@pytest.mark.parametrize(
    ("protocol", "eager", "rounds", "rebalancing"),
    [
        ("classic", False, 2, {"preparing_rebalance", "completing_rebalance"}),
        ("classic", True, 1, {"preparing_rebalance", "completing_rebalance"}),
        ("consumer", False, 1, {"assigning", "reconciling"}),
    ],
)
def test_protocols_of_groups_become_what_they_do(
    tmp_path: Path, protocol: str, eager: bool, rounds: int, rebalancing: set[str]
) -> None:
    group = {"group_protocol": protocol, "eager": eager, "session_timeout_ns": 6, "rebalance_timeout_ns": 9}
    known = _load(tmp_path, OLD | group | {"commits": True})
    assert known.settling == Settling(positions=True)
    assert known.group is not None
    expected = GroupFacts(
        states=known.group.states, rounds_per_change=rounds, eager=eager, session_timeout_ns=6, rebalance_timeout_ns=9
    )
    assert known.group == expected
    assert {state for state, meaning in known.group.states.items() if meaning == "rebalancing"} == rebalancing
    assert known.meaning("dead") == "gone"


def test_facts_written_before_groups_are_read(tmp_path: Path) -> None:
    keys = ("partitions", "nodes", "worker_zones", "links", "ack_policy", "allowed")
    known = _load(tmp_path, {key: OLD[key] for key in keys})
    assert known == dataclasses.replace(
        facts(partitions=2, worker_zones={"c0": "clients"}, allowed=["this"]),
        settling=Settling(acknowledged=Acknowledged()),
    )


def test_version_3_said_nothing_of_what_is_removed_refused_and_given_up(tmp_path: Path) -> None:
    content = _of_version_3(tmp_path, removals={}, attempts_max=3, first_offset=1, starts_at="latest", reads_copy=True)[
        1
    ]
    assert _load(tmp_path, content) == facts()
    assert _load(tmp_path, content).removals is None
    assert _load(tmp_path, content).retention
    with pytest.raises(ValueError, match=r"without .*attempts_max, .*removals"):
        _load(tmp_path, content | {"version": VERSION})
    with pytest.raises(ValueError, match="it has attempts_max, which its version had not"):
        _load(tmp_path, content | {"attempts_max": 3})


@pytest.mark.parametrize(
    ("removals", "at_the_beginning", "inside"),
    [
        (None, True, False),
        ({}, False, False),
        ({"settled": True}, False, True),
        ({"compacted": True}, False, True),
        ({"age_ns_max": 5}, True, False),
        ({"count_max": 5}, True, False),
        ({"bytes_max": 5}, True, False),
        ({"per_partition_max": 5}, True, True),
        ({"of_copy": True}, False, False),
    ],
)
def test_where_a_broker_may_remove_messages_is_said_by_its_limits(
    removals: dict[str, Any] | None, at_the_beginning: bool, inside: bool
) -> None:
    found = facts(removals=removals)
    assert (found.retention, found.removes_inside) == (at_the_beginning, inside)


def test_what_a_broker_removes_is_a_part_of_the_facts(tmp_path: Path) -> None:
    written = facts(removals={"settled": True, "age_ns_max": 5}, attempts_max=3, first_offset=10_000)
    assert written.removals is not None
    assert written.removals.of_oldest
    written.save(tmp_path / "facts.json")
    assert Facts.load(tmp_path / "facts.json") == written


def test_version_4_said_nothing_of_the_size_of_messages(tmp_path: Path) -> None:
    written = facts(removals={"bytes_max": 5, "message_bytes_min": 1, "message_bytes_max": 2})
    written.save(tmp_path / "facts.json")
    content = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    for name in _LATER_THAN_5:
        del content[name]
    with pytest.raises(
        ValueError, match="it has message_bytes_max and message_bytes_min and names_in_bytes, which its version had not"
    ):
        _load(tmp_path, content | {"version": 4})
    for name in _LATER_OF_REMOVALS:
        del content["removals"][name]
    assert _load(tmp_path, content | {"version": 4}).removals == Removals(bytes_max=5)
    assert _load(tmp_path, content | {"version": 4, "removals": None}).removals is None
    with pytest.raises(ValueError, match="without message_bytes_max, message_bytes_min, names_in_bytes"):
        _load(tmp_path, content | {"version": VERSION, "shows": "", "fixed_owners": {}})


def test_version_5_said_nothing_of_what_consumers_show(tmp_path: Path) -> None:
    written = facts(shows="commits")
    assert written.by_positions
    written.save(tmp_path / "facts.json")
    content = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    assert _load(tmp_path, content) == written
    with pytest.raises(ValueError, match="it has fixed_owners and shows, which its version had not"):
        _load(tmp_path, content | {"version": 5})
    del content["shows"], content["fixed_owners"]
    assert not _load(tmp_path, content | {"version": 5}).by_positions
    with pytest.raises(ValueError, match="without fixed_owners, shows"):
        _load(tmp_path, content)


def _of_version_3(tmp_path: Path, **given: Any) -> tuple[Facts, dict[str, Any]]:
    """Return facts, and their file as version 3 wrote it."""
    written = facts(**given)
    written.save(tmp_path / "facts.json")
    content = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    for name in (*_LATER_THAN_3, *_LATER_THAN_5):
        del content[name]
    if content["settling"]["acknowledged"] is not None:
        for name in _LATER_THAN_3_OF_ACKNOWLEDGED:
            del content["settling"]["acknowledged"][name]
    return written, content | {"version": 3}


def test_version_3_said_nothing_of_acceptance_and_of_the_length_of_the_plan(tmp_path: Path) -> None:
    written, content = _of_version_3(tmp_path)
    assert _load(tmp_path, content) == written
    with pytest.raises(ValueError, match="accept_ns_derived"):
        _load(tmp_path, content | {"version": VERSION})
    with pytest.raises(ValueError, match="it has planned_end_ns, which its version had not"):
        _load(tmp_path, content | {"planned_end_ns": 5})


@pytest.mark.parametrize("version", [1, 3])
def test_earlier_versions_said_only_among_what_is_allowed_that_sends_have_no_answers(
    tmp_path: Path, version: int
) -> None:
    allowed = ["acks none: sends are never acknowledged, so no message counts as lost"]
    content = _of_version_3(tmp_path, allowed=allowed)[1]
    if version == 1:
        content = {key: OLD[key] for key in ("partitions", "nodes", "worker_zones", "links")} | {"allowed": allowed}
    assert not _load(tmp_path, content).sends_acknowledged
    assert _load(tmp_path, content | {"allowed": ["that"]}).sends_acknowledged


def test_version_2_said_nothing_of_locks_threads_and_dead_letters(tmp_path: Path) -> None:
    written, content = _of_version_3(tmp_path, group={"session_timeout_ns": 6})
    for name in ("threads_per_partition", "dead_letters", "delay_early_ns"):
        del content[name]
    for name in ("notice_ns", "lock_ns"):
        del content["group"][name]
    assert _load(tmp_path, content | {"version": 2}) == written
    with pytest.raises(ValueError, match=r"without .*dead_letters"):
        _load(tmp_path, content | {"version": VERSION})
    assert _load(tmp_path, content | {"version": 2, "group": None}).group is None


def test_version_3_said_nothing_of_transactions(tmp_path: Path) -> None:
    content = _of_version_3(tmp_path, isolation="committed", outputs=True)[1]
    known = _load(tmp_path, content)
    assert (known.isolation, known.outputs, known.reads_uncommitted) == ("", False, False)
    with pytest.raises(ValueError, match=r"without .*isolation.*outputs"):
        _load(tmp_path, content | {"version": VERSION})
    with pytest.raises(ValueError, match="it has isolation, which its version had not"):
        _load(tmp_path, content | {"isolation": "committed"})


@pytest.mark.parametrize(
    ("isolation", "transaction_ns", "expected"),
    [("uncommitted", 1, True), ("uncommitted", 0, False), ("committed", 1, False), ("", 1, False)],
)
def test_uncommitted_messages_are_read_where_there_are_transactions(
    isolation: str, transaction_ns: int, expected: bool
) -> None:
    assert facts(isolation=isolation, transaction_ns=transaction_ns).reads_uncommitted is expected


def test_until_version_3_a_log_may_have_done_anything_with_what_it_holds(tmp_path: Path) -> None:
    content = _of_version_3(tmp_path, removals={}, one_log=True, fixed_partitions=True)[1]
    assert _load(tmp_path, content) == facts()
    with pytest.raises(ValueError, match=r"without .*fixed_partitions"):
        _load(tmp_path, content | {"version": VERSION})


def test_version_3_said_nothing_of_causes_isolation_and_what_is_pending(tmp_path: Path) -> None:
    written, content = _of_version_3(tmp_path, group={"session_timeout_ns": 6})
    assert _load(tmp_path, content) == written
    by_position = content | {"settling": {"acknowledged": None, "positions": True, "when": "after"}}
    assert _load(tmp_path, by_position).settling == Settling(positions=True)
    allowed = ["this", "max_ack_pending above 1: a delivery that is lost comes again after its successors"]
    assert _load(tmp_path, content | {"allowed": allowed}).late_redelivery == allowed[1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (OLD | {"version": VERSION + 1}, f"its version is {VERSION + 1}, and this harness reads 1 to {VERSION}"),
        (OLD | {"version": 3, "removal": ""}, "it has removal, which its version had not"),
        (
            OLD | {"version": 3, "settling": {"acknowledged": {"pending_max": 1}}},
            "it has pending_max, which its version had not",
        ),
        (OLD | {"group_protocol": "gossip"}, "'gossip'"),
        (OLD | {"version": VERSION}, "ack_policy"),
        (OLD | {"version": True}, "its version is True"),
        (OLD | {"group_protocol": None}, "a group protocol None"),
        (OLD | {"group_protocol": ["classic"]}, "a group protocol ['classic']"),
        (OLD | {"ack_policy": "sometimes"}, "ack_policy: 'sometimes' is none of explicit, none"),
        (OLD | {"ack_when": "never"}, "settling: when: 'never' is none of after, before"),
        (OLD | {"ack_wait_ns": None}, "settling: acknowledged: wait_ns: None is no int"),
        (OLD | {"commits": "no"}, "settling: positions: 'no' is no bool"),
        (OLD | {"partitions": "2"}, "partitions: '2' is no int"),
        (OLD | {"partitions": 0}, "partitions: 0 is not between 1 and 1,000,000"),
        (OLD | {"partitions": 1 << 40}, "partitions: 1099511627776 is not between 1 and 1,000,000"),
        (OLD | {"partitions": 1 << 63}, "partitions: 9223372036854775808 does not fit into 64 bits"),
        (OLD | {"worker_zones": {"c0": ["clients"]}}, "worker_zones: ['clients'] is no str"),
        (OLD | {"links": {"clients->n1": ["clients"]}}, "links: ['clients'] has 1 items in place of 2"),
        (OLD | {"settling": {}}, "it has settling, which its version had not"),
        (OLD | {"version": 2, "dead_letters": True}, "it has dead_letters, which its version had not"),
        (OLD | {"version": 3, "removals": None}, "it has removals, which its version had not"),
        (OLD | {"version": 2, "group": {"lock_ns": 5}}, "it has lock_ns, which its version had not"),
        ([], "list in place of an object"),
        (None, "NoneType in place of an object"),
    ],
)
def test_facts_that_do_not_fit_are_an_error_of_the_history(tmp_path: Path, content: object, said: str) -> None:
    (tmp_path / "history").mkdir()
    Journal(tmp_path / "history" / "c0.1.journal", {"worker": "c0", "incarnation": 1, "role": "consumer"}).close()
    (tmp_path / "facts.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(HistoryError, match="cannot read") as caught:
        History.load(tmp_path)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Facts)])
def test_facts_that_lost_a_key_are_refused(tmp_path: Path, name: str) -> None:
    facts(group={}).save(tmp_path / "facts.json")
    content = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    del content[name]
    with pytest.raises(ValueError, match=f"^without {name}$"):
        _load(tmp_path, content)


@pytest.mark.parametrize("state", ["calm", None, ["settled"]])
def test_a_state_of_a_group_has_a_known_meaning(tmp_path: Path, state: object) -> None:
    facts(group={}).save(tmp_path / "facts.json")
    content = json.loads((tmp_path / "facts.json").read_text(encoding="utf-8"))
    content["group"]["states"]["stable"] = state
    with pytest.raises(ValueError, match="is none of settled, rebalancing, empty, gone"):
        _load(tmp_path, content)

"""Events: their form in files, what is refused, the old form, and the table that documents them."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from harness.faults.base import FAULTS
from harness.history.event_form import VERSION, from_json, to_line
from harness.history.events import (
    EVENTS,
    AssignEvent,
    BatchesEvent,
    DeadLettersEvent,
    DrainEvent,
    Event,
    EvidenceEvent,
    FaultEvent,
    GroupEvent,
    GroupMember,
    HeadersEvent,
    LockEvent,
    OffsetsEvent,
    OutputsEvent,
    PhaseEvent,
    ReplicaEvent,
    RevokeEvent,
    StatsEvent,
    WorkerEvent,
)
from harness.history.old_events import OLD_FAULT_KINDS
from harness.history.record import EventLog
from harness.scenario.model import FaultEffects

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "history.md").read_text(encoding="utf-8")

SAMPLES: tuple[Event, ...] = (
    PhaseEvent(t=5, source="engine", phase="warmup"),
    WorkerEvent(
        t=6, source="engine", worker="c0", incarnation=2, role="consumer", state="died", exit=-9, planned=False
    ),
    WorkerEvent(
        t=6, source="engine", worker="c0", incarnation=2, role="consumer", state="ready", exit=None, planned=True
    ),
    AssignEvent(t=7, source="c0", worker="c0", incarnation=1, partitions=(0, 3), start=(-1, -1), whole=True),
    RevokeEvent(t=7, source="c0", worker="c0", incarnation=1, partitions=None),
    GroupEvent(
        t=8,
        source="monitor",
        state="stable",
        coordinator="n1",
        members=(GroupMember(worker="c0", member="c0-1", partitions=(0,)),),
        asked_ns=7,
    ),
    GroupEvent(t=8, source="monitor", state="stable", coordinator="", members=None, asked_ns=7),
    LockEvent(t=8, source="c0", worker="c0", incarnation=1, state="held", partitions=(0, 3), asked_ns=7),
    DeadLettersEvent(t=9, source="engine", read="complete", messages=3, detail=""),
    OutputsEvent(t=9, source="engine", read="partial", messages=3, detail=""),
    OffsetsEvent(t=9, source="monitor", committed={0: 5, 11: -1}, end={0: 7}),
    BatchesEvent(
        t=9,
        source="engine",
        partition=0,
        producer=1 << 40,
        epoch=1,
        transactional=False,
        first=(0, 5),
        last=(3, 5),
        sequence=(0, 4),
        leader_epoch=(0, 2),
    ),
    HeadersEvent(t=9, source="engine", partition=0, read="complete", first_offset=0, end_offset=6, runs=2, detail=""),
    ReplicaEvent(
        t=9,
        source="engine",
        partition=0,
        node="n2",
        in_sync=True,
        read="complete",
        first_offset=0,
        end_offset=6,
        messages=6,
        detail="",
    ),
    StatsEvent(
        t=9,
        source="c0",
        worker="c0",
        rtt_ns={"n1": 5},
        state="up",
        join_state="steady",
        rebalance_count=1,
        rebalance_age_ns=2,
    ),
)


def _line(event: Event) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(to_line(event))
    return content


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.kind)
def test_what_is_written_is_read(event: Event) -> None:
    read = from_json(_line(event))
    assert read == event
    assert dataclasses.asdict(read) == dataclasses.asdict(event)
    assert _line(event)["version"] == VERSION


def test_a_log_stamps_time_and_writer(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "p0.1.events.jsonl", "p0")
    log.write(PhaseEvent(phase="up"))
    log.write(PhaseEvent(t=3, phase="end"))
    log.close()
    first, second = (from_json(json.loads(line)) for line in log.path.read_text().splitlines())
    assert first.t > 3
    assert (second.t, second.source) == (3, "p0")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": VERSION + 1}, f"its version is {VERSION + 1}"),
        ({"version": "2"}, "its version is '2'"),
        ({"version": True}, "its version is True"),
        ({"kind": "drains"}, "its kind 'drains' is unknown"),
        ({"kind": None}, "its kind None is unknown"),
        ({"but": True}, "unknown field but"),
        ({"proven": None}, "proven: None is no bool"),
        ({"proven": 1}, "proven: 1 is no bool"),
        ({"pending": True}, "pending: True is no int"),
        ({"pending": "0"}, "pending: '0' is no int"),
        ({"t": 1.5}, "t: 1.5 is no int"),
        ({"t": 1 << 63}, "t: 9223372036854775808 does not fit into 64 bits"),
    ],
)
def test_a_line_that_is_not_understood_is_refused(change: dict[str, Any], why: str) -> None:
    sound = _line(
        DrainEvent(t=1, source="e", partition=0, end_offset=1, consumed_offset=1, pending=0, ack_pending=0, proven=True)
    )
    with pytest.raises(ValueError, match=re.escape(why)):
        from_json(sound | change)


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.kind)
def test_a_line_without_one_of_its_fields_is_refused(event: Event) -> None:
    for name in _line(event).keys() - {"version", "kind"}:
        with pytest.raises(ValueError, match=f"without {name}"):
            from_json({key: value for key, value in _line(event).items() if key != name})


@pytest.mark.parametrize("version", [{}, {"version": 1}])
def test_the_old_form_leaves_unsaid_what_is_filled_in(version: dict[str, int]) -> None:
    old = {"t": 4, "kind": "fault", "source": "engine", "fault": "k", "fault_kind": "client_kill", "action": "apply"}
    event = from_json(old | version)
    assert isinstance(event, FaultEvent)
    assert (event.targets, event.planned_ns, event.silences, event.departures) == ((), 0, True, 2)
    assert (event.takes_node_down, event.holds_handler, event.joins) == (False, False, False)
    told = from_json({"t": 4, "kind": "group", "state": "stable", "members": [{"worker": "c0"}]} | version, "monitor")
    member = GroupMember(worker="c0", member="", partitions=())
    assert told == GroupEvent(t=4, source="monitor", state="stable", coordinator="", members=(member,), asked_ns=4)


@pytest.mark.parametrize(
    ("protocol", "whole"), [({}, None), ({"protocol": "eager"}, True), ({"protocol": "cooperative"}, False)]
)
def test_the_old_form_named_the_protocol_of_a_group(protocol: dict[str, str], whole: bool | None) -> None:
    event = from_json({"t": 4, "kind": "revoke", "worker": "c0", "incarnation": 1, "partitions": [2]} | protocol)
    assert isinstance(event, RevokeEvent)
    assert event.whole is whole


@pytest.mark.parametrize(
    "old",
    [
        {"t": 4, "kind": "fault", "fault": "k", "action": "apply"},
        {"t": 4, "kind": "drain", "partition": 0},
        {"t": 4, "kind": "phase", "phase": "end", "because": "of nothing"},
        {"kind": "phase", "phase": "end"},
    ],
)
def test_the_old_form_is_refused_too_where_it_lacks_what_counts(old: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"without|unknown field"):
        from_json(old)


@pytest.mark.parametrize(
    ("kind", "fields", "later"),
    [
        ("fault", {"fault": "k", "fault_kind": "kill", "action": "apply", "silences": False}, "silences"),
        ("revoke", {"worker": "c0", "incarnation": 1, "partitions": [2], "whole": None}, "whole"),
    ],
)
def test_a_line_of_today_that_lost_its_version_is_refused(kind: str, fields: dict[str, Any], later: str) -> None:
    with pytest.raises(ValueError, match=f"it has {later}, which version 1 had not"):
        from_json({"t": 4, "kind": kind} | fields)


@pytest.mark.parametrize("version", [{}, {"version": 1}, {"version": 2}])
def test_until_version_2_evidence_did_not_say_what_it_lacks(version: dict[str, int]) -> None:
    old = {"t": 4, "kind": "evidence", "source": "engine", "fault": "f", "stage": "effect", "target": "n1"}
    old |= {"probe": "round trip", "proven": False, "observed": "too few round trips", "required": "three"}
    event = from_json(old | version)
    assert isinstance(event, EvidenceEvent)
    assert event.lacks == ""
    with pytest.raises(ValueError, match=f"it has lacks, which version {version.get('version', 1)} had not"):
        from_json(old | version | {"lacks": "round trips"})


@pytest.mark.parametrize("name", FAULTS.names())
def test_old_faults_did_what_they_do_today(name: str) -> None:
    spec = FAULTS.get(name).spec
    does = {field.name: getattr(spec, field.name) for field in dataclasses.fields(FaultEffects)}
    assert OLD_FAULT_KINDS[name] == {effect: value for effect, value in does.items() if value}


def test_a_fault_event_carries_every_effect_that_a_plan_knows() -> None:
    effects = {field.name: field.type for field in dataclasses.fields(FaultEffects)}
    assert effects.items() <= {field.name: field.type for field in dataclasses.fields(FaultEvent)}.items()


def _documented() -> dict[str, tuple[str, ...]]:
    """Return kind → fields of the table of events."""
    section = PAGE[PAGE.index("## Events") :]
    found = {}
    for kinds, fields in re.findall(r"^\| (`[^|]*`) \| [^|]* \| (.*) \|$", section, re.MULTILINE):
        for kind in re.findall(r"`(\w+)`", kinds):
            found[kind] = tuple(re.findall(r"`(\w+)`:", fields))
    return found


def test_the_documented_events_are_those_that_there_are() -> None:
    common = {field.name for field in dataclasses.fields(Event)}
    there_are = {
        kind: tuple(field.name for field in dataclasses.fields(cls) if field.name not in common)
        for kind, cls in EVENTS.items()
    }
    assert _documented() == there_are


def test_every_class_of_an_event_has_a_kind_of_its_own() -> None:
    def below(cls: type[Event]) -> set[type[Event]]:
        return {cls}.union(*(below(sub) for sub in cls.__subclasses__()))

    # By name: a class with slots is made twice.
    assert {cls.__name__ for cls in below(Event) if vars(cls).get("kind")} == {cls.__name__ for cls in EVENTS.values()}
    assert all(kind == cls.kind for kind, cls in EVENTS.items())


def test_faults_are_judged_by_what_they_do() -> None:
    for path in sorted((ROOT / "harness").rglob("*.py")):
        room = path.relative_to(ROOT / "harness").parts[0]
        if room not in {"checks", "judging", "report"}:
            continue
        named = [node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
        assert "fault_kind" not in named, path

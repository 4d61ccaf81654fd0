"""Each fault is proven by what it does itself: what another one did to its links meanwhile proves and disproves
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from support.fault_context import fault_context

from harness.faults.base import FAULTS, Evidence, Sample, TouchesOthers, extra_probe_name
from harness.faults.kit.interference import Interference
from harness.history.record import Break
from harness.runtime.base import Channel, Link
from harness.scenario.model import PlannedFault, Target

MS = 1_000_000
S = 1000 * MS
BEGIN, END = 10 * S, 16 * S
NODES = ("n1", "n2", "n3")
LINK = "clients->n1"

Broken = Callable[[int], Break]
"""Start of a round trip → how it fails."""


def _link(name: str, role: str) -> Link:
    source, node = name.split("->")
    channel = Channel(name=name, host="127.0.0.1", port=1, upstream="127.0.0.1:2")
    return Link(name=name, source=source, node=node, role=role, channels=(channel,), keeps=role == "client")


LINKS = {f"clients->{node}": _link(f"clients->{node}", "client") for node in NODES} | {
    f"{a}->{b}": _link(f"{a}->{b}", "peer") for a in NODES for b in NODES if a != b
}


def _trips(broken: Broken) -> list[Sample]:
    """Return a round trip every 250 ms, each 1 ms long; one without an answer takes 200 ms."""
    found = []
    for start in range(5 * S, 20 * S, 250 * MS):
        how = broken(start)
        length = 200 * MS if how is Break.SILENT else MS
        ok = how is Break.NONE
        found.append(Sample(start_ns=start, end_ns=start + length, ok=ok, length_ns=length, broken=how))
    return found


def _while(since_ns: int, until_ns: int, how: Break, otherwise: Broken = lambda _: Break.NONE) -> Broken:
    return lambda start: how if since_ns <= start < until_ns else otherwise(start)


SILENT = _while(BEGIN, END, Break.SILENT)


class Probes:
    """Samples by target; those not named always succeed."""

    def __init__(self, told: Mapping[str, Sequence[Sample]]) -> None:
        self._told = told

    def samples(self, target: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        found = self._told.get(target) if target in self._told else _trips(lambda _: Break.NONE)
        return [s for s in found or () if s.start_ns >= since_ns and (until_ns is None or s.end_ns <= until_ns)]


class Control:
    """A proxy that takes every order."""

    def add_toxic(self, *_: Any) -> None:
        """Accept."""

    def let_pass(self, *_: Any) -> None:
        """Accept."""

    def remove_toxic(self, *_: Any) -> None:
        """Accept."""

    def switch_off(self, *_: Any) -> None:
        """Accept."""

    def switch_on(self, *_: Any) -> None:
        """Accept."""


def _carry_out(
    kind: str, target: str, told: Mapping[str, Sequence[Sample]], interference: Interference
) -> tuple[list[Evidence], list[Evidence]]:
    """Return the evidence of effect and of healing of a fault from ``BEGIN`` to ``END``."""
    planned = PlannedFault(
        id=f"{kind}-1",
        kind=kind,
        options=FAULTS.get(kind).spec.options(),
        on=Target(link=target),
        targets=(target,),
        at_ns=0,
        until_ns=END - BEGIN,
        seed=1,
    )
    now = [BEGIN]
    context = fault_context(
        planned,
        links=LINKS,
        control=Control(),
        probes=Probes(told),
        now_ns=lambda: now[0],
        interference=interference,
    )

    async def carried_out() -> tuple[list[Evidence], list[Evidence]]:
        fault = FAULTS.get(kind).make(context)
        interference.begin(planned.id, fault.touches() if isinstance(fault, TouchesOthers) else (target,), now[0])
        await fault.apply()
        now[0] = END
        await fault.heal()
        interference.end(planned.id, now[0])
        now[0] = 20 * S
        return list(await fault.effect()), list(await fault.healing())

    return asyncio.run(carried_out())


def _others(*spans: tuple[str, str, int, int, bool]) -> Interference:
    """Return (fault, target, begin, end, whether it takes a node down) as interference."""
    interference = Interference()
    for fault, target, begin, end, down in spans:
        interference.begin(fault, (target,), begin, down=down)
        interference.end(fault, end, target)
    return interference


def _unproven(found: Sequence[Evidence]) -> list[str]:
    return [f"{item.target}: {item.observed}" for item in found if not item.proven]


PARTITIONED = {name: _trips(SILENT) for name, link in LINKS.items() if link.role == "peer" and "n1" in name.split("->")}


def test_a_partition_is_proven_next_to_a_fault_that_cuts_another_link() -> None:
    cut = _trips(_while(BEGIN, END, Break.CUT))
    told = PARTITIONED | {"clients->n2": cut}
    effect, _ = _carry_out("partition", "n1", told, _others(("disconnect-2", "clients->n2", BEGIN, END, False)))
    assert not _unproven(effect)
    assert "clients->n2" not in {item.target for item in effect}
    effect, _ = _carry_out("partition", "n1", told, Interference())
    assert [text.split(":")[0] for text in _unproven(effect)] == ["clients->n2"], "nothing else cut it"


def test_a_link_that_another_fault_cut_for_a_while_is_judged_by_the_rest() -> None:
    told = PARTITIONED | {"clients->n2": _trips(_while(14 * S, END, Break.CUT))}
    effect, _ = _carry_out("partition", "n1", told, _others(("disconnect-2", "clients->n2", 14 * S, END, False)))
    (left,) = [item for item in effect if item.target == "clients->n2"]
    assert left.proven
    assert "more while disconnect-2 acted" in left.observed
    told = PARTITIONED | {"clients->n2": _trips(SILENT)}
    effect, _ = _carry_out("partition", "n1", told, _others(("disconnect-2", "clients->n2", 14 * S, END, False)))
    assert [text.split(":")[0] for text in _unproven(effect)] == ["clients->n2"], "it was cut off before that"


def test_a_partition_is_proven_though_a_node_behind_it_is_killed_meanwhile() -> None:
    killed = _trips(_while(12 * S, 14 * S, Break.CUT, SILENT))
    told = PARTITIONED | {"n1->n3": killed, "clients->n3": _trips(_while(12 * S, 14 * S, Break.CUT))}
    effect, _ = _carry_out("partition", "n1", told, _others(("kill-2", "n3", 12 * S, 14 * S, True)))
    assert not _unproven(effect)
    effect, _ = _carry_out("partition", "n1", told, Interference())
    assert {text.split(":")[0] for text in _unproven(effect)} == {"n1->n3"}


def test_a_link_to_a_node_that_is_down_all_the_time_is_left_to_the_others() -> None:
    dead = _trips(_while(9 * S, 17 * S, Break.CUT))
    told = PARTITIONED | {"n1->n3": dead, "n2->n3": dead, "clients->n3": dead}
    effect, _ = _carry_out("partition", "n1", told, _others(("kill-2", "n3", 9 * S, 17 * S, True)))
    assert not _unproven(effect)
    assert {item.target for item in effect if "cut" not in item.required} == {"n1->n2", "n2->n1"}
    told = dict.fromkeys(PARTITIONED, dead)
    effect, _ = _carry_out("partition", "n1", told, _others(("kill-2", "n1", 9 * S, 17 * S, True)))
    assert _unproven(effect), "n1 was dead: no link shows what the partition did"


WAITING = [Sample(start_ns=start, end_ns=start + MS, ok=True, length_ns=MS) for start in range(5 * S, BEGIN, 250 * MS)]


def _waiting(begin_ns: int, end_ns: int) -> Sample:
    length = end_ns - begin_ns
    return Sample(start_ns=begin_ns, end_ns=end_ns, ok=False, length_ns=length, broken=Break.CUT)


def test_a_blackhole_is_proven_though_its_node_restarts_meanwhile() -> None:
    patient = [*WAITING, _waiting(BEGIN + MS, 12 * S + 50 * MS), _waiting(13 * S + 100 * MS, END + MS)]
    told = {LINK: _trips(_while(12 * S, 13 * S, Break.CUT, SILENT)), extra_probe_name(LINK, "blackhole-1"): patient}
    restart = _others(("restart-2", "n1", 12 * S, 13 * S, True))
    effect, healing = _carry_out("blackhole", LINK, told, restart)
    assert not _unproven(effect)
    assert not _unproven(healing)
    assert len(healing) == 2
    effect, _ = _carry_out("blackhole", LINK, told, Interference())
    assert len(_unproven(effect)) == 2, "no restart explains the cuts"


def test_an_answer_disproves_a_blackhole_whatever_else_happens() -> None:
    answered = _trips(_while(13 * S, 14 * S, Break.NONE, _while(12 * S, 13 * S, Break.CUT, SILENT)))
    told = {LINK: answered, extra_probe_name(LINK, "blackhole-1"): [*WAITING]}
    effect, _ = _carry_out("blackhole", LINK, told, _others(("restart-2", "n1", 12 * S, 14 * S, True)))
    assert _unproven(effect)


def test_the_silence_of_a_frozen_node_proves_no_blackhole() -> None:
    told = {LINK: _trips(SILENT), extra_probe_name(LINK, "blackhole-1"): [*WAITING]}
    effect, _ = _carry_out("blackhole", LINK, told, _others(("pause-2", "n1", BEGIN - S, END + S, True)))
    assert [item.observed for item in effect if not item.proven] == ["none ended (24 more while pause-2 acted)"]


def test_nothing_is_asked_of_what_was_waiting_where_the_node_was_down_at_the_end() -> None:
    told = {LINK: _trips(_while(15 * S, 17 * S, Break.CUT, SILENT)), extra_probe_name(LINK, "blackhole-1"): [*WAITING]}
    effect, healing = _carry_out("blackhole", LINK, told, _others(("kill-2", "n1", 15 * S, 17 * S, True)))
    assert not _unproven(effect)
    assert [item.probe for item in healing] == [f"round trip through {LINK}"]
    assert not _unproven(healing)


def test_a_starved_node_excuses_no_missing_connection_at_the_end() -> None:
    told = {LINK: _trips(SILENT), extra_probe_name(LINK, "blackhole-1"): [*WAITING]}
    _, healing = _carry_out("blackhole", LINK, told, _others(("cpu-2", "n1", BEGIN - S, END + S, False)))
    assert _unproven(healing) == [f"{LINK}: no round trip was waiting"]


@pytest.mark.parametrize("kind", ["disconnect", "reset"])
def test_connections_that_end_with_their_node_prove_no_fault_of_the_link(kind: str) -> None:
    told = {LINK: _trips(_while(BEGIN, END, Break.CUT))}
    kill = _others(("kill-2", "n1", BEGIN - S, END + S, True))
    effect, _ = _carry_out(kind, LINK, told, kill)
    assert _unproven(effect), "the link may have done nothing"
    for interference in (Interference(), _others(("cpu-2", "n1", BEGIN - S, END + S, False))):
        effect, _ = _carry_out(kind, LINK, told, interference)
        assert not _unproven(effect)


def test_a_link_that_is_shut_refuses_connections_whatever_its_node_does() -> None:
    told = {LINK: _trips(_while(BEGIN, END, Break.REFUSED))}
    effect, _ = _carry_out("disconnect", LINK, told, _others(("kill-2", "n1", BEGIN - S, END + S, True)))
    assert not _unproven(effect)

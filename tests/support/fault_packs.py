"""Packs the cases of ``fault_cases`` into runs of many faults: what one run can prove of each on its own.

Link faults act at the same time, each on the zone of a consumer of its own; client faults at the same time, each on a
worker of its own; faults of nodes and of whole clusters one after the other, each once the one before is over. Pure:
starts nothing. Knows no broker by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from support.broker_profiles import profiles
from support.fault_cases import CONSUMER, PRODUCER, ZONE, Case, cases, fault_id

from harness.clock import NS_PER_MS
from harness.faults.base import FAULTS
from harness.scenario.abilities import BrokerAbility
from harness.scenario.model import PlannedFault
from harness.scenario.plugins import BROKER_SPECS
from harness.session.selection import replan

FIRST_MS = 500
"""When the first fault acts; before it the probes see what is usual."""
_PAUSE_MS = 1500
"""After what takes no node down, until the next one: its healing is seen, and round trips are as usual again."""
_LAST_MS = 1500
_MILLISECONDS = re.compile(r"(\d+)(ms|s)")

LINKS, CLIENTS, NODES, LIMITS, CLUSTER = "links", "clients", "nodes", "limits", "cluster"
KINDS = (LINKS, CLIENTS, NODES, LIMITS, CLUSTER)
"""What a run of many proves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One case in a run of many.

    Attributes:
        name: Of the case.
        on: Where it acts; empty for the topic.
        at_ms: When.
    """

    name: str
    on: str
    at_ms: int

    @property
    def id(self) -> str:
        """Of its fault."""
        return fault_id(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """One run of many faults.

    Attributes:
        name: One of ``KINDS``.
        broker: Its kind.
        nodes: Of the cluster.
        acts: In order of their times.
        workload: Key → value, as YAML.
    """

    name: str
    broker: str
    nodes: int
    acts: tuple[Act, ...]
    workload: Mapping[str, str]

    def text(self) -> str:
        """Return the scenario."""
        table, profile = cases(), profiles()[self.broker]
        faults = ""
        for act in self.acts:
            case = table[act.name].of(self.broker)
            faults += f"  - {case.fault}\n    id: {act.id}\n    at: {act.at_ms}ms\n"
            faults += f"    on: {act.on}\n" if act.on else ""
            faults += f"    {case.span}\n" if case.span else ""
        workload = ", ".join(f"{key}: {value}" for key, value in self.workload.items())
        return (
            f"version: 1\ntitle: Many faults ({self.name})\nseed: 3\nbroker: {profile.alias}\n"
            f"cluster: {table[self.acts[0].name].cluster(self.broker)}\nworkload: {{{workload}}}\nfaults:\n{faults}"
            # What is accepted while everything acts at once proves no fault, and its bound would lie beyond the run.
            "expect:\n  loss: {messages_max: 0, examined_min: 20}\n  acceptance: off\n"
        )


def packs(broker: str, *, possible: Iterable[str] | None = None, quick: bool = False) -> tuple[Pack, ...]:
    """Return the runs that hold every case of a broker once, but those that never share a run.

    Args:
        broker: Its kind; it has a profile.
        possible: The cases that this machine can do; None = all.
        quick: Nothing has an effect: no node goes down, so nothing waits for one to be back, and no limit is measured.
    """
    allowed = set(cases() if possible is None else possible)
    chosen = [name for name, case in cases().items() if name in allowed and case.fits(broker) and not case.alone]
    groups: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for name in chosen:
        groups[_kind(name, broker, quick=quick)].append(name)
    return tuple(_pack(kind, names, broker, quick=quick) for kind, names in groups.items() if names)


def _kind(name: str, broker: str, *, quick: bool) -> str:
    """Return the run that a case is part of."""
    case = cases()[name]
    if case.copied:
        return CLUSTER
    spec = FAULTS.get(case.kind).spec
    # Whoever asks for other consumers shares the run in which no fault looks at consumers.
    if spec.acts_on == "link" or _other_consumers(name, broker):
        return LINKS
    if spec.acts_on != "node":
        return CLIENTS
    if quick:
        return NODES
    # Only light runs may go on next to what measures the machine: it is kept short.
    (fault,) = _timeline(name, broker)
    measures = FAULTS.get(case.kind).measures_machine
    return LIMITS if measures is not None and measures(fault.options) else NODES


def _pack(kind: str, names: Sequence[str], broker: str, *, quick: bool) -> Pack:
    zones = BrokerAbility.ZONES in BROKER_SPECS.get(broker).abilities
    acts, workload = _placed(kind, names, broker, zones=zones)
    at, placed, end = FIRST_MS, [], FIRST_MS
    for moment in _moments(kind, acts, broker, zones=zones):
        placed += [replace(act, at_ms=at) for act in moment]
        end = max(at + _length_ms(act.name, broker) for act in moment)
        at = end + max(_return_ms(cases()[act.name], broker, quick=quick) for act in moment)
    # A worker that never joins leaves its partitions behind: without effects no drain can be waited for.
    workload |= {"duration": f"{max(end + _LAST_MS, 4000)}ms", "drain": "4s" if quick else "20s"}
    return Pack(
        name=kind,
        broker=broker,
        nodes=cases()[names[0]].nodes(broker),
        acts=tuple(placed),
        workload=_merged(workload, broker),
    )


def _placed(kind: str, names: Sequence[str], broker: str, *, zones: bool) -> tuple[list[Act], dict[str, str]]:
    """Return where each case acts, and the workers that this takes."""
    acts, placed = [], {}
    consumers, producers = 0, 1
    extra: dict[str, str] = {}
    for name in names:
        case = cases()[name].of(broker)
        on, zone = case.on, ""
        if (ZONE in on and zones) or CONSUMER in on:
            worker, consumers = f"c{consumers}", consumers + 1
            on = on.replace(CONSUMER, worker)
            if ZONE in on and zones:
                zone, placed[f"z{worker[1:]}"] = f", zone: z{worker[1:]}", worker
        if PRODUCER in on:
            on, producers = on.replace(PRODUCER, f"p{producers}"), producers + 1
        acts.append(Act(name=name, on=on.replace(ZONE, zone), at_ms=0))
        extra |= {key: value for key, value in case.workload.items() if key != "duration"}
    consumers = max(consumers, 1)
    # A producer alone, or a consumer, works on while the others go away; each consumer has partitions of its own.
    return acts, extra | {
        "partitions": str(max(2, (2 if kind == CLIENTS else 1) * consumers)),
        "keys": str(max(16, (4 if kind == CLIENTS else 1) * consumers)),
        "rate": "300/s" if kind == CLIENTS else "50/s",
        "producers": str(producers),
        "consumers": str(consumers),
        **({"zones": f"{{{', '.join(f'{zone}: [{worker}]' for zone, worker in placed.items())}}}"} if placed else {}),
    }


def _moments(kind: str, acts: Sequence[Act], broker: str, *, zones: bool) -> list[list[Act]]:
    """Return what acts at the same time, in order."""
    table = cases()
    if kind == CLIENTS:
        calm = [act for act in acts if table[act.name].calm]
        return [group for group in (calm, [act for act in acts if act not in calm]) if group]
    own = [act for act in acts if zones and (ZONE in table[act.name].on or CONSUMER in table[act.name].on)]
    others = [act for act in acts if act not in own]
    # What is away longest comes last, where nothing waits for it.
    others.sort(key=lambda act: _return_ms(table[act.name], broker, quick=False))
    return ([own] if own else []) + [[act] for act in others]


@cache
def _timeline(name: str, broker: str) -> tuple[PlannedFault, ...]:
    """Return the faults of a case's plan."""
    return tuple(replan(cases()[name].text(broker), "scenario.yaml", {}, 3).timeline)


@cache
def _other_consumers(name: str, broker: str) -> bool:
    """Return whether a case asks for consumers that behave otherwise than this broker's do by themselves."""
    case = cases()[name]
    if "consumer" not in case.workload:
        return False
    usual = replace(case, workload={**case.workload, "consumer": "{}"})
    asked, own = (replan(one.text(broker), "scenario.yaml", {}, 3).workload.consumer for one in (case, usual))
    return bool(asked != own)


def _length_ms(name: str, broker: str) -> int:
    """Return how long a case's fault acts at worst, as its plan says."""
    (fault,) = _timeline(name, broker)
    return -((fault.at_ns - fault.until_ns) // NS_PER_MS)


def _return_ms(case: Case, broker: str, *, quick: bool) -> int:
    """Return how long after a case's end the next one begins."""
    if quick:
        return 500
    profile = profiles()[broker]
    if "nodes.kill" in case.lost or "nodes.stop" in case.lost:
        each = milliseconds(profile.returns if "nodes.kill" in case.lost else profile.returns_stopped)
        return _PAUSE_MS + each * (case.nodes(broker) if "rolling" in case.fault else 1)
    return _PAUSE_MS + (milliseconds(profile.settles) if FAULTS.get(case.kind).spec.acts_on == "node" else 0)


def milliseconds(text: str) -> int:
    """Return a time of a profile: ``300ms`` or ``2s``."""
    found = _MILLISECONDS.fullmatch(text)
    assert found is not None, text
    return int(found[1]) * (1 if found[2] == "ms" else 1000)


def _merged(workload: Mapping[str, str], broker: str) -> Mapping[str, str]:
    """Return the whole workload; a case's consumer options join those of the profile."""
    quick = profiles()[broker].quick_consumer
    own = workload.get("consumer", "")
    consumer = "{" + ", ".join(part[1:-1] for part in (quick, own) if len(part) > 2) + "}"
    return {**workload, "warmup": "1s", "consumer": consumer}

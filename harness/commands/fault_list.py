"""What ``harness faults`` lists: every registered fault, its options, and whether this machine and the brokers are able
to do it.

Owns the words and the layout; everything said is read from the registries and asked of the machine. Applies nothing.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.faults.base import FAULTS, FaultKind
from harness.runtime.abilities import MachineAbility, why_not
from harness.runtime.contract import RUNTIMES
from harness.runtime.docker import engine as docker_engine
from harness.scenario.abilities import BrokerAbility
from harness.scenario.explain import described
from harness.scenario.fields import FieldSpec, field_specs, item_type, literals, unit_of, without_none
from harness.scenario.plugins import BROKER_SPECS
from harness.scenario.quantity import exact

_ACTS_ON: Mapping[str, str] = {
    "link": "links",
    "node": "nodes",
    "client": "producers or consumers",
    "consumer": "consumers",
    "topic": "the topic",
}
_COLUMNS = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a fault.

    Attributes:
        name: Key in a scenario.
        takes: What it may be (``duration in ns, us, ms, s, m, h``; ``up, down or both``).
        required: It has no default.
        default: As it is written in a scenario; empty when it has none, or when leaving it out means something of its
            own.
        minimum, maximum: Inclusive bounds as they are written in a scenario; empty when there is none.
        meaning: One sentence or more.
    """

    name: str
    takes: str
    required: bool
    default: str
    minimum: str
    maximum: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ability:
    """What the machine must be able to do.

    Attributes:
        name: Of the ability.
        lacking: Runtime → why this machine does not have it there; empty when it has.
    """

    name: str
    lacking: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One fault as it is listed.

    Attributes:
        name, summary: Of the kind.
        acts_on: What it acts on, in words.
        ends_itself: It takes no ``for``.
        options: In the order of the dataclass.
        machine: Abilities that the machine must have.
        broker: Abilities that the broker must have.
        brokers: Kinds of brokers on which it can act.
        broker_on_peers: Abilities that the broker must have where it acts on links between nodes.
        brokers_on_peers: Kinds of brokers on which it can act there.
    """

    name: str
    summary: str
    acts_on: str
    ends_itself: bool
    options: tuple[Option, ...]
    machine: tuple[Ability, ...]
    broker: tuple[str, ...]
    brokers: tuple[str, ...]
    broker_on_peers: tuple[str, ...]
    brokers_on_peers: tuple[str, ...]


def list_faults(
    names: Sequence[str] = (),
    engine_unusable: Callable[[], str] = docker_engine.unusable,
    machine_lacks: Callable[[MachineAbility, str], str] = why_not,
) -> list[Listed]:
    """Return the description of faults; raises UsageError for a name that is not registered.

    Args:
        names: Of faults; empty = all.
        engine_unusable: Says why containers cannot serve here; asked at most once.
        machine_lacks: (ability, runtime) → why this machine does not have it; empty when it has.
    """
    kinds = [FAULTS.get(name) for name in names] or [kind for _, kind in FAULTS.items()]
    asked: dict[tuple[MachineAbility, str], str] = {}
    no_engine: list[str] = []

    def lacking(ability: MachineAbility, runtime: str) -> str:
        if (ability, runtime) not in asked:
            if runtime == "docker" and not no_engine:
                no_engine.append(engine_unusable())
            asked[ability, runtime] = (no_engine[0] if runtime == "docker" else "") or machine_lacks(ability, runtime)
        return asked[ability, runtime]

    return [_list_fault(kind, lacking) for kind in kinds]


def to_json(found: Sequence[Listed]) -> str:
    """Return faults as JSON; an ability's ``lacking`` is an empty string where the machine has it."""
    return json.dumps([asdict(entry) for entry in found], indent=2)


def render(found: Sequence[Listed]) -> str:
    """Return faults as text for people."""
    return "\n\n".join("\n".join(_lines(entry)) for entry in found)


def options_of(cls: type) -> tuple[Option, ...]:
    """Return the options that a fault's dataclass describes."""
    return tuple(_option(spec) for spec in field_specs(cls))


def _list_fault(kind: FaultKind, lacking: Callable[[MachineAbility, str], str]) -> Listed:
    needs, on_peers = kind.spec.needs, kind.spec.needs_on_peers
    return Listed(
        name=kind.name,
        summary=kind.summary,
        acts_on=_ACTS_ON[kind.spec.acts_on],
        ends_itself=kind.spec.ends_itself,
        options=options_of(kind.spec.options),
        machine=tuple(
            Ability(name=ability, lacking={runtime: lacking(ability, runtime) for runtime in RUNTIMES})
            for ability in kind.machine
        ),
        broker=needs,
        brokers=_able(needs),
        broker_on_peers=on_peers,
        brokers_on_peers=_able((*needs, *on_peers)),
    )


def _able(needs: tuple[BrokerAbility, ...]) -> tuple[str, ...]:
    return tuple(name for name, spec in BROKER_SPECS.items() if spec.abilities.issuperset(needs))


def _option(spec: FieldSpec) -> Option:
    unit = unit_of(spec.annotation)

    def written(value: float | None) -> str:
        if value is None:
            return ""
        return exact(unit, value) if unit is not None else f"{value:g}"

    return Option(
        name=spec.yaml,
        takes=_takes(spec.annotation),
        required=spec.required,
        default="" if spec.required else _text(spec.annotation, spec.default()),
        minimum=written(spec.minimum),
        maximum=written(spec.maximum),
        meaning=spec.doc,
    )


def _takes(annotation: Any) -> str:
    annotation, _ = without_none(annotation)
    unit, words, item = unit_of(annotation), literals(annotation), item_type(annotation)
    if unit is not None:
        return f"{unit.name} in {', '.join(unit.factors)}"
    if words is not None:
        *first, last = map(str, words)
        return f"{', '.join(first)} or {last}" if first else last
    if item is not None:
        return f"list: {_takes(item)}"
    simple = {int: "whole number", float: "number", bool: "true or false", str: "text"}
    return simple.get(annotation, "mapping")


def _text(annotation: Any, value: Any) -> str:
    annotation, _ = without_none(annotation)
    unit = unit_of(annotation)
    if value is None:
        return ""
    if unit is not None:
        return exact(unit, value)
    if dataclasses.is_dataclass(value):
        return f"{{{described(value)}}}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _lines(entry: Listed) -> list[str]:
    lines = [entry.name, *_wrapped(entry.summary, 2)]
    lines.append(f"  acts on {entry.acts_on}" + ("; ends by itself (no `for`)" if entry.ends_itself else ""))
    if entry.broker:
        lines.append(f"  brokers: {', '.join(entry.brokers) or 'none'} (it needs {_of_broker(entry.broker)})")
    if entry.broker_on_peers:
        brokers, needs = ", ".join(entry.brokers_on_peers) or "none", _of_broker(entry.broker_on_peers)
        lines.append(f"  brokers, on links between nodes: {brokers} (it needs {needs})")
    for ability in entry.machine:
        reasons = {why for why in ability.lacking.values() if why}
        if len(reasons) == 1 and all(ability.lacking.values()):
            lines += _wrapped(f"needs {ability.name}: not on this machine: {reasons.pop()}", 2)
        else:
            told = "; ".join(f"{runtime}: {f'no, {why}' if why else 'yes'}" for runtime, why in ability.lacking.items())
            lines += _wrapped(f"needs {ability.name}: {told}", 2)
    if not entry.options:
        return [*lines, "  no options"]
    width = max(len(option.name) for option in entry.options)
    for option in entry.options:
        lines += _wrapped(f"{option.name:<{width}}  {_facts(option)}", 2, 4 + width)
        lines += _wrapped(option.meaning, 4 + width)
    return lines


def _of_broker(abilities: tuple[str, ...]) -> str:
    return f"the broker's {'abilities' if len(abilities) > 1 else 'ability'} {', '.join(abilities)}"


def _facts(option: Option) -> str:
    facts = [option.takes, "needed" if option.required else f"default {option.default or 'none'}"]
    facts += [f"at least {option.minimum}"] if option.minimum else []
    facts += [f"at most {option.maximum}"] if option.maximum else []
    return "; ".join(facts)


def _wrapped(text: str, indent: int, hanging: int | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        _COLUMNS,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + 2 if hanging is None and indent == 2 else hanging or indent),
        break_on_hyphens=False,
        break_long_words=False,
    )

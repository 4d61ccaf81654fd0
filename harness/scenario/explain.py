"""A plan in plain text, for people: what is set up, what happens when, and what is expected of it.

Owns the words and the layout, at most 120 columns. Says nothing that is not in the plan.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from harness.scenario.application import AT_RUN, READY, SHOWN, application_of, directory_of, fill_in
from harness.scenario.fields import FieldSpec, field_specs, item_type, unit_of, value_type, without_none
from harness.scenario.members import worker_names, zones
from harness.scenario.model import LOOKED_UP, TOPIC, Expectation, Plan, PlannedFault, Workload
from harness.scenario.plan import declared_ns, variant_label
from harness.scenario.quantity import exact
from harness.scenario.trigger import in_words
from harness.units import BYTES, DURATION, OFF, RATE, Off

COLUMNS: Final = 120
_LABEL: Final = 12
_NAMES_SHOWN: Final = 12
_INSTANCES_SHOWN: Final = 3


def explain(plan: Plan, *, always: Iterable[str] = ()) -> str:
    """Return the plan as text, lines of at most 120 columns, ending with a newline.

    Args:
        plan: Any.
        always: Checks that count in every run.
    """
    lines = [*_wrapped(plan.title, COLUMNS)]
    if plan.why.strip():
        lines += _wrapped(plan.why, COLUMNS)
    lines += ["", *_identity(plan), "", *_setting(plan), "", *_timeline(plan), "", *_expectations(plan, always)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def described(value: Any) -> str:
    """Return the fields of an options or limits dataclass in words: ``delay 50ms, jitter 15ms``.

    Fields that are None are left out; quantities are exact and carry their units.
    """
    return ", ".join(f"{name} {text}" for name, text in pairs(value))


def _identity(plan: Plan) -> list[str]:
    rows = [("scenario", f"{plan.scenario} ({plan.file})")]
    if plan.variant:
        rows.append(("variant", variant_label(plan)))
    if plan.tags:
        rows.append(("tags", ", ".join(plan.tags)))
    rows += [("seed", str(plan.seed)), ("digest", plan.digest)]
    return _rows(rows)


def _setting(plan: Plan) -> list[str]:
    cluster, workload = plan.cluster, plan.workload
    names = plan.topology.node_names
    nodes = (
        f"{_count(cluster.nodes, 'node')} ({_some(names)}), {_count(cluster.replicas, 'replica')} of every partition"
    )
    rows = [("broker", plan.broker), ("cluster", nodes)]
    rows += [(name, text) for name, text in (("topic", described(cluster.topic)),) if text]
    if cluster.config:
        rows.append(("config", ", ".join(f"{key}: {_plain(item)}" for key, item in cluster.config.items())))
    rows.append(("workload", _workload(workload)))
    clients = (("producer", described(workload.producer)), ("consumer", _consumer(workload.consumer)))
    rows += [(name, text) for name, text in clients if text]
    if workload.zones:
        rows.append(("zones", "; ".join(f"{zone}: {_some(found)}" for zone, found in zones(workload).items())))
    lengths = (
        f"warm-up {exact(DURATION, workload.warmup_ns)}, timeline {exact(DURATION, workload.duration_ns)}, "
        f"drain up to {exact(DURATION, workload.drain_ns)}: {exact(DURATION, declared_ns(plan))} at most"
    )
    rows.append(("phases", lengths))
    if plan.attempts is not None:
        rows.append(
            ("attempts", f"{_count(plan.attempts.runs, 'run')}, at least {plan.attempts.at_least} must show it")
        )
    return _rows(rows)


def _consumer(options: Any) -> str:
    """Return the options of consumers but for their application, which has a part of its own."""
    return ", ".join(f"{name} {text}" for name, text in pairs(options) if name != "application")


def explain_application(plan: Plan, words: Callable[[str], Mapping[str, str]]) -> str:
    """Return how the application of a plan is started and what it shows; empty when it has none.

    Args:
        plan: Any.
        words: Consumer → what of its words is known before a run; the others stay in braces.
    """
    application = application_of(plan.workload.consumer)
    if application is None:
        return ""
    names = [f"c{index}" for index in range(plan.workload.consumers)]
    rows = [
        (name, shlex.join(fill_in(text, words(name)) for text in application.command))
        for name in names[:_INSTANCES_SHOWN]
    ]
    rows += [("…", f"{len(names)} in all")] if len(names) > _INSTANCES_SHOWN else []
    ready = application.ready
    seen = f"a line of its log holds {ready.line!r}" if ready.line else f"{ready.http} answers" if ready.http else ""
    within, patience = exact(DURATION, application.ready_within_ns), exact(DURATION, application.stop.patience_ns)
    rows += [
        ("directory", str(directory_of(application, plan.file))),
        ("ready", f"once {seen or READY[application.shows]}, within {within}"),
        ("stop", f"SIG{application.stop.signal}, and SIGKILL after {patience}"),
        ("shows", f"{application.shows}: {SHOWN[application.shows]}"),
    ]
    rows += [("env", f"{name}={text}") for name, text in application.env.items()]
    names_filled = AT_RUN if application.shows == "lines" else AT_RUN - {"report"}
    filled = ", ".join(f"{{{name}}}" for name in sorted(names_filled))
    head = f"Application, in the place of each consumer ({filled} are filled in as the run begins)"
    return "\n".join([head, *(f"  {line}" for line in _rows(rows, _LABEL, COLUMNS - 2))]) + "\n"


def _workload(workload: Workload) -> str:
    names = worker_names(workload)
    producers, consumers = names[: workload.producers], names[workload.producers :]
    return (
        f"{_count(workload.producers, 'producer')} ({_some(producers)}) sending {exact(RATE, workload.rate_per_s)} in "
        f"all, {exact(BYTES, workload.payload_bytes)} each, over {_count(workload.keys, 'key')} in "
        f"{_count(workload.partitions, 'partition')}, to {_count(workload.consumers, 'consumer')} ({_some(consumers)})"
    )


def _timeline(plan: Plan) -> list[str]:
    workload = plan.workload
    end_ns = workload.duration_ns
    head = ("t", "until", "fault", "options", "on", "targets")
    rows: list[tuple[str, ...]] = [head]
    if workload.warmup_ns:
        rows.append((f"-{exact(DURATION, workload.warmup_ns)}", "0s", "warm-up", "", "", ""))
    rows += [_fault_row(fault) for fault in plan.timeline]
    rows.append((exact(DURATION, end_ns), "", "producers stop", "", "", ""))
    latest = end_ns + workload.drain_ns
    if workload.drain_ns:
        rows.append((exact(DURATION, end_ns), exact(DURATION, latest), "drain, at most", "", "", ""))
    quiet = [] if plan.timeline else ["  no faults"]
    return ["Timeline (t counts from the end of warm-up)", *quiet, *_table(rows), *_unreplayable(plan)]


def unreplayable(fault: PlannedFault) -> list[str]:
    """Return what of a planned fault is not settled by the plan, and so not the same in every run of it."""
    found = []
    if fault.when is not None:
        found.append(f"applied {in_words(fault.when)}: its time depends on the run and is not replayable")
    if fault.on.mode in LOOKED_UP:
        found.append(f"its target, the {fault.on.mode}, is looked up when it is applied")
    if fault.unreplayable:
        found.append(fault.unreplayable)
    return found


def _unreplayable(plan: Plan) -> list[str]:
    rows = [(fault.id, text) for fault in plan.timeline for text in unreplayable(fault)]
    if not rows:
        return []
    width = max(len(name) for name, _ in rows) + 2
    return ["", "Not determined by the plan (all else is replayed exactly)"] + [
        f"  {line}" for line in _rows(rows, width, COLUMNS - 2)
    ]


def _fault_row(fault: PlannedFault) -> tuple[str, ...]:
    on = fault.on
    target = on.node or on.link or on.worker or TOPIC
    zone = f" of zone {on.zone}" if on.zone else ""
    group = target in ("broker", "client-broker", "broker-broker", "consumer", "producer")
    mode = f", {on.mode}" if group else ""
    if fault.targets:
        names = _some(fault.targets)
    else:
        of = f" of partition {on.partition}" if on.partition is not None else ""
        names = f"the {on.mode}{of} when applied"
    at_most = "" if fault.when is None else "≤"
    return (
        at_most + exact(DURATION, fault.at_ns),
        at_most + exact(DURATION, fault.until_ns),
        fault.id,
        described(fault.options) or "-",
        f"{target}{zone}{mode}",
        names,
    )


def _expectations(plan: Plan, always: Iterable[str]) -> list[str]:
    counting = [(entry.check, _limits_of(entry)) for entry in plan.expect]
    named = {entry.check for entry in plan.expect}
    counting += [(name, "counts in every run, with its default limits") for name in always if name not in named]
    rows = [(name, ("must fail: " if name in plan.must_fail else "") + limits) for name, limits in counting]
    width = max((len(name) for name, _ in rows), default=0) + 2
    lines = [f"  {line}" for line in _rows(rows, width, COLUMNS - 2)]
    canary = []
    if plan.must_fail:
        rest = ", every other expectation must pass" if len(plan.must_fail) < len(rows) else ""
        canary = ["", *_wrapped(f"Canary: {', '.join(plan.must_fail)} must fail{rest}.", COLUMNS)]
    return ["Expectations", *lines, *canary]


def _limits_of(entry: Expectation) -> str:
    if entry.off:
        return "off: it would count in every run, and does not count in this one"
    return described(entry.limits) or "no limits of its own"


def pairs(value: Any) -> list[tuple[str, str]]:
    """Return (key, value as written) of an options or limits dataclass; what is not given is left out."""
    if value is None or not dataclasses.is_dataclass(value) or isinstance(value, type):
        return []
    items = ((spec, getattr(value, spec.name)) for spec in field_specs(type(value)))
    return [(spec.yaml, _field(spec, item)) for spec, item in items if item is not None and item not in ("", (), {})]


def _field(spec: FieldSpec, value: Any) -> str:
    return _value(spec.annotation, value)


def _value(annotation: Any, value: Any) -> str:
    annotation, _ = without_none(annotation)
    if isinstance(value, Off):
        return OFF
    unit = unit_of(annotation)
    if unit is not None and value is not None:
        return exact(unit, value)
    if dataclasses.is_dataclass(value):
        return f"{{{described(value)}}}"
    if isinstance(value, tuple):
        return f"[{', '.join(_value(item_type(annotation) or Any, item) for item in value)}]"
    if isinstance(value, Mapping):
        inner = value_type(annotation) or Any
        return f"{{{', '.join(f'{key}: {_value(inner, item)}' for key, item in value.items())}}}"
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _some(names: Sequence[str]) -> str:
    """Return names in a row; of many, the first and the last with how many there are."""
    if len(names) <= _NAMES_SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[:3])}, … {names[-1]}: {len(names)} in all"


def _printable(text: str) -> str:
    flat = " ".join(text.split())
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in flat)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(_printable(text), width, break_on_hyphens=False) or [""]


def _rows(rows: Iterable[tuple[str, str]], label: int = _LABEL, columns: int = COLUMNS) -> list[str]:
    lines = []
    for name, text in rows:
        for index, line in enumerate(_wrapped(text, columns - label)):
            lines.append(f"{name if index == 0 else '':<{label}}{line}")
    return lines


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return rows as aligned columns; the free-text ones share what the fixed ones leave, and wrap."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    free = COLUMNS - 2 - 2 * (len(widths) - 1) - sum(widths[:3])
    for index, share in ((3, 0.45), (4, 0.5), (5, 1.0)):
        widths[index] = min(widths[index], max(int(free * share), 8))
        free -= widths[index]
    lines = []
    for row in rows:
        cells = [_wrapped(cell, width or 1) for cell, width in zip(row, widths, strict=True)]
        for depth in range(max(len(cell) for cell in cells)):
            parts = (cell[depth] if depth < len(cell) else "" for cell in cells)
            lines.append("  " + "  ".join(part.ljust(width) for part, width in zip(parts, widths, strict=True)))
    return lines

"""The faults of a variant: each read, placed and timed, and together a possible timeline.

Owns ``at``, ``for`` and ``on``. Never knows a fault by name: its shape says what it acts on and whether it ends by
itself.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import Location, nearest
from harness.scenario import document
from harness.scenario.document import Entry, Node, Scalar, Sequence
from harness.scenario.head import FaultWords
from harness.scenario.model import LOOKED_UP, TOPIC, FaultEffects, FaultShape, Target
from harness.scenario.quantity import exact
from harness.scenario.shape import INVALID, Reader
from harness.scenario.target import Place, candidates, read_target
from harness.units import DURATION

WORDS = ("on", "at", "for")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultEntry(FaultEffects):
    """One fault of a variant, before its random choices are drawn.

    Attributes:
        id, kind, options, on, at_ns, until_ns, partitions_added: As in ``PlannedFault``.
        candidates: Names it may act on, in order: all of them, or with mode ``random``, ``leader`` and ``coordinator``
            one of them.
    """

    id: str
    kind: str
    options: Any
    on: Target
    candidates: tuple[str, ...]
    at_ns: int
    until_ns: int
    partitions_added: int = 0


@dataclass(frozen=True, slots=True)
class _Words:
    """The keys of one entry as nodes."""

    kind: Scalar
    options: Node
    entry: document.Mapping

    def at(self, key: str) -> Location:
        value = self.entry.get(key)
        return value.at if value is not None else self.kind.at


def read_faults(
    node: Node | None, shapes: Mapping[str, FaultShape], place: Place | None, reader: Reader
) -> tuple[FaultEntry, ...]:
    """Return the faults in file order; those with problems are reported and left out.

    Args:
        node: The list under ``faults``; None when there is none.
        shapes: Registered faults.
        place: What targets may name; None when the cluster or workload could not be read.
        reader: Collects the problems.
    """
    if node is None:
        return ()
    if not isinstance(node, Sequence):
        reader.add(node.at, "faults must be a list", "e.g. faults: [{<fault>: {…}, on: {…}, at: 10s, for: 5s}]")
        return ()
    found: list[tuple[FaultEntry, _Words]] = []
    for index, item in enumerate(node.items):
        words = _words(item, index, shapes, reader)
        entry = _read_entry(words, index, shapes[words.kind.text], place, reader) if words is not None else None
        if words is not None and entry is not None:
            found.append((entry, words))
    for earlier, later in itertools.combinations(found, 2):
        _check_overlap(earlier[0], later[0], later[1].at("at"), reader)
        _check_presence(earlier[0], later[0], later[1].at("at"), reader)
    if place is not None:
        _check_somebody(found, place, reader)
    return tuple(entry for entry, _ in found)


def _words(node: Node, index: int, shapes: Mapping[str, FaultShape], reader: Reader) -> _Words | None:
    """Return the entry's keys when exactly one of them is a known fault."""
    if not isinstance(node, document.Mapping):
        reader.add(node.at, f"faults.{index} must be a mapping", "e.g. {<fault>: {…}, on: {…}, at: 10s, for: 5s}")
        return None
    known: list[Entry] = []
    strange = False
    for entry in node.entries:
        name = entry.key.text
        if name in shapes:
            known.append(entry)
        elif name not in WORDS:
            strange = True
            reader.add(entry.key.at, f"unknown fault {name!r}", nearest(name, (*shapes, *WORDS)))
    if len(known) > 1:
        first, second = known[0].key.text, known[1].key
        reader.add(second.at, f"one entry holds one fault, not {first} and {second.text}", "make it a second entry")
        return None
    if not known:
        _times(node, index, reader)
        if not strange:
            reader.add(node.at, f"faults.{index} names no fault", f"known: {', '.join(sorted(shapes))}")
        return None
    return _Words(known[0].key, known[0].value, node)


def _times(node: document.Mapping, index: int, reader: Reader) -> dict[str, Any]:
    """Return ``at_ns`` and ``for_ns`` of an entry, whatever its fault is."""
    kept = tuple(entry for entry in node.entries if entry.key.text in WORDS)
    return reader.fields(document.Mapping(node.at, kept), FaultWords, f"faults.{index}") or {}


def _read_entry(words: _Words, index: int, shape: FaultShape, place: Place | None, reader: Reader) -> FaultEntry | None:
    kind, path = words.kind.text, f"faults.{index}"
    lacking, hint = place.lacks(shape.needs) if place is not None else ("", "")
    if lacking:
        reader.add(words.kind.at, f"{kind}: {lacking}", hint)
    options = reader.build(words.options, shape.options, f"{path}.{kind}")
    if options is not INVALID and shape.problem is not None:
        problem = shape.problem(options)
        if problem:
            reader.add(words.options.at, f"{path}.{kind}: {problem}")
            options = INVALID
    times = _times(words.entry, index, reader)
    target, names = _read_on(words, path, shape, place, reader)
    at_ns, for_ns = times.get("at_ns", INVALID), times.get("for_ns", INVALID)
    if shape.ends_itself and words.entry.get("for") is not None:
        reader.add(words.at("for"), f"{kind} ends by itself: 'for' is not written", "leave 'for' out")
        return None
    if not shape.ends_itself and for_ns is None:
        reader.add(words.entry.at, f"{path} needs 'for': {kind} does not end by itself", "e.g. for: 5s")
        return None
    if INVALID in (options, at_ns, for_ns) or target is None or not names or place is None or lacking:
        return None
    if shape.ends_itself:
        count = 1 if target.mode in ("random", *LOOKED_UP) else len(names)
        for_ns = int(shape.span_ns(options, count)) if shape.span_ns is not None else 0
    if not _lasts(words, shape, place, (at_ns, at_ns + for_ns), reader):
        return None
    return FaultEntry(
        id=f"{kind}-{index + 1}",
        kind=kind,
        options=options,
        on=target,
        candidates=names,
        at_ns=at_ns,
        until_ns=at_ns + for_ns,
        partitions_added=0 if shape.partitions_added is None else int(shape.partitions_added(options)),
        **{field.name: getattr(shape, field.name) for field in dataclasses.fields(FaultEffects)},
    )


def _read_on(
    words: _Words, path: str, shape: FaultShape, place: Place | None, reader: Reader
) -> tuple[Target | None, tuple[str, ...]]:
    """Return the target and the names it may come down to; None or no names when there is a problem (reported)."""
    on, kind = words.entry.get("on"), words.kind.text
    if shape.acts_on == "topic":
        if on is not None:
            reader.add(words.at("on"), f"{kind} acts on the topic: 'on' is not written", "leave 'on' out")
            return None, ()
        return Target(), (TOPIC,)
    if on is None:
        reader.add(words.entry.at, f"{path} needs 'on'", "Where it acts")
        return None, ()
    target = read_target(on, shape.acts_on, kind, f"{path}.on", reader)
    if target is None or place is None:
        return target, ()
    return target, candidates(target, on, shape.acts_on, place, reader)


def _lasts(words: _Words, shape: FaultShape, place: Place, span: tuple[int, int], reader: Reader) -> bool:
    """Tell whether a fault is over before the workload is; report one that is not."""
    at_ns, until_ns = span
    if until_ns <= place.workload.duration_ns:
        return True
    where = words.kind.at if shape.ends_itself else words.at("for")
    length = exact(DURATION, place.workload.duration_ns)
    worst = " at worst" if shape.ends_itself else ""
    begins, ends = exact(DURATION, at_ns), exact(DURATION, until_ns)
    reader.add(
        where,
        f"{words.kind.text} from {begins} to {ends}{worst} outlasts the workload's {length}",
        "start it earlier or raise workload.duration",
    )
    return False


def _check_overlap(first: FaultEntry, second: FaultEntry, at: Location, reader: Reader) -> None:
    """Report two faults of one kind that are, or may be, in force on the same target at once."""
    if first.kind != second.kind or first.at_ns >= second.until_ns or second.at_ns >= first.until_ns:
        return
    shared = [name for name in first.candidates if name in second.candidates]
    if not shared:
        return
    drawn = {first.on.mode, second.on.mode} & {"random", *LOOKED_UP}
    single = {len(first.candidates), len(second.candidates)} == {1}
    start, end = max(first.at_ns, second.at_ns), min(first.until_ns, second.until_ns)
    names = ", ".join(shared[:3]) + (f" and {len(shared) - 3} more" if len(shared) > 3 else "")
    reader.add(
        at,
        f"{second.id} {'may overlap' if drawn and not single else 'overlaps'} {first.id} on {names}"
        f" from {exact(DURATION, start)} to {exact(DURATION, end)}",
        "one fault of a kind at a time on each target: move one, or merge their options",
    )


def _check_presence(first: FaultEntry, second: FaultEntry, at: Location, reader: Reader) -> None:
    """Report a fault on a worker that is, or may be, not there yet; and a worker that joins twice."""
    shared = [name for name in first.candidates if name in second.candidates]
    if not shared or not (first.joins or second.joins):
        return
    drawn = "random" in {first.on.mode, second.on.mode}
    joining, other = (first, second) if first.joins else (second, first)
    if other.joins:
        if max(first.at_ns, second.at_ns) >= min(first.until_ns, second.until_ns):  # else told as an overlap
            does = "may join" if drawn else "joins"
            reader.add(at, f"{shared[0]} {does} twice: by {first.id} and {second.id}", "a worker joins once")
    elif other.at_ns < joining.until_ns:
        does = "may act" if drawn else "acts"
        ready = exact(DURATION, joining.until_ns)
        reader.add(at, f"{other.id} {does} on {shared[0]} before {joining.id} has started it", f"not before {ready}")


def _check_somebody(found: list[tuple[FaultEntry, _Words]], place: Place, reader: Reader) -> None:
    """Report when nobody of a role would be there at first."""
    joins = [(entry, words) for entry, words in found if entry.joins]
    for group in ("consumer", "producer"):
        everybody = set(place.members(group, ""))
        late: set[str] = set()
        for entry, words in joins:
            members = [name for name in entry.candidates if name in everybody]
            late |= set(members if entry.on.mode != "random" or len(members) == 1 else ())
            if late >= everybody:
                message = f"every {group} would join later: warm-up needs one that is there from the start"
                reader.add(words.at("on"), message, "name those that join, e.g. {worker: c1}")
                break

"""The faults of a variant: each read, placed and timed, and together a possible timeline.

Owns ``id``, ``at``, ``for`` and ``on``; ``when`` is read next door (trigger). Never knows a fault by name: its shape
says what it acts on and whether it ends by itself.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Final

from harness.errors import nearest
from harness.scenario import tree
from harness.scenario.conflicts import check_together, ordered
from harness.scenario.entry import FaultEntry, Words
from harness.scenario.head import ID_PATTERN, FaultWords
from harness.scenario.model import LOOKED_UP, TOPIC, FaultEffects, Target, Trigger
from harness.scenario.nodes import value_at
from harness.scenario.plugins import FaultSpec
from harness.scenario.quantity import exact
from harness.scenario.reader import INVALID, NodeReader
from harness.scenario.target import TargetField, candidates, read_target
from harness.scenario.tree import KeyValue, Node, Scalar, Sequence
from harness.scenario.trigger import read_trigger
from harness.units import DURATION

FAULTS_MAX: Final = 500

WORDS = ("on", "id", "at", "when", "for")


def read_faults(
    node: Node | None, specs: Mapping[str, FaultSpec], place: TargetField | None, reader: NodeReader
) -> tuple[FaultEntry, ...]:
    """Return the faults in file order; those with problems are reported and left out.

    Args:
        node: The list under ``faults``; None when there is none.
        specs: Registered faults.
        place: What targets may name; None when the cluster or workload could not be read.
        reader: Collects the problems.
    """
    if node is None:
        return ()
    if not isinstance(node, Sequence):
        reader.add(node.at, "faults must be a list", "e.g. faults: [{<fault>: {…}, on: {…}, at: 10s, for: 5s}]")
        return ()
    if len(node.items) > FAULTS_MAX:
        reader.add(node.items[FAULTS_MAX].at, f"faults has {len(node.items)} entries, more than {FAULTS_MAX}")
        return ()
    read = [_words(item, index, specs, reader) for index, item in enumerate(node.items)]
    _check_ids([words for words in read if words is not None], reader)
    found: list[tuple[FaultEntry, Words]] = []
    for index, words in enumerate(read):
        entry = _read_entry(words, index, specs[words.kind.text], place, reader) if words is not None else None
        if words is not None and entry is not None:
            found.append((entry, words))
    found = ordered(found, [words.id for words in read if words is not None], reader)
    check_together(found, place, reader)
    return tuple(entry for entry, _ in found)


def _words(node: Node, index: int, specs: Mapping[str, FaultSpec], reader: NodeReader) -> Words | None:
    """Return the entry's keys when exactly one of them is a known fault."""
    if not isinstance(node, tree.Mapping):
        reader.add(node.at, f"faults.{index} must be a mapping", "e.g. {<fault>: {…}, on: {…}, at: 10s, for: 5s}")
        return None
    known: list[KeyValue] = []
    strange = False
    for entry in node.entries:
        name = entry.key.text
        if name in specs:
            known.append(entry)
        elif name not in WORDS:
            strange = True
            reader.add(entry.key.at, f"unknown fault {name!r}", nearest(name, (*specs, *WORDS)))
    if len(known) > 1:
        first, second = known[0].key.text, known[1].key
        reader.add(second.at, f"one entry holds one fault, not {first} and {second.text}", "make it a second entry")
        return None
    if not known:
        _times(node, index, reader)
        if not strange:
            reader.add(node.at, f"faults.{index} names no fault", f"known: {', '.join(sorted(specs))}")
        return None
    written = node.get("id")
    name = written.text if isinstance(written, Scalar) and written.kind == "str" else ""
    return Words(name or f"{known[0].key.text}-{index + 1}", known[0].key, known[0].value, node)


def _check_ids(read: list[Words], reader: NodeReader) -> None:
    """Report ids that are no words, and ids that two faults have."""
    seen: dict[str, Words] = {}
    for words in read:
        if not re.fullmatch(ID_PATTERN, words.id):
            reader.add(words.at("id"), f"id {words.id!r} must be a word of a-z, 0-9, '-' and '_'")
        elif words.id in seen:
            written = words if words.entry.get("id") is not None else seen[words.id]
            reader.add(written.at("id"), f"two faults have the id {words.id!r}", "take another word")
        seen.setdefault(words.id, words)


def _times(node: tree.Mapping, index: int, reader: NodeReader) -> dict[str, Any]:
    """Return ``at_ns`` and ``for_ns`` of an entry, whatever its fault is."""
    kept = tuple(entry for entry in node.entries if entry.key.text in WORDS)
    return reader.fields(tree.Mapping(node.at, kept), FaultWords, f"faults.{index}") or {}


def _read_entry(
    words: Words, index: int, spec: FaultSpec, place: TargetField | None, reader: NodeReader
) -> FaultEntry | None:
    kind, path = words.kind.text, f"faults.{index}"
    lacking = place.lacks(*spec.needs) if place is not None else None
    if lacking is not None:
        reader.add(words.kind.at, f"{kind}: {lacking.message}", lacking.hint)
    options = reader.build(words.options, spec.options, f"{path}.{kind}")
    if options is not INVALID and lacking is None and not _fits(words, path, spec, options, place, reader):
        options = INVALID
    times = _times(words.entry, index, reader)
    target, names = _read_on(words, path, spec, place, reader)
    at_ns, when = _read_start(words, path, times, place, reader)
    for_ns = times.get("for_ns", INVALID)
    if spec.ends_itself and words.entry.get("for") is not None:
        reader.add(words.at("for"), f"{kind} ends by itself: 'for' is not written", "leave 'for' out")
        return None
    if not spec.ends_itself and for_ns is None:
        reader.add(words.entry.at, f"{path} needs 'for': {kind} does not end by itself", "e.g. for: 5s")
        return None
    if INVALID in (options, at_ns, for_ns) or target is None or not names or place is None or lacking is not None:
        return None
    if spec.ends_itself:
        count = 1 if target.mode in ("random", *LOOKED_UP) else len(names)
        for_ns = int(spec.span_ns(options, count)) if spec.span_ns is not None else 0
    if not _provable(words, spec, options, for_ns, reader):
        return None
    if not _lasts(words, spec, place, (at_ns, at_ns + for_ns), reader):
        return None
    return FaultEntry(
        id=words.id,
        kind=kind,
        options=options,
        on=target,
        candidates=names,
        at_ns=at_ns,
        until_ns=at_ns + for_ns,
        cuts_links=spec.cuts_links,
        partitions_added=0 if spec.partitions_added is None else int(spec.partitions_added(options)),
        when=when,
        unreplayable="" if spec.unreplayable is None else str(spec.unreplayable(options)),
        earliest_ns=at_ns if when is None else when.delay_ns,
        least_ns=0 if spec.ends_itself else for_ns,
        **{field.name: getattr(spec, field.name) for field in dataclasses.fields(FaultEffects)},
    )


def _fits(
    words: Words, path: str, spec: FaultSpec, options: Any, place: TargetField | None, reader: NodeReader
) -> bool:
    """Return whether options fit together and a fault with them can act in this cluster; report when not."""
    refusals = () if spec.validate is None else tuple(spec.validate(options, place))
    for refusal in refusals:
        at = value_at(words.options, refusal.key)
        reader.add(at, f"{path}.{words.kind.text}: {refusal.message}", refusal.hint)
    return not refusals


def _read_start(
    words: Words, path: str, times: Mapping[str, Any], place: TargetField | None, reader: NodeReader
) -> tuple[Any, Trigger | None]:
    """Return when the fault is applied at the latest (INVALID when there is a problem, reported), and what it waits
    for.
    """
    at_ns, node = times.get("at_ns", INVALID), words.entry.get("when")
    if node is None or (isinstance(node, Scalar) and node.kind == "null"):
        if at_ns is None:
            reader.add(words.entry.at, f"{path} needs 'at'", "e.g. at: 5s; or when: {…}, a state in place of a time")
            return INVALID, None
        return at_ns, None
    if words.entry.get("at") is not None:
        reader.add(
            words.at("when"), f"{path} has both 'at' and 'when'", "give a time or a state, and leave the other out"
        )
        return INVALID, None
    when = read_trigger(node, f"{path}.when", place, reader)
    return (INVALID, None) if when is None else (when.within_ns + when.delay_ns, when)


def _read_on(
    words: Words, path: str, spec: FaultSpec, place: TargetField | None, reader: NodeReader
) -> tuple[Target | None, tuple[str, ...]]:
    """Return the target and the names it may come down to; None or no names when there is a problem (reported)."""
    on, kind = words.entry.get("on"), words.kind.text
    if spec.acts_on == "topic":
        if on is not None:
            reader.add(words.at("on"), f"{kind} acts on the topic: 'on' is not written", "leave 'on' out")
            return None, ()
        return Target(), (TOPIC,)
    if on is None:
        reader.add(words.entry.at, f"{path} needs 'on'", "Where it acts")
        return None, ()
    target = read_target(on, spec.acts_on, kind, f"{path}.on", reader)
    if target is None or place is None:
        return target, ()
    names = candidates(target, on, spec.acts_on, place, reader)
    if spec.needs_on_peers and not set(names).isdisjoint(place.members("broker-broker", "")):
        lacking = place.lacks(*spec.needs_on_peers)
        if lacking is not None:
            reader.add(words.at("on"), f"{kind}: {lacking.message}", lacking.hint)
            return target, ()
    return target, names


def _provable(words: Words, spec: FaultSpec, options: Any, for_ns: int, reader: NodeReader) -> bool:
    """Return whether a fault lasts long enough for probes to see that it acted; report one that does not."""
    least_ns = 0 if spec.ends_itself or spec.proof_ns is None else int(spec.proof_ns(options))
    if for_ns >= least_ns:
        return True
    least, length = exact(DURATION, least_ns), exact(DURATION, for_ns)
    message = f"{words.kind.text} for {length} is too short to be proven: probes need {least} to see that it acted"
    reader.add(words.at("for"), message, f"for: {least} or longer")
    return False


def _lasts(words: Words, spec: FaultSpec, place: TargetField, span: tuple[int, int], reader: NodeReader) -> bool:
    """Return whether a fault is over before the workload is; report one that is not."""
    at_ns, until_ns = span
    if until_ns <= place.workload.duration_ns:
        return True
    where = words.kind.at if spec.ends_itself else words.at("for")
    length = exact(DURATION, place.workload.duration_ns)
    worst = " at worst" if spec.ends_itself or words.entry.get("at") is None else ""
    begins, ends = exact(DURATION, at_ns), exact(DURATION, until_ns)
    reader.add(
        where,
        f"{words.kind.text} from {begins} to {ends}{worst} outlasts the workload's {length}",
        "start it earlier or raise workload.duration",
    )
    return False

"""What faults cannot be together: at once on one target, before what they wait for, on workers that are not there.

Judges by the earliest and the latest that each may act. Never knows a fault by name.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

from harness.errors import Location
from harness.scenario.entry import FaultEntry, Words
from harness.scenario.model import LOOKED_UP
from harness.scenario.quantity import exact
from harness.scenario.reader import NodeReader
from harness.scenario.target import TargetField
from harness.scenario.trigger import after_at, check_after
from harness.units import DURATION

Found = list[tuple[FaultEntry, Words]]
"""Every fault that could be read, in file order."""


def check_together(found: Found, place: TargetField | None, reader: NodeReader) -> None:
    """Report what cannot be in one timeline."""
    for earlier, later in _meeting(found):
        _check_overlap(earlier[0], later[0], later[1].start, reader)
    if any(entry.joins for entry, _ in found):
        for earlier, later in itertools.combinations(found, 2):
            _check_presence(earlier[0], later[0], later[1].start, reader)
    if place is not None:
        _check_somebody(found, place, reader)


def ordered(found: Found, ids: list[str], reader: NodeReader) -> Found:
    """Return the faults with their earliest times, now that those that they wait for are known; report
    what cannot be.
    """
    by_id = {entry.id: entry for entry, _ in found}
    after = {entry.id: entry.when.after for entry, _ in found if entry.when is not None and entry.when.after}
    sound: dict[str, bool] = {}
    for entry, words in found:
        at = after_at(words.entry.get("when"))
        if entry.id in after and at is not None:
            sound[entry.id] = check_after(at, entry.id, after, ids, reader)
    result = []
    for entry, words in found:
        earliest, follows, last = entry.earliest_ns, [], entry
        while sound.get(last.id) and after[last.id] in by_id:
            last = by_id[after[last.id]]
            follows.append(last.id)
            earliest += last.earliest_ns + last.least_ns
        first = by_id.get(after.get(entry.id, "")) if sound.get(entry.id) else None
        if first is not None and entry.when is not None and entry.when.within_ns < first.until_ns:
            latest = exact(DURATION, first.until_ns)
            message = f"{first.id} may last until {latest}, past the {exact(DURATION, entry.when.within_ns)} allowed"
            reader.add(words.start, message, f"within: {latest} or more, because this waits for the end of healing")
        result.append((dataclasses.replace(entry, earliest_ns=earliest, follows=frozenset(follows)), words))
    return result


def _meeting(found: Found) -> Iterator[tuple[tuple[FaultEntry, Words], tuple[FaultEntry, Words]]]:
    """Yield each two faults of one kind with a target in common that begin before the other is over, in file order.

    All pairs of a long timeline take minutes; those in force at once are few, or reported until there are too many.
    """
    by_target: dict[tuple[str, str], list[int]] = {}
    for index, (entry, _) in enumerate(found):
        for name in entry.candidates:
            by_target.setdefault((entry.kind, name), []).append(index)
    told: set[tuple[int, int]] = set()
    for same in by_target.values():
        same.sort(key=lambda index: found[index][0].earliest_ns)
        for position, index in enumerate(same):
            for later in itertools.islice(same, position + 1, None):
                if found[later][0].earliest_ns >= found[index][0].until_ns:
                    break
                pair = (min(index, later), max(index, later))
                if pair not in told:
                    told.add(pair)
                    yield found[pair[0]], found[pair[1]]


def _check_overlap(first: FaultEntry, second: FaultEntry, at: Location, reader: NodeReader) -> None:
    """Report two faults of one kind that are, or may be, in force on the same target at once."""
    if first.kind != second.kind or first.never_overlaps(second):
        return
    shared = [name for name in first.candidates if name in second.candidates]
    if not shared:
        return
    modes: set[str] = {first.on.mode, second.on.mode}
    drawn = modes & {"random", *LOOKED_UP}
    drawn |= {"when"} if first.when is not None or second.when is not None else set()
    single = {len(first.candidates), len(second.candidates)} == {1} and "when" not in drawn
    start, end = max(first.earliest_ns, second.earliest_ns), min(first.until_ns, second.until_ns)
    names = ", ".join(shared[:3]) + (f" and {len(shared) - 3} more" if len(shared) > 3 else "")
    reader.add(
        at,
        f"{second.id} {'may overlap' if drawn and not single else 'overlaps'} {first.id} on {names}"
        f" from {exact(DURATION, start)} to {exact(DURATION, end)}",
        "move one, or merge their options: a target has one fault of a kind at a time",
    )


def _check_presence(first: FaultEntry, second: FaultEntry, at: Location, reader: NodeReader) -> None:
    """Report a fault on a worker that is, or may be, not there yet; and a worker that joins twice."""
    shared = [name for name in first.candidates if name in second.candidates]
    if not shared or not (first.joins or second.joins):
        return
    drawn = "random" in {first.on.mode, second.on.mode}
    joining, other = (first, second) if first.joins else (second, first)
    drawn = drawn or first.when is not None or second.when is not None
    if other.joins:
        if first.never_overlaps(second):  # else told as an overlap
            does = "may join" if drawn else "joins"
            reader.add(at, f"{shared[0]} {does} twice: by {first.id} and {second.id}", "a worker joins once")
    elif joining.id not in other.follows and other.earliest_ns < joining.until_ns:
        does = "may act" if drawn else "acts"
        ready = exact(DURATION, joining.until_ns)
        reader.add(at, f"{other.id} {does} on {shared[0]} before {joining.id} has started it", f"not before {ready}")


def _check_somebody(found: Found, place: TargetField, reader: NodeReader) -> None:
    """Report when no worker of a role would run at first."""
    joins = [(entry, words) for entry, words in found if entry.joins]
    for group in ("consumer", "producer"):
        everybody = set(place.members(group, ""))
        late: set[str] = set()
        for entry, words in joins:
            members = [name for name in entry.candidates if name in everybody]
            late |= set(members if entry.on.mode != "random" or len(members) == 1 else ())
            if late >= everybody:
                message = f"every {group} would join later, but warm-up needs one that runs from the start"
                reader.add(words.at("on"), message, "name those that join, e.g. {worker: c1}")
                break

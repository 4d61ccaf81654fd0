"""All entries of a suite while it goes on: which may begin, which races are decided, what is left out when it ends.

Knows no process, no clock and no schedule.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from harness.errors import ExitCode
from harness.report.twins import is_twin
from harness.suite_result import SuiteEntry, race_decided, race_of
from harness.suites.place import Place


class Places:
    """The entries of a suite, in order.

    Args:
        places: At least one.
        rounds: How often all of them may be made, see ``Rules``.
        repeat: How many executions of a race are made even when it is decided.
    """

    def __init__(self, places: Sequence[Place], rounds: int = 1, repeat: int = 1) -> None:
        self._repeat = repeat
        self._all = list(places)
        self._first = tuple(places)
        self._rounds_left = rounds - 1
        self._round = 1
        self._races: dict[str, list[Place]] = {}
        for place in places:
            self._note_race(place)
        canaries = {place.entry.scenario for place in places if place.entry.must_fail}
        families = {canary: [place for place in places if _belongs(place, canary)] for canary in sorted(canaries)}
        self._families = {
            canary: members for canary, members in families.items() if any(place.state != "done" for place in members)
        }

    def entries(self) -> tuple[SuiteEntry, ...]:
        """Return every entry as it stands."""
        return tuple(place.entry for place in self._all)

    def number(self, place: Place) -> int:
        """Return the position of a place, from 1."""
        return self._all.index(place) + 1

    def waiting(self) -> list[Place]:
        """Return what waits for its first execution."""
        return [place for place in self._all if place.state == "waits"]

    def to_make_again(self) -> list[Place]:
        """Return what waits to be made again."""
        return [place for place in self._all if place.state == "again"]

    def startable(self) -> list[Place]:
        """Return what may begin now: of a race, no more than must still show what is expected."""
        found = []
        begun: dict[str, int] = {}
        for place in self.waiting():
            race = race_of(place.entry.key)
            if race in self._races:
                members = self._races[race]
                if race not in begun:
                    begun[race] = sum(member.state == "runs" for member in members)
                if begun[race] >= _still_needed(members) and place.entry.repetition > self._repeat:
                    continue
                begun[race] += 1
            found.append(place)
        return found

    def decide_races(self) -> None:
        """Take that what waits of a decided race is not needed."""
        for members in self._races.values():
            if all(member.state != "waits" for member in members):
                continue
            code = race_decided([member.entry for member in members])
            if code is None:
                continue
            shown = sum(member.entry.exit_code == ExitCode.PASS for member in members)
            ended = sum(member.entry.state == "ended" for member in members)
            reason = f"its race was decided before: {shown} of {ended} attempts showed what is expected"
            for member in members:
                if member.state == "waits" and member.entry.repetition > self._repeat:
                    member.not_needed(reason)

    def next_round(self) -> None:
        """Add the next round once nothing of the last one waits, where there is one.

        A race has none: its executions count together, so that the first round would hide what a later one shows.
        """
        if self._rounds_left < 1 or any(place.state in {"waits", "again"} for place in self._all):
            return
        self._rounds_left -= 1
        self._round += 1
        most: dict[str, int] = {}
        promised = [place for place in self._first if place.entry.attempts is None]
        for place in promised:
            race = race_of(place.entry.key)
            most[race] = max(most.get(race, 0), place.entry.repetition)
        for place in promised:
            item = place.needed_item
            ahead = (self._round - 1) * most[race_of(place.entry.key)]
            more = dataclasses.replace(item, repetition=item.repetition + ahead)
            self._all.append(Place.new(more, place.runtime, place.cost))

    def give_up_longer_than(self, left_ns: int) -> None:
        """Give up what is expected to take longer than this."""
        late = [place for place in self._all if place.state in {"waits", "again"} and place.cost.wall_ns > left_ns]
        self._give_up(late, "the deadline came first", ExitCode.INCONCLUSIVE)

    def close(self, reason: str, code: ExitCode) -> None:
        """Give up everything that has not begun."""
        self._give_up([place for place in self._all if place.state in {"waits", "again"}], reason, code)

    def _give_up(self, given_up: Sequence[Place], reason: str, code: ExitCode) -> None:
        """Give places up; what has not begun of a further round was never promised, and is left out."""
        promised = {id(place) for place in self._all[: len(self._first)]}
        dropped = {id(place) for place in given_up if place.state == "waits"} - promised
        if dropped:
            self._rounds_left = 0
            self._all = [place for place in self._all if id(place) not in dropped]
        for place in given_up:
            if id(place) not in dropped:
                place.give_up(reason, code)

    def settled_code(self, place: Place) -> int | None:
        """Return the exit code of a run that has ended, or of its race when that is decided; None before."""
        members = self._races.get(race_of(place.entry.key))
        if members is None or place.entry.exit_code not in {ExitCode.PASS, ExitCode.VIOLATED}:
            return None if place.state == "again" else place.entry.exit_code
        return race_decided([member.entry for member in members])

    def families_done(self) -> list[list[SuiteEntry]]:
        """Return the families of canaries of which nothing runs or waits any more; each once."""
        ready = [name for name, members in self._families.items() if all(place.state == "done" for place in members)]
        return [[place.entry for place in self._families.pop(name)] for name in ready]

    def _note_race(self, place: Place) -> None:
        if place.entry.attempts is not None:
            self._races.setdefault(race_of(place.entry.key), []).append(place)


def _belongs(place: Place, canary: str) -> bool:
    name = place.entry.scenario
    return name == canary or is_twin(name, canary)


def _still_needed(members: Iterable[Place]) -> int:
    """Return how many further attempts must show what is expected before a race passes."""
    entries = [member.entry for member in members]
    assert entries[0].attempts is not None
    shown = sum(entry.state == "ended" and entry.exit_code == ExitCode.PASS for entry in entries)
    return max(1, entries[0].attempts[1] - shown)

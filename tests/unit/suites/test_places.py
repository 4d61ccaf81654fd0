"""What becomes of an entry, of a race and of further rounds, without any process."""

from __future__ import annotations

import dataclasses

from support.memory_suite import cost, selected

from harness.clock import NS_PER_S
from harness.errors import ExitCode
from harness.suites.item import items_of
from harness.suites.messages import Ended
from harness.suites.place import Place
from harness.suites.places import Places
from harness.verdict import Verdict

PASSED = Ended(
    run_id="20260101-000000-aaaaaa",
    run_dir="20260101-000000-aaaaaa-one",
    verdict=Verdict.PASS,
    outcome=Verdict.PASS,
    exit_code=ExitCode.PASS,
    headline="pass",
    wall_ns=NS_PER_S,
)
LATE = dataclasses.replace(
    PASSED,
    verdict=Verdict.INCONCLUSIVE,
    outcome=Verdict.INCONCLUSIVE,
    exit_code=ExitCode.INCONCLUSIVE,
    again="late ticks",
    detail="the monitor ticked late",
)
FAILED = dataclasses.replace(
    PASSED, verdict=Verdict.FAIL, outcome=Verdict.FAIL, exit_code=ExitCode.VIOLATED, failed=("loss",)
)


def _places(more: str = "", repeat: int = 1, rounds: int = 1) -> tuple[list[Place], Places]:
    places = [Place.new(item, "process", cost()) for item in items_of([selected("one", more=more)], ["auto"], repeat)]
    return places, Places(places, rounds, repeat)


def _end(place: Place, ended: Ended) -> None:
    place.begin(0)
    place.end(ended, began_ns=0)


def test_a_run_is_made_again_once_and_never_after_a_fail() -> None:
    (place,), places = _places()
    _end(place, LATE)
    assert (place.state, place.entry.state) == ("again", "missing")
    assert places.to_make_again() == [place]
    _end(place, LATE)
    assert (place.state, place.entry.exit_code) == ("done", ExitCode.INCONCLUSIVE)
    assert place.entry.made_again is not None
    (failed,), _ = _places()
    _end(failed, FAILED)
    assert (failed.state, failed.entry.made_again) == ("done", None)


def test_what_cannot_be_made_again_before_the_deadline_counts_as_it_was() -> None:
    (place,), places = _places()
    _end(place, LATE)
    places.give_up_longer_than(NS_PER_S // 2)
    assert (place.entry.state, place.entry.exit_code) == ("ended", ExitCode.INCONCLUSIVE)
    assert place.entry.made_again is None


def test_what_was_to_be_made_again_when_the_suite_was_interrupted_is_missing() -> None:
    (place,), places = _places()
    _end(place, LATE)
    places.close("the suite was interrupted", ExitCode.INTERRUPTED)
    assert (place.entry.state, place.entry.exit_code) == ("missing", ExitCode.INTERRUPTED)
    assert place.entry.made_again is not None
    again = Place.new(place.needed_item, "process", cost())
    again.to_be_made_again(place.entry.made_again)
    _end(again, PASSED)
    assert (again.entry.state, again.entry.made_again) == ("ended", place.entry.made_again)


def test_a_violation_that_was_proven_before_the_interruption_stands() -> None:
    (place,), _ = _places()
    _end(place, dataclasses.replace(FAILED, error="interrupted"))
    assert (place.entry.state, place.entry.exit_code) == ("ended", ExitCode.VIOLATED)
    (other,), _ = _places()
    _end(other, dataclasses.replace(LATE, again=None, error="interrupted", exit_code=ExitCode.INTERRUPTED))
    assert (other.entry.state, other.entry.reason) == ("missing", "it was interrupted")


def test_of_a_race_no_more_go_on_than_must_still_show_what_is_expected() -> None:
    members, places = _places("attempts: {runs: 4, at_least: 2}")
    assert places.startable() == members[:2]
    members[0].begin(0)
    assert places.startable() == members[1:2]
    _end(members[0], PASSED)
    assert places.startable() == members[1:2]
    _end(members[1], PASSED)
    places.decide_races()
    assert [place.entry.state for place in members] == ["ended", "ended", "not needed", "not needed"]
    assert all(place.entry.reason for place in members[2:])


def test_a_race_that_is_repeated_makes_at_least_as_many() -> None:
    members, places = _places("attempts: {runs: 2, at_least: 1}", repeat=3)
    _end(members[0], PASSED)
    places.decide_races()
    assert places.startable() == members[1:]


def test_of_further_rounds_only_what_has_begun_belongs_to_the_suite() -> None:
    (first,), places = _places(rounds=3)
    _end(first, PASSED)
    places.next_round()
    (second,) = places.startable()
    assert second.entry.key == first.entry.key.replace("#1", "#2")
    places.close("the suite ended", ExitCode.INCONCLUSIVE)
    assert [entry.state for entry in places.entries()] == ["ended"]
    places.next_round()
    assert len(places.entries()) == 1


def test_a_race_has_no_further_round_that_its_first_one_would_hide() -> None:
    (first, second), places = _places("attempts: {runs: 2, at_least: 1}", rounds=3)
    _end(first, PASSED)
    places.decide_races()
    assert second.entry.state == "not needed"
    places.next_round()
    assert places.startable() == []
    assert len(places.entries()) == 2


def test_a_process_that_was_lost_leaves_its_run_missing() -> None:
    (place,), places = _places()
    lost = dataclasses.replace(LATE, again=None, lost=True, error="it died", exit_code=ExitCode.INTERNAL, run_id="")
    _end(place, lost)
    (entry,) = places.entries()
    assert (entry.state, entry.reason, entry.exit_code) == ("missing", "it died", ExitCode.INTERNAL)
    assert entry.run_dir == "runs/20260101-000000-aaaaaa-one"

"""Tiers and rotation: what a run of the tests leaves out is chosen, named, and comes in another run."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rotation import RotationError, due, rotation_key
from support.tiers import TIERS, chosen, lines, tier_of

TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Case:
    tier: str
    test: str
    parts: int = 0


@given(st.lists(st.integers(), max_size=40), st.integers(1, 12), st.integers(0, 10_000))
def test_consecutive_keys_cover_everything_exactly_once(items: list[int], of: int, first: int) -> None:
    numbered = list(enumerate(items))
    shown = [item for key in range(first, first + of) for item in due(numbered, of, key)]
    assert sorted(shown) == numbered


@given(st.lists(st.sampled_from(["a", "b"]), max_size=30), st.integers(1, 6), st.integers(0, 999))
def test_every_rotating_case_has_its_turn_and_no_other_case_is_left_out(tests: list[str], of: int, first: int) -> None:
    cases = [Case("ci", test, of if test == "a" else 0) for test in tests]
    seen: list[int] = []
    for key in range(first, first + of):
        kept, turns = chosen(cases, "ci", key)
        assert {index for index, test in enumerate(tests) if test == "b"} <= kept
        assert all(turn.kept <= turn.all for turn in turns)
        seen += [index for index in kept if tests[index] == "a"]
    assert sorted(seen) == [index for index, test in enumerate(tests) if test == "a"]


def test_the_tiers_together_leave_nothing_out() -> None:
    cases = [Case(tier, tier) for tier in TIERS] + [Case("ci", "rotating", 2)] * 2
    runs = [chosen(cases, tier, 7)[0] for tier in TIERS]
    assert set().union(*runs) == set(range(len(cases)))
    assert chosen(cases, "prove", 7)[0] == {2, 3, 4}, "the long proofs and every part of what rotates"
    assert chosen(cases, "", 7)[0] == {0, 1, 3, 4}, "named by hand: all but the long proofs"


def test_what_a_rotation_left_in_is_printed() -> None:
    cases = [Case("ci", "f.py::test_it", 3)] * 7
    _, turns = chosen(cases, "ci", 4)
    assert lines(turns, 4) == ["f.py::test_it: 2 of 7 cases, part 2 of 3"]


def test_a_test_is_of_the_tier_that_it_names_else_of_its_folder() -> None:
    assert tier_of(TESTS / "unit" / "x.py", TESTS, "") == "fast"
    assert tier_of(TESTS / "property" / "x.py", TESTS, "prove") == "prove"
    assert tier_of(TESTS / "e2e" / "x.py", TESTS, "") == "ci"
    with pytest.raises(ValueError, match="no tier is named 'quick'; known: fast, ci, prove"):
        tier_of(TESTS / "e2e" / "x.py", TESTS, "quick")


def _git(folder: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=folder, check=True, capture_output=True
    )


def test_the_key_is_the_number_of_commits_and_a_shallow_clone_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HARNESS_ROTATION", raising=False)
    whole, shallow = tmp_path / "whole", tmp_path / "shallow"
    whole.mkdir()
    today = int(time.time()) // 86_400
    assert rotation_key(whole) - today in {0, 1}, "without a repository each day has a key of its own"
    (whole / ".git").mkdir()
    with pytest.raises(RotationError, match="git rev-parse"):
        rotation_key(whole)
    _git(whole, "init", "-q")
    for number in range(3):
        _git(whole, "commit", "-q", "--allow-empty", "-m", str(number))
    assert rotation_key(whole) == 3
    _git(tmp_path, "clone", "-q", "--depth", "1", whole.as_uri(), str(shallow))
    with pytest.raises(RotationError, match="shallow"):
        rotation_key(shallow)


def test_a_key_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_ROTATION", "41")
    assert rotation_key(tmp_path) == 41
    monkeypatch.setenv("HARNESS_ROTATION", "-1")
    with pytest.raises(RotationError, match="whole number, not '-1'"):
        rotation_key(tmp_path)


def test_the_tiers_of_real_tests_have_nothing_in_common_but_what_rotates() -> None:
    """Collected as the tiers' runs collect."""
    collected = {tier: _collected(tier) for tier in ("", *TIERS)}
    assert collected[""] <= collected["fast"] | collected["ci"] | collected["prove"]
    assert not collected["fast"] & collected["ci"]
    assert all(collected.values())


def _collected(tier: str) -> set[str]:
    words = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "-n", "0"]
    done = subprocess.run(
        [*words, *(["--tier", tier] if tier else []), "tests/e2e/test_scenarios.py"],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {line for line in done.stdout.splitlines() if "::" in line and not line.startswith("rotation")}

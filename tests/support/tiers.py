"""Which tests a tier runs: ``fast`` (``make test``), ``ci`` (``.ci/run``, after ``fast``), ``prove`` (``make prove``).

A test is of the tier that its mark ``tier`` names, else ``fast`` below tests/unit and tests/property and ``ci``
anywhere else. The mark ``rotates(k)`` splits the cases of one test into k parts: one CI run has one part, ``prove`` has
all of them. docs/testing.md says what is proven where.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from support.rotation import due

TIERS = ("fast", "ci", "prove")
FAST_FOLDERS = ("unit", "property")


class Case(Protocol):
    """One test with its parameters, as far as tiers ask: so that a test can hand in its own."""

    @property
    def tier(self) -> str: ...
    @property
    def test(self) -> str: ...
    @property
    def parts(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """What a rotation has left in: of one test, how many cases of how many."""

    test: str
    of: int
    kept: int
    all: int

    def __str__(self) -> str:
        return f"{self.test}: {self.kept} of {self.all} cases, part {{part}} of {self.of}"


def tier_of(path: Path, tests: Path, marked: str) -> str:
    """Return the tier of a test in ``path``: what its mark says, else by its folder below ``tests``.

    Raises:
        ValueError: The mark names no tier.
    """
    if marked:
        if marked not in TIERS:
            raise ValueError(f"{path.name}: no tier is named {marked!r}; known: {', '.join(TIERS)}")
        return marked
    folder = path.relative_to(tests).parts[0] if path.is_relative_to(tests) else ""
    return "fast" if folder in FAST_FOLDERS else "ci"


def chosen(cases: Sequence[Case], tier: str, key: int) -> tuple[set[int], list[Turn]]:
    """Return the indices of the cases that run, and what the rotation did.

    Args:
        cases: In the order of collection.
        tier: One of ``TIERS``; empty = whatever is not of ``prove``, all parts of it.
        key: Of the rotation; used by ``ci`` alone.
    """
    if not tier:
        return {index for index, case in enumerate(cases) if case.tier != "prove"}, []
    kept = {index for index, case in enumerate(cases) if case.tier == tier}
    rotating: dict[str, list[int]] = {}
    for index, case in enumerate(cases):
        if case.parts:
            rotating.setdefault(case.test, []).append(index)
    turns = []
    for test, indices in rotating.items():
        if tier == "prove":
            kept |= set(indices)
        elif tier == "ci":
            mine = [index for index in indices if index in kept]
            staying = due(mine, cases[indices[0]].parts, key)
            kept -= set(mine) - set(staying)
            turns.append(Turn(test, cases[indices[0]].parts, len(staying), len(mine)))
    return kept, turns


def lines(turns: Iterable[Turn], key: int) -> list[str]:
    """Return what is printed of a rotation, one line per test."""
    return [str(turn).format(part=key % turn.of + 1) for turn in turns]

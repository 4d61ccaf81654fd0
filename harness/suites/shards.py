"""A part of a suite for each of several machines: which runs are whose, and which part this machine is to take.

Owns the drawing of shards, which is a function of keys, costs and numbers alone, so that every machine draws the same,
and what the variables of CI systems mean. Must never know what this machine has recorded of earlier runs.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from harness.errors import UsageError
from harness.report.twins import is_twin
from harness.suite_result import Cost

SHARDS_MAX: Final = 10_000
"""The most shards that a suite is split into."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One part of a suite.

    Attributes:
        index: From 1.
        total: Of how many.
    """

    index: int
    total: int

    def __str__(self) -> str:
        return f"{self.index}/{self.total}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What drawing needs to know of one run.

    Attributes:
        key: Unique in the suite and the same on every machine.
        digest, scenario, must_fail, attempts: Of its plan; ``attempts`` is None when the plan is no race.
        repetition: From 1.
        weight: What it takes of a machine (``weight_of``).
    """

    key: str
    digest: str
    scenario: str
    must_fail: tuple[str, ...] = ()
    attempts: tuple[int, int] | None = None
    repetition: int = 1
    weight: int


def weight_of(cost: Cost) -> int:
    """Return what a run takes of a machine, as the area that a schedule packs: thousandths of a core × nanoseconds."""
    return round(cost.cores * 1000) * cost.wall_ns


def shard_of(shares: Iterable[Share], index: int, total: int) -> tuple[str, ...]:
    """Return the keys of one shard, sorted; see ``shards_of``. Raises UsageError when there is no such shard."""
    shard = _shard(index, total, f"shard {index}/{total}", first=1)
    return tuple(sorted(key for key, number in shards_of(shares, shard.total).items() if number == shard.index))


def shards_of(shares: Iterable[Share], total: int) -> dict[str, int]:
    """Return the shard of each key, from 1; the same on every machine, whatever the order of ``shares``.

    The heaviest group of runs that belong together is placed first, always on the shard that has the least so far. No
    two shards then differ by more than the heaviest group. Of equal groups the first by name goes first; of equal
    shards the one with fewer runs, then the one with the lower number.

    Args:
        shares: Of the whole suite; keys are unique.
        total: How many shards there are, 1 to ``SHARDS_MAX``.
    """
    groups = together(shares)
    weights = {name: sum(share.weight for share in group) for name, group in groups.items()}
    loads = [(0, 0, number) for number in range(1, total + 1)]
    drawn: dict[str, int] = {}
    for name in sorted(groups, key=lambda name: (-weights[name], name)):
        weight, runs, number = heapq.heappop(loads)
        drawn |= {share.key: number for share in groups[name]}
        heapq.heappush(loads, (weight + weights[name], runs + len(groups[name]), number))
    return drawn


def together(shares: Iterable[Share]) -> dict[str, list[Share]]:
    """Return the runs that must share a machine, by the name of their group.

    A canary and its twins are one group, so that one page can show them, and each repetition of them is a group of its
    own. All runs of a race are one group, because it ends once it is decided. Every other run is alone.
    """
    every = list(shares)
    canaries = sorted({share.scenario for share in every if share.must_fail}, key=lambda name: (len(name), name))
    family = {
        share.scenario: next((name for name in canaries if is_twin(share.scenario, name)), share.scenario)
        for share in every
    }
    with_twins = {of for name, of in family.items() if name != of}
    races = {family[share.scenario] for share in every if share.attempts is not None}
    groups: dict[str, list[Share]] = {}
    for share in every:
        of = family[share.scenario]
        if of in with_twins:
            name = f"twins {of}" if of in races else f"twins {of}#{share.repetition}"
        else:
            name = f"run {share.key}" if share.attempts is None else f"race {share.digest}"
        groups.setdefault(name, []).append(share)
    return groups


def parse_shard(text: str, environment: Mapping[str, str]) -> Shard:
    """Return the shard that ``--shard`` asks for: ``i/n``, counted from 1, or ``auto``.

    Raises:
        UsageError: It is neither, or ``auto`` finds nothing, or variables that do not fit together.
    """
    if text == "auto":
        return shard_of_environment(environment)
    index, slash, total = text.partition("/")
    if not slash or not _is_number(index) or not _is_number(total):
        raise UsageError(f"--shard takes I/N or auto, not {text!r}", hint="the second of four shards is 2/4")
    return _shard(int(index), int(total), f"--shard {text}", first=1)


@dataclass(frozen=True, slots=True)
class _Numbering:
    """Two variables that say which shard a machine is.

    Attributes:
        system: For people.
        index, total: Names of the variables.
        first: The number of the first shard.
        total_alone: The system sets the total to 1, and no index, in a job that is not split.
    """

    system: str
    index: str
    total: str
    first: int
    total_alone: bool = False


SOURCES: Final = (
    _Numbering("GitLab", "CI_NODE_INDEX", "CI_NODE_TOTAL", first=1, total_alone=True),
    _Numbering("GitHub", "HARNESS_JOB_INDEX", "HARNESS_JOB_TOTAL", first=0),
    _Numbering("Kubernetes", "JOB_COMPLETION_INDEX", "HARNESS_JOB_COMPLETIONS", first=0),
)
"""Where ``auto`` looks. GitLab sets both of its own. GitHub's stand for ``strategy.job-index`` and
``strategy.job-total``, and the total of Kubernetes for ``completions``.
Only the workflow and the manifest know them."""


def shard_of_environment(environment: Mapping[str, str]) -> Shard:
    """Return the shard that the variables of a CI system name.

    Raises:
        UsageError: There are none, one of two, no numbers, numbers out of range, or two systems that disagree.
    """
    found: dict[str, Shard] = {}
    undivided: dict[str, Shard] = {}
    for source in SOURCES:
        index, total = environment.get(source.index, ""), environment.get(source.total, "")
        if not index and not total:
            continue
        names = f"{source.index}={index or '(not set)'}, {source.total}={total or '(not set)'}"
        if source.total_alone and not index and total == "1":
            undivided[names] = Shard(index=1, total=1)
            continue
        if not index or not total:
            missing = source.total if index else source.index
            raise UsageError(f"--shard auto: {names}", hint=f"{source.system}: {missing} must be set as well")
        if not _is_number(index) or not _is_number(total):
            raise UsageError(f"--shard auto: {names}: both must be whole numbers")
        found[names] = _shard(int(index), int(total), f"--shard auto: {names}", first=source.first)
    shards = set(found.values()) or set(undivided.values())
    if not shards:
        looked = "; ".join(f"{source.index} and {source.total} ({source.system})" for source in SOURCES)
        raise UsageError(
            "--shard auto finds no variables of a CI system", hint=f"set one pair: {looked}; or --shard I/N"
        )
    if len(shards) > 1:
        said = "; ".join(f"{names} is shard {shard}" for names, shard in found.items())
        raise UsageError(f"--shard auto: the variables disagree: {said}", hint="unset one pair, or use --shard I/N")
    return shards.pop()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _shard(number: int, total: int, asked: str, *, first: int) -> Shard:
    """Return the shard of this number, where the first one has the number ``first``."""
    if not 1 <= total <= SHARDS_MAX:
        raise UsageError(f"{asked}: the number of shards must be from 1 to {SHARDS_MAX}, not {total}")
    if not first <= number < first + total:
        raise UsageError(f"{asked}: {number} is out of range: {total} shards count from {first} to {first + total - 1}")
    return Shard(index=number - first + 1, total=total)

"""The proof of the checks: very many valid runs without a false finding, every named mutation found every time.

Prints the counts as a table. What has been tried is kept after every ``STEP`` runs, so that a proof that was broken off
goes on; it begins again at another commit. One process for each core; the counts do not depend on how many there are.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from proofs.prove import ROOT, commit_of
from support.stories.mutations import MUTATIONS, Mutation
from support.stories.proving import Tried, attempt, false_findings, is_judged
from support.stories.valid import valid

STEP = 100
"""Seeds that a process takes at a time, at most."""
AT_A_TIME = 4
"""Steps of one mutation that are asked for at once."""
WRONG_MAX = 20
"""Sentences on what is wrong that are kept of each row; the counts go on."""


@dataclass(slots=True)
class Count:
    """What came of one mutation so far; of the valid runs ``applicable`` is all of them, ``missed`` is none."""

    tried: int = 0
    applicable: int = 0
    missed: int = 0
    loud: int = 0
    wrong: list[str] = field(default_factory=list)


class State:
    """The counts, kept in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.counts = {name: Count(**count) for name, count in kept.items()}

    def of(self, name: str) -> Count:
        """Return the count of a row."""
        return self.counts.setdefault(name, Count())

    def save(self) -> None:
        """Write whole or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({name: asdict(count) for name, count in self.counts.items()}), encoding="utf-8")
        new.replace(self._path)


VALID = "valid runs"


def prove_valid(state: State, wanted: int, pool: Executor) -> None:
    """Judge valid runs until there are enough."""
    count = state.of(VALID)
    for said in pool.map(_judge_valid, *zip(*_steps(count.tried, wanted, STEP), strict=True)):
        for seed, wrong in said:
            count.tried += 1
            count.applicable += 1
            count.loud += bool(wrong)
            count.wrong += [f"seed {seed}: {words}" for words in wrong][: WRONG_MAX - len(count.wrong)]
        state.save()


def _judge_valid(first: int, end: int) -> list[tuple[int, list[str]]]:
    return [(seed, false_findings(valid(random.Random(f"valid {seed}")))) for seed in range(first, end)]


def _steps(first: int, end: int, size: int) -> list[tuple[int, int]]:
    """Return the seeds from ``first`` to ``end``, in steps: the first one of each, and where it ends."""
    return [(start, min(start + size, end)) for start in range(first, end, size)] or [(first, first)]


def prove_mutation(state: State, mutation: Mutation, wanted: int, pool: Executor) -> None:
    """Try one mutation until it was applicable often enough; give up when it hardly ever is.

    What counts is the same however many processes there are: seeds are taken in their order, and no more than needed.
    """
    count = state.of(mutation.name)
    while count.applicable < wanted and count.tried < 200 * wanted:
        size = min(STEP, 1 + (wanted - count.applicable) // AT_A_TIME)
        steps = _steps(count.tried, count.tried + AT_A_TIME * size, size)
        for said in pool.map(_try, [mutation.name] * len(steps), *zip(*steps, strict=True)):
            for tried in said:
                if count.applicable < wanted:
                    _add(count, tried)
        state.save()


def _try(name: str, first: int, end: int) -> list[Tried]:
    mutation = next(item for item in MUTATIONS if item.name == name)
    return [attempt(mutation, seed) for seed in range(first, end)]


def _add(count: Count, tried: Tried) -> None:
    count.tried += 1
    count.applicable += tried.applicable
    count.missed += tried.missed
    count.loud += tried.loud
    if tried.wrong and len(count.wrong) < WRONG_MAX:
        count.wrong.append(tried.wrong)


def table(state: State) -> list[str]:
    """Return the counts as a table in Markdown."""
    heads = ("mutation", "check", "finding", "tried", "applicable", "missed", "findings of other checks")
    rows = [("none (valid runs)", "all", "none", state.of(VALID))]
    rows += [(item.name, item.check, item.finding.replace("*", "any"), state.of(item.name)) for item in MUTATIONS]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for name, check, kind, count in rows:
        numbers = " | ".join(f"{number:,}" for number in (count.tried, count.applicable, count.missed, count.loud))
        lines.append(f"| {name} | `{check}` | `{kind}` | {numbers} |")
    return lines


def main(words: Sequence[str]) -> int:
    """Prove; 0 when nothing was missed and nothing found that is not there."""
    parser = argparse.ArgumentParser(prog="proofs.checks", description=__doc__)
    parser.add_argument("--valid", type=int, default=100_000, help="valid runs (default %(default)s)")
    parser.add_argument("--each", type=int, default=1_000, help="of each mutation, applicable (default %(default)s)")
    parser.add_argument("--only", default="", metavar="PART", help="only mutations with this in their name")
    parser.add_argument("--state", type=Path, help="file of the counts (default: reports/proofs/checks-<commit>.json)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default %(default)s)")
    given = parser.parse_args(words)
    began, pool = time.monotonic(), ProcessPoolExecutor(given.jobs)
    state = State(given.state or ROOT / "reports" / "proofs" / f"checks-{commit_of(ROOT)}.json")
    prove_valid(state, given.valid, pool)
    chosen = [item for item in MUTATIONS if given.only in item.name]
    absent = [item for item in chosen if not is_judged(item)]
    for mutation in chosen:
        if mutation not in absent:
            prove_mutation(state, mutation, given.each, pool)
    pool.shutdown()
    print("\n".join(table(state)))
    wrong = [f"{name}: {said}" for name, count in state.counts.items() for said in count.wrong]
    few = [item.name for item in chosen if item not in absent and state.of(item.name).applicable < given.each]
    for said in [*wrong, *(f"hardly ever applicable: {name}" for name in few)]:
        print(said)
    for mutation in absent:
        print(f"not judged: {mutation.name}, as there is no check {mutation.check}")
    counts = [state.of(item.name) for item in chosen]
    print(
        f"{state.of(VALID).tried:,} valid runs, {state.of(VALID).loud} with a finding; "
        f"{sum(count.applicable for count in counts):,} mutated runs of {len(chosen) - len(absent)} kinds, "
        f"{sum(count.missed for count in counts)} missed, {sum(count.loud for count in counts)} with a false finding; "
        f"{time.monotonic() - began:.0f} s with {given.jobs} processes, {_cpu_seconds():.0f} s of CPU time"
    )
    return 1 if wrong or few or absent else 0


def _cpu_seconds() -> float:
    """Return what this process and those that it has waited for have used."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

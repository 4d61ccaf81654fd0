"""``make mutants``: do the fast tests notice a small change of the checks or of the history?

A sample of the mutants of ``harness/checks`` and ``harness/history``, drawn by the commit, and every mutant that lived
once (``survivors.yaml``). Each runs the fast tests that call its function (``reach.py``) in a process of its own, in a
copy of the checkout, and exists in the memory of that process only. Mutants that no test can notice stand in
``equivalents.yaml`` with the reason. What has run at a commit is not run again there:
``reports/mutants/<commit>.json``.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proofs.mutation import Mutant, mutants
from proofs.reach import Reach
from proofs.trying import try_all, watch
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
FOLDERS = ("harness/checks", "harness/history")
COPIED = ("harness", "tests", "docs", "scenarios", "pyproject.toml")
SHARE_MIN = 0.95
"""Of the mutants that are not equivalent, at least so many must die."""
STAGES: Mapping[str, tuple[str, ...]] = {
    "unit": ("tests/unit/checks", "tests/unit/history"),
    "property": ("tests/property",),
}
"""The fast tests that concern checks and histories; the second only for what lives through the first."""


@dataclass(frozen=True, slots=True)
class Noted:
    """A mutant that a file names, with what is said of it."""

    key: tuple[str, str, str, str, int]
    reason: str


def noted(path: Path) -> list[Noted]:
    """Read a file of mutants: per module and function, ``line``, ``change``, ``reason``, ``number`` (default 0)."""
    content = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or []
    return [
        Noted((row["module"], row["function"], row["line"], row["change"], row.get("number", 0)), row["reason"])
        for row in content
    ]


def every_mutant(root: Path) -> list[Mutant]:
    """Return all mutants of a checkout, by module."""
    found = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            found += mutants(module, path.read_text(encoding="utf-8"))
    return found


def sample(every: Sequence[Mutant], seed: str, size: int, always: Iterable[Noted]) -> list[Mutant]:
    """Return the mutants to run: ``size`` drawn by the seed alone, and those that are always run, by module."""
    drawn = sorted(every, key=lambda mutant: hashlib.sha256(repr((seed, mutant.key)).encode()).digest())[:size]
    wanted = {item.key for item in always}
    return sorted({*drawn, *(mutant for mutant in every if mutant.key in wanted)})


def run(
    chosen: Sequence[Mutant],
    copy: Path,
    jobs: int,
    reach: Mapping[str, Reach],
    ended: Callable[[Mutant, str], None],
) -> None:
    """Try each mutant, ``jobs`` at a time; ``ended`` hears the name of the stage that killed it.

    ``survived`` and ``timeout`` are the other names. ``reach`` is what ``control`` returned.
    """
    for stage in STAGES:
        lived: list[Mutant] = []
        tried = functools.partial(_tried, stage, lived, ended)
        try_all(chosen, copy, _files(copy, stage), reach[stage], jobs, tried)
        chosen = lived


def _tried(stage: str, lived: list[Mutant], ended: Callable[[Mutant, str], None], mutant: Mutant, said: str) -> None:
    if said == "survived" and stage != list(STAGES)[-1]:
        lived.append(mutant)
    else:
        ended(mutant, stage if said == "died" else said)


def control(copy: Path) -> dict[str, Reach]:
    """Run the tests once without any mutant, all stages at a time, and return by stage what they reach.

    Raises:
        SystemExit: They fail, so that they would prove nothing of mutants.
    """
    running = {stage: watch(copy, _files(copy, stage), FOLDERS, copy / f"{stage}.json") for stage in STAGES}
    found = {}
    try:
        for stage, pid in list(running.items()):
            _, status = os.waitpid(pid, 0)
            del running[stage]
            if os.waitstatus_to_exitcode(status) != 0:
                raise SystemExit(f"error: the {stage} tests fail without a mutant, so that they say nothing of one")
            found[stage] = Reach.load(copy / f"{stage}.json")
    finally:
        for pid in running.values():
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return found


def _files(copy: Path, stage: str) -> list[str]:
    return [str(path.relative_to(copy)) for folder in STAGES[stage] for path in _modules(copy / folder)]


def _modules(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("test_*.py")) if "property" not in folder.name or "checks" in path.name]


def table(results: Mapping[Mutant, str], equivalent: Mapping[tuple[str, str, str, str, int], str]) -> list[str]:
    """Return the results by module, a table in Markdown; what is called equivalent is counted apart."""
    words = [*STAGES, "timeout", "survived", "equivalent"]
    counts: dict[str, Counter[str]] = {}
    for mutant, said in results.items():
        name = ".".join(mutant.module.split(".")[1:])
        counts.setdefault(name, Counter())["equivalent" if mutant.key in equivalent else said] += 1
    total: Counter[str] = sum(counts.values(), Counter())
    rows = [*sorted(counts.items()), ("**all**", total)]
    heads = ["mutants", "died by unit tests", "by property tests", "never ended", "survived", "equivalent"]
    return [
        f"| module | {' | '.join(heads)} |",
        "|---" * (len(heads) + 1) + "|",
        *(f"| {name} | {count.total()} | {' | '.join(str(count[word]) for word in words)} |" for name, count in rows),
    ]


def share(results: Mapping[Mutant, str], equivalent: Iterable[tuple[str, str, str, str, int]]) -> tuple[int, int]:
    """Return how many died, of how many that are not equivalent."""
    aside = set(equivalent)
    counted = [said for mutant, said in results.items() if mutant.key not in aside]
    return sum(said != "survived" for said in counted), len(counted)


def main(words: Sequence[str]) -> int:
    """Run the sample and print the table; 0 when enough mutants died, 1 when not."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--size", type=int, default=200, help="how many are drawn (default %(default)s)")
    parser.add_argument("--seed", help="what draws them (default: the commit)")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="at a time (default %(default)s)")
    parser.add_argument("--only", default="", metavar="PART", help="of those, only mutants with this in their name")
    parser.add_argument("--survivors", action="store_true", help="only those that lived once")
    given = parser.parse_args(words)
    from proofs.prove import commit_of

    commit = commit_of(ROOT)
    every = every_mutant(ROOT)
    once, equivalent = (
        noted(HERE / "survivors.yaml"),
        {item.key: item.reason for item in noted(HERE / "equivalents.yaml")},
    )
    chosen = sample(every, given.seed or commit, 0 if given.survivors else given.size, once)
    chosen = [mutant for mutant in chosen if given.only in str(mutant)]
    print(f"{len(chosen)} of {len(every):,} mutants at {commit}", flush=True)
    for key in ({item.key for item in once} | equivalent.keys()) - {mutant.key for mutant in every}:
        print(f"no longer in the source: {key[0]} {key[1]}: {key[3]}   in: {key[2]}")
    kept = ROOT / "reports" / "mutants" / f"{commit}.json"
    results = _kept(kept, chosen) if not commit.endswith("-changed") else {}
    for mutant in chosen:
        if mutant.key in equivalent:
            results[mutant] = "equivalent"

    def ended(mutant: Mutant, said: str) -> None:
        results[mutant] = said
        _keep(kept, results)
        print(f"{len(results)} of {len(chosen)}: {said}: {mutant}", flush=True)

    with Copy() as copy:
        reach = control(copy)
        run([mutant for mutant in chosen if mutant not in results], copy, given.jobs, reach, ended)
    print("\n".join(["", *table(results, equivalent), ""]))
    lived = [mutant for mutant, said in results.items() if said == "survived"]
    for mutant in lived:
        print(f"survived: {mutant}")
    died, counted = share(results, equivalent)
    enough = died >= SHARE_MIN * counted
    print(f"{died} of {counted} mutants died ({died / max(counted, 1):.1%}); at least {SHARE_MIN:.0%} must")
    return 0 if enough else 1


class Copy:
    """A copy of what the tests need, gone in the end; a signal to end ends it like any exception."""

    def __enter__(self) -> Path:
        self._folder = Path(tempfile.mkdtemp(prefix="mutants-"))
        self._before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        for name in COPIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self._folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / name, self._folder / name)
        return self._folder

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, self._before)


def _kept(path: Path, chosen: Sequence[Mutant]) -> dict[Mutant, str]:
    """Return what has run at this commit, of the mutants chosen."""
    said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {mutant: said[repr(mutant.key)] for mutant in chosen if repr(mutant.key) in said}


def _keep(path: Path, results: Mapping[Mutant, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    content = before | {repr(mutant.key): said for mutant, said in results.items()}
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    new.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

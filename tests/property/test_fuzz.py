"""Whatever is read that others may have written: no traceback, no long calculation, every error has its place.

Each input is a function of its number. ``make prove`` makes 20,000 of them; ``HARNESS_FUZZ_FIRST`` goes on from one.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import fuzz
from support.run_dir_mutations import copy
from support.run_dirs import WORDS, make_run

from harness.errors import HarnessError, ScenarioError
from harness.runtime.ledger import sweep
from harness.session.check_again import check_again
from harness.session.planned import facts_of, limits_of
from harness.session.selection import select

COUNT = int(os.environ.get("HARNESS_FUZZ", "60"))
FIRST = int(os.environ.get("HARNESS_FUZZ_FIRST", "0"))
CPU_NS_MAX = 2 * 10**9
"""For one input; the slowest of 20,000 takes about half of it on an idle machine."""
ADDITIONS = 1_000_000
MANY_ADDITIONS = 32 * ADDITIONS
"""What takes more CPU time than that must take no more than so many additions do just then: a machine may be slow."""
MEMORY_BYTES = 2**30
"""That may be added to what is mapped, for histories of some hundred records."""
RECORDED = Path(__file__).parents[1] / "corpus" / "recorded"


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Let no input take more than ``MEMORY_BYTES``: an allocation beyond that fails, and the input with it."""
    mapped = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY_BYTES, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _additions_ns() -> int:
    """Return how much CPU time so many additions take on this machine now."""
    began, total = time.process_time_ns(), 0
    for number in range(ADDITIONS):
        total += number
    return time.process_time_ns() - began


def _each(examine: Callable[[random.Random], str]) -> Counter[str]:
    """Examine ``COUNT`` inputs; return what came of how many."""
    seen: Counter[str] = Counter()
    for number in range(FIRST, FIRST + COUNT):
        began = time.process_time_ns()
        try:
            with _bounded():
                seen[examine(random.Random(number))] += 1
        except Exception as error:
            raise AssertionError(f"input {number}: {error!r}") from error
        took = time.process_time_ns() - began
        allowed = CPU_NS_MAX if took < CPU_NS_MAX else max(CPU_NS_MAX, _additions_ns() * MANY_ADDITIONS // ADDITIONS)
        assert took < allowed, f"input {number} took {took / 1e9:.1f} s of CPU time; {allowed / 1e9:.1f} s are allowed"
    print(dict(seen))
    return seen


def test_scenarios(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"

    def examine(draw: random.Random) -> str:
        path.write_bytes(fuzz.scenario(draw))
        try:
            for item in select([path]):
                list(limits_of(item.plan, facts_of(item.plan)))
        except ScenarioError as error:
            problems = error.problems
        else:
            return "valid"
        assert problems
        for problem in problems:
            assert problem.location.file == str(path)
            assert problem.location.line >= 1
            assert problem.location.column >= 1
            assert problem.message.strip()
        return "refused"

    seen = _each(examine)
    assert seen["refused"] > COUNT / 3
    assert seen["valid"] > 0


def test_run_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    originals = [Path(make_run(name, tmp_path / name).run_dir) for name in ("passing", "losing")]
    originals += sorted(RECORDED.iterdir())

    def examine(draw: random.Random) -> str:
        original = draw.choice(originals)
        shutil.rmtree(tmp_path / "damaged", ignore_errors=True)
        damaged = copy(original, tmp_path / "damaged")
        told = fuzz.damage(damaged, draw)
        try:
            result = check_again(damaged, WORDS).result
        except HarnessError as error:
            return "refused" if str(error).strip() else "refused without a word"
        except Exception as error:
            raise AssertionError(f"{told} of {original.name}: {error!r}") from error
        return str(result.verdict)

    seen = _each(examine)
    assert seen["refused"] > 0
    assert not seen["refused without a word"]
    assert seen["inconclusive"] > 0


def test_ledgers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path))
    entry = tmp_path / "runs" / "20260101-000000-abcdef"
    entry.mkdir(parents=True)
    (entry / "lease").touch()

    def examine(draw: random.Random) -> str:
        (entry / "ledger.jsonl").unlink(missing_ok=True)
        if draw.random() < 0.02:
            os.mkfifo(entry / "ledger.jsonl")
        else:
            (entry / "ledger.jsonl").write_bytes(fuzz.ledger(draw))
        (found,) = sweep(remove=False)
        assert found.run_id == entry.name
        return "read"

    assert _each(examine)["read"] == COUNT

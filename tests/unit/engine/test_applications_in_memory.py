"""An application in the consumer's place goes through the whole pipeline, and what it lies about never passes.

The programs and their recorders are real processes; the broker is the fake one in memory. All runs are side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest
from support.in_memory import memory_plan
from support.in_memory_application import ApplicationParts

from harness.engine.engine import Engine
from harness.engine.rundir import new_run_id
from harness.errors import HarnessError
from harness.judging.judge import judge
from harness.judging.whole import read_whole
from harness.result import RunResult
from harness.verdict import Verdict

KILL = """
  - client_kill: {}
    on: {worker: c0}
    at: 200ms
    for: 300ms"""
LIES = {
    "": (Verdict.PASS, "", ""),
    "invent": (Verdict.FAIL, "phantoms", "phantom"),
    "repeat": (Verdict.FAIL, "duplicates", "redelivered-after-ack"),
    "skip": (Verdict.FAIL, "loss", "abandoned"),
    "drop": (Verdict.FAIL, "loss", "skipped"),
    "noise": (Verdict.INCONCLUSIVE, "", "reported what cannot be recorded: line"),
    "die": (Verdict.INCONCLUSIVE, "", "c0 exited unexpectedly (exit status 0)"),
    "deaf": (Verdict.INCONCLUSIVE, "", "did not end within 2s of SIGTERM"),
    "silent": (Verdict.FAIL, "loss", ""),
}
"""Lie → verdict, check, and the type of its finding or what is said of the run."""


class Ended(NamedTuple):
    """A run, judged; and what was said of it."""

    result: RunResult
    folder: Path
    said: list[str]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Ended]]:
    """Run every lie, and an honest application that is killed."""
    root = tmp_path_factory.mktemp("a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_STATE_DIR", str(root / "s"))
        made = {lie: (ApplicationParts(lie), "[]") for lie in LIES} | {"killed": (ApplicationParts(), KILL)}
        engines = {}
        for name, (parts, faults) in made.items():
            item = memory_plan(faults)
            folder = root / (name or "honest")
            engines[name] = Engine(item.plan, item.source, folder, new_run_id(), "process", lambda _: None, parts)

        async def run(engine: Engine) -> None:
            try:
                await engine.run()
            except HarnessError:
                return

        async def all_of_them() -> None:
            await asyncio.gather(*(run(engine) for engine in engines.values()))
            for parts, _ in made.values():
                parts.close()

        asyncio.run(all_of_them())
        yield {
            name: Ended(
                judge(memory_plan(made[name][1]).plan, engine.run_dir, engine.record, ""),
                engine.run_dir.path,
                engine.record.problems,
            )
            for name, engine in engines.items()
        }


@pytest.mark.parametrize("lie", LIES)
def test_what_an_application_lies_about_never_passes(runs: Mapping[str, Ended], lie: str) -> None:
    verdict, check, what = LIES[lie]
    result, _, said = runs[lie]
    shown = f"{result.headline}\n{result.error}\n{said}\n{result.weaknesses}"
    if verdict is Verdict.INCONCLUSIVE:
        assert any(what in sentence for sentence in said), shown
        assert result.verdict in {Verdict.INCONCLUSIVE, Verdict.FAIL}, shown
        return
    if not check:
        assert result.verdict is Verdict.PASS, shown
        return
    # Of a check that the scenario does not name, the verdict stands beside it and does not count.
    (found,) = (one for one in result.checks if one.check == check)
    assert found.verdict is Verdict.FAIL, shown
    assert not what or what in {finding.type for finding in found.findings}, shown


@pytest.mark.parametrize("lie", [*LIES, "killed"])
def test_the_run_directory_is_whole(runs: Mapping[str, Ended], lie: str) -> None:
    _, seen = read_whole(runs[lie].folder)
    assert seen.sealed


def test_a_kill_of_an_honest_application_is_proven_and_loses_nothing(runs: Mapping[str, Ended]) -> None:
    result, folder, said = runs["killed"]
    assert result.verdict is Verdict.PASS, f"{result.headline} {result.error} {said} {result.weaknesses}"
    assert [fault.proven for fault in result.faults] == [True]
    assert (folder / "history" / "c0.2.journal").exists()

"""A client that lies once is caught by the whole pipeline: engine, journals, audit, judge.

All runs are made side by side in one loop; each has a fake cluster of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.in_memory import MemoryParts, memory_plan
from support.in_memory_liars import CONSUMER_LIES, INVENTED, KEY, PRODUCER_LIES, SEQ
from support.in_memory_runtime import MemoryCluster

from harness.checks.base import CHECKS
from harness.engine.engine import Engine
from harness.engine.rundir import new_run_id
from harness.judging.judge import judge
from harness.result import RunResult
from harness.verdict import Finding, Verdict

FOUND = {
    "drop": ("loss", "lost", SEQ),
    "repeat": ("duplicates", "copy", SEQ),
    "swap": ("order", "log-inversion", SEQ),
    "invent": ("phantoms", "phantom", INVENTED),
    "deny": ("phantoms", "resurrected", SEQ),
    "mislead": ("log", "misplaced", SEQ),
    "skip": ("loss", "skipped", SEQ),
    "deliver again": ("duplicates", "redelivered-after-ack", SEQ),
    "deliver early": ("order", "nonmonotonic", SEQ),
    "conjure": ("phantoms", "phantom", INVENTED),
    "acknowledge unprocessed": ("loss", "abandoned", SEQ),
}
"""Lie → check, finding, sequence of the message that the finding names."""
HONEST = "nothing"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, RunResult]]:
    """Run every lie, and one honest run of the lying clients."""
    root = tmp_path_factory.mktemp("lies")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_STATE_DIR", str(root / "state"))
        engines = {lie: _engine(root / lie.replace(" ", "-"), lie) for lie in (*FOUND, HONEST)}
        asyncio.run(_all(list(engines.values())))
        yield {lie: judge(memory_plan().plan, engine.run_dir, engine.record, "") for lie, engine in engines.items()}


def _engine(folder: Path, lie: str) -> Engine:
    folder.mkdir(parents=True)
    item = memory_plan()
    parts = MemoryParts(MemoryCluster(lie=lie))
    return Engine(item.plan, item.source, folder, new_run_id(), "process", lambda _: None, parts)


async def _all(engines: list[Engine]) -> None:
    await asyncio.gather(*(engine.run() for engine in engines))


def _findings(result: RunResult) -> dict[str, list[Finding]]:
    return {check.check: list(check.findings) for check in result.checks if check.findings}


def test_every_lie_has_a_finding() -> None:
    assert set(FOUND) == {*PRODUCER_LIES, *CONSUMER_LIES}


def test_the_same_clients_are_found_honest_when_they_do_not_lie(results: Mapping[str, RunResult]) -> None:
    assert results[HONEST].verdict is Verdict.PASS, (results[HONEST].headline, results[HONEST].blocking)
    assert not _findings(results[HONEST])


@pytest.mark.parametrize("lie", FOUND)
def test_a_lie_is_caught_and_its_message_named(lie: str, results: Mapping[str, RunResult]) -> None:
    check, kind, seq = FOUND[lie]
    if check not in CHECKS.names():
        pytest.skip(f"no check {check}")
    result = results[lie]
    (found,) = [item for item in result.checks if item.check == check]
    assert found.verdict is Verdict.FAIL, (found.reasons, result.blocking)
    assert result.verdict is Verdict.FAIL or not found.expected
    named = {
        (operation.key, operation.seq) for item in found.findings if item.type == kind for operation in item.operations
    }
    assert (KEY, seq) in named, found.findings

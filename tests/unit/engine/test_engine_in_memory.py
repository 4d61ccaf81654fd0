"""The engine on the fake broker, runtime and workers of ``support/in_memory``: how it takes what happens in a run."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path

import pytest
from support.in_memory import MemoryParts, memory_plan
from support.in_memory_run import KILL, engine_of, judged
from support.in_memory_runtime import MemoryCluster

from harness.engine.engine import Engine
from harness.engine.rundir import new_run_id
from harness.history.events import AuthorityEvent, FaultEvent, HeadersEvent, ProofEvent
from harness.history.read import History
from harness.progress import Event, Listener, PhaseStarted
from harness.result import RunResult
from harness.verdict import Verdict


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


def verdict_of(result: RunResult, check: str) -> Verdict:
    return next(found.verdict for found in result.checks if found.check == check)


def test_a_run_without_faults_passes(tmp_path: Path) -> None:
    parts = MemoryParts()
    result = judged(engine_of(tmp_path, parts))
    assert result.verdict is Verdict.PASS, (result.headline, result.blocking)
    assert all(not worker.pid for worker in parts.workers)
    partitions = str(memory_plan().plan.workload.partitions)
    assert [dict(worker.spec.env) for worker in parts.workers] == [{"MEMORY_PARTITIONS": partitions}] * 2
    assert [monitor.ended for monitor in parts.monitors] == [True]


def test_what_an_audit_says_of_a_log_stands_in_the_history_before_its_extent(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, MemoryParts())
    judged(engine)
    said = History.load(engine.run_dir.path).of_kind(HeadersEvent, AuthorityEvent)
    partitions = range(memory_plan().plan.workload.partitions)
    expected = [(kind, index) for index in partitions for kind in ("headers", "authority")]
    assert [(event.kind, event.partition) for event in said] == expected
    assert all(event.source == "engine" and event.t > 0 for event in said)


def test_the_schedule_of_each_producer_names_all_that_it_sent_and_when_it_was_due(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, MemoryParts())
    judged(engine)
    history = History.load(engine.run_dir.path)
    sends = history.index.sends
    assert sends.t.size
    for position in set(sends.journal.tolist()):
        schedule, mine = history.schedules[position], sends.journal == position
        numbers = schedule.numbers(sends.key[mine], sends.seq[mine])
        assert sorted(numbers.tolist()) == list(range(numbers.size))
        assert (schedule.due(numbers) <= sends.t[mine] + 1).all()  # rounded to whole ns


def test_a_fault_that_acts_is_proven(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, MemoryParts(), KILL)
    result = judged(engine, KILL)
    (fault,) = result.faults
    assert fault.proven, fault.evidence
    assert result.verdict is Verdict.PASS, (result.headline, result.blocking)
    written = History.load(engine.run_dir.path).of_kind(FaultEvent)
    assert [event.action for event in written] == ["apply", "applied", "heal", "healed"]
    assert all(event.takes_node_down and not event.silences and event.nodes == ("n1",) for event in written)


def test_a_message_that_is_acknowledged_and_lost_fails(tmp_path: Path) -> None:
    result = judged(engine_of(tmp_path, MemoryParts(MemoryCluster(loses=frozenset({10})))))
    assert verdict_of(result, "loss") is Verdict.FAIL
    assert result.verdict is Verdict.FAIL


def test_a_fault_whose_effect_no_probe_sees_is_inconclusive(tmp_path: Path) -> None:
    result = judged(engine_of(tmp_path, MemoryParts(MemoryCluster(blind=True)), KILL), KILL)
    (fault,) = result.faults
    assert not fault.proven
    assert result.verdict is Verdict.INCONCLUSIVE
    assert any("kill-1" in reason for reason in result.blocking)


def test_a_node_that_dies_by_itself_is_a_problem(tmp_path: Path) -> None:
    parts = MemoryParts()

    def told(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase == "faults":
            assert parts.cluster.node is not None
            parts.cluster.node.die()

    engine = engine_of(tmp_path, parts, told=told)
    result = judged(engine)
    assert engine.record.problems[0] == "node n1 exited unexpectedly (exit status 139)"
    assert result.verdict is Verdict.INCONCLUSIVE
    assert any("n1 exited unexpectedly" in reason for reason in result.blocking)


def engine_with_gateways(tmp_path: Path, parts: MemoryParts, told: Listener = lambda _: None) -> Engine:
    """Return an engine of a plan whose clients reach the node through a gateway."""
    item = memory_plan()
    topology = item.plan.topology
    links = tuple(dataclasses.replace(link, gateway=True) for link in topology.links)
    plan = dataclasses.replace(item.plan, topology=dataclasses.replace(topology, links=links))
    return Engine(plan, item.source, tmp_path, new_run_id(), "process", told, parts)


def test_workers_begin_at_a_gateway_that_lives_as_long_as_the_run(tmp_path: Path) -> None:
    parts = MemoryParts()
    seen: set[int] = set()
    engine = engine_with_gateways(
        tmp_path, parts, lambda event: seen.update(gateway.pid for gateway in parts.gateways[:1])
    )
    result = judged(engine)
    assert result.verdict is Verdict.PASS, (result.headline, result.blocking)
    (gateway,) = parts.gateways
    assert os.getpid() in seen
    assert gateway.pid == 0
    ((listen, _),) = gateway.spec["paths"]
    assert {worker.spec.addresses for worker in parts.workers} == {(listen,)}
    assert result.usage is not None
    assert result.usage.cpu_ns["services"] > 0
    (proof, *_) = History.load(engine.run_dir.path).of_kind(ProofEvent)
    assert "gateway" in proof.detail


def test_a_run_whose_gateway_dies_is_broken_off(tmp_path: Path) -> None:
    parts = MemoryParts()

    def told(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase == "faults":
            parts.gateways[0].die(1)

    engine = engine_with_gateways(tmp_path, parts, told)
    result = judged(engine)
    assert engine.record.problems[0] == "the gateway of zone clients died (exit status 1)"
    assert result.verdict is Verdict.INCONCLUSIVE


def test_an_interrupted_run_leaves_nothing_running(tmp_path: Path) -> None:
    parts = MemoryParts()
    begun = asyncio.Event()

    def told(event: Event) -> None:
        if isinstance(event, PhaseStarted) and event.phase == "faults":
            begun.set()

    engine = engine_of(tmp_path, parts, KILL, told)

    async def interrupted() -> None:
        running = asyncio.create_task(engine.run())
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(interrupted())
    assert engine.record.error == "interrupted"
    assert len(parts.workers) == 2
    assert all(not worker.pid for worker in parts.workers)
    assert parts.cluster.node is not None
    assert not parts.cluster.node.alive()
    assert [runtime.stopped for runtime in parts.runtimes] == [True]
    assert [monitor.ended for monitor in parts.monitors] == [True]
    assert (engine.run_dir.path / "run.json").exists()

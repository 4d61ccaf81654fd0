"""RocketMQ's clients in two zones, on a real name server and broker: each has its own links to both, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.in_process import last_run_dir, run_decided
from support.required_abilities import require_for_faults

from harness.history.events import ProofEvent
from harness.history.read import History
from harness.result import RunResult
from harness.verdict import Verdict

SCENARIO = """
version: 1
title: Two zones
seed: 3
broker: rocketmq-5
cluster: {nodes: 1}
workload:
  producers: 1
  consumers: 2
  partitions: 4
  keys: 8
  rate: 50/s
  warmup: 2s
  duration: 8s
  drain: 60s
  zones: {far: [FAR]}
  consumer: CONSUMER
faults:
  - FAULT
    at: 1s
    for: 4s
expect:
  loss: {messages_max: 0, examined_min: 100}
"""


def run(
    fault: str, consumer: str, tmp_path: Path, runtime: str, far: str = "c1"
) -> tuple[RunResult, tuple[ProofEvent, ...]]:
    require_for_faults((), runtime)
    text = SCENARIO.replace("FAULT", fault).replace("CONSUMER", consumer).replace("FAR", far)
    result = run_decided(text, tmp_path, runtime)
    proofs = History.load(last_run_dir(tmp_path)).of_kind(ProofEvent)
    return result, tuple(event for event in proofs if event.proof == "no-bypass")


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


@pytest.mark.rotates(2)
@pytest.mark.parametrize("runtime", ["process", "docker"])
def test_a_zone_has_links_of_its_own(runtime: str, tmp_path: Path) -> None:
    latency = "latency: {delay: 400ms}\n    on: {link: client-broker, zone: far}"
    result, proofs = run(latency, "{listener: concurrent}", tmp_path, runtime)
    assert result.verdict is Verdict.PASS, (result.headline, result.blocking)
    (fault,) = result.faults
    assert fault.targets == ("far->n1",)
    assert fault.proven
    assert [proof.proven for proof in proofs] == [True, True]
    assert "gateways of clients, far" in proofs[0].detail


def test_a_message_that_is_put_off_goes_back_through_the_links_of_the_first_zone(tmp_path: Path) -> None:
    """A consumer sends a failed message back to the address that its broker names; the proof is made again after it."""
    failing = "{listener: concurrent, fail_every: 10}"
    latency = "latency: {delay: 400ms}\n    on: {link: client-broker, zone: far}"
    result, proofs = run(latency, failing, tmp_path, "process", "p0")
    assert result.verdict is Verdict.PASS, (result.headline, result.blocking)
    assert [proof.proven for proof in proofs] == [True, True]
    found = History.load(last_run_dir(tmp_path)).index.deliveries
    assert (found.attempt > 1).any(), "no message came back"


@pytest.mark.parametrize("listener", ["orderly", "pull"])
def test_the_link_to_the_name_server_can_be_cut(listener: str, tmp_path: Path) -> None:
    """Clients know where brokers are, and go on without the name server."""
    cut = "disconnect: {}\n    on: {link: far->names}"
    result, proofs = run(cut, f"{{listener: {listener}}}", tmp_path, "process")
    assert result.verdict is Verdict.PASS, (result.headline, result.blocking)
    (fault,) = result.faults
    assert fault.targets == ("far->names",)
    assert fault.proven
    assert [proof.proven for proof in proofs] == [True, True]

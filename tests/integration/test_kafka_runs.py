"""Whole runs on real Kafka: transactions, an old version, static members, a worker killed from outside, bypasses."""

from __future__ import annotations

import os
import re
import signal
import threading
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.in_process import last_run_dir, run_decided, run_text

from harness.brokers.base import Launch
from harness.brokers.kafka import config as kafka_config
from harness.checks.analysis.transactions import taken_back
from harness.engine.parts import MachineParts, Parts
from harness.history.events import AuthorityEvent, BatchesEvent, DrainEvent, GroupEvent, HeadersEvent, OutputsEvent
from harness.history.read import History
from harness.history.record import Outcome
from harness.result import RunResult
from harness.verdict import Verdict
from harness.workload.launcher import Worker

SCENARIO = """
version: 1
title: A Kafka run
broker: {broker}
cluster: {cluster}
workload:
  producers: 1
  consumers: 2
  partitions: 4
  keys: 16
  rate: 150/s
  warmup: 1s
  duration: {duration}
  drain: 20s
  producer: {producer}
  consumer: {consumer}
{faults}
expect:
  loss: {{messages_max: 0, examined_min: 100}}
  phantoms: {{messages_max: 0, examined_min: 100}}
  duplicates: {{copies_max: 0}}
{expect}
"""


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))


def run(tmp_path: Path, *, once: bool = False, parts: Parts | None = None, **changes: str) -> tuple[RunResult, History]:
    """Make a run; ``once``: also if it has no verdict."""
    given = {"broker": "kafka-4", "cluster": "{nodes: 1}", "duration": "4s", "producer": "{}", "consumer": "{}"}
    text = SCENARIO.format(**(given | {"faults": "", "expect": ""} | changes))
    result = run_text(text, tmp_path, parts=parts)[0] if once else run_decided(text, tmp_path, "process")
    return result, History.load(last_run_dir(tmp_path))


def test_what_an_aborted_transaction_held_is_never_seen_and_the_drain_is_proven(tmp_path: Path) -> None:
    result, history = run(
        tmp_path, producer="{transaction: 20, abort_every: 3}", consumer="{isolation: read_committed}"
    )
    assert result.verdict is Verdict.PASS, result.headline
    outcomes = history.index.sends.outcome
    assert (outcomes == Outcome.FAIL).any()
    assert (outcomes == Outcome.OK).any()
    # The log ends with a control record, behind which no consumer commits: the drain saw that nothing else is left.
    assert all(event.proven for event in history.of_kind(DrainEvent))
    assert all(event.audit == "complete" for event in history.of_kind(AuthorityEvent))
    # The headers of its batches name one producer, whose transactions they belong to.
    assert [event.read for event in history.of_kind(HeadersEvent)] == ["complete"] * 4
    batches = history.of_kind(BatchesEvent)
    assert {event.partition for event in batches} == set(range(4))
    assert len({event.producer for event in batches}) == 1
    assert all(event.transactional for event in batches)


def test_who_reads_uncommitted_is_given_what_was_aborted_and_it_is_said(tmp_path: Path) -> None:
    result, _ = run(tmp_path, producer="{transaction: 20, abort_every: 3}", consumer="{isolation: read_uncommitted}")
    transactions = next(check for check in result.checks if check.check == "transactions")
    assert transactions.measures["aborted_reads"] > 0
    # By configuration: no limit is in force, and the check says why. Nor are they phantoms.
    assert not transactions.findings
    assert any("read uncommitted messages in this configuration" in reason for reason in transactions.reasons)
    assert next(check for check in result.checks if check.check == "phantoms").verdict is Verdict.PASS


def test_what_is_read_processed_and_written_in_transactions_is_written_once(tmp_path: Path) -> None:
    faults = "faults:\n  - client_kill: {}\n    on: {worker: c1}\n    at: 2s\n    for: 1s"
    result, history = run(
        tmp_path,
        producer="{transaction: 20, abort_every: 3}",
        consumer="{transactional: true, abort_every: 4, session_timeout: 3s, heartbeat_interval: 300ms}",
        faults=faults,
        duration="8s",
        expect="  transactions: {examined_min: 20}\n  order: {}\n  ownership: {unowned_max: 25s}",
    )
    assert result.verdict is Verdict.PASS, result.headline
    index = history.index
    (outputs,) = history.of_kind(OutputsEvent)
    assert (outputs.read, outputs.messages) == ("complete", index.outputs.value.size)
    # Each acknowledged message is written once, although some were read in transactions that were aborted.
    assert np.bincount(index.outputs.value).max() == 1
    assert index.outputs.value.size == np.count_nonzero(index.sends.outcome == Outcome.OK)
    held = index.transactions.of_delivery
    assert (held >= 0).all()
    assert (index.transactions.outcome[held] == Outcome.FAIL).any()
    assert taken_back(history).any()


def test_an_old_version_runs_the_same_scenario(tmp_path: Path) -> None:
    result, _ = run(tmp_path, broker="kafka-3.9", consumer="{assignor: range}")
    assert result.verdict is Verdict.PASS, result.headline
    assert result.versions["kafka"].startswith("3.9.")
    assert int(result.versions["java"].partition(".")[0]) < 24
    assert result.versions["confluent-kafka (consumer)"] == metadata.version("confluent-kafka")


def test_a_static_member_that_is_back_in_time_costs_no_rebalance(tmp_path: Path) -> None:
    faults = "faults:\n  - client_kill: {}\n    on: {worker: c1}\n    at: 1s\n    for: 1s"
    for static, expected in (("true", 0), ("false", 1)):
        folder = tmp_path / static
        folder.mkdir()
        options = f"{{static_membership: {static}, session_timeout: 18s, heartbeat_interval: 300ms}}"
        result, history = run(
            folder, consumer=options, faults=faults, expect="  ownership: {unowned_max: 26s}", duration="8s"
        )
        assert result.verdict is Verdict.PASS, result.headline
        # Static members do not leave at the end: the group forgets them some time after it.
        began, ended = (history.window(phase)[0] for phase in ("faults", "drain"))  # type: ignore[index]
        states = [event.state for event in history.of_kind(GroupEvent) if began <= event.t < ended]
        assert bool(set(states) & {"preparing_rebalance", "completing_rebalance"}) == bool(expected)


def test_a_worker_that_somebody_else_kills_costs_that_worker_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_command = Worker.send_command

    def go_and_die(self: Worker, what: str, **fields: Any) -> None:
        send_command(self, what, **fields)
        if what == "go" and self.name == "c1":
            threading.Timer(2, os.kill, (self.pid, signal.SIGKILL)).start()

    monkeypatch.setattr(Worker, "send_command", go_and_die)
    result, history = run(
        tmp_path, once=True, consumer="{session_timeout: 3s, heartbeat_interval: 300ms}", duration="6s"
    )
    assert result.verdict is Verdict.INCONCLUSIVE, result.headline
    assert result.exit_code == 6
    assert any("worker c1 exited unexpectedly" in reason for reason in result.blocking)
    # The other one took its partitions over: everything was processed all the same.
    assert next(check for check in result.checks if check.check == "loss").verdict is Verdict.PASS
    assert history.index.processed.all()


def test_clients_that_are_told_the_nodes_own_addresses_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = kafka_config.server_properties

    def without_links(name: str, launch: Launch) -> dict[str, str]:
        return original(name, replace(launch, addresses=replace(launch.addresses, links={})))

    monkeypatch.setattr(kafka_config, "server_properties", without_links)
    result, _ = run(tmp_path, once=True, parts=MachineParts(proof_s=1.0))
    assert result.exit_code == 7
    assert re.search(r"a connection bypasses its link: .*\b[pc]\d to 127\.0\.0\.1:", result.error), result.error


def test_nodes_that_know_each_other_directly_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_config, "pair_address", lambda *_: "127.0.0.1")
    result, _ = run(tmp_path, once=True, parts=MachineParts(proof_s=1.0), cluster="{nodes: 3, replicas: 3}")
    assert result.exit_code == 7
    assert "a connection bypasses its link" in result.error
    assert " to the peer port of n" in result.error

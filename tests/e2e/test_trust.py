"""What must never be believed, never be lost and never be left behind, on real brokers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.cli_runner import Cli, ours
from support.in_process import run_text, scenario
from support.live_runs import QUIET, finished, kill, only, started

from harness.history.read import History
from harness.runtime.toxiproxy.control import ToxiproxyControl
from harness.verdict import Verdict


def test_a_misspelled_toxic_attribute_is_refused_by_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Toxiproxy accepts any attribute and ignores the ones it does not know."""
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    original = ToxiproxyControl.add_toxic

    def misspelled(self: ToxiproxyControl, link: str, name: str, kind: str, stream: str, attributes: Any) -> None:
        original(self, link, name, kind, stream, {"latencey": attributes["latency"]})

    monkeypatch.setattr(ToxiproxyControl, "add_toxic", misspelled)
    result, _ = run_text(scenario("latency: {delay: 40ms}", "{link: client-broker}"), tmp_path)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.exit_code == 6
    assert "reads back" in " ".join(result.blocking)


def test_a_misspelled_toxic_attribute_is_not_believed_without_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when no code reads the toxic back, the round trips show that nothing happened."""
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    accepted: list[Any] = []

    def misspelled(self: ToxiproxyControl, link: str, name: str, kind: str, stream: str, attributes: Any) -> None:
        body = {"name": name, "type": kind, "stream": stream, "attributes": {"latencey": attributes["latency"]}}
        accepted.append(self._call("post", f"/proxies/{link}/toxics", json=body))

    monkeypatch.setattr(ToxiproxyControl, "add_toxic", misspelled)
    result, _ = run_text(scenario("latency: {delay: 400ms}", "{link: client-broker}", "for: 3s"), tmp_path)
    assert accepted, "the server refused the misspelled attribute: this test has lost its subject"
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "effect on clients->n1" in " ".join(result.blocking)


@pytest.mark.parametrize("ack_when", ["before", "after"])
def test_a_consumer_killed_between_delivery_and_the_end_of_its_handler(
    ack_when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had been given and not finished is lost under ack-before, and delivered again under ack-after."""
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    consumer = f"{{ack_when: {ack_when}, ack_wait: 3s, handler_time: 30ms, fetch: 16}}"
    # Its handler is blocked, so that it dies in the middle of a batch, long after what it acknowledged has left it.
    text = scenario("client_block: {}", "{worker: c0}", span="for: 2500ms", consumer=consumer)
    kill = "  - client_kill: {}\n    on: {worker: c0}\n    at: 2s\n    for: 1s\n"
    result, _ = run_text(text.replace("expect:\n", f"{kill}expect:\n"), tmp_path)
    held, again = _held_and_again(only(tmp_path / "reports"))
    assert held, "a consumer whose handler is blocked holds a message"
    (loss,) = [check for check in result.checks if check.check == "loss"]
    if ack_when == "after":
        assert held <= again
        assert loss.verdict is Verdict.PASS
        return
    # An acknowledgement that was still in the client's buffer died with it: its message comes again.
    lost = held - again
    assert lost
    assert loss.verdict is Verdict.FAIL
    assert loss.measures["abandoned"] == len(lost)
    named = {(op.key, op.seq) for finding in loss.findings for op in finding.operations}
    assert named
    assert named <= lost


def _held_and_again(run_dir: Path) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Return what the first incarnation of c0 was given and had not processed, and what later ones processed."""
    history = History.load(run_dir)
    deliveries = history.index.deliveries
    first = deliveries.journal == [view.name for view in history.journals].index("c0.1")
    held: set[tuple[int, int]] = set()
    done_before: set[tuple[int, int]] = set()
    again: set[tuple[int, int]] = set()
    for key, seq, done, early in zip(
        deliveries.key.tolist(), deliveries.seq.tolist(), deliveries.t_processed.tolist(), first.tolist(), strict=True
    ):
        if done < 0 and early:
            held.add((key, seq))
        elif done >= 0:
            (done_before if early else again).add((key, seq))
    return held - done_before, again


def test_a_worker_that_dies_by_itself_is_named_and_never_green(cli: Cli) -> None:
    process, run_id = started(cli, QUIET % {"nodes": 1, "seconds": 10})
    kill(run_id, "c0.1.json")
    code, result = finished(process)
    assert code == 6
    assert any("worker c0 exited unexpectedly" in reason for reason in result["blocking"])


def test_a_node_that_dies_by_itself_is_named_and_never_green(cli: Cli) -> None:
    process, run_id = started(cli, QUIET % {"nodes": 1, "seconds": 10})
    kill(run_id, "nats.conf")
    code, result = finished(process)
    assert code == 6
    assert any("node n1 exited unexpectedly" in reason for reason in result["blocking"])
    assert "something outside the run killed it" in result["error"]
    assert "audit" not in result["timings_ns"]


def test_a_monitor_that_dies_makes_the_run_inconclusive(cli: Cli) -> None:
    process, run_id = started(cli, QUIET % {"nodes": 1, "seconds": 10})
    kill(run_id, "monitor.1.json")
    code, result = finished(process)
    assert code == 6
    assert any("monitor" in reason for reason in result["blocking"])


def test_toxiproxy_dying_ends_the_run(cli: Cli) -> None:
    process, run_id = started(cli, QUIET % {"nodes": 1, "seconds": 20})
    kill(run_id, "-host")
    code, result = finished(process)
    assert code == 7
    assert "Toxiproxy died" in result["error"]
    assert not ours({run_id})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_cleanly_and_keeps_what_was_recorded(cli: Cli, number: signal.Signals) -> None:
    process, run_id = started(cli, QUIET % {"nodes": 1, "seconds": 20})
    process.send_signal(number)
    code, result = finished(process)
    assert code == 2
    assert result["counts"]["sent"] > 0
    run_dir = only(cli.reports)
    assert (run_dir / "report.html").exists()
    assert not ours({run_id})
    assert not list((cli.home / "state" / "runs").iterdir())
    assert cli.run("check", run_dir).returncode == 2


def test_a_violation_proven_before_the_interruption_stands(cli: Cli) -> None:
    text = (Path(__file__).parents[2] / "scenarios" / "canary" / "no-message-ids.yaml").read_text(encoding="utf-8")
    text = re.sub(r"must_fail: .*", "", text).replace("loss: {messages_max: 0, examined_min: 800}", "loss: {}")
    text = text.replace("examined_min: 800", "examined_min: 1").replace("duration: 7s", "duration: 17s")
    process, _ = started(cli, text, until=lambda: _second_copy(cli.reports))
    process.send_signal(signal.SIGINT)
    code, result = finished(process)
    assert code == 1, result["headline"]


def test_check_judges_again_and_agrees(cli: Cli) -> None:
    code, result, _ = cli.run_scenario(QUIET % {"nodes": 1, "seconds": 2})
    assert code == 0, result["headline"]
    again = cli.run("check", only(cli.reports), "--json")
    assert again.returncode == 0
    assert "agrees" in again.stderr
    assert json.loads(again.stdout)["checks"] == result["checks"]


def test_a_truncated_journal_is_noticed_when_judged_again(cli: Cli) -> None:
    cli.run_scenario(QUIET % {"nodes": 1, "seconds": 2})
    run_dir = only(cli.reports)
    journal = run_dir / "history" / "c0.1.journal"
    os.truncate(journal, journal.stat().st_size - 48 * 40 - 7)
    again = cli.run("check", run_dir)
    assert again.returncode == 8, again.stdout
    assert "differs" in again.stderr
    assert "history/c0.1.journal has" in again.stdout.replace("\n", " ")


def test_a_broker_that_does_not_start_explains_itself(cli: Cli) -> None:
    text = QUIET.replace("{nodes: %(nodes)d}", "{nodes: 1, config: {jetstream: {max_mem: nonsense}}}") % {"seconds": 2}
    code, result, _ = cli.run_scenario(text)
    assert code == 7
    assert "max_mem" in result["error"]


def test_a_version_that_does_not_exist_is_refused_before_anything_is_started(cli: Cli) -> None:
    good = cli.write(QUIET % {"nodes": 1, "seconds": 2}, "a.yaml")
    bad = cli.write((QUIET % {"nodes": 1, "seconds": 2}).replace("nats-2", "nats-2.99.0"), "b.yaml")
    done = cli.run("run", good, bad, "--reports", cli.reports)
    assert done.returncode == 4
    assert "there is no nats-server 2.99.0; the nearest released versions are 2." in done.stderr.replace("\n", " ")
    assert not cli.reports.exists()


def test_a_full_disk_is_never_green(cli: Cli) -> None:
    """The run directory on a file system of 3 MiB: journals or the broker's log cannot be written any more."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = cli.home / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], check=True)
    try:
        text = (QUIET % {"nodes": 1, "seconds": 8}).replace("rate: 100/s", "rate: 2000/s, payload: 2KiB")
        done = cli.run("run", cli.write(text), "--reports", small)
        assert done.returncode in {1, 6, 7}, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert not ours({path.name[:22] for path in small.iterdir()})
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def _second_copy(reports: Path) -> bool:
    """Tell whether the consumers have been given more distinct offsets than there are values."""
    for run_dir in reports.glob("*"):
        if not (run_dir / "facts.json").exists() or not list((run_dir / "history").glob("c0.1.journal")):
            continue
        deliveries = History.load(run_dir).index.deliveries
        known = deliveries.value >= 0
        if len(set(deliveries.offset[known].tolist())) > len(set(deliveries.value[known].tolist())):
            return True
    return False

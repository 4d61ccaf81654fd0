"""A suite on real brokers: two runs side by side, the death of the suite in the middle, and what resumes it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from support.cli_runner import Cli, ours

from harness.errors import ExitCode
from harness.history.events import PhaseEvent
from harness.history.read import History
from harness.report.suite_json import from_json
from harness.suite_result import SuiteResult

SCENARIO = """
version: 1
title: A short run
seed: 5
broker: nats-2
cluster: {nodes: 1}
workload: {producers: 1, consumers: 1, partitions: 2, keys: 8, rate: 50/s, warmup: 1s, duration: %ds, drain: 30s}
expect:
  loss: {examined_min: 50}
  order: {}
"""
DEADLINE_S = 120.0


def test_a_killed_suite_leaves_no_orphan_and_is_resumed(cli: Cli) -> None:
    short = cli.write(SCENARIO % 4, "short.yaml")
    long = cli.write(SCENARIO % 20, "long.yaml")
    words = ("suite", short, long, "--runtime", "process", "--reports", cli.reports, "--cores", "1")
    process = cli.start(*words)
    _until(lambda: len(set(ours(_runs(cli)).values())) == 2 and len(_running(cli)) == 2, "the runs did not start")
    runs = _runs(cli)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    killed = time.monotonic()
    _until(lambda: not ours(runs) and not _running(cli), "a run goes on without its suite")
    print(f"after the death of the suite its runs went on for {time.monotonic() - killed:.1f} s")

    before = _suite(cli)
    assert not before.complete
    assert before.exit_code == ExitCode.INTERRUPTED
    missing = [entry for entry in before.entries if entry.state == "missing"]
    assert missing
    assert all(entry.reason for entry in missing)

    done = cli.run("suite", "--resume", "--reports", cli.reports, "--json", "--cores", "1")
    assert done.returncode == ExitCode.PASS, done.stdout + done.stderr
    after = from_json(done.stdout)
    assert after == _suite(cli)
    assert after.complete
    assert [entry.exit_code for entry in after.entries] == [0, 0]
    kept = {entry.key: entry for entry in before.entries if entry.state == "ended"}
    assert all(kept.get(entry.key, entry) == entry for entry in after.entries)
    assert _runs(cli) == set()
    assert ours(runs) == {}


def test_two_runs_go_on_at_the_same_time_and_start_one_after_the_other(cli: Cli) -> None:
    files = [cli.write(SCENARIO % 6, name) for name in ("one.yaml", "two.yaml")]
    done = cli.run("suite", *files, "--runtime", "process", "--reports", cli.reports, "--json", "--cores", "1")
    assert done.returncode == ExitCode.PASS, done.stdout + done.stderr
    folder = next(cli.reports.glob("*/suite.json")).parent
    spans = []
    for entry in from_json(done.stdout).entries:
        phases = {event.phase: event.t for event in History.load(folder / entry.run_dir).of_kind(PhaseEvent)}
        spans.append((phases["up"], phases["warmup"], phases["end"]))
        assert entry.neighbours_max == 1
        assert entry.usage is not None
    (up, serves, end), (later_up, _, _) = sorted(spans)
    assert up < serves <= later_up < end
    assert (folder / "index.html").exists()
    assert json.loads((folder / "suite.json").read_text(encoding="utf-8"))["complete"]


def test_what_a_killed_run_leaves_behind_is_removed_and_its_sibling_passes(cli: Cli) -> None:
    files = [cli.write(SCENARIO % 12, name) for name in ("victim.yaml", "sibling.yaml")]
    options = ("--runtime", "process", "--reports", cli.reports, "--cores", "1", "--json")
    process = cli.start("suite", *files, *options)
    _until(lambda: len(_leases(cli)) == 2 and len(set(ours(_runs(cli)).values())) == 2, "the runs did not start")
    run_id, pid = next((run, pid) for run, (pid, place) in _leases(cli).items() if place.endswith("-victim"))
    os.kill(pid, signal.SIGKILL)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == ExitCode.ENVIRONMENT, out + err
    victim, sibling = from_json(out).entries
    assert (victim.state, victim.exit_code, victim.run_id) == ("missing", ExitCode.ENVIRONMENT, run_id)
    assert (sibling.state, sibling.exit_code) == ("ended", ExitCode.PASS)
    assert f"removed what run {run_id} left behind: process" in err
    assert ours({run_id}) == {}
    assert _runs(cli) == set()


def test_ctrl_c_ends_all_runs_cleanly_and_says_how_to_go_on(cli: Cli) -> None:
    files = [cli.write(SCENARIO % 30, name) for name in ("one.yaml", "two.yaml")]
    process = cli.start("suite", *files, "--runtime", "process", "--reports", cli.reports, "--cores", "1")
    _until(lambda: len(_leases(cli)) == 2 and len(set(ours(_runs(cli)).values())) == 2, "the runs did not start")
    runs = _runs(cli)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == ExitCode.INTERRUPTED, out + err
    result = _suite(cli)
    assert [(entry.state, entry.exit_code) for entry in result.entries] == [("missing", ExitCode.INTERRUPTED)] * 2
    (folder,) = (path.parent for path in cli.reports.glob("*/suite.json"))
    assert all((folder / entry.run_dir / "result.json").exists() for entry in result.entries)
    assert f"harness suite --resume {folder}" in out.replace("\n", "")
    assert "left behind" not in err
    assert ours(runs) == {}
    assert _runs(cli) == set()


def _leases(cli: Cli) -> dict[str, tuple[int, str]]:
    """Return run → (its process, its run directory) of every run that holds a lease."""
    found = {}
    for run in _runs(cli):
        with contextlib.suppress(OSError, IndexError, ValueError):
            text = (cli.home / "state" / "runs" / run / "ledger.jsonl").read_text(encoding="utf-8")
            first = json.loads(text.splitlines()[0])
            found[run] = first["pid"], first["run_dir"]
    return found


def _until(happened: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, why
        time.sleep(0.05)


def _runs(cli: Cli) -> set[str]:
    """Return the runs that hold, or held, a lease."""
    state = cli.home / "state" / "runs"
    return {entry.name for entry in state.iterdir() if not entry.name.startswith(".")} if state.is_dir() else set()


def _running(cli: Cli) -> list[int]:
    """Return the processes of runs of this test's suite."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"harness.suites.child" in words and str(cli.home).encode() in environment:
                found.append(int(entry.name))
    return found


def _suite(cli: Cli) -> SuiteResult:
    (path,) = cli.reports.glob("*/suite.json")
    return from_json(path.read_text(encoding="utf-8"))

"""What reaches into a real run from outside is told by name and with times, and never becomes the broker's failure."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from support.cli_runner import Cli
from support.live_runs import QUIET, finished, only, pid_of, started

from harness.history.read import History
from harness.judging.outside import standstills

STRICT = QUIET + "  stall: {pause_max: 1s}\n"


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_whatever_part_is_stopped_from_outside_is_named(cli: Cli) -> None:
    process, run_id = started(cli, STRICT % {"nodes": 1, "seconds": 20})
    for pid in (pid_of(run_id, "c0.1.json"), pid_of(run_id, "nats.conf"), process.pid):
        with stopped(pid):
            time.sleep(2)  # how long it is stopped
    monitor = pid_of(run_id, "monitor.1.json")
    os.kill(monitor, signal.SIGSTOP)  # to the end
    code, result = finished(process)
    assert code == 6, result["headline"]
    told = " ".join(result["blocking"])
    for part in ("c0", "n1", "the harness itself", "monitor"):
        assert f"{part} was stopped from outside" in told, (part, result["blocking"])
    events = standstills(History.load(only(cli.reports)))
    assert "monitor" in {event.part for event in events if event.lasting}
    assert all(event.how == "stopped" for event in events)


def test_a_proxy_that_hangs_or_that_others_change_blocks_the_verdict(cli: Cli) -> None:
    # In a network of its own, the control port is out of reach: ``test_isolation``.
    process, run_id = started(cli, STRICT % {"nodes": 1, "seconds": 15}, words=("--isolate", "never"))
    proxy = pid_of(run_id, "-host")
    words = Path(f"/proc/{proxy}/cmdline").read_bytes().decode().split("\0")
    api = f"http://127.0.0.1:{words[words.index('-port') + 1]}"
    with stopped(proxy):
        time.sleep(5)  # longer than three answers that do not come
    relay: Any = {"name": "relay", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "enabled": True}
    assert requests.post(f"{api}/proxies", json=relay, timeout=5).status_code == 201
    code, result = finished(process)
    assert code == 6, result["headline"]
    told = " ".join(result["blocking"])
    assert "toxiproxy was stopped from outside" in told
    assert "link clients->n1 was out" in told
    assert "proxy relay was added from outside" in told
    assert "fail" not in {check["verdict"] for check in result["checks"] if check["expected"]}


def test_pauses_of_the_plan_are_none_of_it(cli: Cli) -> None:
    faults = """faults:
  - pause: {}
    on: {node: n1}
    at: 1s
    for: 1500ms
  - client_pause: {}
    on: {worker: c0}
    at: 4s
    for: 1500ms
"""
    code, result, _ = cli.run_decided((QUIET % {"nodes": 1, "seconds": 7}).replace("expect:", f"{faults}expect:"))
    assert code == 0, result["headline"]
    *_, run_dir = sorted(cli.reports.iterdir())
    assert standstills(History.load(run_dir)) == ()

"""Starts a run as a user would and reaches into it while it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from support.cli_runner import Cli, ours

QUIET = """
version: 1
title: Nothing happens to it
seed: 4
broker: nats-2
cluster: {nodes: %(nodes)d}
workload: {producers: 1, consumers: 1, partitions: 2, keys: 8, rate: 100/s, warmup: 1s, \
duration: %(seconds)ds, drain: 15s}
expect:
  loss: {messages_max: 0}
"""


def started(
    cli: Cli, text: str, until: Callable[[], bool] | None = None, words: Sequence[str] = ()
) -> tuple[subprocess.Popen[str], str]:
    """Start a run (with more ``words``) and wait until messages flow (or ``until``); return the process and the run's
    id.
    """
    process = cli.start("run", cli.write(text), "--reports", cli.reports, "--json", *words)
    deadline = time.monotonic() + 60
    while not (until or (lambda: _flows(cli.reports)))():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "the run did not get going"
        time.sleep(0.05)
    return process, only(cli.reports).name[:22]


def finished(process: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    """Wait for its end; return exit code and result."""
    out, err = process.communicate(timeout=200)
    assert "Traceback" not in err, err
    result: dict[str, Any] = json.loads(out)["results"][0]
    return process.returncode, result


def only(reports: Path) -> Path:
    """Return the one run directory."""
    (run_dir,) = (path for path in reports.iterdir() if path.is_dir())
    return run_dir


def pid_of(run_id: str, word: str) -> int:
    """Return the one process of a run whose command line contains ``word``."""
    (pid,) = [
        pid for pid in ours({run_id}) if word in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    ]
    return pid


def kill(run_id: str, word: str) -> None:
    """SIGKILL the one process of a run whose command line contains ``word``."""
    os.kill(pid_of(run_id, word), signal.SIGKILL)


def _flows(reports: Path) -> bool:
    return any(path.stat().st_size > 4096 + 48 * 200 for path in reports.glob("*/history/c0.1.journal"))

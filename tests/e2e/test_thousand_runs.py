"""A suite of many runs of the broker in memory: its memory, the store and its page stay bounded.

The broker is the fake of ``support/in_memory``; processes, run directories, reports and the store are real.
``HARNESS_RUNS`` takes another number of runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ExitCode
from harness.suites.ingest import ingest
from harness.suites.state import SuiteDir
from harness.suites.store import Store

RUNS = int(os.environ.get("HARNESS_RUNS", "1000"))
EARLY = RUNS // 10
GROWTH_MAX = 1.2
PAGE_BYTES_MAX = 5_000_000
PROGRAM = Path(__file__).parents[1] / "support" / "memory_suite.py"


@pytest.mark.tier("prove")
@pytest.mark.timeout(4 * 3600)
def test_a_suite_of_many_runs_stays_bounded(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM, "--many", str(RUNS), str(EARLY)],
        cwd=tmp_path,
        env=os.environ | {"HARNESS_STATE_DIR": str(tmp_path / "state")},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == ExitCode.PASS
    memory = {int(ended): int(taken) for ended, taken in (line.split() for line in done.stdout.splitlines())}
    print(f"resident memory of the suite: {memory}")
    assert memory[RUNS] <= GROWTH_MAX * memory[EARLY]

    (folder,) = (path.parent for path in (tmp_path / "reports").glob("*/suite.json"))
    result = SuiteDir(folder).read()
    assert len(result.entries) == RUNS
    assert result.complete
    assert len(list((folder / "runs").glob("*/result.json"))) == RUNS
    assert (folder / "index.html").stat().st_size < PAGE_BYTES_MAX
    with Store.open(tmp_path / "store.sqlite") as store:
        # Each run came in as it ended: adding the suite again adds nothing.
        again = ingest(store, [folder])
        assert (again.added, again.known, again.refused) == (0, RUNS, ())
    assert list((tmp_path / "state" / "runs").iterdir()) == []

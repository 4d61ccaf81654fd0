"""The environment of a worker: what its specification carries, what it inherits, and what each broker asks for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.brokers.base import BROKERS
from harness.clients.base import WorkerSpec
from harness.distributions.base import Installation
from harness.engine.rundir import new_run_id
from harness.runtime.ledger import Ledger
from harness.workload.environment import own_environment
from harness.workload.launcher import Worker

# Python runs a module of this name first of all, so the worker itself never begins.
TELLS = """
import json, os, pathlib
pathlib.Path(os.environ["TOLD"]).open("a").write(json.dumps(dict(os.environ)) + "\\n")
os._exit(0)
"""


def started_with(env: dict[str, str], tmp_path: Path, incarnations: int = 1, run_id: str = "") -> list[dict[str, Any]]:
    """Start a worker of a run, and return the environment of each of its processes."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(TELLS, encoding="utf-8")
    for folder in ("workers", "logs"):
        (tmp_path / folder).mkdir()
    spec = WorkerSpec(
        worker="c0",
        incarnation=1,
        role="consumer",
        broker="any",
        history_dir="",
        addresses=(),
        partitions=1,
        env={"PYTHONPATH": str(tmp_path / "path"), "TOLD": str(tmp_path / "told")} | env,
    )

    async def start() -> None:
        ledger = Ledger(run_id or new_run_id(), tmp_path)
        try:
            worker = Worker(spec, tmp_path, ledger, lambda *_: None)
            worker.expect_end()
            for _ in range(incarnations):
                await worker.start()
                await worker.finish(60.0)
        finally:
            ledger.close()

    asyncio.run(start())
    return [json.loads(line) for line in (tmp_path / "told").read_text(encoding="utf-8").splitlines()]


def test_a_worker_gets_what_its_specification_carries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("A_SECRET", "of the user")
    own = {"HOME": str(tmp_path / "home"), "LD_LIBRARY_PATH": "/a/library"}
    run_id = new_run_id()
    (before, after) = started_with(own, tmp_path, incarnations=2, run_id=run_id)
    for told in (before, after):
        assert {name: told[name] for name in own} == own  # HOME is inherited otherwise
        assert told["HARNESS_RUN"] == run_id
        assert "A_SECRET" not in told
    assert Path(own["HOME"]).is_dir()
    written = json.loads((tmp_path / "workers" / "c0.1.json").read_text(encoding="utf-8"))
    assert written["env"]["HOME"] == own["HOME"]


def test_a_worker_inherits_its_home_where_nothing_else_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", "/home/of/the/user")
    (told,) = started_with({}, tmp_path)
    assert told["HOME"] == "/home/of/the/user"


@pytest.mark.parametrize("kind", BROKERS.names())
def test_without_another_client_library_a_worker_needs_no_path(kind: str, tmp_path: Path) -> None:
    assert set(BROKERS.get(kind).worker_environment(None, tmp_path)) <= {"HOME"}


def test_another_version_of_the_client_is_found_before_the_installed_one(tmp_path: Path) -> None:
    library = Installation(command=(), directory=tmp_path / "library", versions={"confluent-kafka": "2.8.0"})
    environment = BROKERS.get("kafka").worker_environment(library, tmp_path / "c0")
    assert environment == {"PYTHONPATH": str(tmp_path / "library")}


def test_what_the_harness_finds_its_own_processes_find(monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"OPENBLAS_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    monkeypatch.setenv("PYTHONPATH", "/plug-ins")
    assert own_environment({"PYTHONPATH": "/library", "A": "b"}) == one | {"PYTHONPATH": "/library:/plug-ins", "A": "b"}
    assert own_environment({}) == one | {"PYTHONPATH": "/plug-ins"}
    monkeypatch.delenv("PYTHONPATH")
    assert own_environment({"PYTHONPATH": "/library"}) == one | {"PYTHONPATH": "/library"}
    assert own_environment({}) == one
    wish = {"OPENBLAS_NUM_THREADS": "4"}
    assert own_environment(wish) == one | wish, "a worker's own wish counts"


@pytest.mark.parametrize("role", ["worker", "monitor"])
def test_a_process_of_ours_looks_for_garbage_only_once_it_has_loaded_its_modules(role: str) -> None:
    code = f"""
import gc, importlib, sys
from harness.workload import start
module = importlib.import_module("harness.workload.{role}")
module.main = lambda: print(gc.isenabled(), sys.argv[1:])
sys.argv[1:] = ["{role}", "spec.json"]
start.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False ['spec.json']\n"


def test_a_worker_of_ours_does_not_look_for_third_parties_clients() -> None:
    code = """
import sys
from harness.clients.base import CLIENTS
CLIENTS.get("kafka")
print("importlib.metadata" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

"""Runs recorded by an earlier version are judged as they were then: verdicts, measures and findings, wording apart.

They were recorded before there was a manifest, and each was given one later: without it, none passes.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.recorded_runs import differing

from harness.history.event_form import from_json, to_line
from harness.history.facts import Facts
from harness.history.manifest import MANIFEST, write_manifest
from harness.history.read import RECORD_DTYPE
from harness.history.record import HEADER_BYTES, RecordKind
from harness.session.check_again import check_again
from harness.session.selection import replan
from harness.verdict import Verdict

RECORDED = Path(__file__).parents[2] / "corpus" / "recorded"
RUNS = sorted(path.name for path in RECORDED.iterdir())


def test_five_runs_are_kept() -> None:
    verdicts = {json.loads((RECORDED / name / "result.json").read_text(encoding="utf-8"))["verdict"] for name in RUNS}
    assert len(RUNS) == 5
    assert verdicts == {"pass", "fail"}


@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_run_is_judged_as_it_was(name: str) -> None:
    assert differing(RECORDED / name) == []


@pytest.mark.parametrize("name", RUNS)
def test_a_run_directory_of_the_first_format_is_judged_and_never_passes(name: str, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / name, run_dir)
    (run_dir / MANIFEST).unlink()
    before = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    again = check_again(run_dir)
    result = again.result
    assert result.verdict is (Verdict.INCONCLUSIVE if before["verdict"] == "pass" else Verdict.FAIL)
    assert result.blocking[0].startswith("the run directory has format 1, without manifest.json")
    assert len(result.checks) > 5
    assert again.verdict_differs  # of a canary, the outcome does
    assert differing(run_dir) == []  # the manifest is all that it lacks


@pytest.mark.parametrize("name", RUNS)
def test_a_recorded_run_in_the_form_of_today_is_judged_as_it_was(name: str, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / name, run_dir)
    Facts.load(run_dir / "facts.json").save(run_dir / "facts.json")
    for path in run_dir.glob("history/*.events.jsonl"):
        lines = path.read_bytes().splitlines()
        path.write_bytes(b"".join(to_line(from_json(json.loads(line))) for line in lines))
    write_manifest(run_dir)
    assert differing(run_dir) == []


def test_what_a_run_took_of_the_machine_stays_as_it_was_measured(tmp_path: Path) -> None:
    """Of the session that ran it, else of the engine; never of judging it again."""
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "leader-kill", run_dir)
    used = {"cpu_ns": {"nodes": 5, "harness": 3}, "memory_peak_bytes": 7, "wall_ns": 9, "machine_cores": 2.0}
    for name in ("run.json", "result.json"):
        content = json.loads((run_dir / name).read_text(encoding="utf-8"))
        used["wall_ns"] = len(name)
        content["usage"] = used | {"machine_busy": 0.5}
        (run_dir / name).write_text(json.dumps(content), encoding="utf-8")
    write_manifest(run_dir)
    usage = check_again(run_dir)[0].usage
    assert usage is not None
    assert (usage.cpu_ns, usage.wall_ns, usage.machine_busy) == ({"nodes": 5, "harness": 3}, len("result.json"), 0.5)
    (run_dir / "result.json").unlink()
    usage = check_again(run_dir)[0].usage
    assert usage is not None
    assert usage.wall_ns == len("run.json")
    content = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    content["usage"] = used  # not all of it
    (run_dir / "run.json").write_text(json.dumps(content), encoding="utf-8")
    assert check_again(run_dir)[0].usage is None


def test_a_state_of_the_group_that_the_facts_do_not_name_forbids_a_pass(tmp_path: Path) -> None:
    """Renamed, the rebalances of the run are not seen; that they were none is not proven."""
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "session-timeout", run_dir)
    for path in run_dir.glob("history/*.events.jsonl"):
        path.write_bytes(path.read_bytes().replace(b'"preparing_rebalance"', b'"shuffling"'))
    write_manifest(run_dir)
    result = check_again(run_dir)[0]
    said = "the broker reported the group as shuffling, and the facts of the run do not say what that means"
    assert result.verdict is not Verdict.PASS
    assert said in result.blocking
    (rebalances,) = (check for check in result.checks if check.check == "rebalances")
    assert rebalances.verdict is not Verdict.PASS
    assert said in rebalances.reasons


LEFT = "the run directory is not as its run left it: "


def _written_by_workers(name: str) -> list[str]:
    names = sorted(path.name for path in (RECORDED / name / "history").iterdir())
    return [file for file in names if not file.startswith("audit.")]


@pytest.mark.parametrize("file", _written_by_workers("leader-kill"))
def test_a_run_that_lost_one_of_its_files_does_not_pass(file: str, tmp_path: Path) -> None:
    """What the audit read is no worker's; without it the drain alone proves that no message is lost."""
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "leader-kill", run_dir)
    (run_dir / "history" / file).unlink()
    assert check_again(run_dir)[0].blocking == (f"{LEFT}history/{file} is missing",)
    write_manifest(run_dir)  # even were it not in the manifest
    result = check_again(run_dir)[0]
    assert result.verdict is not Verdict.PASS
    name, what = file.split(".", maxsplit=1)[0], "journal" if file.endswith(".journal") else "events"
    if file not in {"engine.events.jsonl", "monitor.1.journal"}:
        assert f"the {what} of {name}.1 {'is' if what == 'journal' else 'are'} missing" in result.blocking


def test_a_run_whose_engine_wrote_no_end_does_not_pass(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "leader-kill", run_dir)
    path = run_dir / "history" / "engine.events.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for kept in range(0, len(lines), 3):
        path.write_bytes(b"".join(lines[:kept]))
        write_manifest(run_dir)
        assert check_again(run_dir)[0].verdict is not Verdict.PASS, kept
    path.write_bytes(b"".join(lines[:-1]))
    write_manifest(run_dir)
    assert check_again(run_dir)[0].blocking == ("the engine's events end before the run did",)


@pytest.mark.parametrize(
    ("must_fail", "outcome"),
    [("[loss]", Verdict.FAIL), ("[log]", Verdict.FAIL), ("[loss, log]", Verdict.PASS)],
)
def test_a_canary_declares_a_check_that_counts_in_every_run(must_fail: str, outcome: Verdict, tmp_path: Path) -> None:
    """Its stream is gone, so that loss and log fail."""
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "memory-restart", run_dir)
    path = run_dir / "scenario.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("must_fail: [loss, log]", f"must_fail: {must_fail}"), "utf-8"
    )
    saved = json.loads((run_dir / "plan.json").read_text(encoding="utf-8"))
    plan = replan(path.read_text(encoding="utf-8"), saved["file"], saved["variant"], saved["seed"])
    (run_dir / "plan.json").write_text(json.dumps(saved | {"digest": plan.digest}), encoding="utf-8")
    write_manifest(run_dir)
    result = check_again(run_dir).result
    assert {check.check for check in result.checks if check.expected and check.verdict is Verdict.FAIL} == {
        "loss",
        "log",
    }
    assert result.outcome is outcome


def test_a_proof_that_failed_forbids_a_pass(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "leader-kill", run_dir)
    path = run_dir / "history" / "engine.events.jsonl"
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    proof = max(index for index, line in enumerate(lines) if line["kind"] == "proof")
    lines[proof]["proven"] = False
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    write_manifest(run_dir)
    result = check_again(run_dir)[0]
    assert (result.verdict, result.blocking) == (
        Verdict.INCONCLUSIVE,
        ("no proof that all client traffic went through Toxiproxy",),
    )


def test_a_changed_history_is_judged_otherwise(tmp_path: Path) -> None:
    """The comparison can fail: without the deliveries of one consumer the same run has lost messages."""
    run_dir = tmp_path / "run"
    shutil.copytree(RECORDED / "memory-restart", run_dir)
    (path,) = run_dir.glob("history/c0.1.journal")
    content = path.read_bytes()
    records = np.frombuffer(content[HEADER_BYTES:], RECORD_DTYPE)
    path.write_bytes(content[:HEADER_BYTES] + records[records["kind"] != RecordKind.DELIVERED][:0].tobytes())
    write_manifest(run_dir)
    assert any(line.startswith("checks[") for line in differing(run_dir))

"""Everyday commands: list, copy, clean, completion, and what a run line does before and after its runs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import report_samples as samples
from support.junit_page import parse_junit

from harness.commands import completion
from harness.commands.cli import _run_guarded, cli
from harness.errors import ExitCode
from harness.result import RunResult
from harness.scenario.load import load_file
from harness.session import kept_runs as kept
from harness.session.selection import Selected
from harness.session.vocabulary import vocabulary
from harness.shipped import EDITOR_LINE, scenario_names, shipped
from harness.verdict import Verdict

TEXT = (
    "version: 1\ntitle: T\ntags: [gate]\nbroker: nats-2\nmatrix: {workload.rate: [10/s, 20/s]}\nexpect:\n  loss: {}\n"
)


def _code(*words: str, runs: _Runs | None = None) -> int:
    return _run_guarded(lambda: cli.main(args=list(words), standalone_mode=False, obj=runs))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text(TEXT, encoding="utf-8")
    (tmp_path / "reports").mkdir()
    return tmp_path


class _Runs:
    """Stands in for the runs of a session: each plan ends with the next code."""

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.asked: list[str] = []

    def __call__(self, selected: list[Selected], **settings: object) -> list[RunResult]:
        results = []
        for item in selected:
            code = self.codes.pop(0)
            plan = item.plan
            self.asked.append(", ".join(plan.variant.values()))
            made = samples.failing() if code == 1 else samples.passing()
            results.append(
                replace(made, file=plan.file, variant=plan.variant, digest=plan.digest, exit_code=code, scenario="a")
            )
        return results


def test_what_failed_is_run_again_by_last_failed(here: Path) -> None:
    runs = _Runs(0, 1, 0)
    assert _code("run", "a.yaml", "-q", runs=runs) == ExitCode.VIOLATED
    assert _code("run", "a.yaml", "--last-failed", "-q", runs=runs) == ExitCode.PASS
    assert runs.asked == ["10/s", "20/s", "20/s"]
    assert _code("run", "a.yaml", "--last-failed", runs=runs) == ExitCode.NOTHING_SELECTED


def test_a_junit_file_that_cannot_be_written_is_refused_before_the_first_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = _Runs()
    assert _code("run", "a.yaml", "--junit", "missing/j.xml", runs=runs) == ExitCode.ENVIRONMENT
    assert _code("run", "a.yaml", "--junit", "reports", runs=runs) == ExitCode.ENVIRONMENT
    assert runs.asked == []
    said = capsys.readouterr().err
    assert "cannot write missing/j.xml" in said
    assert list(here.glob(".*.xml*")) == []


def test_what_this_machine_cannot_run_is_counted_and_not_failed(here: Path) -> None:
    (here / "b.yaml").write_text(
        TEXT.replace("cluster", "c").replace(
            "broker: nats-2\n", "broker: nats-2.12.8\ncluster: {image: 'nats:2.12.8'}\n"
        ),
        encoding="utf-8",
    )
    done = CliRunner().invoke(
        cli,
        ["run", ".", "--skip-unfit", "--runtime", "process", "--json", "--junit", "j.xml"],
        catch_exceptions=False,
        obj=_Runs(0, 0),
    )
    found = json.loads(done.stdout)
    assert (found["exit_code"], len(found["results"]), len(found["skipped"])) == (0, 2, 2)
    assert "names the image" in found["skipped"][0]["reason"]
    root = parse_junit((here / "j.xml").read_text(encoding="utf-8"))
    assert len(list(root.iter("skipped"))) == 2


def test_quiet_prints_a_line_a_run_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    from harness.progress import Note, RunFinished
    from harness.report.terminal import TerminalListener, consoles

    progress, verdict = consoles(colour=False)
    with TerminalListener(progress, verdict, quiet=True) as listener:
        listener(Note(text="chatter"))
        listener(Note(text="heed this", warning=True))
        listener(RunFinished(result=samples.passing()))
        listener(RunFinished(result=samples.failing()))
    shown = capsys.readouterr()
    assert "chatter" not in shown.err
    assert "heed this" in shown.err
    lines = shown.out.splitlines()
    assert lines[0].startswith("PASS  ")
    assert lines[1].startswith("FAIL  ")
    assert "harness replay" in lines[-1]


def test_shipped_scenarios_are_listed_and_copied_with_their_schema(here: Path) -> None:
    listed = CliRunner().invoke(cli, ["list", "--tag", "kafka and gate", "--json"])
    found = json.loads(listed.output)
    assert found
    assert all({"kafka", "gate"} <= set(item["tags"]) for item in found)
    done = CliRunner().invoke(cli, ["copy", found[0]["name"], "mine.yaml"])
    assert done.exit_code == 0, done.output
    lines = (here / "mine.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0] == f"{EDITOR_LINE}scenario.schema.json"
    assert json.loads((here / "scenario.schema.json").read_text(encoding="utf-8"))["type"] == "object"
    assert load_file(here / "mine.yaml", vocabulary()).problems == ()
    assert _code("copy", found[0]["name"], "mine.yaml") == ExitCode.USAGE
    assert _code("copy", found[0]["name"], "mine.yaml", "--force") == ExitCode.PASS
    assert _code("copy", "latencey") == ExitCode.USAGE


def test_every_shipped_scenario_names_its_schema_for_editors() -> None:
    folder = shipped("scenarios")
    assert scenario_names()
    for name in scenario_names():
        path = folder / f"{name}.yaml"
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert first.startswith(EDITOR_LINE), name
        assert (path.parent / first.removeprefix(EDITOR_LINE)).resolve().is_file(), name


def _run_dir(reports: Path, number: int) -> Path:
    path = reports / f"20261129-10150{number}-abcde{number}-latency"
    path.mkdir()
    (path / "plan.json").write_text("{}", encoding="utf-8")
    return path


def test_old_run_directories_go_and_nothing_else(here: Path) -> None:
    reports = here / "reports"
    runs = [_run_dir(reports, number) for number in range(4)]
    other = reports / "20261129-101500-abcdef-notes"
    other.mkdir()  # no plan: it is none of ours
    assert [run.path for run in kept.kept_runs(reports)] == runs
    gone, left = kept.remove_runs(kept.kept_runs(reports), 1, {"20261129-101500-abcde0"})
    assert ([run.path for run in gone], left) == (runs[1:3], [])
    assert runs[0].is_dir(), "it goes on"
    assert runs[3].is_dir()
    assert other.is_dir()
    shown = CliRunner().invoke(cli, ["clean", "--dry-run"]).output
    assert "2 run directories in reports take" in shown
    assert _code("clean", "--runs") == ExitCode.USAGE
    assert _code("clean", "--keep", "3") == ExitCode.USAGE
    assert _code("clean", "--runs", "--keep", "0", "--dry-run") == ExitCode.PASS
    assert runs[3].is_dir()


def test_completion_offers_tags_faults_scenarios_and_paths(here: Path) -> None:
    (here / "scenarios").mkdir()
    (here / "scenarios" / "b.yaml").write_text(TEXT.replace("gate", "glacial"), encoding="utf-8")
    (here / "scenarios" / "spoilt.yaml").write_text("[", encoding="utf-8")
    offered = [item.value for item in completion.complete_tags(None, None, "not gl")]  # type: ignore[arg-type]
    assert offered == ["not glacial"]
    assert "kafka" in [item.value for item in completion.complete_tags(None, None, "")]  # type: ignore[arg-type]
    assert [item.value for item in completion.complete_faults(None, None, "laten")] == ["latency"]  # type: ignore[arg-type]
    assert [item.value for item in completion.scenario_paths(None, None, "scenarios/b")] == ["scenarios/b.yaml"]  # type: ignore[arg-type]
    assert "gate/latency" in [item.value for item in completion.complete_scenarios(None, None, "gate/")]  # type: ignore[arg-type]


def test_the_package_is_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "harness", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("harness, version ")


def test_why_a_run_did_not_complete_is_said_once() -> None:
    from io import StringIO

    from rich.console import Console

    from harness.report.text import render_result

    result = samples.unfit()
    result = replace(
        result, blocking=(f"the run did not complete: {result.error.splitlines()[0]}",), outcome=Verdict.INCONCLUSIVE
    )
    stream = StringIO()
    render_result(result, Console(file=stream, width=200))
    assert stream.getvalue().count(result.error.splitlines()[0]) == 1

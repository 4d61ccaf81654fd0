"""Everyday commands: list, copy, clean, completion, and what a run line does before and after its runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import report_samples as samples
from support.junit_page import parse_junit

import harness
from harness.commands import completion, run_session
from harness.commands.cli import _run_guarded, cli
from harness.commands.run import run
from harness.commands.run_session import RunLine, run_line
from harness.errors import ExitCode
from harness.result import RunResult
from harness.scenario.load import load_file
from harness.session import kept_runs as kept
from harness.session.selection import Selected
from harness.session.session import Written
from harness.session.vocabulary import vocabulary
from harness.shipped import EDITOR_LINE, scenario_names, shipped
from harness.verdict import Verdict

TEXT = (
    "version: 1\ntitle: T\ntags: [gate]\nbroker: nats-2\nmatrix: {workload.rate: [10/s, 20/s]}\nexpect:\n  loss: {}\n"
)


def _code(*words: str) -> int:
    return _run_guarded(lambda: cli.main(args=list(words), standalone_mode=False))


def _ran(runs: _Runs, *words: str) -> int:
    """Return the exit code of ``harness run`` with these words, its runs made by ``runs``."""
    return _run_guarded(lambda: run_line(RunLine(**run.make_context("run", list(words)).params), runs))


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
        self.seen: list[str] = []

    def __call__(
        self, selected: Sequence[Selected], *, written: Written = lambda _: None, **settings: object
    ) -> list[RunResult]:
        results: list[RunResult] = []
        for item in selected:
            code = self.codes.pop(0)
            plan = item.plan
            self.asked.append(", ".join(plan.variant.values()))
            made = samples.failing() if code == 1 else samples.passing()
            results.append(
                replace(
                    made,
                    run_id=f"run-{len(results)}",
                    file=plan.file,
                    variant=plan.variant,
                    digest=plan.digest,
                    exit_code=code,
                    scenario="a",
                )
            )
            written(results)
            self.seen.append(Path("s.md").read_text(encoding="utf-8") if Path("s.md").exists() else "")
        return results


def test_what_failed_is_run_again_by_last_failed(here: Path) -> None:
    runs = _Runs(0, 1, 0)
    assert _ran(runs, "a.yaml", "-q") == ExitCode.VIOLATED
    assert _ran(runs, "a.yaml", "--last-failed", "-q") == ExitCode.PASS
    assert runs.asked == ["10/s", "20/s", "20/s"]
    assert _ran(runs, "a.yaml", "--last-failed") == ExitCode.NOTHING_SELECTED


def test_a_junit_file_that_cannot_be_written_is_refused_before_the_first_run(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = _Runs()
    assert _ran(runs, "a.yaml", "--junit", "missing/j.xml") == ExitCode.ENVIRONMENT
    assert _ran(runs, "a.yaml", "--junit", "reports") == ExitCode.ENVIRONMENT
    assert runs.asked == []
    said = capsys.readouterr().err
    assert "cannot write missing/j.xml" in said
    assert list(here.glob(".*.xml*")) == []


def test_the_summary_is_written_after_every_run_and_holds_no_more_than_one(here: Path) -> None:
    (here / "s.md").write_text("# another step\n", encoding="utf-8")
    runs = _Runs(0, 1)
    assert _ran(runs, "a.yaml", "-q", "--summary", "s.md") == ExitCode.VIOLATED
    first, _ = runs.seen
    assert first.startswith("# another step\n## NOT COMPLETE: a\n\n1 run passed; 1 run is not made. ")
    last = (here / "s.md").read_text(encoding="utf-8")
    assert last.startswith("# another step\n## FAIL: a\n\n1 run of 2 did not pass. ")
    assert last.count("\n## ") == 1


def test_junit_is_written_once_a_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(run_session, "write_junit", lambda results, *_: written.append(len(results)))
    assert _ran(_Runs(0, 0), "a.yaml", "-q", "--junit", "j.xml") == ExitCode.PASS
    assert written == [1, 2]


def test_one_report_that_cannot_be_written_costs_no_other(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Removing(_Runs):
        def __call__(self, *args: object, **settings: object) -> list[RunResult]:
            (here / "gone").rmdir()
            return super().__call__(*args, **settings)  # type: ignore[arg-type]

    (here / "gone").mkdir()
    words = ("a.yaml", "-q", "--junit", "gone/j.xml", "--summary", "s.md")
    assert _ran(Removing(0, 0), *words) == ExitCode.ENVIRONMENT
    assert "cannot write gone/j.xml" in capsys.readouterr().err
    assert "all 2 runs passed" in (here / "s.md").read_text(encoding="utf-8")
    assert _ran(_Runs(), "a.yaml", "--last-failed") == ExitCode.NOTHING_SELECTED, "how they ended is kept"


def test_what_this_machine_cannot_run_is_counted_and_not_failed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "b.yaml").write_text(
        TEXT.replace("cluster", "c").replace(
            "broker: nats-2\n", "broker: nats-2.12.8\ncluster: {image: 'nats:2.12.8'}\n"
        ),
        encoding="utf-8",
    )
    words = (".", "--skip-unfit", "--runtime", "process", "--json", "--junit", "j.xml")
    assert _ran(_Runs(0, 0), *words) == ExitCode.PASS
    found = json.loads(capsys.readouterr().out)
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


def test_copying_a_scenario_with_an_application_brings_its_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _code("copy", "applications/nats-application", "mine.yaml") == ExitCode.PASS
    assert (tmp_path / "nats_consumer.py").read_text().startswith('"""A JetStream consumer')
    assert not (tmp_path / "kafka_consumer.py").exists()
    (tmp_path / "mine.yaml").unlink()
    assert _code("copy", "applications/nats-application", "mine.yaml") == ExitCode.USAGE, "the program is there"
    assert not (tmp_path / "mine.yaml").exists()
    assert _code("copy", "applications/nats-application", "mine.yaml", "--force") == ExitCode.PASS


def test_a_module_of_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    """``-m`` looks there first, so that a user's own ``numpy.py`` would run, as root in CI."""
    for name in ("numpy", "yaml", "click", "rich", "decimal"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('my own {name}')", encoding="utf-8")
    words = [sys.executable, "-m", "harness", "faults"]
    # The package must be found elsewhere than in the working directory, as where it is installed.
    environment = {**os.environ, "PYTHONPATH": str(Path(harness.__file__).parents[1])}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "my own" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert "latency" in done.stdout


def test_a_scenario_that_is_like_none_shipped_is_not_answered_with_all_their_names(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _code("copy", "../../etc/passwd") == ExitCode.USAGE
    said = capsys.readouterr().err
    assert "no scenarios are called" in said
    assert "`harness list` shows all of them" in said
    assert len(said) < 300
    assert _code("copy", "latncy") == ExitCode.USAGE
    assert "did you mean 'latency'?" in capsys.readouterr().err

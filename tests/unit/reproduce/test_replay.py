"""The same plan again: from a run directory or a bundle, with the same software, and how often it ends the same."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import signal
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support import report_samples as samples
from support.in_memory import MemoryParts
from support.in_memory_runtime import MemoryCluster
from support.run_dirs import WORDS, make_run

from harness.brokers.base import BROKERS
from harness.distributions.base import Distribution
from harness.engine.parts import pinned, pinned_clients
from harness.engine.rundir import RunDir
from harness.errors import ExitCode, UnfitEnvironmentError, UsageError
from harness.interval import wilson
from harness.progress import Event
from harness.report.badge import replay_command
from harness.reproduce.bundle import NEEDED, opened, write_bundle
from harness.reproduce.original import read_original
from harness.reproduce.replay import counted, replay, words
from harness.result import RunResult
from harness.scenario.application import application_of, directory_of
from harness.scenario.plan import canonical
from harness.session.selection import select
from harness.session.signals import Signals
from harness.verdict import Verdict

RECORDED = Path(__file__).parents[2] / "corpus" / "recorded" / "leader-kill"


def _silent(_: Event) -> None:
    pass


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that failed."""
    return Path(make_run("losing", tmp_path_factory.mktemp("runs")).run_dir).resolve()


@pytest.mark.parametrize(
    ("shown", "runs", "low", "high"),
    [(0, 0, 0, 1), (0, 5, 0, 0.4345), (5, 5, 0.5655, 1), (3, 5, 0.2307, 0.8824), (10, 100, 0.0552, 0.1744)],
)
def test_the_interval_is_wilson_s(shown: int, runs: int, low: float, high: float) -> None:
    assert wilson(shown, runs) == pytest.approx((low, high), abs=1e-4)
    with pytest.raises(ValueError, match="no share"):
        wilson(runs + 1, runs)


def test_a_run_is_made_again_with_the_very_same_plan_and_counted(
    lost: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # from anywhere
    original = read_original(lost, WORDS)
    assert (original.outcome, original.violated) == (Verdict.FAIL, frozenset({"loss"}) | original.violated)
    parts = MemoryParts(MemoryCluster(loses=frozenset({10, 11})))
    made = replay(original, 2, tmp_path / "reports", _silent, parts)
    assert {result.digest for result in made.results} == {original.selected.plan.digest}
    assert (made.shown, made.counted, made.asked) == (2, 2, 2)
    assert words(original, made)[0].startswith("2 of 2 runs ended as the original did (fail: ")
    assert made.exit_code == 1


def test_a_signal_between_two_runs_ends_a_replay_that_is_not_green(lost: Path, tmp_path: Path) -> None:
    original = read_original(lost, WORDS)
    seen: list[int] = []
    signals = Signals(lambda _: None)

    def written(results: Sequence[RunResult]) -> None:
        seen.append(len(results))
        signals._receive(signal.SIGINT, None)

    made = replay(
        original, 3, tmp_path / "reports", _silent, MemoryParts(MemoryCluster()), signals=signals, written=written
    )
    assert seen == [1]
    assert [result.exit_code for result in made.results] == [0]
    assert made.exit_code == ExitCode.INTERRUPTED


def test_a_replay_that_could_write_no_report_is_refused_before_it_begins(lost: Path, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file", encoding="utf-8")
    with pytest.raises(UnfitEnvironmentError, match="the directory for reports cannot be written"):
        replay(read_original(lost, WORDS), 1, tmp_path / "reports", _silent, MemoryParts())


def test_a_scenario_that_was_edited_is_not_replayed(lost: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(lost, copy)
    text = (copy / "scenario.yaml").read_text(encoding="utf-8")
    (copy / "scenario.yaml").write_text(text.replace("rate: 100/s", "rate: 90/s"), encoding="utf-8")
    with pytest.raises(UnfitEnvironmentError, match="gives another plan than the one that was run"):
        read_original(copy, WORDS)
    with pytest.raises(UnfitEnvironmentError, match="gives another plan"):
        write_bundle(copy, tmp_path / "b.tar.gz", words=WORDS)
    with pytest.raises(UsageError, match="no such run directory or bundle"):
        read_original(tmp_path / "missing", WORDS)


def test_a_run_from_elsewhere_that_reaches_outside_is_replayed_with_trust_alone(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    text = "version: 1\ntitle: T\nbroker: nats-2\ncluster: {config: {pid_file: x}}\nexpect:\n  loss: {}\n"
    file = tmp_path / "a.yaml"
    file.write_text(text, encoding="utf-8")
    (item,) = select([file], trusted=True)
    (run_dir / "scenario.yaml").write_text(text, encoding="utf-8")
    (run_dir / "plan.json").write_text(json.dumps(canonical(item.plan)), encoding="utf-8")
    shutil.copyfile(RECORDED / "run.json", run_dir / "run.json")
    with pytest.raises(UsageError, match="reaching outside the run") as refused:
        read_original(run_dir)
    assert "--trust" in refused.value.hint
    assert read_original(run_dir, trusted=True).selected.plan.digest == item.plan.digest
    trusted = replace(samples.failing(), reproduce="harness run a.yaml --trust")
    assert replay_command(trusted) == f"{replay_command(samples.failing())} --trust"


@pytest.mark.parametrize("program", ["harness", ".venv/bin/harness", "python -m harness"])
def test_the_printed_command_starts_the_program_as_it_was_started(program: str) -> None:
    result = replace(samples.failing(), reproduce=f"{program} run a.yaml --seed 1")
    assert replay_command(result).startswith(f"{program} replay ")


@pytest.mark.parametrize("run_dir", ["/tmp/a b/20260101-run", "reports/it's", "/tmp/$HOME;x"])
def test_the_printed_command_can_be_pasted(run_dir: str) -> None:
    result = replace(samples.failing(), run_dir=run_dir, reproduce=".venv/bin/harness run a.yaml --seed 1")
    assert shlex.split(replay_command(result)) == [".venv/bin/harness", "replay", run_dir, "--times", "5"]


def _again(result: RunResult, count: int) -> list[RunResult]:
    return [result] * count


def test_what_has_no_verdict_is_not_counted_and_other_software_is_told(lost: Path) -> None:
    original = replace(read_original(lost, WORDS), versions={"nats": "2.0.0", "java": "25"})
    failing = samples.failing()
    results = [
        *_again(replace(failing, versions={"nats": "2.0.0", "java": "26"}), 2),
        samples.passing(),
        samples.unfit(),
    ]
    made = counted(original, results, 6)
    assert (made.shown, made.counted) == (2, 3)
    said = "\n".join(words(original, made))
    assert "2 of 3 runs ended as the original did" in said
    assert "not counted: 1 without a verdict" in said
    assert "2 of 6 runs were not made" in said
    assert "not the same software: java 26, and the original had 25" in said


def test_a_failure_by_another_check_is_another_failure(lost: Path) -> None:
    original = replace(read_original(lost, WORDS), violated=frozenset({"order"}))
    assert counted(original, [samples.failing()], 1).shown == 0


def test_nothing_is_claimed_of_runs_without_a_verdict(lost: Path) -> None:
    original = read_original(lost, WORDS)
    made = counted(original, [samples.unfit()], 1)
    assert words(original, made)[0].startswith("nothing can be said")


def test_software_keeps_the_versions_of_the_original(tmp_path: Path) -> None:
    assert pinned(Distribution("nats", "2.15.2"), {"nats": "2.12.8"}) == Distribution("nats", "2.12.8")
    assert pinned(Distribution("nats", "2.15.2"), {}) == Distribution("nats", "2.15.2")
    path = tmp_path / "a.yaml"
    path.write_text("version: 1\ntitle: T\nbroker: nats-2\nexpect:\n  loss: {}\n", encoding="utf-8")
    (item,) = select([path])
    bound = BROKERS.get("nats").bind(item.plan)
    found = pinned_clients(bound, {"nats-py (producer)": "2.13.0"})
    assert found == {"producer": Distribution("nats-py", "2.13.0")}


def test_a_bundle_is_what_replay_needs_and_the_same_file_each_time(lost: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.tar.gz", tmp_path / "b.tar.gz"
    names = write_bundle(lost, first, words=WORDS)
    write_bundle(lost, second, words=WORDS)
    assert first.read_bytes() == second.read_bytes()
    assert set(NEEDED) <= set(names)
    assert not any(name.startswith("history") for name in names)
    with opened(first) as place:
        assert read_original(place, WORDS) == read_original(lost, WORDS)
    assert not place.exists()
    whole = write_bundle(lost, second, history=True, words=WORDS)
    assert {f"history/{path.name}" for path in (lost / "history").iterdir()} <= set(whole)


@pytest.mark.parametrize(
    "name", ["x/../../evil", "/etc/evil", "x/plan.json/evil", "x/logs/evil", "x/history/../../evil"]
)
def test_a_bundle_cannot_write_elsewhere(name: str, tmp_path: Path) -> None:
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(UnfitEnvironmentError, match="is not a bundle"), opened(path):
        pass


def test_a_link_in_a_bundle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("x/plan.json")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    with pytest.raises(UnfitEnvironmentError, match="which no bundle has"), opened(path):
        pass


@pytest.mark.parametrize("content", [b"", b"x", json.dumps({}).encode()])
def test_a_file_that_is_no_bundle_is_one_clear_message(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    with pytest.raises(UnfitEnvironmentError, match="is not a bundle"), opened(path):
        pass


def test_a_run_with_an_application_is_replayed_with_trust_alone_and_where_its_program_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run directory or bundle may be another user's, and an application is any program."""
    home = tmp_path / "home"
    home.mkdir()
    text = "version: 1\ntitle: T\nbroker: nats-2\nworkload:\n  consumer:\n    application:\n"
    text += "      command: [./mine]\n      shows: lines\n      directory: bin\nexpect:\n  loss: {}\n"
    (home / "a.yaml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(home)
    (item,) = select([Path("a.yaml")])
    run_dir = RunDir.create(tmp_path, item.plan, "run")
    run_dir.save_plan(item.plan, item.source)
    shutil.copyfile(RECORDED / "run.json", run_dir.path / "run.json")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"reaching outside the run: a\.yaml"):
        read_original(run_dir.path)
    plan = read_original(run_dir.path, trusted=True).selected.plan
    application = application_of(plan.workload.consumer)
    assert application is not None
    assert directory_of(application, plan.file) == home / "bin"
    assert plan.digest == item.plan.digest
    again = RunDir.create(tmp_path, plan, "again")
    again.save_plan(plan, item.source)
    assert again.read_json("plan.json")["application_directory"] == str(home / "bin"), "a replay of the replay, too"

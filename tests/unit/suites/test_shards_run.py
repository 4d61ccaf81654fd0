"""Four shards of a suite, run as on four machines, against the same suite in one piece; and the command that merges."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.memory_suite import MemorySuite, selected
from support.suite_samples import entry, suite
from support.suite_shards import split, write

from harness.commands.cli import cli
from harness.errors import ExitCode, HarnessError
from harness.report.serialize import from_json as run_of
from harness.report.suite_json import from_json
from harness.session.selection import Selected
from harness.suite_result import SuiteResult
from harness.suites.shards import Shard
from harness.verdict import Verdict

TOTAL = 4


def _plans() -> list[Selected]:
    return [*(selected(f"good{number}") for number in range(3)), selected("bad", "loses")]


def _findings(result: SuiteResult, folder: Path) -> list[tuple[str, list[tuple[str, str, int]]]]:
    """Return each run with its checks: verdict and number of findings, as its run directory says."""
    found = []
    for one in result.entries:
        run = run_of((folder / one.run_dir / "result.json").read_text(encoding="utf-8"))
        found.append((one.key, [(check.check, check.verdict.value, len(check.findings)) for check in run.checks]))
    return found


def _merge(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["suite", "merge", *map(str, words)], standalone_mode=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SuiteResult, Path]:
    """Return the folder of four machines' reports, the same suite in one piece, and its folder."""
    home = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_STATE_DIR", str(home / "state"))
        for index in range(1, TOTAL + 1):
            machine = MemorySuite(home / "machines" / str(index))
            machine.run(_plans(), cores=2.0, shard=Shard(index=index, total=TOTAL))
        whole = MemorySuite(home / "whole")
        return home / "machines", whole.run(_plans(), cores=2.0), whole.folder.path


@pytest.fixture
def machines(tmp_path: Path, made: tuple[Path, SuiteResult, Path]) -> Path:
    """Return a copy of the four machines' reports, as artifacts are copied."""
    return Path(shutil.copytree(made[0], tmp_path / "machines"))


def test_four_shards_and_the_whole_are_the_same(
    tmp_path: Path, machines: Path, made: tuple[Path, SuiteResult, Path]
) -> None:
    _, whole, folder = made
    out = tmp_path / "merged"
    done = _merge(machines, "--out", out)
    merged = from_json((out / "suite.json").read_text(encoding="utf-8"))
    assert [one.key for one in merged.entries] == [one.key for one in whole.entries]
    assert [one.digest for one in merged.entries] == [one.digest for one in whole.entries]
    assert _findings(merged, out) == _findings(whole, folder)
    assert done.return_value == merged.exit_code == whole.exit_code == ExitCode.VIOLATED
    assert merged.plan_digest == whole.plan_digest

    before = (out / "suite.json").read_bytes()
    assert _merge(machines, out, "--out", out).return_value == ExitCode.VIOLATED
    assert (out / "suite.json").read_bytes() == before

    # Another machine has nothing but the copies.
    copied = tmp_path / "copied"
    _merge(machines, "--out", copied, "--copy", "--junit", tmp_path / "junit.xml")
    shutil.rmtree(machines)
    assert _findings(from_json((copied / "suite.json").read_text(encoding="utf-8")), copied) == _findings(whole, folder)
    assert "<table" in (copied / "index.html").read_text(encoding="utf-8")
    assert "<testsuites" in (tmp_path / "junit.xml").read_text(encoding="utf-8")


def test_with_one_shard_withheld_the_merge_fails(
    tmp_path: Path, machines: Path, made: tuple[Path, SuiteResult, Path]
) -> None:
    _, whole, _ = made
    bad = next(one.key for one in whole.entries if one.exit_code)
    for index in range(1, TOTAL + 1):
        (file,) = (machines / str(index)).rglob("suite.json")
        held = [one.key for one in from_json(file.read_text(encoding="utf-8")).entries]
        if bad not in held:
            continue
        shutil.rmtree(machines / str(index))
        done = _merge(machines, "--out", tmp_path / "merged")
        assert done.return_value == ExitCode.INTERRUPTED  # without the run that failed, and yet not green
        assert f"error: shard {index}/{TOTAL} is missing ({len(held)} of {len(whole.entries)} runs)" in done.stderr


def _shards_of(folder: Path, names: Sequence[str] = ("one", "two", "three")) -> list[Path]:
    whole = suite([entry(name) for name in names])
    return [write(shard, folder / f"s{number}").folder for number, shard in enumerate(split(whole, 3))]


def test_run_directories_that_are_not_there_are_said(tmp_path: Path) -> None:
    folders = _shards_of(tmp_path)
    done = _merge(*folders, "--out", tmp_path / "out")
    assert done.return_value == ExitCode.PASS
    assert "3 run directories are not here" in done.stderr


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.PASS, ExitCode.ENVIRONMENT), (Verdict.FAIL, ExitCode.VIOLATED)])
@pytest.mark.parametrize("option", ["--junit", "--summary"])
def test_a_report_that_cannot_be_written_hides_no_failure(
    tmp_path: Path, verdict: Verdict, code: ExitCode, option: str
) -> None:
    write(split(suite([entry("one", verdict)]), 1)[0], tmp_path / "shard")
    done = _merge(tmp_path / "shard", "--out", tmp_path / "out", option, tmp_path / "shard" / "suite.json" / "x")
    assert done.return_value == code
    assert "error: cannot write" in done.stderr
    assert "one" in done.stdout


def test_json_is_the_merged_result(tmp_path: Path) -> None:
    done = _merge(*_shards_of(tmp_path), "--out", tmp_path / "out", "--json")
    assert done.stdout == (tmp_path / "out" / "suite.json").read_text(encoding="utf-8")


def test_a_shard_of_another_suite_is_refused_by_name(tmp_path: Path) -> None:
    folders = _shards_of(tmp_path)
    (other,) = [write(replace(split(suite([entry("other")]), 3)[0], suite_id="x"), tmp_path / "other").folder]
    done = _merge(*folders, other, "--out", tmp_path / "out")
    assert isinstance(done.exception, HarnessError)
    assert done.exception.exit_code == ExitCode.USAGE
    assert "differ in their plan_digest" in str(done.exception)
    assert str(other) in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_an_empty_shard_of_a_suite_is_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    results = [
        MemorySuite(tmp_path / str(index)).run([selected("one")], shard=Shard(index=index, total=2)) for index in (1, 2)
    ]
    assert [(len(one.entries), one.exit_code, one.complete) for one in results] == [(1, 0, True), (0, 0, True)]
    assert _merge(tmp_path, "--out", tmp_path / "out").return_value == ExitCode.PASS


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["gate", "--shard", "5/4"], "5 is out of range"),
        (["gate", "--shard", "1/2", "--until-fail"], "--until-fail has no shards"),
        (["--resume", "--shard", "1/2"], "without names it takes no options"),
        (["merge", "/dev/null"], "no such folder: /dev/null"),
    ],
)
def test_what_does_not_fit_is_refused(words: list[str], says: str) -> None:
    done = CliRunner().invoke(cli, ["suite", *words], standalone_mode=False)
    assert isinstance(done.exception, HarnessError)
    assert says in str(done.exception)
    assert done.exception.exit_code == ExitCode.USAGE


def test_the_shards_that_list_prints_are_the_suite() -> None:
    def listed(*words: str, **environment: str) -> list[str]:
        done = CliRunner(env=environment).invoke(cli, ["suite", "gate", "--list", *words], standalone_mode=False)
        return str(done.stdout).splitlines()

    parts = [listed("--shard", f"{index}/3") for index in (1, 2, 3)]
    assert sorted(key for part in parts for key in part) == sorted(listed())
    assert listed("--shard", "auto", HARNESS_JOB_INDEX="1", HARNESS_JOB_TOTAL="3") == parts[1]
    assert listed("--shard", "auto", CI_NODE_INDEX="3", CI_NODE_TOTAL="3") == parts[2]

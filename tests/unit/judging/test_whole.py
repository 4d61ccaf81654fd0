"""A run directory from which something is missing proves nothing, and says what is missing."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.run_dirs import WORDS, make_run

from harness.errors import ExitCode, UnfitEnvironmentError
from harness.history.events import DeathEvent
from harness.history.manifest import MANIFEST, write_manifest
from harness.history.read import History
from harness.history.record import HEADER_BYTES, RECORD
from harness.result import RunResult
from harness.session.check_again import check_again
from harness.verdict import Verdict

LEFT = "the run directory is not as its run left it: "


@pytest.fixture(scope="module", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that returns the directory of one of ``RUNS``, run once."""
    runs: dict[str, Path] = {}

    def run_of(name: str) -> Path:
        if name not in runs:
            runs[name] = Path(make_run(name, tmp_path_factory.mktemp("runs")).run_dir)
        return runs[name]

    return run_of


@pytest.fixture
def run_of(made: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that returns a copy of the directory of one of ``RUNS``."""

    def copy_of(name: str) -> Path:
        return Path(shutil.copytree(made(name), tmp_path / "run"))

    return copy_of


def _judged(run_dir: Path) -> RunResult:
    return check_again(run_dir, WORDS).result


def _cut(path: Path, records: int) -> None:
    """Keep so many records."""
    path.write_bytes(path.read_bytes()[: HEADER_BYTES + records * RECORD.size])


def test_a_client_that_was_killed_by_a_fault_leaves_a_whole_run_directory(run_of: Callable[[str], Path]) -> None:
    run_dir = run_of("client killed")
    history = History.load(run_dir)
    (death,) = history.of_kind(DeathEvent)
    killed = run_dir / "history" / "c0.1.journal"
    assert (death.worker, death.incarnation, death.journal_bytes) == ("c0", 1, killed.stat().st_size)
    assert [(view.name, view.whole) for view in history.journals] == [
        *(("audit.1", True), ("c0.1", False), ("c0.2", True), ("monitor.1", True), ("p0.1", True)),
    ]
    assert not history.torn
    assert not history.missing
    result = _judged(run_dir)
    assert result.verdict is Verdict.PASS, result.blocking


def test_a_producer_s_journal_cut_at_any_record_makes_no_pass(run_of: Callable[[str], Path]) -> None:
    run_dir = run_of("losing")
    path = run_dir / "history" / "p0.1.journal"
    whole = path.read_bytes()
    count = (len(whole) - HEADER_BYTES) // RECORD.size
    for sealed in (True, False):
        if not sealed:
            (run_dir / MANIFEST).unlink()
        for kept in range(0, count, 13):
            path.write_bytes(whole)
            _cut(path, kept)
            result = _judged(run_dir)
            assert result.verdict is not Verdict.PASS
            assert result.exit_code != ExitCode.PASS
            if sealed:
                size = f"history/p0.1.journal has {path.stat().st_size:,} bytes; the manifest says {len(whole):,}"
                assert result.blocking == (LEFT + size,)
                assert (result.verdict, result.exit_code) == (Verdict.INCONCLUSIVE, ExitCode.INCONCLUSIVE)
            else:
                assert result.blocking[:2] == (
                    "manifest.json is missing: nothing shows that the run directory is whole",
                    "the end of the journal of p0.1 is missing",
                )


@pytest.mark.parametrize("name", ["c0.1", "audit.1", "monitor.1", "p0.1"])
def test_a_journal_without_its_end_is_torn_even_where_a_manifest_fits(run_of: Callable[[str], Path], name: str) -> None:
    run_dir = run_of("passing")
    path = run_dir / "history" / f"{name}.journal"
    _cut(path, 1)
    write_manifest(run_dir)
    assert History.load(run_dir).torn == {name}
    result = _judged(run_dir)
    assert result.verdict is not Verdict.PASS
    assert f"the end of the journal of {name} is missing" in result.blocking


@pytest.mark.parametrize("name", ["c0.1", "audit.1", "monitor.1", "p0.1"])
def test_a_journal_that_is_missing_is_named_even_where_a_manifest_fits(
    run_of: Callable[[str], Path], name: str
) -> None:
    run_dir = run_of("passing")
    (run_dir / "history" / f"{name}.journal").unlink()
    assert _judged(run_dir).blocking == (f"{LEFT}history/{name}.journal is missing",)
    write_manifest(run_dir)
    said = {
        "audit.1": "the journal of the audit is missing",
        "monitor.1": "the monitor recorded nothing: stalls of the machine and outages are unknown",
    }
    assert said.get(name, f"the journal of {name} is missing") in _judged(run_dir).blocking


def test_a_named_pipe_in_place_of_a_journal_is_named(run_of: Callable[[str], Path]) -> None:
    run_dir = run_of("passing")
    os.mkfifo(run_dir / "history" / "zz.journal")
    assert "zz.journal cannot be read: it is a named pipe" in _judged(run_dir).error


def test_a_changed_record_does_not_fit_the_end_of_its_journal(run_of: Callable[[str], Path]) -> None:
    run_dir = run_of("passing")
    path = run_dir / "history" / "c0.1.journal"
    content = bytearray(path.read_bytes())
    content[HEADER_BYTES + 30] ^= 1
    path.write_bytes(content)
    write_manifest(run_dir)
    assert _judged(run_dir).blocking == (LEFT + "history/c0.1.journal does not fit its own end record",)


@pytest.mark.parametrize("records", [-1, 3])
def test_the_journal_of_a_killed_client_is_as_it_was_when_it_died(run_of: Callable[[str], Path], records: int) -> None:
    run_dir = run_of("client killed")
    path = run_dir / "history" / "c0.1.journal"
    size = path.stat().st_size
    if records < 0:
        path.unlink()
        said = "the journal of c0.1 is missing"
    else:
        _cut(path, records)
        said = (
            f"the journal of c0.1 ({path.stat().st_size:,} bytes) is not the one of its writer's death ({size:,} bytes)"
        )
    write_manifest(run_dir)
    assert _judged(run_dir).blocking == (LEFT + said,)


def test_a_journal_without_its_first_records_is_not_judged(run_of: Callable[[str], Path]) -> None:
    """Without a manifest: what completions refer to is gone, which is no failure of any check."""
    run_dir = run_of("passing")
    (run_dir / MANIFEST).unlink()
    path = run_dir / "history" / "p0.1.journal"
    content = path.read_bytes()
    path.write_bytes(content[:HEADER_BYTES] + content[HEADER_BYTES + 21 * RECORD.size : -RECORD.size])
    result = _judged(run_dir)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "refers to operations beyond" in result.headline


def test_a_record_of_the_run_without_its_problems_is_refused(run_of: Callable[[str], Path]) -> None:
    run_dir = run_of("problem")
    content = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    assert content["problems"]
    before = _judged(run_dir)
    assert before.verdict is Verdict.INCONCLUSIVE
    (run_dir / "run.json").write_text(json.dumps(content | {"problems": []}), encoding="utf-8")
    result = _judged(run_dir)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "run.json has" in result.blocking[0]
    del content["problems"]
    (run_dir / "run.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(UnfitEnvironmentError, match=r"run\.json: it has no problems"):
        _judged(run_dir)


def test_neither_a_removed_manifest_nor_an_earlier_format_makes_a_pass(run_of: Callable[[str], Path]) -> None:
    run_dir = run_of("passing")
    (run_dir / MANIFEST).unlink()
    assert _judged(run_dir).blocking == ("manifest.json is missing: nothing shows that the run directory is whole",)
    content = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    del content["format"]
    (run_dir / "run.json").write_text(json.dumps(content), encoding="utf-8")
    for path in run_dir.glob("history/*.journal"):
        journal = path.read_bytes()
        path.write_bytes(journal[:4] + struct.pack("<I", 1) + journal[8 : -RECORD.size])
    result = _judged(run_dir)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.blocking == ("the run directory has format 1, without manifest.json: nothing shows that it is whole",)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content.replace("1", "2", 1), "manifest.json is damaged (version 2; this harness reads"),
        (lambda _: "", "manifest.json is damaged (Expecting value"),
        (lambda _: "[]", "manifest.json is damaged (list indices"),
        (lambda _: "{}", "manifest.json is damaged ('version')"),
        (lambda content: content.replace("facts.json", "fact.json"), "manifest.json is damaged (its own checksum"),
    ],
)
def test_a_damaged_manifest_is_no_manifest(
    run_of: Callable[[str], Path], change: Callable[[str], str], said: str
) -> None:
    run_dir = run_of("passing")
    path = run_dir / MANIFEST
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    (reason,) = _judged(run_dir).blocking
    assert reason.startswith(LEFT + said)


def test_a_file_that_the_run_did_not_write_is_damage(run_of: Callable[[str], Path]) -> None:
    run_dir = run_of("passing")
    shutil.copyfile(run_dir / "history" / "c0.1.journal", run_dir / "history" / "c7.1.journal")
    assert _judged(run_dir).blocking == (LEFT + "history/c7.1.journal is not in the manifest",)


@pytest.mark.parametrize("name", ["history/c9.1.journal", "history/c9.1.events.jsonl", MANIFEST])
def test_a_folder_in_place_of_a_file_is_no_history(run_of: Callable[[str], Path], name: str) -> None:
    run_dir = run_of("passing")
    (run_dir / MANIFEST).unlink()
    (run_dir / name).mkdir()
    result = _judged(run_dir)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "cannot be read: Is a directory" in result.headline


def test_much_damage_is_told_in_one_sentence(run_of: Callable[[str], Path]) -> None:
    run_dir = run_of("passing")
    for path in (run_dir / "history").iterdir():
        path.unlink()
    (reason,) = _judged(run_dir).blocking
    assert reason.endswith("is missing, and 3 more")


def test_reports_and_logs_are_no_part_of_it(run_of: Callable[[str], Path]) -> None:
    run_dir = run_of("passing")
    for name in ("logs", "workers", "nodes"):
        shutil.rmtree(run_dir / name)
    (run_dir / "report.html").unlink()
    assert _judged(run_dir).verdict is Verdict.PASS

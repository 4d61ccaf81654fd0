"""What others may have put there is read by one function, which waits for no pipe and takes no file without end."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from harness.commands.cli import _run_guarded, cli
from harness.errors import ExitCode

ROOT = Path(__file__).parents[2]
ROOMS = ("commands", "judging", "report", "reproduce", "session", "suites")
OWN = {"page_script.py"}
"""Reads what the package itself ships."""
RECORDED = ROOT / "tests" / "corpus" / "recorded" / "leader-kill"


def test_no_room_reads_files_of_others_otherwise() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for room in ROOMS
        for path in sorted((ROOT / "harness" / room).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"\.read_(text|bytes)\((encoding|\))", line) and path.name not in OWN
    ]
    assert found == ['harness/commands/copy.py: lines = source.read_text(encoding="utf-8").splitlines(keepends=True)']


def _code(*words: str) -> int:
    return _run_guarded(lambda: cli.main(args=list(words), standalone_mode=False))


@pytest.mark.parametrize("device", [False, True])
@pytest.mark.parametrize(
    "words",
    [
        ("suite", "NAMED", "--costs", "FILE", "--dry-run"),
        ("suite", "NAMED", "--config", "FILE", "--dry-run"),
        ("suite", "merge", "FOLDER"),
        ("suite", "--resume", "FOLDER"),
        ("store", "add", "FOLDER", "--store", "STORE"),
        ("store", "info", "--store", "FILE"),
        ("trends", "--store", "FILE"),
        ("replay", "FILE"),
        ("run", "FILE"),
    ],
    ids=" ".join,
)
def test_a_pipe_or_a_device_is_never_read(words: tuple[str, ...], device: bool, tmp_path: Path) -> None:
    """It would hang the command, or fill its memory."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "a.yaml").write_text("version: 1\ntitle: T\nbroker: nats-2\nexpect: {loss: {}}\n", encoding="utf-8")
    for place in (tmp_path / "file", tmp_path / "folder" / "suite.json", tmp_path / "folder" / "result.json"):
        if device:
            place.symlink_to("/dev/zero")
        else:
            os.mkfifo(place)
    named = {
        "FILE": tmp_path / "file",
        "FOLDER": tmp_path / "folder",
        "STORE": tmp_path / "store.sqlite",
        "NAMED": tmp_path / "a.yaml",
    }
    assert _code(*(str(named.get(word, word)) for word in words)) in {
        ExitCode.PASS,
        ExitCode.USAGE,
        ExitCode.ENVIRONMENT,
    }


def test_pipes_next_to_a_run_directory_hang_neither_its_page_nor_its_bundle(tmp_path: Path) -> None:
    run_dir, twin = tmp_path / "run", tmp_path / "twin"
    shutil.copytree(RECORDED, run_dir)
    twin.mkdir()
    os.mkfifo(twin / "result.json")
    (run_dir / "beside.json").write_text(json.dumps({"runs": ["../twin"]}), encoding="utf-8")
    assert _code("check", str(run_dir), "--write") == ExitCode.PASS
    (run_dir / "beside.json").unlink()
    os.mkfifo(run_dir / "beside.json")
    assert _code("check", str(run_dir), "--write") == ExitCode.PASS
    (run_dir / "history" / "p0.1.journal").unlink()
    os.mkfifo(run_dir / "history" / "p0.1.journal")
    assert _code("bundle", str(run_dir), "--history", "-o", str(tmp_path / "b.tar.gz")) == ExitCode.PASS

"""The doctor says whether a program is there, looked up as a run would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.commands.doctor import doctor
from harness.doctor.programs import program
from harness.doctor.report import ItemStatus

SCENARIO = Path(__file__).parents[3] / "scenarios" / "applications" / "nats-application.yaml"


def test_a_program_in_path_one_in_the_directory_and_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    for name, mode in (("mine", 0o755), ("unable", 0o644)):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(mode)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert program("x", "mine", tmp_path).status is ItemStatus.OK
    assert program("x", "bin/mine", tmp_path).status is ItemStatus.OK
    assert program("x", str(tmp_path / "bin" / "mine"), tmp_path).status is ItemStatus.OK
    assert program("x", "bin/unable", tmp_path).status is ItemStatus.MISSING
    assert "no program theirs in PATH" in program("x", "theirs", tmp_path).detail
    assert "there is no directory" in program("x", "mine", tmp_path / "nowhere").detail


def test_the_command_names_the_programs_of_scenarios(tmp_path: Path) -> None:
    text = SCENARIO.read_text().replace('"{python}"', "no-such-python")
    (tmp_path / "mine.yaml").write_text(text)
    done = CliRunner().invoke(doctor, [str(SCENARIO), str(tmp_path / "mine.yaml"), "--json"], standalone_mode=False)
    items = {item["name"]: item["status"] for item in json.loads(done.output)["items"]}
    assert items["application: nats-application"] == "ok"
    assert items["application: mine"] == "missing"
    assert done.return_value == 7

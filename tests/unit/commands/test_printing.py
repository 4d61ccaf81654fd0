"""A result that nobody reads, or that cannot be printed, changes no verdict and costs no report."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.suite_samples import green, red

from harness.errors import ExitCode
from harness.suite_result import SuiteResult

SCRIPT = """
import sys
from pathlib import Path
import harness.commands.suite_session as session
from harness.commands.cli import main
from harness.report.suite_json import from_json
from harness.suites.state import SuiteDir

folder = Path(sys.argv[1])
suite = from_json((folder / "suite.json").read_text())
session.make_suite = lambda *_: (suite, SuiteDir(folder))
main(["suite", "gate", *sys.argv[2:]])
"""

RUN_SCRIPT = """
import sys
from pathlib import Path
import harness.session.selection as selection
import harness.session.session as session
from harness.commands.cli import main
from harness.report.serialize import from_json

result = from_json(Path(sys.argv[1]).read_text())
selection.select = lambda *_, **__: []
session.run_all = lambda *_, **__: [result]
main(["run", "any.yaml", "--json", "--junit", sys.argv[2]])
"""
RECORDED = Path(__file__).parents[2] / "corpus" / "recorded"


@pytest.mark.parametrize("run", sorted(RECORDED.iterdir()), ids=lambda run: run.name)
def test_a_run_whose_output_is_not_taken_keeps_its_code_and_its_report(run: Path, tmp_path: Path) -> None:
    result = run / "result.json"
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", RUN_SCRIPT, str(result), str(tmp_path / "junit.xml")]
    code = subprocess.run(command, stdout=writer, stderr=subprocess.DEVNULL, check=False).returncode
    os.close(writer)
    assert code == json.loads(result.read_text(encoding="utf-8"))["exit_code"]
    assert (tmp_path / "junit.xml").exists()


def _exit_code(folder: Path, stdout: int, *words: str) -> int:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), *words], stdout=stdout, stderr=subprocess.DEVNULL, check=False
    ).returncode


@pytest.mark.parametrize("words", [(), ("--json",)])
@pytest.mark.parametrize("make", [green, red])
def test_a_suite_whose_output_is_not_taken_keeps_its_code_and_its_reports(
    make: Callable[[], SuiteResult], words: tuple[str, ...], tmp_path: Path
) -> None:
    from harness.report.suite_json import to_json

    suite = make()
    (tmp_path / "suite.json").write_text(to_json(suite), encoding="utf-8")
    reader, writer = os.pipe()
    os.close(reader)
    assert _exit_code(tmp_path, writer, *words) == suite.exit_code
    os.close(writer)
    assert (tmp_path / "junit.xml").exists()

    full = os.open("/dev/full", os.O_WRONLY)
    assert _exit_code(tmp_path, full, *words) == (suite.exit_code or ExitCode.ENVIRONMENT)
    os.close(full)

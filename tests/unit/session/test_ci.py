"""What a CI server is shown: annotations where it runs this, at lines of the scenario, and a summary where one is
wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from support import report_samples
from support import suite_samples as samples

from harness.report.suite_runs import read_run
from harness.report.summary_file import SummaryFile
from harness.session.ci import Locator, show_in_ci, show_runs_in_ci

SCENARIO = """\
version: 1
expect:
  stall: {pause_max: 6s}
  loss: {}
"""


def _shown(annotations: str, environ: Mapping[str, str], folder: Path, *, summary: Path | None = None) -> list[str]:
    file = folder / "repository" / "scenarios" / "leader-kill.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(SCENARIO, encoding="utf-8")
    entry = samples.entry_of(replace(report_samples.failing(), file=str(file)), folder)
    lines: list[str] = []
    show_in_ci(
        samples.suite([entry]),
        lambda one: read_run(folder, one),
        annotations=annotations,
        summary=None if summary is None else SummaryFile(summary),
        echo=lines.append,
        environ=environ,
    )
    return lines


def test_annotations_lead_to_the_lines_of_the_scenario_relative_to_the_repository(tmp_path: Path) -> None:
    lines = _shown("github", {"GITHUB_WORKSPACE": str(tmp_path / "repository")}, tmp_path)
    assert lines[0].startswith("::error file=scenarios/leader-kill.yaml,line=4,col=3,title=leader-kill")
    assert lines[1].startswith("::error file=scenarios/leader-kill.yaml,line=3,col=11,title=leader-kill")


@pytest.mark.parametrize(
    ("annotations", "environ", "printed"),
    [
        ("auto", {"GITHUB_ACTIONS": "true"}, True),
        ("auto", {}, False),
        ("auto", {"GITHUB_ACTIONS": "false"}, False),
        ("github", {}, True),
        ("none", {"GITHUB_ACTIONS": "true"}, False),
    ],
)
def test_annotations_are_printed_where_they_are_wanted(
    annotations: str, environ: Mapping[str, str], printed: bool, tmp_path: Path
) -> None:
    assert bool(_shown(annotations, environ, tmp_path)) == printed


def test_the_summary_is_appended_where_one_is_wanted(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("# earlier step\n", encoding="utf-8")
    assert _shown("none", {}, tmp_path, summary=summary) == []
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("# earlier step\n## FAIL: gate\n")
    assert "**7\\.91s** measured" in text


def test_runs_without_a_suite_are_shown_alike(tmp_path: Path) -> None:
    lines: list[str] = []
    show_runs_in_ci(
        [report_samples.failing()],
        1,
        [],
        annotations="github",
        summary=SummaryFile(tmp_path / "summary.md"),
        echo=lines.append,
        environ={},
    )
    assert len(lines) == 2
    assert "leader\\-kill" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_a_scenario_that_is_gone_is_annotated_at_its_first_line(tmp_path: Path) -> None:
    found = Locator(tmp_path)(str(tmp_path / "gone.yaml"), "expect.loss")
    assert (found.file, found.line, found.column) == ("gone.yaml", 1, 1)
    outside = Locator(tmp_path / "repository")(str(tmp_path / "gone.yaml"), "")
    assert outside.file == str(tmp_path / "gone.yaml")

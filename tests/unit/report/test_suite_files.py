"""All reports of a suite land in its folder; while it goes on, its page is written at a bounded rate."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from support import report_samples, suite_samples

from harness.errors import UnfitEnvironmentError
from harness.report.suite_files import SuiteReports

S = suite_samples.S


class _Clock:
    """A clock that goes on by ``step_ns`` whenever it is read."""

    def __init__(self, step_ns: int) -> None:
        self.t_ns = 0
        self.step_ns = step_ns

    def __call__(self) -> int:
        self.t_ns += self.step_ns
        return self.t_ns


def _reports(folder: Path, clock: _Clock) -> SuiteReports:
    return SuiteReports(folder, monotonic_ns=clock, now=lambda: datetime(2026, 3, 14, 2, 15, 40, tzinfo=UTC))


def test_all_files_are_written_at_the_end(tmp_path: Path) -> None:
    result = suite_samples.suite([suite_samples.entry_of(report_samples.failing(), tmp_path)])
    SuiteReports(tmp_path).finish(result, junit=tmp_path / "elsewhere.xml")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["elsewhere.xml", "index.html", "junit.xml", "runs"]
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "messages_max" in page
    assert 'class="timeline"' in page
    assert (tmp_path / "junit.xml").read_bytes() == (tmp_path / "elsewhere.xml").read_bytes()


def test_a_result_that_cannot_be_read_costs_its_excerpt_only(tmp_path: Path) -> None:
    result = suite_samples.red()
    SuiteReports(tmp_path).finish(result)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "result.json cannot be read: No such file or directory" in page


@pytest.mark.parametrize(("render_ns", "pause_ns"), [(S // 1000, 5 * S), (S, 40 * S)])
def test_the_page_is_refreshed_at_a_bounded_rate(tmp_path: Path, render_ns: int, pause_ns: int) -> None:
    clock = _Clock(render_ns)
    reports = _reports(tmp_path, clock)
    assert reports.refresh(suite_samples.red())
    page = tmp_path / "index.html"
    assert "written at 2026-03-14T02:15:40Z" in page.read_text(encoding="utf-8")
    written_ns = clock.t_ns
    page.unlink()
    clock.t_ns = written_ns + pause_ns - 2 * render_ns
    assert not reports.refresh(suite_samples.red())
    assert not page.exists()
    clock.t_ns = written_ns + pause_ns
    assert reports.refresh(suite_samples.red())
    assert page.exists()


def test_a_page_that_cannot_be_refreshed_does_not_end_the_suite_but_the_last_one_must_be_written(
    tmp_path: Path,
) -> None:
    reports = _reports(tmp_path / "missing", _Clock(1))
    assert reports.refresh(suite_samples.red())
    with pytest.raises(UnfitEnvironmentError, match=r"cannot write .*junit\.xml"):
        reports.finish(suite_samples.red())


def test_the_result_of_a_run_is_read_once_for_all_pages(tmp_path: Path) -> None:
    entry = suite_samples.entry_of(report_samples.failing(), tmp_path)
    result = suite_samples.suite([entry])
    reports = _reports(tmp_path, _Clock(10 * S))
    reports.refresh(result)
    (tmp_path / entry.run_dir / "result.json").unlink()
    reports.refresh(result)
    assert "messages_max" in (tmp_path / "index.html").read_text(encoding="utf-8")

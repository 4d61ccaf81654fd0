"""A machine on which no run can succeed is refused before anything is started, with what to change."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from harness.errors import UnfitEnvironmentError
from harness.session.preflight import require_fit, require_threads

UNDER_LIMIT = """
import resource, sys
from pathlib import Path
from harness.errors import UnfitEnvironmentError
from harness.session.preflight import require_fit
import os
os.setuid(4242)  # root may raise its limits
try:
    require_fit(Path(sys.argv[1]))
except UnfitEnvironmentError as error:
    print(error)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "reports"


def test_a_fit_machine_keeps_nothing_of_the_trial(reports: Path) -> None:
    require_fit(reports)
    assert list(reports.iterdir()) == []
    assert list((reports.parent / "state" / "runs").iterdir()) == []


@pytest.mark.parametrize(("name", "hint"), [("state", "HARNESS_STATE_DIR"), ("reports", "--reports")])
def test_a_directory_that_cannot_be_made_is_named(name: str, hint: str, reports: Path) -> None:
    (reports.parent / name).write_text("a file", encoding="utf-8")  # root may write into what is read-only
    with pytest.raises(UnfitEnvironmentError, match="cannot be written") as caught:
        require_fit(reports)
    assert hint in caught.value.hint


def test_too_few_threads_are_told() -> None:
    started: list[threading.Thread] = []

    def refuse(thread: threading.Thread) -> None:
        if len(started) == 5:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        thread.start()

    with pytest.raises(UnfitEnvironmentError, match="no more than 5 threads"):
        require_threads(refuse)
    assert not any(thread.is_alive() for thread in started)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user without rights")
@pytest.mark.parametrize(("soft", "hard", "refused"), [(64, 64, True), (256, 4096, False)])
def test_the_limit_of_open_files_is_raised_or_told(soft: int, hard: int, refused: bool, tmp_path: Path) -> None:
    for name in ("state", "reports"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o777)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    said = subprocess.run(
        [sys.executable, "-c", UNDER_LIMIT, tmp_path / "reports"],
        env=os.environ | {"HARNESS_STATE_DIR": str(tmp_path / "state")},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("may open 64 files" in said.stdout) is refused, said
    assert said.stdout.splitlines()[-1] == str(soft if refused else hard)

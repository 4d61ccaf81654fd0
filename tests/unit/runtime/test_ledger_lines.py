"""A ledger is believed only as far as its owner and its words go: damaged lines, acts beyond the run, other users."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.commands.cli import _run_guarded, cli
from harness.commands.doctor import _leftovers as leftovers_of_doctor
from harness.engine.rundir import new_run_id
from harness.errors import ExitCode, UnfitEnvironmentError
from harness.runtime.kernel import cgroup, mounts, procfs
from harness.runtime.ledger import Ledger, sweep
from harness.runtime.ledger_lines import LEDGER_FILE, read_lines
from harness.session.leftovers import sweep_notes

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make what belongs to another user")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a sweep would remove, recorded and not done."""
    done: list[str] = []

    def group(path: Path, deadline_s: float = 3.0) -> bool:
        del deadline_s
        done.append(f"cgroup {path}")
        return True

    def mount(point: Path, image: Path) -> str:
        done.append(f"mount {point} {image}")
        return ""

    monkeypatch.setattr(cgroup, "remove_group", group)
    monkeypatch.setattr(mounts, "remove_mount", mount)
    return done


RUN = f"run-{os.getpid()}"
"""Of this process alone: a sweep ends every process that carries its mark, also those of tests next to this one."""


def _dead(run_dir: Path, *lines: bytes) -> Path:
    """Leave the ledger of a dead run with further lines; return its directory of state."""
    ledger = Ledger(RUN, run_dir)
    for line in lines:
        os.write(ledger._log, line)
    fcntl.flock(ledger._lease, fcntl.LOCK_UN)
    return ledger._dir


DAMAGED = [
    b"\xff\xfe\n",
    b"null\n",
    b"[]\n",
    b"7\n",
    b"{\n",
    b"{}\n",
    b'{"act": 3}\n',
    b'{"act": "burn"}\n',
    b'{"act": "cgroup"}\n',
    b'{"act": "cgroup", "path": 3}\n',
    b'{"act": "mount", "point": "/x"}\n',
    b'{"act": "mount", "point": "/x", "image": null}\n',
    b'{"act": "run"}\n',
    b"[" * 100_000 + b"\n",
    b'{"act": "cgroup", "path": "\\u0000"}\n',
]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_is_skipped_and_named_and_the_rest_is_acted_on(line: bytes, tmp_path: Path) -> None:
    _dead(tmp_path, line, b'{"act": "process", "name": "n1"}\n')
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"],
        env=os.environ | {procfs.MARK: RUN},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    (listed,) = sweep(remove=False)
    assert listed.skipped
    notes = [note.text for note in sweep_notes()]
    assert process.wait(5) == -9
    assert any(f"removed what run {RUN} left behind: process {process.pid}" in text for text in notes)
    assert any(f"line 2 of {LEDGER_FILE} is damaged" in text for text in notes)
    assert sweep() == ()


def test_clean_and_doctor_go_on_over_a_damaged_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _dead(tmp_path, b"\xff\n")
    assert leftovers_of_doctor() == [f"{RUN}: line 2 of {LEDGER_FILE} is damaged"]
    assert _run_guarded(lambda: cli.main(args=["clean"], standalone_mode=False)) == ExitCode.PASS
    assert f"skipped: line 2 of {LEDGER_FILE} is damaged" in capsys.readouterr().out


def test_a_torn_last_line_is_no_damage(tmp_path: Path) -> None:
    place = _dead(tmp_path, b'{"act": "mou')
    assert read_lines(place).skipped == ()


def _mount(point: Path | str, image: Path | str) -> bytes:
    return json.dumps({"act": "mount", "point": str(point), "image": str(image)}).encode() + b"\n"


def test_mounts_and_images_outside_the_run_directory_are_not_touched(tmp_path: Path, acts: list[str]) -> None:
    run_dir, outside = tmp_path / "run", tmp_path / "outside"
    (run_dir / "nodes" / "n1").mkdir(parents=True)
    outside.mkdir()
    own, foreign = run_dir / "nodes" / "n1" / "disk.img", outside / "disk.img"
    own.touch()
    foreign.touch()
    (run_dir / "link").symlink_to(outside)
    _dead(
        run_dir,
        _mount(run_dir / "nodes" / "n1" / "data", own),
        _mount(outside / "data", foreign),
        _mount(run_dir / "data", foreign),
        _mount(run_dir / "link" / "data", run_dir / "link" / "disk.img"),
        _mount(f"{run_dir}/../outside/data", f"{run_dir}/../outside/disk.img"),
        _mount(run_dir / "nodes" / "n1" / "data", run_dir / "nodes" / "n1" / "other"),
        _mount("/", "/etc/passwd"),
    )
    (swept,) = sweep()
    assert acts == [f"mount {run_dir}/nodes/n1/data {own}"]
    assert len(swept.skipped) == 6
    assert foreign.exists()


@pytest.mark.parametrize("run_dir", ["/", "/home"])
def test_a_run_directory_that_is_none_widens_nothing(run_dir: str, tmp_path: Path, acts: list[str]) -> None:
    image = tmp_path / "disk.img"
    image.touch()
    place = _dead(tmp_path)
    (place / LEDGER_FILE).write_bytes(
        json.dumps({"act": "run", "run_dir": run_dir}).encode() + b"\n" + _mount(tmp_path / "data", image)
    )
    (swept,) = sweep()
    assert acts == []
    assert len(swept.skipped) == 2


@pytest.mark.parametrize(
    "path",
    ["/sys/fs/cgroup/system.slice", "/tmp/broker-chaos-x", f"{cgroup.ROOT}/broker-chaos-x/../../../../tmp/x"],
)
def test_only_control_groups_of_ours_are_removed(
    path: str, tmp_path: Path, acts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = f"{cgroup.ROOT}/cpu/broker-chaos-run-a-n1"
    place = _dead(tmp_path, *(json.dumps({"act": "cgroup", "path": item}).encode() + b"\n" for item in (path, ours)))
    lines = read_lines(place)
    assert [item["path"] for item in lines.of("cgroup")] == [ours]
    assert len(lines.skipped) == 1


def test_a_ledger_that_is_no_file_hangs_nothing(tmp_path: Path) -> None:
    place = _dead(tmp_path)
    (place / LEDGER_FILE).unlink()
    os.mkfifo(place / LEDGER_FILE)
    (swept,) = sweep()
    assert swept.skipped == (f"{LEDGER_FILE} cannot be read: it is a named pipe, not a regular file",)


@AS_ROOT
@pytest.mark.parametrize("place", ["state", "runs"])
def test_another_users_state_is_refused(
    place: str, state: Path, tmp_path: Path, acts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _dead(tmp_path, json.dumps({"act": "cgroup", "path": f"{cgroup.ROOT}/broker-chaos-x"}).encode() + b"\n")
    os.chown(state if place == "state" else state / "runs", 12345, -1)
    with pytest.raises(UnfitEnvironmentError, match="belongs to user 12345, not to user 0"):
        sweep()
    with pytest.raises(UnfitEnvironmentError, match="belongs to user 12345"):
        Ledger(new_run_id(), tmp_path)
    assert _run_guarded(lambda: cli.main(args=["clean"], standalone_mode=False)) == ExitCode.ENVIRONMENT
    assert "belongs to user 12345" in capsys.readouterr().err
    (said,) = leftovers_of_doctor()
    assert "belongs to user 12345" in said
    assert acts == []


@AS_ROOT
def test_another_users_run_is_named_and_not_touched(tmp_path: Path, acts: list[str]) -> None:
    place = _dead(tmp_path, json.dumps({"act": "cgroup", "path": f"{cgroup.ROOT}/broker-chaos-x"}).encode() + b"\n")
    os.chown(place, 12345, -1)
    (found,) = sweep()
    assert found.left == (f"{place} belongs to user 12345, not to user 0: it is not touched",)
    assert acts == []
    assert place.exists()


@AS_ROOT
def test_another_users_ledger_in_a_directory_of_ours_is_not_obeyed(tmp_path: Path, acts: list[str]) -> None:
    place = _dead(tmp_path, json.dumps({"act": "cgroup", "path": f"{cgroup.ROOT}/broker-chaos-x"}).encode() + b"\n")
    os.chown(place / LEDGER_FILE, 12345, -1)
    (found,) = sweep()
    assert found.skipped == (f"{LEDGER_FILE} cannot be read: it belongs to user 12345",)
    assert acts == []


def test_a_ledger_behind_a_link_is_not_obeyed(tmp_path: Path, acts: list[str]) -> None:
    place = _dead(tmp_path)
    (tmp_path / "elsewhere").write_bytes(
        json.dumps({"act": "cgroup", "path": f"{cgroup.ROOT}/broker-chaos-x"}).encode() + b"\n"
    )
    (place / LEDGER_FILE).unlink()
    (place / LEDGER_FILE).symlink_to(tmp_path / "elsewhere")
    (found,) = sweep()
    assert found.skipped == (f"{LEDGER_FILE} cannot be read: {os.strerror(errno.ELOOP)}",)
    assert acts == []


def test_a_linked_directory_of_runs_is_refused(state: Path, tmp_path: Path) -> None:
    state.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (state / "runs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnfitEnvironmentError, match="is no directory"):
        sweep()

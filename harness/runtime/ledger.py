"""The ledger of a run: what it is about to create, so that whatever dies, the next start can remove what is left.

A run owns a directory in the user's state directory with a *lease*, a locked file that the kernel lets go when the
run's process dies, however it dies. Intent is written before each act. Every process of a run carries the run's id in
its environment, so that there is no moment at which one exists without being known.

``sweep`` touches only runs whose lease it could lock: a live run is never cleaned, and a reused pid never killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.runtime.docker import engine as docker_engine
from harness.runtime.kernel import cgroup, mounts, procfs
from harness.runtime.ledger_lines import LEDGER_FILE, Lines, foreign, read_lines, runs_dir, state_dir

__all__ = ["Ledger", "Leftover", "state_dir", "sweep"]

_SWEEP_SECONDS = 10.0
_QUIET_S = 2.0
"""An engine finishes what it was asked for when whoever asked has died: so long must nothing more of a run appear."""


class Ledger:
    """Holds the lease of one run and records what it creates.

    Args:
        run_id: Unique id of the run.
        run_dir: Its run directory: what is removed of disks lies in it.

    Raises:
        UnfitEnvironmentError: The state directory is another user's.
    """

    def __init__(self, run_id: str, run_dir: Path) -> None:
        self.run_id = run_id
        runs = runs_dir()
        runs.mkdir(parents=True, exist_ok=True)
        # Locked under a hidden name first: a sweep must never see a run whose lease is not yet held.
        hidden = runs / f".{run_id}"
        hidden.mkdir()
        self._lease = os.open(hidden / "lease", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._dir = runs / run_id
        hidden.rename(self._dir)
        self._log = os.open(self._dir / LEDGER_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.intend("run", run_dir=str(run_dir.resolve()), pid=os.getpid())

    def intend(self, act: str, **fields: Any) -> None:
        """Record an act before it is done (``cgroup``: path; ``mount``: point, image; ``process``: name…)."""
        os.write(self._log, json.dumps({"act": act} | fields).encode() + b"\n")

    @property
    def folder(self) -> Path:
        """A folder of this run alone with a short path, for sockets; it is removed with the run, also by a sweep."""
        return self._dir

    def environment(self) -> dict[str, str]:
        """Return the mark that every process of this run carries."""
        return {procfs.MARK: self.run_id}

    def close(self) -> tuple[str, ...]:
        """Remove whatever of this run is still there and give the lease back; return what had to be removed."""
        removed, left = _remove(self.run_id, read_lines(self._dir), died=False)
        os.close(self._log)
        if not left:
            shutil.rmtree(self._dir, ignore_errors=True)
        os.close(self._lease)
        return removed


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """What a dead run left behind.

    Attributes:
        run_id: The dead run.
        run_dir: Where its history lies (kept).
        items: One line each: ``process 4711 (nats-server …)``, ``cgroup …``.
        left: What could not be removed, with the reason; a later sweep tries again.
        skipped: Lines of its ledger that were not acted on, with the reason.
    """

    run_id: str
    run_dir: str
    items: tuple[str, ...] = field(default=())
    left: tuple[str, ...] = field(default=())
    skipped: tuple[str, ...] = field(default=())


def sweep(*, remove: bool = True) -> tuple[Leftover, ...]:
    """Find what dead runs left, and remove it unless ``remove`` is False; live runs are skipped.

    Raises:
        UnfitEnvironmentError: The state directory is another user's.
    """
    found = []
    runs = runs_dir()
    if not runs.is_dir():
        return ()
    for entry in sorted(runs.iterdir()):
        if entry.name.startswith("."):
            if remove:
                _sweep_hidden(entry)
            continue
        if why := foreign(entry):
            found.append(Leftover(run_id=entry.name, run_dir="", left=(f"{entry} {why}: it is not touched",)))
            continue
        try:
            fd = os.open(entry / "lease", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            continue
        run_id = entry.name
        lines = read_lines(entry)
        items, left = _remove(run_id, lines, died=True) if remove else _list(run_id, lines)
        if remove and not left:
            shutil.rmtree(entry, ignore_errors=True)
        os.close(fd)
        found.append(Leftover(run_id=run_id, run_dir=lines.run_dir, items=items, left=left, skipped=lines.skipped))
    return tuple(found)


def _sweep_hidden(entry: Path) -> None:
    """Remove the directory of a run that died before it had its lease: it had created nothing yet. One that is young
    may live.
    """
    with contextlib.suppress(OSError):  # it got its name just now
        if time.time() - entry.stat().st_mtime > _SWEEP_SECONDS:
            shutil.rmtree(entry, ignore_errors=True)


Found = tuple[tuple[str, ...], tuple[str, ...]]
"""What was found (or removed), and what could not be looked at or removed, with the reason."""


def _list(run_id: str, lines: Lines) -> Found:
    items = [f"process {pid} ({_command(pid)})" for pid in procfs.marked(run_id)]
    items += [f"cgroup {item['path']}" for item in lines.of("cgroup") if Path(item["path"]).exists()]
    items += [f"mount {item['point']}" for item in _mounts(lines)]
    left: list[str] = []
    if lines.of("docker"):
        try:
            items += docker_engine.leftovers(run_id)
        except HarnessError as error:
            left.append(f"containers, if any: {error.message}")
    return tuple(items), tuple(left)


def _remove(run_id: str, lines: Lines, *, died: bool) -> Found:
    """Remove what is left; what was removed is what is not found again afterwards.

    Args:
        run_id: Whose.
        lines: Of its ledger.
        died: It was killed, so that the engine may not yet have carried out all that it was asked for.
    """
    found, unseen = _list(run_id, lines)
    late = died and bool(lines.of("docker"))
    if not found and not unseen and not late:
        return (), ()
    reasons = list(unseen)
    deadline = time.monotonic() + _SWEEP_SECONDS
    if not unseen and (late or any(item.startswith(("container", "network")) for item in found)):
        try:
            removed_by_engine = docker_engine.remove(run_id, quiet_s=_QUIET_S if late else 0.0)
            found = tuple(dict.fromkeys((*found, *removed_by_engine)))
        except HarnessError as error:
            reasons.append(f"containers: {error.message}")
    # A process may be starting another one while we look: until none is left.
    while (pids := list(procfs.marked(run_id))) and time.monotonic() < deadline:
        for pid in pids:
            procfs.kill_marked(run_id, pid)
        time.sleep(0.01)
    for item in lines.of("cgroup"):
        cgroup.remove_group(Path(item["path"]))
    # Last: whoever held a file there is gone.
    reasons += filter(None, (_unmount(item) for item in _mounts(lines)))
    still, unseen = _list(run_id, lines)
    reasons += (reason for reason in unseen if reason not in reasons)
    removed = tuple(item for item in found if item not in still)
    unexplained = (item for item in still if not any(reason.startswith(item) for reason in reasons))
    return removed, (*reasons, *(f"{item}: it is still there" for item in unexplained))


def _mounts(lines: Lines) -> list[Mapping[str, Any]]:
    """Return the disks of which anything is left: a mount, a loop device or the image."""
    places = {item.point for item in mounts.mounts()}
    return [
        item
        for item in lines.of("mount")
        if item["point"] in places or mounts.loop_devices(Path(item["image"])) or Path(item["image"]).exists()
    ]


def _unmount(item: Mapping[str, Any]) -> str:
    return mounts.remove_mount(Path(item["point"]), Path(item["image"]))


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "gone"
    return " ".join(word.decode(errors="replace") for word in words[:4]).strip()[:80]

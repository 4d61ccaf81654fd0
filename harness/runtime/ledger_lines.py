"""What a ledger may say: lines that can be read, and acts confined to the run's directory and to names of ours.

A ledger is acted on with the rights of whoever sweeps, so that it is believed only as far as its owner and its words
go. Nothing here removes anything.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from platformdirs import user_state_path

from harness.errors import UnfitEnvironmentError
from harness.regular import read_regular
from harness.runtime.kernel import cgroup

LEDGER_FILE: Final = "ledger.jsonl"
_BYTES_MAX: Final = 16 << 20
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "run": ("run_dir",),
    "cgroup": ("path",),
    "mount": ("point", "image"),
    "process": (),
    "docker": (),
}


@dataclass(frozen=True, slots=True)
class Lines:
    """What a ledger says.

    Attributes:
        acts: Those that may be acted on, in order.
        skipped: Each other line, with its number and why it is skipped.
    """

    acts: tuple[Mapping[str, Any], ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def run_dir(self) -> str:
        """The run directory; empty when no line names it."""
        return next((str(item["run_dir"]) for item in self.acts if item["act"] == "run"), "")

    def of(self, act: str) -> Sequence[Mapping[str, Any]]:
        """Return the acts of one kind."""
        return [item for item in self.acts if item["act"] == act]


def state_dir() -> Path:
    """Return the user's state directory of this tool (override: ``HARNESS_STATE_DIR``)."""
    override = os.environ.get("HARNESS_STATE_DIR")
    return Path(override) if override else user_state_path("broker-chaos-harness")


def own_state_dir() -> Path:
    """Return the state directory; raises UnfitEnvironmentError when it is another user's: what stands there is acted
    on.
    """
    _require_own(state_dir())
    return state_dir()


def runs_dir() -> Path:
    """Return the directory of all ledgers; raises UnfitEnvironmentError as above."""
    _require_own(state_dir(), state_dir() / "runs")
    return state_dir() / "runs"


def _require_own(*places: Path) -> None:
    for place in places:
        try:
            found = place.stat() if place == state_dir() else place.lstat()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UnfitEnvironmentError(f"the state directory {place} cannot be read: {error.strerror}") from error
        if why := _foreign(found):
            raise UnfitEnvironmentError(
                f"the state directory {place} {why}, and the harness would act on what is written there",
                hint="set HARNESS_STATE_DIR to a directory of your own; with sudo, use sudo -H",
            )


def foreign(place: Path) -> str:
    """Return why the directory of a run is not acted on (``belongs to user 1000``); empty when it is our own."""
    try:
        return _foreign(place.lstat())
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _foreign(found: os.stat_result) -> str:
    if not stat.S_ISDIR(found.st_mode):
        return "is no directory"
    own = os.geteuid()
    return "" if found.st_uid == own else f"belongs to user {found.st_uid}, not to user {own}"


def read_lines(directory: Path) -> Lines:
    """Return what the ledger in a run's directory of state says; damaged lines are skipped and named."""
    try:
        content = read_regular(directory / LEDGER_FILE, _BYTES_MAX, own=True)
    except FileNotFoundError:
        return Lines()
    except OSError as error:
        return Lines(skipped=(f"{LEDGER_FILE} cannot be read: {error.strerror or error}",))
    acts: list[Mapping[str, Any]] = []
    skipped: list[str] = []
    whole, _, _ = content.rpartition(b"\n")  # a torn last line: its act was not begun
    for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
        item, why = _read(line)
        if not why:
            why = _beyond(item, Lines(tuple(acts)).run_dir)
        if why:
            skipped.append(f"line {number} of {LEDGER_FILE} {why}")
        else:
            acts.append(item)
    return Lines(tuple(acts), tuple(skipped))


def _read(line: bytes) -> tuple[Mapping[str, Any], str]:
    """Return the act of a line, and why it is none."""
    try:
        item = json.loads(line)
    except (ValueError, RecursionError):
        return {}, "is damaged"
    act = item.get("act") if isinstance(item, dict) else None
    if not isinstance(act, str) or act not in _FIELDS:
        return {}, "is damaged: it names no act"
    lacking = [field for field in _FIELDS[act] if not _is_path(item.get(field))]
    return (item, f"is damaged: {act} without {lacking[0]}") if lacking else (item, "")


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/") and "\0" not in value and value == os.path.normpath(value)


def _beyond(item: Mapping[str, Any], run_dir: str) -> str:
    """Return why an act is not a run's to undo; empty when it is."""
    if item["act"] == "cgroup":
        path = Path(item["path"])
        if cgroup.ROOT not in path.parents or not path.name.startswith(cgroup.PREFIX):
            return f"names a control group that is not ours: {path}"
    if item["act"] == "mount":
        for name in ("point", "image"):
            place = Path(os.path.realpath(item[name]))
            if not run_dir or Path(os.path.realpath(run_dir)) not in place.parents:
                return f"names a {name} outside the run directory: {item[name]}"
        if Path(item["point"]).parent != Path(item["image"]).parent or not item["image"].endswith(".img"):
            return f"names a disk that is not ours: {item['image']}"
    if item["act"] == "run" and len(Path(item["run_dir"]).parts) < 3:
        return f"names a run directory that is none: {item['run_dir']}"
    return ""

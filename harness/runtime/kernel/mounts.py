"""Mounts and loop devices of this machine, as the kernel names them, and how what a dead run left of them is removed.

Knows no ledger, no run and not what a disk is used for.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """One mount as the kernel reports it (proc(5), mountinfo).

    Attributes:
        point: Where.
        source: Device.
        filesystem: Its type.
    """

    point: str
    source: str
    filesystem: str


def mounts(table: Path = Path("/proc/self/mountinfo")) -> tuple[Mounted, ...]:
    """Return every mount of this process's namespace."""
    found = []
    for line in table.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        filesystem, source, *_ = after.split(" ")
        found.append(Mounted(point=_unescape(before.split(" ")[4]), source=_unescape(source), filesystem=filesystem))
    return tuple(found)


def loop_devices(image: Path, devices: Path = Path("/sys/block")) -> tuple[str, ...]:
    """Return the loop devices whose file is ``image``."""
    found = []
    for entry in devices.glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            if entry.read_text(encoding="utf-8").rstrip("\n").removesuffix(" (deleted)") == str(image.absolute()):
                found.append(f"/dev/{entry.parent.parent.name}")
    return tuple(found)


def remove_mount(point: Path, image: Path) -> str:
    """Remove what a dead run left of a disk, mounts and loop devices; return what could not be removed, or nothing."""
    deadline = time.monotonic() + 5.0
    said = ""
    while any(item.point == str(point) for item in mounts()):
        late = time.monotonic() > deadline
        done = subprocess.run(
            ["umount", *(["-l"] if late else []), str(point)], capture_output=True, text=True, check=False
        )
        said = done.stderr.strip()
        if done.returncode and late:
            return f"mount {point}: {said}"
        if done.returncode:
            time.sleep(0.05)
    # A container that just starts has a copy of every mount, and holds the device for as long.
    while devices := loop_devices(image):
        for device in devices:
            subprocess.run(["losetup", "-d", device], capture_output=True, check=False)
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    with contextlib.suppress(OSError):
        image.unlink(missing_ok=True)
    return ""


def _unescape(text: str) -> str:
    r"""Return a path of mountinfo with its octal escapes resolved (``\040`` = space)."""
    for code in ("040", "011", "012", "134"):
        text = text.replace(f"\\{code}", chr(int(code, 8)))
    return text

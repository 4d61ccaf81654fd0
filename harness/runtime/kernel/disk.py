"""A node's own disk: a file system in an image file, mounted by a loop device, whose power can be cut.

The cut is the file system's own shutdown without a flush of its log: what was not synced is gone at the next mount, as
it is when a machine loses its power, on a real journaling file system. What the kernel had written back by itself
stays, as it does on real hardware. Linux only; needs root. Knows no broker.

``XFS_IOC_GOINGDOWN`` (man 2 ioctl_xfs_goingdown) and ``EXT4_IOC_SHUTDOWN`` (fs/ext4/ext4.h) are the same number:
``_IOR('X', 125, __u32)``; the value 2 is ``NOLOGFLUSH`` in both.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from harness.errors import AbilityError, StartError
from harness.runtime.kernel.mounts import Mounted, loop_devices, mounts
from harness.runtime.ledger import Ledger

FILESYSTEMS = ("xfs", "ext4")

_SHUTDOWN = 0x8004_587D
_NO_LOG_FLUSH = 2
_NO_SUCH_FLAG = 99
_NEW = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
_DEADLINE_S = 30.0
_POLL_S = 0.005
_MARKER = ".chaos-unsynced"
_PROBE = ".chaos-probe"
_ROOM = ".chaos-room"
_BALLAST = ".chaos-ballast-"
_STEPS = (1 << 26, 1 << 22, 1 << 18, 1 << 12)
"""A file system close to full may refuse a large extent and still take a small one."""

# What writes nothing behind our back later: no lazy initialization, no discards.
_MKFS = {
    "xfs": ("mkfs.xfs", "-q", "-K", "-f"),
    "ext4": ("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0", "-m", "0"),
}
_LEAST = {"xfs": 300 << 20, "ext4": 64 << 20}
"""What each file system wants at least (mkfs.xfs refuses less than 300 MiB)."""


class LoopDisk:
    """The disk of one node; all calls block.

    Args:
        image: File that holds it.
        point: Where it is mounted: the node's data directory.
        filesystem: ``xfs`` or ``ext4``.
        size_bytes: Of the image; it is sparse.
        ledger: Of the run.
    """

    def __init__(self, image: Path, point: Path, filesystem: str, size_bytes: int, ledger: Ledger) -> None:
        self.image, self.point = image, point
        self.filesystem = filesystem
        self._size_bytes = max(size_bytes, _LEAST[filesystem])
        self._ledger = ledger
        self.generation = 0

    def create(self) -> None:
        """Make the file system and mount it; raises StartError (definite)."""
        self._ledger.intend("mount", point=str(self.point), image=str(self.image))
        self.image.parent.mkdir(parents=True, exist_ok=True)
        with self.image.open("xb") as file:
            file.truncate(self._size_bytes)
        _call([*_MKFS[self.filesystem], str(self.image)])
        self.mount()
        with contextlib.suppress(FileNotFoundError):
            # Kafka takes every directory in a log directory for a partition.
            (self.point / "lost+found").rmdir()
        self._require_shutdown()
        self.sync()

    def mount(self) -> None:
        """Mount it; the kernel recovers its log. Raises StartError (definite)."""
        self.point.mkdir(parents=True, exist_ok=True)
        # The loop device goes by itself with the mount.
        _call(["mount", "-t", self.filesystem, "-o", "loop", str(self.image), str(self.point)])
        self.generation += 1

    def mark(self) -> None:
        """Write a file and sync nothing: a power cut right after this must lose it. Raises StartError where there is no
        room.
        """
        with self._root() as root:
            try:
                handle = os.open(_MARKER, _NEW, 0o600, dir_fd=root)
                try:
                    os.write(handle, b"written, not synced")
                finally:
                    os.close(handle)
            except OSError as error:
                raise StartError(f"{self.point} takes no file that a power cut could lose: {error.strerror}") from error

    def marked(self) -> bool:
        """Return whether that file is there."""
        return (self.point / _MARKER).exists()

    def cut(self) -> None:
        """Shut the file system down without a flush of its log; raises StartError (definite)."""
        with self._root() as root:
            try:
                fcntl.ioctl(root, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
            except OSError as error:
                raise StartError(f"the power of {self.point} could not be cut: {error.strerror}") from error

    def refuses(self) -> str:
        """Return the error with which the file system refuses to take a new file; empty when it takes one."""
        try:
            with self._root() as root:
                handle = os.open(_PROBE, _NEW, 0o600, dir_fd=root)
                try:
                    os.write(handle, b"x")
                finally:
                    os.close(handle)
                os.unlink(_PROBE, dir_fd=root)
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, str(error.errno))
        return ""

    def unmount(self) -> None:
        """Unmount it and wait until its loop device has gone; raises StartError (definite) when a process holds it.

        A second mount of the image next to a device that is still there would be a second file system on the same
        blocks.
        """
        deadline = time.monotonic() + _DEADLINE_S
        while self.mounted() is not None:
            done = subprocess.run(["umount", str(self.point)], capture_output=True, text=True, check=False)
            if done.returncode and time.monotonic() > deadline:
                raise StartError(f"{self.point} cannot be unmounted: {done.stderr.strip()}")
            time.sleep(_POLL_S if done.returncode else 0)
        while loop_devices(self.image):
            if time.monotonic() > deadline:
                raise StartError(f"the loop device of {self.image} cannot be removed: another mount of it exists")
            time.sleep(_POLL_S)

    def sync(self) -> None:
        """Write everything of this file system to its device (syncfs(2))."""
        with self._root() as root:
            if ctypes.CDLL(None, use_errno=True).syncfs(root):
                code = ctypes.get_errno()
                raise StartError(f"{self.point} cannot be synced: {os.strerror(code)}")

    def mounted(self) -> Mounted | None:
        """Return the mount at its place; None when there is none."""
        return next((item for item in mounts() if item.point == str(self.point)), None)

    def free_bytes(self) -> int:
        """Return what an ordinary user could still write."""
        with self._root() as root:
            return _free_bytes(root)

    def fill(self, holder: str, leave_bytes: int) -> None:
        """Take all free room but ``leave_bytes`` with a file of the holder's; raises StartError when it cannot."""
        with self._root() as root:
            handle = os.open(f"{_BALLAST}{holder}", _NEW, 0o600, dir_fd=root)
            try:
                for step in _STEPS:
                    while _free_bytes(root) - leave_bytes >= step:
                        try:
                            os.posix_fallocate(handle, os.fstat(handle).st_size, step)
                        except OSError as error:
                            if error.errno != errno.ENOSPC:
                                raise StartError(f"{self.point} cannot be filled: {error.strerror}") from error
                            break
                os.fsync(handle)  # it stays through a power cut
                os.fsync(root)
            finally:
                os.close(handle)

    def free(self, holder: str) -> None:
        """Give the holder's room back."""
        with self._root() as root, contextlib.suppress(FileNotFoundError):
            # Cut short first: xfs frees what an unlinked file held some time later, and the next fill would miss it.
            os.close(os.open(f"{_BALLAST}{holder}", os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, dir_fd=root))
            os.unlink(f"{_BALLAST}{holder}", dir_fd=root)

    def takes(self, size_bytes: int) -> bool:
        """Return whether the file system would take a file of this size just now."""
        with self._root() as root:
            try:
                handle = os.open(_ROOM, _NEW, 0o600, dir_fd=root)
            except OSError:
                return False
            try:
                os.posix_fallocate(handle, 0, size_bytes)
                return True
            except OSError:
                return False
            finally:
                with contextlib.suppress(OSError):
                    os.ftruncate(handle, 0)  # see free
                    os.unlink(_ROOM, dir_fd=root)
                os.close(handle)

    def destroy(self) -> None:
        """Unmount it and remove the image."""
        if self.mounted() is not None:
            self.unmount()
        self.image.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _root(self) -> Iterator[int]:
        """Open its top directory, and make sure that it is its own: what fills it must never fill this machine's disk.

        Raises StartError (definite) while it is not mounted.
        """
        handle = os.open(self.point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if os.fstat(handle).st_dev == self.point.parent.stat().st_dev:
                raise StartError(f"the disk of {self.point} is not mounted")
            yield handle
        finally:
            os.close(handle)

    def _require_shutdown(self) -> None:
        """Raise StartError (definite) where the file system knows no shutdown, requested by a flag that no kernel
        accepts.
        """
        with self._root() as root:
            try:
                fcntl.ioctl(root, _SHUTDOWN, struct.pack("I", _NO_SUCH_FLAG))
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise StartError(
                        f"this kernel cannot cut the power of {self.filesystem}: {error.strerror}",
                        hint="the shutdown ioctl needs Linux with xfs, or ext4 from 4.11 on",
                    ) from error


def why_no_disks() -> str:
    """Return why nodes cannot have disks of their own here; empty when they can."""
    if os.geteuid() != 0:
        return "mounting the node's own file system needs root"
    missing = [name for name in ("mount", "umount", "losetup") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not found (package mount)"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices (/dev/loop-control)"
    return ""


def require_disk(filesystem: str) -> None:
    """Raise AbilityError, with the reason, when a disk with this file system cannot be made here."""
    why = why_no_disks()
    tool = _MKFS[filesystem][0]
    if not why and shutil.which(tool) is None:
        why = f"{tool} not found (package {'xfsprogs' if filesystem == 'xfs' else 'e2fsprogs'})"
    if why:
        raise AbilityError(f"a disk with {filesystem} is not possible here: {why}")


def _call(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StartError(f"{argv[0]} failed: {(done.stderr or done.stdout).strip()}")


def _free_bytes(root: int) -> int:
    told = os.fstatvfs(root)
    return told.f_bavail * told.f_frsize

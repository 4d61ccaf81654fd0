"""The doctor's examinations of the machine: one function an item.

Every item is found out by trying or by reading, never guessed from a name, and nothing that is tried outlives its item.
They must never fetch, build or clean anything.
"""

from __future__ import annotations

import contextlib
import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.clock import clock_identity
from harness.doctor.report import Item, ItemStatus
from harness.environment import settled
from harness.errors import AbilityError
from harness.faults.base import FAULTS
from harness.runtime.abilities import MachineAbility, why_not
from harness.runtime.kernel import own_network
from harness.runtime.kernel.cgroup_cpu import CpuController, CpuGroup, find_controller
from harness.runtime.kernel.disk import FILESYSTEMS, require_disk
from harness.units import BYTES

_MEMORY_BYTES_MIN = 1 * 2**30
_DISK_BYTES_MIN = 1 * 2**30
_OPEN_FILES_MIN = 4096
_PORTS_MIN = 64
_PROBE_CORES = 0.5


def cpu_limits(
    find: Callable[[], CpuController] = find_controller, new_group: Callable[[CpuController, str], CpuGroup] = CpuGroup
) -> tuple[bool, str]:
    """Try to limit the CPU of a new, empty control group; return whether it works and where, or why not.

    Args:
        find: Returns where groups can be made; raises AbilityError.
        new_group: (where, name) → a group that is not made yet.
    """
    try:
        controller = find()
        group = new_group(controller, f"probe-{os.getpid()}")
        try:
            group.create()
            group.limit(_PROBE_CORES)
            quota = group.use().quota_cores
        finally:
            group.remove()
    except AbilityError as error:
        return False, error.message
    except OSError as error:
        return False, f"CPU limits are not possible here: {error.filename}: {error.strerror}"
    if quota != _PROBE_CORES:
        return False, f"a limit of {_PROBE_CORES} cores reads back as {quota} in {controller.parent}"
    return True, f"control groups version {controller.version} in {controller.parent}"


def _faults_that_need(ability: MachineAbility) -> str:
    """Return the registered faults that need an ability (``faults disk_full, power_loss``)."""
    names = [name for name, kind in FAULTS.items() if ability in kind.machine]
    return f"fault{'s' if len(names) > 1 else ''} {', '.join(names)}"


def system() -> Item:
    """Report the operating system."""
    found = (
        f"{platform.system()} {platform.release()} on {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}"
    )
    if sys.platform.startswith("linux"):
        return Item(name="system", status=ItemStatus.OK, detail=found)
    return Item(
        name="system",
        status=ItemStatus.MISSING,
        detail=f"{found}: faults, evidence and cleaning up read /proc and control groups, and journals need a clock "
        "that all "
        "processes share; only Linux has these",
        remedy="run in a Linux machine or container",
    )


def environment(aside: Callable[[], Mapping[str, str]] = settled) -> Item:
    """Report which inherited variables were set aside, and why."""
    found = aside()
    detail = "; ".join(f"{name} is set aside: {why}" for name, why in sorted(found.items()))
    return Item(name="environment", status=ItemStatus.OK, detail=detail or "no variable had to be set aside")


def process_runtime() -> Item:
    """Return whether processes can be supervised."""
    if hasattr(os, "pidfd_open") and Path("/proc/self/stat").exists():
        return Item(name="process runtime", status=ItemStatus.OK, detail="usable; the default")
    return Item(
        name="process runtime",
        status=ItemStatus.MISSING,
        detail="no /proc or no pidfd_open",
        remedy="Linux 5.3 or newer",
        affects="every run",
    )


def isolation(why_not: Callable[[], str] = own_network.why_not) -> Item:
    """Return whether runs of processes can have a network of their own; ``why_not`` tries it."""
    why = why_not()
    if not why:
        detail = "runs of processes have a network of their own, which no other user of this machine can reach"
        return Item(name="isolation", status=ItemStatus.OK, detail=detail)
    return Item(
        name="isolation",
        status=ItemStatus.LIMITED,
        detail=f"runs of processes have no network of their own: {why}",
        remedy="run as root, or let this user make user namespaces (docs/security.md)",
        affects="--isolate: every user of this machine can reach the ports of a run",
    )


def cpu() -> Item:
    """Try whether a node's CPU can be limited."""
    usable, detail = cpu_limits()
    if usable:
        return Item(name="CPU limits", status=ItemStatus.OK, detail=detail)
    return Item(
        name="CPU limits",
        status=ItemStatus.LIMITED,
        detail=detail,
        remedy="run as root, or in a control group with the cpu controller that is delegated to this user",
        affects=_faults_that_need(MachineAbility.CPU_LIMITS),
    )


def memory_limits() -> Item:
    """Return whether a node's memory can be limited."""
    why = why_not(MachineAbility.MEMORY_LIMITS, "process")
    if not why:
        return Item(name="memory limits", status=ItemStatus.OK, detail="control groups with the memory controller")
    return Item(
        name="memory limits",
        status=ItemStatus.LIMITED,
        detail=why,
        remedy="run as root, or in a control group with the memory controller that is delegated to this user",
        affects=f"{_faults_that_need(MachineAbility.MEMORY_LIMITS)} in processes",
    )


def node_disks(require: Callable[[str], None] = require_disk) -> Item:
    """Return whether nodes can have disks of their own, with each file system; ``require`` raises
    AbilityError for one.
    """
    lacking = {}
    for filesystem in FILESYSTEMS:
        try:
            require(filesystem)
        except AbilityError as error:
            lacking[filesystem] = error.message
    if not lacking:
        detail = f"root, loop devices, {' and '.join(f'mkfs.{name}' for name in FILESYSTEMS)} are there"
        return Item(name="node disks", status=ItemStatus.OK, detail=detail)
    return Item(
        name="node disks",
        status=ItemStatus.LIMITED,
        detail="\n".join(dict.fromkeys(lacking.values())),
        remedy="run as root on a machine with loop devices, xfsprogs and e2fsprogs",
        affects=f"{_faults_that_need(MachineAbility.DISK)}, and cluster.disk ({', '.join(lacking)})",
    )


def memory(least_bytes: int = _MEMORY_BYTES_MIN) -> Item:
    """Report how much memory is left, and whether that is at least ``least_bytes``."""
    available = _available_memory_bytes()
    if available is None:
        return Item(name="memory", status=ItemStatus.LIMITED, detail="unknown: no MemAvailable in /proc/meminfo")
    detail = f"{_size(available)} available"
    if available >= least_bytes:
        return Item(name="memory", status=ItemStatus.OK, detail=detail)
    return Item(
        name="memory",
        status=ItemStatus.LIMITED,
        detail=f"{detail}, less than {_size(least_bytes)}",
        remedy="end other programs, or use fewer nodes and workers",
        affects="clusters of several nodes, many workers",
    )


def _available_memory_bytes() -> int | None:
    """Return what this machine can still give, or this control group may still take, whichever is less."""
    available: int | None = None
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) * 1024
    for limit, use in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        # ValueError: memory.max says "max".
        with contextlib.suppress(OSError, ValueError):
            root = Path("/sys/fs/cgroup")
            rest = int((root / limit).read_text(encoding="ascii")) - int((root / use).read_text(encoding="ascii"))
            available = rest if available is None else min(available, rest)
    return available


def disk(name: str, directory: Path, elsewhere: str, least_bytes: int = _DISK_BYTES_MIN) -> Item:
    """Try whether a directory can be written and has ``least_bytes`` of room; ``elsewhere`` is the remedy."""
    place = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        why = (
            f"{directory} cannot be {'written' if place == directory.absolute() else f'made in {place}'}: "
            f"{error.strerror}"
        )
        return Item(name=name, status=ItemStatus.MISSING, detail=why, remedy=elsewhere)
    free = shutil.disk_usage(place).free
    if free < least_bytes:
        return Item(
            name=name,
            status=ItemStatus.LIMITED,
            detail=f"{_size(free)} free in {directory}, less than {_size(least_bytes)}",
            remedy=f"free space there, or {elsewhere}",
        )
    return Item(name=name, status=ItemStatus.OK, detail=f"{_size(free)} free in {directory}")


def open_files() -> Item:
    """Report how many files a process may open."""
    return open_files_item(*resource.getrlimit(resource.RLIMIT_NOFILE))


def open_files_item(soft: int, hard: int) -> Item:
    """Return whether a process may open enough files; ``hard`` is how far ``soft`` may be raised."""
    if soft == resource.RLIM_INFINITY or soft >= _OPEN_FILES_MIN:
        return Item(
            name="open files",
            status=ItemStatus.OK,
            detail="unlimited" if soft == resource.RLIM_INFINITY else f"{soft} a process",
        )
    return Item(
        name="open files",
        status=ItemStatus.LIMITED,
        detail=f"{soft} a process, less than {_OPEN_FILES_MIN}",
        remedy=f"ulimit -n {_OPEN_FILES_MIN if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES_MIN)}",
        affects="clusters with many partitions and workers",
    )


def clock() -> Item:
    """Report the clock of journals."""
    try:
        identity = clock_identity()
    except OSError as error:
        return Item(
            name="clock", status=ItemStatus.MISSING, detail=f"{error.filename}: {error.strerror}", affects="every run"
        )
    step_ns = round(time.get_clock_info("monotonic").resolution * 1e9)
    return Item(
        name="clock", status=ItemStatus.OK, detail=f"monotonic, step {step_ns} ns, {identity.partition('/')[2]}"
    )


def ports() -> Item:
    """Hold as many loopback ports at once as a large run takes."""
    with contextlib.ExitStack() as sockets:
        for count in range(_PORTS_MIN):
            try:
                sockets.enter_context(socket.socket()).bind(("127.0.0.1", 0))
            except OSError as error:
                return Item(
                    name="loopback ports",
                    status=ItemStatus.MISSING,
                    detail=f"only {count} are available: {error.strerror}",
                    remedy="is the loopback interface up, and what holds the ports?",
                    affects="every run",
                )
    return Item(name="loopback ports", status=ItemStatus.OK, detail=f"{_PORTS_MIN} held at once on 127.0.0.1")


def leftovers(find: Callable[[], Sequence[str]]) -> Item:
    """Report what dead runs left behind, as ``find`` says it."""
    left = find()
    if not left:
        return Item(name="leftovers", status=ItemStatus.OK, detail="no dead run left anything behind")
    return Item(
        name="leftovers",
        status=ItemStatus.LIMITED,
        detail="\n".join(left),
        remedy="harness clean; the next run does it too",
    )


def _size(size_bytes: int) -> str:
    """Return a size with one decimal, for people."""
    value = BYTES.format(size_bytes)
    number = value.rstrip("BGiKM")
    return f"{float(number):.1f} {value[len(number) :]}"

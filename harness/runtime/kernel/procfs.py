"""What the kernel says of processes: identity, state, environment marks, sockets. Linux only."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from harness.clock import NS_PER_S
from harness.runtime.base import Identity

MARK = "HARNESS_RUN"
"""Environment variable that every process of a run carries: the proof that a process is ours."""


def identity(pid: int) -> Identity | None:
    """Return pid and start time of a live process; None for one that is gone or a zombie."""
    fields = _stat(pid)
    if fields is None or fields[0] in "ZX":
        return None
    return Identity(pid=pid, start_ticks=int(fields[19]))


def state(pid: int) -> str:
    """Return the scheduler state letter (``R``, ``S``, ``T``…); empty when the process is gone."""
    fields = _stat(pid)
    return "" if fields is None else fields[0]


def cpu_seconds(pid: int) -> float:
    """Return user plus system time of a process so far; 0 when it is gone."""
    fields = _stat(pid)
    return 0.0 if fields is None else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_ns(pid: int) -> int:
    """Return user plus system time of a process so far, its reaped children's included; 0 when it is gone."""
    fields = _stat(pid)
    return 0 if fields is None else sum(map(int, fields[11:15])) * NS_PER_S // os.sysconf("SC_CLK_TCK")


def waited_ns(pid: int) -> dict[str, int]:
    """Return thread → how long it was ready to run and had no CPU so far; none where the kernel does not say.

    Source: the kernel's Documentation/scheduler/sched-stats.rst: ``/proc/<pid>/task/<thread>/schedstat``.
    """
    with contextlib.suppress(OSError):
        return {thread.name: _waited(thread) for thread in Path(f"/proc/{pid}/task").iterdir()}
    return {}


def own_waited_ns() -> int:
    """Return how long the calling thread was ready to run and had no CPU so far; 0 where that is not said."""
    return _waited(Path("/proc/thread-self"))


def _waited(thread: Path) -> int:
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int((thread / "schedstat").read_text(encoding="ascii").split()[1])
    return 0


def oom_kills() -> int:
    """Return how many processes the kernel has ended for lack of memory since it started; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process; 0 when it is gone."""
    fields = _stat(pid)
    return 0 if fields is None else int(fields[21]) * os.sysconf("SC_PAGE_SIZE")


def marked(run_id: str) -> Iterator[int]:
    """Yield the pids of all live processes that carry the mark of ``run_id`` in their environment."""
    wanted = f"{MARK}={run_id}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and wanted in _environment(int(entry.name)):
            yield int(entry.name)


def of_session(session: int, mark: str) -> list[int]:
    """Return the pids of all live processes of a session, and of those that carry a mark in their environment.

    A descendant is found by the one though it began a session of its own, and by the other though it cleaned its
    environment.

    Args:
        session: Pid of the session's first process; 0 = none.
        mark: ``NAME=value``.
    """
    found, wanted = [], mark.encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or (pid := int(entry.name)) == os.getpid():
            continue
        fields = _stat(pid)
        if fields is None or fields[0] in "ZX":
            continue
        if (session and int(fields[3]) == session) or wanted in _environment(pid):
            found.append(pid)
    return sorted(found)


def listening(pid: int) -> set[Address]:
    """Return the local address of every TCP socket of the process that listens."""
    return {local for local, _, state in _sockets(pid) if state == _LISTENING}


def kill_marked(run_id: str, pid: int) -> bool:
    """Kill ``pid`` (SIGKILL) if it still carries the mark; a pid that was reused is never touched."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        # The handle pins the process: what is read now is the environment of what is killed.
        if f"{MARK}={run_id}".encode() not in _environment(pid):
            return False
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


Address = tuple[str, int]
"""IPv4 address and port."""

_ESTABLISHED = "01"
_LISTENING = "0A"


def local_sockets(pid: int) -> set[Address]:
    """Return the local address of every TCP socket that the process holds."""
    return {local for local, _, _ in _sockets(pid)}


def established(pid: int) -> set[tuple[Address, Address]]:
    """Return (local, remote) of every TCP connection of the process that is established."""
    return {(local, remote) for local, remote, state in _sockets(pid) if state == _ESTABLISHED}


def _sockets(pid: int) -> list[tuple[Address, Address, str]]:
    """Return (local, remote, state) of the process's TCP sockets."""
    inodes = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(descriptor.readlink())
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    except OSError:
        return []
    sockets = []
    for line in _tables(pid):
        fields = line.split()
        if fields[9] in inodes:
            sockets.append((_address(fields[1]), _address(fields[2]), fields[3]))
    return sockets


def _tables(pid: int) -> list[str]:
    """Return the lines of the TCP tables of the process's own network namespace.

    Of this process, of the calling thread's: its first thread may live in another one (see ``own_network``).
    """
    lines = []
    place = "thread-self" if pid == os.getpid() else str(pid)
    for table in ("tcp", "tcp6"):
        # A kernel without IPv6 has no second table, and a process that has just ended none at all.
        with contextlib.suppress(OSError):
            lines += Path(f"/proc/{place}/net/{table}").read_text(encoding="ascii").splitlines()[1:]
    return lines


def _address(text: str) -> Address:
    """Return an address as the kernel's tables write it; of a mapped IPv6 address, the IPv4 address in it."""
    digits, port = text.split(":")
    octets = bytes.fromhex(digits[-8:])[::-1]
    return ".".join(str(octet) for octet in octets), int(port, 16)


def _environment(pid: int) -> tuple[bytes, ...]:
    try:
        return tuple(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    except OSError:
        return ()


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The command may contain spaces and parentheses: fields start behind the last one. Field 0 is the state.
    return text[text.rindex(")") + 2 :].split()

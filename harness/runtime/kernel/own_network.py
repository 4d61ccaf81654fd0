"""A network namespace with nothing but loopback, for one thread and everything that it starts from then on. Linux only.

Owns how a thread gets there (unshare(2), network_namespaces(7)) and why it cannot on this machine. Python has
``os.unshare`` from 3.12 on, so the C library is called. A namespace belongs to a thread, not to a process: the thread
of a run goes in, and the others stay where downloads and a container engine are reached. So nothing has to come back,
which another user than root could not do. The namespace ends with the last process in it.

Root goes in directly. Another user may do so in a user namespace of its own (user_namespaces(7)), in which it stays
who it is: same number, same groups, no more rights to files. A process must have one thread alone to go there, and
whatever it starts has no rights at all. Inside, nothing can be asked of processes in another such namespace: what dead
runs left is looked for before.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import Final

from harness.errors import AbilityError, UnfitEnvironmentError

_CLONE_NEWUSER: Final = 0x1000_0000
_CLONE_NEWNET: Final = 0x4000_0000
_CAP_NET_ADMIN: Final = 12
_CAP_SYS_ADMIN: Final = 21
_NEEDED: Final = 1 << _CAP_NET_ADMIN | 1 << _CAP_SYS_ADMIN
_CAPABILITY_VERSION_3: Final = 0x2008_0522
_SIOCGIFFLAGS: Final = 0x8913
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1
_IFREQ: Final = "16sH22x"
"""``struct ifreq``: the name, and of the union the flags."""

_THREADS_LEAVE_S: Final = 1.0
"""Python's ``join`` returns a moment before the kernel's thread is gone."""
_TRIAL_S: Final = 20.0


def enter() -> None:
    """Move the calling thread into a new network namespace and bring up its loopback.

    Threads and processes that it starts from now on are there, too. There is no way back.

    Raises:
        AbilityError: It may not, and nothing has changed.
        UnfitEnvironmentError: Loopback cannot be brought up; the thread has no network at all.
    """
    try:
        _unshare(_CLONE_NEWNET)
    except OSError as error:
        raise AbilityError(f"unshare of the network: {error.strerror}") from error
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            _, flags = struct.unpack(_IFREQ, fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack(_IFREQ, b"lo", 0)))
            fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack(_IFREQ, b"lo", flags | _IFF_UP))
    except OSError as error:
        raise UnfitEnvironmentError(f"loopback of the new network cannot be brought up: {error.strerror}") from error


def is_able() -> bool:
    """Return whether this thread has the rights to go in as it is."""
    return _effective() & _NEEDED == _NEEDED


def enter_user_namespace() -> None:
    """Move this process into a user namespace of its own, with the rights to ``enter`` and no others.

    Raises:
        AbilityError: It may not, or has other threads.
        UnfitEnvironmentError: The namespace cannot be used.
    """
    user, group = os.geteuid(), os.getegid()
    deadline = time.monotonic() + _THREADS_LEAVE_S
    while True:
        try:
            _unshare(_CLONE_NEWUSER)
            break
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise AbilityError(f"unshare of the user: {error.strerror}") from error
            if time.monotonic() > deadline:
                raise AbilityError(f"this process has {_threads()} threads, and may have one") from error
            time.sleep(0.005)
    try:
        own = Path("/proc/self")
        (own / "setgroups").write_text("deny", encoding="ascii")  # without it no group may be named
        (own / "uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        (own / "gid_map").write_text(f"{group} {group} 1", encoding="ascii")
        _keep_capabilities()
    except OSError as error:
        raise UnfitEnvironmentError(f"the user namespace cannot be used: {error.strerror}") from error


@cache
def why_not() -> str:
    """Return why a run of this process cannot have a network of its own; empty when it can. Found out by trying."""
    return why_not_as(able=is_able(), user=os.geteuid(), python=sys.executable)


def why_not_as(*, able: bool, user: int, python: str) -> str:
    """Return the same for a process like this one.

    Args:
        able: It has the rights to go in as it is.
        user: Its effective user.
        python: Runs the trial of a user without rights, in a process of its own.
    """
    if able:
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(_tried()), name="trial")
        thread.start()
        thread.join()
        return found[0]
    if user == 0:
        return "root has no CAP_SYS_ADMIN or no CAP_NET_ADMIN here, as in a container without privileges"
    command = [python, "-P", "-m", __name__]
    try:
        tried = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TRIAL_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the trial cannot be made: {error}"
    if tried.returncode:
        return "the trial died: " + (tried.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
    return tried.stdout.decode(errors="replace").strip()


def _tried() -> str:
    """Go in with this thread and talk over loopback there; return what prevents it."""
    try:
        if not is_able():
            enter_user_namespace()
        enter()
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 5):
            return ""
    except UnfitEnvironmentError as error:
        return error.message
    except OSError as error:
        return f"loopback of the new network does not carry: {error.strerror}"


def _unshare(what: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(what) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _keep_capabilities() -> None:
    """Give up all rights in the user namespace but those that ``enter`` needs.

    The others would let this process pass over the modes of its user's own files, as root does.
    """
    library = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    data = struct.pack("6I", _NEEDED, _NEEDED, 0, 0, 0, 0)
    if library.capset(ctypes.c_char_p(header), ctypes.c_char_p(data)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _effective() -> int:
    """Return the calling thread's rights as a set of bits (capabilities(7)); none where the kernel does not say."""
    try:
        lines = Path("/proc/thread-self/status").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    except (OSError, ValueError):
        return 0


def _threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


if __name__ == "__main__":
    sys.stdout.write(_tried())

"""Free loopback ports, held against other runs for as long as this one lasts.

Ports are drawn below the kernel's ephemeral range: a broker that is down for a moment must find its port again, and an
outgoing connection could otherwise have been given it (or even connected to itself).
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
from pathlib import Path

from harness.errors import UnfitEnvironmentError

_LOWEST = 10_000
_ATTEMPTS = 2_000


class Ports:
    """Draws ports and holds a lock file per port, so that two runs never share one.

    Args:
        state_dir: The user's state directory; lock files live in its ``ports`` folder.
    """

    def __init__(self, state_dir: Path) -> None:
        self._dir = state_dir / "ports"
        self._dir.mkdir(parents=True, exist_ok=True)
        self._held: dict[int, int] = {}
        # Not from the scenario's seed: ports are not part of a plan, and equal seeds must not collide.
        self._random = random.SystemRandom()

    def draw(self) -> int:
        """Return a port that nobody listens on and no other run holds; raises UnfitEnvironmentError when none is left."""
        for _ in range(_ATTEMPTS):
            port = self._random.randrange(_LOWEST, _ephemeral_start())
            if port not in self._held and _free(port) and self._hold(port):
                return port
        raise UnfitEnvironmentError("no free loopback port found", hint="are thousands of ports in use?")

    def release(self) -> None:
        """Give every held port back."""
        for port, fd in self._held.items():
            (self._dir / str(port)).unlink(missing_ok=True)
            os.close(fd)
        self._held.clear()

    def _hold(self, port: int) -> bool:
        fd = os.open(self._dir / str(port), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another run may have removed the file between open and lock: then this lock guards nothing.
            held = os.fstat(fd).st_ino == (self._dir / str(port)).stat().st_ino
        except OSError:
            held = False
        if not held:
            os.close(fd)
            return False
        self._held[port] = fd
        return True


def _ephemeral_start() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    except OSError:
        return 32_768
    return max(int(text.split()[0]), _LOWEST + 1_000)


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True

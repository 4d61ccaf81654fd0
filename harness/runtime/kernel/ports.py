"""Free loopback ports, held against other runs for as long as this one lasts.

Ports are drawn below the kernel's ephemeral range: a broker that is down for a moment must find its port again, and an
outgoing connection could otherwise have been given it (or even connected to itself). A port is held by a UNIX socket
with an abstract name: such names belong to the network namespace, as ports do, so that every run of every user sees
them whatever its directories; and the kernel gives them back when the holder dies, however it dies (unix(7)).
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable
from pathlib import Path

from harness.errors import UnfitEnvironmentError

_LOWEST = 10_000
_ATTEMPTS = 2_000


class Ports:
    """Draws ports and holds each, so that two runs never share one."""

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}
        # Not from the scenario's seed: ports are not part of a plan, and equal seeds must not collide.
        self._random = random.SystemRandom()

    def draw(self, apart: Iterable[int] = ()) -> int:
        """Return a port that no process listens on and no other run holds; raises UnfitEnvironmentError when none is
        left.

        Args:
            apart: How far from it further ports lie (-2: two below) that must be as free, and are held, too.
        """
        offsets = (0, *apart)
        for _ in range(_ATTEMPTS):
            port = self._random.randrange(_LOWEST - min(offsets), _ephemeral_start() - max(offsets))
            if self._take([port + offset for offset in offsets]):
                return port
        raise UnfitEnvironmentError("no free loopback port found", hint="are thousands of ports in use?")

    def release(self) -> None:
        """Give every held port back."""
        for holder in self._held.values():
            holder.close()
        self._held.clear()

    def _take(self, ports: Iterable[int]) -> bool:
        """Hold all of these, or none of them; return whether they are held."""
        taken: list[int] = []
        for port in ports:
            if port not in self._held and self._hold(port):
                taken.append(port)
                if _free(port):
                    continue
            for each in taken:
                self._held.pop(each).close()
            return False
        return True

    def _hold(self, port: int) -> bool:
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            holder.bind(f"\0broker-chaos-harness/port/{port}")
        except OSError:
            holder.close()
            return False
        self._held[port] = holder
        return True


def drawable() -> int:
    """Return how many ports there are to draw from, in use or not."""
    return _ephemeral_start() - _LOWEST


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

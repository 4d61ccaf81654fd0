"""The Tinylog broker: one process, logs in files, JSON lines over TCP. Standard library alone, started as a script.

A request and its answer are one line each. ``append`` answers once the message is in the log's file; a message whose id
the log has already is not stored again. Consumers keep their position with the broker by ``ack``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import Any

VERSION = "1.0.0"
LINE_BYTES_MAX = 16 << 20


class Log:
    """One partition: its messages, and the position of its consumer.

    Args:
        path: Its file; None = kept in memory, and gone with the process.
        skip_every: Leave out an offset after so many messages; 0 = never. A broker must not do this; it is for tests of
            checks.
    """

    def __init__(self, path: Path | None, skip_every: int) -> None:
        self._skip_every = skip_every
        self._messages: list[tuple[int, str, str]] = []
        self._by_id: dict[str, int] = {}
        self.position = self.end = 0
        self._file = None
        if path is not None:
            self._load(path)
            self._file = path.open("ab", buffering=0)

    def append(self, identity: str, body: str) -> tuple[int, bool]:
        """Store a message unless it is there; return its offset, and whether it was there."""
        if identity in self._by_id:
            return self._by_id[identity], True
        offset = self.end
        self._write(["m", offset, identity, body])
        self._take(offset, identity, body)
        return offset, False

    def ack(self, position: int) -> None:
        """Move the consumer's position; never back."""
        if position > self.position:
            self._write(["p", position])
            self.position = position

    def read(self, offset: int, most: int) -> list[tuple[int, str]]:
        """Return up to ``most`` messages (offset, body) from an offset on."""
        low, high = 0, len(self._messages)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._messages[middle][0] < offset else (low, middle)
        return [(place, body) for place, _, body in self._messages[low : low + most]]

    def state(self) -> dict[str, int]:
        """Return its first offset, its end and the position of its consumer."""
        first = self._messages[0][0] if self._messages else -1
        last = self._messages[-1][0] if self._messages else -1
        return {"first": first, "last": last, "count": len(self._messages), "position": self.position}

    def _take(self, offset: int, identity: str, body: str) -> None:
        self._messages.append((offset, identity, body))
        self._by_id[identity] = offset
        skips = self._skip_every and len(self._messages) % self._skip_every == 0
        self.end = offset + (2 if skips else 1)

    def _write(self, entry: list[Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(entry).encode() + b"\n")

    def _load(self, path: Path) -> None:
        if not path.exists():
            return
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]  # a torn last line was never acknowledged
        if len(whole) != len(content):
            os.truncate(path, len(whole))
        for line in whole.splitlines():
            kind, *entry = json.loads(line)
            if kind == "m":
                self._take(*entry)
            else:
                (self.position,) = entry


class Broker:
    """All partitions.

    Args:
        config: ``data`` (directory), ``durable``, ``skip_every``.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._data = Path(config["data"])
        self._data.mkdir(parents=True, exist_ok=True)
        self._logs: dict[int, Log] = {}
        self._changed = threading.Condition()
        known = self._data / "partitions"
        if known.exists():
            self._create(int(known.read_text(encoding="ascii")))

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry a request out."""
        with self._changed:
            match request["op"]:
                case "ping":
                    return {"pong": "x" * request.get("bytes", 0)}
                case "create":
                    self._create(request["partitions"])
                    return {"partitions": len(self._logs)}
                case "state":
                    return {"partitions": [self._logs[index].state() for index in sorted(self._logs)]}
                case _ if request.get("partition") not in self._logs:
                    return {"error": f"no partition {request.get('partition')}"}
                case "append":
                    offset, duplicate = self._logs[request["partition"]].append(request["id"], request["body"])
                    self._changed.notify_all()
                    return {"offset": offset, "duplicate": duplicate}
                case "ack":
                    self._logs[request["partition"]].ack(request["position"])
                    return {}
                case "read":
                    log, offset, most = self._logs[request["partition"]], request["offset"], request["most"]
                    if offset > log.end:
                        return {"error": f"offset {offset} is beyond the end {log.end}"}
                    self._changed.wait_for(lambda: log.end > offset, request.get("wait_s", 0.0))
                    return {"messages": log.read(offset, most)}
                case other:
                    return {"error": f"no request {other!r}"}

    def _create(self, count: int) -> None:
        for index in range(len(self._logs), count):
            path = self._data / f"{index}.log" if self._config.get("durable", True) else None
            self._logs[index] = Log(path, int(self._config.get("skip_every", 0)))
        (self._data / "partitions").write_text(f"{count}\n", encoding="ascii")


def serve(connection: socket.socket, broker: Broker) -> None:
    """Answer one connection's requests until it ends."""
    try:
        with connection, connection.makefile("rb") as lines:
            while line := lines.readline(LINE_BYTES_MAX):
                connection.sendall(json.dumps(broker.answer(json.loads(line))).encode() + b"\n")
    except (OSError, ValueError):
        return


def main() -> int:
    """Serve as the configuration file named by the first argument says, until SIGTERM."""
    config = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # every answer was written before it was given
    broker = Broker(config)
    host, _, port = config["listen"].rpartition(":")
    with socket.create_server((host, int(port)), reuse_port=False) as listener:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=serve, args=(connection, broker), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())

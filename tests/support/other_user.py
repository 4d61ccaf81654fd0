"""Another user of the machine who means ill: what the kernel answers to each attempt."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

USER = 64_003
"""A number that no account has."""

_ATTEMPTS = """
import ctypes, json, os, signal, socket, sys
todo, user = json.loads(sys.argv[1]), int(sys.argv[2])
"x".encode("idna")  # what sockets load: the library cannot be read any more once this is another user
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)

def connect(port):
    socket.create_connection(("127.0.0.1", port), 5).close()

def post(port, path, body):
    with socket.create_connection(("127.0.0.1", port), 5) as api:
        head = f"POST {path} HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: {len(body)}\\r\\nConnection: close\\r\\n\\r\\n"
        api.sendall((head + body).encode())
        return api.recv(1 << 12).decode().split()[1]

def enter(pid):
    handle = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(handle, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")

ACTS = {
    "connect": connect,
    "post": post,
    "enter": enter,
    "signal": lambda pid: os.kill(pid, 0),  # asks for the right alone
    "read": lambda path: os.close(os.open(path, os.O_RDONLY)),
    "write": lambda path: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)),
    "list": os.listdir,
}
said = []
for act, *arguments in todo:
    try:
        found = ACTS[act](*arguments)
        said.append(found if isinstance(found, str) else "done")
    except OSError as error:
        said.append(type(error).__name__)
print(json.dumps(said))
"""

Attempt = Sequence[Any]
"""The name of an act, and its arguments."""


def attempts(todo: Mapping[str, Attempt]) -> dict[str, str]:
    """Attempt each as another user than this process's, which is root; return name → how it ended.

    ``done``, the status of a control port's answer, or the name of the error.
    """
    command = [sys.executable, "-c", _ATTEMPTS, json.dumps(list(todo.values())), str(USER)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(todo, json.loads(done.stdout), strict=True))

"""Network namespaces of the real kernel: what is seen and held inside, and what a user without rights gets.

A machine that does not allow them skips these tests, unless ``HARNESS_REQUIRE`` names ``isolation``.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.required_abilities import skip_or_fail

from harness.runtime.kernel import own_network, procfs
from harness.runtime.kernel.ports import Ports

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
PORT = 10_321


@pytest.fixture
def able() -> None:
    """Go on where a thread of this process may go in; another user than root would take all of pytest along."""
    if why := own_network.why_not() or ("" if own_network.is_able() else "this user needs a user namespace"):
        skip_or_fail("isolation", why)


def _inside(work: Callable[[], None]) -> None:
    """Do something in a network of its own."""
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            own_network.enter()
            work()
        except BaseException as error:  # noqa: BLE001  the test that waits gets it
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(60)
    if failed:
        raise failed[0]


@pytest.mark.usefixtures("able")
def test_the_same_ports_are_free_in_each_and_held_inside_of_one() -> None:
    seen: list[int] = []

    def take() -> None:
        ports, others = Ports(), Ports()
        assert ports._take([PORT])
        assert not others._take([PORT]), "two in one network hold the same port"
        seen.append(len(seen))
        with socket.create_server(("127.0.0.1", PORT)):
            if len(seen) == 1:
                _inside(take)
        ports.release()

    _inside(take)
    assert seen == [0, 1], "the second one did not get the port of the first"


@pytest.mark.usefixtures("able")
def test_what_listens_inside_is_seen_from_inside_alone_and_by_pid_from_outside() -> None:
    def look() -> None:
        with socket.create_server(("127.0.0.1", PORT)):
            assert ("127.0.0.1", PORT) in procfs.local_sockets(os.getpid())
            code = "import socket; s = socket.create_server(('127.0.0.1', 10322)); print(flush=True); input()"
            child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            assert child.stdout is not None
            child.stdout.readline()
            with socket.create_connection(("127.0.0.1", 10_322), 5):
                pass  # what is started inside is inside
            children.append(child)

    children: list[subprocess.Popen[bytes]] = []
    _inside(look)
    (child,) = children
    try:
        assert ("127.0.0.1", 10_322) in procfs.local_sockets(child.pid), "procfs lost sight of another network"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", 10_322), 5)
    finally:
        child.kill()
        child.communicate()


def test_a_machine_is_tried_and_nothing_of_the_trial_stays() -> None:
    before = Path("/proc/self/ns/net").readlink(), Path("/proc/self/ns/user").readlink(), threading.active_count()
    own_network.why_not.cache_clear()
    assert isinstance(own_network.why_not(), str)
    assert (Path("/proc/self/ns/net").readlink(), Path("/proc/self/ns/user").readlink()) == before[:2]
    assert threading.active_count() == before[2]


@pytest.mark.parametrize(
    ("user", "python", "said"),
    [
        (0, sys.executable, "root has no CAP_SYS_ADMIN"),
        (4711, "/nowhere/python", "the trial cannot be made: "),
        (4711, shutil.which("false") or "/bin/false", "the trial died: no message"),
    ],
)
def test_without_rights_the_reason_is_said(user: int, python: str, said: str) -> None:
    assert own_network.why_not_as(able=False, user=user, python=python).startswith(said)


def test_the_trial_of_a_user_without_rights_is_made_in_another_process() -> None:
    assert own_network.why_not_as(able=False, user=4711, python=sys.executable) == own_network.why_not()


ANOTHER_USER = """
import codecs, ctypes, json, os, subprocess, sys, threading
from pathlib import Path
from harness.errors import AbilityError
from harness.runtime.kernel import own_network, procfs

USER, GROUP, OTHER = 64_001, 64_001, 64_002
codecs.lookup("ascii")  # the library cannot be read any more once this is another user
shared = Path(sys.argv[1])
(shared / "of-group").touch()
os.chown(shared / "of-group", 0, OTHER)
(shared / "of-group").chmod(0o660)
os.setgroups([OTHER])
os.setresgid(GROUP, GROUP, GROUP)
os.setresuid(USER, USER, USER)
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # PR_SET_DUMPABLE: as after an exec
said = {"able before": own_network.is_able()}
(shared / "secret").write_text("x")
(shared / "secret").chmod(0)

held = threading.Event()
other = threading.Thread(target=held.wait)
other.start()
try:
    own_network.enter_user_namespace()
except AbilityError as error:
    said["with threads"] = error.message
held.set()
other.join()

read, write = os.pipe()
child = os.fork()
if child == 0:
    own_network.enter_user_namespace()
    found = {"able": own_network.is_able(), "user": [os.geteuid(), os.getegid()]}
    own_network.enter()
    for name in ("secret", "of-group"):
        try:
            (shared / name).open("ab").close()
            found[name] = "opened"
        except OSError as error:
            found[name] = error.strerror
    rights = subprocess.run(["grep", "CapEff", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    found["rights of what it starts"] = int(rights.split()[1], 16)
    sleeper = subprocess.Popen(["sleep", "600"], env={"HARNESS_RUN": "isolated-run"}, stdout=write)
    os.write(write, json.dumps({**found, "sleeper": sleeper.pid}).encode())
    os._exit(0)
os.close(write)
os.waitpid(child, 0)
said |= json.loads(os.read(read, 1 << 16))
said["seen by its mark from outside"] = said["sleeper"] in list(procfs.marked("isolated-run"))
said["killed from outside"] = procfs.kill_marked("isolated-run", said["sleeper"])
print(json.dumps(said))
"""


@AS_ROOT
def test_another_user_goes_in_as_who_it_is_and_what_it_leaves_is_found_from_outside() -> None:
    with tempfile.TemporaryDirectory() as shared:
        Path(shared).chmod(0o777)
        command = [sys.executable, "-c", ANOTHER_USER, shared]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        skip_or_fail("isolation", done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said.pop("sleeper") > 0
    assert said == {
        "able before": False,
        "with threads": "this process has 2 threads, and may have one",
        "able": True,
        "user": [64_001, 64_001],
        "secret": "Permission denied",  # a root of its own namespace would pass over the mode
        "of-group": "opened",
        "rights of what it starts": 0,
        "seen by its mark from outside": True,
        "killed from outside": True,
    }

"""A run in a network of its own, on a real broker: what other users of the machine can do to it, and what a SIGKILL of
the harness leaves.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.cli_runner import Cli, ours
from support.live_runs import QUIET, finished, only, pid_of, started
from support.other_user import Attempt, attempts
from support.required_abilities import skip_or_fail

from harness.runtime.kernel import own_network, procfs

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
LISTENS = "0A"
RELAY = '{"name": "relay", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "enabled": true}'
TOXIC = '{"type": "latency", "attributes": {"latency": 5000}}'


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture(autouse=True)
def _able() -> None:
    if why := own_network.why_not():
        skip_or_fail("isolation", why)


def _listening(run_id: str) -> dict[int, str]:
    """Return port → command line of what listens there, of everything that a run has started."""
    return {
        local[1]: Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        for pid in ours({run_id})
        for local, _, state in procfs._sockets(pid)
        if state == LISTENS
    }


def _control_port(run_id: str) -> int:
    words = Path(f"/proc/{pid_of(run_id, '-host')}/cmdline").read_bytes().decode().split("\0")
    return int(words[words.index("-port") + 1])


def _socket_inodes(pids: Iterable[int]) -> set[str]:
    found = set()
    for pid in pids:
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            if match := re.fullmatch(r"socket:\[(\d+)\]", str(handle.readlink())):
                found.add(match[1])
    return found


def _seen_from_here(run_id: str) -> int:
    """Return how many sockets of a run the network of this test has."""
    theirs = _socket_inodes(ours({run_id}))
    return sum(line.split()[9] in theirs for line in procfs._tables(os.getpid()))


def _networks(places: Iterable[Path]) -> set[str]:
    """Return the networks that processes or threads (directories of /proc) live in; what has ended lives in none."""
    found = set()
    for place in places:
        with contextlib.suppress(OSError):
            found.add(str((place / "ns" / "net").readlink()))
    return found


def _network(pid: int | str) -> str:
    (found,) = _networks([Path(f"/proc/{pid}")])
    return found


@AS_ROOT
@pytest.mark.parametrize("isolate", ["always", "never"])
def test_another_user_reaches_nothing_of_a_run_that_is_isolated_and_is_named_in_one_that_is_not(
    cli: Cli, isolate: str
) -> None:
    """Without the second run, an attack that always fails would prove nothing of the first."""
    process, run_id = started(cli, QUIET % {"nodes": 1, "seconds": 6}, words=("--isolate", isolate))
    ports, control, node = _listening(run_id), _control_port(run_id), pid_of(run_id, "nats.conf")
    assert control in ports
    assert len(ports) >= 3, "a node, its link and the control port listen at least"
    by_network: dict[str, Attempt] = {f"port {port}": ("connect", port) for port in ports}
    by_network |= {
        "a proxy": ("post", control, "/proxies", RELAY),
        "a toxic": ("post", control, "/proxies/relay/toxics", TOXIC),
    }
    state = cli.home / "state" / "runs" / run_id
    by_kernel: dict[str, Attempt] = {
        "its network": ("enter", node),
        "a signal to the node": ("signal", node),
        "a signal to the harness": ("signal", process.pid),
        "the environment": ("read", f"/proc/{node}/environ"),
        "open files": ("list", f"/proc/{node}/fd"),
        "memory": ("read", f"/proc/{node}/mem"),
        "the ledger": ("read", str(state / "ledger.jsonl")),
        "a line in the ledger": ("write", str(state / "ledger.jsonl")),
        "the lease": ("read", str(state / "lease")),
    }
    # pytest's own folder is closed to others, and would hide what the harness's files allow.
    opened = [folder for folder in (cli.home, *cli.home.parents) if not folder.stat().st_mode & 0o001]
    for folder in opened:
        folder.chmod(folder.stat().st_mode | 0o001)
    try:
        assert set(attempts(by_kernel).values()) == {"PermissionError"}
        seen = _seen_from_here(run_id)
        reached = attempts(by_network)
    finally:
        for folder in opened:
            folder.chmod(folder.stat().st_mode & ~0o001)
    code, result = finished(process)
    if isolate == "always":
        assert seen == 0
        assert set(reached.values()) == {"ConnectionRefusedError"}, reached
        assert (code, result["isolated"]) == (0, True), result["headline"]
    else:
        assert seen > 0
        assert {reached["a proxy"], reached["a toxic"]} == {"201", "200"}, reached
        assert set(reached.values()) == {"done", "201", "200"}
        assert (code, result["isolated"]) == (6, False), result["headline"]
        assert "proxy relay was added from outside" in " ".join(result["blocking"])


def test_what_a_killed_run_leaves_in_its_network_is_gone_after_the_next_start(cli: Cli) -> None:
    process, run_id = started(cli, QUIET % {"nodes": 1, "seconds": 60}, words=("--isolate", "always"))
    network = _network(pid_of(run_id, "nats.conf"))
    assert network != _network("self")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    left = ours({run_id})
    assert left, "nothing was left behind: the test proves nothing"
    assert network in _networks(Path("/proc").iterdir())
    second = cli.write((QUIET % {"nodes": 1, "seconds": 3}).replace("seed: 4", "seed: 5"), "second.yaml")
    done = cli.run("run", second, "--reports", cli.home / "second", "--isolate", "always")
    assert done.returncode == 0, done.stdout + done.stderr
    # Workers may have ended by themselves meanwhile; a node and Toxiproxy do not.
    assert done.stderr.count(f"removed what run {run_id} left behind: process") >= 2
    assert not ours({run_id})
    assert network not in _networks(Path("/proc").iterdir())
    assert not any(path.name == run_id for path in (cli.home / "state" / "runs").iterdir())


def test_the_main_thread_of_the_harness_stays_where_downloads_are_reached(cli: Cli) -> None:
    process, run_id = started(cli, QUIET % {"nodes": 1, "seconds": 3}, words=("--isolate", "always"))
    threads = _networks(Path(f"/proc/{process.pid}/task").iterdir())
    inside = {_network(pid) for pid in ours({run_id})}
    assert len(inside) == 1
    assert _network(process.pid) == _network("self")
    assert threads == inside | {_network("self")}
    code, result = finished(process)
    assert (code, result["isolated"]) == (0, True), result["headline"]
    assert only(cli.reports).is_dir()


def test_containers_are_refused_where_isolation_is_insisted_on(cli: Cli) -> None:
    path = cli.write(QUIET % {"nodes": 1, "seconds": 3})
    refused = subprocess.run(
        cli.command("run", path, "--runtime", "docker", "--isolate", "always", "--reports", cli.reports),
        env=cli.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 7
    # Where no engine answers, that is said first.
    assert re.search("a run in containers is not isolated|cannot run in containers", refused.stderr), refused.stderr
    assert not list(cli.reports.glob("*"))

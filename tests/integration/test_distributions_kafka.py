"""Real Kafka: fetched, trained and started the way a run does it. HARNESS_TEST_VERSIONS=all tries every alias."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.kafka_nodes import await_all, nodes

from harness.brokers.kafka.distribution import KAFKA
from harness.distributions.aliases import aliases_of
from harness.distributions.base import Installation, ensure, ensure_cached, resolve

# Nothing cached: two Java runtimes, the jars of two versions, two trainings.
pytestmark = pytest.mark.timeout(1800)

_ALL = os.environ.get("HARNESS_TEST_VERSIONS") == "all"
NAMES = sorted(set(aliases_of("kafka").values())) if _ALL else [resolve("kafka-3.9").name, resolve("kafka-4").name]

TRAIN = """
import sys
from pathlib import Path
from harness.distributions.base import ensure_cached, resolve
from harness.distributions.cache import Cache
from harness.brokers.kafka.distribution import KAFKA
scratch = Path(sys.argv[1])
held = ensure_cached(resolve("kafka-4"), print)
java = KAFKA.java("4.0.0", Cache(), print)
KAFKA.startup(held, java, Cache(scratch / "cache"), lambda line: print(line, flush=True))
"""


def only_with_archive(installation: Installation) -> tuple[str, ...]:
    """Return flags with which Java refuses to start when the archive does not fit."""
    return ("-XX:AOTMode=on",) if "-XX:AOTCache" in " ".join(installation.command) else ("-Xshare:on",)


@pytest.mark.parametrize("name", NAMES)
def test_one_node_starts_from_the_archive_and_says_nothing_on_standard_output(name: str, tmp_path: Path) -> None:
    installation = ensure(resolve(name), print)
    assert any("AOTCache=" in word or "SharedArchiveFile=" in word for word in installation.command)
    assert int(installation.versions["java"].partition(".")[0]) in KAFKA.java_range(installation.versions["kafka"])
    with nodes(installation, tmp_path, 1, flags=only_with_archive(installation)) as (processes, ports):
        print(f"{name}: ready in {await_all(processes, ports, tmp_path):.2f} s")
    assert (tmp_path / "n1" / "out").read_bytes() == b""
    assert " INFO " in (tmp_path / "n1" / "err").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_three_nodes_form_a_static_quorum(name: str, tmp_path: Path) -> None:
    installation = ensure(resolve(name), print)
    with nodes(installation, tmp_path, 3) as (processes, ports):
        await_all(processes, ports, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_a_failed_start_says_why(name: str, tmp_path: Path) -> None:
    installation = ensure(resolve(name), print)
    config = tmp_path / "node.properties"
    config.write_text(f"process.roles=broker\nnode.id=1\nlog.dirs={tmp_path / 'data'}\n", encoding="utf-8")
    argv = [*installation.command, "kafka.Kafka", str(config)]
    answer = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert answer.returncode != 0
    assert " ERROR " in answer.stderr
    assert "Exception" in answer.stderr


def test_the_tools_of_kafka_are_there() -> None:
    installation = ensure(resolve("kafka-4"), print)
    for tool in ("VerifiableProducer", "VerifiableConsumer"):
        argv = [*installation.command, f"org.apache.kafka.tools.{tool}", "--help"]
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert "--bootstrap-server" in answer.stdout + answer.stderr


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_training_leaves_nothing_running(tmp_path: Path, blow: signal.Signals) -> None:
    ensure_cached(resolve("kafka-4"), print)
    ensure(resolve("kafka-4"), print)
    process = subprocess.Popen([sys.executable, "-c", TRAIN, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "training the start-up" in process.stdout.readline()
        deadline = time.monotonic() + 30
        while not _running(tmp_path):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(blow)
        process.wait(timeout=30)
    finally:
        process.kill()
        process.communicate()
    deadline = time.monotonic() + 10
    while _running(tmp_path):
        assert time.monotonic() < deadline, "Java outlives whoever trained it"
        time.sleep(0.05)


def _running(root: Path) -> list[str]:
    """Return the processes of Java whose command line names a path below ``root``."""
    found = []
    for directory in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (directory / "cmdline").read_bytes().split(b"\0")
            if directory.name.isdigit() and words[0].endswith(b"/java") and any(bytes(root) in word for word in words):
                found.append(directory.name)
    return found

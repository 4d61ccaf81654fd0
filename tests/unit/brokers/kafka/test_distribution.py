"""Kafka: fetching its jars, the start-up archive, and the messages when something fails. Maven and Java are fakes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.pip_report import PIP_REPORT
from support.stand_in_python import python_is

from harness.brokers.kafka.distribution import KAFKA as SOFTWARE
from harness.distributions import jars, java_software, startup_archive
from harness.distributions.base import DISTRIBUTIONS, Distribution, Installation, ensure, ensure_cached, resolve
from harness.distributions.cache import Cache
from harness.distributions.fetch import fetch
from harness.distributions.java import Java
from harness.errors import DownloadError

KAFKA = Distribution("kafka", "4.1.1")

# "Fetches" empty jars of the versions in its pom.
FAKE_MVN = """#!/bin/sh
# A stand-in for mvn, made by test_distributions_kafka.py. Steered by files next to it.
here=$(dirname "$0")
if [ "$2" = -v ]; then echo "Apache Maven 3.9.9 (x)"; exit 0; fi
echo "$@" >> "$here/called"
for word; do
  [ "$previous" = -f ] && pom=$word
  previous=$word
  case "$word" in
    -DoutputDirectory=*) out=${word#-DoutputDirectory=} ;;
    *:list) echo "[DEBUG] Using local repository at $here/repository"; exit 1 ;;
  esac
done
if [ -e "$here/fails" ]; then cat "$here/fails"; exit 1; fi
version=$(sed -n 's/.*<artifactId>kafka_2.13<.artifactId><version>\\([^<]*\\).*/\\1/p' "$pom")
binding=$(sed -n 's/.*<artifactId>slf4j-simple<.artifactId><version>\\([^<]*\\).*/\\1/p' "$pom")
for jar in kafka_2.13-$version slf4j-simple-$binding slf4j-api-$(cat "$here/slf4j"); do \
echo "$jar" > "$out/$jar.jar"; done
"""

# Answers to everything that the harness asks of a Java; as a node it serves until it is asked to end.
FAKE_JAVA = """#!{python}
# A stand-in for java, made by test_distributions_kafka.py. Steered by files next to it.
import pathlib, signal, socket, sys, time
here, words = pathlib.Path(__file__).parent, sys.argv[1:]
with (here / "called").open("a") as called:
    print(*words, file=called)
value = lambda flag: next(word.partition("=")[2] for word in words if word.startswith(flag + "="))
if "-version" in words:
    print('openjdk version "' + (here / "version").read_text() + '"')
elif "--version" in words:
    print((here / "says").read_text())
elif "kafka.tools.StorageTool" in words:
    config = dict(line.split("=", 1) for line in pathlib.Path(words[-1]).read_text().splitlines())
    (pathlib.Path(config["log.dirs"]) / "bootstrap.checkpoint").write_text("features")
elif "kafka.Kafka" in words:
    config = dict(line.split("=", 1) for line in pathlib.Path(words[-1]).read_text().splitlines())
    data = pathlib.Path(config["log.dirs"])
    assert (data / "bootstrap.checkpoint").read_text() == "features"
    assert "cluster.id=" in (data / "meta.properties").read_text()
    if (here / "dies").exists():
        sys.exit("it dies")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    (here / "node").write_text(str(__import__("os").getpid()))
    if (here / "hangs").exists():
        time.sleep(600)
    pathlib.Path(value("-XX:AOTConfiguration")).write_text("recorded")
    port = int(config["listeners"].partition("CLIENT://127.0.0.1:")[2].partition(",")[0])
    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            connection, _ = server.accept()
            connection.recv(100)
            connection.sendall(bytes([0, 0, 0, 6]) + bytes([0, 0, 0, 1]) + bytes(2))
elif "-XX:AOTMode=create" in words:
    assert pathlib.Path(value("-XX:AOTConfiguration")).read_text() == "recorded"
    if not (here / "dumps-nothing").exists():
        pathlib.Path(value("-XX:AOTCache")).write_text("archive")
"""


@dataclass(slots=True)
class World:
    """A machine with a Java of its own and a Maven, both stand-ins."""

    root: Path
    lines: list[str] = field(default_factory=list)

    def steer(self, name: str, text: str = "") -> None:
        (self.root / name).write_text(text, encoding="utf-8")

    def ensure(self) -> Installation:
        self.lines.clear()
        return ensure(KAFKA, self.lines.append)

    def called(self, who: str) -> list[str]:
        path = self.root / who / "called"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    java, maven = tmp_path / "java" / "bin", tmp_path / "mvn"
    for directory in (java, maven):
        directory.mkdir(parents=True)
    (java / "java").write_text(FAKE_JAVA.replace("{python}", sys.executable), encoding="utf-8")
    (maven / "mvn").write_text(FAKE_MVN, encoding="utf-8")
    for program in (java / "java", maven / "mvn"):
        program.chmod(0o755)
    monkeypatch.setattr(java_software, "verify_jars", lambda *_: None)  # these jars are stand-ins
    world = World(tmp_path)
    world.steer("java/bin/version", "25.0.2")
    world.steer("java/bin/says", "4.1.1 (Commit:abc)")
    world.steer("mvn/slf4j", "1.7.36")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_JAVA_HOME", str(java.parent))
    monkeypatch.setenv("PATH", f"{maven}:/usr/bin:/bin")
    yield world
    node = java / "node"
    assert not node.exists() or not Path(f"/proc/{node.read_text(encoding='ascii')}").exists(), "a node was left behind"


def test_it_is_fetched_proven_formatted_and_trained_once(world: World) -> None:
    installation = world.ensure()
    assert world.lines[:3] == [
        "fetching kafka 4.1.1 (once, then cached)…",
        "fetched kafka 4.1.1",
        "training the start-up of kafka-4.1.1 with Java 25.0.2 (once, then cached)…",
    ]
    assert world.lines[3].startswith("trained the start-up of kafka-4.1.1 in ")
    assert installation.versions == {"kafka": "4.1.1", "java": "25.0.2"}
    assert installation.parts["bootstrap"].read_text(encoding="ascii") == "features"
    assert installation.executable == world.root / "java" / "bin" / "java"
    assert installation.command[-2:] == ("-cp", f"{installation.directory}/jars/*")
    (archive,) = [word.partition("=")[2] for word in installation.command if word.startswith("-XX:AOTCache=")]
    assert Path(archive).read_text(encoding="ascii") == "archive"
    assert sorted(path.name for path in (installation.directory / "jars").iterdir()) == [
        "kafka_2.13-4.1.1.jar",
        "slf4j-api-1.7.36.jar",
        "slf4j-simple-1.7.36.jar",
    ]
    assert ensure_cached(KAFKA, print, thorough=True).manifest.built_with == "mvn 3.9.9"
    calls = len(world.called("java/bin"))
    assert world.ensure() == installation
    assert world.lines == []
    # Only Java's version is asked again.
    assert world.called("java/bin")[calls:] == ["-version"]


def test_flags_of_training_and_use_are_the_same(world: World) -> None:
    installation = world.ensure()
    used = [word for word in installation.command[1:] if not word.startswith("-XX:AOTCache=")]
    (trained,) = [line for line in world.called("java/bin") if "AOTMode=record" in line]
    assert all(word in trained for word in used)


def test_maven_is_used_as_the_user_configured_it(world: World) -> None:
    world.ensure()
    (called,) = world.called("mvn")
    assert not [word for word in called.split() if word.startswith(("-s", "-gs", "-Dmaven.repo", "--settings", "-o"))]
    assert "-DincludeScope=runtime" in called


def test_another_api_of_slf4j_gets_the_binding_that_fits(world: World) -> None:
    world.steer("mvn/slf4j", "2.0.17")
    names = sorted(path.name for path in (world.ensure().directory / "jars").iterdir())
    assert names == ["kafka_2.13-4.1.1.jar", "slf4j-api-2.0.17.jar", "slf4j-simple-2.0.17.jar"]


def test_the_archive_belongs_to_jars_java_and_flags(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = world.ensure()
    jar = first.directory / "jars" / "kafka_2.13-4.1.1.jar"
    os.utime(jar, ns=(1, 1))  # as after copying the cache: Java compares the time of every jar
    second = world.ensure()
    assert "training" in world.lines[0]
    world.steer("java/bin/version", "25.0.3")
    third = world.ensure()
    assert "with Java 25.0.3" in world.lines[0]
    monkeypatch.setattr(startup_archive, "_RECIPE", -1)
    fourth = world.ensure()
    assert len({installation.command for installation in (first, second, third, fourth)}) == 4
    assert len([entry for entry, held, _ in Cache().held(thorough=True) if entry.area == "startups" and held]) == 4


@pytest.mark.parametrize(
    ("obstacle", "said"),
    [("dies", "before it was ready"), ("hangs", "was not ready within 1.5s"), ("dumps-nothing", "Java wrote none")],
)
def test_a_training_that_fails_costs_the_archive_only(
    world: World, monkeypatch: pytest.MonkeyPatch, obstacle: str, said: str
) -> None:
    if obstacle == "hangs":
        monkeypatch.setattr(startup_archive, "READY_NS_MAX", 1_500_000_000)
    world.steer(f"java/bin/{obstacle}")
    installation = world.ensure()
    assert not [word for word in installation.command if "AOTCache" in word]
    assert installation.parts["bootstrap"].exists()
    assert "kafka-4.1.1 starts slowly: its start-up archive could not be made" in world.lines[-1]
    assert said in world.lines[-1]
    # It is tried again, but not at every start.
    (world.root / "java" / "bin" / obstacle).unlink()
    assert world.ensure() == installation
    assert len(world.lines) == 1
    assert "starts slowly" in world.lines[0]
    (log,) = (world.root / "cache" / "logs").iterdir()
    long_ago = time.time() - 2 * startup_archive._RETRY_S
    os.utime(log, (long_ago, long_ago))
    assert [word for word in world.ensure().command if "AOTCache" in word]


def test_an_older_java_shares_class_data(world: World) -> None:
    world.steer("java/bin/version", "21.0.8")
    flags = SOFTWARE.java_flags
    java = Java(path=Path("/x/java"), version="21.0.8")
    assert "--enable-native-access=ALL-UNNAMED" not in flags(java)
    assert startup_archive.use_flags(java, Path("/a")) == ["-XX:SharedArchiveFile=/a"]
    assert startup_archive.record_flags(java, Path("/s"))[-1] == "-XX:DumpLoadedClassList=/s/recorded"
    assert startup_archive.dump_flags(java, Path("/s"), Path("/a"))[0] == "-Xshare:dump"


def test_a_kafka_that_tells_another_version_is_refused(world: World) -> None:
    world.steer("java/bin/says", "4.1.10 (Commit:abc)")
    with pytest.raises(DownloadError, match=r"kafka 4\.1\.1 was fetched, but it reports the version '4\.1\.10"):
        world.ensure()


def test_a_kafka_that_needs_zookeeper_is_refused(world: World) -> None:
    with pytest.raises(DownloadError) as caught:
        ensure(resolve("kafka-3.6.2"), print)
    assert "3.7.0 is the oldest" in caught.value.hint
    assert world.called("mvn") == []


@pytest.mark.parametrize(
    "said",
    [
        "[ERROR] Could not find artifact org.apache.kafka:kafka_2.13:jar:4.1.99 in central (mirror)",
        "[ERROR] org.apache.kafka:kafka_2.13:jar:4.1.99 was not found in mirror during a previous attempt.",
        (
            "[ERROR] Could not transfer artifact org.apache.kafka:kafka_2.13:pom:4.1.99 from/to central (mirror): "
            "status code: 403"
        ),
    ],
)
def test_an_unknown_version_names_the_nearest_ones(world: World, said: str) -> None:
    world.steer("mvn/fails", said)
    metadata = world.root / "mvn" / "repository" / "org" / "apache" / "kafka" / "kafka_2.13" / "maven-metadata-x.xml"
    metadata.parent.mkdir(parents=True)
    versions = "".join(f"<version>{version}</version>" for version in ("2.8.2", "3.9.2", "4.1.0-rc1", "4.1.7", "4.1.6"))
    metadata.write_text(f"<metadata>{versions}</metadata>", encoding="utf-8")
    with pytest.raises(DownloadError) as caught:
        ensure(resolve("kafka-4.1.99"), print)
    assert caught.value.message.startswith("there is no kafka 4.1.99, according to the Maven repository")
    assert caught.value.hint.startswith("nearest released versions: 4.1.7, 4.1.6, ")
    released = DISTRIBUTIONS.get("kafka").released()
    assert "4.1.7" in released
    assert not {"2.8.2", "4.1.0-rc1"} & set(released)


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("[ERROR] Connect to mirror failed: Connection refused", "could not be built", "offline?"),
        ("[ERROR] Cannot access central (mirror) in offline mode", "could not be built", "offline?"),
        ("[ERROR] x.jar: No space left on device", "the disk is full", "free space there"),
    ],
)
def test_other_failures_are_told_apart(world: World, said: str, message: str, hint: str) -> None:
    world.steer("mvn/fails", said)
    with pytest.raises(DownloadError) as caught:
        world.ensure()
    assert message in caught.value.message
    assert said in caught.value.message
    assert hint in caught.value.hint


# --- jgo ----------------------------------------------------------------------------------------------------------

FAKE_JGO = {
    "__init__.py": "",
    "constants.py": "MAVEN_CENTRAL_URL = 'default'",
    "parse.py": "from types import SimpleNamespace as Coordinate",
    "config.py": "class GlobalSettings:\n  @staticmethod\n  def load():\n    import types\n"
    "    return types.SimpleNamespace(repositories={'central': 'users own'})\n",
    "maven.py": """
import pathlib, types
class Component:
    def __init__(self, version):
        self.version = version
class MavenContext:
    def __init__(self, repo_cache, remote_repos, timeout):
        assert remote_repos == {'central': 'users own'}
        self.place, self.resolver = repo_cache, self
    def create_dependency(self, c):
        if c.version == '4.1.99':
            raise RuntimeError(f'Artifact {c.groupId}:{c.artifactId}:pom:{c.version} not found in remote repositories')
        return self.dependency(f'{c.artifactId}-{c.version}.jar', c.artifactId, c.scope)
    def dependency(self, name, artifact, scope):
        def fetch():
            self.place.mkdir(exist_ok=True)
            (self.place / name).write_text(name)
            return self.place / name
        return types.SimpleNamespace(scope=scope, artifact=types.SimpleNamespace(artifactId=artifact, resolve=fetch))
    def resolve(self, asked):
        more = [('slf4j-api', 'compile'), ('slf4j-reload4j', 'runtime'), ('junit', 'test')]
        version = Component('[1.7.36]').version
        return asked, [self.dependency(f'{name}-{version}.jar', name, scope) for name, scope in more]
    def project(self, group, artifact):
        return types.SimpleNamespace(update=lambda: None, metadata=types.SimpleNamespace(versions=['4.1.7', '3.6.0']))
""",
}


@pytest.fixture
def jgo(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Make ``pip`` install a stand-in for jgo."""
    package = world.root / "wheel" / "jgo"
    package.mkdir(parents=True)
    for name, text in FAKE_JGO.items():
        (package / name).write_text(text, encoding="utf-8")
    python = world.root / "python"
    python.write_text(
        "#!/bin/sh\n# A stand-in for pip, made by test_distributions_kafka.py.\n"
        '[ "$1" = -P ] && shift\n'
        f'if [ "$1 $2" != "-m pip" ]; then exec {sys.executable} "$@"; fi\n'
        f'if [ "$3" = install ]; then echo "$@" >> {world.root}/pip-called; cp -r {world.root}/wheel/. "$5"; '
        f'echo {PIP_REPORT} > "$PIP_REPORT"; fi\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    python_is(python, monkeypatch)
    return world


def test_without_maven_the_package_jgo_is_used(jgo: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (jgo.root / "mvn" / "mvn").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    names = sorted(path.name for path in (jgo.ensure().directory / "jars").iterdir())
    assert "does not work: it ended with status 1: installing the Python package jgo" in jgo.lines[1]
    assert names == [
        "kafka-tools-4.1.1.jar",
        "kafka_2.13-4.1.1.jar",
        "slf4j-api-1.7.36.jar",
        "slf4j-simple-1.7.36.jar",
    ]
    assert ensure_cached(KAFKA, print, thorough=True).manifest.built_with == f"jgo {jars.JGO_VERSION}"
    assert f"jgo=={jars.JGO_VERSION}" in (jgo.root / "pip-called").read_text(encoding="utf-8")
    with pytest.raises(DownloadError) as caught:
        ensure(resolve("kafka-4.1.99"), print)
    assert caught.value.message.startswith("there is no kafka 4.1.99")
    assert "4.1.7" in caught.value.hint


def test_a_maven_that_cannot_work_gives_way_to_jgo(jgo: World) -> None:
    jgo.steer("mvn/fails", "[ERROR] Plugin org.apache.maven.plugins:maven-dependency-plugin:2.8 could not be resolved")
    assert jgo.ensure().versions["kafka"] == "4.1.1"
    assert "mvn ended with status 1: installing the Python package jgo" in jgo.lines[1]


def test_fetching_trains_as_well(world: World) -> None:
    (fetched,) = fetch([KAFKA.name], world.lines.append)
    assert (fetched.built, fetched.built_with) == (True, "mvn 3.9.9")
    assert fetched.path == ensure_cached(KAFKA, print).directory
    assert fetched.size_bytes > 0
    assert world.ensure()
    assert world.lines == []

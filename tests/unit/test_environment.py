"""What is inherited reaches what we start only as far as the one rule allows."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from harness.distributions.tool import Tool
from harness.doctor.machine import environment
from harness.environment import inherited, settle
from harness.suites.process import CHILD_COMMAND
from harness.workload.environment import own_environment

SECOND = 10**9


@pytest.mark.parametrize(
    "name",
    [
        *("GOFLAGS", "GOROOT", "GOTOOLCHAIN", "GO111MODULE", "PIP_USER", "PIP_PREFIX", "PIP_TARGET", "PYTHONHOME"),
        *("PYTHONSTARTUP", "PYTHONWARNINGS", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"),
    ],
)
def test_what_changes_our_own_programs_is_set_aside(name: str) -> None:
    environ = {"HOME": "/home/any", name: "any", "GOPROXY": "https://mirror", "PIP_INDEX_URL": "https://index"}
    assert name not in inherited(environ)
    assert list(settle(environ)) == [name]
    assert environ == {"HOME": "/home/any", "GOPROXY": "https://mirror", "PIP_INDEX_URL": "https://index"}


@pytest.mark.parametrize("name", ["GOPRIVATE", "GOOGLE_CREDENTIALS", "PIP_CERT", "PYTHON_VERSION", "JAVA_HOME", "LANG"])
def test_mirrors_and_what_is_not_ours_stay(name: str) -> None:
    assert inherited({"HOME": "/", name: "any"})[name] == "any"


@pytest.mark.parametrize("spelling", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("given", [{}, {"NO_PROXY": "intern"}, {"no_proxy": "intern"}])
def test_loopback_is_never_asked_for_through_a_proxy(
    spelling: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in inherited({spelling: "http://127.0.0.1:9", **given}).items():
        monkeypatch.setenv(name, value)
    for host in ("127.0.0.1", "localhost"):
        assert urllib.request.proxy_bypass(f"{host}:8474")
    assert not urllib.request.proxy_bypass("elsewhere.example")
    assert bool(urllib.request.proxy_bypass("intern")) is bool(given)


def test_relative_places_of_modules_are_set_aside(tmp_path: Path) -> None:
    environ = {"HOME": "/", "PYTHONPATH": os.pathsep.join(["", ".", "own", str(tmp_path)])}
    assert "PYTHONPATH" in settle(environ)
    assert environ["PYTHONPATH"] == str(tmp_path)
    assert "PYTHONPATH" not in inherited(environ)


def test_a_tool_gets_the_cleaned_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    tool = Tool(directory=tmp_path, log=tmp_path / "log")
    assert tool.run(["/bin/sh", "-c", "echo ${GOFLAGS-none}"], deadline_ns=20 * SECOND) == "none\n"


def test_the_command_line_cleans_its_own_environment(tmp_path: Path) -> None:
    """A module of the working directory is not imported either."""
    (tmp_path / "click.py").write_text("raise SystemExit('my own click.py')", encoding="utf-8")
    environ = os.environ | {"JAVA_TOOL_OPTIONS": "-version", "PYTHONPATH": ""}
    program = Path(sys.executable).parent / "harness"
    done = subprocess.run(
        [program, "doctor", "--json"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 7}, done.stderr
    assert "JAVA_TOOL_OPTIONS is set aside" in done.stdout


def test_our_own_processes_look_for_no_module_in_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["own", "/plug-ins", ""]))
    environ = own_environment({"PYTHONPATH": "/library"})
    assert environ["PYTHONPATH"] == os.pathsep.join(["/library", "/plug-ins"])
    assert environ["PYTHONSAFEPATH"] == "1"
    assert "-P" in CHILD_COMMAND


def test_the_doctor_says_what_was_set_aside() -> None:
    assert environment(lambda: {"GOFLAGS": "of a reason"}).detail == "GOFLAGS is set aside: of a reason"
    assert environment(dict).detail == "no variable had to be set aside"


def test_without_home_the_user_s_entry_or_a_private_place_takes_its_place(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    settle(environ)
    assert Path(environ["HOME"]).is_absolute()
    environ.clear()
    settle(environ, lambda: None, lambda: str(tmp_path))
    place = Path(environ["HOME"])
    assert place.parent == tmp_path
    assert place.stat().st_mode & 0o777 == 0o700
    (tmp_path / "elsewhere").mkdir()
    place.rmdir()
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PermissionError, match="another user's"):
        settle({}, lambda: None, lambda: str(tmp_path))

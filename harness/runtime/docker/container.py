"""One container of a run: started through testcontainers, signalled and watched as the process of this machine that it
is.

Signals go to the process itself through its pidfd, so that a pause or a kill takes effect at once and at the same
instant for several nodes; the engine is asked where its own state matters (start, limits, removal). Knows no broker.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import StartError
from harness.runtime.base import UNKNOWN_STATUS
from harness.runtime.docker.container_output import ContainerOutput
from harness.runtime.docker.engine import KEPT_WHOLE, LABEL, TIMEOUT_S
from harness.runtime.kernel import procfs
from harness.runtime.kernel.cgroup import groups_of
from harness.runtime.kernel.cgroup_cpu import used_ns
from harness.runtime.ledger import Ledger
from harness.runtime.signal_target import SignalTarget

_GONE_S = 20.0
"""How long the engine may take to notice the end of a container's process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """What a container is made of.

    Attributes:
        name: For messages; the engine's name adds the run's id.
        image: Tag or id; it must be there already.
        argv: Command line inside the image; replaces its entry point.
        env: Environment variables.
        binds: Directories of this machine that are seen inside at the same path.
        published: (host address, port) → the same port inside.
        settings: Further arguments of the engine's ``create`` (network, aliases…).
    """

    name: str
    image: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    binds: Sequence[Path] = ()
    published: Sequence[tuple[str, int]] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


class Container(SignalTarget):
    """A container over all its starts; pauses have holders.

    Args:
        made: What it is made of.
        ledger: Of the run.
        log: File that gets its output, appended.
        on_death: Called with the exit status when it ends without having been asked to.
    """

    restartable = False  # whoever has joined its network namespace would be cut off

    def __init__(
        self, made: ContainerSpec, ledger: Ledger, log: Path, on_death: Callable[[int], None] | None = None
    ) -> None:
        super().__init__(log)
        self.made = made
        self._ledger = ledger
        self._on_death = on_death
        self._box: Any = None  # testcontainers' container; its wrapped docker container has no types worth the name
        self._pid = 0
        self._handle = -1
        self._ended = asyncio.Event()
        self._returncode: int | None = None
        self._expected = False
        self._account: Path | None = None
        self._cpu_ns = self._earlier_cpu_ns = 0
        self._output = ContainerOutput(log)
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Process id on this machine; 0 when it does not run."""
        return self._pid

    @property
    def returncode(self) -> int | None:
        """Exit status of the last start as the engine reports it; None while it runs or before the first start."""
        return self._returncode

    @property
    def cpu_ns(self) -> int:
        """CPU time over all its starts, of every process in it, as its control group counts it.

        Of a container that has ended, what was seen last: right before a signal to end it, and as its process ended.
        """
        self._note_cpu()
        return self._earlier_cpu_ns + self._cpu_ns

    @property
    def id(self) -> str:
        """The engine's id of it."""
        return str(self._wrapped.id)

    async def run(self) -> None:
        """Create it at first, and start it; raises StartError (definite)."""
        if self._pid:
            raise StartError(f"{self.made.name} is already running (pid {self._pid})")
        await self._await_last_end()  # a slow engine may not have done so yet, and its last end is not the next one's
        self._expected, self._returncode = False, None
        self._earlier_cpu_ns, self._cpu_ns, self._account = self.cpu_ns, 0, None
        self._ended = asyncio.Event()
        try:
            pid = await asyncio.to_thread(self._start)
        except Exception as error:
            raise StartError(f"cannot start the container of {self.made.name}: {error}") from error
        self._watch(pid)
        if self._pauses:  # whoever holds it has not let go: starting it again is no way to resume it
            self.send(signal.SIGSTOP)

    def _start(self) -> int:
        if self._box is None:
            self._box = _box(self.made, self._ledger)
            self._box.start()
        else:
            self._wrapped.start()
        self._output.follow(self._wrapped)
        self._wrapped.reload()
        return int(self._wrapped.attrs["State"]["Pid"])

    def expect_end(self) -> None:
        """Take its end, from now on, as no surprise."""
        self._expected = True

    def send(self, number: signal.Signals) -> None:
        """Send a signal to its first process, if it still runs."""
        if self._handle >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)

    async def end(self, number: signal.Signals, timeout_s: float) -> bool:
        """Send ``number`` and wait; SIGKILL after ``timeout_s``. Return whether the first signal was enough.

        A process that is paused takes SIGTERM only once its last holder lets go.
        """
        self._expected = True
        if not self._pid:
            await self._await_last_end()  # it ended by itself just now
            return True
        self._note_cpu()
        self.send(number)
        try:
            await asyncio.wait_for(self._ended.wait(), timeout_s)
            enough = True
        except TimeoutError:
            self.send(signal.SIGKILL)
            # An engine that has not noticed by then is slow; whoever needs the node gone looks at its process.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _GONE_S)
            enough = False
        return enough

    async def remove(self) -> None:
        """Remove it, running or not, with its anonymous volumes."""
        self._expected = True
        self._note_cpu()
        self._drop_handle()  # no caller waits for its end any more
        await self._await_last_end()
        self._pid = 0
        if self._box is not None:
            await asyncio.to_thread(_remove_box, self._box)
            self._box = None
        await asyncio.to_thread(self._output.join, _GONE_S)

    def update(self, **limits: int) -> None:
        """Change limits of a container that was created; the engine keeps them over its restarts."""
        answer = self._wrapped.client.api.update_container(self._wrapped.id, **limits)
        for warning in answer.get("Warnings") or ():
            raise StartError(f"the engine did not limit {self.made.name}: {warning}")

    @property
    def _wrapped(self) -> Any:
        if self._box is None:
            raise StartError(f"the container of {self.made.name} was never started")
        return self._box.get_wrapped_container()

    def _watch(self, pid: int) -> None:
        """Have the kernel signal when its process ends."""
        self._drop_handle()
        try:
            self._handle = os.pidfd_open(pid) if pid else -1
        except ProcessLookupError:
            self._handle = -1
        if self._handle < 0:
            # It ended before we could look at it.
            self._task = asyncio.create_task(self._await_engine())
            return
        self._pid = pid
        with contextlib.suppress(OSError):  # it ended just now
            group = groups_of(pid).get("cpuacct")
            # A process that is ending is already in the root's group, which counts the whole machine.
            self._account = group if group is not None and self.id in str(group) else None
        handle = self._handle
        asyncio.get_running_loop().add_reader(handle, self._process_ended, handle)

    def _process_ended(self, handle: int) -> None:
        asyncio.get_running_loop().remove_reader(handle)
        self._note_cpu()  # the engine removes its group some time later
        self._pid = 0
        self._drop_handle()
        self._task = asyncio.create_task(self._await_engine())

    def _note_cpu(self) -> None:
        """Remember what it has used so far, by its first process alone where its group cannot be read."""
        used = 0 if self._account is not None else procfs.cpu_ns(self._pid)
        with contextlib.suppress(OSError):  # its group has gone
            used = 0 if self._account is None else used_ns(self._account)
        self._cpu_ns = max(self._cpu_ns, used)

    async def _await_last_end(self) -> None:
        """Wait until the engine has reported the last end, if there was one."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _await_engine(self) -> None:
        """Wait until the engine, too, knows that it has ended: only then can it be started again."""
        try:
            told = await asyncio.to_thread(self._wrapped.wait, timeout=_GONE_S)
            self._returncode = int(told["StatusCode"])
        except Exception:  # noqa: BLE001  whatever the engine says of it: its process is gone
            self._returncode = UNKNOWN_STATUS
        await asyncio.to_thread(self._output.join, _GONE_S)  # its last words are in the file
        self._ended.set()
        if not self._expected and self._on_death is not None:
            self._on_death(self._returncode)

    def _drop_handle(self) -> None:
        if self._handle >= 0:
            with contextlib.suppress(RuntimeError):
                asyncio.get_running_loop().remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1


def _box(made: ContainerSpec, ledger: Ledger) -> Any:
    """Return testcontainers' description of a container; nothing is created yet."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415  only runs with containers load it

    box = DockerContainer(
        made.image,
        docker_client_kw={"timeout": TIMEOUT_S},
        name=f"chaos-{ledger.run_id}-{made.name}",
        env=dict(made.env) | ledger.environment(),
    )
    for path in made.binds:
        box.with_volume_mapping(path, str(path), "rw")
    for host, port in made.published:
        # The package's own method takes a port alone, and would publish it on every address of the machine.
        box.ports[f"{port}/tcp"] = (host, port)  # type: ignore[assignment]
    # What is mounted belongs to whoever runs the harness, and must go on doing so.
    user = f"{os.getuid()}:{os.getgid()}"
    return box.with_kwargs(
        entrypoint=[made.argv[0]],
        labels={LABEL: ledger.run_id},
        log_config=KEPT_WHOLE,
        user=user,
        **made.settings,
    ).with_command(list(made.argv[1:]))


def _remove_box(box: Any) -> None:
    from docker.errors import DockerException  # noqa: PLC0415

    try:
        # What is still there then, the ledger removes when the run ends, or the next sweep. (OSError: requests'
        # time-outs.)
        with contextlib.suppress(DockerException, OSError):
            box.stop(force=True, delete_volume=True)
    finally:
        box.get_docker_client().client.close()

"""A broker node as a container; the same abilities, with the same meaning, as a node that is a process."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import AbilityError
from harness.runtime.base import CpuUse, Disk, MemoryUse, NodeSpec
from harness.runtime.docker.container import Container, ContainerSpec
from harness.runtime.files import write_files
from harness.runtime.kernel.cgroup import groups_of
from harness.runtime.kernel.cgroup_cpu import PERIOD_US, CpuGroup, quota_us
from harness.runtime.kernel.cgroup_memory import NO_LIMIT, MemoryGroup
from harness.runtime.ledger import Ledger
from harness.runtime.limits import Limits
from harness.runtime.process.cpu_load import CpuLoad


class ContainerNode(Container):
    """One node; fulfils ``RunNode``.

    Args:
        spec: From the broker; its command line is one inside the image.
        image: To run.
        ledger: Of the run.
        log: Output file.
        on_death: Called when it ends unexpectedly.
        disk: Its own file system, or None.
        settings: How it is connected, see ``ContainerSpec``.
    """

    def __init__(
        self,
        spec: NodeSpec,
        image: str,
        ledger: Ledger,
        log: Path,
        on_death: Callable[[int], None],
        disk: Disk | None,
        settings: Mapping[str, Any],
    ) -> None:
        self.spec = spec
        self.disk = disk
        made = ContainerSpec(
            name=spec.name,
            image=image,
            argv=spec.argv,
            env=spec.env,
            binds=(spec.data_dir.parent,),
            settings=settings,
        )
        super().__init__(made, ledger, log, self._ended_unasked)
        self._surprise = on_death
        self._first = True
        self._cpu_limits = Limits[float](self._carry_out_cpu)
        self._expecting: set[str] = set()
        self._memory_limits = Limits[int](self._carry_out_memory)
        self._memory_seen: MemoryUse | None = None
        self._short_of_memory: bool | None = None
        self._most_is_new = False
        self._burners = CpuLoad(spec.name, ledger, log)
        self._burning: dict[str, int] = {}

    @property
    def name(self) -> str:
        """The node's name."""
        return self.spec.name

    async def start(self) -> None:
        """Write the configuration and start the container; raises StartError (definite)."""
        write_files(self.spec, first=self._first)
        self._first = False
        self._memory_seen = self._short_of_memory = None
        await self.run()
        for holder, count in self._burning.items():
            await self._burners.start(holder, count, self._cpu_group())

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after the spec's timeout."""
        self._burners.quench_all()  # the engine can end no container while others are in its group
        await self.end(signal.SIGTERM, self.spec.stop_timeout_s)

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._burners.quench_all()  # the engine can end no container while others are in its group
        await self.end(signal.SIGKILL, self.spec.stop_timeout_s)

    def expect_end_by(self, holder: str, *, expected: bool) -> None:
        """While a holder expects it, the end of the process is no surprise."""
        (self._expecting.add if expected else self._expecting.discard)(holder)

    def limit_cpu(self, holder: str, cores: float | None) -> None:
        """Set one holder's limit, the smallest in force counts; None lifts it and ends its burners."""
        self._cpu_limits.set(holder, cores)
        if cores is None:
            self._burning.pop(holder, None)
            self._burners.stop(holder)

    async def burn(self, holder: str, count: int) -> None:
        """Run ``count`` spinning processes inside the container's group until the holder's limit is lifted."""
        self._burning[holder] = count
        await self._burners.start(holder, count, self._cpu_group())

    def cpu_use(self) -> CpuUse:
        """Return the kernel's accounting; raises AbilityError when it does not run."""
        try:
            return self._cpu_group().use()
        except OSError as error:
            raise AbilityError(f"{self.name} is ending: the kernel keeps no account of it") from error

    def limit_memory(self, holder: str, limit_bytes: int | None) -> None:
        """Set one holder's limit, the smallest in force counts; None lifts it. What it ends did not die by itself."""
        self._memory_limits.set(holder, limit_bytes)

    def memory_use(self) -> MemoryUse:
        """Return the kernel's accounting, or, once it has ended, the last that was seen and the engine's word of why."""
        if self.pid:
            # It may be ending just now, and its group with it.
            with contextlib.suppress(OSError, AbilityError):
                use = self._memory_group().use()
                self._memory_seen = use if self._most_is_new else replace(use, most_bytes=0)
                return self._memory_seen
        seen = self._memory_seen or MemoryUse(limit_bytes=None, used_bytes=0, most_bytes=0, at_limit=0, killed=0)
        more = int(self._ended_for_memory())
        return replace(seen, used_bytes=0, at_limit=seen.at_limit + more, killed=seen.killed + more)

    def release(self) -> None:
        """Nothing is left: the engine removes the group with the container."""

    def _carry_out_cpu(self, cores: float | None) -> None:
        # −1 lifts a quota; 0 would mean "leave it".
        self.update(cpu_period=PERIOD_US, cpu_quota=-1 if cores is None else quota_us(cores))

    def _carry_out_memory(self, limit_bytes: int | None) -> None:
        from docker.errors import APIError  # noqa: PLC0415  only runs with containers load it

        # The engine can lift no limit of memory (−1 is refused, 0 means "leave it"): one beyond all memory stands for none.
        value = NO_LIMIT if limit_bytes is None else limit_bytes
        try:
            self.update(mem_limit=value, memswap_limit=value)
        except APIError as error:
            raise AbilityError(f"the engine refuses to limit the memory of {self.name}: {error.explanation}") from error
        self._most_is_new = False
        # Only root may; else the most that was in use may be from before, and tells nothing.
        with contextlib.suppress(OSError, AbilityError):
            self._memory_group().forget_most()
            self._most_is_new = True

    def _ended_unasked(self, code: int) -> None:
        """Tell of an end that nobody has asked for: neither by a signal, nor by what a fault does to it."""
        limited = self._memory_limits.least is not None
        if not self._expecting and not (limited and self._ended_for_memory()):
            self._surprise(code)

    def _ended_for_memory(self) -> bool:
        """Tell whether the kernel has ended it for lack of memory: its group is gone, and the engine remembers."""
        if self.returncode is None:
            return False
        if self._short_of_memory is None:
            # An engine that does not answer (docker-py's errors of requests are OSErrors) may do so the next time.
            with contextlib.suppress(OSError):
                self._wrapped.reload()
                self._short_of_memory = bool(self._wrapped.attrs["State"].get("OOMKilled"))
        return bool(self._short_of_memory)

    def _cpu_group(self) -> CpuGroup:
        return CpuGroup.at(self._groups()["cpu"])

    def _memory_group(self) -> MemoryGroup:
        return MemoryGroup.at(self._groups()["memory"])

    def _groups(self) -> Mapping[str, Any]:
        if not self.pid:
            raise AbilityError(f"{self.name} does not run: the kernel keeps no account of it")
        try:
            groups = groups_of(self.pid)
        except OSError:
            groups = {}  # it ended just now
        # A process that is ending is already in the root's group, which counts the whole machine.
        found = {name: path for name, path in groups.items() if self.id in str(path)}
        if not found:
            raise AbilityError(f"{self.name} is ending: the kernel keeps no account of it")
        return found

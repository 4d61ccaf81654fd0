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
from harness.runtime.cpu_load import CpuLoad
from harness.runtime.docker.container import Container, ContainerSpec
from harness.runtime.kernel.cgroup import groups_of
from harness.runtime.kernel.cgroup_cpu import PERIOD_US, CpuGroup, quota_us, shares
from harness.runtime.kernel.cgroup_memory import NO_LIMIT, MemoryGroup
from harness.runtime.ledger import Ledger
from harness.runtime.node import BrokerNode


class ContainerNode(Container, BrokerNode):
    """A broker node as a container.

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
        made = ContainerSpec(
            name=spec.name,
            image=image,
            argv=spec.argv,
            env=spec.env,
            binds=(spec.data_dir.parent,),
            # Given, it can be restored to the same weight, however the engine translates shares.
            settings={**settings, "cpu_shares": shares(None)},
        )
        Container.__init__(self, made, ledger, log, self._report_end)
        BrokerNode.__init__(self, spec, disk, on_death, CpuLoad(spec.name, ledger, log))
        self._memory_seen: MemoryUse | None = None
        self._short_of_memory: bool | None = None
        self._most_is_new = False
        self._load_is_counted = False

    @property
    def cpu_ns(self) -> int:
        """CPU time of all its incarnations and of its CPU load so far."""
        return super().cpu_ns + (0 if self._load_is_counted else self._cpu_load.cpu_ns)

    async def start(self) -> None:
        """Write the configuration and start the container; raises StartError (definite)."""
        self._write_files()
        self._memory_seen = self._short_of_memory = None
        await self.run()
        with contextlib.suppress(AbilityError):  # it has ended
            # The load joins its group that limits. In version 1 another one may count.
            groups = self._groups()
            self._load_is_counted = groups["cpu"] == groups.get("cpuacct")
        if self._cpu_load.wanted:
            await self._cpu_load.resume(self._cpu_group())

    async def end(self, number: signal.Signals, timeout_s: float) -> bool:
        """End it as every container; its CPU load goes first, and comes again with its next start."""
        self._cpu_load.suspend()  # the engine can end no container while others are in its group
        return await super().end(number, timeout_s)

    def cpu_use(self) -> CpuUse:
        """Return the kernel's accounting; raises AbilityError when it does not run."""
        try:
            return super().cpu_use()
        except OSError as error:
            raise AbilityError(f"{self.name} is ending, so the kernel no longer counts what it uses") from error

    def memory_use(self) -> MemoryUse:
        """Return the kernel's accounting, or, once it has ended, the last that was seen and the engine's
        word of why.
        """
        if self.pid:
            # It may be ending just now, and its group with it.
            with contextlib.suppress(OSError, AbilityError):
                use = self._memory_group().use()
                self._memory_seen = use if self._most_is_new else replace(use, most_bytes=0)
                return self._memory_seen
        seen = self._memory_seen or MemoryUse(limit_bytes=None, used_bytes=0, most_bytes=0, at_limit=0, killed=0)
        more = int(self._was_short_of_memory())
        return replace(seen, used_bytes=0, at_limit=seen.at_limit + more, killed=seen.killed + more)

    def release(self) -> None:
        """Leave it: the engine removes the group with the container."""

    def _set_cpu_limit(self, cores: float | None) -> None:
        # −1 lifts a quota; 0 would mean "leave it".
        quota = -1 if cores is None else quota_us(cores)
        self.update(cpu_period=PERIOD_US, cpu_quota=quota, cpu_shares=shares(cores))

    def _set_memory_limit(self, limit_bytes: int | None) -> None:
        from docker.errors import APIError  # noqa: PLC0415  only runs with containers load it

        # The engine can lift no limit of memory (−1 is refused, 0 means "leave it"): one beyond all memory stands for
        # none.
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

    def _ended_for_memory(self, code: int) -> bool:
        del code  # the engine remembers why
        return self._was_short_of_memory()

    def _was_short_of_memory(self) -> bool:
        """Return whether the kernel has ended it for lack of memory: its group is gone, and the engine remembers."""
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
            raise AbilityError(f"{self.name} does not run, so the kernel no longer counts what it uses")
        try:
            groups = groups_of(self.pid)
        except OSError:
            groups = {}  # it ended just now
        # A process that is ending is already in the root's group, which counts the whole machine.
        found = {name: path for name, path in groups.items() if self.id in str(path)}
        if not found:
            raise AbilityError(f"{self.name} is ending, so the kernel no longer counts what it uses")
        return found

"""A broker node as a container; the same abilities, with the same meaning, as a node that is a process."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import AbilityError
from harness.runtime.base import CpuUse, Disk, NodeSpec
from harness.runtime.cgroup import PERIOD_US, CpuGroup, groups_of
from harness.runtime.container import Container, Made
from harness.runtime.files import write_files
from harness.runtime.ledger import Ledger
from harness.runtime.process import BURNER, SupervisedProcess


class ContainerNode(Container):
    """One node; fulfils ``RunNode``.

    Args:
        spec: From the broker; its command line is one inside the image.
        image: To run.
        ledger: Of the run.
        log: Output file.
        on_death: Called when it ends unexpectedly.
        disk: Its own file system, or None.
        settings: How it is connected, see ``Made``.
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
        made = Made(
            name=spec.name,
            image=image,
            argv=spec.argv,
            env=spec.env,
            binds=(spec.data_dir.parent,),
            settings=settings,
        )
        super().__init__(made, ledger, log, on_death)
        self._first = True
        self._limits: dict[str, float] = {}
        self._memory_limits: dict[str, int] = {}
        self._burners: dict[str, list[SupervisedProcess]] = {}
        self._burning: dict[str, int] = {}

    @property
    def name(self) -> str:
        """The node's name."""
        return self.spec.name

    async def start(self) -> None:
        """Write the configuration and start the container; raises StartError (definite)."""
        write_files(self.spec, first=self._first)
        self._first = False
        await self.run()
        for holder, count in self._burning.items():
            await self._ignite(holder, count)

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL after the spec's timeout."""
        self._quench()
        await self.end(signal.SIGTERM, self.spec.stop_timeout_s)

    async def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._quench()
        await self.end(signal.SIGKILL, self.spec.stop_timeout_s)

    def alive(self) -> bool:
        """Tell whether the process exists."""
        return self.identity() is not None

    def limit_cpu(self, holder: str, cores: float | None) -> None:
        """Set one holder's limit, the smallest in force counts; None lifts it and ends its burners."""
        if cores is None:
            self._limits.pop(holder, None)
        else:
            self._limits[holder] = cores
        least = min(self._limits.values(), default=None)
        # −1 lifts a quota; 0 would mean "leave it", and the engine refuses less than 1 ms.
        quota = -1 if least is None else max(1_000, round(least * PERIOD_US))
        self.update(cpu_period=PERIOD_US, cpu_quota=quota)
        if cores is None:
            self._burning.pop(holder, None)
            for burner in self._burners.pop(holder, []):
                burner.expect_end()
                burner.send(signal.SIGKILL)

    async def burn(self, holder: str, count: int) -> None:
        """Run ``count`` spinning processes inside the container's group until the holder's limit is lifted."""
        self._burning[holder] = count
        await self._ignite(holder, count)

    def cpu_use(self) -> CpuUse:
        """Return the kernel's accounting; raises AbilityError when it does not run."""
        return self._cpu_group().use()

    def limit_memory(self, holder: str, limit_bytes: int | None) -> None:
        """Set one holder's limit, the smallest in force counts; None lifts it."""
        if limit_bytes is None:
            self._memory_limits.pop(holder, None)
        else:
            self._memory_limits[holder] = limit_bytes
        least = min(self._memory_limits.values(), default=-1)
        self.update(mem_limit=least, memswap_limit=least)

    def release(self) -> None:
        """Nothing is left: the engine removes the group with the container."""

    def _cpu_group(self) -> CpuGroup:
        return CpuGroup.at(self._groups()["cpu"])

    def _groups(self) -> Mapping[str, Any]:
        if not self.pid:
            raise AbilityError(f"{self.name} does not run: the kernel keeps no account of it")
        return groups_of(self.pid)

    async def _ignite(self, holder: str, count: int) -> None:
        group = self._cpu_group()
        for index in range(count):
            burner = SupervisedProcess(f"burner {index} of {self.name}", self._ledger, self._log)
            await burner.launch((sys.executable, "-S", "-E", "-c", BURNER), {})
            group.add(burner.pid)
            self._burners.setdefault(holder, []).append(burner)

    def _quench(self) -> None:
        """End the burners: the engine cannot remove a group, and so end a container, while others are in it."""
        for burners in self._burners.values():
            for burner in burners:
                burner.expect_end()
                burner.send(signal.SIGKILL)
        self._burners.clear()

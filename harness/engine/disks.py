"""The disks of a run's nodes: which file system they have, and making, syncing and removing all of them at once.

Knows no fault: a plan has disks because its cluster says so or because one of its faults needs the ability ``disk``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container

from harness.errors import HarnessError
from harness.runtime.abilities import MachineAbility
from harness.runtime.base import NodeSpec
from harness.runtime.kernel.disk import LoopDisk, require_disk
from harness.runtime.ledger import Ledger
from harness.scenario.model import Cluster, DiskSpec


def disk_spec(cluster: Cluster, abilities: Container[MachineAbility]) -> DiskSpec | None:
    """Return what disk each node has; None when they share this machine's. Raises AbilityError where it
    cannot be had.
    """
    spec = cluster.disk or (DiskSpec() if MachineAbility.DISK in abilities else None)
    if spec is not None:
        require_disk(spec.filesystem)
    return spec


class Disks:
    """All disks of one run.

    Args:
        spec: Of each; None = there are none.
        ledger: Of the run.
    """

    def __init__(self, spec: DiskSpec | None, ledger: Ledger) -> None:
        self._spec, self._ledger = spec, ledger
        self._disks: list[LoopDisk] = []

    def of(self, spec: NodeSpec) -> LoopDisk | None:
        """Return a node's disk, which is not made yet: it will hold the data directory, and lie next to it."""
        if self._spec is None:
            return None
        image = spec.data_dir.parent / "disk.img"
        disk = LoopDisk(image, spec.data_dir, self._spec.filesystem, self._spec.size_bytes, self._ledger)
        self._disks.append(disk)
        return disk

    async def create(self) -> None:
        """Make and mount all; raises StartError (definite)."""
        await asyncio.gather(*(asyncio.to_thread(disk.create) for disk in self._disks))

    async def sync(self) -> None:
        """Write everything to the devices: a power cut soon after a node was formatted would leave it
        unable to start.
        """
        await asyncio.gather(*(asyncio.to_thread(disk.sync) for disk in self._disks))

    async def destroy(self) -> tuple[str, ...]:
        """Unmount and remove all, after their nodes have gone; return what could not be removed, with the reason."""
        done = await asyncio.gather(*(asyncio.to_thread(disk.destroy) for disk in self._disks), return_exceptions=True)
        for item in done:
            if isinstance(item, BaseException) and not isinstance(item, HarnessError | OSError):
                raise item
        return tuple(str(item) for item in done if item is not None)

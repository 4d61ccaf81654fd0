"""Parts of a run in which one consumer is told the address of the node itself, in place of that of its link."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.applications.instance import Setup
from harness.clients.base import WorkerSpec
from harness.engine.parts import Binaries, MachineParts, RunWorker, Site, WorkerChange
from harness.runtime.abilities import MachineAbility
from harness.runtime.contract import Runtime
from harness.runtime.kernel.ports import Ports
from harness.runtime.ledger import Ledger


class AroundTheLink(MachineParts):
    """Tells c0, a reference consumer or an application, the address of the first node itself.

    Attributes:
        direct: That address; known once the runtime was made.
    """

    def __init__(self) -> None:
        super().__init__(proof_s=1.0)
        self.direct = ""

    def runtime(
        self,
        kind: str,
        binaries: Binaries,
        site: Site,
        ledger: Ledger,
        ports: Ports,
        abilities: frozenset[MachineAbility],
    ) -> Runtime:
        self.direct = f"127.0.0.1:{site.ports['n1']['client']}"
        return super().runtime(kind, binaries, site, ledger, ports, abilities)

    def worker(self, spec: WorkerSpec, run_dir: Path, ledger: Ledger, on_change: WorkerChange) -> RunWorker:
        return super().worker(self._led(spec), run_dir, ledger, on_change)

    def application(
        self,
        spec: WorkerSpec,
        setup: Setup,
        run_dir: Path,
        ledger: Ledger,
        on_change: WorkerChange,
        on_trouble: Callable[[str], None],
    ) -> RunWorker:
        return super().application(self._led(spec), setup, run_dir, ledger, on_change, on_trouble)

    def _led(self, spec: WorkerSpec) -> WorkerSpec:
        return replace(spec, addresses=(self.direct,)) if spec.worker == "c0" else spec

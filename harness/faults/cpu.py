"""cpu: limit the CPU time of nodes by their control group, with a load of its own when wanted.

An idle broker is never throttled: ``burn`` runs processes that spin inside the node's group, and ``fraction`` limits it
to a part of what it was seen to use, so that the starvation is real whatever the broker does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.errors import AbilityError, ControlError
from harness.faults.base import FAULTS, Evidence, FaultContext, FaultKind
from harness.faults.kit import evidence
from harness.faults.kit.lifetime import HealingFault
from harness.runtime.abilities import MachineAbility
from harness.runtime.base import CpuUse
from harness.runtime.kernel.cgroup_cpu import PERIOD_US
from harness.scenario.plugins import FaultPlace, FaultSpec, Refusal
from harness.units import Cores, Ratio, format_ns

_THROTTLED_MIN = 3
_NS_PER_US = 1_000
_QUOTA_TOLERANCE = 0.005
_LEAST_CORES = 0.01
"""The kernel's least quota: 1 ms in 100 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuOptions:
    """Options of cpu. Exactly one of `limit` and `fraction` is given.

    Attributes:
        limit: CPU time per wall time that the node may use (`0.2cores`).
        fraction: The limit as a part of what the node used on average in warm-up (`30%`); at least 0.01 cores.
        burn: Also run a spinning process inside the limit, so that the node has to share it.
    """

    limit: Cores | None = field(default=None, metadata={"minimum": _LEAST_CORES})
    fraction: Ratio | None = field(default=None, metadata={"minimum": 0.01, "maximum": 1})
    burn: bool = False


class _CpuAccount:
    """What the kernel counted of one node since the fault began, over restarts that start a new count."""

    def __init__(self, use: CpuUse) -> None:
        self._last = use
        self.quota_cores, self.weight = use.quota_cores, use.weight
        self.periods = self.throttled = self.throttled_ns = 0

    def add(self, use: CpuUse) -> None:
        """Take one more reading in."""
        starts_over = use.periods < self._last.periods or use.throttled_ns < self._last.throttled_ns
        base = CpuUse(quota_cores=None, periods=0, throttled=0, throttled_ns=0) if starts_over else self._last
        self.quota_cores, self.weight = use.quota_cores, use.weight
        self.periods += use.periods - base.periods
        self.throttled += use.throttled - base.throttled
        self.throttled_ns += use.throttled_ns - base.throttled_ns
        self._last = use


class Cpu(HealingFault[CpuOptions]):
    """A CPU limit on the target nodes."""

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self._limits: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._during: dict[str, _CpuAccount] = {}
        self._after: dict[str, _CpuAccount] = {}

    async def start(self) -> None:
        """Set the limit."""
        for name in self.context.targets:
            self._limits[name] = self._limit(name)
        for name, limit in self._limits.items():
            before = self.context.nodes[name].cpu_use()
            self._during[name], self._weights[name] = _CpuAccount(before), before.weight
            self.context.nodes[name].limit_cpu(self.id, limit)
        for name in self._limits:
            if self.options.burn:
                await self.context.nodes[name].burn(self.id, 1)

    async def stop(self) -> None:
        """Lift the limit and end the load."""
        for name in self._during:
            self.context.nodes[name].limit_cpu(self.id, None)
        for name in self._during:
            use = self._use(name)
            if use is not None and name not in self._after:
                self._after[name] = _CpuAccount(use)

    async def effect(self) -> tuple[Evidence, ...]:
        """Judge whether the kernel throttled the group in at least three periods under the limit asked for."""
        return tuple(self._judge_throttling(name) for name in self.context.targets)

    async def healing(self) -> tuple[Evidence, ...]:
        """Judge whether no limit reads back, throttling has stopped, the weight is as before, and the node answers."""
        found = []
        for name in self._during:
            found.append(self._judge_lifting(name))
            found.append(evidence.reachable(self.context, name, self.span.healed_ns))
        return tuple(found)

    def _limit(self, name: str) -> float:
        """Return the limit of one node in cores; raises ControlError where its use is not known."""
        if self.options.limit is not None:
            return self.options.limit
        used = self.context.cores.get(name, 0.0)
        if self.options.fraction is None or used <= 0:
            raise ControlError(f"the CPU use of {name} in warm-up is not known")
        return max(_LEAST_CORES, self.options.fraction * used)

    def _use(self, name: str) -> CpuUse | None:
        """Return the kernel's account; None while another fault keeps the node down, and there is none."""
        try:
            return self.context.nodes[name].cpu_use()
        except AbilityError:
            return None

    def _judge_lifting(self, name: str) -> Evidence:
        use = self._use(name)
        if use is None:
            return evidence.sentence("healing", name, "kernel accounting", False, "it does not run", "no limit")
        account = self._after.setdefault(name, _CpuAccount(use))
        account.add(use)
        shown = "none" if use.quota_cores is None else f"{use.quota_cores:g} cores"
        return evidence.sentence(
            "healing",
            name,
            "kernel accounting",
            # One period may still have been under way when the limit was lifted.
            use.quota_cores is None and account.throttled <= 1 and use.weight == self._weights[name],
            f"limit {shown}, {account.throttled} throttled periods since, weight {use.weight:g}",
            f"no limit, no throttling, weight {self._weights[name]:g}",
        )

    def _judge_throttling(self, name: str) -> Evidence:
        account = self._during.get(name)
        if account is None:
            return evidence.sentence("effect", name, "kernel accounting", False, "never applied", "throttled periods")
        use = None if self.span.healed_ns else self._use(name)
        if use is not None:
            # What the kernel says while the fault acts; once it is healed, the last such reading stands.
            account.add(use)
        limit = self._limits[name]
        limited = account.quota_cores is not None and account.quota_cores <= limit + _QUOTA_TOLERANCE
        shown = "none" if account.quota_cores is None else f"{account.quota_cores:g} cores"
        used = f" of {self.context.cores.get(name, 0.0):.2g} used in warm-up" if self.options.limit is None else ""
        return evidence.sentence(
            "effect",
            name,
            "kernel accounting",
            limited and account.throttled >= _THROTTLED_MIN,
            f"limit {shown}{used}, throttled in {account.throttled} of {account.periods} periods for "
            f"{format_ns(account.throttled_ns)}, weight {account.weight:g} (before: {self._weights[name]:g})",
            f"limit at most {limit:.3g} cores, throttled in at least {_THROTTLED_MIN} periods",
            # The limit is in force, and the node was not given the time to reach it.
            "periods" if limited and not account.throttled else "",
        )


def _validate(options: CpuOptions, place: FaultPlace | None) -> Iterator[Refusal]:
    del place
    both = options.limit is not None and options.fraction is not None
    neither = options.limit is None and options.fraction is None
    if both or neither:
        yield Refusal("exactly one of limit and fraction is needed")


def _describe(options: CpuOptions) -> str:
    part = f"{100 * (options.fraction or 0):g}% of its use in warm-up"
    limit = part if options.limit is None else f"{options.limit:g} cores"
    return limit + (" with a CPU load" if options.burn else "")


def _unreplayable(options: CpuOptions) -> str:
    return "" if options.fraction is None else "its limit depends on the use measured in warm-up"


def _extra_cores(options: CpuOptions) -> float:
    """Return what a spinning process adds at most; of a fraction it is not known before the run."""
    return options.limit if options.burn and options.limit is not None else 0.0


FAULTS.register("cpu")(
    FaultKind(
        name="cpu",
        summary="Limit the CPU time of nodes, optionally with a CPU load inside the limit.",
        spec=FaultSpec(
            options=CpuOptions,
            acts_on="node",
            validate=_validate,
            unreplayable=_unreplayable,
            proof_ns=lambda _: _THROTTLED_MIN * PERIOD_US * _NS_PER_US,
        ),
        machine=(MachineAbility.CPU_LIMITS,),
        make=Cpu,
        describe=_describe,
        measures_machine=lambda options: options.burn,
        extra_cores=_extra_cores,
    )
)

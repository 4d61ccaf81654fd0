"""The two ways in which a fault lasts: a one-off act that ends by itself, and one that acts until it is healed.

Owns when a fault acted. Knows no kind of target and no kind of evidence.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Generic, TypeVar

from harness.clock import NS_PER_S
from harness.faults.base import Evidence, FaultContext

OptionsT = TypeVar("OptionsT")

BASELINE_NS = 5 * NS_PER_S
"""How long before a fault its probes show what is usual."""

Window = tuple[int, int | None]
"""From when until when, monotonic; None = until now."""


@dataclass(slots=True, kw_only=True)
class FaultSpan:
    """When a fault acted, monotonic; 0 or None = not yet.

    Attributes:
        applied_ns: It began to be applied.
        acting_ns: It was in force everywhere.
        heal_ns: It began to be healed.
        healed_ns: It was healed everywhere.
    """

    applied_ns: int = 0
    acting_ns: int = 0
    heal_ns: int | None = None
    healed_ns: int = 0

    @property
    def before(self) -> Window:
        """The last seconds before it."""
        return self.applied_ns - BASELINE_NS, self.applied_ns

    @property
    def during(self) -> Window | None:
        """While it was in force everywhere; None when it was not yet."""
        return (self.acting_ns, self.heal_ns) if self.acting_ns else None

    @property
    def after(self) -> Window | None:
        """Since it was healed; None when it is not yet."""
        return (self.healed_ns, None) if self.healed_ns else None


class _TargetedFault(abc.ABC, Generic[OptionsT]):
    """One fault of one run, with its context and its options.

    Args:
        context: Of the fault.
    """

    def __init__(self, context: FaultContext) -> None:
        self.context = context
        self.options: OptionsT = context.planned.options

    @property
    def id(self) -> str:
        """The fault's id in its plan: its toxics and its holds bear it."""
        return self.context.planned.id

    @abc.abstractmethod
    async def effect(self) -> tuple[Evidence, ...]:
        """Return what the probes have seen so far of its effect, one entry per target at least."""

    @abc.abstractmethod
    async def healing(self) -> tuple[Evidence, ...]:
        """Return what the probes have seen so far of its healing."""


class OneOffFault(_TargetedFault[OptionsT]):
    """A fault that ends by itself: ``apply`` returns once the whole act is carried out. Fulfils ``Fault``."""

    @abc.abstractmethod
    async def apply(self) -> None:
        """Carry the whole act out. Raises HarnessError when it cannot."""

    async def heal(self) -> None:
        """Leave what was done; a kind whose act can be interrupted halfway finishes it here."""


class HealingFault(_TargetedFault[OptionsT]):
    """A fault that acts from ``apply`` until ``heal``; its kinds say how to start and how to stop. Fulfils ``Fault``.

    Attributes:
        span: When it acted.
    """

    def __init__(self, context: FaultContext) -> None:
        super().__init__(context)
        self.span = FaultSpan()

    async def apply(self) -> None:
        """Start it, and note when it was in force everywhere."""
        self.span.applied_ns = self.context.now_ns()
        await self.start()
        self.span.acting_ns = self.context.now_ns()

    async def heal(self) -> None:
        """Stop it, unless it never began. A second call stops it again, and leaves the times of the first one."""
        if not self.span.applied_ns:
            return
        self.span.heal_ns = self.span.heal_ns or self.context.now_ns()
        await self.stop()
        self.span.healed_ns = self.span.healed_ns or self.context.now_ns()

    @abc.abstractmethod
    async def start(self) -> None:
        """Put it in force on every target. Raises HarnessError when it cannot."""

    @abc.abstractmethod
    async def stop(self) -> None:
        """Undo it, as far as it was started; calling it twice is harmless."""

"""Which runtime a plan runs in: the one asked for, or containers where they are ready for it, else processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.distributions.base import Distribution, resolve
from harness.distributions.toxiproxy.aliases import DEFAULT as TOXIPROXY
from harness.errors import Location, UnfitEnvironmentError
from harness.progress import Event, Listener, Note
from harness.runtime.docker import engine as docker_engine
from harness.scenario.application import application_of
from harness.scenario.locations import locations
from harness.scenario.model import Plan


@dataclass(frozen=True, slots=True)
class ContainerEngine:
    """What decides between containers and processes.

    Attributes:
        unusable: Says why containers cannot serve as nodes here; empty when they can.
        has_image: Whether the image of a distribution is there.
    """

    unusable: Callable[[], str]
    has_image: Callable[[Distribution], bool]


def _has_image(distribution: Distribution) -> bool:
    from harness.distributions.images import has_image  # noqa: PLC0415  only runs with containers load it

    return has_image(distribution)


_DOCKER = ContainerEngine(unusable=cache(docker_engine.unusable), has_image=_has_image)


def runtimes_of(plans: Sequence[Plan], wanted: str, listener: Listener) -> list[str]:
    """Return the runtime of each plan, see ``runtime_of``; what ``auto`` has chosen, and why, is reported once."""
    told: set[str] = set()

    def once(event: Event) -> None:
        if str(event) not in told:
            told.add(str(event))
            listener(event)

    return [runtime_of(plan, wanted, once) for plan in plans]


def runtime_of(plan: Plan, wanted: str, listener: Listener, engine: ContainerEngine | None = None) -> str:
    """Return ``process`` or ``docker``; raises UnfitEnvironmentError with the reason when the one asked for is not to
    be had.

    Args:
        plan: To run.
        wanted: ``process``, ``docker`` or ``auto``: containers where an engine has the plan's images, so that nothing
            is built unasked.
        listener: Receives what ``auto`` has chosen, and why.
        engine: What is asked of containers; None = this machine's engine.
    """
    engine = engine or _DOCKER
    image = plan.cluster.image
    if application_of(plan.workload.consumer) is not None:
        return _of_application(plan, wanted)
    if wanted == "process":
        if image:
            raise UnfitEnvironmentError(
                f"{plan.file} names the image {image}, which processes cannot run",
                hint="run it with --runtime docker, or leave cluster.image out",
            )
        return wanted
    why = engine.unusable()
    if wanted == "auto" and not image:
        why = why or _lacks(plan, engine)
        chosen = "process" if why else "docker"
        listener(Note(text=f"runtime: {chosen}" + (f" ({why})" if why else "")))
        return chosen
    if why:
        raise UnfitEnvironmentError(f"{plan.file} cannot run in containers: {why}")
    return "docker"


def _of_application(plan: Plan, wanted: str) -> str:
    """Return ``process``, in which alone applications run so far; raises UnfitEnvironmentError as ``runtime_of``."""
    if wanted != "docker":
        return "process"
    known: Mapping[str, Location] = {}
    with contextlib.suppress(OSError, UnicodeDecodeError):
        known = locations(Path(plan.file).read_text(encoding="utf-8"), plan.file)
    raise UnfitEnvironmentError(
        f"{known.get('workload.consumer.application', plan.file)}: an application in the consumers' place does not run "
        "with --runtime docker yet",
        hint="run it with --runtime process",
    )


def _lacks(plan: Plan, engine: ContainerEngine) -> str:
    """Return which image is not built yet; empty when all are."""
    missing = [name for name in (plan.broker, TOXIPROXY) if not engine.has_image(resolve(name))]
    return f"no image of {', '.join(missing)} yet; build it with `harness images build`" if missing else ""

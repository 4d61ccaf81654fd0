"""The Docker engine: whether it can be used here, the labels that make things ours, and what a dead run left in it.

Everything that a run creates bears its label from the moment it exists, so that a sweep needs no list of names and
works without the reaper's image. The docker package is loaded only where an engine is talked to. Knows no node and no
broker.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.errors import UnfitEnvironmentError

Client = Any
"""A client of the engine. The package has no types; and to a type checker its name is that of our folder of
Dockerfiles.
"""

LABEL = "broker-chaos-harness.run"
"""Label of every container and network of a run; its value is the run's id."""

TIMEOUT_S = 60
_REMOVE_S = 20.0
_LOOK_S = 0.2

KEPT_WHOLE = {"Type": "json-file", "Config": {"max-size": "1t"}}
"""How the engine is to keep a container's log, whatever its own default: readable, and (a terabyte of it) whole."""


@contextlib.contextmanager
def engine() -> Iterator[Client]:
    """Yield a client of the engine that ``DOCKER_HOST`` or the default socket names.

    Raises UnfitEnvironmentError, also for whatever the engine refuses or leaves unanswered that the block lets through.
    """
    # 0.3 s, and only runs with containers need it.
    docker: Any = importlib.import_module("docker")
    from docker.errors import DockerException  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    try:
        client = docker.from_env(timeout=TIMEOUT_S)
    except DockerException as error:
        raise UnfitEnvironmentError(
            f"no Docker engine answers: {error}", hint="start one, or run with --runtime process"
        ) from error
    try:
        yield client
    except (DockerException, RequestException) as error:
        raise UnfitEnvironmentError(
            f"a request to the Docker engine failed: {error}", hint="is it overloaded, or being restarted?"
        ) from error
    finally:
        client.close()


def unusable() -> str:
    """Return why containers cannot serve as nodes here; empty when they can.

    Evidence of what faults do is read from the kernel (process states, sockets, throttling): the engine's processes
    must be this machine's own.
    """
    if not _may_answer():
        return "no Docker engine answers here"
    try:
        with engine() as client:
            if client.info().get("OSType") != "linux":
                return "the Docker engine runs no Linux containers"
            if _elsewhere(client):
                return "the Docker engine runs on another machine, whose processes are not visible here"
    except UnfitEnvironmentError as error:
        return error.message
    return ""


def containers_of(client: Client, run_id: str) -> list[Any]:
    """Return all containers of a run, whether they run or not."""
    return list(client.containers.list(all=True, filters={"label": f"{LABEL}={run_id}"}, ignore_removed=True))


def leftovers(run_id: str) -> tuple[str, ...]:
    """Return a line for each container and network of a run; raises UnfitEnvironmentError without an engine."""
    with engine() as client:
        networks = client.networks.list(filters={"label": f"{LABEL}={run_id}"})
        return _lines(containers_of(client, run_id), networks)


def remove(run_id: str, *, quiet_s: float = 0.0) -> tuple[str, ...]:
    """Remove every container, with its anonymous volumes, and every network of a run; return a line for each that was
    seen.

    Args:
        run_id: Whose.
        quiet_s: How long nothing more must have appeared: what was being created while its run died appears late.

    Raises:
        UnfitEnvironmentError: Without an engine, or when it does not do what it is asked.
    """
    from docker.errors import APIError, NotFound  # noqa: PLC0415

    seen: dict[str, None] = {}
    now = time.monotonic()
    quiet_since, deadline = now, now + _REMOVE_S
    with engine() as client:
        while True:
            containers = containers_of(client, run_id)
            networks = client.networks.list(filters={"label": f"{LABEL}={run_id}"})
            seen |= dict.fromkeys(_lines(containers, networks))
            for container in containers:
                with contextlib.suppress(NotFound, APIError):
                    container.remove(force=True, v=True)
            for network in networks:
                with contextlib.suppress(NotFound, APIError):
                    network.remove()
            now = time.monotonic()
            if containers or networks:
                quiet_since = now
            elif now - quiet_since >= quiet_s:
                return tuple(seen)
            if now > deadline:
                return tuple(seen)  # whoever looks again finds what is still there
            time.sleep(_LOOK_S)


def _lines(containers: Iterable[Any], networks: Iterable[Any]) -> tuple[str, ...]:
    return (
        *(f"container {item.name} ({item.short_id})" for item in containers),
        *(f"network {item.name}" for item in networks),
    )


def _may_answer() -> bool:
    """Return whether looking for an engine is worth loading the package: one is named, or its socket is there."""
    homes = (Path("/var/run/docker.sock"), Path.home() / ".docker" / "run" / "docker.sock")
    return bool(os.environ.get("DOCKER_HOST")) or any(path.exists() for path in homes)


def _elsewhere(client: Client) -> bool:
    """Return whether the engine runs on another machine (or in a virtual one): its kernel would not be ours."""
    told: dict[str, Any] = client.info()
    kernel = Path("/proc/sys/kernel/osrelease").read_text(encoding="ascii").strip()
    host = Path("/proc/sys/kernel/hostname").read_text(encoding="ascii").strip()
    return bool(told.get("KernelVersion") != kernel or told.get("Name") != host)

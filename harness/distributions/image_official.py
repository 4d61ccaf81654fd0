"""Images of others: which command line serves in them, and whether they hold the version that is asked for.

A tag is a name that its owner moves at will (``nats:2.12`` is the newest patch of the day), so the program inside is
asked. An image is asked once in a process: what its id stands for does not change. Knows no kind of distribution.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from harness.errors import UnfitEnvironmentError
from harness.runtime.docker.engine import KEPT_WHOLE, Client, engine

LABEL = "broker-chaos-harness.asked"
"""Label of the containers in which images are asked."""

_ANSWER_S = 60

_VERSION = r"v?(\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.-]+)?)\b"


def require_version(
    client: Client,
    image: str,
    kind: str,
    version: str,
    commands: Sequence[tuple[str, ...]],
    version_words: tuple[str, ...],
    *,
    head: str = "",
) -> tuple[str, ...]:
    """Return the first of ``commands`` that exists in an image; raises UnfitEnvironmentError unless it reports
    ``version``.

    Args:
        client: Of the engine, which holds the image.
        image: Tag or id.
        kind: For messages.
        version: Exact.
        commands: Command lines that may serve.
        version_words: Further words that make it report its version and end.
        head: Regular expression that stands before the version in what it reports.
    """
    command, answer = _ask(client.images.get(image).id, tuple(commands), version_words)
    require_version_said(image, kind, version, command, answer, head)
    return command


def require_version_said(
    image: str, kind: str, version: str, command: Sequence[str], answer: str, head: str = ""
) -> None:
    """Raise UnfitEnvironmentError unless what an image reported is ``version``; see ``require_version``.

    Args:
        image: Tag or id.
        kind: For messages.
        version: Exact.
        command: That made it report; empty when none could be started.
        answer: By it; or why none could be started.
        head: Regular expression that stands before the version.
    """
    if not command:
        raise UnfitEnvironmentError(
            f"the image {image} is not laid out as an official image of {kind}: {answer}",
            hint="leave cluster.image out, and the harness builds its own image",
        )
    found = re.search(head + _VERSION, answer, re.MULTILINE)
    if found is None:
        raise UnfitEnvironmentError(f"the image {image} does not report its version; it says {answer.strip()!r}")
    if found[1] != version:
        raise UnfitEnvironmentError(
            f"the image {image} holds {kind} {found[1]}, and the broker asked for is {kind}-{version}",
            hint=f"write broker: {kind}-{found[1]}, or name an image of {version}",
        )


@lru_cache(maxsize=64)
def _ask(
    image_id: str, commands: tuple[tuple[str, ...], ...], version_words: tuple[str, ...]
) -> tuple[tuple[str, ...], str]:
    """Return (the command line that exists, what it reported); with an empty one, why none can be started."""
    from docker.errors import APIError  # noqa: PLC0415  only with an engine

    why = ""
    with engine() as client:
        for command in commands:
            # Not the package's own ``run(remove=True)``: it leaves a container behind that could not be started.
            container = client.containers.create(
                image_id,
                entrypoint=[command[0]],
                command=[*command[1:], *version_words],
                network_mode="none",
                log_config=KEPT_WHOLE,
                labels={LABEL: image_id},
            )
            try:
                container.start()
                status = container.wait(timeout=_ANSWER_S)["StatusCode"]
                answer = container.logs().decode(errors="replace")
            except APIError as error:  # there is no such program in it
                why = str(error.explanation or error).strip()
                continue
            except OSError as error:  # requests' time-outs are such
                raise UnfitEnvironmentError(
                    f"{' '.join(command)} in {image_id}: no version in {_ANSWER_S} s"
                ) from error
            finally:
                container.remove(force=True, v=True)
            if status != 0:
                raise UnfitEnvironmentError(f"{' '.join(command)} in {image_id} ended with {status}: {answer.strip()}")
            return command, answer
    return (), why

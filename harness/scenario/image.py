"""What the name of an image says of the version inside it.

Judges names only: what an image really holds is asked of it when it is used.
"""

from __future__ import annotations

import re

_TAG = re.compile(r":v?(?P<version>\d+(?:\.\d+){0,2}(?:-(?:RC|rc)\.?\d+)?)(?:-[\w.-]+)?$", re.ASCII)
"""A tag that names a version, whole or in part, and perhaps what it is built on (``2.12-alpine``)."""


def image_problem(image: str, exact: str) -> tuple[str, str]:
    """Return (why an image cannot hold a distribution, hint); empty when it may.

    Args:
        image: As in a scenario; empty = none.
        exact: Name of the distribution, at its exact version.
    """
    if not image:
        return "", ""
    kind, _, version = exact.partition("-")
    if re.search(r"\s", image) or image.startswith(("-", "/", ":")):
        return f"{image!r} is not the name of an image", f"write <name>:<tag>, e.g. {kind}:{version}"
    tag = _TAG.search(image.partition("@")[0])
    if tag is None:  # latest, or a digest: the image itself will tell
        return "", ""
    said = tag["version"]
    # 2.1 is a part of 2.1.5, and not of 2.12.0; a pre-release is a version of its own.
    if version == said or ("-" not in version and version.startswith(f"{said}.")):
        return "", ""
    fits = f"{kind}-{said}" if said.count(".") == 2 else f"a {kind}-{said}.x"
    return f"the image {image} is of version {said}, and the broker asked for is {exact}", f"write broker: {fits}"

"""nats-server as an image."""

from __future__ import annotations

from harness.distributions.image_base import recipes
from harness.distributions.image_static import StaticImage
from harness.distributions.images import IMAGES

# The official image from scratch has the program at its root, those on Alpine elsewhere.
NATS = IMAGES.register("nats")(
    StaticImage("nats", recipes() / "nats", ("/nats-server",), (("/nats-server",), ("/usr/local/bin/nats-server",)))
)

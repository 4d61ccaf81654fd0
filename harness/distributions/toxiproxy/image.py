"""Toxiproxy's server as an image."""

from __future__ import annotations

from harness.distributions.image_base import recipes
from harness.distributions.image_static import StaticImage
from harness.distributions.images import IMAGES

TOXIPROXY = IMAGES.register("toxiproxy")(
    StaticImage("toxiproxy", recipes() / "toxiproxy", ("/toxiproxy-server",), (("/toxiproxy",),))
)

"""nats-server: any released version 2.x, as a static binary built from its Go module."""

from __future__ import annotations

from harness.distributions.base import DISTRIBUTIONS
from harness.distributions.go_modules import GoModule

# No linker variable: nats-server's version is a constant in its source.
NATS = DISTRIBUTIONS.register("nats")(
    GoModule(
        kind="nats",
        title="nats-server",
        module="github.com/nats-io/nats-server/v2",
        installs="nats-server",
        executable="nats-server",
        version_arguments=("--version",),
    )
)

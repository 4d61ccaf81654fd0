"""Toxiproxy's server: any released version 2.x, as a static binary built from its Go module.

Never ``@latest``: the module proxy's list stops at 2.5.0, so that is what it resolves to (see aliases.py for the pin).
"""

from __future__ import annotations

from harness.distributions.base import DISTRIBUTIONS
from harness.distributions.go_modules import GoModule

TOXIPROXY = DISTRIBUTIONS.register("toxiproxy")(
    GoModule(
        kind="toxiproxy",
        title="toxiproxy",
        module="github.com/Shopify/toxiproxy/v2",
        package="/cmd/server",
        installs="server",
        executable="toxiproxy-server",
        version_arguments=("-version",),
        # version.go says `var Version = "git"`; the project's own release build sets it in the same way.
        version_variable="github.com/Shopify/toxiproxy/v2.Version",
    )
)

"""Types of the keys of a NATS server's configuration (``server/opts.go``, 2.9 to 2.15)."""

from __future__ import annotations

from typing import Final

from harness.scenario.config_types import MAP, SIZE, SPAN, TEXT, TRUTH, WHOLE, ConfigTypes

CONFIG_TYPES: Final[ConfigTypes] = {
    # The harness lays it over its own, which says where data is kept: true or text would take that away.
    "jetstream": MAP,
    **dict.fromkeys(("jetstream.max_mem", "jetstream.max_memory_store", "jetstream.max_mem_store"), SIZE),
    **dict.fromkeys(("jetstream.max_file", "jetstream.max_file_store"), SIZE),
    **dict.fromkeys(("jetstream.max_buffered_size", "jetstream.max_outstanding_catchup"), SIZE),
    "jetstream.max_buffered_msgs": WHOLE,
    "jetstream.request_queue_limit": WHOLE,
    "jetstream.sync_interval": TEXT,
    "jetstream.unique_tag": TEXT,
    "jetstream.limits": MAP,
    **dict.fromkeys(("jetstream.limits.max_ack_pending", "jetstream.limits.max_ha_assets"), WHOLE),
    "jetstream.limits.max_request_batch": WHOLE,
    "jetstream.limits.duplicate_window": SPAN,
    "cluster": MAP,
    "cluster.pool_size": WHOLE,
    "cluster.ping_interval": SPAN,
    "cluster.ping_max": WHOLE,
    # Text with a unit is refused by the server here, though its own format takes it: the file is JSON.
    **dict.fromkeys(("max_payload", "max_pending", "max_control_line"), WHOLE),
    **dict.fromkeys(("max_connections", "max_subscriptions", "max_subs", "ping_max"), WHOLE),
    **dict.fromkeys(("ping_interval", "write_deadline", "lame_duck_duration", "lame_duck_grace_period"), SPAN),
    **dict.fromkeys(("debug", "trace", "trace_verbose", "logtime", "no_fast_producer_stall"), TRUTH),
}

"""Keys of a NATS server's configuration that are not a scenario's to set (``server/opts.go``, 2.9 to 2.15)."""

from __future__ import annotations

from typing import Final

from harness.scenario.config_keys import ConfigKeys, ReservedKeys

CONFIG_KEYS: Final = ConfigKeys(
    ignores_case=True,
    # A quoted key of the server's format ends at the first quote, whatever stands before it.
    word=r'[^"\\\x00-\x1f\x7f]+',
    word_hint="without quotes, backslashes and line breaks",
    reserved=(
        ReservedKeys(
            is_="own",
            why="each node keeps its data in the run directory",
            patterns=("store_dir", "storedir", "jetstream.store", "jetstream.store_dir", "jetstream.storedir"),
        ),
        ReservedKeys(
            is_="own",
            why="the plan says where nodes listen, and what they are called",
            patterns=(
                "server_name",
                "listen",
                "host",
                "net",
                "port",
                "client_advertise",
                "http",
                "http_port",
                "monitor_port",
                "http_base_path",
                "https",
                "https_port",
                "proxy_protocol",
            ),
        ),
        ReservedKeys(
            is_="own",
            why="nodes reach each other through links, and in no other way",
            patterns=tuple(
                f"cluster.{key}"
                for key in (
                    "name",
                    "listen",
                    "host",
                    "net",
                    "port",
                    "routes",
                    "advertise",
                    "cluster_advertise",
                    "no_advertise",
                    "authorization",
                    "tls",
                    "tls.*",
                )
            ),
        ),
        ReservedKeys(
            is_="outside",
            why="the server writes a file there",
            patterns=("logfile", "log_file", "pidfile", "pid_file", "ports_file_dir", "ocsp_cache"),
        ),
        ReservedKeys(
            is_="outside",
            why="the server's log goes to this machine's, or to another one",
            patterns=("syslog", "remote_syslog"),
        ),
        ReservedKeys(
            is_="outside",
            why="the server listens or dials there, past every link",
            patterns=("gateway", "leaf", "leafnodes", "websocket", "ws", "mqtt", "prof_port"),
        ),
        ReservedKeys(
            is_="outside",
            why="the server reads files or asks addresses that it names",
            patterns=(
                "include",
                "tls",
                "ocsp",
                "operator",
                "operators",
                "root",
                "roots",
                "root_operator",
                "root_operators",
                "resolver",
                "account_resolver",
                "accounts_resolver",
                "resolver_tls",
                "jetstream.tpm",
            ),
        ),
    ),
)

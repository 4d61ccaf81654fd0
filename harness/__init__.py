"""Broker chaos harness: faults with evidence on real brokers, and a verdict that can be trusted."""

__version__ = "0.1.0"

"""Errors of the Kafka client library in words that stay the same from one occurrence to the next."""

from __future__ import annotations

import re

from confluent_kafka import KafkaError, KafkaException

_CHANGING = re.compile(r" \(after \d+ms.*?\)|, \d+ identical error\(s\) suppressed")


def error_text(error: KafkaError | KafkaException) -> str:
    """Return name and text without lengths of time, so that repeated errors collapse into one."""
    cause = error.args[0] if isinstance(error, KafkaException) else error
    return f"{cause.name()}: {_CHANGING.sub('', cause.str())}" if isinstance(cause, KafkaError) else str(cause)

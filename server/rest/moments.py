"""Times in answers: RFC 3339, UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp


def utc(timestamp: Timestamp) -> datetime:
    """The moment, with its zone."""
    return timestamp.ToDatetime(UTC)

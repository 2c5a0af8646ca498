"""Times in questions and answers: RFC 3339, in answers UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Query
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AwareDatetime

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

FromQuery = Annotated[
    AwareDatetime | None, Query(alias="from", description="Only what is of this time or later, RFC 3339.")
]
ToQuery = Annotated[
    AwareDatetime | None, Query(alias="to", description="Only what is of before this time, RFC 3339.")
]


def utc(timestamp: Timestamp) -> datetime:
    """The moment, with its zone."""
    return timestamp.ToDatetime(UTC)


def nanoseconds(moment: datetime) -> int:
    """Since the epoch, of a moment with its zone."""
    return (moment - _EPOCH) // _MICROSECOND * 1000

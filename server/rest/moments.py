"""Times in questions and answers: RFC 3339, in answers UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import Depends, Query
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import AwareDatetime

from server.errors import InvalidRangeError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

FromQuery = Annotated[
    AwareDatetime | None, Query(alias="from", description="Only what is of this time or later, RFC 3339.")
]
ToQuery = Annotated[
    AwareDatetime | None, Query(alias="to", description="Only what is of before this time, RFC 3339.")
]


@dataclass(frozen=True)
class Period:
    """From `since` on, before `until`; None has no end there."""

    since: datetime | None
    until: datetime | None


def _period(since: FromQuery = None, until: ToQuery = None) -> Period:
    """Raises InvalidRangeError."""
    if since is not None and until is not None and until <= since:
        raise InvalidRangeError
    return Period(since, until)


PeriodQuery = Annotated[Period, Depends(_period)]


def utc(timestamp: Timestamp) -> datetime:
    """The moment, with its zone."""
    return timestamp.ToDatetime(UTC)


def nanoseconds(moment: datetime) -> int:
    """Since the epoch, of a moment with its zone."""
    return (moment - _EPOCH) // _MICROSECOND * 1000

"""Moments between the store's nanoseconds and REST's datetimes, exact to the microsecond."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def nanoseconds(moment: datetime) -> int:
    """Since the epoch."""
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def moment(nanoseconds_: int) -> datetime:
    """UTC."""
    return _EPOCH + timedelta(microseconds=nanoseconds_ // 1000)

"""A part of an answer, where the client asks for one (RFC 9110, section 14)."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from fastapi import Request, Response

from server.errors import RangeNotSatisfiableError

ACCEPTED: Final = {"Accept-Ranges": "bytes"}
_ONE_RANGE: Final = re.compile(r"bytes\s*=\s*(\d{0,20})\s*-\s*(\d{0,20})\s*", re.IGNORECASE)


def asked_range(request: Request, length: int, tag: str) -> tuple[int, int] | None:
    """First and last byte that are asked for; None for all of them.

    All are given where `Range` cannot be read, names several ranges, or is of content other than that with `tag`
    (`If-Range`): a client has to put up with that.

    Raises:
        RangeNotSatisfiableError: nothing lies there.
    """
    match = _ONE_RANGE.fullmatch(request.headers.get("range", "").strip())
    if match is None or request.headers.get("if-range", tag) != tag:
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        start, end = max(0, length - int(last)), length - 1
    else:
        start, end = int(first), min(int(last), length - 1) if last else length - 1
        if last and int(last) < start:
            return None
    if start >= length or (not first and int(last) == 0):
        raise RangeNotSatisfiableError(length)
    return start, end


def part_of(response: Response, asked: tuple[int, int] | None) -> Response:
    """The part of a response that was asked for, as 206; all of it when that is None."""
    response.headers.update(ACCEPTED)
    if asked is None:
        return response
    first, last = asked
    whole = len(response.body)
    response.body = bytes(response.body[first : last + 1])
    response.status_code = HTTPStatus.PARTIAL_CONTENT
    response.headers["Content-Length"] = str(len(response.body))
    response.headers["Content-Range"] = f"bytes {first}-{last}/{whole}"
    return response

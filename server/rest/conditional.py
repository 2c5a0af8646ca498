"""Conditional answers (RFC 9110, section 13): what the client has already is not sent again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import Request, Response

from server.rest.byte_ranges import asked_range, part_of

CACHE_CONTROL = "private, no-cache"
"""Pictures of people stay out of shared caches, and each look asks the server again."""


def strong_tag(digest: str) -> str:
    """The entity tag of content with this digest."""
    return f'"{digest}"'


def is_current(request: Request, tag: str) -> bool:
    """Whether the client has said that it holds the content with this tag."""
    held = request.headers.get("if-none-match", "")
    return held.strip() == "*" or tag in (
        candidate.strip().removeprefix("W/") for candidate in held.split(",")
    )


def not_modified(tag: str, headers: Mapping[str, str] | None = None) -> Response:
    """304 for content with this tag."""
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={**tagged(tag), **(headers or {})})


def tagged(tag: str) -> dict[str, str]:
    """Headers of content with this tag."""
    return {"ETag": tag, "Cache-Control": CACHE_CONTROL}


def conditional(request: Request, content: bytes, *, media_type: str, headers: Mapping[str, str]) -> Response:
    """`content`, the part of it that is asked for, or 304 when the client has it.

    Raises:
        RangeNotSatisfiableError
    """
    tag = strong_tag(hashlib.sha256(content).hexdigest()[:32])
    if is_current(request, tag):
        return not_modified(tag)
    whole = Response(content, media_type=media_type, headers={**tagged(tag), **headers})
    return part_of(whole, asked_range(request, len(content), tag))

"""Choice of an image format by the Accept header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re
from typing import Final

from server.errors import NotAcceptableError
from server.views import ImageFormat

_SPECIFICITY: Final = {"exact": 2, "image/*": 1, "*/*": 0}
_QUALITY: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
"""A weight (RFC 9110, section 12.4.2)."""


def negotiate_format(accept: str | None) -> ImageFormat:
    """The format that `accept` likes best; among equals the one that is fastest to make. AVIF has to be named.

    Raises:
        NotAcceptableError: it likes none.
    """
    if not accept:
        return ImageFormat.JPEG
    best = max(ImageFormat, key=lambda image_format: _quality(image_format, accept))
    if _quality(best, accept) <= 0:
        raise NotAcceptableError(accept, tuple(image_format.media_type for image_format in ImageFormat))
    return best


def _quality(image_format: ImageFormat, accept: str) -> float:
    """Quality value of the most specific range that matches."""
    media_type = image_format.media_type
    quality, specificity = 0.0, _SPECIFICITY["image/*"] if image_format is ImageFormat.AVIF else -1
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        matches = "exact" if name == media_type else name
        if _SPECIFICITY.get(matches, -1) > specificity:
            quality, specificity = _q_value(parameters), _SPECIFICITY[matches]
    return quality


def _q_value(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
    return 1.0

"""One line of text as people type it: what pages, logs and files can show."""

from __future__ import annotations

import unicodedata
from typing import Final

_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters, invisible ones, halves of surrogate pairs, ends of lines."""


def is_plain(text: str) -> bool:
    """Whether all of it can be printed, on one line."""
    return not any(unicodedata.category(character) in _UNPRINTABLE for character in text)


def plain_text(text: str) -> str:
    """`text`, for pydantic's `AfterValidator`.

    Raises:
        ValueError: it is no line of text.
    """
    if not is_plain(text):
        raise ValueError("has to be one line of text, without control characters")
    return text


def plain_name(text: str) -> str:
    """`text`, likewise, which has to be something that can be read.

    Raises:
        ValueError: it is not.
    """
    if not text.strip():
        raise ValueError("has to be more than spaces")
    return plain_text(text)

"""API keys and camera tokens: 256 random bits behind a prefix that names them.

They are kept as their SHA-256. A slow hash would add nothing: there is no guessing among 2^256.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_SECRET_BYTES: Final = 32
_FORM: Final = re.compile(r"(ssu|ssc)_[0-9a-f]{8}_[A-Za-z0-9_-]{43}")
_PREFIX_LENGTH: Final = len("ssu_00000000")


class Kind(StrEnum):
    """Whose credential it is."""

    USER_KEY = "ssu"
    CAMERA_TOKEN = "ssc"


@dataclass(frozen=True)
class Issued:
    """A new credential. `text` is told to its owner once and kept nowhere."""

    text: str
    prefix: str
    hash: str


def issue(kind: Kind) -> Issued:
    """A credential that nobody had before."""
    text = f"{kind}_{secrets.token_hex(4)}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return Issued(text, text[:_PREFIX_LENGTH], hash_of(text))


def prefix_of(text: str, kind: Kind) -> str | None:
    """The visible part of a credential; None for what is no credential of this kind."""
    if not _FORM.fullmatch(text) or not text.startswith(f"{kind}_"):
        return None
    return text[:_PREFIX_LENGTH]


def hash_of(text: str) -> str:
    """What is kept of it."""
    return hashlib.sha256(text.encode()).hexdigest()


def matches(text: str, kept: str) -> bool:
    """Whether it is the credential that was kept so, in a time that does not depend on where they differ."""
    return hmac.compare_digest(hash_of(text), kept)

"""Where a stream of results over many cameras has come to, as one opaque word that a client gives back.

The word has a version, the task, and for each camera a hash of its name and the id of its last result, as varints:
about ten bytes a camera. It is no secret and no proof: whoever changes it gets other results of cameras that they see.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Final

from secondsight import store_keys

LONGEST: Final = 3800
"""Characters. A client sends it in a header or in an address, which are bounded."""
_VERSION: Final = b"\x01"
_TASK_BYTES: Final = 4
_NAME_BYTES: Final = 6


class InvalidResumeTokenError(ValueError):
    """A word that no stream of this task has given."""


class ResumeToken:
    """The positions of one stream's cameras, each written anew only when it changes."""

    def __init__(self, task: str, positions: Mapping[str, str]) -> None:
        self._head = _VERSION + _hash(task, _TASK_BYTES)
        self._parts = {camera_id: _part(camera_id, position) for camera_id, position in positions.items()}

    def move(self, camera_id: str, position: str) -> None:
        """The stream has given all of a camera's results up to this one."""
        self._parts[camera_id] = _part(camera_id, position)

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(self._head + b"".join(self._parts.values())).decode().rstrip("=")


def positions_in(token: str, task: str, cameras: Iterable[str]) -> dict[str, str]:
    """Positions of those of `cameras` that the token has.

    Raises:
        InvalidResumeTokenError
    """
    head = _VERSION + _hash(task, _TASK_BYTES)
    try:
        content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidResumeTokenError from error
    if not content.startswith(head):
        raise InvalidResumeTokenError
    found: dict[bytes, str] = {}
    at = len(head)
    while at < len(content):
        name, at = content[at : at + _NAME_BYTES], at + _NAME_BYTES
        session, at = _varint(content, at)
        sequence, at = _varint(content, at)
        found[name] = store_keys.entry_id(session, sequence)
    named = ((camera_id, _hash(camera_id, _NAME_BYTES)) for camera_id in cameras)
    return {camera_id: found[name] for camera_id, name in named if name in found}


def _hash(name: str, length: int) -> bytes:
    return blake2b(name.encode(), digest_size=length).digest()


def _part(camera_id: str, position: str) -> bytes:
    written = bytearray(_hash(camera_id, _NAME_BYTES))
    for number in store_keys.parse_entry_id(position):
        while number > 0x7F:
            written.append(number & 0x7F | 0x80)
            number >>= 7
        written.append(number)
    return bytes(written)


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """A number, and where the next one begins."""
    number = shift = 0
    while True:
        if at >= len(content) or shift > 63:
            raise InvalidResumeTokenError
        number |= (content[at] & 0x7F) << shift
        shift += 7
        at += 1
        if content[at - 1] < 0x80:
            break
    if number >= 2**64:
        raise InvalidResumeTokenError
    return number, at

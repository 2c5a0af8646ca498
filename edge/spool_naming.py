"""A small file that keeps the names of a camera's frames apart over crashes, power cuts and full disks."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Final

from edge.naming import Naming, SessionStart

_MAGIC: Final = b"SSNAMES1"
_HEAD: Final = struct.Struct("<8sQQQQ")
_START: Final = struct.Struct("<QQq")
_CHECKSUM: Final = struct.Struct("<I")
_SLOT: Final = 4096


class NamingFile:
    """Holds a `Naming` in two slots that are written in turn, each with a checksum, so that one of them is whole.

    The slots have their place on the disk from the first day: to write them needs no room. Every write is on the disk
    when it returns.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError when the file cannot be opened or made."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._turn = 0
        try:
            if os.fstat(self._file).st_size < 2 * _SLOT:
                os.pwrite(self._file, bytes(2 * _SLOT), 0)
                os.fsync(self._file)
                _sync_entry(path)
        except OSError:
            os.close(self._file)
            raise

    def read(self) -> Naming | None:
        """What was written last; None when neither slot is whole. Raises OSError."""
        newest: Naming | None = None
        for place in (0, 1):
            turn, naming = _unpacked(os.pread(self._file, _SLOT, place * _SLOT))
            if naming is not None and turn >= self._turn:
                self._turn, newest = turn, naming
        return newest

    def write(self, naming: Naming, reserved: int) -> None:
        """Keep `naming`, with `reserved` as the highest number issued. Raises OSError."""
        turn = self._turn + 1
        os.pwrite(self._file, _packed(naming, reserved, turn), turn % 2 * _SLOT)
        os.fsync(self._file)
        self._turn = turn

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _sync_entry(path: Path) -> None:
    """Have the folder know the file after a power cut."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _packed(naming: Naming, reserved: int, turn: int) -> bytes:
    slot = _HEAD.pack(_MAGIC, turn, reserved, naming.session, len(naming.sessions))
    slot += b"".join(_START.pack(start.session, start.first, start.offset) for start in naming.sessions)
    return slot + _CHECKSUM.pack(zlib.crc32(slot))


def _unpacked(slot: bytes) -> tuple[int, Naming | None]:
    """Its turn and what it holds; None when it is not whole."""
    nothing = 0, None
    if len(slot) < _HEAD.size:
        return nothing
    magic, turn, issued, session, count = _HEAD.unpack_from(slot)
    end = _HEAD.size + count * _START.size
    if magic != _MAGIC or end + _CHECKSUM.size > len(slot):
        return nothing
    if _CHECKSUM.unpack_from(slot, end) != (zlib.crc32(slot[:end]),):
        return nothing
    starts = (_START.unpack_from(slot, _HEAD.size + index * _START.size) for index in range(count))
    naming = Naming(tuple(SessionStart(*start) for start in starts), issued)
    naming.session = session
    return turn, naming

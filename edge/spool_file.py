"""The frames of a spool in one SQLite file. For one thread."""

from __future__ import annotations

import logging
import sqlite3
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

from edge.frame import EncodedFrame
from edge.home import NOTHING, Evicted, Kept, Released

_LOG = logging.getLogger(__name__)

_FORMAT: Final = 1
_PAGE: Final = 4096
_ROW_BYTES: Final = 256
"""Of a frame beside its layers."""
_BUSY_S: Final = 2.0
_BATCH: Final = 256

# The columns beside the layers are a table of their own, so that it costs little to count and to choose frames.
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS frame(
    number INTEGER PRIMARY KEY, key INTEGER NOT NULL, kept_at REAL NOT NULL, bytes INTEGER NOT NULL,
    captured_at_ns INTEGER NOT NULL, pts_us INTEGER NOT NULL, encode_us INTEGER NOT NULL, slices INTEGER NOT NULL,
    changed REAL NOT NULL, checksum INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS frame_key ON frame(key);
CREATE TABLE IF NOT EXISTS layers(number INTEGER PRIMARY KEY, machine BLOB NOT NULL, enhancement BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS beat(number INTEGER NOT NULL);
PRAGMA user_version = {_FORMAT};
"""
_READ: Final = """
SELECT number, key, kept_at, captured_at_ns, pts_us, encode_us, slices, changed, checksum, machine, enhancement
FROM frame JOIN layers USING (number)
"""

DamagedError = sqlite3.DatabaseError
"""What sqlite3 raises; an OperationalError among these is about the disk, any other about the file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A frame and the time at which it was kept, seconds."""

    kept: Kept
    kept_at: float

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        layers = len(self.kept.frame.machine) + len(self.kept.frame.enhancement)
        return -(-(layers + _ROW_BYTES) // _PAGE) * _PAGE


@dataclass(frozen=True, slots=True)
class Given:
    """Frames that were given up, and among them those that went because their key frame did."""

    evicted: Evicted
    orphans: int


class SpoolFile:
    """Frames by number. What a method has done outlives the process when it returns; `flush` makes it outlive power.

    Every method raises sqlite3.Error when the disk or the file fails; nothing of it is done then.

    Attributes:
        frames, bytes: how many are in it, and what they take.
    """

    def __init__(self, path: Path, every_frame: bool) -> None:
        """Opens or makes the file. `every_frame`: nothing needs to be flushed."""
        self._every_frame = every_frame
        self._unflushed = False
        self.frames = self.bytes = 0
        self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        try:
            self._set_up(path)
            self._count()
        except sqlite3.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close it; also after an error."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def put(self, entries: Iterable[Entry]) -> None:
        """Keep frames."""
        with self._transaction() as connection:
            for entry in entries:
                self._insert(connection, entry)

    def put_within(self, entry: Entry, limit_bytes: int, sent_through: int) -> Given:
        """Keep a frame; older ones after `sent_through` go until all take at most `limit_bytes` or none is left.

        The frame itself goes only with its key frame.
        """
        with self._transaction() as connection:
            self._insert(connection, entry)
            numbers: set[int] = set()
            keys: set[int] = set()
            orphans = 0
            while self.bytes > limit_bytes:
                oldest = connection.execute(
                    "SELECT number, key FROM frame WHERE number > ? AND number < ? ORDER BY number LIMIT 1",
                    (sent_through, entry.kept.number),
                ).fetchone()
                if oldest is None:
                    break
                given = self._give(connection, [oldest], sent_through)
                numbers |= given.evicted.numbers
                keys |= given.evicted.keys
                orphans += given.orphans
        return Given(Evicted(frozenset(numbers), frozenset(keys)), orphans)

    def give_up_before(self, kept_at: float, sent_through: int) -> Given:
        """Let some frames after `sent_through` go that were kept before that time, and what is predicted from them."""
        # In the order of their numbers, so that the index does and a look that finds nothing is cheap.
        oldest = self._connection.execute(
            "SELECT number, key, kept_at FROM frame WHERE number > ? ORDER BY number LIMIT ?",
            (sent_through, _BATCH),
        )
        old = [(number, key) for number, key, _ in takewhile(lambda row: row[2] < kept_at, oldest)]
        if not old:
            return Given(NOTHING, 0)
        with self._transaction() as connection:
            return self._give(connection, old, sent_through)

    def after(self, number: int, count: int) -> tuple[list[Entry], list[Kept]]:
        """The first `count` frames after `number`, and those before the last of them that are damaged, empty."""
        rows = self._connection.execute(
            f"{_READ} WHERE number > ? ORDER BY number LIMIT ?", (number, count)
        ).fetchall()
        entries, damaged = [], []
        for row in rows:
            entry = _entry(row)
            if entry is None:
                damaged.append(Kept(row[0], row[1], _EMPTY))
            else:
                entries.append(entry)
        return entries, damaged

    def oldest(self) -> tuple[int, float] | None:
        """Number and time of the frame that has waited longest."""
        row = self._connection.execute("SELECT number, kept_at FROM frame ORDER BY number LIMIT 1").fetchone()
        return None if row is None else (int(row[0]), float(row[1]))

    def newest(self) -> tuple[int, float] | None:
        """Number and time of the frame that came last."""
        row = self._connection.execute(
            "SELECT number, kept_at FROM frame ORDER BY number DESC LIMIT 1"
        ).fetchone()
        return None if row is None else (int(row[0]), float(row[1]))

    def release(self, through: int) -> Released:
        """Let go of all frames up to number `through`."""
        with self._transaction() as connection:
            return self._delete(connection, "number <= ?", (through,))

    def drop(self, numbers: Iterable[int]) -> int:
        """Let go of frames; returns how many there were."""
        with self._transaction() as connection:
            return sum(self._delete(connection, "number = ?", (number,)).count for number in numbers)

    def drop_group(self, key: int, after: int) -> int:
        """Let go of the frames after number `after` that are predicted from `key`; returns how many there were."""
        with self._transaction() as connection:
            return self._delete(connection, _OF_GROUP, (key, key, after)).count

    def flush(self) -> None:
        """Have the disk write what was done so far."""
        if self._every_frame or not self._unflushed:
            return
        self._connection.execute("PRAGMA synchronous = FULL")
        try:
            with self._transaction() as connection:
                connection.execute("UPDATE beat SET number = number + 1")
        finally:
            self._connection.execute("PRAGMA synchronous = NORMAL")
        self._unflushed = False

    def make_room(self) -> None:
        """Bring the log of changes into the file, so that its room can be used again."""
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """The one way to write: all of it or nothing."""
        connection = self._connection
        before, changes = (self.frames, self.bytes), connection.total_changes
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            self.frames, self.bytes = before
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        self._unflushed |= connection.total_changes > changes

    def _set_up(self, path: Path) -> None:
        connection = self._connection
        # There is no other user: the spool's folder is locked.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if self._every_frame else 'NORMAL'}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _FORMAT):
            raise DamagedError(f"{path} has format {version}, this release knows {_FORMAT}")
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} INSERT INTO beat VALUES (0); COMMIT;")

    def _count(self) -> None:
        row = self._connection.execute("SELECT count(*), coalesce(sum(bytes), 0) FROM frame").fetchone()
        self.frames, self.bytes = int(row[0]), int(row[1])

    def _insert(self, connection: sqlite3.Connection, entry: Entry) -> None:
        kept, frame = entry.kept, entry.kept.frame
        connection.execute(
            "INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                kept.number,
                kept.key,
                entry.kept_at,
                entry.bytes,
                frame.captured_at_ns,
                frame.pts_us,
                frame.encode_us,
                frame.slices,
                frame.changed,
                _checksum(kept),
            ),
        )
        connection.execute(
            "INSERT INTO layers VALUES (?, ?, ?)", (kept.number, frame.machine, frame.enhancement)
        )
        self.frames += 1
        self.bytes += entry.bytes

    def _give(
        self, connection: sqlite3.Connection, frames: list[tuple[int, int]], sent_through: int
    ) -> Given:
        """Let frames go, each given as number and key, and those predicted from them."""
        numbers = {number for number, _ in frames}
        keys = frozenset(number for number, key in frames if number == key)
        orphans: set[int] = set()
        for key in keys:
            rows = connection.execute(
                f"SELECT number FROM frame WHERE {_OF_GROUP}", (key, key, sent_through)
            ).fetchall()
            orphans |= {number for (number,) in rows} - numbers
            self._delete(connection, _OF_GROUP, (key, key, sent_through))
        for number in numbers:
            self._delete(connection, "number = ?", (number,))
        return Given(Evicted(frozenset(numbers | orphans), keys), len(orphans))

    def _delete(self, connection: sqlite3.Connection, which: str, values: tuple[int, ...]) -> Released:
        count, size, last = connection.execute(
            f"SELECT count(*), coalesce(sum(bytes), 0), coalesce(max(number), 0) FROM frame WHERE {which}",
            values,
        ).fetchone()
        if count:
            connection.execute(
                f"DELETE FROM layers WHERE number IN (SELECT number FROM frame WHERE {which})", values
            )
            connection.execute(f"DELETE FROM frame WHERE {which}", values)
            self.frames -= count
            self.bytes -= size
        return Released(count, last)


def repaired(path: Path, every_frame: bool, problem: str) -> tuple[SpoolFile, int]:
    """Put a damaged file aside, begin a new one, and bring over what can be read.

    Returns:
        The new file, and how many frames of the damaged one are known to be lost.

    Raises:
        sqlite3.Error, OSError: no new file can be begun.
    """
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    # One is enough to look into, and two more would fill the disk.
    for older in path.parent.glob(f"{path.name}.damaged-*"):
        older.unlink()
    for suffix in ("", "-wal"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    path.with_name(f"{path.name}-shm").unlink(missing_ok=True)
    try:
        file = SpoolFile(path, every_frame)
    except sqlite3.Error:
        _LOG.error(
            "the spool %s was damaged (%s); it is kept as %s, and its frames are not sent",
            path,
            problem,
            aside,
        )
        raise
    saved = lost = 0
    try:
        with closing(sqlite3.connect(aside, timeout=_BUSY_S, isolation_level=None)) as damaged:
            found = _numbers(damaged)
            for start in range(0, len(found), _BATCH):
                numbers = found[start : start + _BATCH]
                entries = [entry for number in numbers if (entry := _salvaged(damaged, number))]
                file.put(entries)
                saved += len(entries)
                lost += len(numbers) - len(entries)
    except sqlite3.Error as error:
        problem = f"{problem}; {error}"
    _LOG.error(
        "the spool %s was damaged (%s): %d frames were saved from it, at least %d are lost; what is left of it is kept "
        "as %s and may be deleted",
        path,
        problem,
        saved,
        lost,
        aside,
    )
    return file, lost


def _numbers(damaged: sqlite3.Connection) -> list[int]:
    """Of all frames that can be found, from both ends towards what cannot be read."""
    found: set[int] = set()
    for table in ("layers", "frame"):
        for order in ("ASC", "DESC"):
            with suppress(sqlite3.Error):
                for (number,) in damaged.execute(f"SELECT number FROM {table} ORDER BY number {order}"):
                    found.add(int(number))
    return sorted(found)


def _salvaged(damaged: sqlite3.Connection, number: int) -> Entry | None:
    try:
        row = damaged.execute(f"{_READ} WHERE number = ?", (number,)).fetchone()
        return None if row is None else _entry(row)
    except (sqlite3.Error, TypeError, ValueError):
        return None


def _entry(row: tuple[int, int, float, int, int, int, int, float, int, bytes, bytes]) -> Entry | None:
    """The frame of a row; None when its layers are not what was put in."""
    (
        number,
        key,
        kept_at,
        captured_at_ns,
        pts_us,
        encode_us,
        slices,
        changed,
        checksum,
        machine,
        enhancement,
    ) = row
    frame = EncodedFrame(
        machine=machine,
        enhancement=enhancement,
        slices=slices,
        captured_at_ns=captured_at_ns,
        pts_us=pts_us,
        encode_us=encode_us,
        turn=number,
        key=key,
        changed=changed,
    )
    kept = Kept(number, key, frame)
    return Entry(kept, kept_at) if checksum == _checksum(kept) else None


def _checksum(kept: Kept) -> int:
    frame = kept.frame
    head = f"{kept.number} {kept.key} {frame.captured_at_ns} {frame.pts_us}".encode()
    return zlib.crc32(frame.enhancement, zlib.crc32(frame.machine, zlib.crc32(head)))


_OF_GROUP: Final = "key = ? AND number <> ? AND number > ?"
_EMPTY: Final = EncodedFrame(b"", b"", 0, 0, 0, 0, 0, 0, 0.0)

"""Frames that wait on disk, so that neither a killed edge nor a restarted machine loses them."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

from edge.config import SpoolConfig
from edge.errors import SpoolError, SpoolInUseError
from edge.home import NOTHING, Evicted, Kept, Released
from edge.metrics import DropReason, SpoolReport, Tally
from edge.naming import Naming
from edge.spool_file import Entry, Given, SpoolFile, repaired
from edge.spool_naming import NamingFile

_LOG = logging.getLogger(__name__)

_T = TypeVar("_T")

_RESERVED: Final = 1024
"""Numbers that are reserved at a time. A process that was killed leaves a gap of as many at most."""
_FRAMES: Final = "frames.db"
_NOT_DONE: Final = -1
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG})


class Spool:
    """One camera's frames on disk, up to a limit in bytes and in age. A `Home`, see there.

    All work on the disk is done in one thread. What the disk does not take waits in memory behind what it has, and goes
    to the disk as soon as that works again; the two never change places. A damaged file is put aside and replaced by
    what can be read of it.

    Args:
        complete: a full spool gives up nothing for newer frames.
        max_age_s: for so long a frame may wait; None has no limit.
        monotonic: a clock in seconds that goes on evenly.
        wall: one that tells for how long the machine was off, as far as it can.
    """

    def __init__(
        self,
        config: SpoolConfig,
        camera_id: str,
        complete: bool,
        max_age_s: float | None,
        tally: Tally,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._folder = config.folder / camera_id
        self._complete = complete
        self._max_age_s = max_age_s
        self._tally = tally
        self._monotonic = monotonic
        self._wall = wall
        self._ahead = wall() - monotonic()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"spool-{camera_id}")
        self._lock: int | None = None
        self._file: SpoolFile | None = None
        self._naming_file: NamingFile | None = None
        self._reserved = 0
        self._memory: dict[int, Entry] = {}
        self._problem: str | None = None
        self._damage: str | None = None
        self._retry_at = 0.0
        self._released_through = 0
        self._dropped: set[int] = set()
        self._groups: set[tuple[int, int]] = set()
        self._largest = 0
        self._oldest_at: float | None = None
        self._late = False
        self.naming = Naming()
        self.readable = True

    @property
    def frames(self) -> int:
        return len(self._memory) + (0 if self._file is None else self._file.frames)

    @property
    def in_memory(self) -> int:
        return len(self._memory)

    async def open(self) -> None:
        """Find what an earlier process has left.

        Raises:
            SpoolInUseError: another process has the folder.
            SpoolError: this user may not write there.
        """
        try:
            await self._in_thread(self._open)
        except SpoolError:
            await self._leave()
            raise
        except (sqlite3.Error, OSError) as error:
            if isinstance(error, OSError) and error.errno in _FORBIDDEN:
                await self._leave()
                raise SpoolError(
                    f"the spool in {self._folder} cannot be used: give a folder that this user may write ({error})"
                ) from error
            self._fail(error)
            self._late = True
            return
        if waiting := self.frames:
            _LOG.info("%d frames are left in the spool %s", waiting, self._folder)

    async def close(self) -> None:
        """Leave the folder to the next process."""
        await self._in_thread(self._save_exactly)
        await self._leave()

    async def put(self, kept: Kept, sent_through: int) -> Evicted:
        entry = Entry(kept, self._now())
        if entry.bytes > self._config.max_bytes >= self._largest:
            _LOG.warning(
                "a frame of %d bytes is larger than the spool %s may be: only one at a time waits in it; raise its "
                "limit of %d bytes (max_bytes)",
                entry.bytes,
                self._folder,
                self._config.max_bytes,
            )
        self._largest = max(self._largest, entry.bytes)
        if self._problem is not None and self._monotonic() >= self._retry_at:
            await self._recover()
        if self._problem is None:
            try:
                return self._count_evicted(
                    await self._in_thread(lambda: self._put(entry, sent_through)), DropReason.SPOOL_FULL
                )
            except (sqlite3.Error, OSError) as error:
                self._fail(error)
        self._memory[kept.number] = entry
        return NOTHING

    async def after(self, number: int, count: int) -> list[Kept]:
        if not self.readable:
            return []
        entries: list[Entry] = []
        if self._file is not None and self._file.frames:
            try:
                entries, damaged = await self._in_thread(lambda: self._opened.after(number, count))
            except (sqlite3.Error, OSError) as error:
                self._fail(error)
                # What is in memory is newer, and would close the way for what is on the disk.
                self.readable = False
                return []
            room = count - len(entries) - len(damaged)
            for lost in damaged:
                await self._lose_damaged(lost)
                entries = [entry for entry in entries if entry.kept.key != lost.number]
            if room == 0:
                return [entry.kept for entry in entries]
        waiting = [entry for entry in self._memory.values() if entry.kept.number > number]
        return [entry.kept for entry in (*entries, *waiting)][:count]

    async def oldest(self) -> int | None:
        on_disk: tuple[int, float] | None = None
        if self._file is not None:
            try:
                on_disk = await self._in_thread(lambda: self._opened.oldest())
            except (sqlite3.Error, OSError) as error:
                self._fail(error)
        return next(iter(self._memory), None) if on_disk is None else on_disk[0]

    async def release(self, through: int) -> Released:
        self._released_through = max(self._released_through, through)
        released = await self._let_go(lambda file: file.release(through), Released(0, 0))
        numbers = [number for number in self._memory if number <= through]
        for number in numbers:
            del self._memory[number]
        return Released(released.count + len(numbers), max([released.last, *numbers]))

    async def drop(self, number: int) -> None:
        if self._memory.pop(number, None) is None:
            self._dropped.add(number)
            if await self._let_go(lambda file: file.drop([number]), _NOT_DONE) != _NOT_DONE:
                self._dropped.discard(number)

    async def drop_group(self, key: int, after: int) -> int:
        self._groups.add((key, after))
        dropped = await self._let_go(lambda file: file.drop_group(key, after), _NOT_DONE)
        if dropped != _NOT_DONE:
            self._groups.discard((key, after))
        numbers = [
            number
            for number, entry in self._memory.items()
            if entry.kept.predicted and entry.kept.key == key and number > after
        ]
        for number in numbers:
            del self._memory[number]
        return max(0, dropped) + len(numbers)

    async def save_naming(self) -> None:
        try:
            await self._in_thread(self._save_naming)
        except OSError as error:
            self._fail(error)

    async def tend(self, sent_through: int) -> Evicted:
        """Try a disk again that failed, flush what may not wait longer, give up what has waited too long."""
        if self._problem is not None:
            if self._monotonic() >= self._retry_at:
                await self._recover()
            return NOTHING
        try:
            if self._config.sync == "second":
                await self._in_thread(lambda: self._opened.flush())
            given = None
            if self._max_age_s is not None:
                limit = self._now() - self._max_age_s
                given = await self._in_thread(lambda: self._opened.give_up_before(limit, sent_through))
            oldest = await self._in_thread(lambda: self._opened.oldest())
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            return NOTHING
        self._oldest_at = None if oldest is None else oldest[1]
        return NOTHING if given is None else self._count_evicted(given, DropReason.SPOOL_AGE)

    def has_room(self, frames: int) -> bool:
        if self._file is None:
            return True
        if frames == 1 and self._file.frames == 0:
            # Or a frame that is larger than the spool would never be taken.
            return True
        needed: int = frames * self._largest
        return self._file.bytes + needed <= self._config.max_bytes

    def report(self) -> SpoolReport:
        in_memory = sum(entry.bytes for entry in self._memory.values())
        return SpoolReport(
            frames=self.frames,
            bytes=in_memory + (0 if self._file is None else self._file.bytes),
            limit_bytes=self._config.max_bytes,
            oldest_s=None if self._oldest_at is None else max(0.0, self._now() - self._oldest_at),
            full=not self.has_room(1),
            failing=self._problem is not None,
            in_memory=self.in_memory,
        )

    @property
    def _opened(self) -> SpoolFile:
        assert self._file is not None
        return self._file

    def _now(self) -> float:
        """Seconds since the epoch by the clock that showed them when the spool was opened, however it is set since.

        Never before the time at which the newest frame was kept: a machine without a battery wakes up in the past.
        """
        return self._monotonic() + self._ahead

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _leave(self) -> None:
        """Leave the folder as it is."""
        await self._in_thread(self._close)
        self._thread.shutdown()

    async def _let_go(self, work: Callable[[SpoolFile], _T], otherwise: _T) -> _T:
        """Let go of frames on the disk, or remember to do so when it works again."""
        if self._file is None:
            return otherwise
        try:
            return await self._in_thread(lambda: work(self._opened))
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            return otherwise

    async def _lose_damaged(self, lost: Kept) -> None:
        await self.drop(lost.number)
        self._tally.drop(DropReason.SPOOL_DAMAGED)
        _LOG.error("frame %d in the spool %s is damaged and lost", lost.number, self._folder)
        if not lost.predicted:
            self._tally.drop(DropReason.KEY_LOST, await self.drop_group(lost.number, lost.number))

    def _count_evicted(self, given: Given, reason: str) -> Evicted:
        count = len(given.evicted.numbers)
        self._tally.drop(reason, count - given.orphans)
        self._tally.drop(DropReason.KEY_LOST, given.orphans)
        return given.evicted

    def _fail(self, error: Exception) -> None:
        if self._problem is None:
            _LOG.error(
                "the spool %s fails, frames wait in memory and a restart would lose them: %s",
                self._folder,
                error,
            )
            self._retry_later()
        self._problem = str(error)
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self._damage = str(error)

    def _retry_later(self) -> None:
        # By attempts to recover alone: frames that are let go of meanwhile may fail as often as they like.
        self._retry_at = self._monotonic() + self._config.retry_s

    async def _recover(self) -> None:
        try:
            lost = await self._in_thread(self._begin_again)
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            self._retry_later()
            return
        self._tally.drop(DropReason.SPOOL_DAMAGED, lost)
        self._memory.clear()
        self._released_through = 0
        self._dropped.clear()
        self._groups.clear()
        self._problem = None
        self.readable = True
        _LOG.warning("the spool %s works again, %d frames are in it", self._folder, self.frames)

    def _open(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = _locked(self._folder)
        if self._naming_file is None:
            self._naming_file = self._read_naming(NamingFile(self._folder / "names"))
        if self._file is None:
            self._open_file()
            self._stand_back_if_late()
        newest = self._opened.newest()
        if newest is not None:
            number, kept_at = newest
            self._ahead = max(self._ahead, kept_at - self._monotonic())
            self.naming.issued = max(self.naming.issued, number)
            oldest = self._opened.oldest()
            self._oldest_at = None if oldest is None else oldest[1]

    def _open_file(self) -> None:
        path, every_frame = self._folder / _FRAMES, self._config.sync == "frame"
        try:
            self._file = SpoolFile(path, every_frame)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            self._file, lost = repaired(path, every_frame, str(error))
            self._tally.inherited += lost
            self._tally.drop(DropReason.SPOOL_DAMAGED, lost)

    def _stand_back_if_late(self) -> None:
        """Leave frames that were not to be had at the start to the next process: newer ones may be sent by now."""
        if self._late and self._opened.frames:
            waiting = self._opened.frames
            self._opened.close()
            self._file = None
            raise OSError(
                errno.EBUSY,
                f"{waiting} frames came back late and are sent after the next start",
                str(self._folder),
            )
        self._late = True

    def _read_naming(self, file: NamingFile) -> NamingFile:
        """Take up the naming that was kept, in place of one that is in use only if nothing was named with that.

        Returns the file, which is closed if it cannot be read: it must not be written then.
        """
        try:
            kept = file.read()
        except OSError:
            file.close()
            raise
        if kept is None:
            return file
        if self.naming.sessions:
            self.naming.issued = max(self.naming.issued, kept.issued)
        else:
            kept.issued = max(self.naming.issued, kept.issued)
            self.naming = kept
        self._reserved = kept.issued
        return file

    def _begin_again(self) -> int:
        """Make up for what the disk did not take; returns how many frames a damaged file has lost.

        A disk without room is still read from, so its file stays open.
        """
        if self._file is not None and self._damage is None:
            try:
                self._opened.make_room()
                self._catch_up()
                return 0
            except sqlite3.OperationalError as error:
                if not self._gave_room_back() and error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                    raise
        lost = 0
        if self._file is not None:
            before, damage = self._file.frames, self._damage
            self._file.close()
            self._file, self._damage = None, None
            # If it cannot be opened, frames that came later are sent without those in it.
            self._late, self.readable = True, True
            path, every_frame = self._folder / _FRAMES, self._config.sync == "frame"
            if damage is None:
                self._file = SpoolFile(path, every_frame)
            else:
                self._file, _ = repaired(path, every_frame, damage)
                lost = max(0, before - self._file.frames)
        self._open()
        self._catch_up()
        return lost

    def _gave_room_back(self) -> bool:
        """Delete the file if no frame in it waits any more: to let go of frames takes room, too."""
        newest = self._opened.newest()
        if newest is not None and newest[0] > self._released_through:
            return False
        self._opened.close()
        self._file = None
        for suffix in ("", "-wal"):
            (self._folder / f"{_FRAMES}{suffix}").unlink(missing_ok=True)
        return True

    def _catch_up(self) -> None:
        """Let go on the disk of what was let go of, and bring over what is in memory."""
        file = self._opened
        file.release(self._released_through)
        file.drop(self._dropped)
        for key, after in self._groups:
            file.drop_group(key, after)
        self._reserve()
        file.put(self._memory.values())

    def _put(self, entry: Entry, sent_through: int) -> Given:
        self._reserve()
        file = self._opened
        if self._complete:
            file.put([entry])
            return _GIVEN_NOTHING
        return file.put_within(entry, self._config.max_bytes, sent_through)

    def _reserve(self) -> None:
        """Make sure that no later process issues the numbers that this one has."""
        if self.naming.issued > self._reserved:
            self._save_naming()

    def _save_naming(self) -> None:
        if self._naming_file is None:
            raise OSError(errno.EIO, "there is no file for names", str(self._folder))
        reserved = self.naming.issued + _RESERVED
        self._naming_file.write(self.naming, reserved)
        self._reserved = reserved

    def _save_exactly(self) -> None:
        """Have the next process leave no gap in the numbers."""
        if self._naming_file is not None:
            with suppress(OSError):
                self._naming_file.write(self.naming, self.naming.issued)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._naming_file is not None:
            self._naming_file.close()
            self._naming_file = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(folder: Path) -> int:
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(file)
        raise SpoolInUseError(
            f"another edge uses the spool {folder}: stop it, or give this one another folder or another camera name"
        ) from error
    except OSError:
        os.close(file)
        raise
    return file


_GIVEN_NOTHING: Final = Given(NOTHING, 0)

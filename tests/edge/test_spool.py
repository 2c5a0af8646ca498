from __future__ import annotations

import asyncio
import errno
import logging
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.errors import SpoolError, SpoolInUseError
from edge.frame import EncodedFrame
from edge.metrics import DropReason, KeyCause
from edge.spool_naming import NamingFile
from tests.edge.conftest import Frames
from tests.edge.spooling_edge import Clock, Edge

PAGE = 4096


@asynccontextmanager
async def edge(folder: Path, killed: bool = False, **options: Any) -> AsyncIterator[Edge]:
    process = Edge(folder, **options)
    await process.pending.open()
    try:
        yield process
    finally:
        await (process.kill() if killed else process.pending.close())


@pytest.fixture
def frames() -> Frames:
    return Frames()


def large(frame: EncodedFrame, pages: int = 9) -> EncodedFrame:
    """The same with layers of so many pages."""
    return EncodedFrame(
        frame.machine,
        bytes(pages * PAGE - 300),
        frame.slices,
        frame.captured_at_ns,
        frame.pts_us,
        frame.encode_us,
        frame.turn,
        frame.key,
        frame.changed,
    )


@pytest.mark.parametrize("killed", [False, True])
async def test_what_waits_is_there_after_a_restart_with_both_layers_and_all_that_is_known_of_it(
    tmp_path: Path, frames: Frames, killed: bool
) -> None:
    key = frames.key("K")
    async with edge(tmp_path, killed) as first:
        for frame in (key, frames.predicted("p", key), frames.key("L")):
            await first.pending.add(frame)
    async with edge(tmp_path) as second:
        assert (second.tally.inherited, second.tally.unacknowledged) == (3, 3)
        await second.pending.welcome(7, 0)
        entries = []
        for _ in range(3):
            entry = await second.pending.next_unsent()
            assert entry is not None
            second.pending.mark_sent(entry)
            entries.append(entry)
        assert [entry.frame.machine for entry in entries] == [b"machine K", b"machine p", b"machine L"]
        assert [entry.frame.enhancement for entry in entries] == [
            b"enhancement K",
            b"enhancement p",
            b"enhancement L",
        ]
        assert entries[0].frame.captured_at_ns == key.captured_at_ns
        assert (entries[0].frame.pts_us, entries[0].frame.encode_us, entries[0].frame.slices) == (
            40_000,
            1234,
            4,
        )
        assert [entry.key and entry.key.name for entry in entries] == [None, (7, 1), None]
        await second.pending.acknowledge(3)
    async with edge(tmp_path) as third:
        assert third.tally.inherited == 0


@pytest.mark.parametrize("killed", [False, True])
async def test_frames_keep_their_names_over_a_restart_and_later_ones_get_names_that_were_never_used(
    tmp_path: Path, frames: Frames, killed: bool
) -> None:
    async with edge(tmp_path, killed) as first:
        for name in "abc":
            await first.pending.add(frames.key(name))
        await first.pending.welcome(7, 0)
        assert await first.send(2) == [("a", 1), ("b", 2)]
    async with edge(tmp_path) as second:
        assert second.pending.session == 7
        await second.pending.add(frames.key("d"))
        # The answers to a and b came when there was nobody to hear them.
        await second.pending.welcome(7, 2)
        assert second.tally.acked == 2
        (c, d) = await second.send(2)
        assert c == ("c", 3)
        assert d == ("d", 4 if not killed else 1028)
        await second.pending.acknowledge(d[1])


async def test_a_process_that_was_killed_between_sending_and_the_answer_sends_the_frame_under_the_same_name(
    tmp_path: Path, frames: Frames
) -> None:
    async with edge(tmp_path, killed=True) as first:
        for name in "ab":
            await first.pending.add(frames.key(name))
        await first.pending.welcome(7, 0)
        await first.send(2)
        await first.pending.acknowledge(1)
    async with edge(tmp_path) as second:
        await second.pending.welcome(7, 1)
        assert await second.send(1) == [("b", 2)]


async def test_a_session_is_known_to_the_next_process_before_a_frame_is_sent_in_it(
    tmp_path: Path, frames: Frames
) -> None:
    async with edge(tmp_path, killed=True) as first:
        for name in "abc":
            await first.pending.add(frames.key(name))
        await first.pending.welcome(7, 0)
        await first.send(1)
        await first.pending.acknowledge(1)
        await first.pending.welcome(9, 0)
    async with edge(tmp_path) as second:
        assert second.pending.session == 9
        await second.pending.welcome(9, 0)
        assert await second.send(2) == [("b", 1), ("c", 2)]


async def test_waiting_frames_name_an_acknowledged_key_frame_after_a_restart_and_in_later_sessions(
    tmp_path: Path, frames: Frames
) -> None:
    key = frames.key("K")
    async with edge(tmp_path, killed=True) as first:
        for frame in (frames.key("J"), key, *(frames.predicted(name, key) for name in "pqr")):
            await first.pending.add(frame)
        await first.pending.welcome(7, 0)
        await first.send(3)
        await first.pending.acknowledge(2)
    async with edge(tmp_path, killed=True) as second:
        await second.pending.welcome(7, 3)
        entry = await second.pending.next_unsent()
        assert entry is not None
        assert entry.key is not None
        assert (entry.name, entry.key.name, entry.key.viewable) == ((7, 4), (7, 2), True)
        second.pending.mark_sent(entry)
        await second.pending.acknowledge(4)
    async with edge(tmp_path) as third:
        # Another edge took the camera over for a while.
        await third.pending.welcome(9, 0)
        entry = await third.pending.next_unsent()
        assert entry is not None
        assert entry.key is not None
        assert (entry.name, entry.key.name) == ((9, 1), (7, 2))
        assert not third.pending.key_wanted, "a new process begins with a key frame anyway"


async def test_after_a_power_cut_that_took_frames_along_the_server_is_believed(
    tmp_path: Path, frames: Frames
) -> None:
    async with edge(tmp_path, killed=True) as first:
        await first.pending.add(frames.key("a"))
        await first.pending.welcome(7, 0)
        await first.send(1)
        for name in "bcd":
            await first.pending.add(frames.key(name))
        await first.send(3)
    # The last of what was written never reached the disk.
    with sqlite3.connect(tmp_path / "door" / "frames.db") as connection:
        connection.execute("DELETE FROM frame WHERE number > 2")
    connection.close()
    async with edge(tmp_path) as second:
        await second.pending.add(frames.key("e"))
        await second.pending.welcome(7, 4)
        assert second.tally.acked == 2
        assert (await second.send(1))[0][0] == "e", "a new frame is none of those that the server has"


async def test_a_full_spool_gives_up_the_oldest_frames_that_were_never_sent(
    tmp_path: Path, frames: Frames
) -> None:
    async with edge(tmp_path, max_bytes=70 * PAGE) as process:
        for name in "abc":
            await process.pending.add(large(frames.key(name)))
        await process.pending.welcome(7, 0)
        await process.send(2)
        process.pending.hang_up()
        for name in "defgh":
            await process.pending.add(large(frames.key(name)))
        assert process.tally.dropped == {DropReason.SPOOL_FULL: 1}
        report = process.spool.report()
        assert (report.frames, report.bytes, report.full) == (7, 63 * PAGE, True)
        assert "FULL" in process.tally.status_line()
        await process.pending.welcome(7, 0)
        assert [name for name, _ in await process.send(7)] == ["a", "b", "d", "e", "f", "g", "h"]


async def test_a_key_frame_that_is_given_up_takes_its_group_along(tmp_path: Path, frames: Frames) -> None:
    async with edge(tmp_path, max_bytes=70 * PAGE) as process:
        first, second = frames.key("K"), frames.key("L")
        for frame in (first, *(frames.predicted(name, first) for name in "pqr"), second):
            await process.pending.add(large(frame))
        for name in "stu":
            await process.pending.add(large(frames.predicted(name, second)))
        assert process.tally.dropped == {DropReason.SPOOL_FULL: 1, DropReason.KEY_LOST: 3}
        assert not process.pending.key_wanted, "a newer key frame is there"
        await process.pending.welcome(7, 0)
        assert [name for name, _ in await process.send(4)] == ["L", "s", "t", "u"]
        process.pending.hang_up()


async def test_a_group_that_outgrows_the_spool_is_begun_anew(tmp_path: Path, frames: Frames) -> None:
    async with edge(tmp_path, max_bytes=70 * PAGE) as process:
        key = frames.key("K")
        await process.pending.add(large(key))
        for name in "abcdefgh":
            await process.pending.add(large(frames.predicted(name, key)))
        assert process.tally.dropped == {DropReason.SPOOL_FULL: 1, DropReason.KEY_LOST: 8}
        assert process.pending.key_wanted
        assert process.tally.key_requests == {KeyCause.LOST: 1}
        assert process.pending.backlog.unacknowledged == 0


async def test_complete_delivery_gives_up_nothing_and_says_that_there_is_no_room(
    tmp_path: Path, frames: Frames
) -> None:
    async with edge(tmp_path, complete=True, max_bytes=70 * PAGE) as process:
        for name in "abcdef":
            await process.pending.add(large(frames.key(name)))
        assert process.pending.backlog.has_room
        assert not process.pending.backlog_with(1).has_room, "the one in the encoder takes the last place"
        await process.pending.add(large(frames.key("g")))
        assert not process.pending.backlog.has_room
        assert not process.tally.dropped
        await process.pending.welcome(7, 0)
        await process.send(1)
        await process.pending.acknowledge(1)
        assert process.pending.backlog.has_room


async def test_a_frame_that_is_larger_than_the_spool_waits_alone_and_is_sent(
    tmp_path: Path, frames: Frames, caplog: pytest.LogCaptureFixture
) -> None:
    async with edge(tmp_path, complete=True, max_bytes=16 * PAGE) as process:
        await process.pending.welcome(7, 0)
        for sequence in (1, 2, 3):
            assert process.pending.backlog.has_room
            assert not process.pending.backlog_with(1).has_room or sequence == 1, "one is coded already"
            await process.pending.add(large(frames.key(str(sequence)), pages=20))
            assert not process.pending.backlog.has_room
            assert await process.send(1) == [(str(sequence), sequence)]
            await process.pending.acknowledge(sequence)
        assert process.tally.acked == 3
        assert caplog.text.count("raise its limit") == 1


async def test_with_live_delivery_the_newest_frame_stays_that_is_larger_than_the_spool(
    tmp_path: Path, frames: Frames
) -> None:
    async with edge(tmp_path, max_bytes=16 * PAGE) as process:
        for name in "abc":
            await process.pending.add(large(frames.key(name), pages=20))
        assert process.tally.dropped == {DropReason.SPOOL_FULL: 2}
        await process.pending.welcome(7, 0)
        assert await process.send(1) == [("c", 1)]
        await process.pending.add(large(frames.key("d"), pages=20))
        assert await process.send(1) == [("d", 2)]
        await process.pending.acknowledge(2)
        assert (process.tally.acked, process.tally.unacknowledged) == (2, 0)


async def test_what_has_waited_too_long_is_given_up_whatever_the_wall_clock_says(
    tmp_path: Path, frames: Frames
) -> None:
    clock, wall = Clock(), Clock()
    async with edge(tmp_path, killed=True, max_age_s=60, clock=clock, wall=wall) as first:
        key = frames.key("a")
        await first.pending.add(key)
        await first.pending.add(frames.predicted("b", key))
        clock.now += 50
        wall.now += 1e9
        await first.pending.add(frames.key("c"))
        await first.tend()
        assert not first.tally.dropped
        assert first.spool.report().oldest_s == 50
        clock.now += 20
        await first.tend()
        assert first.tally.dropped == {DropReason.SPOOL_AGE: 2}
    # The machine has no battery: its clock begins anew.
    clock.now, wall.now = 5.0, 0.0
    async with edge(tmp_path, max_age_s=60, clock=clock, wall=wall) as second:
        assert second.spool.report().oldest_s == 0
        clock.now += 61
        await second.tend()
        assert second.tally.dropped == {DropReason.SPOOL_AGE: 1}
        assert second.tally.unacknowledged == 0


async def test_two_edges_on_one_spool_are_one_too_many(tmp_path: Path) -> None:
    async with edge(tmp_path):
        with pytest.raises(SpoolInUseError, match="another folder"):
            await Edge(tmp_path).pending.open()
    async with edge(tmp_path):
        pass


async def test_a_folder_that_cannot_be_is_told_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(SpoolError, match="give a folder"):
        await Edge(tmp_path / "file").pending.open()


async def test_a_spool_that_could_not_be_opened_is_left_to_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    names = tmp_path / "door" / "names"
    names.parent.mkdir()
    names.symlink_to(tmp_path / "file" / "names")
    with pytest.raises(SpoolError, match="give a folder"):
        await Edge(tmp_path).pending.open()
    names.unlink()
    async with edge(tmp_path):
        pass


async def test_names_that_could_not_be_read_at_the_start_are_read_before_any_is_written(
    tmp_path: Path, frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with edge(tmp_path) as first:
        await first.pending.add(frames.key("a"))
        await first.pending.welcome(7, 0)
        await first.send(1)
        await first.pending.acknowledge(1)

    def unreadable(_: NamingFile) -> None:
        raise OSError(errno.EIO, "Input/output error")

    clock = Clock()
    second = Edge(tmp_path, clock=clock)
    with monkeypatch.context() as at_first:
        at_first.setattr(NamingFile, "read", unreadable)
        await second.pending.open()
    assert second.spool.report().failing
    clock.now += 6
    await second.tend()
    assert not second.spool.report().failing
    assert second.pending.session == 7
    await second.pending.close()


def full(process: Edge, yes: bool) -> None:
    """Make SQLite's own limit as tight as a disk without room, which it treats in the same way."""
    file = process.spool._file
    assert file is not None
    connection = file._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages if yes else 2**30}")


async def in_spool_thread(process: Edge, work: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(process.spool._thread, work)


async def test_without_room_on_the_disk_frames_wait_in_memory_and_go_to_the_disk_when_there_is_some(
    tmp_path: Path, frames: Frames, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    async with edge(tmp_path, clock=clock) as process:
        for name in "abcd":
            await process.pending.add(large(frames.key(name)))
        await process.pending.welcome(7, 0)
        await in_spool_thread(process, lambda: full(process, True))
        with caplog.at_level(logging.ERROR, "edge.spool"):
            for name in "ef":
                await process.pending.add(large(frames.key(name)))
        assert "frames wait in memory" in caplog.text
        assert process.pending.backlog.in_memory == 2
        assert process.spool.report().failing
        assert "FAILING" in process.tally.status_line()
        await process.tend()
        assert process.spool.report().failing, "it is too early to try again"
        assert [name for name, _ in await process.send(5)] == ["a", "b", "c", "d", "e"]
        await process.pending.acknowledge(1)
        clock.now += 10
        await in_spool_thread(process, lambda: full(process, False))
        await process.tend()
        assert not process.spool.report().failing
        assert process.pending.backlog.in_memory == 0
        assert process.pending.backlog.unacknowledged == 5
        await process.pending.acknowledge(3)
    async with edge(tmp_path) as after:
        await after.pending.welcome(7, 4)
        assert [name for name, _ in await after.send(2)] == ["e", "f"]
        assert not after.tally.dropped


ON_A_SMALL_DISK = """
import asyncio, sys
from pathlib import Path
from edge.config import SpoolConfig
from edge.metrics import Tally
from edge.pending import Pending
from edge.spool import Spool
from edge.frame import EncodedFrame

now, between_acks_s = 0.0, float(sys.argv[2])

async def main():
    global now
    tally = Tally()
    spool = Spool(SpoolConfig(Path(sys.argv[1]), retry_s=5), "door", False, None, tally, lambda: now)
    pending = Pending(tally, spool)
    await pending.open()
    for turn in range(90):
        await pending.add(EncodedFrame(b"m%d" % turn, bytes(100_000), 4, 0, 0, 0, turn, turn, 1.0))
    in_memory = pending.backlog.in_memory
    await pending.welcome(7, 0)
    for turn in range(90):
        frame = await pending.next_unsent()
        assert frame.frame.machine == b"m%d" % turn, frame.frame.machine
        pending.mark_sent(frame)
        now += between_acks_s
        await pending.acknowledge(frame.sequence)
        await pending._tend()
    await pending.add(EncodedFrame(b"after", bytes(100_000), 4, 0, 0, 0, 90, 90, 1.0))
    print(in_memory, pending.backlog.in_memory, spool.report().failing, tally.acked, dict(tally.dropped))
    await pending.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("between_acks_s", [1.0, 6.0])
async def test_a_process_that_may_write_no_more_goes_on_and_comes_back(
    tmp_path: Path, between_acks_s: float
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    process = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", ON_A_SMALL_DISK, str(tmp_path), str(between_acks_s)],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    in_memory, later, failing, acked, dropped = process.stdout.split(maxsplit=4)
    assert int(in_memory) >= 10
    assert (later, failing, acked, dropped.strip()) == ("0", "False", "90", "{}")


def smash(path: Path, offset: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * length)


@pytest.mark.parametrize(
    ("offset", "length", "least"), [(0, 100, 0), (40 * PAGE, PAGE, 10), (3 * PAGE, 20 * PAGE, 0)]
)
async def test_a_damaged_file_is_put_aside_and_what_can_be_read_of_it_is_sent(
    tmp_path: Path, frames: Frames, caplog: pytest.LogCaptureFixture, offset: int, length: int, least: int
) -> None:
    async with edge(tmp_path) as first:
        for index in range(40):
            await first.pending.add(large(frames.key(str(index))))
        await first.pending.welcome(7, 0)
        await first.send(3)
        await first.pending.acknowledge(2)
    path = tmp_path / "door" / "frames.db"
    assert path.stat().st_size > 300 * PAGE
    smash(path, offset, length)
    clock = Clock()
    async with edge(tmp_path, clock=clock) as second:
        await second.pending.welcome(7, 3)
        sent: list[tuple[str, int]] = []
        for _ in range(100):
            entry = await second.pending.next_unsent()
            if entry is None:
                # What cannot be read is found when it is to be sent, or at the start.
                clock.now += 10
                await second.tend()
                if not second.pending.has_unsent:
                    break
                continue
            second.pending.mark_sent(entry)
            sent.append((entry.frame.machine.decode(), entry.sequence))
        numbers = [int(name.removeprefix("machine ")) for name, _ in sent]
        assert numbers == sorted(set(numbers) - {0, 1, 2})
        assert len(numbers) >= least
        assert [sequence for _, sequence in sent] == [number + 1 for number in numbers]
        await second.pending.add(frames.key("new"))
        assert (await second.send(1))[0][0] == "new"
        assert not second.spool.report().failing
    async with edge(tmp_path) as third:
        assert third.pending.session == 7


async def test_a_layer_that_rotted_is_not_sent_and_takes_what_needs_it_along(
    tmp_path: Path, frames: Frames
) -> None:
    key = frames.key("K")
    async with edge(tmp_path) as first:
        for frame in (frames.key("a"), key, frames.predicted("p", key), frames.key("b")):
            await first.pending.add(frame)
    connection = sqlite3.connect(tmp_path / "door" / "frames.db")
    with connection:
        connection.execute("UPDATE layers SET machine = x'00' WHERE number = 2")
    connection.close()
    async with edge(tmp_path) as second:
        await second.pending.welcome(7, 0)
        assert await second.send(2) == [("a", 1), ("b", 4)]
        assert second.tally.dropped == {DropReason.SPOOL_DAMAGED: 1, DropReason.KEY_LOST: 1}
        assert second.tally.unacknowledged == 2


async def test_names_survive_a_write_that_was_cut_short(tmp_path: Path, frames: Frames) -> None:
    async with edge(tmp_path) as first:
        await first.pending.add(frames.key("a"))
        await first.pending.welcome(7, 0)
    names = tmp_path / "door" / "names"
    before = names.read_bytes()
    async with edge(tmp_path) as second:
        await second.pending.welcome(8, 0)
        assert await second.send(1) == [("a", 1)]
    after = names.read_bytes()
    slot = next(place for place in (0, PAGE) if before[place : place + PAGE] != after[place : place + PAGE])
    smash(names, slot + 20, 8)
    async with edge(tmp_path) as third:
        assert third.pending.session in (7, 8)
        assert third.tally.inherited == 1
    smash(names, 0, 2 * PAGE)
    async with edge(tmp_path) as fourth:
        assert fourth.pending.session == 0, "a new session is asked for"
        await fourth.pending.add(frames.key("b"))
        await fourth.pending.welcome(11, 0)
        assert await fourth.send(2) == [("a", 1), ("b", 2)]


async def test_memory_does_not_grow_with_the_spool(tmp_path: Path, frames: Frames) -> None:
    async with edge(tmp_path) as process:
        key = frames.key("K")
        await process.pending.add(key)
        for _ in range(300):
            await process.pending.add(frames.predicted("p", key))
        assert process.pending.backlog.unacknowledged == 301
        assert process.pending.backlog.in_memory == 0
        await process.pending.welcome(7, 0)
        for sequence in range(1, 302):
            entry = await process.pending.next_unsent()
            assert entry is not None
            process.pending.mark_sent(entry)
            assert len(process.pending._at_hand) <= 32
            await process.pending.acknowledge(sequence)
        assert process.tally.acked == 301
        assert process.pending.backlog.unacknowledged == 0

"""Several cameras in one process: each goes its own way, and none has more than its turn."""

from __future__ import annotations

import asyncio
import gc
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from edge import process as process_module
from edge.config import CaptureConfig, EdgeConfig, RestartConfig, SiteConfig
from edge.encoder_threads import EncoderThreads
from edge.errors import ConfigError, SourceError
from edge.frame import CapturedFrame
from edge.metrics import DropReason, SourceState, Tally
from edge.site import Site, encoders_of
from shared_models import Codec
from shared_models.group import GroupEncoder
from tests.edge.conftest import ClipMaker, eventually
from tests.edge.scripted_server import Conversation, ScriptedServer

Server = tuple[ScriptedServer, str]

AT_ONCE = RestartConfig(base_s=0.01, cap_s=0.02)


def camera(name: str, source: Path, address: str, **options: object) -> EdgeConfig:
    loop = bool(options.pop("loop", False))
    return EdgeConfig(
        camera_id=name,
        source=str(source),
        server=address,
        capture=CaptureConfig(speed=0, loop=loop),
        backoff_base_s=0.02,
        backoff_cap_s=0.05,
        **options,  # type: ignore[arg-type]
    )


@asynccontextmanager
async def running(site: Site, codec: Codec) -> AsyncIterator[tuple[asyncio.Task[None], asyncio.Event]]:
    """The site's run, and what stops it; it is over at the end."""
    site.equip(codec)
    stop = asyncio.Event()
    task = asyncio.create_task(site.run(stop))
    try:
        yield task, stop
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        site.close()


async def acknowledge_all(script: ScriptedServer) -> None:
    """Answer every stream that is opened, for ever."""
    sessions = 0
    async with asyncio.TaskGroup() as answering:
        while True:
            talk = await script.conversation()
            sessions += 1
            answering.create_task(_answer(talk, sessions))


async def _answer(talk: Conversation, session: int) -> None:
    await talk.greet(session)
    try:
        while True:
            await talk.ack((await talk.frame()).id.sequence)
    except (AssertionError, asyncio.CancelledError):
        return


@pytest.fixture
async def address(server: Server) -> AsyncIterator[str]:
    """Of a server that acknowledges everything."""
    script, address = server
    answering = asyncio.create_task(acknowledge_all(script))
    yield address
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)


def balanced(tally: Tally) -> bool:
    return tally.captured == tally.acked + tally.dropped.total() + tally.unacknowledged


async def test_every_camera_is_sent_whole_and_the_site_ends_with_the_last(
    address: str, make_clip: ClipMaker, codec: Codec
) -> None:
    clip = make_clip(frames=4)
    site = Site(
        SiteConfig(
            tuple(camera(name, clip, address, keep_all=True) for name in ("front", "back", "yard")),
            encoders=1,
        ),
        "1.0",
    )
    async with running(site, codec) as (task, _):
        await task
    assert {name: tally.acked for name, tally in site.tallies.items()} == {"front": 4, "back": 4, "yard": 4}


async def test_a_camera_that_fails_is_begun_again_while_the_others_go_on(
    address: str, make_clip: ClipMaker, codec: Codec, tmp_path: Path
) -> None:
    clip = make_clip(frames=4)
    missing = tmp_path / "missing.mkv"
    cameras = (
        camera("there", clip, address, loop=True),
        camera("missing", missing, address, loop=True),
    )
    site = Site(SiteConfig(cameras, restart=AT_ONCE), "1.0")
    there, lacking = site.tallies["there"], site.tallies["missing"]
    async with running(site, codec) as (task, stop):
        await eventually(lambda: lacking.restarts >= 3 and there.acked >= 5)
        assert lacking.source in (SourceState.FAILED, SourceState.OPENING)
        shutil.copy(clip, missing)
        await eventually(lambda: lacking.acked >= 2)
        assert not task.done()
        stop.set()
        await task
    assert there.restarts == 0
    assert balanced(there)
    assert balanced(lacking)


async def test_what_a_failed_camera_had_not_delivered_is_counted(
    free_port: int, failing_clip: Path, codec: Codec
) -> None:
    failing = camera("door", failing_clip, f"127.0.0.1:{free_port}", keep_all=True, flush_timeout_s=0.05)
    site = Site(SiteConfig((failing,), restart=AT_ONCE), "1.0")
    tally = site.tallies["door"]
    async with running(site, codec) as (task, stop):
        await eventually(lambda: tally.restarts >= 2)
        stop.set()
        await task
    assert tally.dropped[DropReason.RESTARTED] >= 1
    assert balanced(tally)


class Breaking:
    """Two frames, and then a damage."""

    live = False

    def frames(self) -> Iterator[CapturedFrame]:
        for index in range(2):
            yield CapturedFrame(np.full((48, 64, 3), 90 + index, np.uint8), 0, 40_000 * index)
        raise SourceError("the rest cannot be read")

    def close(self) -> None:
        pass


async def test_nothing_of_the_edges_that_failed_before_waits_for_garbage_to_be_collected(
    address: str, codec: Codec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "open_source", lambda *_: Breaking())
    door = camera("door", Path("breaking"), address, keep_all=True)
    site = Site(SiteConfig((door,), restart=RestartConfig(base_s=0.01, cap_s=0.01)), "1.0")
    tally = site.tallies["door"]
    gc.collect()
    before = _encoders()
    gc.disable()
    try:
        async with running(site, codec):
            await eventually(lambda: tally.restarts >= 5)
            encoders = _encoders() - before
    finally:
        gc.enable()
    # The one that just ends, and the next.
    assert encoders <= 2


def _encoders() -> int:
    return sum(type(each) is GroupEncoder for each in gc.get_objects())


async def test_one_camera_that_refuses_to_connect_does_not_hold_the_others_back(
    address: str, free_port: int, make_clip: ClipMaker, codec: Codec
) -> None:
    clip = make_clip(frames=4)
    cameras = (
        camera("lost", clip, f"127.0.0.1:{free_port}", loop=True, grace_s=0.1),
        camera("there", clip, address, loop=True),
    )
    site = Site(SiteConfig(cameras, encoders=1), "1.0")
    async with running(site, codec) as (task, stop):
        await eventually(lambda: site.tallies["there"].acked >= 10)
        stop.set()
        await task
    assert site.tallies["lost"].acked == 0


async def test_without_restart_a_camera_ends_them_all(
    address: str, make_clip: ClipMaker, codec: Codec, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no video at all")
    cameras = (camera("there", make_clip(frames=4), address, loop=True), camera("broken", broken, address))
    site = Site(SiteConfig(cameras, restart=None), "1.0")
    async with running(site, codec) as (task, _):
        with pytest.raises(SourceError, match="broken"):
            await task
    assert balanced(site.tallies["there"])
    with pytest.raises(SourceError, match=r"none\.mkv"):
        Site(SiteConfig((camera("none", tmp_path / "none.mkv", address),), restart=None), "1.0")


async def test_levels_that_the_codec_does_not_have_are_told_before_anything_begins(
    address: str, make_clip: ClipMaker, codec: Codec
) -> None:
    site = Site(SiteConfig((camera("door", make_clip(frames=1), address, quality=99),)), "1.0")
    with pytest.raises(ConfigError, match="quality is 99"):
        site.equip(codec)
    site.close()


async def test_places_are_given_in_turns_and_come_back() -> None:
    threads = EncoderThreads(1)
    turns: list[str] = []

    async def encode(name: str, times: int) -> None:
        for _ in range(times):
            async with threads.place() as place:
                turns.append(name)
                coding = asyncio.get_running_loop().create_future()
                place.lasts_until(coding)
            asyncio.get_running_loop().call_soon(coding.set_result, None)
            await coding

    # One camera has far more frames than the other.
    await asyncio.gather(encode("busy", 9), encode("calm", 3))
    assert turns[:6] == ["busy", "calm"] * 3
    with pytest.raises(ZeroDivisionError):
        async with threads.place():
            raise ZeroDivisionError
    async with asyncio.timeout(1), threads.place():
        pass
    threads.close()


def test_cpus_are_not_given_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    site = SiteConfig((EdgeConfig("a", "x", "h:1"),))
    for cpus, encoders in ((1, 1), (2, 1), (8, 4)):
        monkeypatch.setattr("os.sched_getaffinity", lambda _, cpus=cpus: set(range(cpus)))
        assert encoders_of(site) == encoders

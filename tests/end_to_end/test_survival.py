"""The invariant, counted: whatever is killed, every acknowledged frame is recognised exactly once and in order.

And it can be seen: its picture decodes, for machines and for people, from what is stored. `make chaos` does the same
for longer, with every fault there is.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import grpc.aio
import pytest

from secondsight.v1 import ingest_pb2, ingest_pb2_grpc
from shared_models import Codec, load_codec
from tests.chaos.installation import EdgePlan, Installation, running
from tests.chaos.invariant import Count, count
from tests.chaos.pictures import write_clip

CAMERA = "survivor"
FRAMES = 32
SETTINGS = {"keep_all": True, "capture": {"speed": 0}, "backoff_cap_s": 1, "max_unacknowledged": 8}


@pytest.fixture(scope="module")
def codec() -> Codec:
    """What the processes load."""
    return load_codec("lite", device="cpu")


@pytest.fixture
def plan(tmp_path: Path) -> EdgePlan:
    """An edge that sends a recording of numbered pictures, all of them."""
    return EdgePlan(CAMERA, write_clip(tmp_path / "clip.mkv", FRAMES), settings=SETTINGS)


async def _recognised(site: Installation, camera: str, share: float) -> None:
    """Wait until so much of the recording is recognised."""
    edge = site.edges[camera].part.child
    async with asyncio.timeout(120):
        while len(site.observer.cameras[camera].results) < share * FRAMES:
            if not edge.running:
                raise edge.failure("ended early")
            await asyncio.sleep(0.02)


async def _counted(site: Installation, camera: str, codec: Codec) -> Count:
    await site.settled()
    seen, said = site.observer.cameras[camera], site.witness.cameras[camera]
    return await asyncio.to_thread(count, camera, said, seen, site.subscriber.got[camera], codec)


async def test_no_acknowledged_frame_is_lost(tmp_path: Path, plan: EdgePlan, codec: Codec) -> None:
    async with running(tmp_path, [plan]) as site:
        await _recognised(site, CAMERA, 0.15)
        async with site.uplink.away():
            await site.server.kill()
            # Long enough for the edge to try in vain.
            await asyncio.sleep(0.7)
        await site.server.restart()
        await _recognised(site, CAMERA, 0.35)
        await site.store.kill()
        await asyncio.sleep(0.7)
        await site.store.restart()
        await _recognised(site, CAMERA, 0.5)
        site.uplink.cut_after = 2000
        site.server_store.reset()
        life = await site.end_edge(site.edges[CAMERA])
        counted = await _counted(site, CAMERA, codec)
        assert counted.violations == []
        assert counted.stored == counted.decoded == FRAMES
        # An enhancement layer that a dead store did not take is missing, and the frame says so.
        assert counted.viewed > FRAMES / 2
        assert life.counts["captured"] == life.counts["acked"] == FRAMES
        assert life.counts["dropped"] == {}
        assert site.witness.cameras[CAMERA].welcomes >= 2
        if codec.predicts:
            assert life.counts["sent_predicted"] > FRAMES / 2, "what was killed, was killed within a group"


async def test_neither_a_new_session_nor_a_store_that_lost_everything_breaks_a_group(
    tmp_path: Path, plan: EdgePlan, codec: Codec
) -> None:
    async with running(tmp_path, [plan]) as site:
        await _recognised(site, CAMERA, 0.3)
        # Lest the edge is through with its recording before the other one has the session.
        site.uplink.stall()
        await _take_over(site, codec)
        site.uplink.flow()
        life = await site.end_edge(site.edges[CAMERA])
        counted = await _counted(site, CAMERA, codec)
        # Frames whose acknowledgement the old session lost are there under two names; the count knows them.
        assert counted.violations == []
        assert life.counts["captured"] == life.counts["acked"] == FRAMES
        assert life.counts["dropped"] == {}
        stored = site.observer.cameras[CAMERA].stored
        assert {frame.pts_us // 40_000 for _, frame in stored} == set(range(FRAMES))
        assert len({session for (session, _), _ in stored}) == 2

        other = replace(plan, camera="forgotten")
        edge = await site.start_edge(other)
        await _recognised(site, other.camera, 0.3)
        await site.server.kill()
        site.client.flushall()
        # What is promised begins anew with the store.
        site.witness.cameras.clear()
        site.observer.cameras.clear()
        site.subscriber.forget()
        await site.server.restart()
        life = await site.end_edge(edge)
        counted = await _counted(site, other.camera, codec)
        assert counted.violations == []
        assert counted.stored, "the edge went on"
        dropped = life.counts["dropped"]
        assert life.counts["captured"] == life.counts["acked"] + sum(dropped.values()) == FRAMES
        # No more than what was under way, in the queue and in the encoder when the key frame was gone; nothing, if
        # another group was about to begin just then.
        assert set(dropped) <= {"nack_reference", "key_lost"}
        assert sum(dropped.values()) <= 8 + 2
        assert site.observer.cameras[other.camera].stored[0][1].reference_sequence == 0


async def _take_over(site: Installation, codec: Codec) -> None:
    """Open a session for the same camera, as another edge of its name would."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{site.grpc_port}") as channel:
        call = ingest_pb2_grpc.IngestServiceStub(channel).Push()
        try:
            hello = ingest_pb2.Hello(camera_id=CAMERA, model_id=codec.predicting_id)
            await call.write(ingest_pb2.PushRequest(hello=hello))
            answer = await call.read()
            assert isinstance(answer, ingest_pb2.PushResponse)
            assert answer.HasField("welcome")
        finally:
            call.cancel()

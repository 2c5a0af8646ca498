"""The other ends of the server: an edge's stream and a subscriber, driven step by step, and a test recogniser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol

import grpc
import numpy as np
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, analytics_pb2_grpc, frame_pb2, ingest_pb2, ingest_pb2_grpc
from server.process import Server
from server.recognition import Detection, OneByOne, Seen
from shared_models import Codec
from shared_models.bitstream import FrameType
from shared_models.group import GroupFrame

PATIENCE = 120.0
"""Ends a test that hangs; nothing is asserted about time."""


class LayersOfFrame(Protocol):
    """Both layers of an encoded frame, whether alone or in a group."""

    @property
    def machine(self) -> bytes: ...
    @property
    def enhancement(self) -> bytes: ...


def predicted_from(session: int, sequence: int) -> dict[str, int]:
    """Fields of a frame that is predicted from this one."""
    return {"reference_session": session, "reference_sequence": sequence}


def bearer(secret: str | None) -> tuple[tuple[str, str], ...]:
    """Metadata with a token or key; none without."""
    return () if secret is None else (("authorization", f"Bearer {secret}"),)


class EdgeStream:
    """The edge's end of one Push stream."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        camera_id: str,
        model_id: bytes,
        token: str | None = None,
    ) -> None:
        self.camera_id = camera_id
        self.session = 0
        self.acked_sequence = 0
        self._model_id = model_id
        self.call = ingest_pb2_grpc.IngestServiceStub(channel).Push(metadata=bearer(token))

    async def hello(self, session: int = 0, *, keeps_enhancement: bool = False) -> ingest_pb2.Welcome:
        await self.write(
            ingest_pb2.PushRequest(
                hello=ingest_pb2.Hello(
                    camera_id=self.camera_id,
                    session=session,
                    model_id=self._model_id,
                    keeps_enhancement=keeps_enhancement,
                )
            )
        )
        welcome = (await self.read()).welcome
        self.session = welcome.session
        return welcome

    async def write(self, request: ingest_pb2.PushRequest) -> None:
        await self.call.write(request)

    async def send(self, sequence: int, encoded: LayersOfFrame, **changes: Any) -> frame_pb2.Frame:
        frame = frame_pb2.Frame(
            id=frame_pb2.FrameId(camera_id=self.camera_id, session=self.session, sequence=sequence),
            pts_us=40_000 * sequence,
            machine_layer=encoded.machine,
            enhancement=frame_pb2.EnhancementReceipt(bytes=len(encoded.enhancement), slices=5),
        )
        frame.captured_at.GetCurrentTime()
        frame.MergeFrom(frame_pb2.Frame(**changes))
        await self.write(ingest_pb2.PushRequest(frame=frame))
        return frame

    async def send_in_group(self, sequence: int, frame: GroupFrame, **changes: Any) -> frame_pb2.Frame:
        """Send a frame of a camera stream whose turns are the sequence numbers of this session."""
        reference = predicted_from(self.session, frame.key) if frame.frame_type is FrameType.PREDICTED else {}
        return await self.send(sequence, frame, **{**reference, **changes})

    async def read(self) -> ingest_pb2.PushResponse:
        async with asyncio.timeout(PATIENCE):
            response = await self.call.read()
        if response is grpc.aio.EOF:
            raise StreamEndedError(await self.call.code(), await self.call.details())
        self.acked_sequence = max(self.acked_sequence, response.ack.acked_sequence)
        return response

    async def ack_of(self, sequence: int) -> ingest_pb2.Ack:
        """The first Ack that covers `sequence`; a Nack on the way fails the test."""
        while True:
            response = await self.read()
            assert not response.HasField("nack"), response.nack
            if response.HasField("ack") and response.ack.acked_sequence >= sequence:
                return response.ack

    async def nack(self) -> ingest_pb2.Nack:
        """The next Nack."""
        while True:
            response = await self.read()
            if response.HasField("nack"):
                return response.nack

    async def key_request(self) -> ingest_pb2.KeyRequest:
        """The next request for a key frame."""
        while True:
            response = await self.read()
            if response.HasField("key_request"):
                return response.key_request

    async def enhancement_request(self) -> ingest_pb2.EnhancementRequest:
        """The next request for an enhancement layer."""
        while True:
            response = await self.read()
            if response.HasField("enhancement_request"):
                return response.enhancement_request

    async def ended(self) -> tuple[grpc.StatusCode, str]:
        """Read until the server ends the stream."""
        try:
            while True:
                await self.read()
        except StreamEndedError as end:
            return end.code, end.details
        except grpc.aio.AioRpcError as error:
            return error.code(), error.details() or ""


class StreamEndedError(Exception):
    """The server ended the stream."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(f"{code}: {details}")
        self.code = code
        self.details = details


@asynccontextmanager
async def edge_stream(
    server: Server,
    codec: Codec,
    camera_id: str = "front-door",
    model_id: bytes | None = None,
    token: str | None = None,
) -> AsyncIterator[EdgeStream]:
    """Open a Push stream; cancelled at the end."""
    async with grpc.aio.insecure_channel(
        server.grpc_address, options=[("grpc.max_send_message_length", 32 * 2**20)]
    ) as channel:
        stream = EdgeStream(channel, camera_id, codec.predicting_id if model_id is None else model_id, token)
        try:
            yield stream
        finally:
            stream.call.cancel()


@asynccontextmanager
async def subscription(
    server: Server, *, key: str | None = None, **request: Any
) -> AsyncIterator[Callable[[], Awaitable[analytics_pb2.SubscribeResponse]]]:
    """Subscribe; gives a function that returns the next response. The starting positions are taken on entry."""
    async with grpc.aio.insecure_channel(server.grpc_address) as channel:
        call = analytics_pb2_grpc.AnalyticsServiceStub(channel).Subscribe(
            analytics_pb2.SubscribeRequest(**request), metadata=bearer(key)
        )
        try:
            async with asyncio.timeout(PATIENCE):
                await call.initial_metadata()

            async def following() -> analytics_pb2.SubscribeResponse:
                async with asyncio.timeout(PATIENCE):
                    response = await call.read()
                assert response is not grpc.aio.EOF, (await call.code(), await call.details())
                return response

            yield following
        finally:
            call.cancel()


async def keep_enhancement(client: Redis, frame: frame_pb2.Frame, encoded: LayersOfFrame) -> None:
    """Store a frame's enhancement layer as the edge does."""
    key = store_keys.enhancement(frame.id.camera_id, frame.id.session, frame.id.sequence)
    await client.set(key, encoded.enhancement, ex=600)


async def results_in(
    client: Redis, camera_id: str = "front-door"
) -> dict[str, analytics_pb2.RecognitionResult]:
    """All results that the store holds, by frame."""
    entries: Any = await client.xrange(store_keys.results(camera_id))
    return {
        entry_id.decode(): analytics_pb2.RecognitionResult.FromString(fields[store_keys.RESULT_FIELD])
        for entry_id, fields in entries
    }


async def frames_in(client: Redis, camera_id: str = "front-door") -> list[str]:
    """Names of all frames that the store holds."""
    entries: Any = await client.xrange(store_keys.frames(camera_id))
    return [entry_id.decode() for entry_id, _ in entries]


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Wait until `condition` holds."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110  # the conditions are in the store and in other processes
            await asyncio.sleep(0.02)


async def recognised(client: Redis, count: int, camera_id: str = "front-door") -> None:
    """Wait until the store holds `count` results."""

    async def enough() -> bool:
        return await client.xlen(store_keys.results(camera_id)) >= count

    await until(enough)


async def have_one_frame(
    server: Server, codec: Codec, encoded: LayersOfFrame, client: Redis, token: str
) -> None:
    """Have camera `gate` store frame 1-1 with both layers, recognised."""
    async with edge_stream(server, codec, "gate", token=token) as edge:
        await edge.hello()
        await keep_enhancement(client, await edge.send(1, encoded), encoded)
        await recognised(client, 1, "gate")


class SquareSpotter(OneByOne):
    """Sees one thing wherever it looks; can be held, and remembers how often it was asked."""

    name = "square-spotter"
    labels = ("square", "shadow")

    def __init__(self) -> None:
        self.asked = 0
        self.released = threading.Event()
        self.released.set()

    def warm_up(self) -> None:
        """Not asked for by a frame, so not counted."""

    def see(self, image: np.ndarray) -> Seen:
        self.released.wait(PATIENCE)
        self.asked += 1
        height, width = image.shape[:2]
        return Seen(
            (
                Detection("square", 0.9, 0.0, 0.0, width / 2, height / 2),
                Detection("shadow", 0.4, width / 2, height / 2, float(width), float(height)),
            )
        )

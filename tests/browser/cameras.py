"""Many cameras that stream at once, each over a gRPC stream of its own, from frames that were encoded before."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager

import grpc
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import ingest_pb2, ingest_pb2_grpc
from shared_models import Codec, EncodedFrame
from tests.browser.conftest import LAYERS_LIVE_S, Serving, frame_of


@contextmanager
def streaming(
    serving: Serving, cameras: Mapping[str, Sequence[EncodedFrame]], seconds_between: float
) -> Iterator[None]:
    """Meanwhile every camera sends its frames over and over, spread over time."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        task = asyncio.run_coroutine_threadsafe(_stream_all(serving, cameras, seconds_between), loop)
        yield
        task.cancel()
        # Its streams end before the loop does.
        asyncio.run_coroutine_threadsafe(_ended(loop), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _ended(loop: asyncio.AbstractEventLoop) -> None:
    others = asyncio.all_tasks(loop) - {asyncio.current_task(loop)}
    await asyncio.gather(*others, return_exceptions=True)


async def _stream_all(
    serving: Serving, cameras: Mapping[str, Sequence[EncodedFrame]], seconds_between: float
) -> None:
    async with grpc.aio.insecure_channel(serving.grpc) as channel, Redis.from_url(serving.url) as store:
        stub = ingest_pb2_grpc.IngestServiceStub(channel)
        async with asyncio.TaskGroup() as group:
            for number, (camera, frames) in enumerate(cameras.items()):
                begin = number * seconds_between / len(cameras)
                group.create_task(_stream(stub, store, serving.codec, camera, frames, begin, seconds_between))


async def _stream(
    stub: ingest_pb2_grpc.IngestServiceStub,
    store: Redis,
    codec: Codec,
    camera: str,
    frames: Sequence[EncodedFrame],
    begin: float,
    seconds_between: float,
) -> None:
    await asyncio.sleep(begin)
    call = stub.Push()
    try:
        await call.write(
            ingest_pb2.PushRequest(hello=ingest_pb2.Hello(camera_id=camera, model_id=codec.predicting_id))
        )
        session = (await call.read()).welcome.session
        pace = asyncio.get_running_loop().time()
        for sequence, layers in enumerate(itertools.cycle(frames), 1):
            key = store_keys.enhancement(camera, session, sequence)
            await store.set(key, layers.enhancement, ex=LAYERS_LIVE_S)
            await call.write(ingest_pb2.PushRequest(frame=frame_of(camera, session, sequence, layers)))
            async for response in _responses(call):
                assert not response.HasField("nack"), response.nack
                if response.ack.acked_sequence == sequence:
                    break
            pace += seconds_between
            await asyncio.sleep(pace - asyncio.get_running_loop().time())
    finally:
        call.cancel()


async def _responses(call: grpc.aio.StreamStreamCall) -> AsyncIterator[ingest_pb2.PushResponse]:
    while (response := await call.read()) is not grpc.aio.EOF:
        yield response

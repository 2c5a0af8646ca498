"""A client that does not keep to the rules: it repeats, permutes and floods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import lru_cache
from random import Random
from typing import Final

import grpc.aio

from secondsight.v1 import frame_pb2, ingest_pb2, ingest_pb2_grpc
from shared_models import Codec, GroupEncoder
from shared_models.bitstream import FrameType
from tests.chaos.pictures import picture

DISORDERLY: Final = "disorderly"
"""Cameras whose names begin so send each picture under one name, whatever its order."""
FLOODING: Final = "flooding"
"""Cameras whose names begin so send the same pictures again and again."""

GROUP: Final = 24
"""Frames of one group."""


class UnrulyCamera:
    """Frames of one session, and a stream to send them on."""

    def __init__(self, target: str, camera: str, codec: Codec, token: str | None) -> None:
        self.camera = camera
        self.session = 0
        self._target = target
        self._model_id = codec.predicting_id
        self._metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        self._coded = _coded(codec)

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[UnrulyStream]:
        """A stream that is open; a later one goes on with the session."""
        async with grpc.aio.insecure_channel(self._target) as channel:
            call = ingest_pb2_grpc.IngestServiceStub(channel).Push(metadata=self._metadata)
            try:
                hello = ingest_pb2.Hello(camera_id=self.camera, session=self.session, model_id=self._model_id)
                await call.write(ingest_pb2.PushRequest(hello=hello))
                answer = await call.read()
                assert isinstance(answer, ingest_pb2.PushResponse)
                self.session = answer.welcome.session
                yield UnrulyStream(call, answer.welcome.last_stored_sequence)
            finally:
                call.cancel()

    def frame(self, sequence: int) -> ingest_pb2.PushRequest:
        """The same whenever it is asked for. The pictures begin again after the last."""
        begun = (sequence - 1) // len(self._coded) * len(self._coded)
        layer, key = self._coded[(sequence - 1) % len(self._coded)]
        frame = frame_pb2.Frame(
            id=frame_pb2.FrameId(camera_id=self.camera, session=self.session, sequence=sequence),
            pts_us=40_000 * sequence,
            machine_layer=layer,
        )
        frame.captured_at.FromNanoseconds(1_800_000_000 * 10**9 + 40_000_000 * sequence)
        if key is not None:
            frame.reference_session, frame.reference_sequence = self.session, begun + key
        return ingest_pb2.PushRequest(frame=frame)


class UnrulyStream:
    """One open stream; what the server answers is taken as it comes."""

    def __init__(self, call: grpc.aio.StreamStreamCall, acked: int) -> None:  # type: ignore[type-arg]
        self._call = call
        self.acked = acked

    async def send(self, request: ingest_pb2.PushRequest) -> None:
        """Without a look at credits."""
        await self._call.write(request)

    async def heard(self, sequence: int) -> None:
        """Read until `sequence` is acknowledged."""
        while self.acked < sequence:
            answer = await self._call.read()
            if not isinstance(answer, ingest_pb2.PushResponse):
                return
            self.acked = max(self.acked, answer.ack.acked_sequence)

    async def listen(self) -> None:
        """Read to the end."""
        while isinstance(await self._call.read(), ingest_pb2.PushResponse):
            pass


@lru_cache(maxsize=1)
def _coded(codec: Codec) -> list[tuple[bytes, int | None]]:
    """Machine layers of a group, and which of them each is predicted from, counted from 1."""
    encoder = GroupEncoder(codec)
    layers: list[tuple[bytes, int | None]] = []
    key = 0
    for number in range(1, GROUP + 1):
        coded = encoder.encode(picture(number), encoder.turn())
        predicted = coded.frame_type is FrameType.PREDICTED
        key = key if predicted else number
        layers.append((coded.machine, key if predicted else None))
    return layers


def permuted(chance: Random) -> Iterator[int]:
    """Sequence numbers of `GROUP` frames: some twice, some too early, some again much later."""
    numbers = list(range(1, GROUP + 1))
    for at in range(2, GROUP - 1):
        if chance.random() < 0.2:
            numbers[at], numbers[at + 1] = numbers[at + 1], numbers[at]
    for sequence in numbers:
        yield sequence
        while chance.random() < 0.3:
            yield chance.randint(max(1, sequence - 6), sequence)

"""Recognises stored frames and publishes what was seen."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from google.protobuf.message import DecodeError

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, frame_pb2
from server import metrics
from server.config import ServerConfig
from server.errors import DecodingFailedError, KeyFrameGoneError, StoreUnavailableError
from server.frame_bus import Claimed, FrameBus
from server.layers import Layers, Picture
from server.recognition import Recogniser, Seen
from server.recognition.messages import detection_message, segmentation_message
from server.session import now
from shared_models import errors as codec_errors

_log = logging.getLogger(__name__)


class Worker:
    """Takes the cameras in turn, each camera's frames in order.

    Results of a camera have to be published in order, so one camera's frames go to workers of one name.
    """

    def __init__(self, bus: FrameBus, layers: Layers, recogniser: Recogniser, config: ServerConfig) -> None:
        self._bus = bus
        self._layers = layers
        self._recogniser = recogniser
        self._config = config
        self._lane = ThreadPoolExecutor(1, thread_name_prefix="recogniser")
        self._leaving = asyncio.Event()

    async def run(self) -> None:
        """Recognise frames until `leave`; wait for the store when it is away."""
        while not self._leaving.is_set():
            try:
                for claimed in await self._bus.claim(self._config.worker_name):
                    if self._leaving.is_set():
                        return
                    await self._work_on(claimed)
            except StoreUnavailableError as error:
                # What was claimed and not published stays claimed, and comes first when the store is back.
                _log.error("recognition waits: %s", error)

    def leave(self) -> None:
        """Finish the frame in hand and return from `run`. Claimed frames wait for the next worker of this name."""
        self._leaving.set()

    def close(self) -> None:
        """Give the recogniser's thread back."""
        self._lane.shutdown(wait=True, cancel_futures=True)

    async def _work_on(self, claimed: Claimed) -> None:
        if claimed.frame is None:
            _log.error("frame %s of camera %s was trimmed unrecognised", claimed.entry_id, claimed.camera_id)
            await self._bus.forget(claimed)
            return
        result = await self._result(claimed, claimed.frame)
        if not await self._bus.publish(claimed.camera_id, claimed.entry_id, result.SerializeToString()):
            _log.info("frame %s of camera %s had a result already", claimed.entry_id, claimed.camera_id)
            return
        metrics.FRAMES_RECOGNISED.labels(claimed.camera_id).inc()
        if result.failure:
            metrics.FRAMES_FAILED.labels(claimed.camera_id).inc()
            _log.error("frame %s of camera %s: %s", claimed.entry_id, claimed.camera_id, result.failure)
        if result.HasField("captured_at"):
            latency = (result.recognised_at.ToNanoseconds() - result.captured_at.ToNanoseconds()) / 1e9
            metrics.CAPTURE_TO_RESULT_SECONDS.observe(max(0.0, latency))

    async def _result(self, claimed: Claimed, stored: bytes) -> analytics_pb2.RecognitionResult:
        session, sequence = store_keys.parse_entry_id(claimed.entry_id)
        result = analytics_pb2.RecognitionResult(
            frame=frame_pb2.FrameId(camera_id=claimed.camera_id, session=session, sequence=sequence),
            recogniser=self._recogniser.name,
        )
        try:
            frame = frame_pb2.Frame.FromString(stored)
            result.captured_at.CopyFrom(frame.captured_at)
            result.machine_bytes = len(frame.machine_layer)
            result.enhancement.CopyFrom(frame.enhancement)
            if frame.reference_sequence:
                result.key_frame.camera_id = claimed.camera_id
                result.key_frame.session = frame.reference_session
                result.key_frame.sequence = frame.reference_sequence
            await self._see(frame, result)
        except (DecodeError, codec_errors.CodecError) as error:
            result.failure = f"the frame cannot be decoded ({type(error).__name__}: {error})"
        except (DecodingFailedError, KeyFrameGoneError) as error:
            result.failure = str(error)
        result.recognised_at.CopyFrom(now())
        return result

    async def _see(self, frame: frame_pb2.Frame, result: analytics_pb2.RecognitionResult) -> None:
        begun = perf_counter()
        picture = await self._layers.machine_view(frame)
        decoded = perf_counter()
        result.height, result.width = picture.shape[:2]
        result.timing.decode_us = int((decoded - begun) * 1e6)
        try:
            seen = await asyncio.get_running_loop().run_in_executor(self._lane, self._recognise, picture)
        except Exception as error:
            # A recogniser is other people's code: one frame that it cannot bear must not end recognition.
            _log.exception("the recogniser failed")
            result.failure = f"the recogniser failed ({type(error).__name__}: {error})"
            return
        result.timing.recognise_us = int((perf_counter() - decoded) * 1e6)
        result.detections.extend(map(detection_message, seen.detections))
        if seen.segmentation is not None:
            result.segmentation.CopyFrom(segmentation_message(seen.segmentation))

    def _recognise(self, picture: Picture) -> Seen:
        with metrics.RECOGNISE_SECONDS.time():
            (seen,) = self._recogniser.recognise([picture])
        return seen

"""From a stored frame to its result."""

from __future__ import annotations

import asyncio
import logging
from time import perf_counter, time_ns

from google.protobuf.message import DecodeError

from secondsight import store_keys
from secondsight.tracing import Stretch, TraceContext, tracer
from secondsight.v1 import analytics_pb2, frame_pb2
from server import metrics
from server.config import ServerConfig
from server.errors import DecodingFailedError, KeyFrameGoneError, WorkerStuckError
from server.frame_bus import Claimed
from server.layers import Layers
from server.messages import event_message, noticed_message, segmentation_message
from server.recognition import Recogniser
from server.recognition.batching import Batching
from server.session import now
from server.watch.watch import Watch
from shared_models import errors as codec_errors

_log = logging.getLogger(__name__)


class Recognising:
    """Codec and recogniser, for the frames of all cameras that a worker has.

    `config.frames_in_hand` frames are at work at a time, in the order in which they came, so that cameras take turns.
    """

    def __init__(self, layers: Layers, recogniser: Recogniser, config: ServerConfig) -> None:
        self._layers = layers
        self._recogniser = recogniser
        self._config = config
        self._in_hand = asyncio.Semaphore(config.frames_in_hand)
        self._batching = Batching(recogniser)
        self._closed = False
        self.is_stuck = False
        """Whether a frame did not come to an end: what waits behind it will not either."""

    async def result(self, claimed: Claimed, watch: Watch) -> analytics_pb2.RecognitionResult:
        """What is seen in a frame, under the rules of its camera; a failure where nothing can be.

        Raises:
            StoreUnavailableError: the key frame is needed from there.
            WorkerStuckError
        """
        result = _empty_result(claimed, self._recogniser.name, self._config.task)
        if claimed.frame is None:
            result.failure = "the store let go of the frame before it was recognised"
            result.recognised_at.CopyFrom(now())
            return result
        async with self._in_hand:
            try:
                async with asyncio.timeout(self._config.recognise_within):
                    await self._recognise_frame(claimed.frame, result, watch)
            except TimeoutError:
                self.is_stuck = True
                raise WorkerStuckError(
                    claimed.camera_id, claimed.entry_id, self._config.recognise_within
                ) from None
        if self._closed:
            # Whatever failed did so because this worker ends; another one has the frame next.
            raise asyncio.CancelledError
        result.recognised_at.CopyFrom(now())
        _trace(result)
        return result

    async def warm_up(self) -> None:
        """Before the first frame.

        Raises:
            WarmUpError
        """
        await self._batching.warm_up()

    def given_up(self, claimed: Claimed) -> analytics_pb2.RecognitionResult:
        """The result of a frame that has ended worker after worker."""
        result = _empty_result(claimed, self._recogniser.name, self._config.task)
        result.failure = (
            f"given up: {claimed.tries - 1} workers were handed this frame and ended before they had a result"
        )
        result.recognised_at.CopyFrom(now())
        return result

    def close(self) -> None:
        """Give the recogniser's thread back, unless it is stuck: then it ends with the process."""
        self._closed = True
        self._batching.close(wait=not self.is_stuck)

    async def _recognise_frame(
        self, stored: bytes, result: analytics_pb2.RecognitionResult, watch: Watch
    ) -> None:
        try:
            frame = frame_pb2.Frame.FromString(stored)
            result.captured_at.CopyFrom(frame.captured_at)
            result.pts_us = frame.pts_us
            result.machine_bytes = len(frame.machine_layer)
            result.enhancement.CopyFrom(frame.enhancement)
            result.traceparent = frame.traceparent
            self._note_wait(frame)
            if frame.reference_sequence:
                result.key_frame.camera_id = result.frame.camera_id
                result.key_frame.session = frame.reference_session
                result.key_frame.sequence = frame.reference_sequence
            await self._see(frame, result, watch)
        except (DecodeError, codec_errors.CodecError) as error:
            result.failure = f"the frame cannot be decoded ({type(error).__name__}: {error})"
        except (DecodingFailedError, KeyFrameGoneError) as error:
            result.failure = str(error)

    def _note_wait(self, frame: frame_pb2.Frame) -> None:
        if frame.HasField("stored_at"):
            waited = time_ns() - frame.stored_at.ToNanoseconds()
            metrics.WAIT_SECONDS.observe(max(0.0, waited / 1e9))
            context = TraceContext.parse(frame.traceparent)
            waiting = Stretch("wait for recognition", frame.stored_at.ToNanoseconds(), time_ns())
            tracer().record(context, [waiting], {"camera": frame.id.camera_id})

    async def _see(
        self, frame: frame_pb2.Frame, result: analytics_pb2.RecognitionResult, watch: Watch
    ) -> None:
        begun = perf_counter()
        picture = await self._layers.machine_view(frame)
        decoded = perf_counter()
        result.height, result.width = picture.shape[:2]
        result.timing.decode_us = int((decoded - begun) * 1e6)
        try:
            seen = await self._batching.see(picture)
        except Exception as error:
            # A recogniser is other people's code: one frame that it cannot bear must not end recognition.
            _log.exception("the recogniser failed")
            result.failure = f"the recogniser failed ({type(error).__name__}: {error})"
            return
        result.timing.recognise_us = int((perf_counter() - decoded) * 1e6)
        watched = watch.look(
            seen.detections,
            frame=store_keys.entry_id(frame.id.session, frame.id.sequence),
            at_s=frame.captured_at.ToNanoseconds() / 1e9,
            size=(result.width, result.height),
        )
        result.detections.extend(map(noticed_message, watched.noticed))
        result.events.extend(map(event_message, watched.events))
        labels, score = self._config.alert_labels, self._config.alert_score
        result.alert = watched.alert or any(
            noticed.label in labels and noticed.score >= score for noticed in result.detections
        )
        if seen.segmentation is not None:
            result.segmentation.CopyFrom(segmentation_message(seen.segmentation))


def _trace(result: analytics_pb2.RecognitionResult) -> None:
    """Decoding and recognition as spans, which ended just now. A failure of a frame without a trace begins one."""
    decode_ns, recognise_ns = 1000 * result.timing.decode_us, 1000 * result.timing.recognise_us
    ended = result.recognised_at.ToNanoseconds()
    decoded = ended - recognise_ns
    context = tracer().record(
        TraceContext.parse(result.traceparent),
        [Stretch("decode", decoded - decode_ns, decoded), Stretch("recognise", decoded, ended)],
        {
            "camera": result.frame.camera_id,
            "session": result.frame.session,
            "sequence": result.frame.sequence,
            "task": result.task,
        },
        result.failure,
    )
    if context is not None:
        result.traceparent = context.traceparent


def _empty_result(claimed: Claimed, recogniser: str, task: str) -> analytics_pb2.RecognitionResult:
    session, sequence = store_keys.parse_entry_id(claimed.entry_id)
    return analytics_pb2.RecognitionResult(
        frame=frame_pb2.FrameId(camera_id=claimed.camera_id, session=session, sequence=sequence),
        recogniser=recogniser,
        task="" if task == store_keys.DEFAULT_TASK else task,
    )

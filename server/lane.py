"""One camera in the hands of a worker: its frames, one after the other."""

from __future__ import annotations

import asyncio
import logging

from secondsight.v1 import analytics_pb2
from server import metrics
from server.config import ServerConfig
from server.enhancement_retention import EnhancementRetention
from server.errors import StoreUnavailableError
from server.frame_bus import Claimed, FrameBus, Holding, LeaseLostError, Publishing
from server.leases import Leases
from server.recognising import Recognising
from server.timeline.entry import Entry, entry_of
from server.watch.rules import CameraRules
from server.watch.watch import Watch

_log = logging.getLogger(__name__)


class Lane:
    """Recognises a camera's frames in order, from `run` until `leave` or until another worker has the camera."""

    def __init__(
        self,
        camera_id: str,
        bus: FrameBus,
        leases: Leases,
        recognising: Recognising,
        retention: EnhancementRetention,
        watch: Watch,
        config: ServerConfig,
    ) -> None:
        self.camera_id = camera_id
        self._bus = bus
        self._leases = leases
        self._recognising = recognising
        self._retention = retention
        self._watch = watch
        self._config = config
        self._holding = Holding(camera_id)
        self._leaving = asyncio.Event()

    def leave(self) -> None:
        """Finish the frame in hand and return from `run`."""
        self._leaving.set()

    @property
    def rules(self) -> CameraRules:
        """Those that the camera is under."""
        return self._watch.rules

    def follow(self, rules: CameraRules) -> None:
        """Recognise under these rules from the next frame on."""
        if rules != self.rules:
            _log.info("camera %s is under other rules", self.camera_id)
            self._watch.follow(rules)

    async def run(self) -> None:
        """Recognise frames; wait for the store when it is away. Gives the camera back in the end.

        Raises:
            WorkerStuckError
        """
        try:
            while not self._leaving.is_set():
                try:
                    claimed = await self._bus.claim(self._holding, self._leases)
                    if claimed is not None and not self._leaving.is_set():
                        await self._work_on(claimed)
                except StoreUnavailableError as error:
                    self._holding.may_wait = False
                    _log.error("recognition of camera %s waits: %s", self.camera_id, error)
        except LeaseLostError:
            metrics.LEASES_LOST.inc()
            _log.warning("camera %s is no longer this worker's", self.camera_id)
        await self._give_back()

    async def _work_on(self, claimed: Claimed) -> None:
        if claimed.tries > self._config.tries:
            result = self._recognising.given_up(claimed)
            metrics.FRAMES_GIVEN_UP.labels(claimed.camera_id, self._leases.task).inc()
            became = await self._publish(claimed, result, given_up=result.failure)
        else:
            result = await self._result(claimed)
            became = await self._publish(claimed, result)
        match became:
            case Publishing.PUBLISHED:
                self._count(claimed, result)
            case Publishing.REPEATED:
                _log.info("frame %s of camera %s had a result already", claimed.entry_id, claimed.camera_id)
            case Publishing.TOO_LATE:
                _log.error(
                    "the result of frame %s of camera %s came after a later one and is lost",
                    claimed.entry_id,
                    claimed.camera_id,
                )
            case Publishing.NOT_ITS_TURN:
                self._holding.may_wait = False
            case Publishing.LOST:
                raise LeaseLostError(claimed.camera_id)

    async def _result(self, claimed: Claimed) -> analytics_pb2.RecognitionResult:
        """Recognise, for as long as it takes: to hand the frame out again would count as a worker that died with it."""
        while True:
            try:
                return await self._recognising.result(claimed, self._watch)
            except StoreUnavailableError as error:
                if self._leaving.is_set():
                    raise
                _log.error("frame %s of camera %s waits: %s", claimed.entry_id, self.camera_id, error)
            await asyncio.sleep(self._config.store_pause)

    async def _publish(
        self, claimed: Claimed, result: analytics_pb2.RecognitionResult, given_up: str = ""
    ) -> Publishing:
        """Publish, for as long as it takes: a store that is away or full is no fault of the frame's."""
        message, entry = result.SerializeToString(), self._entry(result)
        while True:
            try:
                # Before it is published: after it, the frame would not be looked at again if this failed.
                await self._retention.note(result)
                return await self._bus.publish(claimed, self._leases, message, given_up, entry)
            except StoreUnavailableError as error:
                if self._leaving.is_set():
                    raise
                _log.error(
                    "the result of frame %s of camera %s waits: %s", claimed.entry_id, self.camera_id, error
                )

    def _entry(self, result: analytics_pb2.RecognitionResult) -> Entry | None:
        """What the result adds to the camera's history; None where none is kept."""
        config = self._config
        if not config.history_days:
            return None
        return entry_of(
            result,
            alert_labels=config.alert_labels,
            alert_score=config.alert_score,
            tracked=self._watch.tracks_things,
            history_days=config.history_days,
        )

    def _count(self, claimed: Claimed, result: analytics_pb2.RecognitionResult) -> None:
        metrics.FRAMES_RECOGNISED.labels(claimed.camera_id).inc()
        if result.failure:
            metrics.FRAMES_FAILED.labels(claimed.camera_id).inc()
            _log.error("frame %s of camera %s: %s", claimed.entry_id, claimed.camera_id, result.failure)
        if result.HasField("captured_at"):
            latency = (result.recognised_at.ToNanoseconds() - result.captured_at.ToNanoseconds()) / 1e9
            metrics.CAPTURE_TO_RESULT_SECONDS.observe(max(0.0, latency))

    async def _give_back(self) -> None:
        try:
            await self._leases.give_back(self.camera_id)
        except StoreUnavailableError as error:
            _log.warning("camera %s is free only when its lease is over: %s", self.camera_id, error)

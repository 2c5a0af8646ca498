"""Which enhancement layers are kept for longer, because something was recognised or somebody says so."""

from __future__ import annotations

import logging

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, frame_pb2
from server import metrics
from server.catalogue import StoredFrame
from server.config import ServerConfig
from server.enhancement_stores import EnhancementStores
from server.enhancement_wanted import Name, Wanted
from server.errors import CameraStoreSilentError
from server.kept_frames import KeptFrames
from server.watch.rules import CameraRules
from server.watch.rules_in_force import RulesInForce

_log = logging.getLogger(__name__)


class EnhancementRetention:
    """Lengthens the lives of layers, with those of the key frames that they are predicted from.

    In a store that the server reaches it does so itself. Where only the edge has the layer, it has the edge told, which
    knows for how long a class is kept there.
    """

    def __init__(
        self,
        stores: EnhancementStores,
        wanted: Wanted,
        kept_frames: KeptFrames,
        rules: RulesInForce,
        config: ServerConfig,
    ) -> None:
        self._stores = stores
        self._kept_frames = kept_frames
        self._wanted = wanted
        self._rules = rules
        self._config = config

    async def note(self, result: analytics_pb2.RecognitionResult) -> None:
        """Keep the layer of a frame in which something was recognised, as long as that deserves.

        Raises:
            StoreUnavailableError
        """
        if not result.detections or not result.enhancement.bytes:
            return
        frame, key = result.frame, result.key_frame
        names = [(frame.session, frame.sequence)]
        if result.HasField("key_frame"):
            names.insert(0, (key.session, key.sequence))
        place = result.enhancement.place
        try:
            if result.alert:
                lifetime = self._of_alerts(self._rules.of(frame.camera_id))
                await self._alert(frame.camera_id, names, place, result, lifetime)
            else:
                await self._detection(frame.camera_id, names, place)
        except CameraStoreSilentError as error:
            _log.warning("layers of what was recognised live no longer than others: %s", error)

    async def keep(self, stored: StoredFrame, seconds: float | None = None) -> None:
        """Keep a frame and its layers for so long, or as long as what somebody has to look at.

        Raises:
            CameraStoreSilentError
            StoreUnavailableError
        """
        frame = stored.frame
        names = [(frame.id.session, frame.id.sequence)]
        if frame.reference_sequence:
            names.insert(0, (frame.reference_session, frame.reference_sequence))
        if seconds is None:
            seconds = self._of_alerts(await self._rules.now(frame.id.camera_id))
        await self._alert(frame.id.camera_id, names, frame.enhancement.place, stored.result, seconds)

    async def _detection(self, camera_id: str, names: list[Name], place: frame_pb2.EnhancementPlace) -> None:
        lifetime = self._of_detections(self._rules.of(camera_id))
        if place == frame_pb2.ENHANCEMENT_PLACE_EDGE:
            await self._wanted.retain(camera_id, names, frame_pb2.RETENTION_DETECTION)
        elif lifetime is not None:
            await self._lengthen(camera_id, names, lifetime)
        else:
            return
        metrics.ENHANCEMENTS_RETAINED.labels(camera_id, "detection").inc()

    async def _alert(
        self,
        camera_id: str,
        names: list[Name],
        place: frame_pb2.EnhancementPlace,
        result: analytics_pb2.RecognitionResult | None,
        lifetime: float,
    ) -> None:
        """The frames are kept, too: without its machine layer an enhancement layer shows nothing."""
        message = None if result is None else result.SerializeToString()
        await self._kept_frames.keep(camera_id, names, message, lifetime)
        if place == frame_pb2.ENHANCEMENT_PLACE_EDGE:
            await self._wanted.retain(camera_id, names, frame_pb2.RETENTION_ALERT)
        # Of a layer that waits at the edge there may be a copy, which somebody has asked for.
        await self._lengthen(camera_id, names, lifetime)
        metrics.ENHANCEMENTS_RETAINED.labels(camera_id, "alert").inc()

    def _of_alerts(self, rules: CameraRules) -> float:
        alert_s = rules.retention.alert_s
        return self._config.retain_alert if alert_s is None else alert_s

    def _of_detections(self, rules: CameraRules) -> float | None:
        detection_s = rules.retention.detection_s
        lifetime = self._config.retain_detection if detection_s is None else detection_s
        return None if lifetime is None else min(lifetime, self._of_alerts(rules))

    async def _lengthen(self, camera_id: str, names: list[Name], seconds: float) -> None:
        """`names` begins with the key frame's, lest the frame's own layer outlive it."""
        keys = [store_keys.enhancement(camera_id, *name) for name in names]
        there = await self._stores.lengthen(camera_id, keys, seconds)
        kept = [name for name, exists in zip(names, there, strict=True) if exists]
        await self._wanted.note_kept(camera_id, kept, seconds)

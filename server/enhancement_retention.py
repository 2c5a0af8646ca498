"""Which enhancement layers are kept for longer, because something was recognised or somebody says so."""

from __future__ import annotations

import logging

from secondsight import store_keys
from secondsight.v1 import analytics_pb2, frame_pb2
from server import metrics
from server.config import ServerConfig
from server.enhancement_stores import EnhancementStores
from server.enhancement_wanted import Name, Wanted
from server.errors import CameraStoreSilentError

_log = logging.getLogger(__name__)


class EnhancementRetention:
    """Lengthens the lives of layers, with those of the key frames that they are predicted from.

    In a store that the server reaches it does so itself. Where only the edge has the layer, it has the edge told, which
    knows for how long a class is kept there.
    """

    def __init__(self, stores: EnhancementStores, wanted: Wanted, config: ServerConfig) -> None:
        self._stores = stores
        self._wanted = wanted
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
        try:
            await self._keep(frame.camera_id, names, result.enhancement.place, self._class(result))
        except CameraStoreSilentError as error:
            _log.warning("layers with detections live no longer than others: %s", error)

    async def keep(self, frame: frame_pb2.Frame) -> None:
        """Keep the layer of a frame as long as layers are kept that somebody has to look at.

        Raises:
            CameraStoreSilentError
            StoreUnavailableError
        """
        names = [(frame.id.session, frame.id.sequence)]
        if frame.reference_sequence:
            names.insert(0, (frame.reference_session, frame.reference_sequence))
        await self._keep(frame.id.camera_id, names, frame.enhancement.place, frame_pb2.RETENTION_ALERT)

    def _class(self, result: analytics_pb2.RecognitionResult) -> frame_pb2.Retention:
        labels, score = self._config.alert_labels, self._config.alert_score
        if any(seen.label in labels and seen.score >= score for seen in result.detections):
            return frame_pb2.RETENTION_ALERT
        return frame_pb2.RETENTION_DETECTION

    async def _keep(
        self,
        camera_id: str,
        names: list[Name],
        place: frame_pb2.EnhancementPlace,
        retention: frame_pb2.Retention,
    ) -> None:
        """`names` begins with the key frame's, lest the frame's own layer outlive it."""
        metrics.ENHANCEMENTS_RETAINED.labels(camera_id, frame_pb2.Retention.Name(retention)).inc()
        if place == frame_pb2.ENHANCEMENT_PLACE_EDGE:
            await self._wanted.retain(camera_id, names, retention)
            return
        alert = retention == frame_pb2.RETENTION_ALERT
        seconds = self._config.retain_alert if alert else self._config.retain_detection
        keys = [store_keys.enhancement(camera_id, *name) for name in names]
        there = await self._stores.lengthen(camera_id, keys, seconds)
        kept = [name for name, exists in zip(names, there, strict=True) if exists]
        await self._wanted.note_kept(camera_id, kept, seconds)

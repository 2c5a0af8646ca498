"""Which rules a camera is under now: those of a file, or those in the store, which may change at any time."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from server.config import ServerConfig
from server.watch.rules import TRACKING_MISSING, CameraRules, Rules, can_track
from server.watch.rules_store import DEFAULT, RulesStore, StoredRules

_log = logging.getLogger(__name__)


class RulesInForce:
    """Rules as they were looked up last. What is stored and cannot be leaves those before it in force.

    Raises:
        RulesError: the configured file cannot be read, or says what cannot be.
    """

    def __init__(self, store: RulesStore, config: ServerConfig) -> None:
        self._store = store
        self._file = None if config.rules is None else Rules.load(config.rules)
        self._held: dict[str | None, bytes | None] = {}
        self._stored: dict[str | None, CameraRules] = {}

    @property
    def file(self) -> Rules | None:
        """Those of the file that governs; None when those in the store do."""
        return self._file

    def of(self, camera_id: str) -> CameraRules:
        """The rules of a camera, as looked up last."""
        if self._file is not None:
            return self._file.of(camera_id)
        return self._stored.get(camera_id) or self._stored.get(DEFAULT) or CameraRules()

    async def look(self, cameras: Iterable[str]) -> None:
        """Look the rules of these cameras up.

        Raises:
            StoreUnavailableError
        """
        if self._file is not None:
            return
        for camera_id, held in (await self._store.read([DEFAULT, *cameras])).items():
            if held != self._held.get(camera_id):
                self._held[camera_id] = held
                self._take(camera_id, StoredRules.of(held))

    async def now(self, camera_id: str) -> CameraRules:
        """The rules of a camera, looked up at once.

        Raises:
            StoreUnavailableError
        """
        await self.look([camera_id])
        return self.of(camera_id)

    def _take(self, camera_id: str | None, stored: StoredRules) -> None:
        whose = "cameras without rules of their own" if camera_id is None else f"camera {camera_id}"
        if stored.fault:
            _log.error(
                "the stored rules of %s cannot be: %s; those before stay in force", whose, stored.fault
            )
        elif stored.rules is None:
            self._stored.pop(camera_id, None)
        elif stored.rules.track and not can_track():
            _log.error("the stored rules of %s %s; nothing is tracked", whose, TRACKING_MISSING)
            self._stored[camera_id] = stored.rules.model_copy(update={"track": False})
        else:
            self._stored[camera_id] = stored.rules

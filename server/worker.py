"""Recognises stored frames and publishes what was seen, beside any number of others that do the same."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from contextlib import suppress

from secondsight.cancelling import cancel_all
from server import metrics
from server.config import ServerConfig
from server.enhancement_retention import EnhancementRetention
from server.errors import StoreUnavailableError
from server.frame_bus import FrameBus
from server.lane import Lane
from server.layers import Layers
from server.recognising import Recognising
from server.recognition import Recogniser
from server.sharing import share_of
from server.told_recogniser import ToldRecogniser
from server.watch.rules_in_force import RulesInForce
from server.watch.watch import Watch

_log = logging.getLogger(__name__)


class Worker:
    """Has its share of the cameras, by leases, and recognises the frames of each in order.

    Workers of one task on any number of machines know each other by the store alone. One that dies, or is not heard of
    for `config.lease` seconds, loses its cameras to the others.
    """

    def __init__(
        self,
        bus: FrameBus,
        layers: Layers,
        recogniser: Recogniser,
        retention: EnhancementRetention,
        rules: RulesInForce,
        config: ServerConfig,
    ) -> None:
        self._bus = bus
        self._retention = retention
        self._rules = rules
        self._config = config
        self._recogniser = recogniser
        self._recognising = Recognising(layers, recogniser, config)
        # Another process of the same name, or the next one, is another worker.
        self.name = f"{config.worker_name or socket.gethostname()}.{os.getpid()}.{secrets.token_hex(3)}"
        self._leases = bus.leases(self.name, config.task)
        self._lanes: dict[Lane, asyncio.Task[None]] = {}
        self._known: set[str] = set()
        self._leaving = asyncio.Event()
        self.has_store = False
        """Whether the store answered when the worker last looked at its leases."""

    @property
    def cameras(self) -> list[str]:
        """Those that the worker has."""
        return sorted(lane.camera_id for lane in self._lanes)

    @property
    def is_leaving(self) -> bool:
        """Whether it was told to leave."""
        return self._leaving.is_set()

    async def run(self) -> None:
        """Recognise frames until `leave`; wait for the store when it is away.

        Raises:
            WarmUpError
            WorkerStuckError: at once, without a wait for the other lanes, which may be stuck behind the one that is.
        """
        try:
            await self._recognising.warm_up()
            await self._tell_recogniser()
            while not self._leaving.is_set():
                try:
                    await self._look()
                    self.has_store = True
                except StoreUnavailableError as error:
                    self.has_store = False
                    _log.error("the worker cannot tell which cameras are its own: %s", error)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._config.lease_look):
                        await self._leaving.wait()
            for lane in self._lanes:
                lane.leave()
            await asyncio.gather(*self._lanes.values())
            with suppress(StoreUnavailableError):
                await self._leases.depart()
        finally:
            metrics.LEASES.labels(self._config.task).set(0)
            for lane in self._lanes:
                lane.leave()
            if not self._recognising.is_stuck:
                await cancel_all(self._lanes.values())

    def leave(self) -> None:
        """Finish the frames in hand, let others have the cameras and return from `run`."""
        self._leaving.set()

    def close(self) -> None:
        """Give the recogniser's thread back."""
        self._recognising.close()

    async def _tell_recogniser(self) -> None:
        """Let people know what this task recognises, whichever process they ask."""
        recogniser, task = self._recogniser, self._config.task
        metrics.RECOGNISER.labels(task, recogniser.name, recogniser.device).set(1)
        told = ToldRecogniser(
            task, recogniser.name, recogniser.labels, recogniser.device, str(recogniser.inputs)
        )
        with suppress(StoreUnavailableError):
            await self._bus.tell_recogniser(task, told.line())

    async def _look(self) -> None:
        """Lengthen the leases, and see to it that the worker has its share of the cameras."""
        for lane, task in list(self._lanes.items()):
            if task.done():
                del self._lanes[lane]
                task.result()
        cameras = await self._bus.cameras()
        for gone in self._known - set(cameras):
            metrics.forget_camera(gone)
        self._known = set(cameras)
        workers = await self._leases.attend()
        holders = await self._leases.holders(cameras)
        share = share_of(self.name, workers, holders, self._config.cameras_at_most)
        lanes = {lane.camera_id: lane for lane in self._lanes}
        for camera_id in share.give_back:
            if camera_id in lanes:
                lanes[camera_id].leave()
        taken = await self._leases.take([camera_id for camera_id in share.take if camera_id not in lanes])
        # A lane may have ended with its lease lost, and the worker may have the lease again before anybody else.
        own = {camera_id for camera_id, holder in holders.items() if holder == self.name}
        await self._rules.look(sorted({*lanes, *taken, *own}))
        for camera_id, lane in lanes.items():
            lane.follow(self._rules.of(camera_id))
        for camera_id in sorted({*taken, *own} - lanes.keys()):
            self._begin(camera_id)
        metrics.LEASES.labels(self._config.task).set(len(self._lanes))

    def _begin(self, camera_id: str) -> None:
        watch = Watch(self._rules.of(camera_id))
        lane = Lane(
            camera_id, self._bus, self._leases, self._recognising, self._retention, watch, self._config
        )
        self._lanes[lane] = asyncio.create_task(lane.run(), name=f"lane of {camera_id}")
        _log.info("camera %s is this worker's (task %s)", camera_id, self._config.task)

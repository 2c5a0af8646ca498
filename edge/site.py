"""The cameras of a process: each goes its own way, over one codec and one budget of encoders."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import traceback
from contextlib import suppress

from edge.backoff import Backoff
from edge.config import EdgeConfig, RestartConfig, SiteConfig
from edge.encoder import Encoder
from edge.encoder_threads import EncoderThreads
from edge.errors import EdgeError
from edge.metrics import SourceState, Tally
from edge.process import EdgeProcess
from edge.spending import Ledger, Spending
from secondsight.cancelling import cancel_all
from secondsight.logs import log_fields
from shared_models import Codec

_LOG = logging.getLogger(__name__)


class Site:
    """Runs all cameras of a configuration until each has come to its end, or until told to stop.

    A camera that fails is begun again, and does not concern the others. Without `SiteConfig.restart` it ends them all.
    """

    def __init__(self, config: SiteConfig, edge_version: str) -> None:
        """
        Raises:
            SourceError, ConfigError: there is no such source, or it cannot be what it is to be; only of cameras that
                are not to be begun again.
        """
        self._threads = EncoderThreads(encoders_of(config))
        self._cameras = [
            _Camera(camera, config.restart, edge_version, self._threads) for camera in config.cameras
        ]

    @property
    def tallies(self) -> dict[str, Tally]:
        """What each camera has counted."""
        return {camera.camera_id: camera.tally for camera in self._cameras}

    def equip(self, codec: Codec) -> None:
        """Encode with `codec`.

        Raises:
            ConfigError: it has no such levels or slices as a camera is to have.
        """
        for camera in self._cameras:
            camera.equip(codec)

    async def run(self, stop: asyncio.Event) -> None:
        """Return after the last frame of the last camera, or some time after `stop`: see `EdgeProcess.run`.

        Raises:
            EdgeError: a camera failed and is not to be begun again.
        """
        over = asyncio.Event()
        tasks = [asyncio.create_task(camera.run(over), name=camera.camera_id) for camera in self._cameras]
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: over.set())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            over.set()
            await asyncio.wait(tasks)
            for task in tasks:
                task.result()
        finally:
            await cancel_all([stopping, *tasks])

    def close(self) -> None:
        """End the encoders' threads, and write down what was spent."""
        self._threads.close()
        for tally in self.tallies.values():
            tally.spending.close()


class _Camera:
    """One camera: its edge, and another one whenever that fails."""

    def __init__(
        self,
        config: EdgeConfig,
        restart: RestartConfig | None,
        edge_version: str,
        threads: EncoderThreads,
    ) -> None:
        self._config = config
        self._restart = restart
        self._edge_version = edge_version
        self._threads = threads
        self._codec: Codec | None = None
        self._edge: EdgeProcess | None = None
        self._keeps_account = False
        self.tally = Tally()
        if restart is None:
            self._open()

    @property
    def camera_id(self) -> str:
        return self._config.camera_id

    def equip(self, codec: Codec) -> None:
        """See `Site.equip`."""
        self._codec = codec
        encoder_of(self._config, codec, self._threads)

    async def run(self, over: asyncio.Event) -> None:
        """To the end of the source, or until `over`."""
        if self._restart is None:
            await self._once(over)
        else:
            with log_fields(camera=self.camera_id):
                await self._again_and_again(self._restart, over)

    async def _again_and_again(self, restart: RestartConfig, over: asyncio.Event) -> None:
        backoff = Backoff(restart.base_s, restart.cap_s, restart.healthy_s)
        while not over.is_set():
            began = time.monotonic()
            try:
                await self._once(over)
                break
            except Exception as error:
                _let_go_of(error)
                backoff.lived(time.monotonic() - began)
                await self._rest(error, backoff.next_wait(), over)

    async def _once(self, over: asyncio.Event) -> None:
        assert self._codec is not None
        edge, self._edge = self._edge or self._open(), None
        await edge.run(encoder_of(self._config, self._codec, self._threads), over)

    def _open(self) -> EdgeProcess:
        if not self._keeps_account:
            self.tally.spending = _spending(self._config)
            self._keeps_account = True
        self._edge = EdgeProcess(self._config, self._edge_version, self.tally)
        return self._edge

    async def _rest(self, error: Exception, wait_s: float, over: asyncio.Event) -> None:
        """Tell that the camera failed, and wait."""
        _LOG.error(
            "camera %s failed: %s; it begins again in %.1f s",
            self.camera_id,
            str(error) or type(error).__name__,
            wait_s,
            # An error that names its remedy needs no trace back.
            exc_info=None if isinstance(error, EdgeError | OSError) else error,
        )
        self.tally.fail()
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await over.wait()
        self.tally.source = SourceState.OPENING


def _let_go_of(error: BaseException) -> None:
    """Empty the frames that a failure leads back to: they hold the failure in turn, and with it all that its edge had.

    Such a cycle waits for a collection of garbage, which may be hours away.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        traceback.clear_frames(each.__traceback__)
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions


def encoders_of(config: SiteConfig) -> int:
    """Frames that are encoded at a time. One for every two CPUs: a frame's layers are computed side by side."""
    return config.encoders or max(1, len(os.sched_getaffinity(0)) // 2)


def encoder_of(camera: EdgeConfig, codec: Codec, threads: EncoderThreads | None = None) -> Encoder:
    """What encodes the frames of a camera.

    Raises:
        ConfigError: the codec has no such levels or slices.
    """
    encoder = Encoder(
        codec,
        camera.quality,
        camera.machine_quality,
        camera.slices,
        camera.frames_at_once,
        camera.longest_group,
        threads,
    )
    if camera.rate is not None:
        encoder.ladder(camera.rate)
    return encoder


def _spending(config: EdgeConfig) -> Spending:
    """The account of the uplink, with its ledger if there is a place for one."""
    ledger = None
    if config.state is not None:
        budget_mb = None if config.rate is None else config.rate.daily_mb
        # Written ahead by a hundredth of the day.
        step_bytes = round((budget_mb or 100.0) * 1e4)
        ledger = Ledger(config.state / f"{config.camera_id}.json", step_bytes)
    return Spending(counts_enhancement=config.rate is not None and config.rate.both_layers, ledger=ledger)

"""Where results come from: a server, asked as any other client asks it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from secondsight.client import AsyncClient, AsyncSubscription, ClientError, Result, Settings, Tls
from server.errors import RelayConfigError, RelayPositionsError
from server.relay import metrics
from server.relay.config import RelayConfig, Target, read_secret
from server.relay.pauses import pause
from server.relay.positions import TargetPositions
from server.relay.status import Status

_FIRST_PAUSE: Final = 1.0
_LOOK: Final = 0.1

_log = logging.getLogger(__name__)


class Source:
    """The server of a relay."""

    def __init__(self, config: RelayConfig) -> None:
        self._config = config
        self.longest_pause = config.longest_pause_s

    def settings(self) -> Settings:
        """For one connection: a key that was exchanged is read anew.

        Raises:
            RelayConfigError: the key cannot be read.
            SettingsError: a setting cannot be.
        """
        config = self._config
        key = None if config.api_key_file is None else read_secret(config.api_key_file, "API key")
        return Settings(
            server=config.server,
            grpc=config.grpc,
            api_key=key,
            tls=Tls(ca=config.ca, certificate=config.certificate, key=config.key),
        )

    async def follow(
        self,
        name: str,
        target: Target,
        positions: TargetPositions,
        status: Status,
        deliver: Callable[[Result], Awaitable[None]],
    ) -> None:
        """Hand a target one result after the other, each at least once, until cancelled.

        A result counts as dealt with when `deliver` returns; what it raises ends this. While it takes its time nothing
        is read, and the server keeps what comes, as long as it keeps results.
        """
        failures = 0
        while True:
            try:
                async with (
                    AsyncClient(self.settings()) as client,
                    client.subscribe(
                        target.cameras,
                        task=target.task,
                        # Of a camera without a position all is wanted that came since this target began.
                        start=target.start if positions.first_start else "earliest",
                        resume_after=positions.cameras,
                    ) as results,
                ):
                    looking = asyncio.create_task(_look(results, status, positions))
                    try:
                        async for result in results:
                            failures = 0
                            if result.missed:
                                metrics.MISSED.labels(name).inc()
                                _log.error(
                                    "target %s: results of camera %s before frame %s were no longer kept by the "
                                    "server: it is behind by more than `secondsight server --results-kept`",
                                    name,
                                    result.camera,
                                    result.frame,
                                )
                            if target.start == "earliest" or not positions.is_older(result):
                                await deliver(result)
                                status.done_with(result)
                            results.done()
                            await positions.move(results.positions)
                    finally:
                        looking.cancel()
            except (ClientError, RelayConfigError) as error:
                failures += 1
                wait = pause(failures, _FIRST_PAUSE, self._config.longest_pause_s)
                status.trouble("server", str(error))
                _log.warning("target %s: %s; trying again in %.0f s", name, error, wait)
                await asyncio.sleep(wait)


async def _look(results: AsyncSubscription, status: Status, positions: TargetPositions) -> None:
    """Tell whether the subscription stands, which goes through many connections; save positions that rest."""
    while True:
        with suppress(RelayPositionsError):  # whoever moves them is told
            await positions.save_in_time()
        if results.connected:
            status.well("server")
        else:
            status.trouble("server", "not connected")
        await asyncio.sleep(_LOOK)

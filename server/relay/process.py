"""The relay's process: its targets side by side, and its probes."""

from __future__ import annotations

import asyncio
import fcntl
import os

from secondsight.cancelling import cancel_all
from server.errors import RelayConfigError
from server.http_server import HttpServer
from server.parts import Parts
from server.private_file import make_private_folder
from server.relay.config import RelayConfig, Target
from server.relay.dead_letters import DeadLetters
from server.relay.mqtt import Mqtt
from server.relay.positions import TargetPositions
from server.relay.probes import Outlet, create_probes
from server.relay.source import Source
from server.relay.webhook import Webhook


class Relay:
    """Everything that a relay does. `start`, then `stop`.

    Raises:
        RelayConfigError: a file that the configuration names cannot be used, or another relay has the folder.
        RelayPositionsError
        SettingsError: a setting of the server cannot be.
    """

    def __init__(self, config: RelayConfig) -> None:
        self._config = config
        self._lock = _hold(config)
        source = Source(config)
        source.settings()
        self.outlets: list[Outlet] = [
            *(
                Mqtt(name, target, source, self._positions(name, target), config.links_to)
                for name, target in config.mqtt.items()
            ),
            *(
                Webhook(
                    name,
                    target,
                    source,
                    self._positions(name, target),
                    DeadLetters.of(config, name),
                    config.links_to,
                )
                for name, target in config.webhooks.items()
            ),
        ]
        self._http = HttpServer(create_probes(self.outlets), config.listen, config.drain_grace_s)
        self._parts = Parts("relay")
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Answer probes and begin to hand on.

        Raises:
            OSError: the address cannot be listened on.
        """
        self.http_address = self._http.listen()
        self._parts.begin("probes", self._http.serve_there())
        self._running = [asyncio.create_task(outlet.run(), name=outlet.name) for outlet in self.outlets]

    async def failed(self) -> None:
        """Return never; raise when a part has ended by itself."""
        ending = asyncio.create_task(self._parts.failed())
        try:
            done, _ = await asyncio.wait([ending, *self._running], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
                raise RuntimeError(f"the relay's {task.get_name()} ended by itself")
        finally:
            ending.cancel()

    async def stop(self) -> None:
        """End. What is in hand comes again after the next start, unless its receiver has it."""
        await cancel_all(self._running)
        self._http.should_exit = True
        await self._parts.end(within=2 * self._config.drain_grace_s)
        os.close(self._lock)

    def _positions(self, name: str, target: Target) -> TargetPositions:
        return TargetPositions(
            self._config.data / f"{name}.json", target.task, save_every=self._config.save_every_s
        )


def _hold(config: RelayConfig) -> int:
    """The lock of the folder, until it is closed."""
    try:
        make_private_folder(config.data)
        lock = os.open(config.data / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RelayConfigError(
            f"{config.data} cannot be written: {error}; give another folder as `data`"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise RelayConfigError(
            f"another relay has {config.data}: end it, or give this one another folder as `data`"
        ) from error
    return lock

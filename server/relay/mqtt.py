"""Results to an MQTT broker: counts and states that stay there, events that pass."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import aiomqtt

from secondsight.cancelling import first_of
from secondsight.client import AsyncClient, ClientError, Result
from server.errors import RelayConfigError
from server.relay import metrics
from server.relay.config import MqttTarget, read_secret, tls_of
from server.relay.frigate import FrigateEvents
from server.relay.home_assistant import Discovery, Entity
from server.relay.pauses import pause
from server.relay.positions import TargetPositions
from server.relay.sightings import Key, Sightings
from server.relay.source import Source
from server.relay.status import Status
from server.relay.told import detections_told
from server.relay.topics import OFFLINE, ONLINE, Topics

_FIRST_PAUSE: Final = 1.0
_STEPS: Final = 4
"""Of the time for which things are held, after each of which counts are looked at."""

_log = logging.getLogger(__name__)
_log_of_client = logging.getLogger("server.relay.mqtt.client")
_log_of_client.setLevel(logging.ERROR)


class Mqtt:
    """One broker.

    Raises:
        RelayConfigError: a file of it cannot be used.
    """

    def __init__(
        self, name: str, target: MqttTarget, source: Source, positions: TargetPositions, links_to: str
    ) -> None:
        self.name = name
        self.status = Status(name)
        self._target = target
        self._source = source
        self._positions = positions
        self._links_to = links_to
        self._topics = Topics(target.prefix)
        self._discovery = (
            None
            if target.home_assistant is None
            else Discovery(self._topics, target.home_assistant, links_to)
        )
        self._events = FrigateEvents(links_to)
        self._cameras: dict[str, Sightings] = {}
        self._shown: dict[str, str] = {}
        """What the broker keeps, by topic, as far as this connection has told it."""
        self._tls = tls_of(target.ca, target.certificate, target.key) if target.secure else None
        password_of(target)

    async def run(self) -> None:
        """Hand on until cancelled, over as many connections as it takes."""
        failures = 0
        await self._positions.save()
        try:
            while True:
                began = asyncio.get_running_loop().time()
                why = await self._connection()
                lasted = asyncio.get_running_loop().time() - began
                failures = 1 if lasted > self._target.keepalive_s else failures + 1
                self.status.trouble("receiver", why)
                wait = pause(failures, _FIRST_PAUSE, self._source.longest_pause)
                _log.warning("target %s: %s; trying again in %.0f s", self.name, why, wait)
                await asyncio.sleep(wait)
        finally:
            await self._positions.save()

    async def _connection(self) -> str:
        """Hand on over one connection; gives why it ended."""
        try:
            async with self._client() as self._broker:
                self.status.well("receiver")
                self._shown.clear()
                try:
                    await self._greet()
                    await first_of(
                        self._listen(),
                        self._keep_counts(),
                        self._keep_states(),
                        self._source.follow(
                            self.name, self._target, self._positions, self.status, self._deliver
                        ),
                    )
                except asyncio.CancelledError:
                    # Whoever ends in order says so; the broker tells of everybody else.
                    with suppress(aiomqtt.MqttError):
                        await self._publish(self._topics.available, OFFLINE, retain=True)
                    raise
        except (aiomqtt.MqttError, RelayConfigError, OSError) as error:
            return str(error)
        return "the connection ended"

    def _client(self) -> aiomqtt.Client:
        target = self._target
        return aiomqtt.Client(
            target.host,
            target.port,
            username=target.username,
            password=password_of(target),
            identifier=target.client_id or f"secondsight-relay-{self.name}",
            will=aiomqtt.Will(self._topics.available, OFFLINE, qos=1, retain=True),
            tls_context=self._tls,
            keepalive=target.keepalive_s,
            timeout=target.answer_within_s,
            logger=_log_of_client,
        )

    async def _greet(self) -> None:
        for topic in self._topics.counts_filters:
            await self._broker.subscribe(topic, qos=1)
        if self._discovery is not None:
            await self._broker.subscribe(self._discovery.birth, qos=1)
        await self._publish(self._topics.available, ONLINE, retain=True)
        await self._tell_home_assistant()
        await self._show_counts(self._cameras)

    async def _listen(self) -> None:
        """Learn what an earlier life of this relay has counted, and when Home Assistant has begun anew."""
        async for message in self._broker.messages:
            if self._discovery is not None and message.topic.matches(self._discovery.birth):
                if message.payload == ONLINE.encode():
                    await self._tell_home_assistant()
                continue
            counted = self._topics.counted(str(message.topic)) if message.retain else None
            if counted is not None and message.payload:
                camera, key = counted
                sightings = await self._sightings(camera)
                if key not in dict(sightings.counts()):
                    sightings.know(key)
                    await self._show_counts([camera])

    async def _keep_counts(self) -> None:
        while True:
            await asyncio.sleep(self._target.hold_s / _STEPS)
            await self._show_counts(list(self._cameras))

    async def _keep_states(self) -> None:
        """Of the cameras, as the server lists them."""
        while True:
            try:
                async with AsyncClient(self._source.settings()) as client:
                    cameras = await client.cameras()
                for camera in cameras:
                    if not self._target.cameras or camera.camera in self._target.cameras:
                        await self._sightings(camera.camera)
                        await self._show(self._topics.state(camera.camera), camera.state or "live")
            except ClientError as error:
                _log.info("target %s: the state of the cameras: %s", self.name, error)
            await asyncio.sleep(self._target.look_s)

    async def _deliver(self, result: Result) -> None:
        target = self._target
        wanted = [each for each in result.detections if target.wants(each.label, each.score)]
        for event in result.events:
            if target.wants(event.detection.label, event.detection.score):
                await self._publish(self._topics.events, json.dumps(self._events.of(result, event)))
        if target.results:
            told = detections_told(result, wanted, self._links_to, alert=False)
            await self._publish(self._topics.results, json.dumps({"id": told.id, **told.data}))
        age = datetime.now(UTC) - result.recognised_at
        if age.total_seconds() <= target.state_age_s:
            (await self._sightings(result.camera)).add(result, wanted)
            await self._show_counts([result.camera])

    async def _sightings(self, camera: str) -> Sightings:
        if camera not in self._cameras:
            self._cameras[camera] = Sightings(self._target.hold_s, self._target.most_labels)
            if self._discovery is not None:
                await self._publish_entities(self._discovery.of_camera(camera))
        return self._cameras[camera]

    async def _show_counts(self, cameras: Iterable[str]) -> None:
        for camera in list(cameras):
            sightings = self._cameras[camera]
            # A broker may take longer for the counts than an alert lasts.
            alert = sightings.alert
            for key, count in list(sightings.counts()):
                topic = self._topics.count(camera, key)
                if topic not in self._shown:
                    await self._announce(camera, key)
                await self._show(topic, str(count))
            await self._show(self._topics.alert(camera), "ON" if alert or sightings.alert else "OFF")

    async def _announce(self, camera: str, key: Key) -> None:
        if self._discovery is not None:
            await self._publish_entities(self._discovery.of_count(camera, key))

    async def _tell_home_assistant(self) -> None:
        for camera, sightings in list(self._cameras.items()):
            if self._discovery is not None:
                await self._publish_entities(self._discovery.of_camera(camera))
            for key, _ in list(sightings.counts()):
                await self._announce(camera, key)

    async def _publish_entities(self, entities: Iterable[Entity]) -> None:
        for topic, payload in entities:
            await self._publish(topic, json.dumps(payload), retain=True)

    async def _show(self, topic: str, payload: str) -> None:
        """Have the broker keep this, unless it does."""
        if self._shown.get(topic) != payload:
            await self._publish(topic, payload, retain=True)
            self._shown[topic] = payload

    async def _publish(self, topic: str, payload: Any, *, retain: bool = False) -> None:
        """Returns when the broker has it."""
        await self._broker.publish(topic, payload, qos=1, retain=retain, timeout=self._target.answer_within_s)
        metrics.MESSAGES.labels(self.name).inc()


def password_of(target: MqttTarget) -> str | None:
    """For its broker.

    Raises:
        RelayConfigError: it cannot be read.
    """
    path = target.password_file
    return None if path is None else read_secret(path, "MQTT password")

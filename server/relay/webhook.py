"""Results as events, one after the other, for whoever takes them by POST."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

from secondsight.client import Result
from server.relay import metrics
from server.relay.config import Kind, WebhookTarget
from server.relay.dead_letters import DeadLetters
from server.relay.pauses import pause
from server.relay.positions import TargetPositions
from server.relay.receiver import GoneError, Receiver
from server.relay.source import Source
from server.relay.status import Status
from server.relay.told import (
    Told,
    detections_told,
    failure_told,
    gap_told,
    rfc3339,
    thing_told,
)

_log = logging.getLogger(__name__)


class Webhook:
    """One address that takes events.

    Raises:
        RelayConfigError: a file of it cannot be used.
    """

    def __init__(
        self,
        name: str,
        target: WebhookTarget,
        source: Source,
        positions: TargetPositions,
        dead: DeadLetters,
        links_to: str,
    ) -> None:
        self.name = name
        self.status = Status(name)
        self._target = target
        self._source = source
        self._positions = positions
        self._dead = dead
        self._links_to = links_to
        self._receiver = Receiver(name, target)
        self._alerted_at: dict[str, float] = {}

    async def run(self) -> None:
        """Hand on until cancelled, or for as long as the receiver does not say that it is gone for good."""
        async with self._receiver.reached():
            self.status.well("receiver")
            await self._positions.save()
            try:
                await self._source.follow(
                    self.name, self._target, self._positions, self.status, self._deliver
                )
            except GoneError:
                self.status.trouble("receiver", "it answered 410: gone for good")
                _log.error(
                    "target %s: its receiver answered 410, gone for good; nothing more is sent before the relay is "
                    "started again. What is not sent waits at the server, as long as that keeps results",
                    self.name,
                )
                await asyncio.Event().wait()
            finally:
                await self._positions.save()

    async def _deliver(self, result: Result) -> None:
        for told in self._told(result):
            await self._send(told)

    def _told(self, result: Result) -> Iterator[Told]:
        target, events, address = self._target, self._target.events, self._links_to
        if Kind.FAILURES in events and result.missed:
            yield gap_told(result, address)
        if Kind.FAILURES in events and result.failure:
            yield failure_told(result, address)
        if Kind.THINGS in events:
            for event in result.events:
                if target.wants(event.detection.label, event.detection.score):
                    yield thing_told(result, event, address)
        wanted = [each for each in result.detections if target.wants(each.label, each.score)]
        if Kind.ALERTS in events and result.alert and wanted:
            before = self._alerted_at.get(result.camera)
            self._alerted_at[result.camera] = moment = result.captured_at.timestamp()
            if before is None or moment - before > target.alert_pause_s:
                yield detections_told(result, wanted, address, alert=True)
        if Kind.RESULTS in events and wanted:
            yield detections_told(result, wanted, address, alert=False)

    async def _send(self, told: Told) -> None:
        """Until it is taken, or is a dead letter."""
        document = self._document(told)
        failures = 0
        while True:
            refusal = await self._receiver.post(told.id, document)
            if refusal is None:
                self.status.well("receiver")
                metrics.EVENTS.labels(self.name, "delivered").inc()
                return
            failures += 1
            why = refusal.why
            self.status.trouble("receiver", why)
            if refusal.wait_s is None or failures >= self._target.attempts:
                _log.error("target %s: event %s is a dead letter: %s", self.name, told.id, why)
                await self._dead.keep(told.id, document, why, failures)
                metrics.EVENTS.labels(self.name, "dead").inc()
                return
            wait = max(
                refusal.wait_s, pause(failures, self._target.first_wait_s, self._target.longest_wait_s)
            )
            _log.warning("target %s: event %s: %s; trying again in %.0f s", self.name, told.id, why, wait)
            await asyncio.sleep(wait)

    def _document(self, told: Told) -> dict[str, Any]:
        if self._target.form == "plain":
            return {"id": told.id, "type": told.type, "time": rfc3339(told.time), **told.data}
        return {
            "specversion": "1.0",
            "id": told.id,
            "source": f"{self._links_to}/v1/cameras/{told.camera}",
            "type": told.type,
            "subject": told.frame,
            "time": rfc3339(told.time),
            "datacontenttype": "application/json",
            "data": told.data,
        }

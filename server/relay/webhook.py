"""Events by POST, signed as Standard Webhooks says (https://www.standardwebhooks.com), one after the other."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import ssl
import time
from collections.abc import Iterable, Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import httpx

from secondsight.client import Result
from server.errors import RelayConfigError
from server.relay import metrics
from server.relay.config import Kind, WebhookTarget, signing_key
from server.relay.dead_letters import DeadLetters
from server.relay.pauses import pause
from server.relay.positions import TargetPositions
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

_UNTAKABLE: Final = frozenset({400, 413, 415, 422})
"""Answers that say that this very event will never be taken."""

_log = logging.getLogger(__name__)


def signature(keys: Iterable[bytes], event: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``: one signature by each key."""
    signed = f"{event}.{timestamp}.".encode() + body
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


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
        self._keys = [signing_key(path) for path in target.secret_files]
        try:
            self._tls = ssl.create_default_context(cafile=target.ca)
        except (OSError, ssl.SSLError) as error:
            raise RelayConfigError(f"{target.ca} holds no certificates in PEM: {error}") from error
        self._alerted_at: dict[str, float] = {}

    async def run(self) -> None:
        """Hand on until cancelled, or for as long as the receiver does not say that it is gone for good."""
        # Not through a proxy, and not to where a redirect says: events go to the address that was configured.
        async with httpx.AsyncClient(
            verify=self._tls,
            timeout=self._target.answer_within_s,
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "secondsight-relay"},
        ) as self._http:
            self.status.well("receiver")
            await self._positions.save()
            try:
                await self._source.follow(
                    self.name, self._target, self._positions, self.status, self._deliver
                )
            except _GoneError:
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
        body = json.dumps(self._body(told), ensure_ascii=False, separators=(",", ":")).encode()
        failures = 0
        while True:
            why, asked = await self._attempt(told, body)
            if why is None:
                self.status.well("receiver")
                metrics.EVENTS.labels(self.name, "delivered").inc()
                return
            failures += 1
            self.status.trouble("receiver", why)
            if asked is None or failures >= self._target.attempts:
                _log.error("target %s: event %s is a dead letter: %s", self.name, told.id, why)
                await self._dead.keep(told.id, json.loads(body), why, failures)
                metrics.EVENTS.labels(self.name, "dead").inc()
                return
            wait = max(asked, pause(failures, self._target.first_wait_s, self._target.longest_wait_s))
            _log.warning("target %s: event %s: %s; trying again in %.0f s", self.name, told.id, why, wait)
            await asyncio.sleep(wait)

    async def _attempt(self, told: Told, body: bytes) -> tuple[str | None, float | None]:
        """Why it failed, and seconds that the receiver asks to be left alone for, None if for ever; or None.

        Raises:
            _GoneError
        """
        timestamp = int(time.time())
        headers = {
            "Content-Type": "application/cloudevents+json; charset=UTF-8"
            if self._target.form == "cloudevents"
            else "application/json",
            "webhook-id": told.id,
            "webhook-timestamp": str(timestamp),
        }
        if self._keys:
            headers["webhook-signature"] = signature(self._keys, told.id, timestamp, body)
        try:
            # What the receiver says beside its status is of no use, so it is not read.
            async with (
                asyncio.timeout(self._target.answer_within_s),
                self._http.stream("POST", self._target.url, content=body, headers=headers) as answer,
            ):
                status, retry_after = answer.status_code, answer.headers.get("retry-after", "")
                location = answer.headers.get("location", "")
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            metrics.ATTEMPTS_FAILED.labels(self.name, "none").inc()
            return f"no answer ({type(error).__name__}: {error})", 0.0
        if 200 <= status < 300:
            return None, None
        metrics.ATTEMPTS_FAILED.labels(self.name, str(status)).inc()
        if status == HTTPStatus.GONE:
            raise _GoneError
        if 300 <= status < 400:
            return f"it answered {status}, to {location!r}: give that address if it is to be trusted", 0.0
        if status in _UNTAKABLE:
            return f"it answered {status}: it does not take such an event", None
        return f"it answered {status}", min(retry_after_seconds(retry_after), self._target.longest_wait_s)

    def _body(self, told: Told) -> dict[str, Any]:
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


class _GoneError(Exception):
    """The receiver wants nothing more, ever (410)."""


def retry_after_seconds(retry_after: str) -> float:
    """Of the header Retry-After: seconds, or a date; 0 for neither."""
    if retry_after.isdecimal():
        return float(retry_after[:9])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 0.0

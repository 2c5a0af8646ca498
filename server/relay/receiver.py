"""Who takes events by POST, signed as Standard Webhooks says (https://www.standardwebhooks.com)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import httpx

from server.relay import metrics
from server.relay.config import WebhookTarget, signing_key, tls_of

_UNTAKABLE: Final = frozenset({400, 413, 415, 422})
"""Answers that say that this very event will never be taken."""


@dataclass(frozen=True)
class Refusal:
    """Why an event was not taken, and seconds that the receiver asks to be left alone for, None if for ever."""

    why: str
    wait_s: float | None


class GoneError(Exception):
    """The receiver wants nothing more, ever (410)."""


class Receiver:
    """The address of one target.

    Raises:
        RelayConfigError: a file of the target cannot be used.
    """

    def __init__(self, name: str, target: WebhookTarget) -> None:
        self._name = name
        self._target = target
        self._keys = [signing_key(path) for path in target.secret_files]
        self._tls = tls_of(target.ca)

    @asynccontextmanager
    async def reached(self) -> AsyncIterator[None]:
        """Connections to it are kept within."""
        # Not through a proxy, and not to where a redirect says: events go to the address that was configured.
        async with httpx.AsyncClient(
            verify=self._tls,
            timeout=self._target.answer_within_s,
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "secondsight-relay"},
        ) as self._http:
            yield

    async def post(self, event: str, document: dict[str, Any]) -> Refusal | None:
        """Give it an event once; why it was not taken, if it was not.

        Raises:
            GoneError
        """
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        timestamp = int(time.time())
        headers = {
            "Content-Type": "application/cloudevents+json; charset=UTF-8"
            if "specversion" in document
            else "application/json",
            "webhook-id": event,
            "webhook-timestamp": str(timestamp),
        }
        if self._keys:
            headers["webhook-signature"] = signature(self._keys, event, timestamp, body)
        try:
            # What the receiver says beside its status is of no use, so it is not read.
            async with (
                asyncio.timeout(self._target.answer_within_s),
                self._http.stream("POST", self._target.url, content=body, headers=headers) as answer,
            ):
                status, retry_after = answer.status_code, answer.headers.get("retry-after", "")
                location = answer.headers.get("location", "")
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            metrics.ATTEMPTS_FAILED.labels(self._name, "none").inc()
            return Refusal(f"no answer ({type(error).__name__}: {error})", 0.0)
        if 200 <= status < 300:
            return None
        metrics.ATTEMPTS_FAILED.labels(self._name, str(status)).inc()
        if status == HTTPStatus.GONE:
            raise GoneError
        if 300 <= status < 400:
            return Refusal(
                f"it answered {status}, to {location!r}: give that address if it is to be trusted", 0.0
            )
        if status in _UNTAKABLE:
            return Refusal(f"it answered {status}: it does not take such an event", None)
        wait_s = min(retry_after_seconds(retry_after), self._target.longest_wait_s)
        return Refusal(f"it answered {status}", wait_s)


def signature(keys: Iterable[bytes], event: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``: one signature by each key."""
    signed = f"{event}.{timestamp}.".encode() + body
    digests = (hmac.digest(key, signed, hashlib.sha256) for key in keys)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


def retry_after_seconds(retry_after: str) -> float:
    """Of the header Retry-After: seconds, or a date; 0 for neither."""
    if retry_after.isdecimal():
        return float(retry_after[:9])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 0.0

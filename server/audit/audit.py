"""The server's audit: records are written off the event loop, and nothing goes on without them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from server import metrics
from server.access.throttle import Throttle
from server.audit.chain import Chain
from server.audit.record import Event
from server.config import ServerConfig
from server.errors import AuditUnavailableError, TooManyRequestsError

_REFUSALS_PER_MINUTE = 10
"""From one address,"""
_MOST_REFUSALS_PER_MINUTE = 60
"""and from all."""

_log = logging.getLogger(__name__)


class Audit:
    """Writes down who asked for what, in `folder`."""

    def __init__(self, config: ServerConfig) -> None:
        self.folder = config.audit_folder
        self._chain = Chain.of(config)
        self._refusals = Throttle("refusals", _REFUSALS_PER_MINUTE)
        self._all_refusals = Throttle("refusals", _MOST_REFUSALS_PER_MINUTE)
        self._unwritten = 0

    async def record(self, event: Event) -> None:
        """Return once it is on disk.

        Raises:
            AuditUnavailableError: it cannot be written.
        """
        # Shielded: whoever asked may go away, and the thread writes on all the same.
        await asyncio.shield(asyncio.to_thread(self.write, event))

    def write(self, event: Event) -> None:
        """Write a record from a thread that may wait for the disk.

        Raises:
            AuditUnavailableError: it cannot be written.
        """
        try:
            self._chain.append(event)
        except (OSError, ValueError) as error:
            metrics.AUDIT_FAILURES.inc()
            _log.error("the audit cannot be written: %s", error)
            raise AuditUnavailableError from error

    async def record_refusal(self, event: Event) -> None:
        """Write down what was refused. Beyond a number a minute it is counted, and the next record tells how many were.

        A stranger must not fill the disk.

        Raises:
            AuditUnavailableError
        """
        try:
            self._refusals.take(event.address)
            self._all_refusals.take("")
        except TooManyRequestsError:
            self._unwritten += 1
            return
        if self._unwritten:
            event = replace(
                event, detail=f"{event.detail} ({self._unwritten} more were refused before)".strip()
            )
            self._unwritten = 0
        await self.record(event)

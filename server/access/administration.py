"""Changes of who is let in, made over REST by an admin: each on record before it holds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from server.access.access import Access
from server.access.changes import Change, make
from server.access.register import Register
from server.access.throttle import Throttle
from server.audit.audit import Audit
from server.audit.record import Event, Outcome, Subject
from server.config import ServerConfig
from server.errors import AccessError, AccessFileError


class Administration:
    """Changes the access file, beside other servers and `secondsight access`, which do the same."""

    def __init__(self, access: Access, audit: Audit, config: ServerConfig) -> None:
        self._access = access
        self._audit = audit
        self._made = Throttle("one-time passwords, keys and tokens", config.credentials_per_minute)

    def may_make_credential(self, by: Event) -> None:
        """Count one more password, key or token that somebody makes.

        Raises:
            AccessOffError
            TooManyRequestsError
        """
        _ = self._access.file
        self._made.take(by.principal)

    async def make(self, change: Change, by: Event) -> Register:
        """Make a change once it is on record; one that makes no sense is on record as refused.

        Args:
            by: who asks, from where (`server.rest.disclosure.event_of`).

        Raises:
            AccessError: it makes no sense, or the access file cannot be changed.
            AuditUnavailableError: nothing was changed.
        """
        file = self._access.file
        event = replace(by, subject=Subject.ACCESS, outcome=Outcome.DONE)
        try:
            # Shielded: whoever asked may go away, and the thread goes on all the same.
            return await asyncio.shield(
                asyncio.to_thread(make, change, file, self._audit.write, event, may_begin=False)
            )
        except AccessFileError:
            raise  # which is on record as failed
        except AccessError as error:
            told = f"not done: {change.told}: {error}"
            await self._audit.record_refusal(
                replace(event, outcome=Outcome.REFUSED, camera=change.camera, detail=told)
            )
            raise

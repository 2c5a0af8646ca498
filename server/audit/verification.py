"""Whether the audit is as it was written, for those who ask a running server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from server.audit.verify import Findings, verify

_HOLDS_FOR: Final = 10
"""Times as long as it took, so that it never takes more than a tenth of a processor."""


@dataclass(frozen=True)
class Verified:
    """What was found, and when the search began and ended."""

    found: Findings
    at: datetime
    ended: datetime


class Verification:
    """Follows the whole chain, once at a time however many ask: that takes half a minute for a million records."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: Verified | None = None
        self._under_way: asyncio.Task[Verified] | None = None

    async def verified(self) -> Verified:
        """What following the chain finds, or found just before.

        Raises:
            AuditError: it cannot be read.
        """
        last = self._last
        if last is not None and datetime.now(UTC) < last.ended + _HOLDS_FOR * (last.ended - last.at):
            return last
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._verify(), name="verification of the audit")
        # Shielded: others may wait for the same.
        return await asyncio.shield(self._under_way)

    async def _verify(self) -> Verified:
        try:
            at = datetime.now(UTC)
            found = await asyncio.to_thread(verify, self._folder)
            self._last = Verified(found, at, datetime.now(UTC))
            return self._last
        finally:
            self._under_way = None

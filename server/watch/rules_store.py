"""Rules of cameras in the store, each camera's under a key of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from redis.asyncio import Redis

from secondsight import store_keys
from server.errors import ChangedMeanwhileError
from server.store.asking import asking_store
from server.watch.rules import CameraRules, told_faults

DEFAULT: Final = None
"""In the place of a camera's name: the rules of cameras that have none of their own."""
UNSET: Final = "unset"
"""Tag of rules that nobody has set."""
_MOST_BYTES: Final = 256 * 1024

_REPLACE: Final = """#!lua flags=allow-oom
if ARGV[1] ~= '*' then
  local held = redis.call('GET', KEYS[1])
  if (held and redis.sha1hex(held) or 'unset') ~= ARGV[1] then return 0 end
end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1
"""
"""KEYS: rules. ARGV: the tag that they have to have (``*``: any), what takes their place (empty: nothing). Gives
whether it did."""


@dataclass(frozen=True)
class StoredRules:
    """What the store holds.

    Attributes:
        tag: differs whenever it was changed.
        rules: None where nothing is stored, or nothing that can be.
        fault: why what is stored cannot be; empty when all is well.
    """

    tag: str
    rules: CameraRules | None = None
    fault: str = ""

    @classmethod
    def of(cls, held: bytes | None) -> StoredRules:
        """What was found under a key."""
        if held is None:
            return cls(UNSET)
        tag = hashlib.sha1(held, usedforsecurity=False).hexdigest()
        if len(held) > _MOST_BYTES:
            return cls(tag, fault=f"it has {len(held)} bytes; {_MOST_BYTES} are the most")
        try:
            return cls(tag, CameraRules.model_validate_json(held))
        except ValidationError as error:
            return cls(tag, fault=told_faults(error))


class RulesStore:
    """Reads and changes them. Every method may raise StoreUnavailableError."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def read(self, cameras: Iterable[str | None]) -> dict[str | None, bytes | None]:
        """What is held for these cameras, or for `DEFAULT`, unread."""
        names = list(cameras)
        # Each key may lie on another node.
        pipeline = self._redis.pipeline(transaction=False)
        for camera_id in names:
            pipeline.get(_key(camera_id))
        with asking_store():
            return dict(zip(names, await pipeline.execute(), strict=True))

    async def replace(self, camera_id: str | None, rules: CameraRules | None, expected: str | None) -> str:
        """Put rules in the place of those with the tag `expected`, or of any if it is None; gives their tag.

        Args:
            rules: None to have none.

        Raises:
            ChangedMeanwhileError: others are there by now.
        """
        held = b"" if rules is None else rules.model_dump_json(exclude_defaults=True).encode()
        with asking_store():
            replaced = await self._redis.eval(_REPLACE, 1, _key(camera_id), expected or "*", held)
        if not replaced:
            raise ChangedMeanwhileError("these rules")
        return StoredRules.of(held or None).tag


def _key(camera_id: str | None) -> str:
    return store_keys.DEFAULT_RULES if camera_id is None else store_keys.rules(camera_id)

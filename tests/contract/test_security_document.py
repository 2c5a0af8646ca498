"""What docs/security.md promises of the store holds on a real one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from edge.backoff import Backoff
from edge.enhancement_store import EnhancementStore
from edge.errors import EnhancementUnavailableError
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
from tests.conftest import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(StoreConfig(data=tmp_path, port=0)) as running:
        yield running


async def test_a_camera_with_the_acl_reaches_its_own_layers_alone(store: EmbeddedStore) -> None:
    rule = re.search(r"^ACL SETUSER .*$", DOCUMENT, re.MULTILINE)
    assert rule is not None
    with redis.Redis.from_url(store.url) as admin:
        admin.execute_command(*rule[0].split())
        admin.set("{yard}:enhancement:1-1", b"of another camera")
    url = store.url.replace("redis://", "redis://gate:PASSWORD@")
    own, other = (EnhancementStore(url, camera_id, 5.0, Backoff(0.0, 0.0)) for camera_id in ("gate", "yard"))
    try:
        await own.write((1, 1), b"a key frame's", 60_000)
        assert await own.write((1, 2), b"a predicted frame's", 60_000, instead_of=(1, 3), key=(1, 1))
        assert await own.lengthen((1, 2), 120_000)
        assert await own.read((1, 2)) == b"a predicted frame's"
        await own.remove((1, 2))
        with pytest.raises(EnhancementUnavailableError):
            await other.read((1, 1))
        with pytest.raises(EnhancementUnavailableError):
            await other.write((1, 1), b"forged", 60_000)
    finally:
        await own.close()
        await other.close()
    with redis.Redis.from_url(url) as stolen:
        for command in (("GET", "{gate}:frames"), ("KEYS", "*"), ("FLUSHALL",), ("XLEN", "{gate}:results")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                stolen.execute_command(*command)

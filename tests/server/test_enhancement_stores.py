"""Stores that are named for cameras, when they do not answer."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from server.enhancement_stores import EnhancementStores
from server.errors import CameraStoreSilentError
from server.store.config import StoreConfig
from server.store.embedded import EmbeddedStore
from tests.ports import held_port
from tests.server.conftest import CONFIG
from tests.server.harness import PATIENCE, until

GATE, YARD = (store_keys.enhancement(camera, 1, 1) for camera in ("gate", "yard"))


async def test_a_store_that_did_not_answer_is_left_alone_for_a_while(client: Redis, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        port = stack.enter_context(held_port())
        config = replace(CONFIG, camera_stores={"gate": f"redis://127.0.0.1:{port}/0"})
        patient, eager = (
            EnhancementStores(client, replace(config, camera_store_rest=rest))
            for rest in (10 * PATIENCE, 0.05)
        )
        for stores in (patient, eager):
            stack.push_async_callback(stores.close)
            with pytest.raises(CameraStoreSilentError):
                await stores.exist("gate", [GATE])
        await client.set(GATE, b"layer")
        await client.set(YARD, b"layer")
        stack.enter_context(EmbeddedStore(StoreConfig(data=tmp_path / "camera", port=port)))

        async def answers() -> bool:
            try:
                return await eager.exist("gate", [GATE]) == [True]
            except CameraStoreSilentError:
                return False

        await until(answers)
        with pytest.raises(CameraStoreSilentError):
            await patient.exist("gate", [GATE])
        assert await patient.exist("yard", [YARD]) == [True]

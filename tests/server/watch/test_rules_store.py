"""Rules in the store: changed by one at a time, and never a reason to stop."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from server.errors import ChangedMeanwhileError, RulesError
from server.store.client import open_client
from server.watch import rules_in_force
from server.watch.rules import CameraRules, Retention, Zone
from server.watch.rules_in_force import RulesInForce
from server.watch.rules_store import DEFAULT, UNSET, RulesStore, StoredRules
from tests.server.conftest import CONFIG

GATE = CameraRules(
    labels=frozenset({"person", "car"}),
    zones={"drive": Zone(polygon=((0, 0), (1, 0), (1, 1)), alert=True)},
    retention=Retention(alert_s=900),
)


async def held(store: RulesStore, camera_id: str | None = "gate") -> StoredRules:
    return StoredRules.of((await store.read([camera_id]))[camera_id])


@pytest.fixture
async def anywhere(any_url: str) -> AsyncIterator[RulesStore]:
    """In Valkey, in Redis, and in a cluster of which each camera is on a node of its own."""
    async with open_client(any_url) as opened:
        yield RulesStore(opened)


async def test_rules_are_replaced_by_who_has_seen_them(anywhere: RulesStore) -> None:
    store = anywhere
    assert await held(store) == StoredRules(UNSET)
    tag = await store.replace("gate", GATE, UNSET)
    assert await held(store) == StoredRules(tag, GATE)
    for seen in (UNSET, "0" * 40):
        with pytest.raises(ChangedMeanwhileError):
            await store.replace("gate", CameraRules(), seen)
    assert (await held(store)).rules == GATE
    again = await store.replace("gate", GATE.model_copy(update={"minimum_score": 0.5}), tag)
    assert again != tag
    await store.replace("gate", GATE, None)
    assert await store.replace("gate", None, tag) == UNSET
    assert await held(store) == StoredRules(UNSET)
    assert await held(store, DEFAULT) == StoredRules(UNSET)


async def test_a_camera_follows_the_default_until_it_has_its_own(anywhere: RulesStore) -> None:
    store = anywhere
    rules = RulesInForce(store, CONFIG)
    await rules.look(["gate", "yard"])
    assert rules.of("gate") == CameraRules()
    await store.replace(DEFAULT, CameraRules(minimum_score=0.4), UNSET)
    await store.replace("gate", GATE, UNSET)
    assert rules.of("gate") == CameraRules()
    assert await rules.now("yard") == CameraRules(minimum_score=0.4)
    await rules.look(["gate", "yard"])
    assert rules.of("gate") == GATE
    await store.replace("gate", None, None)
    assert await rules.now("gate") == CameraRules(minimum_score=0.4)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (b"\xff\x00", "JSON"),
        (b"[]", "object"),
        (b'{"zones": {"a": {"polygon": [[0, 0]]}}}', r"zones\.a\.polygon"),
        (b'{"of_a_later_version": 1}', "of_a_later_version"),
        (b'{"labels": ["' + b"x" * 300_000 + b'"]}', "bytes"),
    ],
)
async def test_what_cannot_be_leaves_the_rules_before_it(
    client: Redis, bad: bytes, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = RulesStore(client)
    rules = RulesInForce(store, CONFIG)
    await store.replace("gate", GATE, UNSET)
    await rules.look(["gate"])
    await client.set(store_keys.rules("gate"), bad)
    await client.set(store_keys.DEFAULT_RULES, bad)
    for _ in range(3):
        await rules.look(["gate", "yard"])
    assert (rules.of("gate"), rules.of("yard")) == (GATE, CameraRules())
    assert len(caplog.records) == 2
    assert "stay in force" in caplog.text
    fault = await held(store)
    assert fault.rules is None
    assert await store.replace("gate", GATE, fault.tag) != fault.tag
    assert re.search(told, fault.fault)


async def test_where_nothing_can_be_tracked_the_rest_of_the_rules_holds(
    client: Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rules_in_force, "can_track", lambda: False)
    store = RulesStore(client)
    rules = RulesInForce(store, CONFIG)
    await store.replace("gate", GATE.model_copy(update={"track": True}), UNSET)
    assert await rules.now("gate") == GATE
    assert "tracking.txt" in caplog.text


async def test_a_file_governs(client: Redis, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("cameras: {gate: {minimum_score: 0.7, retention: {detection_s: 60}}}")
    store = RulesStore(client)
    await store.replace("gate", GATE, UNSET)
    rules = RulesInForce(store, replace(CONFIG, rules=path))
    governed = await rules.now("gate")
    assert (governed.minimum_score, governed.retention.detection_s) == (0.7, 60)
    path.write_text("cameras: {gate: {retention: {detection_s: 60, alert_s: 30}}}")
    with pytest.raises(RulesError, match=r"retention: .*detection_s is above alert_s"):
        RulesInForce(store, replace(CONFIG, rules=path))

"""Rules over REST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from server.audit.chain import records
from server.audit.record import Subject
from server.audit.verify import verify
from tests.server.conftest import StartServer
from tests.server.people import People

GATE = "/v1/cameras/gate/rules"
DEFAULT = "/v1/rules/default"
RULES: dict[str, Any] = {
    "labels": ["car", "person"],
    "minimum_score": 0.4,
    "minimum_size": 0.001,
    "track": True,
    "zones": {
        "drive": {
            "polygon": [[0.1, 0.5], [0.9, 0.5], [0.9, 1.0]],
            "labels": ["car"],
            "dwell_s": 5,
            "alert": True,
        }
    },
    "retention": {"alert_s": 3600},
}


@pytest.fixture
async def http(start_server: StartServer, people: People) -> AsyncIterator[httpx.AsyncClient]:
    """Asks a server as the admin anna."""
    async with start_server(access_file=people.file.path, retain_alert=5000.0) as server:
        transport = httpx.ASGITransport(app=server.app, client=("192.0.2.7", 4000))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://camera-server", headers=people.header("anna")
        ) as opened:
            yield opened


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["type"].removeprefix("/problems/")


async def put(http: httpx.AsyncClient, address: str, rules: dict[str, Any]) -> httpx.Response:
    """Put rules in the place of those that are there now."""
    seen = (await http.get(address)).headers["etag"]
    return await http.put(address, json=rules, headers={"If-Match": seen})


async def test_a_camera_has_the_default_or_rules_of_its_own(http: httpx.AsyncClient, people: People) -> None:
    first = (await http.get(GATE)).json()
    assert (first["source"], first["writable"], first["fault"]) == ("default", True, None)
    assert first["server"] == {"detection_s": None, "alert_s": 5000.0}
    assert (await put(http, DEFAULT, {"minimum_score": 0.6})).status_code == 200
    assert (await http.get(GATE)).json()["rules"]["minimum_score"] == 0.6

    changed = await put(http, GATE, RULES)
    assert (changed.status_code, changed.json()["source"]) == (200, "camera")
    again = await http.get(GATE)
    assert again.headers["etag"] == changed.headers["etag"]
    rules = again.json()["rules"]
    assert rules["labels"] == ["car", "person"]
    assert rules["zones"]["drive"]["polygon"] == [[0.1, 0.5], [0.9, 0.5], [0.9, 1.0]]
    assert rules["retention"] == {"detection_s": None, "alert_s": 3600}
    # What was read can be sent back.
    assert (await put(http, GATE, rules)).json()["rules"] == rules

    dropped = await http.delete(GATE, headers={"If-Match": (await http.get(GATE)).headers["etag"]})
    assert (dropped.json()["source"], dropped.json()["rules"]["minimum_score"]) == ("default", 0.6)
    told = [
        (record.event.camera, record.event.principal, record.event.detail)
        for record in records(people.file.path.parent / "audit")
        if record.event.subject is Subject.RULES
    ]
    assert told == [
        ("", "anna", "all other cameras' rules changed: minimum_score"),
        (
            "gate",
            "anna",
            "the camera's rules changed: labels, minimum_score, minimum_size, track, zones (drive), retention",
        ),
        ("gate", "anna", "the camera's rules set as they were"),
        ("gate", "anna", "the camera's rules dropped"),
    ]
    assert verify(people.file.path.parent / "audit").faults == []


async def test_nobodys_change_is_lost(http: httpx.AsyncClient) -> None:
    assert problem(await http.put(GATE, json=RULES)) == (428, "tag-required")
    assert problem(await http.delete(GATE)) == (428, "tag-required")
    seen = (await http.get(GATE)).headers["etag"]
    assert (await http.put(GATE, json=RULES, headers={"If-Match": seen})).status_code == 200
    late = await http.put(GATE, json={}, headers={"If-Match": seen})
    assert problem(late) == (412, "changed-meanwhile")
    assert (await http.get(GATE)).json()["rules"]["track"] is True
    assert (await http.put(GATE, json={}, headers={"If-Match": "*"})).status_code == 200


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"label": ["car"]}, "label"),
        ({"minimum_score": 2}, "minimum_score"),
        ({"zones": {"a": {"polygon": [[0, 0], [1, 1]]}}}, "zones.a.polygon"),
        ({"zones": {"a": {"polygon": [[0, 0], [1, 1], [1, 7]]}}}, "zones.a.polygon.2.1"),
        ({"zones": {"a": {"polygon": [[0, 0], [1, 1], [1, 0]], "dwell_s": 3}}}, "set track"),
        ({"zones": {"a": {"polygon": [[0, 0], [0.5, 0.5], [1, 1]]}}}, "zones.a.polygon"),
        ({"zones": {" ": {"polygon": [[0, 0], [1, 1], [1, 0]]}}}, "more than spaces"),
        ({"zones": {"a\0": {"polygon": [[0, 0], [1, 1], [1, 0]]}}}, "one line of text"),
        ({"labels": ["car\n"]}, "one line of text"),
        ({"labels": ["c" * 257]}, "256 characters"),
        ({"retention": {"detection_s": 20, "alert_s": 10}}, "detection_s is above alert_s"),
    ],
)
async def test_rules_that_cannot_be(http: httpx.AsyncClient, rules: dict[str, Any], told: str) -> None:
    refused = await put(http, GATE, rules)
    assert problem(refused) == (422, "invalid-request")
    assert told in refused.json()["detail"]
    assert (await http.get(GATE)).json()["source"] == "default"


async def test_half_a_character_is_no_label(http: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json", "If-Match": "*"}
    refused = await http.put(GATE, content=rb'{"labels": ["\ud800"]}', headers=headers)
    assert problem(refused) == (422, "invalid-request")


async def test_names_that_no_camera_can_have(http: httpx.AsyncClient) -> None:
    assert problem(await http.get("/v1/cameras/No%20name/rules")) == (422, "invalid-request")


async def test_what_is_stored_and_cannot_be_is_told_and_can_be_replaced(
    http: httpx.AsyncClient, client: Redis
) -> None:
    await client.set(store_keys.rules("gate"), b'{"zones": 7}')
    found = (await http.get(GATE)).json()
    assert (found["source"], found["rules"]["zones"]) == ("camera", {})
    assert "zones" in found["fault"]
    assert (await put(http, GATE, RULES)).json()["fault"] is None


async def test_without_an_audit_nothing_is_changed(http: httpx.AsyncClient, people: People) -> None:
    (people.file.path.parent / "audit").write_text("no folder can be made here")
    assert problem(await put(http, GATE, RULES)) == (503, "audit-unavailable")
    assert (await http.get(GATE)).json()["source"] == "default"


async def test_rules_of_a_file_are_shown_and_not_changed(
    start_server: StartServer, people: People, tmp_path: Path
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("default: {minimum_score: 0.3}\ncameras: {gate: {minimum_score: 0.7}}")
    async with start_server(access_file=people.file.path, rules=path) as server:
        transport = httpx.ASGITransport(app=server.app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://camera-server", headers=people.header("anna")
        ) as http:
            for address, score in ((GATE, 0.7), ("/v1/cameras/yard/rules", 0.3), (DEFAULT, 0.3)):
                shown = (await http.get(address)).json()
                assert (shown["source"], shown["writable"]) == ("file", False)
                assert shown["rules"]["minimum_score"] == score
                refused = await http.put(address, json=RULES, headers={"If-Match": "*"})
                assert problem(refused) == (409, "rules-of-file")
                assert "--rules" in refused.json()["detail"]

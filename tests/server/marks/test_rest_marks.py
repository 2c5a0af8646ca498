"""Operators mark results over REST: who may, what is kept, what the audit tells, what it all adds up to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from secondsight import store_keys
from secondsight.v1 import analytics_pb2
from server.audit.chain import records
from server.audit.record import Record
from shared_models import Codec, EncodedFrame
from tests.server.conftest import StartServer
from tests.server.harness import SquareSpotter, edge_stream, keep_enhancement, recognised
from tests.server.people import People

FRAME = "/v1/cameras/gate/frames/1-1"
MARKS = f"{FRAME}/marks"
WHY = {"reason": "checking the detector"}
RIGHT = {"verdict": "right", "detection": 0}
WRONG = {"verdict": "wrong", "detection": 1}
BOX = {"x_min": 10.0, "y_min": 5.0, "x_max": 40.0, "y_max": 30.0}
MISSED = {"verdict": "missed", "label": "dog", "box": BOX}


@dataclass
class Asking:
    """A server with frames 1-1 and 1-2 of the cameras gate and yard, asked in the name of people."""

    http: httpx.AsyncClient
    people: People

    async def mark(self, who: str, said: dict[str, Any], address: str = MARKS, **more: Any) -> httpx.Response:
        url = httpx.URL(address).copy_merge_params(WHY)
        return await self.http.post(url, json=said, headers=self.people.header(who), **more)

    async def get(self, who: str, address: str, **params: Any) -> httpx.Response:
        return await self.http.get(address, params=params or None, headers=self.people.header(who))

    def audited(self) -> list[Record]:
        folder = self.people.file.path.parent / "audit"
        return [record for record in records(folder) if record.event.subject == "mark"]


@pytest.fixture
async def asking(
    start_server: StartServer, people: People, codec: Codec, encoded: list[EncodedFrame], client: Redis
) -> AsyncIterator[Asking]:
    async with start_server(SquareSpotter(), access_file=people.file.path, retain_mark=5000) as server:
        for camera_id, token in people.tokens.items():
            async with edge_stream(server, codec, camera_id, token=token) as edge:
                await edge.hello()
                for number in (1, 2):
                    sent = await edge.send(number, encoded[number])
                    await keep_enhancement(client, sent, encoded[number])
                await recognised(client, 2, camera_id)
        transport = httpx.ASGITransport(app=server.app, client=("192.0.2.7", 4000))
        async with httpx.AsyncClient(transport=transport, base_url="http://camera-server") as http:
            yield Asking(http, people)


def problem(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["type"].removeprefix("/problems/")


async def test_a_mark_tells_what_was_seen_who_says_what_of_it_and_keeps_the_frame(
    asking: Asking, client: Redis
) -> None:
    made = await asking.mark("otto", RIGHT)
    assert made.status_code == 201, made.text
    mark = made.json()
    assert (mark["camera"], mark["frame"], mark["verdict"], mark["by"]) == ("gate", "1-1", "right", "otto")
    assert (mark["label"], mark["detection"]) == ("square", 0)
    assert mark["seen"] == {"label": "square", "score": 0.9, "recogniser": "square-spotter"}
    assert mark["box"] == {"x_min": 0, "y_min": 0, "x_max": 48, "y_max": 32}
    assert made.headers["location"] == f"{MARKS}/{mark['id']}"
    assert (await asking.get("anna", MARKS)).json() == {"marks": [mark]}
    for key in (store_keys.kept("gate", 1, 1), store_keys.enhancement("gate", 1, 1)):
        assert 4900 < await client.ttl(key) <= 5000


async def test_what_one_says_later_takes_the_place_of_what_one_said_and_the_audit_tells_both(
    asking: Asking,
) -> None:
    first = await asking.mark("otto", RIGHT)
    again = await asking.mark("otto", RIGHT)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    changed = await asking.mark("otto", {"verdict": "wrong", "detection": 0, "label": "dog", "note": "tail"})
    assert (await asking.get("otto", MARKS)).json()["marks"] == [changed.json()]
    assert (changed.json()["label"], changed.json()["note"]) == ("dog", "tail")
    await asking.mark("anna", RIGHT)
    assert len((await asking.get("otto", MARKS)).json()["marks"]) == 2
    told = [record.event for record in asking.audited() if record.event.outcome == "asked"]
    assert [event.detail for event in told] == [
        "detection 0 right",
        "detection 0 right",
        "detection 0 wrong, 'dog'",
        "detection 0 right",
    ]
    assert {event.reason for event in told} == {WHY["reason"]}


async def test_viewers_mark_nothing_and_see_no_marks(asking: Asking) -> None:
    for response in (
        await asking.mark("vera", RIGHT),
        await asking.get("vera", MARKS),
        await asking.get("vera", "/v1/marks"),
        await asking.get("vera", "/v1/marks/summary"),
        await asking.get("yuri", "/v1/marks", camera="gate"),
    ):
        assert problem(response) == (403, "forbidden")
    silent = await asking.http.post(MARKS, json=RIGHT, headers=asking.people.header("otto"))
    assert problem(silent) == (422, "reason-required")
    assert [record.event.outcome for record in asking.audited()] == ["refused", "refused"]


_SENSELESS: list[dict[str, Any]] = [
    {"verdict": "right"},
    {"verdict": "right", "detection": 2},
    {"verdict": "right", "detection": 0, "label": "dog"},
    {"verdict": "right", "detection": 0, "box": BOX},
    {"verdict": "wrong", "detection": 0, "label": "square"},
    {"verdict": "missed", "label": "dog"},
    {"verdict": "missed", "box": BOX},
    {"verdict": "missed", "box": BOX, "label": "dog", "detection": 0},
    {"verdict": "missed", "box": {**BOX, "x_max": 97.0}, "label": "dog"},
    {"verdict": "missed", "box": {**BOX, "x_max": 10.0}, "label": "dog"},
    {"verdict": "missed", "box": BOX, "label": "d" * 65},
    {"verdict": "missed", "box": BOX, "label": "two\nlines"},
    {"verdict": "right", "detection": 0, "note": "n" * 201},
]


async def test_what_says_nothing_or_contradicts_itself_is_refused(asking: Asking) -> None:
    for said in _SENSELESS:
        assert problem(await asking.mark("otto", said)) == (422, "invalid-mark"), said
    assert (await asking.get("otto", MARKS)).json() == {"marks": []}


async def test_one_takes_back_ones_own_marks_and_an_admin_anybodys(asking: Asking) -> None:
    own, theirs = (
        (await asking.mark("otto", RIGHT)).headers["location"],
        (await asking.mark("anna", MISSED)).headers["location"],
    )

    async def take_back(who: str, address: str) -> httpx.Response:
        return await asking.http.delete(address, params=WHY, headers=asking.people.header(who))

    assert problem(await take_back("otto", theirs)) == (403, "forbidden")
    elsewhere = own.replace("frames/1-1", "frames/1-2")
    assert problem(await take_back("otto", elsewhere)) == (422, "invalid-mark")
    assert (await take_back("otto", own)).status_code == 204
    assert problem(await take_back("otto", own)) == (404, "unknown-mark")
    assert (await asking.mark("otto", WRONG)).status_code == 201
    assert (await take_back("anna", theirs)).status_code == 204
    left = (await asking.get("otto", "/v1/marks")).json()["marks"]
    assert [mark["verdict"] for mark in left] == ["wrong"]


async def test_marks_are_listed_over_cameras_newest_frame_first_page_by_page(asking: Asking) -> None:
    frames = {"gate": ("1-1", "1-2"), "yard": ("2-1", "2-2")}
    for camera, names in frames.items():
        for frame in names:
            for said in (RIGHT, MISSED):
                made = await asking.mark("anna", said, f"/v1/cameras/{camera}/frames/{frame}/marks")
                assert made.status_code == 201
    seen = []
    address: str | None = "/v1/marks?limit=3"
    while address is not None:
        page = (await asking.get("anna", address)).json()
        assert len(page["marks"]) <= 3
        seen += [(mark["camera"], mark["frame"]) for mark in page["marks"]]
        address = page["next"]
    assert seen == [(camera, name) for camera, names in frames.items() for name in names[::-1] for _ in "ab"]
    assert {
        mark["camera"] for mark in (await asking.get("anna", "/v1/marks", camera="yard")).json()["marks"]
    } == {"yard"}
    wrong = await asking.get("anna", "/v1/marks", cursor="bm8")
    assert problem(wrong) == (422, "invalid-cursor")


async def test_the_last_word_on_each_thing_is_what_counts(asking: Asking) -> None:
    await asking.mark("otto", {"verdict": "wrong", "detection": 0})
    await asking.mark("anna", RIGHT)
    await asking.mark("otto", {"verdict": "wrong", "detection": 1, "label": "dog"})
    await asking.mark("otto", MISSED)
    await asking.mark("anna", {**MISSED, "box": {**BOX, "x_min": 11.0}})
    summary = (await asking.get("otto", "/v1/marks/summary")).json()
    assert summary["frames"] == 1
    labels = {label.pop("label"): label for label in summary["labels"]}
    assert labels["square"]["right"] == 1
    assert labels["square"]["precision"] == 1
    assert 0 < labels["square"]["precision_low"] < labels["square"]["precision_high"] == 1
    assert (labels["shadow"]["wrong"], labels["shadow"]["corrected"], labels["shadow"]["precision"]) == (
        1,
        1,
        0,
    )
    assert labels["dog"] == {
        "right": 0,
        "wrong": 0,
        "corrected": 0,
        "missed": 2,
        "precision": None,
        "precision_low": None,
        "precision_high": None,
    }
    later = await asking.get("otto", "/v1/marks/summary", **{"from": "2099-01-01T00:00:00Z"})
    assert later.json() == {"frames": 0, "labels": []}
    other = await asking.get("otto", "/v1/marks/summary", recogniser="another")
    assert [label["label"] for label in other.json()["labels"]] == ["dog"]


async def test_a_frame_whose_human_view_cannot_be_had_cannot_be_verified(
    asking: Asking, client: Redis
) -> None:
    await client.delete(store_keys.enhancement("gate", 1, 1))
    assert (await asking.mark("otto", RIGHT)).status_code == 410
    assert (await asking.get("otto", MARKS)).json() == {"marks": []}


async def test_marks_are_held_against_the_result_of_the_task_that_is_named(
    asking: Asking, client: Redis
) -> None:
    entries: Any = await client.xrange(store_keys.results("gate"), "1-1", "1-1")
    other = analytics_pb2.RecognitionResult.FromString(entries[0][1][store_keys.RESULT_FIELD])
    other.recogniser = "person-finder"
    del other.detections[1:]
    other.detections[0].label = "person"
    key = store_keys.results("gate", "persons")
    await client.xadd(key, {store_keys.RESULT_FIELD: other.SerializeToString()}, id="1-1")

    assert (await asking.mark("otto", RIGHT)).status_code == 201
    made = await asking.mark("otto", {**RIGHT, "label": "person"}, f"{MARKS}?task=persons")
    assert (made.status_code, made.json()["task"]) == (201, "persons")
    assert made.json()["seen"]["recogniser"] == "person-finder"
    assert problem(await asking.mark("otto", WRONG, f"{MARKS}?task=persons")) == (422, "invalid-mark")
    both = (await asking.get("anna", MARKS)).json()["marks"]
    assert [(mark["task"], mark["label"]) for mark in both] == [
        ("recognise", "square"),
        ("persons", "person"),
    ]

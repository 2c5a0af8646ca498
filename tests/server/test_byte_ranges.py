"""Parts of raw layers by `Range`, on record once a request."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from server.audit.chain import records
from shared_models import Codec
from tests.server.conftest import StartServer
from tests.server.harness import have_one_frame
from tests.server.people import People
from tests.server.test_rest import FRAMES, Encoded, problem, rest, serving

MACHINE = f"{FRAMES}/1-1/layers/machine"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-9", 0, 9),
        ("bytes=5-", 5, None),
        ("bytes=-7", -7, None),
        ("bytes=10-99999999", 10, None),
        ("Bytes = 3 - 3", 3, 3),
        ("bytes=-99999999", 0, None),
    ],
)
async def test_the_bytes_that_are_asked_for_come_and_say_where_they_lie(
    start_server: StartServer,
    codec: Codec,
    encoded: Encoded,
    client: Redis,
    asked: str,
    first: int,
    last: int | None,
) -> None:
    whole = encoded[0].machine
    async with serving(start_server, codec, encoded, client) as http:
        response = await http.get(MACHINE, headers={"Range": asked})
        assert response.status_code == 206
        start = first % len(whole)
        end = len(whole) - 1 if last is None else last
        assert response.content == whole[start : end + 1]
        assert response.headers["content-range"] == f"bytes {start}-{end}/{len(whole)}"
        assert response.headers["content-length"] == str(end - start + 1)
        assert response.headers["etag"] == (await http.get(MACHINE)).headers["etag"]


@pytest.mark.parametrize("asked", ["bytes=0-1,4-5", "bytes=9-3", "bytes=-", "pages=1-2", "bytes=a-b", ""])
async def test_what_cannot_be_read_or_is_several_gives_the_whole(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis, asked: str
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        response = await http.get(MACHINE, headers={"Range": asked})
        assert (response.status_code, response.content) == (200, encoded[0].machine)
        assert response.headers["accept-ranges"] == "bytes"


async def test_behind_the_end_there_is_nothing_and_the_answer_says_how_much_there_is(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    length = len(encoded[0].machine)
    async with serving(start_server, codec, encoded, client) as http:
        for asked in (f"bytes={length}-", "bytes=-0"):
            response = await http.get(MACHINE, headers={"Range": asked})
            problem(response, 416, "range-not-satisfiable")
            assert response.headers["content-range"] == f"bytes */{length}"


async def test_a_part_is_given_if_it_is_still_the_same_and_else_the_whole(
    start_server: StartServer, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with serving(start_server, codec, encoded, client) as http:
        tag = (await http.get(MACHINE)).headers["etag"]
        part = {"Range": "bytes=0-3"}
        assert (await http.get(MACHINE, headers={**part, "If-Range": tag})).status_code == 206
        for other in ('"another"', f"W/{tag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
            assert (await http.get(MACHINE, headers={**part, "If-Range": other})).status_code == 200
        assert (await http.get(MACHINE, headers={**part, "If-None-Match": tag})).status_code == 304


async def test_each_request_for_a_part_of_an_enhancement_layer_is_on_record_before_and_after(
    start_server: StartServer, people: People, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(access_file=people.file.path) as server:
        await have_one_frame(server, codec, encoded[0], client, people.tokens["gate"])
        async with rest(server) as http:
            address = "/v1/cameras/gate/frames/1-1/layers/enhancement?reason=a+parcel"
            part = {**people.header("otto"), "Range": "bytes=0-9"}
            response = await http.get(address, headers=part)
            assert (response.status_code, len(response.content)) == (206, 10)
            beyond = {**people.header("otto"), "Range": "bytes=99999999-"}
            problem(await http.get(address, headers=beyond), 416, "range-not-satisfiable")
            refused = {**people.header("vera"), "Range": "bytes=0-9"}
            problem(await http.get(address, headers=refused), 403, "forbidden")
        folder = people.file.path.parent / "audit"
        events = [each.event for each in records(folder) if each.event.subject == "enhancement_layer"]
        told = [(event.principal, str(event.outcome), event.detail) for event in events]
        assert told[:2] == [("otto", "asked", ""), ("otto", "delivered", "status 206, 10 bytes")]
        assert [entry[:2] for entry in told[2:]] == [
            ("otto", "asked"),
            ("otto", "failed"),
            ("vera", "refused"),
        ]

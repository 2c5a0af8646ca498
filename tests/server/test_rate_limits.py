"""What is limited tells how much is left."""

from __future__ import annotations

import re

from redis.asyncio import Redis

from server.access.throttle import Throttle, counted
from shared_models import Codec
from tests.server.conftest import StartServer
from tests.server.harness import have_one_frame
from tests.server.people import People
from tests.server.test_rest import Encoded, problem, rest

IMAGE = "/v1/cameras/gate/frames/1-1/image"


async def test_answers_tell_what_is_left_and_a_refusal_when_to_come_back(
    start_server: StartServer, people: People, codec: Codec, encoded: Encoded, client: Redis
) -> None:
    async with start_server(access_file=people.file.path, human_views_per_minute=2) as server:
        await have_one_frame(server, codec, encoded[0], client, people.tokens["gate"])
        async with rest(server) as http:
            for left in (1, 0):
                seen = await http.get(f"{IMAGE}?view=human&reason=x", headers=people.header("otto"))
                assert seen.status_code == 200
                assert seen.headers["ratelimit-policy"] == '"human-views";q=2;w=60'
                assert re.fullmatch(rf'"human-views";r={left};t=(60|[1-5]?\d)', seen.headers["ratelimit"])
            refused = await http.get(f"{IMAGE}?view=human&reason=x", headers=people.header("otto"))
            problem(refused, 429, "too-many-requests")
            (told,) = re.findall(r'"human-views";r=0;t=(\d+)', refused.headers["ratelimit"])
            assert refused.headers["retry-after"] == told
            unlimited = await http.get(IMAGE, headers=people.header("otto"))
            assert "ratelimit" not in unlimited.headers
            wrong = {"name": "otto", "password": "not the password"}
            login = await http.post("/v1/session", json=wrong)
            assert login.headers["ratelimit-policy"].startswith('"logins";q=')


def test_a_throttle_without_a_policy_tells_nobody() -> None:
    told: list[object] = []
    token = counted.set(told)  # type: ignore[arg-type]
    try:
        Throttle("refusals", 3).take("somebody")
        assert told == []
        Throttle("views", 3, policy="views").take("somebody", 2)
        (quota,) = told
        assert (quota.left, quota.policy) == (1, '"views";q=3;w=60')  # type: ignore[attr-defined]
    finally:
        counted.reset(token)

"""Webhooks: what they are told, how it is signed, and what becomes of it when they do not take it."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from email.utils import formatdate
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError
from starlette.responses import Response

from secondsight import store_keys
from server.relay.receiver import retry_after_seconds
from tests.server.conftest import StartServer
from tests.server.harness import until
from tests.server.relay.conftest import StartRelay, Worker, event, seen
from tests.server.relay.receivers import Receiver, answering

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes ...").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of the same length").decode()
PERSON = seen("person", 0.9, "1-1-1", "drive")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "hook.secret"
    path.write_text(f"{SECRET}\n")
    return path


def hook(receiver: Receiver, **settings: Any) -> dict[str, Any]:
    """One webhook, impatient."""
    return {"hook": {"url": receiver.url, "first_wait_s": 0.01, "longest_wait_s": 0.05, **settings}}


async def test_things_as_signed_cloud_events(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, secret: Path
) -> None:
    async with Receiver().serving() as receiver, start_server() as server:
        webhooks = hook(receiver, secret_files=[secret], labels=["person"])
        async with start_relay(server, webhooks=webhooks, public="https://hq.example/"):
            frame = await worker.publish(
                PERSON, events=(event("new", PERSON, alert=True), event("new", seen("car", 0.9, "1-1-2")))
            )
            await worker.publish(events=(event("end", PERSON),))
            new, end = await receiver.several(2)
    told = new.document
    assert told["specversion"] == "1.0"
    assert (told["type"], told["subject"]) == ("secondsight.thing.new", frame)
    assert told["source"] == "https://hq.example/v1/cameras/gate"
    assert told["data"]["thing"]["zones"] == ["drive"]
    assert (told["data"]["thing"]["label"], told["data"]["thing"]["alert"]) == ("person", True)
    assert told["data"]["links"]["human_view"] == (
        f"https://hq.example/v1/cameras/gate/frames/{frame}/image?view=human"
    )
    assert end.document["type"] == "secondsight.thing.end"
    assert new.headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
    assert new.headers["webhook-id"] == told["id"] != end.document["id"]
    assert Verifier(SECRET).verify(new.body, new.headers) == told
    for wrong in (
        lambda: Verifier(OTHER).verify(new.body, new.headers),
        lambda: Verifier(SECRET).verify(new.body + b" ", new.headers),
        lambda: Verifier(SECRET).verify(new.body, {**new.headers, "webhook-id": end.document["id"]}),
    ):
        with pytest.raises(WebhookVerificationError):
            wrong()


async def test_while_secrets_are_exchanged_both_verify(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, secret: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.secret").write_text(OTHER)
    async with Receiver().serving() as receiver, start_server() as server:
        webhooks = hook(receiver, secret_files=[secret, tmp_path / "other.secret"])
        async with start_relay(server, webhooks=webhooks):
            await worker.publish(PERSON, events=(event("new", PERSON),))
            (new,) = await receiver.several(1)
    for each in (SECRET, OTHER):
        Verifier(each).verify(new.body, new.headers)


async def test_plain_results_alerts_and_failures(
    start_server: StartServer, start_relay: StartRelay, worker: Worker
) -> None:
    async with Receiver().serving() as receiver, start_server() as server:
        webhooks = hook(receiver, form="plain", events=["results", "alerts", "failures"], minimum_score=0.5)
        async with start_relay(server, webhooks=webhooks):
            await worker.publish(seen(), seen("cat", 0.2), alert=True)
            await worker.publish(seen(), alert=True)  # no second alert so soon
            await worker.publish(seen("cat", 0.2))
            await worker.publish(failure="no such bytes")
            told = [each.document for each in await receiver.several(4)]
    assert [each["type"].removeprefix("secondsight.") for each in told] == [
        "alert",
        "result",
        "result",
        "failure",
    ]
    assert [detection["label"] for detection in told[1]["detections"]] == ["person"]
    assert told[3]["failure"] == "no such bytes"
    assert told[0]["camera"] == "gate"
    assert len({each["id"] for each in told}) == 4
    assert receiver.requests[0].headers["content-type"] == "application/json"
    assert "webhook-signature" not in receiver.requests[0].headers


async def test_what_is_not_taken_is_sent_again_as_the_same_event(
    start_server: StartServer, start_relay: StartRelay, worker: Worker
) -> None:
    async with Receiver().serving() as receiver, start_server() as server:
        receiver.answer = answering(500, 429, 503)
        async with start_relay(server, webhooks=hook(receiver)):
            await worker.publish(PERSON, events=(event("new", PERSON),))
            await worker.publish(PERSON, events=(event("update", PERSON),))
            requests = await receiver.several(5)
    ids = [each.headers["webhook-id"] for each in requests]
    assert len(set(ids[:4])) == 1
    assert ids[4] != ids[3]


async def test_a_receiver_is_left_alone_for_as_long_as_it_asks(
    start_server: StartServer, start_relay: StartRelay, worker: Worker
) -> None:
    came: list[float] = []

    async def answer(number: int) -> Response:
        came.append(time.monotonic())
        return Response(status_code=204 if number else 503, headers={"Retry-After": "1"})

    async with Receiver().serving() as receiver, start_server() as server:
        receiver.answer = answer
        async with start_relay(server, webhooks=hook(receiver, longest_wait_s=10.0)):
            await worker.publish(PERSON, events=(event("new", PERSON),))
            await receiver.several(2)
    assert came[1] - came[0] >= 0.9


@pytest.mark.parametrize(("header", "seconds"), [("120", 120), ("", 0), ("soon", 0), ("-5", 0)])
def test_retry_after_is_seconds(header: str, seconds: float) -> None:
    assert retry_after_seconds(header) == seconds


def test_retry_after_is_a_date() -> None:
    assert retry_after_seconds(formatdate(time.time() - 60, usegmt=True)) == 0
    assert 3000 <= retry_after_seconds(formatdate(time.time() + 3600, usegmt=True)) <= 3600


async def test_what_is_never_taken_becomes_a_dead_letter_and_the_rest_goes_on(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, tmp_path: Path
) -> None:
    async def answer(number: int) -> Response:
        return Response(status_code=500 if number < 3 else 422 if number == 3 else 204)

    async with Receiver().serving() as receiver, start_server() as server:
        receiver.answer = answer
        async with start_relay(server, webhooks=hook(receiver, attempts=3, dead_letters=2)) as relay:
            for kind in ("new", "update", "end"):
                await worker.publish(PERSON, events=(event(kind, PERSON),))
            requests = await receiver.several(5)
            metrics = await _metrics(relay.http_address)
    letters = [json.loads(path.read_text()) for path in sorted((tmp_path / "relay/hook.dead").iterdir())]
    assert [letter["body"]["type"] for letter in letters] == [
        "secondsight.thing.new",
        "secondsight.thing.update",
    ]
    assert [letter["attempts"] for letter in letters] == [3, 1]
    assert "500" in letters[0]["why"] and "422" in letters[1]["why"]
    assert requests[4].document["type"] == "secondsight.thing.end"
    assert 'secondsight_relay_dead_letters{target="hook"} 2.0' in metrics


async def _metrics(address: str) -> str:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"http://{address}/metrics")).text


async def test_dead_letters_are_bounded(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, tmp_path: Path
) -> None:
    async with Receiver().serving() as receiver, start_server() as server:
        receiver.answer = answering(*[400] * 4)
        async with start_relay(server, webhooks=hook(receiver, dead_letters=2)):
            for _ in range(5):
                await worker.publish(PERSON, events=(event("update", PERSON),))
            requests = await receiver.several(5)
    letters = [
        json.loads(path.read_text())["id"] for path in sorted((tmp_path / "relay/hook.dead").iterdir())
    ]
    assert letters == [requests[2].headers["webhook-id"], requests[3].headers["webhook-id"]]


async def test_who_is_gone_for_good_is_sent_nothing_more_and_nothing_is_lost(
    start_server: StartServer, start_relay: StartRelay, worker: Worker
) -> None:
    async with Receiver().serving() as receiver, start_server() as server:
        receiver.answer = answering(410)
        async with start_relay(server, webhooks=hook(receiver)) as relay:
            await worker.publish(PERSON, events=(event("new", PERSON),))
            await worker.publish(PERSON, events=(event("end", PERSON),))

            async def gone() -> bool:
                return "410" in relay.outlets[0].status.ailing

            await until(gone)
            async with httpx.AsyncClient() as http:
                answer = await http.get(f"http://{relay.http_address}/readyz")
            assert answer.status_code == 503
            assert "410" in answer.json()["ailing"]["hook"]
        assert len(receiver.requests) == 1
        async with start_relay(server, webhooks=hook(receiver)):
            told = await receiver.several(3)
    assert [each.document["type"] for each in told[1:]] == ["secondsight.thing.new", "secondsight.thing.end"]


async def test_a_redirect_is_not_followed(
    start_server: StartServer, start_relay: StartRelay, worker: Worker
) -> None:
    async with (
        Receiver().serving() as elsewhere,
        Receiver().serving() as receiver,
        start_server() as server,
    ):
        receiver.answer = answering(307, 308, headers={"Location": elsewhere.url})
        async with start_relay(server, webhooks=hook(receiver)):
            await worker.publish(PERSON, events=(event("new", PERSON),))
            await receiver.several(3)
    assert elsewhere.requests == []


async def test_a_slow_receiver_is_asked_again(
    start_server: StartServer, start_relay: StartRelay, worker: Worker
) -> None:
    async def slow(number: int) -> Response:
        await asyncio.sleep(30 if number == 0 else 0)
        return Response(status_code=204)

    async with Receiver().serving() as receiver, start_server() as server:
        receiver.answer = slow
        async with start_relay(server, webhooks=hook(receiver, answer_within_s=0.3)):
            await worker.publish(PERSON, events=(event("new", PERSON),))
            first, second, *_ = await receiver.several(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_a_receiver_that_is_stuck_holds_back_its_own_events_alone_and_gets_them_in_order(
    start_server: StartServer, start_relay: StartRelay, worker: Worker
) -> None:
    released = asyncio.Event()

    async def stuck(_: int) -> Response:
        await released.wait()
        return Response(status_code=204)

    async with (
        Receiver().serving() as receiver,
        Receiver().serving() as quick,
        start_server() as server,
    ):
        receiver.answer = stuck
        webhooks = {**hook(receiver, answer_within_s=600.0), "quick": {"url": quick.url}}
        async with start_relay(server, webhooks=webhooks):
            frames = [await worker.publish(PERSON, events=(event("update", PERSON),)) for _ in range(30)]
            told = await quick.several(30)
            assert [each.document["subject"] for each in told] == frames
            assert [each.document["subject"] for each in await receiver.several(1)] == frames[:1]
            released.set()
            assert [each.document["subject"] for each in await receiver.several(30)] == frames


async def written(folder: Path, frame: str) -> bool:
    """Whether the relay has noted that a frame of `gate` was dealt with: what is under way when it ends comes again."""
    cameras: dict[str, str] = json.loads((folder / "relay/hook.json").read_text())["cameras"]
    return cameras.get("gate") == frame


async def test_after_a_restart_nothing_is_lost_or_doubled(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, tmp_path: Path
) -> None:
    async with Receiver().serving() as receiver, start_server() as server:
        await worker.publish(PERSON, events=(event("new", PERSON),))  # before the target began
        await worker.publish(PERSON, camera="yard", events=(event("new", PERSON),))
        async with start_relay(server, webhooks=hook(receiver)):
            update = await worker.publish(PERSON, events=(event("update", PERSON),))
            await until(partial(written, tmp_path, update))
        await worker.publish(PERSON, events=(event("end", PERSON),))
        await worker.publish(PERSON, camera="lane", events=(event("new", PERSON),))
        async with start_relay(server, webhooks=hook(receiver)):
            await receiver.several(3)
            last = await worker.publish(PERSON, camera="yard", events=(event("end", PERSON),))
            told = await receiver.several(4)
    assert sorted((each.document["type"][18:], each.document["data"]["camera"]) for each in told) == [
        ("end", "gate"),
        ("end", "yard"),
        ("new", "lane"),
        ("update", "gate"),
    ]
    assert told[3].document["subject"] == last


async def test_an_event_that_was_not_taken_before_the_end_comes_after_the_next_start(
    start_server: StartServer, start_relay: StartRelay, worker: Worker
) -> None:
    async with Receiver().serving() as receiver, start_server() as server:
        receiver.answer = answering(*[500] * 1000)
        async with start_relay(server, webhooks=hook(receiver, attempts=100, longest_wait_s=5.0)):
            await worker.publish(PERSON, events=(event("new", PERSON),))
            await receiver.several(1)
        receiver.answer = answering()
        before = len(receiver.requests)
        async with start_relay(server, webhooks=hook(receiver)):
            told = await receiver.several(before + 1)
    assert told[-1].headers["webhook-id"] == told[0].headers["webhook-id"]


async def test_what_the_server_let_go_of_meanwhile_is_told(
    start_server: StartServer, start_relay: StartRelay, worker: Worker, client: Redis, tmp_path: Path
) -> None:
    async with Receiver().serving() as receiver, start_server() as server:
        webhooks = hook(receiver, events=["failures", "results"])
        async with start_relay(server, webhooks=webhooks):
            first = await worker.publish(seen())
            await until(partial(written, tmp_path, first))
        for _ in range(4):
            await worker.publish(seen())
        await client.xtrim(store_keys.results("gate"), maxlen=2, approximate=False)
        async with start_relay(server, webhooks=webhooks):
            told = [each.document for each in await receiver.several(4)]
    assert [(each["type"], each["subject"]) for each in told[1:]] == [
        ("secondsight.gap", "1-4"),
        ("secondsight.result", "1-4"),
        ("secondsight.result", "1-5"),
    ]

"""Jobs as such: waited for, cancelled, survived, bounded, and always behind what is live."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import av
import httpx
import pytest
from redis.asyncio import Redis

from secondsight.v1 import frame_pb2
from server.errors import RecognitionFailedError
from server.jobs.film import Film
from server.jobs.footage import CANNOT_BE_SHOWN
from server.jobs.job import reason_word
from server.process import Server
from server.rest.problems import _KINDS
from shared_models import Codec
from shared_models.group import GroupFrame
from tests.server.conftest import StartServer
from tests.server.harness import PATIENCE, SquareSpotter, until
from tests.server.jobs.asking import BEGAN, Asking, filmed, open_to, told

Stream = list[GroupFrame]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Films stop before their third picture until this is set."""
    released, real, taken = threading.Event(), Film.add, []

    def add(self: Film, *given: Any) -> None:
        taken.append(self)
        if sum(film is self for film in taken) == 3:
            assert released.wait(PATIENCE)
        real(self, *given)

    monkeypatch.setattr(Film, "add", add)
    yield released
    released.set()


@asynccontextmanager
async def serving(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, **settings: object
) -> AsyncIterator[tuple[Server, Asking]]:
    """A server with eight frames of the camera gate."""
    async with start_server(SquareSpotter(), **settings) as server, open_to(server) as asking:
        await filmed(server, codec, stream, client)
        yield server, asking


def problem(response: httpx.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    return response.status_code, response.json()["type"].removeprefix("/problems/")


async def halfway(asking: Asking, address: str) -> dict[str, Any]:
    """Wait until a job that is held has gone through as many frames as it can."""
    job: dict[str, Any] = {}

    async def held() -> bool:
        job.update((await asking.get(address)).json())
        return bool(job["progress"] == 0.25)

    await until(held)
    return job


async def test_a_job_tells_how_far_it_is_and_the_next_one_waits(
    start_server: StartServer,
    codec: Codec,
    stream: Stream,
    client: Redis,
    held: threading.Event,
) -> None:
    async with serving(start_server, codec, stream, client) as (_, asking):
        first = await asking.post("clips", camera="gate")
        assert (first.status_code, first.json()["state"]) == (202, "queued")
        job = await halfway(asking, first.headers["location"])
        assert (job["state"], job["progress"], job["bytes"]) == ("running", 0.25, None)
        assert "file" not in job["links"]
        early = await asking.get(f"{first.headers['location']}/file")
        assert problem(early) == (409, "job-not-done")
        second = await asking.post("exports", kind="views", cameras=["gate"])
        assert (await asking.get(second.headers["location"])).json()["state"] == "queued"
        held.set()
        done = await asking.end_of(second.headers["location"])
        assert (done["state"], done["kind"]) == ("done", "views")
        assert (await asking.get(first.headers["location"])).json()["state"] == "done"


async def test_the_same_request_with_the_same_key_makes_one_job(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with serving(start_server, codec, stream, client) as (_, asking):
        answers = await asyncio.gather(*(asking.post("clips", camera="gate", key="once") for _ in range(3)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.headers["location"] for answer in answers}) == 1
        await asking.end_of(answers[0].headers["location"])
        again = await asking.post("clips", camera="gate", key="once")
        assert again.json()["state"] == "done"
        other = await asking.post("clips", camera="gate", view="human", key="once")
        assert problem(other) == (422, "idempotency-key-reused")
        assert len((await asking.get("/v1/clips")).json()["clips"]) == 1


async def test_a_job_that_is_cancelled_ends_and_leaves_nothing(
    start_server: StartServer,
    codec: Codec,
    stream: Stream,
    client: Redis,
    held: threading.Event,
    tmp_path: Path,
) -> None:
    async with serving(start_server, codec, stream, client) as (_, asking):
        address = (await asking.post("clips", camera="gate")).headers["location"]
        job = await halfway(asking, address)
        waiting = (await asking.post("clips", camera="gate")).headers["location"]
        assert (tmp_path / "jobs" / job["id"]).is_dir()
        deleting = asyncio.create_task(asking.delete(address))
        await asyncio.sleep(0.1)
        held.set()
        assert (await deleting).status_code == 204
        assert problem(await asking.get(address)) == (404, "unknown-job")
        assert not (tmp_path / "jobs" / job["id"]).exists()
        assert (await asking.end_of(waiting))["state"] == "done"


async def test_what_a_server_leaves_behind_the_next_one_makes(
    start_server: StartServer,
    codec: Codec,
    stream: Stream,
    client: Redis,
    held: threading.Event,
    tmp_path: Path,
) -> None:
    async with serving(start_server, codec, stream, client) as (_, asking):
        done = await asking.ended("exports", kind="results", cameras=["gate"])
        begun = (await asking.post("clips", camera="gate", key="once")).headers["location"]
        await halfway(asking, begun)
        waiting = (await asking.post("clips", camera="gate")).headers["location"]
        asyncio.get_running_loop().call_later(0.1, held.set)
    async with start_server(SquareSpotter()) as server, open_to(server) as asking:
        assert (await asking.get(done["links"]["file"])).status_code == 200
        for address in (begun, waiting):
            job = await asking.end_of(address)
            assert (job["state"], job["left_out"]) == ("done", 0)
            await asking.file(job, tmp_path)
        assert (await asking.post("clips", camera="gate", key="once")).headers["location"] == begun


async def test_a_job_that_ends_server_after_server_is_given_up(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, tmp_path: Path
) -> None:
    async with serving(start_server, codec, stream, client) as (_, asking):
        once, twice = [await asking.ended("clips", camera="gate") for _ in range(2)]
    # As a server leaves them that is killed while it makes them.
    for job, attempts in ((once, 1), (twice, 2)):
        path = tmp_path / "jobs" / job["id"] / "job.json"
        kept = json.loads(path.read_text())
        path.write_text(json.dumps({**kept, "state": "running", "attempts": attempts, "file": None}))
    (tmp_path / "jobs" / "no-job").mkdir()
    (tmp_path / "jobs" / "no-job" / "unfinished.mp4").write_bytes(b"half a film")
    async with start_server(SquareSpotter()) as server, open_to(server) as asking:
        assert (await asking.end_of(once["links"]["self"]))["state"] == "done"
        given_up = (await asking.get(twice["links"]["self"])).json()
        assert given_up["state"] == "failed"
        assert "the server ended while it was made, 2 times" in given_up["failure"]
        assert {path.name for path in (tmp_path / "jobs" / twice["id"]).iterdir()} == {
            "job.json",
            "plan.jsonl",
        }
        assert not (tmp_path / "jobs" / "no-job").exists()


async def test_one_server_at_a_time_works_in_a_folder(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with serving(start_server, codec, stream, client) as (_, asking):
        job = await asking.ended("clips", camera="gate")
        async with start_server(SquareSpotter()) as other, open_to(other) as there:
            refused = await there.post("clips", camera="gate")
            assert problem(refused) == (503, "jobs-unavailable")
            assert refused.headers["retry-after"]
            await asking.http.aclose()
    async with start_server(SquareSpotter()) as server, open_to(server) as asking:
        assert (await asking.get(job["links"]["self"])).json()["state"] == "done"


async def test_what_is_asked_for_is_bounded(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, held: threading.Event
) -> None:
    async with serving(start_server, codec, stream, client, job_frames=7, jobs_waiting_of_user=2) as (
        _,
        asking,
    ):
        assert problem(await asking.post("clips", camera="gate")) == (422, "job-too-large")
        before = {"from": told(BEGAN - timedelta(hours=2)), "to": told(BEGAN)}
        assert problem(await asking.post("clips", camera="gate", **before)) == (422, "nothing-to-show")
        assert problem(await asking.post("clips", camera="gone")) == (404, "unknown-camera")
        for wrong in (
            {"camera": "gate", "to": told(BEGAN - timedelta(seconds=1))},
            {"camera": "gate", "from": "2026-05-01T00:00:00"},
            {"camera": "gate", "from": "0001-01-01T00:00:00+14:00"},
            {"camera": "gate", "width": 8},
            {"camera": "gate", "slices": 6},
            {"camera": "No Camera"},
            {"camera": "gate", "veiw": "human"},
            {"camera": "gate", "reason": "one line\nand another"},
            {"camera": "gate", "from": "2999-01-01T00:00:00Z", "to": "2999-01-02T00:00:00Z"},
        ):
            assert problem(await asking.post("clips", **wrong)) == (422, "invalid-request"), wrong
        assert problem(await asking.post("clips", camera="gate", reason="why " * 1000)) == (
            422,
            "reason-required",
        )
        short = {"to": told(BEGAN + timedelta(seconds=1))}
        addresses = []
        for _ in range(2):
            answer = await asking.post("clips", camera="gate", **short)
            addresses.append(answer.headers["location"])
        assert answer.json()["frames"] == 4
        assert problem(await asking.post("clips", camera="gate", **short)) == (429, "too-many-requests")
        held.set()
        for address in addresses:
            assert (await asking.end_of(address))["state"] == "done"


async def test_old_files_go_for_new_ones(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, tmp_path: Path
) -> None:
    views = {"kind": "views", "cameras": ["gate"], "format": "png"}
    async with serving(start_server, codec, stream, client) as (_, asking):
        size = (await asking.ended("exports", **views))["bytes"]
    shutil.rmtree(tmp_path / "jobs")
    limits = {"jobs_bytes": round(size * 2.5), "job_bytes": round(size * 1.5)}
    async with start_server(SquareSpotter(), **limits) as server, open_to(server) as asking:
        jobs = [await asking.ended("exports", **views) for _ in range(3)]
        assert [job["state"] for job in jobs] == ["done"] * 3
        listed = (await asking.get("/v1/exports")).json()["exports"]
        assert [job["id"] for job in listed] == [jobs[2]["id"], jobs[1]["id"]]
        assert {path.name for path in (tmp_path / "jobs").iterdir() if path.is_dir()} == {
            jobs[1]["id"],
            jobs[2]["id"],
        }
    async with start_server(SquareSpotter(), job_bytes=size // 2) as server, open_to(server) as asking:
        failed = await asking.ended("exports", **views)
        assert (failed["state"], failed["links"].keys()) == ("failed", {"self"})
        assert "more than" in failed["failure"]
    disk = shutil.disk_usage(tmp_path).total
    async with start_server(SquareSpotter(), disk_left_free=disk) as server, open_to(server) as asking:
        failed = await asking.ended("exports", **views)
        assert "disk is nearly full" in failed["failure"]
    async with start_server(SquareSpotter(), jobs_age=0.0) as server, open_to(server) as asking:

        async def forgotten() -> bool:
            listed = (await asking.get("/v1/exports")).json()["exports"]
            return not listed and not any(path.is_dir() for path in (tmp_path / "jobs").iterdir())

        await until(forgotten)


async def test_parts_of_a_file(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    async with serving(start_server, codec, stream, client) as (_, asking):
        job = await asking.ended("clips", camera="gate")
        address = job["links"]["file"]
        whole = await asking.get(address)
        tag, content = whole.headers["etag"], whole.content
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["accept-ranges"] == "bytes"
        assert whole.headers["cache-control"] == "private, no-cache"
        assert job["file_name"] in whole.headers["content-disposition"]
        for asked, start, end in (("0-99", 0, 100), ("100-", 100, None), ("-50", len(content) - 50, None)):
            part = await asking.get(address, Range=f"bytes={asked}")
            assert (part.status_code, part.content) == (206, content[start:end])
        rest = await asking.get(address, **{"Range": "bytes=100-", "If-Range": tag})
        assert (rest.status_code, rest.content) == (206, content[100:])
        other = await asking.get(address, **{"Range": "bytes=100-", "If-Range": '"another"'})
        assert (other.status_code, other.content) == (200, content)
        assert (await asking.get(address, **{"If-None-Match": tag})).status_code == 304
        beyond = await asking.get(address, Range=f"bytes={len(content)}-")
        assert problem(beyond) == (416, "range-not-satisfiable")
        for unread in ("bytes=5-2", "lines=1-2", "bytes=0-1,5-6"):
            assert (await asking.get(address, Range=unread)).content == content, unread


async def test_frames_that_cannot_be_had_are_left_out_and_told(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, tmp_path: Path
) -> None:
    async with start_server(SquareSpotter()) as server, open_to(server) as asking:
        # The second key frame's layer is gone, and with it what is predicted from it.
        await filmed(server, codec, stream, client, without=(2, 5))
        job = await asking.ended("clips", camera="gate", view="human")
        assert (job["frames"], job["left_out"]) == (8, 5)
        assert [frame["frame"] for frame in job["left_out_frames"]] == ["1-2", "1-5", "1-6", "1-7", "1-8"]
        assert job["left_out_by_reason"] == {"enhancement-expired": 5}
        assert "key frame" in job["left_out_frames"][2]["detail"]
        with av.open(str(await asking.file(job, tmp_path))) as film:
            assert len(list(film.decode(video=0))) == 3
            assert json.loads(film.metadata["secondsight"])["left_out"] == 5
        await client.delete("{gate}:enhancement:1-1")
        failed = await asking.ended("clips", camera="gate", view="human")
        assert failed["state"] == "failed"
        assert failed["failure"].startswith("none of the 8 frames can be had")
        machine = await asking.ended("clips", camera="gate")
        assert (machine["state"], machine["left_out"]) == ("done", 0)


async def test_a_job_waits_for_an_edge_that_is_away_and_not_for_ever(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis
) -> None:
    settings = {"job_waits_for_edges": 0.3}
    async with start_server(SquareSpotter(), **settings) as server, open_to(server) as asking:
        receipt = frame_pb2.EnhancementReceipt(place=frame_pb2.ENHANCEMENT_PLACE_EDGE)
        receipt.expires_at.FromSeconds(int(time.time()) + 600)
        await filmed(server, codec, stream, client, without=(3, 4), enhancement=receipt)
        job = await asking.ended("clips", camera="gate", view="human")
    assert job["left_out_by_reason"] == {"edge-not-connected": 2}
    assert (job["state"], job["frames"]) == ("done", 8)


def test_reasons_are_named_as_problems_are() -> None:
    def leaves(error: type[Exception]) -> list[type[Exception]]:
        below = error.__subclasses__()
        return [leaf for each in below for leaf in leaves(each)] if below else [error]

    for error in (leaf for each in CANNOT_BE_SHOWN for leaf in leaves(each)):
        if error in _KINDS:
            assert reason_word(error.__new__(error)) == _KINDS[error].slug
        else:
            assert error is RecognitionFailedError


async def test_whoever_waits_for_a_picture_goes_before_a_job(
    start_server: StartServer, codec: Codec, stream: Stream, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[str] = []
    settings = {"job_yields": PATIENCE, "pictures_bytes": 0}
    async with serving(start_server, codec, stream, client, **settings) as (server, asking):
        busy, going = threading.Event(), threading.Event()
        real = codec.decode_human

        def decode_human(machine: bytes, *given: Any, **named: Any) -> Any:
            decoded.append("somebody's")
            going.set()
            assert busy.wait(PATIENCE)
            return real(machine, *given, **named)

        real_machine = codec.decode_machine

        def decode_machine(*given: Any, **named: Any) -> Any:
            decoded.append("the job's")
            return real_machine(*given, **named)

        monkeypatch.setattr(codec, "decode_human", decode_human)
        monkeypatch.setattr(codec, "decode_machine", decode_machine)

        def look(number: int) -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(asking.get(f"/v1/cameras/gate/frames/1-{number}/image?view=human"))

        views = [look(1)]
        await asyncio.to_thread(going.wait, PATIENCE)
        job = await asking.post("clips", camera="gate")

        async def begun() -> bool:
            return bool((await asking.get(job.headers["location"])).json()["state"] == "running")

        async def all_ask() -> bool:
            return server._layers._calls == 3

        await until(begun)
        await asyncio.sleep(0.2)  # by now it waits for the codec, before these do
        views += [look(2), look(3)]
        await until(all_ask)
        busy.set()
        assert {(await view).status_code for view in views} == {200}
        assert (await asking.end_of(job.headers["location"]))["state"] == "done"
    assert decoded == ["somebody's"] * 3 + ["the job's"] * 8

"""`secondsight server` as a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from secondsight import store_keys
from server.command import app
from server.config import ServerConfig
from server.errors import ServerConfigError, UnknownRecogniserError
from server.options import camera_stores
from server.recognition import load_recogniser
from server.store.client import open_client
from server.worker_command import app as worker_app
from shared_models import Codec, load_codec
from shared_models.group import GroupEncoder, GroupFrame
from tests.server.harness import PATIENCE, EdgeStream, recognised, results_in

READY = re.compile(r"ready grpc=(\S+) http=(\S+) store=(\S+)\n")


@asynccontextmanager
async def server_process(
    data: Path, *options: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, str, str]]:
    """A server with an embedded store on free ports; gives the process and its three addresses."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", "from secondsight.command_line import main; main()", "server"),
        *("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store-port", "0"),
        *("--data", str(data), "--device", "cpu", "--codec-threads", "1", "--recogniser", "none"),
        *options,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        ready = READY.fullmatch((await process.stdout.readline()).decode())
        assert ready is not None
        yield process, ready[1], ready[2], ready[3]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_embedded_store_may_use_as_much_memory_as_it_is_given(tmp_path: Path) -> None:
    async with server_process(tmp_path, "--store-memory", "64mb") as (_, _, _, store_url):
        client = open_client(store_url)
        assert (await client.config_get("maxmemory"))["maxmemory"] == str(64 * 2**20)
        await client.aclose()


@pytest.fixture(scope="module")
def shipped() -> Codec:
    """What a server process loads."""
    return load_codec("lite", device="cpu")


@pytest.fixture(scope="module")
def frames(shipped: Codec, pictures: list[np.ndarray]) -> list[GroupFrame]:
    """The beginning of a camera stream; after its key frame predicted frames, as far as the shipped model has them."""
    encoder = GroupEncoder(shipped)
    return [encoder.encode(picture, encoder.turn()) for picture in pictures[:3]]


async def test_it_serves_and_ends_in_order(tmp_path: Path, shipped: Codec, frames: list[GroupFrame]) -> None:
    async with (
        server_process(tmp_path) as (process, grpc_address, http_address, store_url),
        grpc.aio.insecure_channel(grpc_address) as channel,
    ):
        assert store_url.startswith("redis://127.0.0.1:")
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "secondsight.v1.IngestService", "secondsight.v1.AnalyticsService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        edge = EdgeStream(channel, "front-door", shipped.predicting_id)
        await edge.hello()
        await edge.send_in_group(1, frames[0])
        await edge.ack_of(1)
        async with httpx.AsyncClient(base_url=f"http://{http_address}", timeout=PATIENCE) as http:
            assert (await http.get("/readyz")).status_code == 200
            assert (await http.get("/v1/cameras/front-door/frames/1-1/image")).status_code == 200
        watching = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.SERVING
        process.send_signal(signal.SIGTERM)
        assert (await watching.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        while not (response := await edge.read()).HasField("drain"):
            assert response.HasField("ack")
        await edge.call.done_writing()
        assert (await edge.ended())[0] is grpc.StatusCode.OK
        watching.cancel()
        assert await process.wait() == 0


async def test_frames_outlive_a_killed_server_and_their_group_goes_on(
    tmp_path: Path, shipped: Codec, frames: list[GroupFrame]
) -> None:
    async with (
        server_process(tmp_path) as (process, grpc_address, _, _),
        grpc.aio.insecure_channel(grpc_address) as channel,
    ):
        edge = EdgeStream(channel, "front-door", shipped.predicting_id)
        session = (await edge.hello()).session
        for sequence in (1, 2):
            await edge.send_in_group(sequence, frames[sequence - 1])
            await edge.ack_of(sequence)
        process.kill()
        await process.wait()
        edge.call.cancel()
    async with (
        server_process(tmp_path) as (_, grpc_address, http_address, _),
        grpc.aio.insecure_channel(grpc_address) as channel,
    ):
        edge = EdgeStream(channel, "front-door", shipped.predicting_id)
        assert (await edge.hello(session)).last_stored_sequence == 2
        await edge.send_in_group(3, frames[2])
        await edge.ack_of(3)
        edge.call.cancel()
        async with httpx.AsyncClient(base_url=f"http://{http_address}", timeout=PATIENCE) as http:
            for sequence in (1, 2, 3):
                view = f"/v1/cameras/front-door/frames/1-{sequence}/image"
                assert (await http.get(view)).status_code == 200


async def test_a_worker_of_its_own_recognises_what_a_server_without_one_takes_in(
    tmp_path: Path, shipped: Codec, frames: list[GroupFrame]
) -> None:
    async with (
        server_process(tmp_path, "--no-worker") as (_, grpc_address, _, store_url),
        grpc.aio.insecure_channel(grpc_address) as channel,
        open_client(store_url) as client,
    ):
        edge = EdgeStream(channel, "front-door", shipped.predicting_id)
        await edge.hello()
        await edge.send_in_group(1, frames[0])
        await edge.ack_of(1)
        assert await results_in(client) == {}
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", "from secondsight.command_line import main; main()", "worker", "--store", store_url),
            *("--http", "127.0.0.1:0", "--device", "cpu", "--codec-threads", "1", "--recogniser", "none"),
            *("--worker-name", "night-shift"),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert worker.stdout is not None
            ready = re.fullmatch(
                r"ready worker=(night-shift\.\S+) http=(\S+)\n", (await worker.stdout.readline()).decode()
            )
            assert ready is not None
            await recognised(client, 1)
            async with httpx.AsyncClient(base_url=f"http://{ready[2]}", timeout=PATIENCE) as http:
                told = await http.get("/readyz")
                assert told.status_code == 200
                assert (told.json()["worker"], told.json()["cameras"]) == (ready[1], 1)
                assert (await http.get("/healthz")).status_code == 200
                assert "secondsight_leases{" in (await http.get("/metrics")).text
            worker.send_signal(signal.SIGTERM)
            assert await worker.wait() == 0
        finally:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()
        assert not await client.exists(store_keys.worker("front-door", store_keys.DEFAULT_TASK))
        edge.call.cancel()


@pytest.mark.parametrize("command", [app, worker_app], ids=["server", "worker"])
def test_every_option_has_a_variable(command: typer.Typer) -> None:
    options = [option for option in typer.main.get_command(command).params if option.name != "help"]
    assert len(options) > 10
    for option in options:
        assert str(option.envvar).startswith("SECONDSIGHT_"), option.name


@pytest.mark.parametrize(
    ("settings", "tells"),
    [
        ({"grpc": "localhost"}, "HOST:PORT"),
        ({"http": "127.0.0.1:99999"}, "HOST:PORT"),
        ({"backlog_frames": 0}, "at least 1"),
        ({"frames_kept": 8}, "raise frames_kept"),
        ({"group_frames": 0}, "at least 1"),
        ({"frame_pixels": 0}, "16x16"),
        ({"minimum_score": 2.0}, "0 to 1"),
        ({"codec_threads": 0}, "at least 1"),
    ],
)
def test_settings_that_cannot_work_are_told(settings: dict[str, object], tells: str) -> None:
    with pytest.raises(ServerConfigError, match=tells):
        ServerConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "tells"),
    [
        (["front-door"], "CAMERA=URL"),
        (["=redis://127.0.0.1/0"], "CAMERA=URL"),
        (["door=redis://127.0.0.1/0", "door=redis://127.0.0.1/1"], "two stores"),
    ],
)
def test_stores_of_cameras_that_cannot_be_are_told(given: list[str], tells: str) -> None:
    with pytest.raises(ServerConfigError, match=tells):
        camera_stores(given)


def test_stores_are_named_by_camera() -> None:
    assert camera_stores(["door=redis://127.0.0.1/0?a=b", "gate=redis://127.0.0.1/1"]) == {
        "door": "redis://127.0.0.1/0?a=b",
        "gate": "redis://127.0.0.1/1",
    }


def test_an_unknown_recogniser_is_told() -> None:
    with pytest.raises(UnknownRecogniserError, match="ssd-mobilenet"):
        load_recogniser("crystal-ball", minimum_score=0.5, threads=1)
